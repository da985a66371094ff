/* test_cache_peers.c: commands to another node and their answers, against a real server (cache_peers.c, _link.c). */
#include "test/unit/cache/peers_fixture.h"

#include <signal.h>

static struct peers_told a, b, c;

static void start(void)
{
    redis_fixture_start(&peers.server, true, NULL);
    peers_open();
    peers_ring("unix:%s", peers.server.socket);
}

START_TEST(test_answers_as_they_were_said)
{
    start();
    peers_ask(&a, "SET k value");
    ck_answered(a, "+OK\r\n");
    peers_ask(&a, "GET k");
    ck_answered(a, "$5\r\nvalue\r\n");
    peers_ask(&a, "GET none");
    ck_answered(a, "$-1\r\n");
    peers_ask(&a, "INCRBY n -5");
    ck_answered(a, ":-5\r\n");
    peers_ask(&a, "MGET k none k");
    ck_answered(a, "*3\r\n$5\r\nvalue\r\n$-1\r\n$5\r\nvalue\r\n");
    peers_ask(&a, "INCR k");
    ck_answered(a, "-ERR value is not an integer or out of range\r\n");
    peers_ask(&a, "NONSENSE");
    ck_answered(a, "-ERR unknown command 'NONSENSE', with args beginning with: \r\n");
    peers_ask(&a, "EVAL return{{1,{2}},{err='PLATOONMOVED\\t7'},redis.status_reply('x')} 0");
    ck_answered(a, "*3\r\n*2\r\n:1\r\n*1\r\n:2\r\n-PLATOONMOVED\t7\r\n+x\r\n");
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
}
END_TEST

START_TEST(test_by_tcp)
{
    redis_fixture_start(&peers.server, true, NULL);
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.port);
    peers_ask(&a, "ECHO one");
    ck_answered(a, "$3\r\none\r\n");
    peers_ring("localhost:%d", peers.server.port);
    peers_ask(&a, "ECHO two");
    ck_answered(a, "$3\r\ntwo\r\n");
}
END_TEST

START_TEST(test_bytes_of_any_kind)
{
    start();
    static const char bytes[] = "a\0\r\n$\xff";
    struct slice set[] = {slice_of("SET"), slice_make(bytes, 6), slice_make(NULL, 0)};
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, set, 3, 20000, peers_on_told, &a), 0);
    struct slice echo[] = {slice_of("ECHO"), slice_make(bytes, 6)};
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, echo, 2, 20000, peers_on_told, &b), 0);
    peers_until(b.times > 0);
    ck_answered(a, "+OK\r\n");
    ck_assert_uint_eq(b.len, 12);
    ck_assert_int_eq(memcmp(b.answer, "$6\r\na\0\r\n$\xff\r\n", 12), 0);
}
END_TEST

/* Those that waited for the connection, those of its first turn, those behind them. */
#define MANY 10000
static struct {
    int number;
    bool told;
} many[MANY];
static int many_told;

static void on_many(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    char wanted[40];
    int number = (int)((char *)ctx - (char *)many) / (int)sizeof *many;
    snprintf(wanted, sizeof wanted, ":%d\r\n", number + 1);
    ck_assert_msg(result == CACHE_PEER_ANSWERED, "%s", why);
    ck_assert_msg(slice_is(answer, wanted), "%s: %.*s", wanted, (int)answer.len, answer.ptr);
    ck_assert_int_eq(number, many_told++);
}

static void send_many(int from, int to)
{
    struct slice words[] = {slice_of("INCR"), slice_of("n")};
    for (int i = from; i < to; i++)
        ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, words, 2, 20000, on_many, &many[i]), 0);
}

START_TEST(test_ten_thousand_in_order)
{
    peers.options.queue_max = 16 << 20;
    start();
    send_many(0, MANY / 4);
    for (int i = MANY / 4; i < MANY; i += 100) {
        if (i > MANY / 2)
            peers_turn();
        send_many(i, i + 100);
    }
    peers_until(many_told == MANY);
}
END_TEST

static int chain_left = 100;

/* Asks again from within an answer. */
static void on_chain(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    struct slice words[] = {slice_of("INCR"), slice_of("n")};
    peers_on_told(result, answer, why, ctx);
    if (--chain_left > 0)
        ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, words, 2, 20000, on_chain, ctx), 0);
}

START_TEST(test_sends_from_an_answer)
{
    start();
    on_chain(CACHE_PEER_ANSWERED, slice_of(""), "", &a);
    peers_until(chain_left == 0);
    ck_assert_str_eq(a.answer, ":99\r\n");
}
END_TEST

START_TEST(test_who_is_not_there)
{
    struct slice word = slice_of("PING");
    start();
    ck_assert_int_eq(cache_peers_send(peers.p, PEER + 1, 0, &word, 1, 1000, peers_on_told, &a),
                     -ENOENT);
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, &word, 0, 1000, peers_on_told, &a),
                     -EINVAL);
    peers_ask(&b, "PING");
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, &word, 0, 1000, peers_on_told, &a),
                     -EINVAL);
    ck_assert_int_eq(a.times, 0);
}
END_TEST

START_TEST(test_several_nodes)
{
    start();
    struct redis_fixture other;
    char at[2][200];
    redis_fixture_init(&other);
    redis_fixture_start(&other, false, NULL);
    snprintf(at[0], sizeof at[0], "unix:%s", peers.server.socket);
    snprintf(at[1], sizeof at[1], "unix:%s", other.socket);
    struct cache_peer_node nodes[] = {{4000000000u, slice_of("x"), slice_of(at[1])},
                                      {PEER, slice_of("node.2"), slice_of(at[0])},
                                      {1, slice_of("y"), slice_of("unix:/nowhere")}};
    ck_assert_int_eq(cache_peers_set(peers.p, nodes, 3), 0);
    struct slice set[] = {slice_of("SET"), slice_of("who"), slice_of("other")};
    ck_assert_int_eq(cache_peers_send(peers.p, 4000000000u, 0, set, 3, 20000, peers_on_told, &b),
                     0);
    peers_ask(&a, "SET who first");
    peers_until(b.times > 0);
    peers_ask(&a, "GET who");
    ck_answered(a, "$5\r\nfirst\r\n");
    struct slice get[] = {slice_of("GET"), slice_of("who")};
    b.times = 0;
    ck_assert_int_eq(cache_peers_send(peers.p, 4000000000u, 0, get, 2, 20000, peers_on_told, &b),
                     0);
    peers_until(b.times > 0);
    ck_answered(b, "$5\r\nother\r\n");
    nodes[2].incarnation = PEER;
    ck_assert_int_eq(cache_peers_set(peers.p, nodes, 3), -EINVAL);
    peers_ask(&a, "GET who");
    ck_answered(a, "$5\r\nfirst\r\n");
    redis_fixture_fini(&other);
}
END_TEST

/* By redis_conn's own rule each of these ends the connection, or changes what it says. */
START_TEST(test_errors_are_the_callers)
{
    static const char *const errors[] = {
        "NOREPLICAS Not enough good replicas to write.",
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "NOAUTH Authentication required.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF the log cannot be written",
        "TRYAGAIN node.2 has no lease",
        "PLATOONMOVED 7",
        "NOPERM this user has no permissions",
        "ERR Error running script: -READONLY x",
    };
    start();
    peers_ask(&a, "CLIENT ID");
    char first[128];
    memcpy(first, a.answer, sizeof first);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        char wanted[200];
        struct slice eval[] = {slice_of("EVAL"), slice_of("return {err = ARGV[1]}"), slice_of("0"),
                               slice_of(errors[i])};
        a.times = 0;
        ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, eval, 4, 20000, peers_on_told, &a), 0);
        peers_until(a.times > 0);
        snprintf(wanted, sizeof wanted, "-%s\r\n", errors[i]);
        ck_answered(a, wanted);
    }
    peers_ask(&a, "CLIENT ID");
    ck_answered(a, first);
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
}
END_TEST

static void start_secret(const char *secret)
{
    static const char *const arguments[] = {"--requirepass", "s3cret", NULL};
    redis_fixture_start(&peers.server, false, arguments);
    if (secret != NULL)
        peers.options.secret_file = strdup(redis_fixture_write(&peers.server, "secret", secret));
    peers_open();
    peers_ring("unix:%s", peers.server.socket);
}

START_TEST(test_secret)
{
    start_secret("s3cret\n");
    peers_ask(&a, "ECHO x");
    ck_answered(a, "$1\r\nx\r\n");
    free((char *)(uintptr_t)peers.options.secret_file);
}
END_TEST

START_TEST(test_secret_is_another)
{
    start_secret("wrong-one\n");
    ck_assert_int_eq(peers_send(&b, "ECHO late"), 0);
    peers_until(cache_peers_trouble(peers.p)[0] != '\0');
    const char *trouble = cache_peers_trouble(peers.p);
    ck_says(trouble, "node.1 cannot reach cache node node.2 at unix:/tmp/");
    ck_says(trouble, "WRONGPASS");
    ck_says(trouble, "give all nodes of the ring the same secret_file");
    ck_assert_ptr_null(strstr(trouble, "redis at"));
    ck_assert_ptr_null(strstr(trouble, "wrong-one"));
    ck_assert_int_eq(peers_send_within(&a, "ECHO x", 1), 0);
    peers_until(a.times > 0);
    ck_told(a, AWAY, "cache node node.2 at unix:/tmp/");
    ck_says(a.why, "WRONGPASS");
    redis_fixture_write(&peers.server, "secret", "s3cret\n"); /* cured, and what waited is done */
    peers_until(b.times > 0);
    ck_answered(b, "$4\r\nlate\r\n");
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
    free((char *)(uintptr_t)peers.options.secret_file);
}
END_TEST

START_TEST(test_secret_is_missing)
{
    start_secret(NULL);
    ck_assert_int_eq(peers_send_within(&a, "ECHO x", 20000), 0);
    peers_until(cache_peers_trouble(peers.p)[0] != '\0');
    ck_says(cache_peers_trouble(peers.p), "give all nodes of the ring the same secret_file");
    ck_assert_ptr_null(strstr(cache_peers_trouble(peers.p), "password_file"));
}
END_TEST

START_TEST(test_secret_where_none_is_wanted)
{
    redis_fixture_start(&peers.server, false, NULL);
    peers.options.secret_file = strdup(redis_fixture_write(&peers.server, "secret", "s3cret"));
    peers_open();
    peers_ring("unix:%s", peers.server.socket);
    ck_assert_int_eq(peers_send(&a, "ECHO x"), 0);
    peers_until(cache_peers_trouble(peers.p)[0] != '\0');
    ck_says(cache_peers_trouble(peers.p), "give all nodes of the ring the same secret_file");
    unlink(peers.options.secret_file);
    peers_until(strstr(cache_peers_trouble(peers.p), "cannot read secret_file /tmp/") != NULL);
    free((char *)(uintptr_t)peers.options.secret_file);
}
END_TEST

/* A node that is being started again: what came meanwhile waits for it. */
START_TEST(test_comes_back)
{
    start();
    peers_ask(&a, "PING");
    redis_fixture_kill(&peers.server, SIGKILL);
    peers_until(strstr(cache_peers_trouble(peers.p), "refused: is it running?") != NULL);
    ck_assert_int_eq(peers_send(&a, "SET k 1"), 0);
    ck_assert_int_eq(peers_send(&b, "INCR k"), 0);
    redis_fixture_start(&peers.server, false, NULL);
    ck_assert_int_eq(peers_send(&c, "INCR k"), 0);
    peers_until(c.times > 0);
    ck_answered(a, "+OK\r\n");
    ck_answered(b, ":2\r\n");
    ck_answered(c, ":3\r\n");
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
}
END_TEST

/*
 * One that waited for a node without an address is told at the next turn, or goes with those of after when they are
 * quicker: then it has its own time again, and is not told after 1 ms that it has no answer.
 */
START_TEST(test_sent_before_it_was_told)
{
    redis_fixture_start(&peers.server, false, NULL);
    peers_open();
    for (int i = 0; i < 2000; i++) {
        peers_ring("none");
        ck_assert_int_eq(peers_send(&a, "BLPOP none 0.01"), 0);
        peers_ring("unix:%s", peers.server.socket);
        ck_assert_int_eq(peers_send(&b, "ECHO b"), 0);
        peers_until(a.times > 0 && b.times > 0);
        ck_answered(b, "$1\r\nb\r\n");
        if (a.result == CACHE_PEER_ANSWERED)
            break;
        ck_assert_msg(a.result == CACHE_PEER_AWAY, "%s", a.why);
    }
    ck_answered(a, "*-1\r\n");
}
END_TEST

START_TEST(test_answer_that_is_too_large)
{
    peers.options.reply_max = 1000;
    start();
    ck_assert_int_eq(peers_send(&a, "SETRANGE k 500000 x"), 0);
    ck_assert_int_eq(peers_send(&b, "GET k"), 0);
    ck_assert_int_eq(peers_send(&c, "PING"), 0);
    peers_until(c.times > 0);
    ck_answered(a, ":500001\r\n");
    ck_told(b, UNKNOWN, "its answer is larger than 1000 bytes: ask for fewer objects at a time");
    ck_told(c, UNKNOWN, "ask for fewer objects at a time");
    peers_ask(&a, "PING");
    ck_answered(a, "+PONG\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_peers", peers_set_up, peers_tear_down, test_answers_as_they_were_said,
                test_by_tcp, test_bytes_of_any_kind, test_ten_thousand_in_order,
                test_sends_from_an_answer, test_who_is_not_there, test_several_nodes,
                test_errors_are_the_callers, test_secret, test_secret_is_another,
                test_secret_is_missing, test_secret_where_none_is_wanted, test_comes_back,
                test_sent_before_it_was_told, test_answer_that_is_too_large)
