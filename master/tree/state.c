/* state.c: a worker's state x event table. See state.h. */
#include "master/tree/state.h"

#include "common/log.h"
#include "master/logs/events.h"

#define NO STATE_ILLEGAL

/* clang-format off */
static const signed char state_table[STATE_COUNT][STATE_EVENT_COUNT] = {
    /*                 WANT           SPAWN          READY       STOP           CANCEL        GONE          RETRY         GIVE_UP */
    [NODE_READY]    = {NO,            NO,            NO,         NODE_DRAINING, NO,           NODE_STOPPED, NODE_BACKOFF, NODE_FATAL},
    [NODE_STOPPED]  = {NODE_STARTING, NO,            NO,         NO,            NO,           NO,           NO,           NO},
    [NODE_DRAINING] = {NO,            NO,            NO,         NO,            NO,           NODE_STOPPED, NO,           NO},
    [NODE_STARTING] = {NO,            NODE_STARTING, NODE_READY, NODE_DRAINING, NODE_STOPPED, NODE_STOPPED, NODE_BACKOFF, NODE_FATAL},
    [NODE_BACKOFF]  = {NO,            NODE_STARTING, NO,         NO,            NODE_STOPPED, NO,           NODE_BACKOFF, NO},
    [NODE_FATAL]    = {NODE_STARTING, NO,            NO,         NO,            NODE_STOPPED, NO,           NO,           NO},
};
/* clang-format on */

#undef NO

int state_next(enum node_state state, enum state_event event)
{
    return state_table[state][event];
}

const char *state_event_name(enum state_event event)
{
    static const char *const names[] = {
#define X(NAME, doc) [STATE_EVENT_##NAME] = #NAME,
        STATE_EVENT_LIST(X)
#undef X
    };
    return names[event];
}

bool state_move(struct node *worker, enum state_event event, uint64_t now_ms)
{
    int next = state_next(worker->state, event);
    if (next == STATE_ILLEGAL) {
        log_error("worker-state-illegal", "name=%s state=%s event=%s", worker->name,
                  node_state_name(worker->state), state_event_name(event));
        return false;
    }
    if ((enum node_state)next != worker->state) {
        log_info("worker-state", "name=%s from=%s to=%s event=%s generation=%llu", worker->name,
                 node_state_name(worker->state), node_state_name((enum node_state)next),
                 state_event_name(event), (unsigned long long)worker->generation);
        worker->state_since_ms = now_ms;
    }
    enum node_state from = worker->state;
    worker->state = (enum node_state)next;
    if (from != worker->state)
        events_add(worker, from, event);
    return true;
}
