/*
 * snapshot_keeper.h: what the files of the keeper share: the worker that has git's own programs look after a snapshot's
 * repository, beside the store that writes it.
 *
 * snapshot_keeper.c       its life: what is due, one task at a time; the verb
 * snapshot_keeper_watch.c the folder in which a change of the branch is heard of
 * snapshot_keeper_git.c   one of git's programs: its words, its time, why it failed
 * snapshot_keeper_disk.c  what lies in the repository: counted, swept; whether the store that writes it is ours
 * snapshot_keeper_pack.c  the task that packs
 * snapshot_keeper_cut.c   the task that cuts off what is too old (snapshot_cut.h)
 * snapshot_keeper_push.c  the task that pushes to the mirror
 *
 * It never writes an object, nor moves the branch.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_KEEPER_H
#define WORKERS_SNAPSHOT_SNAPSHOT_KEEPER_H

#include "common/buffer.h"
#include "common/child_run.h"
#include "proto/snapshot/snapshot_limits.h"
#include "workers/skeleton/worker.h"
#include "workers/snapshot/snapshot_cut.h"

#include <limits.h>

#define KEEPER_WHY_SIZE 512
#define KEEPER_ASKED    16 /* who wait for a pack */
#define KEEPER_HEARD    4096

/* What the mirror of an address has, which the rest of the name stands for. */
#define KEEPER_MIRRORED "refs/platoon/mirrored/"

/* One at a time, in this order when several are due. */
enum keeper_task { KEEPER_PACK, KEEPER_CUT, KEEPER_PUSH, KEEPER_TASKS };

struct keeper_disk {
    uint64_t loose, packs, bytes;
};

struct keeper_head {
    char id[65];
    uint64_t seq;
};

struct keeper {
    struct worker *w;
    char path[PATH_MAX], branch[256]; /* refs/heads/… */
    const char *mirror;
    char mirror_ref[sizeof KEEPER_MIRRORED + 16]; /* of that one */
    uint64_t pack_after, keep_ms, daily_ms;

    bool is_swept;    /* since the store is ours */
    bool is_watched;  /* the branch's folder */
    bool has_changed; /* since it was measured */
    int folder;       /* while it is watched: held open */
    uv_fs_event_t event;
    uv_timer_t timer;                /* when something is due */
    uint64_t due_ms[KEEPER_TASKS];   /* CLOCK_MONOTONIC; UINT64_MAX: not */
    uint64_t pause_ms[KEEPER_TASKS]; /* back-off; 0: it went well */
    char why[KEEPER_TASKS][KEEPER_WHY_SIZE];
    int blind; /* a negative errno: changes of the branch cannot be heard of */
    struct keeper_disk disk;

    uint64_t asked[KEEPER_ASKED];
    size_t asked_count;

    /* ---- the one that runs ---- */
    enum keeper_task task; /* KEEPER_TASKS: none */
    struct child_run *run;
    const char *program;
    struct buffer line, heard; /* of its output, what is no line yet; the last of its errors */
    void (*on_line)(struct keeper *k, struct slice line);
    void (*next)(struct keeper *k);
    struct snapshot_cut *cut;
    bool has_cut;          /* one before us may have died with only half of it done */
    bool cut_waits;        /* for a push */
    struct buffer shallow; /* the file as it is */
    struct keeper_head head, mirrored;
    uint64_t looked_ms; /* when the mirror was compared last */
    uint64_t push_ms;   /* what failed is not pushed again before */
};

/* ---- snapshot_keeper.c ---- */

/* The task that runs has come to its end; keeper_fail: and has not done it, for that reason. */
void keeper_done(struct keeper *k);
/* It goes on at push_ms. */
void keeper_later(struct keeper *k);
void keeper_fail(struct keeper *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- snapshot_keeper_watch.c ---- */

/* 0, and on_change is called until the stop; or a negative errno, -ENOENT: it has just gone. */
int keeper_watch_start(struct keeper *k, uv_fs_event_cb on_change);
/* While it is watched: false when the branch's folder has gone, or was made (anew), so that nothing is heard of it. */
bool keeper_watch_is_right(const struct keeper *k);
void keeper_watch_stop(struct keeper *k);

/* ---- snapshot_keeper_git.c ---- */

#define KEEPER_WORDS 16

struct keeper_git {
    const char *words[KEEPER_WORDS]; /* behind `git`, ends with NULL */
    struct slice input;
    uint64_t timeout_ms;
    void (*on_line)(struct keeper *k,
                    struct slice line); /* of its standard output; NULL: nobody hears it */
    void (*next)(struct keeper *k);     /* when it has ended with 0; else the task fails */
};

/* Once, before the first: what git finds in its environment. */
void keeper_git_prepare(void);
/* Niced: the store writes beside it. */
void keeper_git(struct keeper *k, const struct keeper_git *git);

/* ---- snapshot_keeper_disk.c ---- */

/* The worker that wrote its number into the lock is of our own platoon. */
bool keeper_is_ours(const struct keeper *k);
void keeper_measure(struct keeper *k, struct keeper_disk *disk);
/* What a program of ours that was killed has left. */
void keeper_sweep(const struct keeper *k);
/* The file `shallow`; nothing where there is none. 0 or a negative errno. */
int keeper_read_shallow(const struct keeper *k, struct buffer *text);
int keeper_write_shallow(const struct keeper *k, struct slice text);

/* ---- the tasks: each begins it ---- */

void keeper_pack(struct keeper *k);
void keeper_cut(struct keeper *k);
void keeper_push(struct keeper *k);

/* A step of both that change packs: loose objects that nobody has named for an hour are gone. */
void keeper_prune(struct keeper *k, void (*next)(struct keeper *k));

#endif
