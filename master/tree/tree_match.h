/*
 * tree_match.h: which names of workers a person's word stands for.
 *
 * Runs in the master. Names only, no tree: a log line, an event or a crash report may be of a worker that is no
 * longer in it.
 */
#ifndef MASTER_TREE_MATCH_H
#define MASTER_TREE_MATCH_H

#include <stdbool.h>

/*
 * True when `name` stands for the worker of that name: itself, a branch above it, a pattern with * or ?, or "" for
 * all.
 */
bool tree_name_matches(const char *worker, const char *name);

#endif
