/* test_state.c: every cell of the state x event table. */
#include "master/tree/state.h"

#include "common/log.h"

#include <check.h>

#define NO STATE_ILLEGAL

/* Written from the meaning of the states, not copied from the table: rows by state, columns WANT SPAWN READY STOP CANCEL GONE RETRY GIVE_UP. */
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

static void swallow(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    int *lines = ctx;
    *lines += line.len > 0;
}

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

START_TEST(test_a_move_is_logged_once_and_an_illegal_one_refused)
{
    int lines = 0;
    log_set_sink(swallow, &lines);
    struct node n = {.name = "a/b.1", .state = NODE_STARTING};
    ck_assert(state_move(&n, STATE_EVENT_READY, 5));
    ck_assert_int_eq(n.state, NODE_READY);
    ck_assert_uint_eq(n.state_since_ms, 5);
    ck_assert_int_eq(lines, 1);
    ck_assert(!state_move(&n, STATE_EVENT_WANT, 6));
    ck_assert_int_eq(n.state, NODE_READY);
    ck_assert_uint_eq(n.state_since_ms, 5);
    ck_assert_int_eq(lines, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tc = tcase_create("state");
    tcase_add_test(tc, test_every_cell);
    tcase_add_test(tc, test_a_move_is_logged_once_and_an_illegal_one_refused);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
