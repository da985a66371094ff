/*
 * snapshot_runs.h: what the store worker's files share of resources that are made: how, when, and what came of it.
 *
 * snapshot_made.c  how they are made: inputs, in an order in which each stands behind its own, and what their newest
 *                  versions were made from
 * snapshot_runs.c  runs: when they are due, what they are told, what comes back (snapshot_policy.h decides)
 * snapshot_asks.c  run, wait, show: who waits for a run, and what people see of it
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_RUNS_H
#define WORKERS_SNAPSHOT_SNAPSHOT_RUNS_H

#include "common/time/schedule.h"
#include "proto/snapshot/snapshot_limits.h"
#include "workers/snapshot/snapshot_policy.h"
#include "workers/snapshot/snapshot_store.h"

#define SNAPSHOT_ERROR_SIZE 512
#define SNAPSHOT_MARK_SIZE  512

/* A version of an input, as a run reads it, and as a version was made from it. */
struct snapshot_taken {
    char commit[SNAPSHOT_ID_SIZE], blob[SNAPSHOT_ID_SIZE];
    uint64_t size;
};

enum snapshot_result { SNAPSHOT_CHANGED, SNAPSHOT_UNCHANGED, SNAPSHOT_RUN_FAILED };

struct snapshot_make {
    const char *command; /* settings'; "" : none */
    char *url;           /* without its query, which may be a secret; NULL: none */
    char etag[SNAPSHOT_MARK_SIZE],
        modified[SNAPSHOT_MARK_SIZE]; /* as its server names the newest version */
    uint64_t fresh_s; /* without a successful look for so long it is trouble; 0: never */
    int64_t since_s;  /* that counts from then on, while there was none */
    char worker[CONTRACT_NAME_MAX];
    size_t inputs[SNAPSHOT_INPUTS_MAX],
        input_count; /* resources, by their places in the store's list */
    bool scheduled;
    struct schedule schedule;
    int64_t next_s;
    struct snapshot_taken *from;  /* the newest version's inputs; "" where nobody knows */
    struct snapshot_taken *taken; /* those of the run under way */
    uint64_t token;               /* of the run under way; 0: none */
    uint64_t starts;              /* so many have been, */
    uint64_t ended;               /* and that one was the last that came to its end */
    int64_t checked_s;            /* it was looked at with success; 0: never */
    /* The last run that has ended. */
    int64_t last_s; /* 0: there was none, since the store came up */
    enum snapshot_result result;
    char error[SNAPSHOT_ERROR_SIZE];
    uint64_t duration_ms;
    struct buffer said;
};

struct snapshot_ask;

struct snapshot_runs {
    struct policy policy;
    size_t *order; /* resources by their places in the policy */
    size_t *place; /* and the other way round */
    struct zone *zone;
    uint64_t tokens;
    uv_timer_t timer;
    void (*on_news)(struct snapshot_store *s); /* something has begun or ended */
    struct snapshot_ask *asks;
    size_t ask_count;
};

/* ---- snapshot_made.c ---- */

/* From the settings, once, after snapshot_resources_read. False: memory is short. */
bool snapshot_made_read(struct snapshot_store *s);
void snapshot_made_free(struct snapshot_store *s);

/* The repository has been read: `from` of all, and the policy's beginning. */
void snapshot_made_known(struct snapshot_store *s);

/* What a newest version's commit says of how it was made, while that is read. */
void snapshot_made_meets(struct snapshot_store *s, struct snapshot_resource *r,
                         const struct snapshot_trailers *t);

struct policy_resource *snapshot_policy_of(const struct snapshot_store *s,
                                           const struct snapshot_resource *r);

/* Equal bytes have equal ones; 0: no version. */
policy_content snapshot_content(const struct snapshot_resource *r);

/* ---- snapshot_runs.c ---- */

/* The worker of a resource has come or gone. */
void snapshot_runs_peer(struct snapshot_store *s, const struct worker_peer *peer, bool there);

/* False: it is none of these messages. */
bool snapshot_runs_message(struct snapshot_store *s, struct worker_peer *from, uint64_t type,
                           struct unpack *u);

/* It has another version, or the repository is there again: who is due by that is started. */
void snapshot_runs_changed(struct snapshot_store *s, const struct snapshot_resource *r);
void snapshot_runs_go(struct snapshot_store *s);

enum policy_state snapshot_runs_state(const struct snapshot_store *s,
                                      const struct snapshot_resource *r);

/* What was not looked at with success for longer than its section's `fresh`, into `why`; false: nothing. */
bool snapshot_runs_stale(const struct snapshot_store *s, char why[SNAPSHOT_WHY_SIZE]);

/* Why it is in that state, into `why`; "" for a good one. */
void snapshot_runs_why(const struct snapshot_store *s, const struct snapshot_resource *r,
                       char why[SNAPSHOT_ERROR_SIZE]);

/* When it is made next, in seconds since 1970; 0: nobody knows. */
int64_t snapshot_runs_next(const struct snapshot_store *s, const struct snapshot_resource *r);

/* ---- snapshot_asks.c ---- */

/* Who waited for what is so now is answered. */
void snapshot_asks_look(struct snapshot_store *s);
void snapshot_asks_free(struct snapshot_store *s);

#endif
