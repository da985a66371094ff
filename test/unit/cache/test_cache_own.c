/* test_cache_own.c: every cell of the state x event table, with all facts (workers/cache/ring/cache_own.h). */
#include "test/unit/suite.h"
#include "workers/cache/ring/cache_own.h"

/* With a lease, nobody waiting, all stored. Written from the meaning of the words; what is not here changes nothing. */
static const struct {
    enum cache_cell_state from;
    enum cache_cell_event event;
    enum cache_cell_state to;
    enum cache_cell_action action;
} moves[] = {
#define M(from, event, to, action)                                                                 \
    {                                                                                              \
        CACHE_CELL_##from, CACHE_ON_##event, CACHE_CELL_##to, CACHE_DO_##action                    \
    }
    /* Nobody knows: ask. Another node that thinks we do is told no, unless Redis has told it since. */
    M(UNKNOWN, COMMAND, ASKED, ASK),
    M(UNKNOWN, SENT, UNKNOWN, REFUSE),
    M(UNKNOWN, SENT_AGAIN, ASKED, ASK),
    M(UNKNOWN, MOVED, ASKED, ASK),
    M(UNKNOWN, RECLAIM, ASKED, ASK),
    M(UNKNOWN, NEW_RUN, UNKNOWN, DROP), /* what the log had */
    M(UNKNOWN, OUTLIVED, UNKNOWN, DROP),
    M(UNKNOWN, STOP, ASKED, ASK), /* if it is dirty: it can be stored when it is ours */
    /* One question at a time; all others wait for its answer. */
    M(ASKED, COMMAND, ASKED, WAIT),
    M(ASKED, SENT, ASKED, WAIT),
    M(ASKED, SENT_AGAIN, ASKED, WAIT),
    M(ASKED, MOVED, ASKED, WAIT),
    M(ASKED, SAID_OURS, OURS, LOOK),
    M(ASKED, GRANTED, OURS, DROP),
    M(ASKED, SAID_THEIRS, THEIRS, DROP),
    M(ASKED, SAID_LOST, LOST, DROP),
    M(ASKED, SAID_LATER, ASKED, ASK_LATER),
    M(ASKED, REFUSED, UNKNOWN, REFUSE),
    M(ASKED, AGAIN, ASKED, ASK),
    M(ASKED, NEW_RUN, UNKNOWN, DROP),
    M(ASKED, OUTLIVED, UNKNOWN, DROP),
    M(ASKED, STOP, ASKED, REFUSE),
    /* Ours: whoever asks is served, while there is a lease. */
    M(OURS, COMMAND, OURS, RUN),
    M(OURS, SENT, OURS, RUN),
    M(OURS, SENT_AGAIN, OURS, RUN),
    M(OURS, MOVED, OURS, RUN),
    M(OURS, LEASE_OVER, OURS, WAIT),
    M(OURS, LEASE_BACK, OURS, LOOK),
    M(OURS, IDLE, LEAVING, RELEASE),
    M(OURS, ELSEWHERE, LEAVING, RELEASE),
    M(OURS, STOP, LEAVING, RELEASE),
    M(OURS, NEW_RUN, HELD, HOLD),
    M(OURS, OUTLIVED, UNKNOWN, DROP),
    M(OURS, GRANTED, OURS, DROP),
    M(OURS, SAID_THEIRS, THEIRS, DROP),
    M(OURS, SAID_LOST, LOST, DROP),
    /* Perhaps still ours: nothing runs and nothing is given up until that is known. */
    M(HELD, COMMAND, HELD, WAIT),
    M(HELD, SENT, HELD, WAIT),
    M(HELD, SENT_AGAIN, HELD, WAIT),
    M(HELD, MOVED, HELD, WAIT),
    M(HELD, SAID_OURS, OURS, LOOK),
    M(HELD, GRANTED, OURS, DROP),
    M(HELD, SAID_THEIRS, THEIRS, DROP),
    M(HELD, SAID_LOST, LOST, DROP),
    M(HELD, SAID_LATER, HELD, ASK_LATER),
    M(HELD, REFUSED, UNKNOWN, DROP),
    M(HELD, AGAIN, HELD, HOLD),
    M(HELD, NEW_RUN, HELD, HOLD),
    M(HELD, OUTLIVED, UNKNOWN, DROP),
    M(HELD, STOP, HELD, REFUSE),
    /* Given up: never served again before it is asked for anew, and that not before it is surely given up. */
    M(LEAVING, COMMAND, LEAVING, WAIT),
    M(LEAVING, MOVED, LEAVING, WAIT),
    M(LEAVING, SENT, LEAVING, REFUSE),
    M(LEAVING, SENT_AGAIN, LEAVING, REFUSE),
    M(LEAVING, SAID_LATER, LEAVING, ASK_LATER),
    M(LEAVING, REFUSED, LEAVING, ASK_LATER),
    M(LEAVING, AGAIN, LEAVING, RELEASE),
    M(LEAVING, NEW_RUN, LEAVING, RELEASE),
    M(LEAVING, RELEASED, UNKNOWN, LOOK),
    M(LEAVING, OUTLIVED, UNKNOWN, LOOK),
    M(LEAVING, STOP, LEAVING, REFUSE),
    /* Another's: goes there, until that one says no. */
    M(THEIRS, COMMAND, THEIRS, FORWARD),
    M(THEIRS, SENT, THEIRS, REFUSE),
    M(THEIRS, SENT_AGAIN, ASKED, ASK),
    M(THEIRS, MOVED, ASKED, ASK),
    M(THEIRS, SAID_LOST, LOST, NONE),
    M(THEIRS, OWNER_GONE, UNKNOWN, NONE),
    M(THEIRS, IDLE, UNKNOWN, NONE),
    /* Nobody's to serve, until the nodes change. */
    M(LOST, COMMAND, LOST, REFUSE),
    M(LOST, SENT, LOST, REFUSE),
    M(LOST, MOVED, LOST, REFUSE),
    M(LOST, SENT_AGAIN, ASKED, ASK),
    M(LOST, SAID_THEIRS, THEIRS, NONE),
    M(LOST, OWNER_GONE, UNKNOWN, NONE),
    M(LOST, IDLE, UNKNOWN, NONE),
    M(LOST, NEW_RUN, UNKNOWN, NONE),
#undef M
};

static struct cache_own_move expected(enum cache_cell_state state, enum cache_cell_event event)
{
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        if (moves[i].from == state && moves[i].event == event)
            return (struct cache_own_move){moves[i].to, moves[i].action};
    return (struct cache_own_move){state, CACHE_DO_NONE};
}

static void expect(enum cache_cell_state state, enum cache_cell_event event,
                   struct cache_own_facts facts, struct cache_own_move want)
{
    struct cache_own_move got = cache_own(state, event, facts);
    ck_assert_msg(got.state == want.state && got.action == want.action,
                  "%s x %s, serves %d parked %d dirty %d: %s %s, not %s %s",
                  cache_cell_state_name(state), cache_cell_event_name(event), facts.serves,
                  facts.parked, facts.dirty, cache_cell_state_name(got.state),
                  cache_cell_action_name(got.action), cache_cell_state_name(want.state),
                  cache_cell_action_name(want.action));
}

static void each(void (*fn)(enum cache_cell_state state, enum cache_cell_event event,
                            struct cache_own_facts facts))
{
    for (unsigned s = 0; s < CACHE_CELL_STATE_COUNT; s++)
        for (unsigned e = 0; e < CACHE_CELL_EVENT_COUNT; e++)
            for (unsigned f = 0; f < 8; f++)
                fn((enum cache_cell_state)s, (enum cache_cell_event)e,
                   (struct cache_own_facts){(f & 1) != 0, (f & 2) != 0, (f & 4) != 0});
}

/* ---- the table ---- */

static void check_cell(enum cache_cell_state state, enum cache_cell_event event,
                       struct cache_own_facts facts)
{
    struct cache_own_move want = expected(state, event);
    if (want.action == CACHE_DO_RUN && !facts.serves)
        want.action = CACHE_DO_WAIT;
    if (state == CACHE_CELL_OURS && want.action == CACHE_DO_RELEASE) {
        bool now = facts.serves && !facts.parked;
        if (!now || facts.dirty)
            want = (struct cache_own_move){CACHE_CELL_OURS, now ? CACHE_DO_STORE : CACHE_DO_NONE};
    }
    if (state == CACHE_CELL_UNKNOWN && event == CACHE_ON_STOP && !facts.dirty)
        want = (struct cache_own_move){state, CACHE_DO_NONE};
    if (event == CACHE_ON_NEW_RUN && want.action == CACHE_DO_HOLD && !facts.serves)
        want = (struct cache_own_move){CACHE_CELL_UNKNOWN, CACHE_DO_DROP};
    expect(state, event, facts, want);
}

START_TEST(every_cell)
{
    each(check_cell);
}
END_TEST

START_TEST(no_move_is_listed_twice)
{
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert(moves[i].from != moves[j].from || moves[i].event != moves[j].event);
}
END_TEST

/* ---- what must hold whatever the table says ---- */

static void check_rules(enum cache_cell_state state, enum cache_cell_event event,
                        struct cache_own_facts facts)
{
    struct cache_own_move m = cache_own(state, event, facts);
    bool was = state == CACHE_CELL_OURS, mine = was || state == CACHE_CELL_HELD;
    bool is = m.state == CACHE_CELL_OURS || m.state == CACHE_CELL_HELD;
    if (m.action == CACHE_DO_RUN)
        ck_assert(was && m.state == CACHE_CELL_OURS && facts.serves);
    if (m.action == CACHE_DO_RELEASE && was)
        ck_assert(facts.serves && !facts.parked && !facts.dirty);
    if (m.action == CACHE_DO_RELEASE)
        ck_assert(m.state == CACHE_CELL_LEAVING);
    /* Ours is only what Redis has just said to be, and what it was; what is not any more leaves memory. */
    if (m.state == CACHE_CELL_OURS && !was)
        ck_assert(event == CACHE_ON_SAID_OURS || event == CACHE_ON_GRANTED);
    if (m.state == CACHE_CELL_HELD && !mine)
        ck_abort_msg("held out of nothing");
    if (mine && !is)
        ck_assert(m.action == CACHE_DO_DROP || m.action == CACHE_DO_RELEASE);
    /* So does what the log had, unless the cell was ours all the time. */
    bool may_have = mine || state == CACHE_CELL_UNKNOWN || state == CACHE_CELL_ASKED;
    if (may_have && (m.state == CACHE_CELL_THEIRS || m.state == CACHE_CELL_LOST))
        ck_assert(m.action == CACHE_DO_DROP);
    if (event == CACHE_ON_GRANTED && m.state == CACHE_CELL_OURS)
        ck_assert(m.action == CACHE_DO_DROP);
    if (may_have && event == CACHE_ON_NEW_RUN)
        ck_assert(m.action == CACHE_DO_DROP || (mine && m.action == CACHE_DO_HOLD));
    if (may_have && event == CACHE_ON_OUTLIVED)
        ck_assert(m.action == CACHE_DO_DROP);
    if (m.action == CACHE_DO_DROP)
        ck_assert(may_have);
    /* Who asks has a question under way, and there is one only while it is asked. */
    if (m.action == CACHE_DO_ASK)
        ck_assert(m.state == CACHE_CELL_ASKED);
    if (m.state == CACHE_CELL_ASKED && state != CACHE_CELL_ASKED)
        ck_assert(m.action == CACHE_DO_ASK);
    if (m.action == CACHE_DO_HOLD || (m.state == CACHE_CELL_HELD && was))
        ck_assert(m.action == CACHE_DO_HOLD && m.state == CACHE_CELL_HELD);
    /* What another node has sent is never sent on: it would go round. */
    if (m.action == CACHE_DO_FORWARD)
        ck_assert(event == CACHE_ON_COMMAND && m.state == CACHE_CELL_THEIRS);
}

START_TEST(rules_that_hold_in_every_cell)
{
    each(check_rules);
}
END_TEST

/* A command always gets an answer of what to do. */
static void check_commands(enum cache_cell_state state, enum cache_cell_event event,
                           struct cache_own_facts facts)
{
    enum cache_cell_action action = cache_own(state, event, facts).action;
    if (event == CACHE_ON_COMMAND || event == CACHE_ON_SENT || event == CACHE_ON_SENT_AGAIN ||
        event == CACHE_ON_MOVED)
        ck_assert(action == CACHE_DO_RUN || action == CACHE_DO_WAIT || action == CACHE_DO_ASK ||
                  action == CACHE_DO_FORWARD || action == CACHE_DO_REFUSE);
}

START_TEST(a_command_always_has_somewhere_to_go)
{
    each(check_commands);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(cache_cell_state_name(CACHE_CELL_UNKNOWN), "UNKNOWN");
    ck_assert_str_eq(cache_cell_state_name(CACHE_CELL_LOST), "LOST");
    ck_assert_str_eq(cache_cell_event_name(CACHE_ON_COMMAND), "COMMAND");
    ck_assert_str_eq(cache_cell_event_name(CACHE_ON_STOP), "STOP");
    ck_assert_str_eq(cache_cell_action_name(CACHE_DO_NONE), "NONE");
    ck_assert_str_eq(cache_cell_action_name(CACHE_DO_DROP), "DROP");
}
END_TEST

SUITE_MAIN("cache_own", every_cell, no_move_is_listed_twice, rules_that_hold_in_every_cell,
           a_command_always_has_somewhere_to_go, names)
