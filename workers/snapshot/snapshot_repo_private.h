/*
 * snapshot_repo_private.h: what the files of a snapshot's repository share.
 *
 * snapshot_repo.c     opening and closing: lock, leftovers, settings, the newest commit
 * snapshot_history.c  reading: files, bytes, differences
 * snapshot_walk.c     commits, one after the other
 * snapshot_write.c    writing: blob, tree, commit, branch, each read back
 * snapshot_lack.c     what should be there and is not
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H
#define WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H

#include "workers/snapshot/snapshot_repo.h"

#include <git2.h>
#include <time.h>

struct snapshot_repo {
    git_repository *git;
    int lock;         /* descriptor; -1: none */
    bool is_signed;   /* our number stands in it */
    char branch[256]; /* refs/heads/… */
    bool has_head;    /* the branch has a commit: */
    git_oid head;
    uint64_t seq;
    const char *moved;      /* why the branch is not where we know it; NULL: it is */
    struct timespec packed; /* when the folder of packs was changed, as we know it */
    bool lacks;             /* an object that should be there: */
    git_oid lack;
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

/*
 * That object should be there, and cannot be read; where libgit2 has just named another one that it has not found, it
 * is that. Kept in mind until it can be read (snapshot_repo_lacks), unless the commit `of` (NULL: none) is gone, too:
 * then it was cut off. why, of SNAPSHOT_WHY_SIZE, says so. Returns false.
 */
bool snapshot_repo_lack(struct snapshot_repo *r, const git_oid *id, const git_oid *of, char *why);

/* Whether that commit's parents were cut off: then they are not missing. */
bool snapshot_repo_was_cut(struct snapshot_repo *r, const git_oid *commit);

#endif
