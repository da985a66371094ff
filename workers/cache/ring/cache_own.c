/* cache_own.c: the table of a cell's states. See cache_own.h. */
#include "workers/cache/ring/cache_own.h"

/* clang-format off */

/*
 * What each event makes of UNKNOWN, ASKED, OURS, HELD, LEAVING, THEIRS, LOST: the state, and below it what is done.
 */
#define TABLE(ROW) \
    ROW(COMMAND,     ASKED,   ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     ASK,     WAIT,    RUN,     WAIT,    WAIT,    FORWARD, REFUSE) \
    ROW(SENT,        UNKNOWN, ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     REFUSE,  WAIT,    RUN,     WAIT,    REFUSE,  REFUSE,  REFUSE) \
    ROW(SENT_AGAIN,  ASKED,   ASKED,   OURS,    HELD,    LEAVING, ASKED,   ASKED, \
                     ASK,     WAIT,    RUN,     WAIT,    REFUSE,  ASK,     ASK) \
    ROW(RECLAIM,     ASKED,   ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     ASK,     NONE,    NONE,    NONE,    NONE,    NONE,    NONE) \
    ROW(SAID_OURS,   UNKNOWN, OURS,    OURS,    OURS,    LEAVING, THEIRS,  LOST, \
                     NONE,    LOOK,    NONE,    LOOK,    NONE,    NONE,    NONE) \
    ROW(GRANTED,     UNKNOWN, OURS,    OURS,    OURS,    LEAVING, THEIRS,  LOST, \
                     NONE,    DROP,    DROP,    DROP,    NONE,    NONE,    NONE) \
    ROW(SAID_THEIRS, UNKNOWN, THEIRS,  THEIRS,  THEIRS,  LEAVING, THEIRS,  THEIRS, \
                     NONE,    DROP,    DROP,    DROP,    NONE,    NONE,    NONE) \
    ROW(SAID_LOST,   UNKNOWN, LOST,    LOST,    LOST,    LEAVING, LOST,    LOST, \
                     NONE,    DROP,    DROP,    DROP,    NONE,    NONE,    NONE) \
    ROW(SAID_LATER,  UNKNOWN, ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     NONE,    ASK_LATER, NONE,  ASK_LATER, ASK_LATER, NONE, NONE) \
    ROW(REFUSED,     UNKNOWN, UNKNOWN, OURS,    UNKNOWN, LEAVING, THEIRS,  LOST, \
                     NONE,    REFUSE,  NONE,    DROP,    ASK_LATER, NONE,  NONE) \
    ROW(AGAIN,       UNKNOWN, ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     NONE,    ASK,     NONE,    HOLD,    RELEASE, NONE,    NONE) \
    ROW(MOVED,       ASKED,   ASKED,   OURS,    HELD,    LEAVING, ASKED,   LOST, \
                     ASK,     WAIT,    RUN,     WAIT,    WAIT,    ASK,     REFUSE) \
    ROW(OWNER_GONE,  UNKNOWN, ASKED,   OURS,    HELD,    LEAVING, UNKNOWN, UNKNOWN, \
                     NONE,    NONE,    NONE,    NONE,    NONE,    NONE,    NONE) \
    ROW(LEASE_OVER,  UNKNOWN, ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     NONE,    NONE,    WAIT,    NONE,    NONE,    NONE,    NONE) \
    ROW(LEASE_BACK,  UNKNOWN, ASKED,   OURS,    HELD,    LEAVING, THEIRS,  LOST, \
                     NONE,    NONE,    LOOK,    NONE,    NONE,    NONE,    NONE) \
    ROW(IDLE,        UNKNOWN, ASKED,   LEAVING, HELD,    LEAVING, UNKNOWN, UNKNOWN, \
                     NONE,    NONE,    RELEASE, NONE,    NONE,    NONE,    NONE) \
    ROW(ELSEWHERE,   UNKNOWN, ASKED,   LEAVING, HELD,    LEAVING, THEIRS,  LOST, \
                     NONE,    NONE,    RELEASE, NONE,    NONE,    NONE,    NONE) \
    ROW(RELEASED,    UNKNOWN, ASKED,   OURS,    HELD,    UNKNOWN, THEIRS,  LOST, \
                     NONE,    NONE,    NONE,    NONE,    LOOK,    NONE,    NONE) \
    ROW(NEW_RUN,     UNKNOWN, UNKNOWN, HELD,    HELD,    LEAVING, THEIRS,  UNKNOWN, \
                     DROP,    DROP,    HOLD,    HOLD,    RELEASE, NONE,    NONE) \
    ROW(OUTLIVED,    UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, THEIRS,  LOST, \
                     DROP,    DROP,    DROP,    DROP,    LOOK,    NONE,    NONE) \
    ROW(STOP,        ASKED,   ASKED,   LEAVING, HELD,    LEAVING, THEIRS,  LOST, \
                     ASK,     REFUSE,  RELEASE, REFUSE,  REFUSE,  NONE,    NONE)

#define MOVE(to, what) {CACHE_CELL_##to, CACHE_DO_##what}
#define ROW(EVENT, u, a, o, h, e, t, l, u_do, a_do, o_do, h_do, e_do, t_do, l_do) \
    [CACHE_ON_##EVENT] = {MOVE(u, u_do), MOVE(a, a_do), MOVE(o, o_do), MOVE(h, h_do), \
                          MOVE(e, e_do), MOVE(t, t_do), MOVE(l, l_do)},
static const struct cache_own_move own_table[CACHE_CELL_EVENT_COUNT][CACHE_CELL_STATE_COUNT] = {TABLE(ROW)};
#undef ROW
#undef MOVE
/* clang-format on */

/* The row's columns are these states, in this order. */
_Static_assert(CACHE_CELL_UNKNOWN == 0 && CACHE_CELL_ASKED == 1 && CACHE_CELL_OURS == 2 &&
                   CACHE_CELL_HELD == 3 && CACHE_CELL_LEAVING == 4 && CACHE_CELL_THEIRS == 5 &&
                   CACHE_CELL_LOST == 6 && CACHE_CELL_STATE_COUNT == 7,
               "the table's columns");

/* What is ours is given up when nobody here needs it any more, and the store has it. */
static struct cache_own_move own_give_up(struct cache_own_move move, struct cache_own_facts facts)
{
    if (!facts.serves || facts.parked)
        return (struct cache_own_move){CACHE_CELL_OURS, CACHE_DO_NONE};
    if (facts.dirty)
        return (struct cache_own_move){CACHE_CELL_OURS, CACHE_DO_STORE};
    return move;
}

struct cache_own_move cache_own(enum cache_cell_state state, enum cache_cell_event event,
                                struct cache_own_facts facts)
{
    struct cache_own_move move = own_table[event][state];
    if (move.action == CACHE_DO_RUN && !facts.serves)
        move.action = CACHE_DO_WAIT;
    else if (move.action == CACHE_DO_RELEASE && state == CACHE_CELL_OURS)
        move = own_give_up(move, facts);
    else if (event == CACHE_ON_STOP && move.action == CACHE_DO_ASK && !facts.dirty)
        move = (struct cache_own_move){state, CACHE_DO_NONE};
    else if (event == CACHE_ON_NEW_RUN && move.action == CACHE_DO_HOLD && !facts.serves)
        move = (struct cache_own_move){CACHE_CELL_UNKNOWN, CACHE_DO_DROP};
    return move;
}

const char *cache_cell_state_name(enum cache_cell_state state)
{
    static const char *const names[] = {
#define X(NAME, doc) [CACHE_CELL_##NAME] = #NAME,
        CACHE_CELL_STATES(X)
#undef X
    };
    return names[state];
}

const char *cache_cell_event_name(enum cache_cell_event event)
{
    static const char *const names[] = {
#define X(NAME, doc) [CACHE_ON_##NAME] = #NAME,
        CACHE_CELL_EVENTS(X)
#undef X
    };
    return names[event];
}

const char *cache_cell_action_name(enum cache_cell_action action)
{
    static const char *const names[] = {
#define X(NAME, doc) [CACHE_DO_##NAME] = #NAME,
        CACHE_CELL_ACTIONS(X)
#undef X
    };
    return names[action];
}
