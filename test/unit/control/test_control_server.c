/*
 * test_control_server.c: the control server on a real socket, in one process with its clients, over a tree made by hand.
 *
 * Real: the server, the supervisor, the tree, the frames. Fake: processes (a worker is READY or dead when the test says so), and
 * requests to workers, which the test answers. A client never blocks: whoever waits for a byte runs the server's loop meanwhile.
 */
#include "test/unit/control/control_fixture.h"

/* ---- looking ---- */

START_TEST(test_socket_is_for_its_owner)
{
    struct stat st;
    ck_assert_int_eq(stat(socket_path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(test_version)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "version", NULL));
    struct control_answer answer = hear(fd);
    struct unpack u = unpack_start(map_get(answer.body, "pid"));
    ck_assert_uint_eq(unpack_u64(&u), (uint64_t)getpid());
    ck_assert(slice_is(map_str(answer.body, "version"), PLATOON_VERSION));
    close(fd);
}
END_TEST

START_TEST(test_tree_and_status)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "tree", NULL));
    struct control_answer answer = hear(fd);
    ck_assert(slice_is(map_str(answer.body, "name"), "platoon"));
    struct unpack u = unpack_start(map_get(answer.body, "children"));
    ck_assert_uint_eq(unpack_array(&u), 1);

    ck_assert(say(fd, 2, LONG_MS, "status", NULL));
    ck_assert(map_bool(hear(fd).body, "ready"));

    dies(orders, 1, "died of old age");
    ck_assert(say(fd, 3, LONG_MS, "status", "redis/orders/watcher", NULL));
    answer = hear(fd);
    ck_assert(slice_is(map_str(answer.body, "state"), "BACKOFF"));
    ck_assert(!map_bool(answer.body, "ready"));
    u = unpack_start(map_get(answer.body, "problems"));
    ck_assert_uint_eq(unpack_array(&u), 1);
    ck_assert_ptr_nonnull(memmem(answer.body.ptr, answer.body.len, "died of old age", 15));
    close(fd);
}
END_TEST

START_TEST(test_unknown_names)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "status", "redis/visits/watchr", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no worker or branch named 'redis/visits/watchr': did you mean 'redis/visits/watcher'? "
           "See: platoonctl tree");
    ck_assert(say(fd, 2, LONG_MS, "start", "\033[2Jx", NULL));
    expect(fd, 2, CONTROL_NO_NAME, "no worker or branch named '?[2Jx'. See: platoonctl tree");
    char longest[2000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert(say(fd, 3, LONG_MS, "stop", longest, NULL));
    expect_part(fd, 3, CONTROL_NO_NAME, "xxx...'. See: platoonctl tree");
    ck_assert(say(fd, 4, LONG_MS, "dance", NULL));
    expect(fd, 4, CONTROL_USAGE,
           "the master does not know the verb 'dance': see platoonctl --help");
    ck_assert(say(fd, 5, LONG_MS, "restart", NULL));
    expect(fd, 5, CONTROL_USAGE, "restart needs the name of a worker or branch");
    close(fd);
}
END_TEST

/* ---- acting, and waiting for it ---- */

START_TEST(test_start_is_answered_when_ready)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "start", "redis/server", NULL));
    until(server->state == NODE_STARTING);
    ck_assert(say(fd, 2, LONG_MS, "version", NULL));
    ck_assert_uint_eq(hear(fd).id, 2); /* the first is not answered yet */
    supervisor_on_ready(server);
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.id, 1);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert(slice_is(map_str(answer.body, "name"), "redis/server"));
    close(fd);
}
END_TEST

START_TEST(test_stop_is_answered_when_stopped)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "stop", "redis/orders", NULL));
    until(orders->state == NODE_DRAINING);
    dies(orders, 0, "stopped");
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    ck_assert_int_eq(orders->state, NODE_STOPPED);
    close(fd);
}
END_TEST

START_TEST(test_restart_is_answered_when_ready_again)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "restart", "redis/orders", NULL));
    until(orders->state == NODE_DRAINING);
    dies(orders, 0, "stopped");
    until(orders->state == NODE_STARTING);
    supervisor_on_ready(orders);
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    ck_assert_uint_eq(orders->generation, 2);
    close(fd);
}
END_TEST

START_TEST(test_late_names_who_holds_it_up)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, 100, "stop", "redis/visits", NULL));
    expect_part(fd, 1, CONTROL_TIMEOUT, "redis/visits/get-set is DRAINING");
    dies(orders, 1, "died of old age");
    ck_assert(say(fd, 2, 100, "wait", "ready", NULL));
    expect_part(fd, 2, CONTROL_TIMEOUT, "redis/orders/watcher is BACKOFF (died of old age)");
    ck_assert(say(fd, 3, UINT64_MAX, "wait", "ready", NULL)); /* no overflow into the past */
    ck_assert(say(fd, 4, 100, "start", "redis/orders/watcher", NULL));
    until(orders->state == NODE_STARTING);
    snprintf(orders->trouble, sizeof orders->trouble, "no route to redis");
    expect_part(fd, 4, CONTROL_TIMEOUT, "redis/orders/watcher is STARTING (no route to redis)");
    close(fd);
}
END_TEST

START_TEST(test_wait_ready)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "wait", "ready", NULL));
    ck_assert(say(fd, 2, LONG_MS, "wait", "christmas", NULL));
    expect(fd, 2, CONTROL_USAGE, "wait takes: [NAME] ready, or [NAME] stopped");
    all_ready();
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.id, 1);
    ck_assert(map_bool(answer.body, "ready"));
    close(fd);
}
END_TEST

START_TEST(test_shutdown)
{
    all_ready();
    int fd = dial(), other = dial();
    ck_assert(say(fd, 1, LONG_MS, "shutdown", NULL));
    until(master.stopping);
    ck_assert(say(other, 1, LONG_MS, "start", "redis/orders", NULL));
    expect(other, 1, CONTROL_ERROR, "the master is stopping: it starts nothing any more");
    ck_assert(say(other, 2, LONG_MS, "restart", "platoon", NULL));
    expect(other, 2, CONTROL_ERROR, "the master is stopping: it starts nothing any more");
    for (size_t i = node_count; i > 0; i--)
        if (nodes[i - 1].kind == NODE_WORKER) {
            until(nodes[i - 1].state == NODE_DRAINING);
            dies(&nodes[i - 1], 0, "stopped");
        }
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    control_stop(&master);
    expect_ended(fd);
    expect_ended(other);
}
END_TEST

START_TEST(test_end_of_a_client_that_waits)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "stop", "redis/orders", NULL));
    until(orders->state == NODE_DRAINING);
    close(fd);
    expect_served();
    dies(orders, 0, "stopped");
    expect_served();
}
END_TEST

/* ---- handing on ---- */

START_TEST(test_ask_is_handed_on)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, 1234, "ask", "send", "", "redis", "GET", "key", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, sender);
    ck_assert_str_eq(asked.verb, "redis");
    ck_assert_uint_eq(asked.deadline_ms, 1234);
    struct unpack u = unpack_start(buffer_slice(&asked.args));
    ck_assert_uint_eq(unpack_array(&u), 2);
    ck_assert(slice_is(unpack_bin(&u), "GET"));
    ck_assert(slice_is(unpack_bin(&u), "key"));
    ck_assert(unpack_end(&u));
    worker_answers(CONTROL_OK, slice_of("\x93\x01\x02\x03"));
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert(slice_is(answer.body, "\x93\x01\x02\x03"));

    ck_assert(say(fd, 2, LONG_MS, "ask", "watcher", "orders", "drain-status", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, orders);
    worker_answers(CONTROL_TIMEOUT, slice_of("\xa4late"));
    expect(fd, 2, CONTROL_TIMEOUT, "late");
    close(fd);
}
END_TEST

START_TEST(test_send_is_handed_on)
{
    all_ready();
    int fd = dial();
    ck_assert(
        say(fd, 1, LONG_MS, "send", "redis/orders/watcher", "{\"log_level\":\"debug\"}", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, orders);
    ck_assert_str_eq(asked.verb, "json");
    worker_answers(CONTROL_OK, slice_make(NULL, 0));
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert(slice_is(answer.body, "\xc0"));
    ck_assert(say(fd, 2, LONG_MS, "send", "redis", "{}", NULL));
    expect(fd, 2, CONTROL_USAGE, "send takes: the name of a worker, and one JSON value");
    close(fd);
}
END_TEST

START_TEST(test_a_worker_is_not_believed)
{
    static const struct {
        uint64_t status;
        const char *body;
        const char *text;
    } answers[] = {
        {CONTROL_OK, "\x93\x01", "the answer of redis/send.1 cannot be read"}, /* cut short */
        {CONTROL_OK, "\x01\x01", "the answer of redis/send.1 cannot be read"}, /* one too many */
        {CONTROL_OK, "\xc1", "the answer of redis/send.1 cannot be read"},     /* no msgpack */
        {CONTROL_ERROR, "\x81\xa1x\x01", "the answer of redis/send.1 cannot be read"},
        {256, "\xa4what", "what"}, /* would be exit code 0 */
    };
    all_ready();
    int fd = dial();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ck_assert(say(fd, i, LONG_MS, "ask", "send", "", "redis", NULL));
        until(asked.fn != NULL);
        worker_answers(answers[i].status, slice_of(answers[i].body));
        expect_part(fd, i, CONTROL_ERROR, answers[i].text);
    }
    close(fd);
}
END_TEST

START_TEST(test_nobody_to_ask)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "watcher", "visit", "drain-status", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no drain named 'visit': did you mean 'visits'? There are: visits, orders");
    ck_assert(say(fd, 2, LONG_MS, "ask", "send", "elsewhere", "redis", NULL));
    expect(fd, 2, CONTROL_NO_NAME, "no redis section named 'elsewhere'. There is: main");
    ck_assert(say(fd, 3, LONG_MS, "ask", "report", "", "report", NULL));
    expect(fd, 3, CONTROL_NO_NAME,
           "the configuration makes no report worker. See: platoonctl tree");
    ck_assert(say(fd, 4, LONG_MS, "ask", "cook", "visits", "soup", NULL));
    expect(fd, 4, CONTROL_NO_NAME, "the configuration makes no cook worker. See: platoonctl tree");
    ck_assert(say(fd, 5, LONG_MS, "ask", "watcher", NULL));
    expect(fd, 5, CONTROL_USAGE, "ask takes: TYPE DRAIN VERB [ARG...]");
    dies(watcher, 1, "died of old age");
    ck_assert(say(fd, 6, LONG_MS, "ask", "watcher", "visits", "drain-status", NULL));
    expect(fd, 6, CONTROL_ERROR,
           "redis/visits/watcher is BACKOFF: died of old age. See: platoonctl status "
           "redis/visits/watcher");
    asked.refuse = -ENOBUFS;
    ck_assert(say(fd, 7, LONG_MS, "ask", "watcher", "orders", "drain-status", NULL));
    expect(fd, 7, CONTROL_ERROR,
           "redis/orders/watcher cannot take the request: it has too many waiting already: try "
           "again");
    close(fd);
}
END_TEST

START_TEST(test_a_client_that_goes_away_cancels)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "send", "", "redis", "BLPOP", NULL));
    until(asked.fn != NULL);
    close(fd);
    until(asked.cancels == 1);
    expect_served();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control_server");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_socket_is_for_its_owner);
    tcase_add_test(t, test_version);
    tcase_add_test(t, test_tree_and_status);
    tcase_add_test(t, test_unknown_names);
    tcase_add_test(t, test_start_is_answered_when_ready);
    tcase_add_test(t, test_stop_is_answered_when_stopped);
    tcase_add_test(t, test_restart_is_answered_when_ready_again);
    tcase_add_test(t, test_late_names_who_holds_it_up);
    tcase_add_test(t, test_wait_ready);
    tcase_add_test(t, test_shutdown);
    tcase_add_test(t, test_end_of_a_client_that_waits);
    tcase_add_test(t, test_ask_is_handed_on);
    tcase_add_test(t, test_send_is_handed_on);
    tcase_add_test(t, test_a_worker_is_not_believed);
    tcase_add_test(t, test_nobody_to_ask);
    tcase_add_test(t, test_a_client_that_goes_away_cancels);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
