/*
 * test_redis_sentinel.c: a connection that Sentinels guide (redis_sentinel.c, redis_conn_where.c): fake Sentinels
 * beside real servers.
 *
 * Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/. Reported of such clients:
 * redis-sentinel#39, StackExchange.Redis#2264, vector#23355.
 */
#include "common/redis/redis_sentinel.h"
#include "test/unit/redis/fake_resolver.h"
#include "test/unit/redis/fake_sentinel.h"

static struct fake_sentinel first, other, third;
static struct redis_fixture second; /* another server */

static void sentinel_setup(void)
{
    setup();
    fake_start(&first);
    fake_start(&other);
    fake_start(&third);
    second = (struct redis_fixture){0};
}

static void sentinel_teardown(void)
{
    fake_close(&first);
    fake_close(&other);
    fake_close(&third);
    if (second.dir[0] != '\0')
        redis_fixture_fini(&second);
    teardown();
}

static void start_servers(void)
{
    redis_fixture_init(&second);
    redis_fixture_start(&fx, true, NULL);
    redis_fixture_start(&second, true, NULL);
    fake_names(&first, fx.port);
}

static void connect_guided(const char *hosts)
{
    set_url("sentinel://%s/orders", hosts);
    cl.options.guide = &redis_sentinel_guide;
    connect_client();
}

static const char *address_of(const struct fake_sentinel *f)
{
    static char text[4][32];
    static unsigned next;
    char *to = text[next++ % 4];
    snprintf(to, sizeof text[0], "127.0.0.1:%d", f->port);
    return to;
}

static const char *all_three(void)
{
    static char text[120];
    snprintf(text, sizeof text, "%s,%s,%s", address_of(&first), address_of(&other),
             address_of(&third));
    return text;
}

/* The server that we are at. */
static int port_of_server(void)
{
    ask("INFO", "server", NULL, NULL);
    const char *line = cl.type == REDIS_REPLY_STRING ? strstr(cl.text, "tcp_port:") : NULL;
    return line != NULL ? atoi(line + strlen("tcp_port:")) : 0;
}

/* The loop, for so long: for what must not happen meanwhile. */
static void run_for(uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end) {
        uv_run(&cl.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

/* By then everything that was on its way has arrived. */
static void ask_often(void)
{
    for (int i = 0; i < 50; i++)
        ask("PING", NULL, NULL, NULL);
}

/* ---- asking ---- */

START_TEST(test_who_is_named_is_connected_to)
{
    start_servers();
    set_url("sentinel://%s/or%%20ders/3", address_of(&first));
    cl.options.guide = &redis_sentinel_guide;
    connect_client();
    ck_assert_ptr_nonnull(strstr(redis_conn_trouble(cl.conn), "sentinel at 127.0.0.1"));
    WAIT_FOR(cl.ready == 1);
    ck_assert_str_eq(first.name, "or ders");
    ck_assert_int_eq(cl.lost, 0);
    ask("SET", "here", "1", NULL);
    char line[200];
    snprintf(line, sizeof line, "test $(redis-cli -s %s -n 3 get here) = 1", fx.socket);
    redis_fixture_shell(&fx, line);
}
END_TEST

#define TEN_X "xxxxxxxxxx"
#define HOST_OF_260                                                                                \
    TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X      \
        TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X

/* What is said, and what status says of it: object, cause, remedy. */
static const struct {
    const char *answer, *greeting, *password, *told;
} silent_or_wrong[] = {
    {"*-1\r\n", NULL, NULL, "it watches no \"orders\": give the url the name"},
    {"$-1\r\n", NULL, NULL, "it watches no \"orders\""},
    {"-IDONTKNOW that name\r\n", NULL, NULL, "it watches no \"orders\""},
    {"-ERR unknown command 'SENTINEL'\r\n", NULL, NULL, "this is no Sentinel: check host and port"},
    {"-ERR something else\r\n", NULL, NULL, "something else"},
    {"-NOPERM no right\r\n", NULL, NULL, "ACL SETUSER"},
    {"*2\r\n$0\r\n\r\n$4\r\n6379\r\n", NULL, NULL, "it names no address of \"orders\""},
    {"*2\r\n$1\r\na\r\n$1\r\n0\r\n", NULL, NULL, "it names no address"},
    {"*2\r\n$1\r\na\r\n$5\r\n65536\r\n", NULL, NULL, "it names no address"},
    {"*2\r\n$1\r\na\r\n$3\r\nabc\r\n", NULL, NULL, "it names no address"},
    {"*2\r\n$1\r\na\r\n:6379\r\n", NULL, NULL, "it names no address"},
    {"*2\r\n$260\r\n" HOST_OF_260 "\r\n$4\r\n6379\r\n", NULL, NULL, "it names no address"},
    {"*1\r\n$1\r\na\r\n", NULL, NULL, "it names no address"},
    {"+OK\r\n", NULL, NULL, "it names no address"},
    {"HTTP/1.1 400 Bad Request\r\n", NULL, NULL, "is it a Redis server?"},
    {"", NULL, NULL, "no answer to a command within"},
    {"", "", NULL, "not ready within"},
    {"", "-NOAUTH Authentication required.\r\n", NULL, "set sentinel_password_file"},
    {"", NULL, "s3cret", "set sentinel_password_file"},
    {"", "-LOADING Redis is loading\r\n", NULL, "LOADING"},
};

START_TEST(test_what_a_sentinel_may_say)
{
    cl.options.connect_timeout_ms = 300;
    snprintf(first.answer, sizeof first.answer, "%s", silent_or_wrong[_i].answer);
    first.greeting = silent_or_wrong[_i].greeting;
    first.password = silent_or_wrong[_i].password;
    connect_guided(address_of(&first));
    WAIT_FOR(strstr(cl.why, silent_or_wrong[_i].told) !=
             NULL); /* a busy machine is late at first */
    ck_why("no Sentinel names the primary of \"orders\": 127.0.0.1:");
    /* and then it is well */
    redis_fixture_start(&fx, true, NULL);
    first.greeting = first.password = NULL;
    fake_names(&first, fx.port);
    WAIT_FOR(cl.ready == 1);
    ask("PING", NULL, NULL, NULL);
}
END_TEST

START_TEST(test_a_wrong_password_is_named_by_its_key)
{
    first.password = "r1ght";
    fake_names(&first, fx.port);
    cl.options.sentinel_password_file = strdup(redis_fixture_write(&fx, "sentinels", "s3cret\n"));
    connect_guided(address_of(&first));
    WAIT_FOR(cl.lost == 1);
    ck_why("AUTH: WRONGPASS");
    ck_why("check user and sentinel_password_file");
    ck_assert_ptr_null(strstr(cl.why, "s3cret"));
    unlink(cl.options.sentinel_password_file);
    WAIT_FOR(strstr(cl.why, "sentinel_password_file") != NULL && strstr(cl.why, "No such") != NULL);
    redis_fixture_start(&fx, true, NULL);
    redis_fixture_write(&fx, "sentinels", "r1ght\n"); /* is read at each connect */
    WAIT_FOR(cl.ready == 1);
}
END_TEST

/* The servers' login is not theirs. */
START_TEST(test_two_passwords)
{
    static const char *const locked[] = {"--requirepass", "serv3r", NULL};
    redis_fixture_start(&fx, true, locked);
    fake_names(&first, fx.port);
    first.password = "sent1nel";
    cl.options.password_file = strdup(redis_fixture_write(&fx, "servers", "serv3r\n"));
    cl.options.sentinel_password_file = strdup(redis_fixture_write(&fx, "sentinels", "sent1nel\n"));
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(cl.lost, 0);
    ask("SET", "a", "1", NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_STATUS);
}
END_TEST

START_TEST(test_who_answers_is_asked_first_next_time)
{
    start_servers();
    cl.options.connect_timeout_ms = 9000;
    cl.options.retry_max_ms = 60000; /* a pause between two of them would be seen */
    fake_names(&third, fx.port);
    snprintf(first.answer, sizeof first.answer, "*-1\r\n");
    connect_guided(all_three()); /* knows nothing; says nothing; knows */
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(cl.lost, 0);
    ck_assert_int_eq(first.asked, 1);
    WAIT_FOR(third.subscribed + first.subscribed + other.subscribed > 0);
    int asked = third.asked, not_asked = first.asked + other.asked;
    redis_fixture_kill(&fx, SIGKILL);
    redis_fixture_start(&fx, true, NULL);
    WAIT_FOR(cl.ready == 2);
    ck_assert_int_gt(third.asked, asked);
    ck_assert_int_eq(first.asked + other.asked, not_asked);
}
END_TEST

START_TEST(test_a_round_is_one_line)
{
    cl.options.connect_timeout_ms = 15000;
    snprintf(third.answer, sizeof third.answer, "*-1\r\n");
    char hosts[200];
    snprintf(hosts, sizeof hosts, "127.0.0.1:%d,127.0.0.1:%d,%s", fx.port, fx.tls_port,
             address_of(&third));
    connect_guided(hosts);
    WAIT_FOR(cl.lost == 1);
    char expected[400];
    snprintf(expected, sizeof expected,
             "no Sentinel names the primary of \"orders\": 127.0.0.1:%d, 127.0.0.1:%d: connection "
             "refused: is the server running?; %s: it watches no \"orders\"",
             fx.port, fx.tls_port, address_of(&third));
    ck_why(expected);
    WAIT_FOR(cl.lost == 2);
    ck_assert_str_eq(redis_conn_trouble(cl.conn), cl.why);
    ck_assert_int_le(third.asked, 3);
}
END_TEST

/* However long their names and causes are, however many they are. */
START_TEST(test_a_round_of_many_is_cut)
{
    char hosts[1200] = "";
    for (int i = 0; i < REDIS_ADDRESSES_MAX; i++)
        snprintf(hosts + strlen(hosts), sizeof hosts - strlen(hosts), "%s%s:%d", i > 0 ? "," : "",
                 i % 2 == 0 ? "a.name.that.is.long.enough.nowhere.invalid" : "127.0.0.1",
                 i % 2 == 0 ? 1 : fx.port);
    char url[1300], why[200];
    snprintf(url, sizeof url, "sentinel://%s/orders", hosts);
    ck_assert_int_eq(redis_options_parse_url(&cl.options, url, why, sizeof why), 0);
    cl.options.guide = &redis_sentinel_guide;
    connect_client();
    WAIT_FOR(cl.lost == 1);
    ck_why("a.name.that.is.long.enough.nowhere.invalid:1: cannot resolve");
    ck_why("connection refused");
}
END_TEST

START_TEST(test_all_away_is_no_tight_loop)
{
    cl.options.retry_max_ms = 500;
    snprintf(first.answer, sizeof first.answer, "*-1\r\n");
    connect_guided(address_of(&first));
    uint64_t begin = clock_mono_ms();
    run_for(2000);
    WAIT_FOR(first.asked >= 3);
    ck_assert_int_le(first.asked, 20 * (clock_mono_ms() - begin) / 1000);
}
END_TEST

/* ---- what they name is looked at ---- */

START_TEST(test_a_replica_that_is_named)
{
    start_servers();
    char line[200];
    snprintf(line, sizeof line, "redis-cli -s %s REPLICAOF 127.0.0.1 %d", fx.socket, second.port);
    redis_fixture_shell(&fx, line);
    connect_guided(address_of(&first));
    WAIT_FOR(cl.lost == 2);
    ck_why("redis at 127.0.0.1");
    ck_why("READONLY: the Sentinels call this server the primary, but it is a replica (ROLE): wait "
           "for the fail-over, or see SENTINEL MASTER orders");
    ck_assert_int_eq(cl.ready, 0);
    fake_names(&first, second.port);
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(port_of_server(), second.port);
}
END_TEST

START_TEST(test_a_sentinel_that_names_a_sentinel)
{
    fake_names(&first, other.port);
    other.greeting = "*2\r\n$8\r\nsentinel\r\n*0\r\n";
    connect_guided(address_of(&first));
    WAIT_FOR(cl.lost == 1);
    ck_why("this is a Sentinel (ROLE)");
}
END_TEST

/* ---- one that is cut off from the others ---- */

/* It answers, and names who was the primary. */
static void start_with_a_stale_one(int old)
{
    start_servers();
    fake_names(&first, old);
    fake_names(&other, second.port);
    fake_names(&third, second.port);
    connect_guided(all_three());
}

START_TEST(test_who_names_the_dead_is_asked_last)
{
    cl.options.retry_max_ms = 100;
    start_with_a_stale_one(fx.tls_port); /* where nobody is */
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(port_of_server(), second.port);
    ck_assert_int_eq(first.asked, 1);
}
END_TEST

/* As a headless service names its pods: always in the same order. */
START_TEST(test_one_name_for_all_of_them)
{
    start_servers();
    fake_names(&first, fx.tls_port);
    fake_names(&other, second.port);
    fake_resolve(first.port, other.port, 0);
    connect_guided(FAKE_NAME);
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(port_of_server(), second.port);
    ck_assert_int_eq(first.asked, 1);
}
END_TEST

START_TEST(test_who_names_a_replica_is_asked_last)
{
    start_servers();
    char line[200];
    snprintf(line, sizeof line, "redis-cli -s %s REPLICAOF 127.0.0.1 %d", fx.socket, second.port);
    redis_fixture_shell(&fx, line);
    fake_names(&other, second.port);
    fake_names(&third, second.port);
    connect_guided(all_three());
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(port_of_server(), second.port);
    ck_assert_int_eq(cl.lost, 1);
    ck_assert_int_eq(first.asked, 1);
}
END_TEST

/* It may not say ROLE: READONLY is what says it. */
START_TEST(test_who_names_a_silent_replica_is_asked_last)
{
    start_servers();
    ask_shell("REPLICAOF 127.0.0.1 1");
    fake_names(&other, second.port);
    fake_names(&third, second.port);
    ask_shell("ACL SETUSER default -role");
    connect_guided(all_three());
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(command("SET", "a", "1", NULL), 0);
    WAIT_FOR(cl.ready == 2);
    ck_assert_int_eq(port_of_server(), second.port);
}
END_TEST

/* Of two that contradict each other nobody is right for ever; when the dead one comes back it is taken. */
START_TEST(test_all_that_name_the_dead_are_asked_in_turn)
{
    start_with_a_stale_one(fx.tls_port);
    fake_names(&other, fx.tls_port);
    fake_names(&third, fx.tls_port);
    WAIT_FOR(first.asked >= 2 && other.asked >= 2 && third.asked >= 2);
    fake_names(&third, second.port);
    WAIT_FOR(cl.ready == 1);
}
END_TEST

/* Whoever is listened to then, it is asked what was missed; and it alone has the old word. */
START_TEST(test_one_word_does_not_end_what_is_well)
{
    start_servers();
    fake_names(&other, fx.port);
    fake_names(&third, fx.port);
    connect_guided(all_three());
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    ask_often();
    fake_names(&first, second.port); /* alone */
    int asked = first.asked, others = other.asked + third.asked;
    fake_drop_listeners(&first);
    WAIT_FOR(first.asked > asked && other.asked + third.asked > others);
    ask_often();
    ck_assert_int_eq(cl.lost, 0);
    ck_assert_int_eq(port_of_server(), fx.port);
}
END_TEST

START_TEST(test_two_words_are_followed)
{
    start_servers();
    fake_names(&other, fx.port);
    fake_names(&third, fx.port);
    connect_guided(all_three());
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    ask_often();
    fake_names(&first, second.port);
    fake_names(&third, second.port);
    other.answer[0] = '\0'; /* and one is silent */
    fake_drop_listeners(&first);
    WAIT_FOR(cl.ready == 2);
    ck_assert_int_eq(port_of_server(), second.port);
}
END_TEST

/* ---- +switch-master ---- */

START_TEST(test_the_new_primary_is_followed)
{
    start_servers();
    cl.options.retry_max_ms = 60000;
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    fake_names(&first, second.port);
    fake_switch(&first, "orders", second.port);
    WAIT_FOR(cl.ready == 2);
    ck_assert_int_eq(cl.lost, 1);
    ck_why("have made 127.0.0.1:");
    ck_assert_int_eq(port_of_server(), second.port);
}
END_TEST

START_TEST(test_others_switches_and_broken_words_are_none)
{
    start_servers();
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    ask_often();
    int asked = first.asked;
    fake_switch(&first, "others", second.port);
    fake_switch(&first, "order", second.port);
    fake_switch(&first, "orders2", second.port);
    fake_switch(&first, "orders", 0);
    fake_switch(&first, "orders", 70000);
    fake_switch(&first, "", second.port);
    fake_switch(&first, "orders", fx.port);
    ask_often();
    ck_assert_int_eq(cl.lost, 0);
    ck_assert_int_eq(first.asked, asked);
}
END_TEST

/* Who waits for the old one wakes up. */
START_TEST(test_a_switch_ends_the_pause)
{
    start_servers();
    cl.options.retry_max_ms = 3600000;
    fake_names(&first, second.tls_port); /* where nobody is */
    connect_guided(address_of(&first));
    WAIT_FOR(cl.lost >= 7 && first.subscribed > 0);
    fake_names(&first, second.port);
    int turns = 0; /* of a millisecond; of a busy machine, more */
    WAIT_FOR((fake_switch(&first, "orders", second.port), usleep(1000), turns++, cl.ready == 1));
    ck_assert_int_le(turns, 2500);
}
END_TEST

START_TEST(test_contradictions_are_no_tight_loop)
{
    start_servers();
    cl.options.retry_max_ms = 500;
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    uint64_t begin = clock_mono_ms();
    while (clock_mono_ms() - begin < 2500 || cl.lost < 2) {
        fake_switch(&first, "orders", second.port);
        uv_run(&cl.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    ck_assert_int_le(first.asked, 24 * (clock_mono_ms() - begin) / 1000);
}
END_TEST

/* ---- the subscription ---- */

START_TEST(test_what_was_missed_is_asked_for)
{
    start_servers();
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    fake_names(&first, second.port); /* without a word */
    fake_drop_listeners(&first);
    WAIT_FOR(cl.ready == 2);
    ck_assert_int_eq(port_of_server(), second.port);
    WAIT_FOR(first.subscribed >= 2);
    fake_names(&first, fx.port);
    WAIT_FOR((fake_switch(&first, "orders", fx.port), usleep(1000), cl.ready == 3));
}
END_TEST

START_TEST(test_a_subscription_that_does_not_hold)
{
    start_servers();
    cl.options.retry_max_ms = 500;
    first.subscribe = "";
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1);
    uint64_t begin = clock_mono_ms();
    run_for(2000);
    WAIT_FOR(first.subscribed >= 3);
    ck_assert_int_le(first.subscribed, 20 * (clock_mono_ms() - begin) / 1000);
    ck_assert_int_eq(cl.lost, 0);
}
END_TEST

START_TEST(test_who_may_not_listen_does_not_ask_for_ever)
{
    start_servers();
    first.subscribe = "-NOPERM this user has no permissions to access the channel\r\n";
    connect_guided(address_of(&first));
    WAIT_FOR(cl.ready == 1 && first.subscribed == 1);
    run_for(1000);
    ck_assert_int_eq(first.subscribed, 1);
    ck_assert_int_eq(cl.lost, 0);
    fake_names(&first, second.port);
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(cl.ready == 2);
    ck_assert_int_eq(port_of_server(), second.port);
}
END_TEST

/* ---- the end ---- */

START_TEST(test_closed_at_any_moment)
{
    start_servers();
    connect_guided(all_three());
    for (int turns = 0; turns < 3 * _i; turns++)
        uv_run(&cl.loop, UV_RUN_NOWAIT);
    int before = cl.ready + cl.lost;
    redis_conn_free(cl.conn);
    cl.conn = NULL;
    run_for(50);
    ck_assert_int_eq(cl.ready + cl.lost, before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_sentinel");
    TCase *tc = tcase_create("sentinel");
    tcase_add_checked_fixture(tc, sentinel_setup, sentinel_teardown);
    tcase_set_timeout(tc, 90);
    const TTest *const tests[] = {
        test_who_is_named_is_connected_to,
        test_a_wrong_password_is_named_by_its_key,
        test_two_passwords,
        test_who_answers_is_asked_first_next_time,
        test_a_round_is_one_line,
        test_a_round_of_many_is_cut,
        test_all_away_is_no_tight_loop,
        test_a_replica_that_is_named,
        test_a_sentinel_that_names_a_sentinel,
        test_who_names_the_dead_is_asked_last,
        test_one_name_for_all_of_them,
        test_who_names_a_replica_is_asked_last,
        test_who_names_a_silent_replica_is_asked_last,
        test_all_that_name_the_dead_are_asked_in_turn,
        test_one_word_does_not_end_what_is_well,
        test_two_words_are_followed,
        test_the_new_primary_is_followed,
        test_others_switches_and_broken_words_are_none,
        test_a_switch_ends_the_pause,
        test_contradictions_are_no_tight_loop,
        test_what_was_missed_is_asked_for,
        test_a_subscription_that_does_not_hold,
        test_who_may_not_listen_does_not_ask_for_ever,
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, test_what_a_sentinel_may_say, 0,
                        sizeof silent_or_wrong / sizeof silent_or_wrong[0]);
    tcase_add_loop_test(tc, test_closed_at_any_moment, 0, 12);
    suite_add_tcase(s, tc);
    return suite_end(s);
}
