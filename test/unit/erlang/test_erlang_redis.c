/* test_erlang_redis.c: commands of Erlang clients, on a connection to a real server that is stopped and killed. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/erlang/erlang_world.h"
#include "test/unit/redis/redis_fixture.h"
#include "workers/erlang/erlang_redis.h"

#include <signal.h>

#define PID          BYTES("a pid") /* it is no one's business here */
#define NODE         slice_of("n@h")
#define OUTSTANDING  10000
#define REDIS_ANSWER 1000

static struct redis_fixture server;
static struct erlang_redis gate;
static char url[REDIS_FIXTURE_PATH + 16];
static unsigned known, replies;
static struct buffer last; /* the answer that came last */

/* ---- the skeleton ---- */

const char *worker_setting(const struct worker *w, const char *name)
{
    (void)w;
    return strcmp(name, "redis.url") == 0 ? url : NULL;
}

const char *worker_setting_text(const struct worker *w, const char *name)
{
    return worker_setting(w, name);
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    (void)w;
    return strcmp(name, "redis.database") == 0  ? 0
           : strcmp(name, "redis.timeout") == 0 ? 600000
                                                : 5000;
}

void worker_hold_ready(struct worker *w)
{
    (void)w;
}

void worker_ready(struct worker *w)
{
    (void)w;
}

/* ---- the gate ---- */

static void on_reply(void *ctx, struct slice node, struct slice pid, struct slice answer)
{
    ck_assert_ptr_eq(ctx, &replies);
    ck_assert(slice_is(node, "n@h") && slice_equal(pid, PID));
    buffer_clear(&last);
    buffer_append_slice(&last, answer);
    replies++;
}

static void on_known(void *ctx)
{
    ck_assert_ptr_eq(ctx, &replies);
    known++;
}

static const struct erlang_redis_events events = {
    .on_reply = on_reply, .on_known = on_known, .answer_max = REDIS_ANSWER};

/* Words of a command as a term: a list of binaries. */
static void ask_as(struct slice pid, const char *const *words, size_t count)
{
    struct buffer term = BUFFER_EMPTY;
    const char head[] = {'l', 0, 0, 0, (char)count};
    buffer_append(&term, head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        const char of[] = {'m', 0, 0, 0, (char)strlen(words[i])};
        buffer_append(&term, of, sizeof of);
        buffer_append_text(&term, words[i]);
    }
    buffer_append_char(&term, 'j');
    erlang_redis_send(&gate, NODE, pid, buffer_slice(&term));
    buffer_fini(&term);
}

#define ask(...)                                                                                   \
    ask_as(PID, (const char *const[]){__VA_ARGS__},                                                \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool has(const char *part)
{
    return memmem(last.data, last.len, part, strlen(part)) != NULL;
}

static bool is_error(const char *part)
{
    return last.len > 9 && memcmp(last.data, "h\2w\5error", 9) == 0 && has(part);
}

static void expect(struct slice answer)
{
    unsigned before = replies;
    world_until(gate.outstanding == 0);
    ck_assert_uint_eq(replies, before + 1);
    ck_assert(slice_equal(buffer_slice(&last), answer));
}

static void set_up(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    world_begin();
    redis_fixture_init(&server);
    redis_fixture_start(&server, false, NULL);
    snprintf(url, sizeof url, "unix://%s", server.socket);
    ck_assert_int_eq(erlang_redis_open(&gate, NULL, &events, &replies), 0);
    ck_assert_ptr_null(erlang_redis_trouble(&gate)); /* it is not known yet */
    world_until(known == 1);
}

static void tear_down(void)
{
    erlang_redis_close(&gate);
    world_end();
    redis_fixture_fini(&server);
    buffer_fini(&last);
}

/* ---- */

START_TEST(replies_of_each_kind)
{
    ask("set", "k", "v");
    expect(BYTES("h\2w\2okm\0\0\0\2OK"));
    ask("GET", "k");
    expect(BYTES("h\2w\2okm\0\0\0\1v"));
    ask("get", "nobody");
    expect(BYTES("h\2w\2okw\x09undefined"));
    ask("strlen", "k");
    expect(BYTES("h\2w\2oka\1"));
    ask("incr", "k");
    world_until(gate.outstanding == 0);
    ck_assert(is_error("ERR value is not an integer"));
}
END_TEST

/* A pipeline: in their order. */
START_TEST(many_at_once)
{
    for (int i = 0; i < 1000; i++)
        ask("incr", "n");
    ck_assert_uint_eq(gate.outstanding, 1000);
    world_until(replies == 1000);
    ck_assert(slice_equal(buffer_slice(&last), BYTES("h\2w\2okb\0\0\3\xe8")));
    erlang_redis_tick(&gate);
    ck_assert_uint_ge(world_counts[COUNTER_REDIS_COMMANDS], 1000);
    uint64_t counted = world_counts[COUNTER_REDIS_COMMANDS];
    erlang_redis_tick(&gate);
    ck_assert_uint_eq(world_counts[COUNTER_REDIS_COMMANDS], counted);
}
END_TEST

START_TEST(nobody_hears_of_it)
{
    const char *words[] = {"set", "quiet", "1"}, *refused[] = {"select", "1"};
    ask_as(slice_of(""), words, 3);
    ask_as(slice_of(""), refused, 2);
    world_until(gate.outstanding == 0);
    ck_assert_uint_eq(replies, 0);
    ask("get", "quiet");
    expect(BYTES("h\2w\2okm\0\0\0\1"
                 "1"));
}
END_TEST

/* What would change the connection for others, and what is no command: at once, and nothing is sent. */
START_TEST(what_is_refused)
{
    ask("select", "1");
    ck_assert(is_error("select is refused"));
    ask("Subscribe", "c");
    ck_assert(is_error("Subscribe is refused"));
    ask("multi");
    ck_assert(is_error("multi is refused"));
    erlang_redis_send(&gate, NODE, PID, BYTES("w\5hello"));
    ck_assert(is_error("a command is a list"));
    ck_assert(replies == 4 && gate.outstanding == 0);
}
END_TEST

START_TEST(a_reply_too_large)
{
    char large[101] = "";
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 11; i++)
        ask("append", "large", large);
    ask("get", "large");
    world_until(gate.outstanding == 0);
    ck_assert(is_error("the command has run"));
}
END_TEST

START_TEST(so_many_outstanding)
{
    kill(server.pid, SIGSTOP);
    for (int i = 0; i < OUTSTANDING; i++)
        ask("incr", "n");
    ck_assert_uint_eq(replies, 0);
    ask("incr", "n");
    ck_assert(is_error("too many commands are outstanding"));
    kill(server.pid, SIGCONT);
    world_until(replies == OUTSTANDING + 1);
    ask("get", "n");
    expect(BYTES("h\2w\2okm\0\0\0\5"
                 "10000"));
}
END_TEST

/* What was sent may have run or not, and is not sent twice; what comes then is refused, with the reason. */
START_TEST(the_server_dies)
{
    kill(server.pid, SIGSTOP);
    ask("incr", "n");
    world_turns(5);
    redis_fixture_kill(&server, SIGKILL);
    world_until(replies == 1);
    ck_assert(is_error("it may or may not have run"));
    ask("incr", "n");
    ck_assert_uint_eq(replies, 2);
    ck_assert(is_error("redis"));
    ck_assert_ptr_nonnull(erlang_redis_trouble(&gate));
    redis_fixture_start(&server, false, NULL);
    world_until(erlang_redis_trouble(&gate) == NULL);
    ask("incr", "n");
    expect(BYTES("h\2w\2oka\1"));
    ck_assert_uint_eq(known, 1);
}
END_TEST

START_TEST(there_is_no_server)
{
    erlang_redis_close(&gate);
    redis_fixture_kill(&server, SIGKILL);
    known = 0;
    ck_assert_int_eq(erlang_redis_open(&gate, NULL, &events, &replies), 0);
    world_until(known == 1);
    ck_assert_ptr_nonnull(erlang_redis_trouble(&gate));
    ask("ping");
    ck_assert(is_error("redis"));
}
END_TEST

/* A gate whose section names none. */
START_TEST(without_redis)
{
    struct redis_conn *conn = gate.conn;
    gate.conn = NULL;
    ask("ping");
    ck_assert(is_error("this gate has no Redis"));
    ck_assert_ptr_null(erlang_redis_trouble(&gate));
    erlang_redis_tick(&gate);
    gate.conn = conn;
}
END_TEST

/* Nobody is answered any more. */
START_TEST(closed_meanwhile)
{
    kill(server.pid, SIGSTOP);
    ask("ping");
    erlang_redis_close(&gate);
    world_turns(5);
    ck_assert(replies == 0 && gate.outstanding == 0);
    kill(server.pid, SIGCONT);
}
END_TEST

SUITE_MAIN_WITH("erlang_redis", set_up, tear_down, replies_of_each_kind, many_at_once,
                nobody_hears_of_it, what_is_refused, a_reply_too_large, so_many_outstanding,
                the_server_dies, there_is_no_server, without_redis, closed_meanwhile)
