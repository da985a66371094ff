/*
 * test_redis_failover.c: errors that only a new connection can cure: each ends the connection, and it comes back
 * where the address leads.
 *
 * Reported of such clients: redis-py#460, redis-sentinel#39, StackExchange.Redis#2264.
 */
#include "test/unit/redis/fake_resolver.h"

START_TEST(test_readonly_ends_the_connection)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    ask("SET", "a", "1", NULL);
    ask_shell("REPLICAOF 127.0.0.1 1");
    ck_assert_int_eq(command("GET", "a", NULL, NULL), 0);
    ck_assert_int_eq(command("SET", "a", "2", NULL), 0);
    ck_assert_int_eq(command("GET", "a", NULL, NULL), 0);
    WAIT_FOR(cl.lost == 1);
    ck_why("READONLY");
    ck_assert_int_eq(cl.replies,
                     4); /* the caller is given the error first, and the others theirs */
    ck_assert_int_eq(cl.unknown, 0);
    WAIT_FOR(cl.ready == 2); /* a replica will do for who has not asked for a primary */
}
END_TEST

/* Who comes after the refusal is not taken. */
static void on_reply_then_ask(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)ctx;
    on_reply(c, reply, &cl);
    ck_assert(!redis_conn_ready(c));
    ck_assert_ptr_nonnull(strstr(redis_conn_trouble(c), "READONLY"));
    ck_assert_int_eq(command("GET", "a", NULL, NULL), -ENOTCONN);
}

static void on_refused(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    (void)ctx;
    ck_assert_int_eq(reply->type, REDIS_REPLY_ERROR);
}

/* The outcome of what others have sent already is known; who comes then is told to wait, with the cause. */
START_TEST(test_one_refusal_is_no_doubt_for_others)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    ask_shell("REPLICAOF 127.0.0.1 1");
    struct slice set[] = {slice_of("SET"), slice_of("a"), slice_of("1")};
    struct slice get[] = {slice_of("GET"), slice_of("a")};
    ck_assert_int_eq(redis_conn_command(cl.conn, 3, set, on_refused, NULL), 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(redis_conn_command(cl.conn, 2, get, on_reply_then_ask, NULL), 0);
    WAIT_FOR(cl.lost == 1);
    ck_why("READONLY");
    ck_assert_int_eq(cl.replies, 1000);
    ck_assert_int_eq(cl.unknown, 0);
    WAIT_FOR(cl.ready == 2);
}
END_TEST

/* A server that refuses one and then says nothing more: the others' deadline, and the refusal's words. */
START_TEST(test_a_refusal_and_then_silence)
{
    cl.options.timeout_ms = 3000; /* the refusal comes before, also on a busy machine */
    int server = socket_listen(fx.socket);
    set_url("unix://%s", fx.socket);
    connect_client();
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, "+PONG\r\n", 7), 7);
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(command("SET", "a", "1", NULL), 0);
    ck_assert_int_eq(command("GET", "a", NULL, NULL), 0);
    static const char refusal[] = "-READONLY You can't write against a read only replica.\r\n";
    ck_assert_int_eq((int)write(fd, refusal, sizeof refusal - 1), (int)sizeof refusal - 1);
    WAIT_FOR(cl.lost == 1);
    ck_why("READONLY");
    ck_assert_int_eq(cl.replies, 1);
    ck_assert_int_eq(cl.unknown, 1);
    close(fd);
    close(server);
}
END_TEST

START_TEST(test_a_replica_is_no_primary)
{
    redis_fixture_start(&fx, false, NULL);
    ask_shell("REPLICAOF 127.0.0.1 1");
    set_url("unix://%s", fx.socket);
    cl.options.primary = true;
    connect_client();
    expect_lost("READONLY");
    expect_lost("replica");
    ask_shell("REPLICAOF NO ONE");
    WAIT_FOR(cl.ready == 1);
    ask("SET", "a", "1", NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_STATUS);
}
END_TEST

START_TEST(test_who_may_not_ask_for_the_role)
{
    static const char *const no_role[] = {"--rename-command", "ROLE", "", NULL};
    redis_fixture_start(&fx, false, no_role);
    set_url("unix://%s", fx.socket);
    cl.options.primary = true;
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ask("ACL", "SETUSER", "default", "-role");
    redis_fixture_kill(&fx, SIGKILL);
    redis_fixture_start(&fx, false, NULL);
    ask_shell("ACL SETUSER default -role");
    WAIT_FOR(cl.ready == 2);
}
END_TEST

/* What a script's error is ends it as well; what waiting or a person can cure does not. */
START_TEST(test_which_errors_end_it)
{
    static const char *const ends[] = {
        "READONLY You can't write",
        "MASTERDOWN Link with MASTER is down",
        "UNBLOCKED force unblock",
        "CLUSTERDOWN Hash slot not served",
        "NOREPLICAS Not enough good replicas to write.",
        "LOADING Redis is loading",
        "NOAUTH Authentication required.",
        "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
    };
    static const char *const stays[] = {"OOM command not allowed",     "MISCONF no disk",
                                        "NOPERM no permissions",       "WRONGTYPE Operation",
                                        "NOSCRIPT No matching script", "ERR unknown command"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        ck_assert_msg(redis_error_cured_by_connecting(ends[i], strlen(ends[i])), "%s", ends[i]);
    for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++)
        ck_assert_msg(!redis_error_cured_by_connecting(stays[i], strlen(stays[i])), "%s", stays[i]);
}
END_TEST

/* A url that leads to a replica for good costs a few connections a second, not hundreds. */
START_TEST(test_refused_again_and_again)
{
    redis_fixture_start(&fx, false, NULL);
    cl.options.retry_max_ms = 1000;
    connect_unix();
    ask_shell("REPLICAOF 127.0.0.1 1");
    uint64_t begin = clock_mono_ms();
    while (clock_mono_ms() - begin < 3000 || cl.lost < 3) {
        if (redis_conn_ready(cl.conn) && redis_conn_in_flight(cl.conn) == 0)
            ck_assert_int_eq(command("SET", "a", "1", NULL), 0);
        uv_run(&cl.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    ck_assert_int_le(cl.lost, 10 * (clock_mono_ms() - begin) / 1000);
}
END_TEST

/* ---- several addresses ---- */

/* Another server, in a folder of its own. */
static struct redis_fixture second;

static void start_both(void)
{
    redis_fixture_init(&second);
    redis_fixture_start(&fx, true, NULL);
    redis_fixture_start(&second, true, NULL);
}

START_TEST(test_who_is_away_is_passed_over)
{
    redis_fixture_start(&fx, true, NULL);
    cl.options.retry_max_ms = 60000; /* a pause between two of them would be seen */
    set_url("redis://127.0.0.1:%d,nowhere.invalid,127.0.0.1:%d/3", fx.tls_port, fx.port);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(cl.lost, 2);
    ask("PING", NULL, NULL, NULL);
}
END_TEST

START_TEST(test_the_one_that_is_primary_is_found)
{
    start_both();
    ask_shell("REPLICAOF 127.0.0.1 1");
    cl.options.primary = true;
    set_url("redis://127.0.0.1:%d,127.0.0.1:%d", fx.port, second.port);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ck_why("READONLY");
    ask("SET", "here", "1", NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_STATUS);
    redis_fixture_kill(&second, SIGKILL); /* back to the first, once it is the primary */
    ask_shell("REPLICAOF NO ONE");
    WAIT_FOR(cl.ready == 2);
    ask("EXISTS", "here", NULL, NULL);
    ck_assert_int_eq((int)cl.integer, 0);
    redis_fixture_fini(&second);
}
END_TEST

static int told_replica;

static void on_lost_saying(struct redis_conn *c, const char *why, void *ctx)
{
    on_lost(c, why, ctx);
    told_replica += strstr(why, "is a replica") != NULL;
}

static void on_ready_writing(struct redis_conn *c, void *ctx)
{
    on_ready(c, ctx);
    ck_assert_int_eq(command("SET", "a", "1", NULL), 0);
}

/* The primary lacks its replicas, or is away: a person can end that, and not that the other is a replica. */
START_TEST(test_what_a_person_can_act_on_is_told)
{
    static const struct redis_conn_events saying = {on_ready_writing, on_lost_saying, on_message,
                                                    on_matched};
    char why[300];
    start_both();
    ask_shell("CONFIG SET min-replicas-to-write 3");
    char line[200];
    snprintf(line, sizeof line, "redis-cli -s %s REPLICAOF 127.0.0.1 1", second.socket);
    redis_fixture_shell(&second, line);
    cl.options.primary = true;
    set_url("redis://127.0.0.1:%d,127.0.0.1:%d", fx.port, second.port);
    told_replica = 0;
    cl.conn = redis_conn_new(&cl.loop, &cl.options, &saying, &cl, why, sizeof why);
    WAIT_FOR(cl.lost >= 8);
    ck_assert_int_eq(told_replica, 0);
    ck_why("NOREPLICAS");
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(strstr(cl.why, "NOREPLICAS") == NULL);
    int lost = cl.lost;
    WAIT_FOR(cl.lost >= lost + 6);
    ck_assert_int_eq(told_replica, 0);
    ck_why("connection refused");
    redis_fixture_start(&fx, true, NULL); /* and when both are, that is what is told */
    ask_shell("REPLICAOF 127.0.0.1 1");
    WAIT_FOR(told_replica >= 4);
    redis_fixture_fini(&second);
}
END_TEST

START_TEST(test_all_away_is_no_tight_loop)
{
    redis_fixture_start(&fx, false, NULL);
    cl.options.retry_max_ms = 500;
    set_url("redis://127.0.0.1:%d,127.0.0.1:%d", fx.port, fx.tls_port);
    connect_client();
    uint64_t begin = clock_mono_ms();
    while (clock_mono_ms() - begin < 2000 || cl.lost < 4) {
        uv_run(&cl.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    ck_assert_int_le(cl.lost, 60 * (clock_mono_ms() - begin) / 1000);
}
END_TEST

/* ---- one name, several addresses ---- */

static void on_nobody(uv_stream_t *server, int status)
{
    (void)server;
    (void)status; /* stays in the queue */
}

START_TEST(test_an_address_that_does_not_answer)
{
    redis_fixture_start(&fx, true, NULL);
    cl.options.connect_timeout_ms = 3000;
    cl.options.retry_max_ms = 60000;
    int silent = fake_port_unanswered();
    fake_resolve(silent, silent, fx.port);
    set_url("redis://" FAKE_NAME);
    connect_client();
    uint64_t begin = clock_mono_ms();
    WAIT_FOR(cl.ready + cl.lost > 0);
    ck_assert_int_eq(cl.ready, 1);
    ck_assert_uint_le(clock_mono_ms() - begin, 3000);
    ask("PING", NULL, NULL, NULL);
}
END_TEST

/* All of them together take no longer than one may. */
START_TEST(test_no_address_that_answers)
{
    cl.options.connect_timeout_ms = 600;
    int silent = fake_port_unanswered();
    fake_resolve(silent, silent, silent);
    set_url("redis://" FAKE_NAME);
    connect_client();
    uint64_t begin = clock_mono_ms();
    expect_lost("no connection within 600 ms");
    ck_assert_uint_ge(clock_mono_ms() - begin, 590);
}
END_TEST

/* Connected, and then silence: the next attempt is at the next. */
START_TEST(test_an_address_that_accepts_and_is_silent)
{
    redis_fixture_start(&fx, true, NULL);
    cl.options.connect_timeout_ms = 3000; /* which the next one needs none of */
    int port = redis_fixture_port();
    static uv_tcp_t mute;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(&cl.loop, &mute);
    ck_assert_int_eq(uv_tcp_bind(&mute, (struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&mute, 8, on_nobody), 0);
    fake_resolve(port, fx.port, 0);
    set_url("redis://" FAKE_NAME);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(cl.lost, 1);
    ck_why("not ready within 3000 ms");
    uv_close((uv_handle_t *)&mute, NULL);
}
END_TEST

/* As a headless service names its pods: always in the same order. */
START_TEST(test_the_address_that_is_primary_is_found)
{
    start_both();
    ask_shell("REPLICAOF 127.0.0.1 1");
    cl.options.primary = true;
    set_url("redis://" FAKE_NAME);
    fake_resolve(fx.port, second.port, 0);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(cl.lost, 1);
    ck_why("READONLY");
    ask("SET", "here", "1", NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_STATUS);
    redis_fixture_kill(&second, SIGKILL); /* back to the first, once it is the primary */
    ask_shell("REPLICAOF NO ONE");
    WAIT_FOR(cl.ready == 2);
    ask("EXISTS", "here", NULL, NULL);
    ck_assert_int_eq((int)cl.integer, 0);
    redis_fixture_fini(&second);
}
END_TEST

static Suite *redis_failover_suite(void)
{
    Suite *s = suite_create("redis_failover");
    ADD_CASE(s, "refused", test_readonly_ends_the_connection,
             test_one_refusal_is_no_doubt_for_others, test_a_refusal_and_then_silence,
             test_a_replica_is_no_primary, test_who_may_not_ask_for_the_role,
             test_which_errors_end_it, test_refused_again_and_again);
    ADD_CASE(s, "several", test_who_is_away_is_passed_over, test_the_one_that_is_primary_is_found,
             test_what_a_person_can_act_on_is_told, test_all_away_is_no_tight_loop);
    ADD_CASE(s, "one name", test_an_address_that_does_not_answer, test_no_address_that_answers,
             test_an_address_that_accepts_and_is_silent, test_the_address_that_is_primary_is_found);
    return s;
}

int main(void)
{
    return suite_end(redis_failover_suite());
}
