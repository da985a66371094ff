/* test_state.c: every cell of the state x event table. */
#include "master/tree/state.h"
#include "test/unit/suite.h"

#include <check.h>

#define NO STATE_ILLEGAL

/*
 * Written from the meaning of the states, not copied from the table: rows by state, columns WANT SPAWN READY STOP
 * CANCEL GONE RETRY GIVE_UP.
 */
static const struct {
    enum node_state state;
    int next[STATE_EVENT_COUNT];
} expected[] = {
    {NODE_STOPPED, {NODE_STARTING, NO, NO, NO, NO, NO, NO, NO}},
    {NODE_STARTING,
     {NO, NODE_STARTING, NODE_READY, NODE_DRAINING, NODE_STOPPED, NODE_STOPPED, NODE_BACKOFF,
      NODE_FATAL}},
    {NODE_READY, {NO, NO, NO, NODE_DRAINING, NO, NODE_STOPPED, NODE_BACKOFF, NODE_FATAL}},
    {NODE_DRAINING, {NO, NO, NO, NO, NO, NODE_STOPPED, NO, NO}},
    {NODE_BACKOFF, {NO, NODE_STARTING, NO, NO, NODE_STOPPED, NO, NODE_BACKOFF, NO}},
    {NODE_FATAL, {NODE_STARTING, NO, NO, NO, NODE_STOPPED, NO, NO, NO}},
};

START_TEST(test_every_cell)
{
    ck_assert_uint_eq(sizeof expected / sizeof expected[0], STATE_COUNT);
    for (size_t i = 0; i < STATE_COUNT; i++)
        for (int e = 0; e < STATE_EVENT_COUNT; e++)
            ck_assert_msg(state_next(expected[i].state, (enum state_event)e) == expected[i].next[e],
                          "%s x %s", node_state_name(expected[i].state),
                          state_event_name((enum state_event)e));
}
END_TEST

START_TEST(test_a_move_is_dated_and_an_illegal_one_refused)
{
    struct node n = {.name = "a/b.1", .state = NODE_BACKOFF, .state_since_ms = 4};
    ck_assert(state_move(&n, STATE_EVENT_SPAWN, 5));
    ck_assert_int_eq(n.state, NODE_STARTING);
    ck_assert_uint_eq(n.state_since_ms, 5);
    ck_assert(state_move(&n, STATE_EVENT_SPAWN, 6)); /* it stays what it is */
    ck_assert_uint_eq(n.state_since_ms, 5);
    ck_assert(!state_move(&n, STATE_EVENT_WANT, 7));
    ck_assert_int_eq(n.state, NODE_STARTING);
    ck_assert_uint_eq(n.state_since_ms, 5);
}
END_TEST

SUITE_MAIN("state", test_every_cell, test_a_move_is_dated_and_an_illegal_one_refused)
