/*
 * test_cache_peers_lost.c: what has become of a command whose node dies, is silent, moves or leaves; and of all when
 * this node ends. Against a server of the test's own, so that it is known what it has read.
 */
#include "test/unit/cache/peers_fixture.h"

#include "workers/cache/peer/cache_peer_sent.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static struct peers_told a, b, c, d;
static int listener, fd;

static void start(void)
{
    listener = peers_listen("node");
    peers_open();
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "node"));
}

/* With a connection over which one command has been answered. */
static void start_connected(void)
{
    start();
    ck_assert_int_eq(peers_send(&a, "FIRST"), 0);
    fd = peers_accept(listener);
    peers_read(fd, "FIRST\r\n");
    peers_say(fd, ":1\r\n");
    peers_until(a.times > 0);
    ck_answered(a, ":1\r\n");
    peers.in_len = 0;
}

static bool has_ended(int connection)
{
    char byte;
    ssize_t n = recv(connection, &byte, 1, MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* ---- it dies ---- */

/* What it had read is unknown, also that which it may not have read; what came behind is answered by the next. */
START_TEST(test_dies_with_commands)
{
    start_connected();
    ck_assert_int_eq(peers_send(&a, "SET a 1"), 0);
    ck_assert_int_eq(peers_send(&b, "SET b 1"), 0);
    peers_read(fd, "SET\r\n$1\r\nb\r\n$1\r\n1\r\n");
    peers_say(fd, "+OK\r\n");
    peers_until(a.times > 0);
    close(fd);
    peers_until(b.times > 0);
    ck_answered(a, "+OK\r\n");
    ck_told(b, UNKNOWN, "cache node node.2 at unix:/tmp/");
    ck_says(b.why, "it closed the connection");
    ck_assert_int_eq(peers_send(&c, "SET c 1"), 0);
    fd = peers_accept(listener);
    peers_read(fd, "SET\r\n$1\r\nc\r\n$1\r\n1\r\n");
    ck_assert_ptr_null(memmem(peers.in, peers.in_len, "b", 1)); /* nothing is sent twice */
    peers_say(fd, "+OK\r\n");
    peers_until(c.times > 0);
    ck_answered(c, "+OK\r\n");
}
END_TEST

/* The end of the connection and a command meet in one turn of the loop: nothing of that has left. */
static void on_last(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    peers_on_told(result, answer, why, ctx);
    ck_assert_int_eq(peers_send(&b, "SET b 1"), 0);
}

START_TEST(test_dies_before_it_is_sent)
{
    start_connected();
    struct slice word = slice_of("LAST");
    a.times = 0;
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, &word, 1, 20000, on_last, &a), 0);
    peers_read(fd, "LAST\r\n");
    peers_say(fd,
              "+OK\r\n?"); /* and then what is no answer: it ends while b is still to be written */
    peers_until(b.times > 0);
    ck_answered(a, "+OK\r\n");
    ck_told(b, AWAY, "is it a cache node?");
    close(fd);
}
END_TEST

/* Of those that were sent and those that were not, in order, each what it is. */
static void on_sent(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    peers_on_told(result, answer, why, ctx);
    ck_assert_int_eq(peers_send(&c, "C"), 0);
    ck_assert_int_eq(peers_send(&d, "D"), 0);
}

START_TEST(test_dies_in_between)
{
    start_connected();
    struct slice word = slice_of("LAST");
    a.times = 0;
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, &word, 1, 20000, on_sent, &a), 0);
    ck_assert_int_eq(peers_send(&b, "B"), 0);
    peers_read(fd, "B\r\n");
    peers_say(fd, "+OK\r\n?");
    peers_until(d.times > 0);
    ck_answered(a, "+OK\r\n");
    ck_told(b, UNKNOWN, "is it a cache node?");
    ck_told(c, AWAY, "is it a cache node?");
    ck_told(d, AWAY, "is it a cache node?");
    ck_assert(a.order < b.order && b.order < c.order && c.order < d.order);
    close(fd);
}
END_TEST

START_TEST(test_is_not_there)
{
    peers_open();
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "nobody"));
    ck_assert_int_eq(peers_send_within(&a, "SET a 1", 200), 0);
    ck_assert_int_eq(peers_send_within(&b, "SET b 1", 1), 0);
    ck_assert_int_eq(peers_send_within(&c, "SET c 1", 0), 0);
    peers_until(a.times > 0);
    ck_told(a, AWAY, "no such socket: is it running, and is the path right?");
    ck_assert(b.times == 1 && b.result == CACHE_PEER_AWAY && b.order < a.order);
    ck_assert(c.times == 1 && c.result == CACHE_PEER_AWAY);
    ck_says(cache_peers_trouble(peers.p), "no such socket");
}
END_TEST

/* ---- it is silent ---- */

/* It accepts, and says nothing. */
START_TEST(test_never_answers_the_connection)
{
    start();
    ck_assert_int_eq(peers_send_within(&a, "SET a 1", 50), 0);
    peers_until(a.times > 0);
    ck_told(a, AWAY, "not connected within 50 ms: is it overloaded or stopped?");
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
}
END_TEST

/* Each has its own deadline; a late answer is nobody's, and what follows gets its own. */
START_TEST(test_late_answers)
{
    start_connected();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    b.times = d.times = 0;
    ck_assert_int_eq(peers_send_within(&b, "B", 30), 0);
    ck_assert_int_eq(peers_send(&c, "C"), 0);
    ck_assert_int_eq(peers_send_within(&d, "D", 10), 0);
    peers_read(fd, "D\r\n");
    peers_until(b.times > 0 && d.times > 0);
    ck_told(b, UNKNOWN, "no answer within 30 ms: is it overloaded or stopped?");
    ck_told(d, UNKNOWN, "no answer within 10 ms");
    ck_assert_int_eq(a.times + c.times, 0);
    peers_say(fd, ":1\r\n:2\r\n:3\r\n");
    peers_until(c.times > 0);
    ck_answered(a, ":1\r\n");
    ck_answered(c, ":3\r\n");
    peers_say(fd, ":4\r\n");
    ck_assert_int_eq(peers_send(&a, "E"), 0);
    peers_read(fd, "E\r\n");
    peers_say(fd, ":5\r\n");
    peers_until(a.times > 0);
    ck_answered(a, ":5\r\n");
    ck_assert_int_eq(b.times + d.times, 2);
    ck_assert(!has_ended(fd));
}
END_TEST

static void send_numbered(struct peers_told *told, uint64_t number, const char *word)
{
    struct slice words = slice_of(word);
    *told = (struct peers_told){.times = 0};
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, number, &words, 1, 60000, peers_on_told, told),
                     0);
}

/* What has a number is answered in any order, and what has none when it is the first of all. */
START_TEST(test_answers_in_any_order)
{
    start_connected();
    send_numbered(&a, 5, "A");
    send_numbered(&b, 5 + CACHE_PEER_SENT_SLOTS, "B");
    send_numbered(&c, 6, "C");
    peers_read(fd, "C\r\n");
    peers_say(fd, "*2\r\n:261\r\n*2\r\n:5\r\n:7\r\n");
    peers_until(b.times > 0);
    ck_answered(b, "*2\r\n:5\r\n:7\r\n");
    ck_assert_int_eq(a.times + c.times, 0);
    peers_say(fd, "*2\r\n:6\r\n-ERR no\r\n");
    peers_until(c.times > 0);
    ck_answered(c, "-ERR no\r\n");
    send_numbered(&b, 7, "B");
    peers_read(fd, "B\r\n");
    peers_say(fd, "-ERR unknown command\r\n");
    peers_until(a.times > 0);
    ck_answered(a, "-ERR unknown command\r\n");
    ck_assert_int_eq(b.times, 0);
    peers_say(fd, "*2\r\n:7\r\n$-1\r\n");
    peers_until(b.times > 0);
    ck_answered(b, "$-1\r\n");
}
END_TEST

/* What has not left is known exactly all the same: not the one that was answered, but those that were sent last. */
static void on_second(enum cache_peer_result result, struct slice answer, const char *why,
                      void *ctx)
{
    peers_on_told(result, answer, why, ctx);
    send_numbered(&c, 3, "C");
    send_numbered(&d, 4, "D");
}

START_TEST(test_dies_when_some_were_answered)
{
    start_connected();
    struct slice word = slice_of("B");
    send_numbered(&a, 1, "A");
    b.times = 0;
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 2, &word, 1, 20000, on_second, &b), 0);
    peers_read(fd, "B\r\n");
    peers_say(fd, "*2\r\n:2\r\n+OK\r\n?");
    peers_until(d.times > 0);
    ck_answered(b, "+OK\r\n");
    ck_told(a, UNKNOWN, "is it a cache node?");
    ck_told(c, AWAY, "is it a cache node?");
    ck_told(d, AWAY, "is it a cache node?");
    ck_assert(a.order < c.order && c.order < d.order);
    close(fd);
}
END_TEST

START_TEST(test_silent_for_too_long)
{
    peers.options.silence_ms = 1000;
    start_connected();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    b.times = 0;
    ck_assert_int_eq(peers_send_within(&b, "B", 1), 0);
    peers_read(fd, "B\r\n");
    peers_until(a.times > 0);
    ck_told(a, UNKNOWN, "no answer to a command within 1000 ms: is it overloaded or stopped?");
    ck_assert_int_eq(b.times, 1);
    peers_until(has_ended(fd));
}
END_TEST

START_TEST(test_queue_is_bounded)
{
    char value[1001];
    memset(value, 'x', 1000);
    value[1000] = '\0';
    struct slice words[] = {slice_of("SET"), slice_of("k"), slice_of(value)};
    peers.options.queue_max = 10000;
    start();
    int count = 0, rc;
    static struct peers_told all[20];
    while ((rc = cache_peers_send(peers.p, PEER, 0, words, 3, 20000, peers_on_told, &all[count])) ==
           0)
        ck_assert_int_lt(++count, 10);
    ck_assert_int_eq(rc, -ENOBUFS);
    ck_assert_int_ge(count, 8);
    fd = peers_accept(listener);
    peers_read(fd, "x\r\n");
    ck_assert_int_eq(peers_send(&a, value), -ENOBUFS); /* sent, and not answered yet */
    peers_say(fd, "+OK\r\n");
    peers_until(all[0].times > 0);
    ck_answered(all[0], "+OK\r\n");
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, words, 3, 20000, peers_on_told, &a), 0);
    static char large[10000]; /* never, however little waits */
    words[2] = slice_make(large, sizeof large);
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, words, 3, 20000, peers_on_told, &a),
                     -EMSGSIZE);
}
END_TEST

/* ---- it leaves, it moves ---- */

START_TEST(test_leaves)
{
    start_connected();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    peers_read(fd, "A\r\n");
    ck_assert_int_eq(cache_peers_set(peers.p, NULL, 0), 0);
    ck_assert_int_eq(peers_send(&b, "B"), -ENOENT);
    for (int i = 0; i < 5; i++)
        peers_turn();
    ck_assert(!has_ended(fd)); /* it owes an answer */
    peers_say(fd, ":1\r\n");
    peers_until(a.times > 0);
    ck_answered(a, ":1\r\n");
    peers_until(has_ended(fd));
}
END_TEST

START_TEST(test_leaves_and_does_not_answer)
{
    start_connected();
    a.times = 0;
    ck_assert_int_eq(peers_send_within(&a, "A", 30), 0);
    peers_read(fd, "A\r\n");
    ck_assert_int_eq(cache_peers_set(peers.p, NULL, 0), 0);
    peers_until(a.times > 0);
    ck_told(a, UNKNOWN, "no answer within 30 ms");
    peers_until(has_ended(fd));
}
END_TEST

START_TEST(test_leaves_with_those_that_wait)
{
    start();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    ck_assert_int_eq(peers_send(&b, "B"), 0);
    ck_assert_int_eq(cache_peers_set(peers.p, NULL, 0), 0);
    ck_assert_int_eq(a.times, 0);                                     /* from the loop only */
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "node")); /* there again */
    ck_assert_int_eq(peers_send(&c, "C"), 0);
    fd = peers_accept(listener);
    peers_read(fd, "C\r\n");
    peers_say(fd, ":3\r\n");
    peers_until(b.times > 0 && c.times > 0);
    ck_told(a, AWAY, "it has left the ring");
    ck_told(b, AWAY, "it has left the ring");
    ck_assert_int_lt(a.order, b.order);
    ck_answered(c, ":3\r\n");
}
END_TEST

/* With nothing that waits it keeps its connection. */
START_TEST(test_leaves_and_comes_back)
{
    start_connected();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    ck_assert_int_eq(cache_peers_set(peers.p, NULL, 0), 0);
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "node"));
    ck_assert_int_eq(peers_send(&b, "B"), 0);
    peers_read(fd, "B\r\n");
    peers_say(fd, ":1\r\n:2\r\n");
    peers_until(b.times > 0);
    ck_answered(a, ":1\r\n");
    ck_answered(b, ":2\r\n");
    ck_assert(!has_ended(fd));
}
END_TEST

START_TEST(test_moves)
{
    start_connected();
    int other = peers_listen("other");
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    peers_read(fd, "A\r\n");
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "other"));
    ck_assert_int_eq(peers_send(&b, "B"), 0);
    ck_assert_int_eq(peers_send(&c, "C"), 0);
    for (int i = 0; i < 5; i++)
        peers_turn();
    ck_assert_int_eq(accept(other, NULL, NULL), -1); /* not before A is known */
    peers_say(fd, ":1\r\n");
    int next = peers_accept(other);
    ck_answered(a, ":1\r\n");
    peers_until(has_ended(fd));
    peers_read(next, "C\r\n");
    peers_say(next, ":2\r\n:3\r\n");
    peers_until(c.times > 0);
    ck_answered(b, ":2\r\n");
    ck_answered(c, ":3\r\n");
}
END_TEST

START_TEST(test_moves_while_it_cannot_be_reached)
{
    peers_open();
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "nobody"));
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    peers_until(cache_peers_trouble(peers.p)[0] != '\0');
    listener = peers_listen("node");
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "node"));
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
    fd = peers_accept(listener);
    peers_read(fd, "A\r\n");
    peers_say(fd, ":1\r\n");
    peers_until(a.times > 0);
    ck_answered(a, ":1\r\n");
}
END_TEST

START_TEST(test_address_that_is_none)
{
    start_connected();
    peers_ring("evil\033[2J.host:1 x");
    const char *trouble = cache_peers_trouble(peers.p);
    ck_says(trouble,
            "node.1 cannot reach cache node node.2 at evil?[2J.host:1 x: that is no address: "
            "set advertise");
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    ck_assert_int_eq(a.times, 0);
    peers_until(a.times > 0);
    ck_told(a, AWAY, "that is no address: set advertise");
    peers_until(has_ended(fd));
    peers_ring("unix:%s", redis_fixture_path(&peers.server, "node"));
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    fd = peers_accept(listener);
}
END_TEST

START_TEST(test_names_that_are_too_long)
{
    char name[500], address[500];
    memset(name, 'n', sizeof name);
    memset(address, 'h', sizeof address);
    peers_open();
    struct cache_peer_node nodes[] = {
        {1, slice_make(name, sizeof name), slice_make(address, sizeof address)},
        {2, slice_of("two"), slice_of("")}};
    ck_assert_int_eq(cache_peers_set(peers.p, nodes, 2), 0);
    ck_says(cache_peers_trouble(peers.p), "that is no address");
    ck_says(cache_peers_trouble(peers.p), " (and 1 more)");
}
END_TEST

/* ---- this node ends ---- */

START_TEST(test_free_with_commands_under_way)
{
    start_connected();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    b.times = 0;
    ck_assert_int_eq(peers_send_within(&b, "B", 5), 0);
    peers_read(fd, "B\r\n");
    peers_until(b.times > 0);
    ck_assert_int_eq(peers_send(&c, "C"), 0); /* of this turn, not yet written */
    cache_peers_free(peers.p);
    peers.p = NULL;
    ck_told(a, UNKNOWN, "this node (node.1) is stopping");
    ck_told(c, AWAY, "this node (node.1) is stopping");
    ck_assert_int_eq(b.times, 1);
    ck_assert_int_lt(a.order, c.order);
}
END_TEST

START_TEST(test_free_with_those_that_wait)
{
    start();
    ck_assert_int_eq(peers_send(&a, "A"), 0);
    ck_assert_int_eq(peers_send(&b, "B"), 0);
    cache_peers_free(peers.p);
    peers.p = NULL;
    ck_told(a, AWAY, "is stopping");
    ck_told(b, AWAY, "is stopping");
    ck_assert_int_lt(a.order, b.order);
}
END_TEST

/* Whatever `fn` does: it frees all, or lets its node leave, wherever it is called. */
static void on_free(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    peers_on_told(result, answer, why, ctx);
    cache_peers_free(peers.p);
    struct slice word = slice_of("X");
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, &word, 1, 1, peers_on_told, &d), -ENOENT);
    ck_assert_int_lt(cache_peers_set(peers.p, NULL, 0), 0);
}

static void on_leave(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    peers_on_told(result, answer, why, ctx);
    ck_assert_int_eq(cache_peers_set(peers.p, NULL, 0), 0);
}

static const cache_peer_fn does[] = {on_free, on_leave};

/* 0: by an answer, 1: by a connection that is lost, 2: by the deadline of one that was sent, 3: of one that waits. */
START_TEST(test_done_from_within)
{
    cache_peer_fn fn = does[_i % 2];
    int way = _i / 2;
    struct slice word = slice_of("A");
    if (way < 3)
        start_connected();
    else
        start();
    a.times = 0;
    ck_assert_int_eq(cache_peers_send(peers.p, PEER, 0, &word, 1, way < 2 ? 20000 : 5, fn, &a), 0);
    ck_assert_int_eq(peers_send(&b, "B"), 0);
    if (way < 3)
        peers_read(fd, "B\r\n");
    if (way == 0)
        peers_say(fd, ":1\r\n");
    if (way == 1)
        close(fd);
    peers_until(a.times > 0);
    if (fn == on_leave && way == 0)
        peers_say(fd, ":2\r\n");
    if (fn == on_leave && way == 2)
        peers_say(fd, ":1\r\n:2\r\n");
    peers_until(b.times > 0);
    ck_assert_int_eq(a.times, 1);
    ck_assert_int_eq(b.times, 1);
    ck_assert_int_lt(a.order, b.order);
    ck_assert_int_eq(a.result, way == 0   ? CACHE_PEER_ANSWERED
                               : way == 3 ? CACHE_PEER_AWAY
                                          : CACHE_PEER_UNKNOWN);
    bool knows = fn == on_leave && (way == 0 || way == 2);
    ck_assert_int_eq(b.result, knows      ? CACHE_PEER_ANSWERED
                               : way == 3 ? CACHE_PEER_AWAY
                                          : CACHE_PEER_UNKNOWN);
    if (fn == on_free)
        peers.p = NULL;
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_dies_with_commands,
                                  test_dies_before_it_is_sent,
                                  test_dies_in_between,
                                  test_is_not_there,
                                  test_never_answers_the_connection,
                                  test_late_answers,
                                  test_answers_in_any_order,
                                  test_dies_when_some_were_answered,
                                  test_silent_for_too_long,
                                  test_queue_is_bounded,
                                  test_leaves,
                                  test_leaves_and_does_not_answer,
                                  test_leaves_with_those_that_wait,
                                  test_leaves_and_comes_back,
                                  test_moves,
                                  test_moves_while_it_cannot_be_reached,
                                  test_address_that_is_none,
                                  test_names_that_are_too_long,
                                  test_free_with_commands_under_way,
                                  test_free_with_those_that_wait};
    Suite *suite = suite_create("cache_peers_lost");
    TCase *tc = tcase_create("cache_peers_lost");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, peers_set_up, peers_tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, test_done_from_within, 0, 8);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
