/*
 * snapshot_repo_private.h: what the files of a snapshot's repository share.
 *
 * snapshot_repo.c     opening and closing: lock, leftovers, settings, the newest commit
 * snapshot_history.c  reading: files, bytes, differences
 * snapshot_walk.c     commits, one after the other
 * snapshot_write.c    writing: blob, tree, commit, branch, each read back
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H
#define WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H

#include "workers/snapshot/snapshot_repo.h"

#include <git2.h>
#include <time.h>

struct snapshot_repo {
    git_repository *git;
    int lock;         /* descriptor; -1: none */
    char branch[256]; /* refs/heads/… */
    bool has_head;    /* the branch has a commit: */
    git_oid head;
    uint64_t seq;
    const char *moved;      /* why the branch is not where we know it; NULL: it is */
    struct timespec packed; /* when the folder of packs was changed, as we know it */
};

/* "PATH: what: libgit2's words" into why, of SNAPSHOT_WHY_SIZE. Returns false. */
bool snapshot_repo_fail(char *why, const char *what);

/*
 * Opens it anew when packs have come or gone since: libgit2 goes on reading those that were deleted, which so stay on
 * the disk, with what was cut off. Nothing that was read may be in use.
 */
void snapshot_repo_refresh(struct snapshot_repo *r);

/*
 * After libgit2 has failed: true, and it has looked at the packs anew, when it has not found an object, or its folder.
 * git's programs that pack move objects, delete packs and remove folders that have become empty, also between two looks
 * of libgit2: twice in a row that was seen. *tries is 0 before the first; false after some.
 */
bool snapshot_repo_missed(struct snapshot_repo *r, int *tries);

/* Reads a commit of ours. False: it is none; *known says whether it is there at all. */
bool snapshot_repo_commit(struct snapshot_repo *r, const git_oid *id, git_commit **commit,
                          struct snapshot_trailers *t);

#endif
