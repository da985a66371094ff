/*
 * test_control_drain.c: asking a drain's workers through the control server (test_control_server.c has the rest of it).
 */
#include "test/unit/control/control_fixture.h"

#include "test/unit/suite.h"

static struct node *watcher, *other;

/* Beside the tree of the fixture: redis/visits and redis/orders are drains, too. */
static void drains_add(void)
{
    setup();
    watcher = worker_add("redis/visits/watcher", visits, WORKER_TYPE_WATCHER, "visits");
    worker_add("redis/visits/get-set", visits, WORKER_TYPE_GET_SET, "visits");
    other = worker_add("redis/orders/watcher", orders->parent, WORKER_TYPE_WATCHER, "orders");
}

START_TEST(a_drain_is_asked_by_its_name)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 2, LONG_MS, "ask", "watcher", "orders", "drain-status", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, other);
    worker_answers(CONTROL_TIMEOUT, slice_of("\xa4late"));
    expect(fd, 2, CONTROL_TIMEOUT, "late");
    close(fd);
}
END_TEST

START_TEST(nobody_to_ask)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "watcher", "visit", "drain-status", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no drain named 'visit': did you mean 'visits'? There are: visits, orders");
    ck_assert(say(fd, 3, LONG_MS, "ask", "report", "", "report", NULL));
    expect(fd, 3, CONTROL_NO_NAME,
           "the configuration makes no report worker. See: platoonctl tree");
    dies(watcher, 1, "died of old age");
    ck_assert(say(fd, 6, LONG_MS, "ask", "watcher", "visits", "drain-status", NULL));
    expect(fd, 6, CONTROL_ERROR,
           "redis/visits/watcher is BACKOFF: died of old age. See: platoonctl status "
           "redis/visits/watcher");
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("control_drain", drains_add, teardown, a_drain_is_asked_by_its_name, nobody_to_ask)
