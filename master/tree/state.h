/*
 * state.h: the states of a worker and the only moves there are between them, as one table.
 *
 * Runs in the master, under supervisor.c, which makes every move and tells of it. Must not log or tell anybody
 * itself: then it would stand on half of the master.
 */
#ifndef MASTER_STATE_H
#define MASTER_STATE_H

#include "master/tree/tree.h"

/* clang-format off */
#define STATE_EVENT_LIST(X)                                                                        \
    X(WANT, "wanted; waits its turn")                                                              \
    X(SPAWN, "a process was born")                                                                 \
    X(READY, "it said READY")                                                                      \
    X(STOP, "it was told to stop")                                                                 \
    X(CANCEL, "not wanted, and there is no process")                                               \
    X(GONE, "its process is gone and none follows now")                                            \
    X(RETRY, "its process died; the next try is scheduled")                                        \
    X(GIVE_UP, "its process died of what a restart cannot mend")
/* clang-format on */

enum state_event {
#define X(NAME, doc) STATE_EVENT_##NAME,
    STATE_EVENT_LIST(X)
#undef X
        STATE_EVENT_COUNT
};

#define STATE_COUNT   (NODE_FATAL + 1)
#define STATE_ILLEGAL (-1)

/* The state after `event` in `state`, or STATE_ILLEGAL. */
int state_next(enum node_state state, enum state_event event);

const char *state_event_name(enum state_event event);

/* Moves the worker; `now_ms` is clock_mono_ms. An illegal move is refused: false, nothing changed. */
bool state_move(struct node *worker, enum state_event event, uint64_t now_ms);

#endif
