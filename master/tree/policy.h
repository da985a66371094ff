/*
 * policy.h: what to do when a worker dies, or misses a deadline. Pure functions: the clock, the dice and
 * the history are parameters.
 *
 * Runs in the master, under supervisor.c.
 */
#ifndef MASTER_POLICY_H
#define MASTER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Restarts of one supervisor within its period; a ring, so its size bounds `intensity` (proto/core/core.h: 1000). */
struct restart_window {
    uint64_t *at_ms;
    size_t limit; /* intensity */
    size_t count;
    size_t next;
    uint64_t period_ms;
};

/* Who else is restarted when a child of a supervisor dies (Erlang/OTP, supervisor behaviour). */
enum policy_strategy {
    POLICY_ONE_FOR_ONE,  /* nobody */
    POLICY_ONE_FOR_ALL,  /* all its siblings */
    POLICY_REST_FOR_ONE, /* those that were started after it */
};

/* Whether a worker is started again after its end. */
enum policy_restart {
    POLICY_PERMANENT, /* always */
    POLICY_TRANSIENT, /* after an abnormal end */
    POLICY_TEMPORARY, /* never */
};

struct policy_limits {
    uint64_t backoff_min_ms;
    uint64_t backoff_max_ms;
    uint64_t backoff_factor; /* growth of the ceiling with each death in a row; >= 1 */
    uint64_t stable_after_ms;
};

enum policy_action {
    POLICY_RESTART,      /* it, after the delay */
    POLICY_RESTART_REST, /* it after the delay, and those after it in order */
    POLICY_RESTART_ALL,  /* all of its supervisor's, in order, after the delay */
    POLICY_ESCALATE,     /* the branch is stopped and its parent restarts it whole */
    POLICY_FATAL,        /* stays down: a restart cannot help */
    POLICY_STAY_DOWN,    /* transient and finished on purpose, or temporary */
};

struct policy_death {
    int code;              /* exit code; -1 for a signal */
    bool was_ready;        /* this incarnation had said READY */
    uint64_t ready_for_ms; /* and for how long */
    enum policy_restart restart;
    enum policy_strategy strategy; /* of its supervisor */
    uint64_t random;
};

/* Pause before who was kept from its work by a shortage of the machine's is tried again, and between lines about it. */
#define POLICY_SHORTAGE_MS     1000
#define POLICY_SHORTAGE_LOG_MS 30000

/* So long a turn of the loop may take for starts: a person who asks meanwhile does not notice. */
#define POLICY_SLICE_MS 20

/*
 * So many, for each processor, may be born and not have said HELLO: more would only take the processor from each other,
 * and from us, who are asked meanwhile. One that is silent for POLICY_NEWBORN_MS keeps nobody waiting any longer.
 */
#define POLICY_NEWBORNS   4
#define POLICY_NEWBORN_MS 500

/*
 * A seed (master/process/seed.h) is planted when so many of its type have been born; it has so long to answer (ms), and
 * when it is lost it is planted again after so long, doubled with each that is lost without a birth between.
 */
#ifndef POLICY_SEED_BIRTHS
#define POLICY_SEED_BIRTHS 4
#endif
#define POLICY_SEED_MS       250
#define POLICY_SEED_PAUSE_MS 1000ull

/* From so many ends in a row on, until it has been READY for `stable_after`, a worker is unstable. */
#define POLICY_UNSTABLE_ENDS 3

struct policy_verdict {
    enum policy_action action;
    uint64_t delay_ms;
};

/*
 * Pause before a restart after `failures` (>= 1) deaths in a row: full jitter over an exponential ceiling, within 0
 * (backoff_min when it never got ready) and backoff_max.
 */
uint64_t policy_backoff(const struct policy_limits *l, uint64_t failures, bool was_ready,
                        uint64_t random);

/* Notes a restart. False, nothing noted, when that would be more than `limit` within the period. */
bool policy_window_add(struct restart_window *w, uint64_t now_ms);
void policy_window_clear(struct restart_window *w);

/* It had been READY for long enough that its end says nothing about the next run. */
bool policy_was_stable(const struct policy_limits *l, const struct policy_death *d);

/*
 * Judges a death under a supervisor with window `w`; brings *failures up to date. One for a shortage of the machine's
 * is noted in neither.
 */
struct policy_verdict policy_judge(const struct policy_limits *l, const struct policy_death *d,
                                   struct restart_window *w, uint64_t *failures, uint64_t now_ms);

/* For how long a worker may be silent while nothing happens to it, by hang_timeout (CONTRACT_REST); ms. */
uint64_t policy_rest(uint64_t hang_timeout_ms);

/*
 * Orders to stop come in pairs: wrappers (timeout, npm, sudo, a terminal) send to the group and to us. A second one
 * means "at once" only when it comes so much later (ms).
 */
#define POLICY_PAIR_MS 1000

/* Does the order of that number (1: the first), so long after the first, force? The third does in any case. */
bool policy_order_forces(uint64_t number, uint64_t after_first_ms);

/* Past a deadline: why it is not acted on yet. */
enum policy_doubt {
    POLICY_NO_DOUBT,
    POLICY_STOOD_STILL, /* the master did, and perhaps the worker with it: it gets the time for its next beat */
    POLICY_UNREAD, /* what the worker has said may be unread: its link is read once more */
};

/*
 * A timer that comes so late (ms): the master stood still (stopped, a virtual machine's pause), or did
 * nothing but start others.
 */
#define POLICY_STOOD_STILL_MS 1000

/*
 * The next doubt after `doubt`, when the timer that was to come at `planned_ms` has come, at `now_ms`: NO_DOUBT to act
 * now. It may come a little early.
 */
enum policy_doubt policy_doubt(enum policy_doubt doubt, uint64_t planned_ms, uint64_t now_ms);

#endif
