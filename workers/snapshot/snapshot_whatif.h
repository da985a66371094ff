/*
 * snapshot_whatif.h: what a resource would be if others were these bytes: each step from there to it is run, and its
 * bytes are the answer. Nothing is written, told or counted as a run: the policy does not hear of it.
 *
 * snapshot_whatif.c        those there are: what is given for them piece by piece, what they answer, when they are over
 * snapshot_whatif_base.c   what they read of what is not given: the commit, and its files
 * snapshot_whatif_steps.c  their steps, one after the other, on a worker of their own
 *
 * Runs in the store.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_WHATIF_H
#define WORKERS_SNAPSHOT_SNAPSHOT_WHATIF_H

#include "workers/snapshot/snapshot_runs.h"
#include "workers/snapshot/snapshot_steps.h"

enum whatif_state {
    WHATIF_GIVEN,   /* its bytes are coming */
    WHATIF_WAITING, /* for a worker */
    WHATIF_RUNNING,
    WHATIF_DONE, /* its answer is fetched */
};

/* A resource as the what-if has it; by its place in the policy. */
struct whatif_part {
    struct buffer bytes;         /* given, or made */
    size_t size;                 /* given: so many there will be */
    bool made;                   /* a step, and has been run */
    size_t readers;              /* steps that have not read it yet */
    struct snapshot_taken taken; /* of what is read as it is */
};

struct snapshot_whatif {
    struct snapshot_whatif *next;
    char id[SNAPSHOT_ASK_MAX];
    struct snapshot_resource *wanted;
    enum whatif_state state;
    uint64_t touched_ms; /* somebody has asked for it */
    struct whatif_part *parts;
    struct snapshot_mark *marks;
    size_t bytes; /* given and made, that are here */
    /* From WAITING on. */
    uint64_t request, deadline_ms;
    char base[SNAPSHOT_ID_SIZE];
    size_t step; /* RUNNING: the one under way */
    uint64_t token;
    const char *worker; /* the peer's name: its own memory lives as long as it is RUNNING */
};

/* ---- snapshot_whatif.c ---- */

/* It is over, and forgotten. */
void whatif_end(struct snapshot_store *s, struct snapshot_whatif *q);
/* There is room for so many bytes more. False: there is none, and it is forgotten (whatif_refuse). */
bool whatif_keep(struct snapshot_store *s, struct snapshot_whatif *q, size_t more);
/* Its bytes are there: they are answered. */
void whatif_answer(struct snapshot_store *s, struct snapshot_whatif *q);
/* Why not, in one line; it is forgotten. */
void whatif_refuse(struct snapshot_store *s, struct snapshot_whatif *q, enum control_status status,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- snapshot_whatif_base.c ---- */

/* The commit that these words name, and of what is read as it is its version there. False: it has been answered. */
bool whatif_base(struct snapshot_store *s, struct snapshot_whatif *q, struct slice version);

/* ---- snapshot_whatif_steps.c ---- */

/* Those that wait begin, where there are workers for them. */
void whatif_go(struct snapshot_store *s);

#endif
