/*
 * test_cache_guest.c: commands of another node's clients that wait here: what they hold, in what order they run, and
 * what becomes of them (workers/cache/cache_guest.h, workers/cache/command/command_for.h).
 */
#include "test/unit/short_memory.h"

#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_guest.h"

#include <sys/socket.h>
#include <unistd.h>

#define LONG_MS 0x7fffffffu

static void set_up(void)
{
    far_set_up();
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof key, "cold%d", i);
        play_looks(key);
    }
    node_turn(2);
    far_get("SET own 1", "+OK\r\n");
}

/* What others of that node ask for is answered meanwhile, and what it waited for when that has come. */
START_TEST(a_warm_one_passes_a_cold_one)
{
    far_send_in(far_client, 1, LONG_MS, "PLATOON.FOR 1 2 0 GET cold0");
    far_send_in(far_client, 2, LONG_MS, "PLATOON.FOR 1 2 0 GET own");
    far_expect(far_client, "$1\r\n1\r\n");
    far_send_in(far_client, 3, LONG_MS, "PLATOON.FOR 1 2 0 INCR own|PLATOON.FOR 1 2 0 GET own");
    far_expect(far_client, ":2\r\n$1\r\n2\r\n");
    ck_assert_uint_eq(cache_guest_count(node.clients), 1);
    fake_have("cold0", "c", 1);
    far_expect(far_client, "$1\r\nc\r\n");
    ck_assert_uint_eq(cache_guest_count(node.clients), 0);
    ck_assert_uint_eq(node.waiting, 0);
}
END_TEST

/* One that is loaded before passes another that is not, too. */
START_TEST(each_waits_for_its_own)
{
    far_send_in(far_client, 1, LONG_MS, "PLATOON.FOR 1 2 0 GET cold0");
    far_send_in(far_client, 2, LONG_MS, "PLATOON.FOR 1 2 0 GET cold1");
    far_send_in(far_client, 0, LONG_MS, "PLATOON.FOR 1 2 0 GET cold2|PLATOON.FOR 1 2 0 GET cold3");
    node_until(fake_waiting(FAKE_GET) == 4);
    for (int i = 3; i >= 0; i--) {
        char key[16], came[32];
        snprintf(key, sizeof key, "cold%d", i);
        snprintf(came, sizeof came, "$5\r\ncold%d\r\n", i);
        fake_have(key, key, 1);
        far_expect(far_client, came);
    }
}
END_TEST

/* What one client has sent runs in its order, whichever keys that has; its loads are all under way at once. */
START_TEST(a_lane_keeps_its_order)
{
    far_send_in(
        far_client, 1, LONG_MS,
        "PLATOON.FOR 1 2 0 INCR cold0|PLATOON.FOR 1 2 0 INCR own|PLATOON.FOR 1 2 0 GET cold1|"
        "PLATOON.FOR 1 2 0 INCR cold0|PLATOON.FOR 1 2 0 MGET cold0 own");
    node_until(fake_waiting(FAKE_GET) == 2);
    far_send_in(far_client, 1 + 256, LONG_MS,
                "PLATOON.FOR 1 2 0 GET own"); /* of another lane, in its slot */
    far_expect(far_client, "$1\r\n1\r\n");
    fake_have("cold1", "c", 1);
    far_expect_nothing(far_client);
    fake_have("cold0", "7", 1);
    ck_came(far_client, 5, ":8\r\n", ":2\r\n", "$1\r\nc\r\n", ":9\r\n",
            "*2\r\n$1\r\n9\r\n$1\r\n2\r\n");
    ck_assert_uint_eq(cache_guest_count(node.clients), 0);
    far_send_in(far_client, 1, LONG_MS, "PLATOON.FOR 1 2 0 GET own"); /* none waits any more */
    far_expect(far_client, "$1\r\n2\r\n");
}
END_TEST

/* It stops where the next one has to wait in its turn. */
START_TEST(a_lane_stops_again)
{
    far_send_in(
        far_client, 1, LONG_MS,
        "PLATOON.FOR 1 2 0 GET cold0|PLATOON.FOR 1 2 0 INCR own|PLATOON.FOR 1 2 0 GET cold1|"
        "PLATOON.FOR 1 2 0 INCR own");
    node_until(fake_waiting(FAKE_GET) == 2);
    fake_absent("cold0", 0);
    ck_came(far_client, 2, "$-1\r\n", ":2\r\n");
    far_expect_nothing(far_client);
    fake_absent("cold1", 0);
    ck_came(far_client, 2, "$-1\r\n", ":3\r\n");
}
END_TEST

/* The store's own reason, in the time that the sender gives; who is behind others has waited with them. */
START_TEST(no_longer_than_the_sender_waits)
{
    static const char why[] = "-TRYAGAIN the store of cache/test/node.1 gives no answer: ";
    far_send_in(far_client, 1, 60, "PLATOON.FOR 1 2 0 GET cold0|PLATOON.FOR 1 2 0 GET cold1");
    node_until(cache_guest_count(node.clients) == 0);
    const char *came = far_came(far_client, "\r\n"), *first = strstr(came, why);
    ck_assert_msg(first != NULL && strstr(first + 1, why) != NULL, "%s", came);
    ck_assert_uint_eq(cache_guest_count(node.clients), 0);
    far_get("GET own", "$1\r\n1\r\n");
}
END_TEST

/* Whose client has waited in vain already is not let wait again, as long as the store gives no answer. */
START_TEST(who_is_late_does_not_wait)
{
    far_send_in(far_client, 1, 30, "PLATOON.FOR 1 2 0 GET cold0");
    ck_says(far_came(far_client, "\r\n"), "-TRYAGAIN the store of ");
    far_send_in(far_client, 1, 0, "PLATOON.FOR 1 2 0 GET cold0|PLATOON.FOR 1 2 0 GET cold0");
    far_send_in(far_client, 1, 0, "PLATOON.FOR 1 2 0 GET own");
    const char *came = far_came(far_client, "$1\r\n1\r\n");
    ck_says(came, "-TRYAGAIN the store of ");
    ck_assert_uint_eq(cache_guest_count(node.clients), 0);
    far_send_in(far_client, 1, LONG_MS, "PLATOON.FOR 1 2 0 GET cold0");
    far_expect_nothing(far_client);
}
END_TEST

/* Until it is stored. */
START_TEST(until_it_is_stored)
{
    far_send_in(far_client, 1, LONG_MS,
                "PLATOON.FOR 1 2 0 PLATOON.DUMP own WAIT 0|PLATOON.FOR 1 2 0 STRLEN own");
    far_send_in(far_client, 2, LONG_MS, "PLATOON.FOR 1 2 0 GET own");
    far_expect(far_client, "$1\r\n1\r\n");
    play_stored("own");
    ck_came(far_client, 2, ":1\r\n", ":1\r\n");
    far_get("SET own 2", "+OK\r\n");
    far_send_in(far_client, 1, 30, "PLATOON.FOR 1 2 0 PLATOON.DUMP own WAIT 0");
    ck_says(far_came(far_client, "\r\n"),
            "-TRYAGAIN the store of cache/test/node.1 has not taken the object within 30 ms: ");
}
END_TEST

START_TEST(until_there_is_room)
{
    cache_db_charge(node.db, (ptrdiff_t)node.options.memory_max);
    far_send_in(far_client, 1, LONG_MS, "PLATOON.FOR 1 2 0 SET own 2|PLATOON.FOR 1 2 0 GET own");
    far_send_in(far_client, 2, LONG_MS, "PLATOON.FOR 1 2 0 GET own");
    far_expect(far_client, "$1\r\n1\r\n");
    ck_assert_uint_eq(cache_park_count(node.park), 1);
    cache_db_charge(node.db, -(ptrdiff_t)node.options.memory_max);
    ck_came(far_client, 2, "+OK\r\n", "$1\r\n2\r\n");
}
END_TEST

/* In turns, so that the cell does not go to who asks for it so often. */
static const char *of_either(unsigned i)
{
    return i % 2 == 0 ? "PLATOON.FOR 1 2 0 GET cold0" : "PLATOON.FOR 1 3 0 GET cold0";
}

/* No more than so many: it is asked for again; what need not wait is done. */
START_TEST(there_are_so_many)
{
    for (unsigned i = 0; i < CACHE_GUESTS_MAX; i++)
        far_send_in(far_client, i + 1, LONG_MS, of_either(i));
    node_turn(10);
    ck_assert_uint_eq(cache_guest_count(node.clients), CACHE_GUESTS_MAX);
    far_get("PLATOON.FOR 1 2 0 GET cold1|PLATOON.FOR 1 2 0 STRLEN cold0",
            "-PLATOONMOVED WAITS more waits at its owner than that one keeps: ask for less at a "
            "time\r\n"
            "-PLATOONMOVED WAITS more waits at its owner than that one keeps: ask for less at a "
            "time\r\n");
    far_send_in(far_client, 0, LONG_MS, "PLATOON.FOR 1 2 0 GET own");
    far_expect(far_client, "$1\r\n1\r\n");
    fake_have("cold0", "c", 1);
    for (size_t came = 0; came < CACHE_GUESTS_MAX * (FAR_NUMBER_LEN + 7);) {
        size_t len = strlen(node_read(far_client));
        came += len;
        if (len == 0)
            node_wait();
    }
    ck_assert_uint_eq(cache_guest_count(node.clients), 0);
    ck_assert_uint_eq(node.waiting, 0);
}
END_TEST

/* The connection ends: nobody waits any more, and what was behind others never runs. */
START_TEST(the_connection_ends)
{
    int fd = node_connect();
    far_send_in(
        fd, 1, LONG_MS,
        "PLATOON.FOR 1 2 0 GET cold0|PLATOON.FOR 1 2 0 INCR own|PLATOON.FOR 1 2 0 GET cold1");
    node_until(fake_waiting(FAKE_GET) == 2);
    ck_assert_uint_eq(cache_park_count(node.park), 1);
    close(fd);
    node_turn(3);
    ck_assert_uint_eq(cache_park_count(node.park), 0);
    ck_assert_uint_eq(node.waiting, 0);
    fake_have("cold0", "c", 1);
    far_get("GET own", "$1\r\n1\r\n");
}
END_TEST

#define LARGE ((size_t)1 << 19)

/* The other node does not read: they wait for that as well, and so does all that it asks for. */
START_TEST(the_other_node_does_not_read)
{
    static char value[LARGE + 1];
    size_t all = 40 * (FAR_NUMBER_LEN + LARGE + strlen("$524288\r\n\r\n")), came = 0;
    memset(value, 'v', LARGE);
    for (unsigned i = 0; i < 40; i++)
        far_send_in(far_client, i % 3, LONG_MS, of_either(i));
    node_turn(3);
    fake_have("cold0", value, 1);
    node_turn(20);
    ck_assert_uint_lt(cache_client_unsent(node.clients), 4 * CACHE_CLIENT_LINK_MAX);
    ck_assert_uint_gt(cache_guest_count(node.clients), 20);
    far_send(far_client, "PLATOON.FOR 1 2 0 GET own"); /* waits, as it would have */
    all += FAR_NUMBER_LEN + 7;
    for (int i = 0; i < 100000 && came < all; i++) {
        char bytes[65536];
        ssize_t got = recv(far_client, bytes, sizeof bytes, MSG_DONTWAIT);
        came += got > 0 ? (size_t)got : 0;
        node_turn(1);
    }
    ck_assert_uint_eq(came, all);
    ck_assert_uint_eq(cache_guest_count(node.clients), 0);
    ck_assert_uint_eq(node.turn.dropped, 0);
}
END_TEST

/* What came by now has so many answers. */
static size_t answers_of(const struct buffer *came)
{
    size_t answers = 0;
    for (size_t at = 0; at + FAR_NUMBER_LEN <= came->len; at++)
        answers += memcmp(came->data + at, "*2\r\n:1", 6) == 0;
    return answers;
}

/* The Nth allocation fails: each is answered all the same, or the connection is gone. */
static void short_once(long n)
{
    static char sent[512];
    char key[8];
    struct buffer came = BUFFER_EMPTY;
    int fd = node_connect();
    snprintf(key, sizeof key, "s%04ld", n);
    int len = snprintf(sent, sizeof sent,
                       "*9\r\n$11\r\nPLATOON.FOR\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n0\r\n$"
                       "10\r\n1000000011\r\n$1\r\n5\r\n"
                       "$4\r\n9999\r\n$3\r\nGET\r\n$5\r\n%s\r\n"
                       "*9\r\n$11\r\nPLATOON.FOR\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n0\r\n$"
                       "10\r\n1000000012\r\n$1\r\n5\r\n"
                       "$4\r\n9999\r\n$3\r\nGET\r\n$3\r\nown\r\n",
                       key);
    play_looks(key);
    far_get("GET own", "$1\r\n1\r\n");
    node_turn(2);
    ck_assert_int_eq(send(fd, sent, (size_t)len, 0), len);
    short_memory_fail(n, false);
    node_turn(2);
    short_memory_fail(0, false);
    for (int i = 0; i < 1000 && answers_of(&came) < 2; i++) {
        if (fake_find(FAKE_GET, key) != NULL)
            fake_have(key, "c", 1);
        buffer_append_text(&came, node_read(fd));
        node_wait();
    }
    ck_assert_msg(answers_of(&came) == 2 || node_is_closed(fd), "%ld: %s", n, buffer_text(&came));
    buffer_fini(&came);
    close(fd);
    node_turn(2);
    ck_assert_uint_eq(node.waiting, 0);
}

START_TEST(memory_is_short)
{
    for (long n = 1; n <= 20; n++)
        short_once(n);
    far_get("GET own", "$1\r\n1\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_guest", set_up, far_tear_down, a_warm_one_passes_a_cold_one,
                each_waits_for_its_own, a_lane_keeps_its_order, a_lane_stops_again,
                no_longer_than_the_sender_waits, who_is_late_does_not_wait, until_it_is_stored,
                until_there_is_room, there_are_so_many, the_connection_ends,
                the_other_node_does_not_read, memory_is_short)
