/*
 * test_redis_relay.c: for who hands answers on to others: errors that do not end the connection, and what surely was
 * not sent (common/redis/redis_conn.h: relays, redis_conn_unsent).
 */
#include "test/unit/redis/redis_conn_client.h"

static char told[16]; /* of each that got NULL: 'u' it was not sent, 's' nobody knows */

static void on_told(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)ctx;
    ck_assert_ptr_null(reply);
    told[strlen(told)] = redis_conn_unsent(c) ? 'u' : 's';
}

static void send_ping(void)
{
    struct slice ping = slice_of("PING");
    ck_assert_int_eq(redis_conn_command(cl.conn, 1, &ping, on_told, NULL), 0);
}

static int listener;

/* The next connection to a server that answers what is said before commands, and nothing behind that. */
static int silent_accept(void)
{
    int fd, ready = cl.ready;
    WAIT_FOR((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
    ck_assert_int_eq(send(fd, "+PONG\r\n", 7, 0), 7);
    WAIT_FOR(cl.ready > ready);
    return fd;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static int silent_connect(void)
{
    static uv_timer_t
        tick; /* so that a turn of the loop ends while only the listener has something to do */
    uv_timer_init(&cl.loop, &tick);
    uv_timer_start(&tick, on_tick, 1, 1);
    listener = socket_listen(redis_fixture_path(&fx, "silent"));
    ck_assert_int_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    set_url("unix://%s", redis_fixture_path(&fx, "silent"));
    connect_client();
    int fd = silent_accept();
    uv_close((uv_handle_t *)&tick, NULL);
    return fd;
}

START_TEST(test_what_was_not_sent)
{
    int fd = silent_connect();
    send_ping();
    send_ping();
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    send_ping();
    redis_conn_free(cl.conn);
    cl.conn = NULL;
    ck_assert_str_eq(told, "ssu");
    close(fd);
}
END_TEST

/* The counts are those of all its connections. */
START_TEST(test_after_a_loss)
{
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    int fd = silent_connect();
    send_ping();
    redis_conn_renew(cl.conn, "a test");
    ck_assert_str_eq(told, "u");
    close(fd);
    fd = silent_accept();
    send_ping();
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    send_ping();
    redis_conn_renew(cl.conn, "a test");
    ck_assert_str_eq(told, "usu");
    close(fd);
}
END_TEST

/* One that relays gives the line that came. */
static void ask_error(const char *error)
{
    char line[200];
    snprintf(line, sizeof line, cl.options.relays ? "-%s\r\n" : "%s", error);
    ask("EVAL", "return {err = ARGV[1]}", "0", error);
    ck_assert_int_eq(cl.type, REDIS_REPLY_ERROR);
    ck_assert_str_eq(cl.text, line);
}

START_TEST(test_errors_that_are_somebody_elses)
{
    redis_fixture_start(&fx, false, NULL);
    cl.options.relays = true;
    connect_unix();
    ask_error("READONLY You can't write against a read only replica.");
    ask_error("NOREPLICAS Not enough good replicas to write.");
    ask_error("NOAUTH Authentication required.");
    ck_assert(redis_conn_ready(cl.conn));
    ck_assert_int_eq(cl.lost, 0);
}
END_TEST

START_TEST(test_errors_otherwise)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    ask_error("READONLY You can't write against a read only replica.");
    WAIT_FOR(cl.lost == 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_relay");
    ADD_CASE(s, "relay", test_what_was_not_sent, test_after_a_loss,
             test_errors_that_are_somebody_elses, test_errors_otherwise);
    return suite_end(s);
}
