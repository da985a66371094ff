/*
 * test_redis_rights.c: what a Redis refuses us, in one sentence (workers/redis/redis_rights.h); and what a connection
 * does without.
 *
 * Reported of others: redisson#5439, bull#2113, redis#986.
 */
#include "test/unit/redis/redis_conn_client.h"
#include "workers/redis/redis_rights.h"

static const struct redis_right list[] = {
    {"GET", "$"}, {"PING", NULL}, {"HSET", "$ 1 1 x"}, {"SPOP", "@ 0"}, {"CONFIG GET", "0"}};

static struct redis_rights rights;
static struct redis_link the_link;

static const char *told(void)
{
    static char text[512];
    redis_rights_ask(&rights);
    WAIT_FOR(rights.asked == 0);
    return redis_rights_text(&rights, text, sizeof text);
}

static void init_rights(void)
{
    connect_unix();
    the_link = (struct redis_link){.conn = cl.conn};
    redis_rights_init(&rights, &the_link, list, sizeof list / sizeof list[0],
                      "platoon:{a}:", "none", slice_of("set"));
}

START_TEST(test_what_is_missing)
{
    redis_fixture_start(&fx, false, NULL);
    init_rights();
    ck_assert_str_eq(told(), "");
    ask_shell("ACL SETUSER default -hset -config\\|get -ping");
    ck_assert_str_eq(told(), "Redis' access rules refuse HSET, CONFIG GET: give them with ACL "
                             "SETUSER, see RIGHTS IN REDIS in platoon.conf(5)");
    ask_shell("ACL SETUSER default +@all resetkeys ~set");
    ck_assert_str_eq(told(), "Redis' access rules refuse the keys platoon:{a}:*: give them with "
                             "ACL SETUSER, see RIGHTS IN REDIS in platoon.conf(5)");
    ask_shell("ACL SETUSER default resetkeys '~x' -get");
    ck_assert_ptr_nonnull(strstr(told(), "refuse GET and the keys platoon:{a}:*, set: "));
    ck_assert(rights.given); /* HSET and CONFIG GET, before */
    rights.given = false;
    ck_assert_ptr_nonnull(strstr(told(), "refuse GET"));
    ck_assert(!rights.given);
    ask_shell("ACL SETUSER default '~*' +@all");
    ck_assert_str_eq(told(), "");
    ck_assert(rights.given);
    ask("KEYS", "*", NULL, NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_ARRAY);
    ask("DBSIZE", NULL, NULL, NULL);
    ck_assert_int_eq((int)cl.integer, 0); /* nothing was changed by trying */
}
END_TEST

START_TEST(test_what_the_server_does_not_have)
{
    static const char *const renamed[] = {"--rename-command", "SPOP", "", NULL};
    redis_fixture_start(&fx, false, renamed);
    init_rights();
    ck_assert_str_eq(told(), "the server does not have SPOP: renamed or taken out "
                             "(rename-command), or it is too old");
    ask_shell("ACL SETUSER default -get");
    ck_assert_ptr_nonnull(strstr(told(), "refuse GET: "));
    ck_assert_ptr_nonnull(strstr(told(), "; the server does not have SPOP: "));
}
END_TEST

/* READONLY, OOM, a wrong type are no refusals, and a round that a lost connection ends says nothing. */
START_TEST(test_what_is_no_refusal)
{
    redis_fixture_start(&fx, false, NULL);
    init_rights();
    ask("SET", "set", "1", NULL);
    ask_shell("CONFIG SET maxmemory 1");
    ck_assert_str_eq(told(), "");
    ask_shell("ACL SETUSER default -get");
    ck_assert_ptr_nonnull(strstr(told(), "GET"));
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    redis_rights_ask(&rights);
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(rights.asked == 0);
    char text[512];
    ck_assert_ptr_nonnull(strstr(redis_rights_text(&rights, text, sizeof text), "GET"));
    redis_fixture_start(&fx, false, NULL);
    WAIT_FOR(cl.ready == 2);
    ck_assert_str_eq(told(), "");
}
END_TEST

/* It is asked again soon while something is missing, and seldom otherwise; never twice at once. */
START_TEST(test_how_often)
{
    redis_fixture_start(&fx, false, NULL);
    init_rights();
    ck_assert_str_eq(told(), "");
    redis_rights_tick(&rights, false);
    ck_assert_uint_eq(rights.asked, 0);
    rights.asked_ms -= 3000;
    redis_rights_tick(&rights, false);
    ck_assert_uint_eq(rights.asked, 0);
    redis_rights_tick(&rights, true);
    ck_assert_uint_eq(rights.asked, 4);
    redis_rights_ask(&rights);
    ck_assert_uint_eq(redis_conn_in_flight(cl.conn), 4);
    WAIT_FOR(rights.asked == 0);
    rights.asked_ms -= 301000;
    redis_rights_tick(&rights, false);
    ck_assert_uint_eq(rights.asked, 4);
    WAIT_FOR(rights.asked == 0);
}
END_TEST

/* Names that do not fit are counted, and the remedy is always there. */
START_TEST(test_too_many_to_name)
{
    static const struct redis_right many[] = {
        {"A-COMMAND-WITH-QUITE-A-LONG-NAME-THAT-NOBODY-HAS", "1"}};
    static struct redis_right all[REDIS_RIGHTS_MAX + 1];
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        all[i] = many[0];
    redis_fixture_start(&fx, false, NULL);
    init_rights();
    redis_rights_init(&rights, &the_link, all, sizeof all / sizeof all[0], "p", "n", slice_of("s"));
    const char *text = told();
    ck_assert_ptr_nonnull(strstr(text, "NOBODY-HAS and 59 more: renamed"));
    ck_assert_uint_lt(strlen(text), 510);
}
END_TEST

START_TEST(test_refusals)
{
    static const struct {
        const char *error;
        enum redis_refusal is;
    } rows[] = {
        {"NOPERM this user has no permissions to run the 'hset' command", REDIS_REFUSAL_COMMAND},
        {"NOPERM User x has no permissions to run the 'script|load' command",
         REDIS_REFUSAL_COMMAND},
        {"NOPERM this user has no permissions to run the 'hset' command or its subcommand",
         REDIS_REFUSAL_COMMAND},
        {"NOPERM this user has no permissions to access one of the keys used as arguments",
         REDIS_REFUSAL_PLACE},
        {"NOPERM No permissions to access a key", REDIS_REFUSAL_PLACE},
        {"NOPERM this user has no permissions to access one of the channels used as arguments",
         REDIS_REFUSAL_PLACE},
        {"NOPERM No permissions to access a channel", REDIS_REFUSAL_PLACE},
        {"ERR unknown command 'HPERSIST', with args beginning with: ", REDIS_REFUSAL_ABSENT},
        {"ERR unknown command `UNLINK`", REDIS_REFUSAL_ABSENT},
        {"ERR unknown subcommand 'USAGE'. Try MEMORY HELP.", REDIS_REFUSAL_ABSENT},
        {"ERR no such key", REDIS_REFUSAL_NONE},
        {"READONLY You can't write against a read only replica.", REDIS_REFUSAL_NONE},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", REDIS_REFUSAL_NONE},
        {"OOM command not allowed when used memory > 'maxmemory'.", REDIS_REFUSAL_NONE},
        {"", REDIS_REFUSAL_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(redis_error_refusal(rows[i].error, strlen(rows[i].error)) == rows[i].is, "%s",
                      rows[i].error);
}
END_TEST

/* ---- what a connection does without ---- */

START_TEST(test_scripts_go_without_script_load)
{
    redis_fixture_start(&fx, false, NULL);
    ask_shell("ACL SETUSER default -script\\|load -ping");
    set_url("unix://%s", fx.socket);
    connect_client();
    ck_assert_int_eq(redis_conn_add_script(cl.conn, "return 7"), 0);
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(redis_conn_script(cl.conn, 0, 0, NULL, 0, NULL, on_reply, &cl), 0);
    WAIT_FOR(cl.replies == 1);
    ck_assert_int_eq((int)cl.integer, 7);
    ask_shell("ACL SETUSER default -eval");
    ck_assert_int_eq(redis_conn_script(cl.conn, 0, 0, NULL, 0, NULL, on_reply, &cl), 0);
    WAIT_FOR(cl.replies == 2);
    ck_assert_int_eq(cl.type, REDIS_REPLY_ERROR);
    ck_assert_int_eq(cl.lost, 0);
}
END_TEST

/* One connection that stays, not one after the other; the channel is there once it is allowed and asked for. */
START_TEST(test_a_channel_that_is_refused)
{
    redis_fixture_start(&fx, false, NULL);
    ask_shell("ACL SETUSER default resetchannels");
    set_url("unix://%s", fx.socket);
    connect_client();
    ck_assert(!redis_conn_subscribed(cl.conn));
    ck_assert_int_eq(redis_conn_subscribe(cl.conn, "news"), 0);
    WAIT_FOR(cl.ready == 1);
    ck_assert(!redis_conn_subscribed(cl.conn));
    redis_conn_subscribe_again(cl.conn);
    ask_shell("ACL SETUSER default '&*'");
    uint64_t end = clock_mono_ms() + 300;
    while (clock_mono_ms() < end)
        uv_run(&cl.loop, UV_RUN_NOWAIT);
    ck_assert_int_eq(cl.lost, 0);
    while (!redis_conn_subscribed(cl.conn)) {
        redis_conn_subscribe_again(cl.conn);
        uv_run(&cl.loop, UV_RUN_ONCE);
    }
    ask_shell("PUBLISH news now");
    WAIT_FOR(cl.messages == 1);
    ck_assert_str_eq(cl.payload, "now");
    ask_shell("CLIENT KILL TYPE pubsub");
    WAIT_FOR(cl.ready == 2);
    ck_assert(redis_conn_subscribed(cl.conn));
}
END_TEST

static Suite *redis_rights_suite(void)
{
    Suite *s = suite_create("redis_rights");
    ADD_CASE(s, "rights", test_what_is_missing, test_what_the_server_does_not_have,
             test_what_is_no_refusal, test_how_often, test_too_many_to_name, test_refusals);
    ADD_CASE(s, "without", test_scripts_go_without_script_load, test_a_channel_that_is_refused);
    return s;
}

int main(void)
{
    return suite_end(redis_rights_suite());
}
