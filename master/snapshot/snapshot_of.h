/*
 * snapshot_of.h: which snapshot a resource is of, and where its file is in there.
 *
 * Runs in the master and in the tool. Pure.
 */
#ifndef MASTER_SNAPSHOT_SNAPSHOT_OF_H
#define MASTER_SNAPSHOT_SNAPSHOT_OF_H

#include "master/config/config.h"

/* The one that the resource names, or the only one there is. NULL: there is none, or nobody says which. */
const struct config_section *snapshot_of(const struct config *c,
                                         const struct config_section *resource);

/* Its path in the repository. */
const char *snapshot_file(const struct config_section *resource);

/* A worker of its own makes it; false: it is put. */
bool snapshot_is_made(const struct config_section *resource);

#endif
