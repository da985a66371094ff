/*
 * test_cache_owner.c: which node runs a command, and commands that another node has sent: PLATOON.FOR
 * (workers/cache/cache_owner.h, workers/cache/command/command_dispatch.c).
 */
#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_above.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/ring/cache_cells.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_up(void)
{
    far_set_up();
    play_owner("k2", 2);
    play_owner("k3", 3);
}

/* ---- clients of this node ---- */

/* Nobody has said yet: it waits, and what is behind it. */
START_TEST(waits_until_somebody_says)
{
    fake_manager.answers = false;
    far_send(far_client, "SET a 1|SET b 2|PING");
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 2); /* the second was asked for ahead */
    far_expect_nothing(far_client);
    ck_assert(play_own(claim, CACHE_RING_OURS, ++fake_manager.number));
    far_expect(far_client, "+OK\r\n+OK\r\n+PONG\r\n");
}
END_TEST

/* Nothing without a lease, nor when it ends in the middle. */
START_TEST(waits_for_a_lease)
{
    far_get("SET own 1", "+OK\r\n");
    play_lease_over();
    far_send(far_client, "GET own|PING");
    far_expect_nothing(far_client);
    play_lease(PLAY_HOUR);
    far_expect(far_client, "$1\r\n1\r\n+PONG\r\n");
}
END_TEST

START_TEST(no_lease_in_time)
{
    far_begin(150);
    play_lease_over();
    far_send(far_client, "GET own|GET own|PING");
    const char *came = far_came(far_client, "+PONG\r\n");
    ck_says(came, "-TRYAGAIN the ring of cache/test/node.1: Redis has not confirmed for `lease`");
}
END_TEST

#define LOST                                                                                       \
    "-TRYAGAIN cache node node at unix:/nowhere, which has this object, is lost: it is served "    \
    "again when that node is back (platoonctl cache ring), or was forgotten (cache forget)\r\n"

/* Of a lost node: refused at once, by its name, as far as that is known. */
START_TEST(of_a_lost_node)
{
    fake_manager.answers = false;
    far_send(far_client, "GET lost|MGET own lost|PING");
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    struct cache_ring_owner owners[8];
    for (size_t i = 0; i < claim->count; i++)
        owners[i] = claim->cells[i].cell == play_cell("lost")
                        ? (struct cache_ring_owner){CACHE_RING_LOST_CELL, 3}
                        : (struct cache_ring_owner){CACHE_RING_OURS, ++fake_manager.number};
    ck_assert(play_own_each(claim, owners, claim->count));
    const char *came = far_came(far_client, "+PONG\r\n");
    ck_assert_str_eq(came, LOST LOST "+PONG\r\n");
    far_send(far_client, "GET unknown|PING"); /* one of which this node has not been told yet */
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_LOST_CELL, 9));
    ck_says(far_came(far_client, "+PONG\r\n"),
            "-TRYAGAIN the node that has this object is lost: it is served again when that node ");
}
END_TEST

/* Keys of strays are the node's own. */
START_TEST(keys_of_strays)
{
    static const char get[] =
        "*2\r\n$3\r\nGET\r\n$24\r\n" CACHE_STRAY_PREFIX "\0\0\0\0\0\0\0\1k\r\n";
    size_t len = sizeof CACHE_STRAY_PREFIX + 9;
    char line[128];
    int head = snprintf(line, sizeof line, "*2\r\n$3\r\nGET\r\n$%zu\r\n", len);
    node_send(far_client, line, (size_t)head);
    node_send(far_client, get + sizeof "*2\r\n$3\r\nGET\r\n$24\r\n" - 1, len);
    node_send(far_client, "\r\n", 2);
    far_expect(far_client, "-" CACHE_ACCESS_HIDDEN "\r\n");
}
END_TEST

/* More keys than a view of them has room for at first. */
START_TEST(very_many_keys)
{
    struct buffer line = BUFFER_EMPTY, heard = BUFFER_EMPTY, answer = BUFFER_EMPTY;
    buffer_append_text(&line, "EXISTS");
    buffer_append_text(&heard, "PLATOON.FOR 2 1 0 EXISTS");
    for (int i = 0; i < 200; i++) {
        buffer_append_text(&line, i % 2 == 0 ? " k2" : " k3");
        if (i % 2 == 0)
            buffer_append_text(&heard, " k2");
    }
    far_send(far_client, buffer_text(&line));
    ck_heard(2, buffer_text(&heard));
    far_heard(3);
    far_say(2, ":100\r\n");
    far_say(3, ":7\r\n");
    far_expect(far_client, ":107\r\n");
    buffer_fini(&line);
    buffer_fini(&heard);
    buffer_fini(&answer);
}
END_TEST

/* ---- what another node has sent ---- */

START_TEST(sent_and_ours)
{
    far_get("SET own 1", "+OK\r\n");
    far_get("PLATOON.FOR 1 2 0 GET own", "$1\r\n1\r\n");
    far_get("platoon.for 1 2 1 INCR own", ":2\r\n");
    far_get("PLATOON.FOR 1 2 0 NOSUCH own",
            "-ERR unknown command 'NOSUCH', with args beginning with: 'own' \r\n");
    far_get("PLATOON.FOR 1 2 0 GET", "-ERR wrong number of arguments for 'get' command\r\n");
    far_get("PLATOON.FOR 1 2 0 PING", "+PONG\r\n");
    far_get("GET own", "$1\r\n2\r\n"); /* from the client itself again */
}
END_TEST

/* Who it took us for we are not any more; nothing ran. */
START_TEST(sent_to_another_incarnation)
{
    far_get("SET own 1", "+OK\r\n");
    far_get("PLATOON.FOR 2 3 0 INCR own", "-PLATOONMOVED this is another node by now\r\n");
    far_get("PLATOON.FOR 0 3 0 INCR own", "-PLATOONMOVED this is another node by now\r\n");
    far_get("PLATOON.FOR 4294967297 3 0 INCR own", "-PLATOONMOVED this is another node by now\r\n");
    far_get("CLIENT REPLY SKIP|PLATOON.FOR 2 3 0 INCR own|PING", "+PONG\r\n");
    far_get("GET own", "$1\r\n1\r\n");
}
END_TEST

START_TEST(sent_by_nobody)
{
    far_get("PLATOON.FOR 1 0 0 GET own", "-ERR syntax error\r\n");
    far_get("PLATOON.FOR 1 4294967296 0 GET own", "-ERR syntax error\r\n");
    far_get("PLATOON.FOR 1 -1 0 GET own", "-ERR syntax error\r\n");
    far_get("PLATOON.FOR x 2 0 GET own", "-ERR syntax error\r\n");
    far_get("PLATOON.FOR 1 2 x GET own", "-ERR syntax error\r\n");
    far_send(far_client, "PLATOON.FOR 1 2 0");
    ck_says(far_came(far_client, "\r\n"), "-ERR ");
    far_get("GET own2 x", "-ERR wrong number of arguments for 'get' command\r\n");
}
END_TEST

/* Not ours, as far as is known: refused, and Redis is not asked, unless the sender has been refused before. */
START_TEST(sent_and_not_ours)
{
    static const char moved[] = "-PLATOONMOVED it is not cache/test/node.1's\r\n";
    play_looks("k3");
    node_turn(2);
    fake_manager.answers = false;
    far_get("PLATOON.FOR 1 2 0 GET new", moved);
    play_hears_nothing();
    far_send(far_client, "PLATOON.FOR 1 2 1 SET new 1");
    play_grant("new");
    far_expect(far_client, "+OK\r\n");
    far_send(far_client, "PLATOON.FOR 1 2 1 GET k3");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 3));
    far_expect(far_client, moved); /* it goes nowhere else */
    far_hears_nothing(3);
    far_get("PLATOON.FOR 1 2 0 MGET new k3", moved);
}
END_TEST

/* Without a lease it waits, as a client's does; refused it surely did not run. */
START_TEST(sent_without_a_lease)
{
    far_get("SET own 1", "+OK\r\n");
    play_lease_over();
    far_send(far_client, "PLATOON.FOR 1 2 0 GET own");
    far_expect_nothing(far_client);
    play_lease(PLAY_HOUR);
    far_expect(far_client, "$1\r\n1\r\n");
}
END_TEST

/* When all of a cell's last commands came from one other node, the cell goes there. */
START_TEST(sent_so_often_that_it_moves)
{
    far_get("SET own 1", "+OK\r\n");
    ck_assert(cache_behind_ask(node.behind, slice_of("own")));
    play_stored("own");
    for (int i = 0; i < CACHE_CELLS_STREAK - 1; i++)
        far_get("PLATOON.FOR 1 2 0 GET own", "$1\r\n1\r\n");
    far_get("GET own", "$1\r\n1\r\n"); /* from here: not yet */
    for (int i = 0; i < CACHE_CELLS_STREAK - 1; i++)
        far_get("PLATOON.FOR 1 2 0 GET own", "$1\r\n1\r\n");
    ck_assert_uint_eq(cache_db_count(node.db), 1);
    play_owner("own", 2);
    far_send(far_client, "PLATOON.FOR 1 2 0 GET own");
    ck_says(far_came(far_client, "\r\n"), "-PLATOONMOVED ");
    node_until(cache_db_count(node.db) == 0);
    far_get("PLATOON.FOR 1 2 0 GET own", "-PLATOONMOVED it is not cache/test/node.1's\r\n");
    far_send(far_client, "GET own");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET own");
    far_say(2, "$1\r\n1\r\n");
    far_expect(far_client, "$1\r\n1\r\n");
}
END_TEST

/* The keys that a transaction says it has are those that its commands and what it watches name, and no others. */
START_TEST(keys_of_a_transaction)
{
    static const char *const wrong[] = {"0 0 3 SET k2 x",
                                        "1 own 0 3 SET k2 x",
                                        "1 own 0 2 GET own 2 GET k2",
                                        "2 own k3 0 3 MSET own 1",
                                        "2 own own2 0 2 GET own",
                                        "1 own 1 k2 0 2 GET own",
                                        "1 own 1 own 0 2 GET own",
                                        "2 own k2 1 own2 0 2 GET own",
                                        "9 own 0 2 GET own",
                                        "1 own 0 3 GET own",
                                        "1 own 0 2 GET own 3 CLIENT REPLY SKIP",
                                        "1 own 0 2 GET own 3 CLIENT REPLY OFF",
                                        "1 own 0 2 GET own 3 CLIENT SETNAME x",
                                        "1 own 0 2 GET own 4 CLIENT KILL ID 1",
                                        "1 own 0 2 GET own 2 HELLO 3",
                                        "1 own 0 2 GET own 2 AUTH x",
                                        "1 own 0 2 GET own 1 READONLY"};
    char line[128];
    far_get("MSET own 1 own2 2", "+OK\r\n");
    far_get("PLATOON.EXEC 3 own own2 own 0 2 GET own 3 MGET own2 own",
            "*2\r\n$1\r\n1\r\n*2\r\n$1\r\n2\r\n$1\r\n1\r\n");
    far_get("PLATOON.EXEC 0 0 1 PING", "*1\r\n+PONG\r\n");
    far_get("PLATOON.EXEC 2 own own2 1 own2 1 3 SET own 2", "*-1\r\n");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(line, sizeof line, "PLATOON.FOR 1 2 0 PLATOON.EXEC %s", wrong[i]);
        far_send(far_client, line);
        const char *came = far_came(far_client, "\r\n");
        ck_assert_msg(strcmp(came, "-ERR syntax error\r\n") == 0 ||
                          strncmp(came, "-PLATOONMOVED ", 14) == 0,
                      "%s: %s", line, came);
    }
    far_get("MGET own own2", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    ck_assert_uint_eq(cache_db_count(node.db), 2);
}
END_TEST

/* Loads of what others have sent are begun at once, too; what is not known to be ours is not asked for. */
START_TEST(sent_and_read_ahead)
{
    play_looks("a");
    play_looks("b");
    node_turn(2);
    unsigned before = (unsigned)fake.made[FAKE_GET];
    far_send(far_client,
             "PLATOON.FOR 1 2 0 GET a|PLATOON.FOR 1 2 0 GET b|PLATOON.FOR 1 2 0 GET new");
    node_turn(2);
    ck_assert_uint_eq(fake.made[FAKE_GET], before + 2);
    ck_assert_int_eq(play_state("new"), CACHE_CELL_UNKNOWN);
    fake_have("b", "2", 1);
    fake_have("a", "1", 1);
    ck_came(far_client, 3, "-PLATOONMOVED it is not cache/test/node.1's\r\n", "$1\r\n1\r\n",
            "$1\r\n2\r\n");
}
END_TEST

#define LARGE      ((size_t)1 << 19)
#define LARGE_KEYS 5 /* so that none is asked for so often that it moves */

static void far_set_large(void)
{
    char *value = calloc(1, LARGE + 1);
    memset(value, 'x', LARGE);
    for (int i = 0; i < LARGE_KEYS; i++) {
        struct buffer line = BUFFER_EMPTY;
        char key[16];
        snprintf(key, sizeof key, "own%d", i);
        buffer_printf(&line, "SET %s %s", key, value);
        far_get(buffer_text(&line), "+OK\r\n");
        buffer_fini(&line);
        ck_assert(cache_behind_ask(node.behind, slice_of(key)));
        play_stored(key);
    }
    free(value);
}

/* Another node does not read for a while: its commands wait, and nothing of what its clients asked for is lost. */
START_TEST(sent_and_not_read)
{
    char line[64];
    size_t all = 30 * LARGE_KEYS * (FAR_NUMBER_LEN + LARGE + strlen("$524288\r\n\r\n")), came = 0;
    far_set_large();
    uint64_t before = node.counts.commands;
    for (int i = 0; i < 30 * LARGE_KEYS; i++) {
        snprintf(line, sizeof line, "PLATOON.FOR 1 2 0 GET own%d", i % LARGE_KEYS);
        far_send(far_client, line);
    }
    node_turn(20);
    ck_assert_uint_lt(node.counts.commands - before, 20);
    ck_assert_uint_lt(cache_client_unsent(node.clients), 4 * CACHE_CLIENT_LINK_MAX);
    for (int i = 0; i < 100000 && came < all; i++) {
        char bytes[65536];
        ssize_t got = recv(far_client, bytes, sizeof bytes, MSG_DONTWAIT);
        came += got > 0 ? (size_t)got : 0;
        node_turn(1);
    }
    ck_assert_uint_eq(came, all);
    ck_assert_uint_eq(node.turn.dropped, 0);
    far_get("PLATOON.FOR 1 2 0 STRLEN own0", ":524288\r\n");
}
END_TEST

/* One answer that is more than 64 MB is an error, and the connection goes on. */
START_TEST(sent_and_too_large)
{
    struct buffer many = BUFFER_EMPTY;
    far_set_large();
    buffer_append_text(&many, "PLATOON.FOR 1 2 0 STRLEN own0|PLATOON.FOR 1 2 0 MGET");
    for (int i = 0; i < 28 * LARGE_KEYS; i++)
        buffer_printf(&many, " own%d", i % LARGE_KEYS);
    buffer_append_text(&many, "|PLATOON.FOR 1 2 0 STRLEN own0");
    far_get(buffer_text(&many),
            ":524288\r\n-ERR the answer is larger than 64 MB, or than the memory there is: ask "
            "for less at a time\r\n:524288\r\n");
    ck_assert_uint_eq(node.turn.dropped, 0);
    buffer_fini(&many);
}
END_TEST

/* However many clients there are: a node of the ring gets in, and nobody else does. */
START_TEST(sent_when_there_are_too_many)
{
    int fd[8], count = 0;
    far_get("SET own 0", "+OK\r\n");
    while (node.client_count < node.options.clients_max)
        fd[count++] = node_connect();
    int other = node_connect(), client = node_connect();
    far_send(other, "AUTH|PING|PLATOON.FOR 1 2 0 SET own 1|PLATOON.FOR 1 2 0 GET own|PING");
    far_expect(other, "-ERR wrong number of arguments for 'auth' command\r\n+PONG\r\n+OK\r\n"
                      "$1\r\n1\r\n+PONG\r\n");
    far_send(client, "PING|GET own|GET own");
    far_expect(client, "+PONG\r\n-ERR max number of clients reached\r\n");
    ck_assert(node_is_closed(client));
    close(client);
    far_get("GET own", "$1\r\n1\r\n");
    client = node_connect(); /* says nothing */
    cache_above_tick(&node);
    node_turn(2);
    ck_assert(!node_is_closed(client));
    node.clients->born_ms = 0;
    node.clients->next->born_ms = 0;
    cache_above_tick(&node);
    node_turn(2);
    ck_assert(node_is_closed(client));
    ck_assert(!node_is_closed(other));
    close(client);
    client = node_connect();
    while (count > 0)
        close(fd[--count]);
    node_turn(2);
    cache_above_tick(&node); /* there is a place by now */
    far_send(client, "GET own");
    far_expect(client, "$1\r\n1\r\n");
    close(client);
    close(other);
}
END_TEST

/* Strangers cannot send it, either. */
START_TEST(sent_without_a_password)
{
    node.options.secret = "sesame";
    int fd = node_connect();
    far_send(fd, "PLATOON.FOR 1 2 0 GET own|PLATOON.FOR 9 2 0 GET own|PLATOON.FOR x 2 0 GET own");
    far_expect(fd, "-NOAUTH Authentication required.\r\n" /* nor learn whether it is this node */
                   "-NOAUTH Authentication required.\r\n"
                   "-NOAUTH Authentication required.\r\n");
    far_send(fd, "AUTH sesame|PLATOON.FOR 1 2 0 PING");
    far_expect(fd, "+OK\r\n+PONG\r\n");
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_owner", set_up, far_tear_down, waits_until_somebody_says, waits_for_a_lease,
                no_lease_in_time, of_a_lost_node, keys_of_strays, very_many_keys, sent_and_ours,
                sent_to_another_incarnation, sent_by_nobody, sent_and_not_ours,
                sent_without_a_lease, sent_so_often_that_it_moves, keys_of_a_transaction,
                sent_and_read_ahead, sent_and_not_read, sent_and_too_large,
                sent_when_there_are_too_many, sent_without_a_password)
