/*
 * supervisor_private.h: what the files behind supervisor.h share.
 *
 * supervisor.c         when a pass runs, and who hears of it
 * supervisor_stop.c    its first part: who must be down
 * supervisor_start.c   its last part: who comes up
 * supervisor_cycle.c   groups that go down before any of them comes up again
 * supervisor_retire.c  who leaves the tree
 * supervisor_death.c   what follows from a death
 * supervisor_orders.c  orders and reloads
 */
#ifndef MASTER_SUPERVISOR_PRIVATE_H
#define MASTER_SUPERVISOR_PRIVATE_H

#include "master/supervise/supervisor.h"

extern struct supervisor_state {
    struct node *root;
    const struct supervisor_ops *ops;
    struct supervisor_settings settings;
    uv_timer_t timer;
    bool running;
    bool in_step;
    bool again;   /* an event came in during a pass */
    bool changed; /* since the watches were last called */
    /* What a pass may leave out while nothing is so: with a thousand workers each look at all of them counts. */
    bool starting;       /* somebody may have to come up */
    bool stopping;       /* somebody may have to be told to go */
    bool cycling;        /* a cycle may be over */
    bool retiring;       /* somebody has retired */
    bool cut;            /* the slice was over before all were started */
    size_t slice_starts; /* in this turn of the loop */
    uint64_t slice_end_ms;
    /* Who was born and has not said HELLO; each carries the number of the count that it is in (node.newborn). */
    bool crowded; /* somebody waits for them */
    size_t newborns;
    uint64_t newborn_count;
    uint64_t born_ms; /* the last of them */
    uint64_t due_ms;  /* when a pause is over the next time; UINT64_MAX: there is none */
    uint64_t visits;
    uint64_t short_logged_ms; /* when a shortage was last logged; 0: never */
    struct supervisor_watch *watches;
    struct supervisor_watch *told_next; /* while the watches are called */
} supervisor;

/* ---- supervisor.c ---- */

uint64_t supervisor_now(void);

/*
 * A pass in the next turn of the loop. `start`: somebody may come up now, who could not before; supervisor_soon: true.
 */
void supervisor_ask(bool start);
void supervisor_soon(void);

/* The one place to read what happened to a worker. An illegal move is our own inconsistency: logged, and not made. */
void supervisor_move(struct node *worker, enum state_event event);

/* ---- supervisor_stop.c ---- */

bool supervisor_must_be_down(const struct node *n);

/*
 * Workers of one pool do not wait for each other, neither up nor down: a thousand of them would take a thousand times
 * as long.
 */
bool supervisor_is_pool(const struct node *a, const struct node *b);

/* In reverse start order. Returns true when some process at or below n, or later than n, has yet to go. */
bool supervisor_stop_pass(struct node *n, bool blocked);

/* ---- supervisor_start.c ---- */

/* Returns true when what stands behind n may start. */
bool supervisor_start_pass(struct node *n, uint64_t now);

/* A shortage of the machine's keeps it from its work: said of it, and once for all in the log. */
void supervisor_note_shortage(struct node *n);

/* A shortage of the machine's has kept it from its start: it is tried again, and that is all. */
void supervisor_wait_for_room(struct node *n);

/* One has been born; has said HELLO, or is gone. */
void supervisor_note_birth(struct node *n);
void supervisor_note_hello(struct node *n);

/* ---- supervisor_cycle.c ---- */

/* Its process is gone, or it leaves the cycle. */
void supervisor_uncount(struct node *n);

/* Puts a worker into mark's cycle, out of any other; NULL: into none. */
void supervisor_set_cycle(struct node *n, struct node *mark);

/* All at or below n that is wanted, also who has no process: it must not come up while the others still go. */
void supervisor_mark(struct node *n, struct node *mark);

/* Frees every cycle at or below n of which nobody has yet to go. */
void supervisor_unmark(struct node *n);

/* ---- supervisor_retire.c ---- */

/* Its one life is over, or its owner's. */
void supervisor_retire_child(struct node *n);

/* An incarnation's temporary children die with it. */
void supervisor_retire_children(const struct node *owner);

/*
 * Frees what has retired and is stopped: out of the list first, because to forget a node means to walk the tree.
 * Returns true while somebody who has retired is left.
 */
bool supervisor_sweep(struct node *n);

/* ---- supervisor_death.c ---- */

/* n has ended with that code, or could not be started. */
void supervisor_died(struct node *n, int code);

#endif
