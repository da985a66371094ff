/*
 * snapshot_lines.h: how many lines two texts may differ in.
 *
 * Runs in the store and in web, before they compare texts: libgit2 cannot be interrupted, and where few different lines
 * are many it takes minutes for what fits into a version, in which nobody else is answered. Pure.
 */
#ifndef WORKERS_SNAPSHOT_LINES_H
#define WORKERS_SNAPSHOT_LINES_H

#include "common/slice.h"

/* Lines of both together between what they begin and what they end with alike; above `most` no more are counted. */
size_t snapshot_lines_between(struct slice a, struct slice b, size_t most);

#endif
