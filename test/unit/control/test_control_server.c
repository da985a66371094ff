/*
 * test_control_server.c: the control server on a real socket, in one process with its clients,
 * over a tree made by hand.
 *
 * Real: the server, the supervisor, the tree, the frames. Fake: processes (a worker is READY or dead when the test says
 * so), and requests to workers, which the test answers. A client never blocks: whoever waits for a byte runs the
 * server's loop meanwhile.
 */
#include "test/unit/control/control_fixture.h"
#include "test/unit/suite.h"

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
    ck_assert(say(fd, 3, LONG_MS, "status", "redis/orders/custom", NULL));
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
    ck_assert(say(fd, 1, LONG_MS, "status", "redis/visits/custm", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no worker or branch named 'redis/visits/custm': did you mean 'redis/visits/custom'? "
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
    expect_part(fd, 1, CONTROL_TIMEOUT, "redis/visits/port is DRAINING");
    dies(orders, 1, "died of old age");
    ck_assert(say(fd, 2, 100, "wait", "ready", NULL));
    expect_part(fd, 2, CONTROL_TIMEOUT, "redis/orders/custom is BACKOFF (died of old age)");
    ck_assert(say(fd, 3, UINT64_MAX, "wait", "ready", NULL)); /* no overflow into the past */
    ck_assert(say(fd, 4, 100, "start", "redis/orders/custom", NULL));
    until(orders->state == NODE_STARTING);
    snprintf(orders->trouble, sizeof orders->trouble, "no route to redis");
    expect_part(fd, 4, CONTROL_TIMEOUT, "redis/orders/custom is STARTING (no route to redis)");
    close(fd);
}
END_TEST

/* Its state is the one that is waited for, and would be no reason. */
START_TEST(test_late_is_not_named_ready)
{
    all_ready();
    int fd = dial();
    orders->unstable = true;
    snprintf(orders->last_exit, sizeof orders->last_exit, "exited 3 after 1s");
    snprintf(orders->trouble, sizeof orders->trouble, "no route to redis");
    ck_assert(say(fd, 1, 50, "wait", "redis/orders/custom", "ready", NULL));
    expect_part(fd, 1, CONTROL_TIMEOUT, "redis/orders/custom is unstable (exited 3 after 1s)");
    orders->trouble[0] = '\0';
    ck_assert(say(fd, 2, 50, "restart", "redis", NULL));
    expect_part(fd, 2, CONTROL_TIMEOUT, "redis/server has yet to be stopped, ");
    ck_assert(say(fd, 3, 50, "stop", "redis/orders", NULL)); /* nor is an old death a reason */
    expect_part(fd, 3, CONTROL_TIMEOUT, "timed out: redis/orders/custom is DRAINING. It goes on");
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

START_TEST(test_trouble_is_not_ready_and_is_waited_out)
{
    all_ready();
    int fd = dial();
    snprintf(orders->trouble, sizeof orders->trouble, "no route to redis");
    supervisor_on_trouble();
    ck_assert(say(fd, 1, LONG_MS, "status", NULL));
    ck_assert(!map_bool(hear(fd).body, "ready"));
    ck_assert(say(fd, 2, 50, "wait", "ready", NULL));
    expect_part(fd, 2, CONTROL_TIMEOUT, "redis/orders/custom has trouble (no route to redis)");
    ck_assert(say(fd, 3, LONG_MS, "wait", "ready", NULL));
    ck_assert(say(fd, 4, LONG_MS, "start", "redis/orders", NULL));
    ck_assert(say(fd, 5, LONG_MS, "version", NULL));
    ck_assert_uint_eq(hear(fd).id, 5); /* the others wait */
    orders->trouble[0] = '\0';
    supervisor_on_trouble();
    ck_assert_uint_eq(hear(fd).id + hear(fd).id, 3 + 4);
    ck_assert(say(fd, 6, LONG_MS, "status", NULL));
    ck_assert(map_bool(hear(fd).body, "ready"));
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

    ck_assert(say(fd, 2, LONG_MS, "ask", "custom", "orders", "look", NULL));
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
        say(fd, 1, LONG_MS, "send", "redis/orders/custom", "{\"log_level\":\"debug\"}", NULL));
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
    ck_assert(say(fd, 1, LONG_MS, "ask", "custom", "visit", "look", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no program section named 'visit': did you mean 'visits'? There are: visits, orders");
    ck_assert(say(fd, 2, LONG_MS, "ask", "send", "elsewhere", "redis", NULL));
    expect(fd, 2, CONTROL_NO_NAME, "no redis section named 'elsewhere'. There is: main");
    ck_assert(say(fd, 3, LONG_MS, "ask", "health", "", "look", NULL));
    expect(fd, 3, CONTROL_NO_NAME,
           "the configuration makes no health worker. See: platoonctl tree");
    ck_assert(say(fd, 4, LONG_MS, "ask", "cook", "visits", "soup", NULL));
    expect(fd, 4, CONTROL_NO_NAME, "the configuration makes no cook worker. See: platoonctl tree");
    ck_assert(say(fd, 5, LONG_MS, "ask", "custom", NULL));
    expect(fd, 5, CONTROL_USAGE, "ask takes: TYPE DRAIN VERB [ARG...]");
    dies(mailer, 1, "died of old age");
    ck_assert(say(fd, 6, LONG_MS, "ask", "custom", "visits", "look", NULL));
    expect(fd, 6, CONTROL_ERROR,
           "redis/visits/custom is BACKOFF: died of old age. See: platoonctl status "
           "redis/visits/custom");
    /* One by its name, and one that is none. */
    ck_assert(say(fd, 8, LONG_MS, "ask", "custom", "redis/visits/custom", "look", NULL));
    expect(fd, 8, CONTROL_ERROR,
           "redis/visits/custom is BACKOFF: died of old age. See: platoonctl status "
           "redis/visits/custom");
    ck_assert(say(fd, 9, LONG_MS, "ask", "send", "redis/visits/custom", "redis", NULL));
    expect(fd, 9, CONTROL_NO_NAME, "no redis section named 'redis/visits/custom'. There is: main");
    asked.refuse = -ENOBUFS;
    ck_assert(say(fd, 7, LONG_MS, "ask", "custom", "orders", "look", NULL));
    expect(fd, 7, CONTROL_ERROR,
           "redis/orders/custom cannot take the request: it has too many waiting already: try "
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

SUITE_MAIN_WITH("control_server", setup, teardown, test_socket_is_for_its_owner, test_version,
                test_tree_and_status, test_unknown_names, test_start_is_answered_when_ready,
                test_stop_is_answered_when_stopped, test_restart_is_answered_when_ready_again,
                test_late_names_who_holds_it_up, test_late_is_not_named_ready, test_wait_ready,
                test_trouble_is_not_ready_and_is_waited_out, test_shutdown,
                test_end_of_a_client_that_waits, test_ask_is_handed_on, test_send_is_handed_on,
                test_a_worker_is_not_believed, test_nobody_to_ask,
                test_a_client_that_goes_away_cancels)
