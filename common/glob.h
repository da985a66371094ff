/*
 * glob.h: patterns of keys and channels, as Redis matches them (KEYS, SCAN MATCH, CONFIG GET, COMMAND LIST,
 * PSUBSCRIBE).
 *
 * Runs in cache nodes and backbones. Pure. *, ?, [ab], [a-z], [^a], \x; whatever is malformed means what redis-server
 * 7.0 takes it for ("[ab" ends with the pattern, a range may be the wrong way round, bytes are signed). At most as many
 * steps as the lengths of both, multiplied: only the last * seen is tried further on, because what an earlier one could
 * still match begins with what the last one has already been refused.
 */
#ifndef COMMON_GLOB_H
#define COMMON_GLOB_H

#include "common/slice.h"

/* Whether all of `text` matches. Redis' own oddity: the empty text matches the empty pattern only, not even "*". */
bool glob_matches(struct slice pattern, struct slice text, bool any_case);

#endif
