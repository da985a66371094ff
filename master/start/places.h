/*
 * places.h: whether directories that must be two are one, be they there already or yet to be made.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. Each place that belongs to one process
 * has a lock of its own: two of them in one directory lock each other out. Looks into the file system: may block.
 */
#ifndef MASTER_PLACES_H
#define MASTER_PLACES_H

#include "master/config/config.h"

/* Both paths are absolute. Links are followed as far as something is there. */
bool places_same(const char *a, const char *b);

/* runtime_dir and state_dir: 0, or PREFLIGHT_CONFIG with a line in `error`. */
int places_check(const struct config *c, struct buffer *error);

#endif
