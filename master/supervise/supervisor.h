/*
 * supervisor.h: who is started, stopped and started again, and in which order.
 *
 * Runs in the master. Level-triggered: orders and deaths only change what is wanted or known; one pass over the tree
 * (supervisor_step, run by itself in the next turn of the loop) does what is due. So two orders at once, or an order
 * during back-off, cannot make two processes of one worker. Decisions are policy.h's, moves are state.h's. Everything
 * else is behind supervisor_ops: processes (process.h), peers, events. It must use nothing but the tree itself,
 * so that its tests bring a layer of their own.
 */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include "master/tree/death.h"
#include "master/tree/policy.h"
#include "master/tree/state.h"
#include "master/tree/tree.h"

#include <uv.h>

/*
 * Orders for a worker or a branch (everything below it). Each sets what is wanted and returns at once; none can fail.
 */
void supervisor_start(struct node *n);
void supervisor_stop(struct node *n);
void supervisor_restart(struct node *n);

/*
 * The tree has been merged with another (tree_merge.h): what was added is started, unless its branch is stopped;
 * what was changed is restarted, unless a person has stopped it (one that had finished runs again); what has
 * retired is stopped, then freed.
 */
void supervisor_merged(void);

/*
 * True while something at or below n that the last merge added, changed or retired has yet to get where it belongs, and
 * can (node_hopeless).
 */
bool supervisor_is_merging(const struct node *n);

/* True while a supervisor_restart or an escalation of something at or below n has not yet stopped all it must stop. */
bool supervisor_is_restarting(const struct node *n);

/*
 * Temporary children (child.h) have one life, which their owner's end ends too; then they retire. Nothing waits for
 * them, and they wait for nobody. Of theirs `down` is called in any case, READY or not.
 */

/*
 * Called after each pass in which something changed: look at node_is_ready, node_is_stopped, supervisor_is_restarting
 * and decide. A watch may be added or removed inside the call. The memory is the caller's, until
 * supervisor_watch_remove.
 */
struct supervisor_watch {
    void (*on_change)(void *ctx);
    void *ctx;
    struct supervisor_watch *next;
};
void supervisor_watch_add(struct supervisor_watch *w);
void supervisor_watch_remove(struct supervisor_watch *w);

/* ---- for platoon.c, process.c and tests ---- */

struct supervisor_ops {
    int (*spawn)(struct node *worker);  /* 0: worker->process is set; else negative errno */
    void (*stop)(struct node *worker);  /* orderly; supervisor_on_death follows */
    void (*force)(struct node *worker); /* SIGKILL to the group */
    void (*up)(struct node *worker);    /* has become READY: tell its peers */
    void (*down)(struct node *worker, const char *reason); /* is READY no more */
    void (*forget)(struct node *n); /* is about to be freed; NULL: nobody minds */
    /* Has gone from one state to another; NULL: nobody minds */
    void (*moved)(const struct node *worker, enum node_state from, enum state_event event);
    /* Appends why a spawn has just failed with that errno: object, cause, remedy. NULL: the errno says it */
    void (*explain)(const struct node *worker, int error, struct buffer *out);
};

struct supervisor_settings {
    struct policy_limits limits; /* of branches; a worker's are its node's */
    uint64_t (*now_ms)(void);
    uint64_t (*random)(void);
    size_t newborns;        /* so many are born at once (POLICY_NEWBORNS); 0: any number */
    void (*on_fatal)(void); /* the root has given up; NULL: wait backoff_max and try again */
};

/*
 * Nothing is started yet; nothing is wanted. `root` and `ops` must outlive supervisor_fini. Returns 0 or a libuv error.
 */
int supervisor_init(uv_loop_t *loop, struct node *root, const struct supervisor_ops *ops,
                    const struct supervisor_settings *settings);
void supervisor_fini(void);

/* Other limits of branches, from now on. */
void supervisor_set_limits(const struct policy_limits *limits);
void supervisor_set_on_fatal(void (*on_fatal)(void));

/* One pass now. Otherwise it runs by itself after each order and event. */
void supervisor_step(void);

/* Nodes that all passes since supervisor_init have looked at: what they cost, for tests. */
uint64_t supervisor_visits(void);

/* Kills every process there is: the second TERM. */
void supervisor_force(void);

/* A worker said HELLO: somebody else may be born. */
void supervisor_on_hello(struct node *worker);

/* A worker said READY; its address is set. */
void supervisor_on_ready(struct node *worker);

/* A worker's trouble has begun, or is over: who waits for it to be ready looks again. */
void supervisor_on_trouble(void);

/*
 * Its process is gone: decides what follows. A death_reader, and the last one: afterwards the worker is no longer as
 * it died. Reads `worker` and `code`.
 */
void supervisor_on_death(const struct death *d);

#endif
