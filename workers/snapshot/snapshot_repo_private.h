/*
 * snapshot_repo_private.h: what the files of a snapshot's repository share.
 *
 * snapshot_repo.c     opening and closing: lock, leftovers, settings, the newest commit
 * snapshot_history.c  reading: files, bytes, differences
 * snapshot_walk.c     commits, one after the other
 * snapshot_write.c    writing: blob, tree, commit, branch
 * snapshot_object.c   an object is written, and read back
 * snapshot_loose.c    a small one's file
 * snapshot_folder.c   trees, with one file changed
 * snapshot_lack.c     what should be there and is not
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H
#define WORKERS_SNAPSHOT_SNAPSHOT_REPO_PRIVATE_H

#include "workers/snapshot/snapshot_repo.h"

#include <git2.h>
#include <time.h>
#if __has_include(<git2/sys/errors.h>) /* of libgit2 1.8 on: what it says of errors itself */
#include <git2/sys/errors.h>
#endif

struct snapshot_repo {
    git_repository *git;
    int lock;         /* descriptor; -1: none */
    bool is_signed;   /* our number stands in it */
    char branch[256]; /* refs/heads/… */
    bool has_head;    /* the branch has a commit: */
    git_oid head;
    uint64_t seq;
    /* The newest commit that is written: the branch's, or it is to be moved there. */
    struct snapshot_tip {
        bool has;
        git_oid commit;
        uint64_t seq;
        const char *path; /* the file that it has changed; NULL: it is the branch's */
        bool has_root;    /* its folder is known: */
        struct buffer root;
    } tip;
    git_odb_backend *loose;
    bool fsync;
    const char *moved;      /* why the branch is not where we know it; NULL: it is */
    struct timespec packed; /* when the folder of packs was changed, as we know it */
    bool lacks;             /* an object that should be there: */
    git_oid lack;
    void (*on_long)(void *ctx); /* of snapshot_repo_options */
    void *ctx;
    uint64_t walked; /* commits, by all walks */
    /* Of a version that is read piece by piece, what was read for the first one; empty: none is. */
    git_oid kept_id;
    struct buffer kept;
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

/* The next version comes upon the branch's newest commit: what was written beyond it is forgotten. */
static inline void snapshot_repo_stand(struct snapshot_repo *r)
{
    buffer_fini(&r->tip.root);
    r->tip = (struct snapshot_tip){.has = r->has_head, .commit = r->head, .seq = r->seq};
}

/* ---- snapshot_object.c ---- */

/* False: as libgit2 says. snapshot_object_close in any case. */
bool snapshot_object_open(struct snapshot_repo *r);
void snapshot_object_close(struct snapshot_repo *r);

/* An object, whose id that is, is on the disk: its bytes were read back from there. False: as libgit2 says. */
bool snapshot_object_write(struct snapshot_repo *r, git_object_t type, struct slice bytes,
                           const git_oid *id);
/* The same, and tells its id. */
bool snapshot_object_make(struct snapshot_repo *r, git_object_t type, struct slice bytes,
                          git_oid *id);

/* ---- snapshot_loose.c ---- */

enum snapshot_loose {
    SNAPSHOT_LOOSE_THERE,
    SNAPSHOT_LOOSE_FAILED, /* as libgit2 says */
    SNAPSHOT_LOOSE_GONE,   /* it was written, and its file is not there any more */
    SNAPSHOT_LOOSE_OTHER,  /* it is too large for this, or memory is short: nothing was done */
};

/* An object as a file that is not compressed: synced, when that is wanted, and read back. */
enum snapshot_loose snapshot_loose_write(struct snapshot_repo *r, git_object_t type,
                                         struct slice bytes, const git_oid *id);

/* ---- snapshot_folder.c ---- */

/* A tree's bytes, appended. False: as libgit2 says, or memory is short. */
bool snapshot_folder_read(struct snapshot_repo *r, const git_oid *id, struct buffer *out);

/*
 * A tree as `tree` (its bytes; none: empty) but with that blob as the file `path`, and those on the way to it, are
 * written: `id`, its bytes appended to `out`. False: as libgit2 says, or memory is short.
 */
bool snapshot_folder_write(struct snapshot_repo *r, struct slice tree, const char *path,
                           const git_oid *blob, git_oid *id, struct buffer *out);

#endif
