/* state.c: a worker's state x event table. See state.h. */
#include "master/tree/state.h"

/* clang-format off */
#define NO       STATE_ILLEGAL
#define STARTING NODE_STARTING
#define READY    NODE_READY
#define DRAINING NODE_DRAINING
#define STOPPED  NODE_STOPPED
#define BACKOFF  NODE_BACKOFF
#define FATAL    NODE_FATAL
static const signed char state_table[STATE_COUNT][STATE_EVENT_COUNT] = {
    /*                 WANT      SPAWN     READY  STOP      CANCEL   GONE     RETRY    GIVE_UP */
    [NODE_READY]    = {NO,       NO,       NO,    DRAINING, NO,      STOPPED, BACKOFF, FATAL},
    [NODE_STOPPED]  = {STARTING, NO,       NO,    NO,       NO,      NO,      NO,      NO},
    [NODE_DRAINING] = {NO,       NO,       NO,    NO,       NO,      STOPPED, NO,      NO},
    [NODE_STARTING] = {NO,       STARTING, READY, DRAINING, STOPPED, STOPPED, BACKOFF, FATAL},
    [NODE_BACKOFF]  = {NO,       STARTING, NO,    NO,       STOPPED, NO,      BACKOFF, NO},
    [NODE_FATAL]    = {STARTING, NO,       NO,    NO,       STOPPED, NO,      NO,      NO},
};
#undef NO
#undef STARTING
#undef READY
#undef DRAINING
#undef STOPPED
#undef BACKOFF
#undef FATAL
/* clang-format on */

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
    if (next == STATE_ILLEGAL)
        return false;
    if ((enum node_state)next != worker->state)
        worker->state_since_ms = now_ms;
    worker->state = (enum node_state)next;
    return true;
}
