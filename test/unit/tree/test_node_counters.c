/* test_node_counters.c: what a node holds of its worker's numbers (master/tree/node_counters.h). */
#include "master/tree/node_counters.h"
#include "test/unit/suite.h"

#define TAKE(c, NAME, value, seconds) node_counters_take(c, COUNTER_##NAME, value, seconds)

START_TEST(a_node_holds_what_was_reported_and_no_more)
{
    struct node_counters c = {.list = NULL};
    TAKE(&c, REQUESTS, 7, 0);
    TAKE(&c, MESSAGES_IN, 3, 0);
    TAKE(&c, REQUESTS, 9, 1);
    ck_assert_uint_eq(c.count, 2);
    ck_assert_uint_eq(node_counters_value(&c, COUNTER_REQUESTS), 9);
    ck_assert_uint_eq(node_counters_value(&c, COUNTER_MESSAGES_IN), 3);
    ck_assert_uint_eq(node_counters_value(&c, COUNTER_MESSAGES_OUT), 0);
    node_counters_clear(&c);
    ck_assert_uint_eq(node_counters_value(&c, COUNTER_REQUESTS), 0);
}
END_TEST

START_TEST(rates_are_of_counters_that_grow)
{
    struct node_counters c = {.list = NULL};
    TAKE(&c, REQUESTS, 10, 0);
    ck_assert_double_eq(c.list[0].rate, 0);
    TAKE(&c, REQUESTS, 30, 2);
    ck_assert_double_eq(c.list[0].rate, 10);
    TAKE(&c, REQUESTS, 5, 2); /* it lies, or is another one */
    ck_assert_double_eq(c.list[0].rate, 0);
    TAKE(&c, MAILBOX_DEPTH, 1, 0);
    TAKE(&c, MAILBOX_DEPTH, 9, 2);
    ck_assert_double_eq(c.list[1].rate, 0);
    TAKE(&c, REQUESTS, 15, 1);
    node_counters_stop(&c);
    ck_assert_double_eq(c.list[0].rate, 0);
    ck_assert_uint_eq(c.list[0].value, 15);
    node_counters_clear(&c);
}
END_TEST

SUITE_MAIN("node_counters", a_node_holds_what_was_reported_and_no_more,
           rates_are_of_counters_that_grow)
