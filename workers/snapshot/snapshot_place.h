/*
 * snapshot_place.h: where a snapshot's repository is.
 *
 * Runs in its store and in its keeper. Pure, but for settings.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_PLACE_H
#define WORKERS_SNAPSHOT_SNAPSHOT_PLACE_H

#include "workers/skeleton/worker.h"

#include <limits.h>

/* The setting path, or NAME.git in state_dir. */
void snapshot_place(const struct worker *w, char path[PATH_MAX]);

#endif
