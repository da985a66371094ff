/*
 * snapshot_policy.h: which resource is to be run now: state × event, and nothing else.
 *
 * Pure: no clock, no disk, no worker. Runs in the store. As make -k does it: a run waits while something it is made
 * from, directly or not, is due or running, and is held while one of these has failed or is held. So one change runs
 * each step once, by however many ways, and no version mixes old and new.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_POLICY_H
#define WORKERS_SNAPSHOT_SNAPSHOT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_INPUTS_MAX 32
#define POLICY_NONE       SIZE_MAX

/* X(NAME, "name"): what a resource is. */
#define POLICY_STATES(X)                                                                           \
    X(EMPTY, "empty")                                                                              \
    X(OK, "ok")                                                                                    \
    X(DUE, "due")                                                                                  \
    X(RUNNING, "running")                                                                          \
    X(FAILED, "failed")                                                                            \
    X(HELD, "held")

enum policy_state {
#define X(NAME, name) POLICY_##NAME,
    POLICY_STATES(X)
#undef X
};

const char *policy_state_name(enum policy_state state);

/* What bytes are known by: equal ones have equal ids. 0: there is no version. */
typedef uint64_t policy_content;

struct policy_resource {
    /* As the configuration says. */
    bool made; /* by a run of its inputs; without any, it is pulled: its failure holds nobody */
    size_t inputs[POLICY_INPUTS_MAX], input_count;
    uint64_t retry_min_ms, retry_max_ms, pause_ms;

    policy_content content;
    policy_content ran_with
        [POLICY_INPUTS_MAX]; /* the last run that succeeded; of a run under way: `runs_with` */
    policy_content runs_with[POLICY_INPUTS_MAX];
    bool ran;    /* ran_with counts */
    bool asked;  /* to run, whatever its inputs */
    bool asks;   /* the run under way was asked for: one that does not succeed leaves that owed */
    bool worker; /* there is one that could run it */
    bool running;
    unsigned failures; /* in a row, with the inputs `runs_with` */
    uint64_t started_ms, retry_ms;

    /* What policy_settle has found. */
    enum policy_state state;
    size_t held_by; /* HELD: what has failed; else POLICY_NONE */
    bool waits;     /* something it is made from, directly or not, is not at rest, or failed */
};

/* `list` is in an order in which each stands behind its inputs. */
struct policy {
    struct policy_resource *list;
    size_t count;
};

/* ---- events; each is followed by policy_settle before states are looked at ---- */

/* It has this version now, whoever made it. */
void policy_changed(struct policy *p, size_t r, policy_content content);

/* Somebody wants it run. */
void policy_asked(struct policy *p, size_t r);

/* Its time has come: as asked, but what has failed keeps to its pauses. */
void policy_due(struct policy *p, size_t r);

/* Its worker has come or gone; with it a run, which starts over and is no failure. */
void policy_worker(struct policy *p, size_t r, bool there);

/* It has been started, at that time, with what its inputs are now. */
void policy_started(struct policy *p, size_t r, uint64_t now_ms);

/*
 * Its run has ended. A failure is tried again after a pause with full jitter: `jitter` is any random number. What it
 * made is told by policy_changed beside.
 */
void policy_ended(struct policy *p, size_t r, bool good, uint64_t now_ms, uint64_t jitter);

/* What has failed is not tried again before so long. */
void policy_later(struct policy *p, size_t r, uint64_t at_ms);

/* Brings the states up to date. */
void policy_settle(struct policy *p);

/* ---- questions ---- */

/* One that is to be started now; POLICY_NONE: there is none before *wake_ms (UINT64_MAX: before something happens). */
size_t policy_next(const struct policy *p, uint64_t now_ms, uint64_t *wake_ms);

#endif
