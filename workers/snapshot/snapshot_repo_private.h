/*
 * snapshot_repo_private.h: what the files of a snapshot's repository share.
 *
 * snapshot_repo.c     opening and closing: lock, leftovers, settings, the newest commit
 * snapshot_history.c  reading: commits, files, bytes, differences
 * snapshot_write.c    writing: blob, tree, commit, branch, each read back
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H
#define WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H

#include "workers/snapshot/snapshot_repo.h"

#include <git2.h>

struct snapshot_repo {
    git_repository *git;
    int lock;         /* descriptor; -1: none */
    char branch[256]; /* refs/heads/… */
    bool has_head;    /* the branch has a commit: */
    git_oid head;
    uint64_t seq;
    const char *moved; /* why the branch is not where we know it; NULL: it is */
};

/* "PATH: what: libgit2's words" into why, of SNAPSHOT_WHY_SIZE. Returns false. */
bool snapshot_repo_fail(char *why, const char *what);

/* Reads a commit of ours. False: it is none; *known says whether it is there at all. */
bool snapshot_repo_commit(struct snapshot_repo *r, const git_oid *id, git_commit **commit,
                          struct snapshot_trailers *t);

#endif
