/*
 * snapshot_repo.h: a snapshot's repository: opened by one writer, read, and written one version at a time.
 *
 * Runs in the store of a snapshot; the only ones that know libgit2 are this and its files (snapshot_repo_private.h).
 * Everything blocks for as long as the disk takes. Accepted is what is on the disk: each object is read back from
 * there, past libgit2's caches (which are off), before the next one is written, and the branch before the answer,
 * because libgit2 1.5.1 reports success on a full disk (libgit2#6201).
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_REPO_H
#define WORKERS_SNAPSHOT_SNAPSHOT_REPO_H

#include "common/buffer.h"
#include "workers/snapshot/snapshot_trailers.h"

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOT_ID_SIZE  41 /* hex digits of an object's id, and NUL */
#define SNAPSHOT_WHY_SIZE 512
#define SNAPSHOT_LONG     1024

struct snapshot_repo;

struct snapshot_repo_options {
    const char *path;
    const char *branch;
    bool fsync;
    void (*on_long)(
        void *ctx); /* each SNAPSHOT_LONG commits of a walk, which may be long; optional */
    void *ctx;
};

enum snapshot_opened {
    SNAPSHOT_OPEN,
    SNAPSHOT_LOCKED, /* another process writes it; *why names it */
    SNAPSHOT_AWAY,   /* it cannot be read or written now: the disk, a right */
    SNAPSHOT_ALIEN,  /* it is no repository of ours, and will not become one */
};

/*
 * Opens it, or makes it. What is left of a writer that was killed is removed first, under the lock. `why`, of
 * SNAPSHOT_WHY_SIZE, is one line with the remedy when it is not SNAPSHOT_OPEN.
 */
enum snapshot_opened snapshot_repo_open(const struct snapshot_repo_options *o,
                                        struct snapshot_repo **out, char *why);
void snapshot_repo_close(struct snapshot_repo *r); /* accepts NULL */

/* Whose lock it is, written where it could not be written yet: the disk was read-only, or full. */
void snapshot_repo_sign(struct snapshot_repo *r);

/* Of the newest commit; 0: there is none yet. */
uint64_t snapshot_repo_seq(const struct snapshot_repo *r);

/* The newest commit; "": there is none yet. */
void snapshot_repo_head(const struct snapshot_repo *r, char id[SNAPSHOT_ID_SIZE]);

/* ---- reading ---- */

struct snapshot_commit {
    char id[SNAPSHOT_ID_SIZE];
    uint64_t seq;
    int64_t time_s;
    struct slice resource, source, by;
    const struct snapshot_trailers *trailers; /* all live until the call returns */
    /* What stood before it was cut off (snapshot_cut.h): each file that it has, it has from there or from itself. */
    bool cut;
};

/*
 * From that commit (NULL: the newest of the branch) to the first: each is told, until `fn` returns false. Where a
 * parent is not there, because what is older was cut off, the older ones that were kept follow, the newest first.
 * False, with `why`: it cannot be read, or `from` is no commit.
 */
bool snapshot_repo_walk(struct snapshot_repo *r, const char *from,
                        bool (*fn)(void *ctx, const struct snapshot_commit *c), void *ctx,
                        char *why);

/* The commit that these digits (7 to 40) are the beginning of. False with `why`: there is none, or more than one. */
bool snapshot_repo_resolve(struct snapshot_repo *r, const char *digits, char id[SNAPSHOT_ID_SIZE],
                           char *why);

/*
 * What the file is in that commit: its blob, and bytes. False with `why`; there may be no such file, or commit. Where
 * there is one whose bytes are missing, `blob` names them all the same; else it is "" then.
 */
bool snapshot_repo_find(struct snapshot_repo *r, const char *commit, const char *path,
                        char blob[SNAPSHOT_ID_SIZE], uint64_t *size, char *why);

/* Whether all folders of that commit can be read: else nobody knows what files it has. False with `why`. */
bool snapshot_repo_has_folders(struct snapshot_repo *r, const char *commit, char *why);

/* So many bytes of it from there on, appended. False with `why`. */
bool snapshot_repo_read(struct snapshot_repo *r, const char *blob, uint64_t offset, size_t most,
                        struct buffer *out, char *why);

/* diff -u of two blobs, appended; nothing where they are equal. `name` stands in its head. False with `why`. */
bool snapshot_repo_diff(struct snapshot_repo *r, const char *name, const char *from, const char *to,
                        struct buffer *out, char *why);

/*
 * Whether an object that should be there was found to be missing or broken, and still is: `why`, of SNAPSHOT_WHY_SIZE,
 * names it.
 */
bool snapshot_repo_lacks(struct snapshot_repo *r, char *why);

/* ---- writing ---- */

struct snapshot_new {
    const char *resource;
    const char *path; /* lives until it is accepted */
    const char *source, *by;
    const struct snapshot_trailers
        *made; /* how; resource, seq, source and by are not looked at. NULL: put */
    struct slice bytes;
    const char *blob; /* their id (snapshot_repo_hash); NULL: nobody has asked for it */
    int64_t time_s;
};

struct snapshot_accepted {
    bool changed; /* false: these bytes are what the newest version has; nothing was written */
    uint64_t seq;
    char commit[SNAPSHOT_ID_SIZE];
    char blob[SNAPSHOT_ID_SIZE];
};

enum snapshot_written {
    SNAPSHOT_ACCEPTED,
    SNAPSHOT_FAILED, /* nothing has changed; it may be tried again */
    SNAPSHOT_MOVED, /* the branch is not where we know it: nothing is written until it is opened anew */
};

/*
 * A commit that puts these bytes into that file, upon the last that was written. It is on the disk, and nobody sees it
 * before snapshot_repo_accept. `why` when it is not; those that were written before do not mind.
 */
enum snapshot_written snapshot_repo_write(struct snapshot_repo *r, const struct snapshot_new *n,
                                          struct snapshot_accepted *a, char *why);

/* Bytes that a version has already: when just they are what is missing, they are put back. No version comes of it. */
void snapshot_repo_mend(struct snapshot_repo *r, struct slice bytes);

/*
 * The branch is moved to the last that was written: all of them are accepted, or none is, with `why`. Nothing happens
 * where there is none.
 */
enum snapshot_written snapshot_repo_accept(struct snapshot_repo *r, char *why);

/* The id that these bytes have, without writing anything. */
bool snapshot_repo_hash(struct slice bytes, char blob[SNAPSHOT_ID_SIZE]);

#endif
