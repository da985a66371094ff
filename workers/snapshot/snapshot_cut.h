/*
 * snapshot_cut.h: which commits of a snapshot are kept, and what git must be told so that it keeps no others.
 *
 * Runs in the keeper of a snapshot. Pure. The branch is cut behind the oldest commit that is young enough: its parents
 * are named nowhere then, because git's file `shallow` says that it has none (gitrepository-layout(5)); no id changes.
 * Kept besides, as islands, by references of their own: the newest version of each resource, and of each UTC day its
 * last commit. Nor is cut off what a mirror lacks, or what it has as its newest: a push goes on from there, and no
 * mirror takes commits whose parents it has never had.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_CUT_H
#define WORKERS_SNAPSHOT_SNAPSHOT_CUT_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOT_CUT_NEWEST "refs/platoon/newest/"
#define SNAPSHOT_CUT_DAILY  "refs/tags/daily/"

struct snapshot_cut;

struct snapshot_cut_options {
    int64_t now_s;
    int64_t keep_s;        /* the branch's commits; 0: all */
    int64_t daily_s;       /* each day's last one; 0: none */
    struct slice shallow;  /* the file as it is; lives until the end */
    bool mirrors;          /* there is a mirror: */
    struct slice mirrored; /* the newest that it has; empty: nothing; lives as long */
};

/* NULL: memory is short, as wherever `false` is returned here. */
struct snapshot_cut *snapshot_cut_new(const struct snapshot_cut_options *o);
void snapshot_cut_free(struct snapshot_cut *cut); /* accepts NULL */

/* A commit of the branch, from the newest on. */
bool snapshot_cut_commit(struct snapshot_cut *cut, struct slice id, int64_t time_s,
                         struct slice resource);

/* Something old is kept only because the mirror lacks it. After all commits. */
bool snapshot_cut_waits(const struct snapshot_cut *cut);

/* A reference that there is, of those two kinds; others count for nothing. After all commits. */
bool snapshot_cut_ref(struct snapshot_cut *cut, struct slice name, struct slice id);

/* A reference that is to go. */
bool snapshot_cut_delete(struct snapshot_cut *cut, struct slice name);

/*
 * What is to be done: `refs` for the standard input of `git update-ref --stdin` (empty: nothing), and then, when it is
 * not what the file is already, the new file `shallow`; without a line there is to be none. False: memory is short.
 */
bool snapshot_cut_end(struct snapshot_cut *cut, struct buffer *refs, struct buffer *shallow);

#endif
