/*
 * test_cache_park_cell.c: who waits in a node to be told whose a key is: in order, no longer than anybody, and not
 * behind the node's end (workers/cache/cache_park.h, workers/cache/cache_hold.h).
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"

#include <unistd.h>

static int fds[4];

static void set_up(void)
{
    play_set_up();
    play_begin();
    for (int i = 0; i < 4; i++)
        fds[i] = node_connect();
}

static void tear_down(void)
{
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    play_tear_down();
}

static void ask(int i, const char *text)
{
    node_expect(fds[i], text, "");
}

/* All of one cell go on with one answer, in the order in which they came. */
START_TEST(in_order)
{
    ask(0, "APPEND k a\r\n");
    ask(1, "APPEND k b\r\n");
    ask(2, "APPEND other x\r\n");
    ask(3, "APPEND k c\r\n");
    ck_assert_uint_eq(cache_park_count(node.park), 4);
    const struct play_said *first = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(first->cells[0].cell == play_cell("k"));
    ck_assert(play_own(first, CACHE_RING_OURS, 1));
    node_turn(2);
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 1); /* it waits on, for the store */
    fake_absent("k", 0);
    ck_assert_str_eq(node_read(fds[0]), ":1\r\n");
    ck_assert_str_eq(node_read(fds[1]), ":2\r\n");
    ck_assert_str_eq(node_read(fds[3]), ":3\r\n");
    ck_assert_str_eq(node_read(fds[2]), "");
    ck_assert_uint_eq(cache_park_count(node.park), 1);
}
END_TEST

/* One that leaves in the middle is in nobody's way. */
START_TEST(one_leaves)
{
    int other = node_connect();
    for (int i = 0; i < 4; i++)
        ask(i, "SET k 1\r\n");
    node_expect(other, "CLIENT KILL ID 2\r\n", ":1\r\n");
    close(other);
    node_until(node.client_count == 3);
    ck_assert_uint_eq(cache_park_count(node.park), 3);
    play_grant("k");
    ck_assert_str_eq(node_read(fds[0]), "+OK\r\n");
    ck_assert_str_eq(node_read(fds[2]), "+OK\r\n");
    ck_assert_str_eq(node_read(fds[3]), "+OK\r\n");
    ck_assert(node_is_closed(fds[1]));
}
END_TEST

/* A command of several cells waits for each of them. */
START_TEST(several_cells)
{
    ask(0, "MSET a 1 b 2 c 3\r\n");
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 3); /* asked for together */
    const struct cache_ring_owner owners[] = {
        {CACHE_RING_OURS, 1}, {CACHE_RING_OURS, 2}, {CACHE_RING_OURS, 3}};
    ck_assert(play_own_each(claim, owners, 3));
    node_turn(2);
    ck_assert_str_eq(node_read(fds[0]), "+OK\r\n");
    play_hears_nothing();
}
END_TEST

/* The node ends: who waits is told so, and nobody waits from then on. */
START_TEST(the_node_ends)
{
    ask(0, "SET k 1\r\n");
    cache_park_stop(node.park);
    node_turn(1);
    ck_assert_str_eq(node_read(fds[0]),
                     "-TRYAGAIN cache/test/node.1 stops: ask again when it is back\r\n");
    node_expect(fds[1], "SET k 1\r\n",
                "-TRYAGAIN cache/test/node.1 stops: ask again when it is back\r\n");
    ck_assert_uint_eq(cache_park_count(node.park), 0);
}
END_TEST

/* What is asked of the cell while it is withheld waits without being asked again and again. */
START_TEST(nothing_is_asked_twice)
{
    ask(0, "SET k 1\r\n");
    play_heard(MESSAGE_RING_CLAIM);
    ask(1, "SET k 2\r\n");
    ask(2, "GET k\r\n");
    play_hears_nothing();
    play_lease(PLAY_HOUR); /* a reason to look again: nobody goes on */
    cache_member_changed(node.member);
    play_hears_nothing();
    ck_assert_uint_eq(cache_park_count(node.park), 3);
}
END_TEST

/* ---- what is to be stored leaves with its cell ---- */

/* The first waits until "k" is stored, and the node is told that it was lost: "k" is a stray. */
static void loses_what_is_waited_for(void)
{
    ask(0, "SET k 1\r\n");
    play_grant("k");
    ck_assert_str_eq(node_read(fds[0]), "+OK\r\n");
    ask(0, "PLATOON.DUMP k WAIT 60000\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    cache_member_on_down(node.member);
    fake_manager.joined.incarnation = 4;
    fake_manager.joined.mark = 104;
    fake_manager.joined.was = CACHE_RING_LOST_NODE;
    fake_manager.joined.number = 1;
    play_join();
    play_lease(PLAY_HOUR);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    fake_stored("k");              /* of the object that was: the stray is put all the same */
    cache_park_changed(node.park); /* whatever else was stored */
    node_turn(2);
    ck_assert_str_eq(node_read(fds[0]), "");
    ck_assert_uint_eq(cache_park_count(node.park), 1);
}

START_TEST(a_stray_is_not_stored)
{
    loses_what_is_waited_for();
    cache_member_tick(node.member);
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 9));
    play_stored("k");
    node_until(cache_park_count(node.park) == 0);
    ck_assert_str_eq(node_read(fds[0]), ":1\r\n");
}
END_TEST

/* Written again by then, it has waited for what it was. */
START_TEST(a_stray_is_stored_and_its_key_written)
{
    loses_what_is_waited_for();
    ask(1, "SET k 2\r\n");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 9));
    cache_behind_tick(node.behind);
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_stored("k");
    node_until(cache_park_count(node.park) == 0);
    ck_assert(cache_db_is_dirty(node.db, slice_of("k")));
    ck_assert_str_eq(node_read(fds[1]), "+OK\r\n");
    ck_assert_str_eq(node_read(fds[0]), ":1\r\n");
}
END_TEST

/* Another node has written it since: it never will be stored. */
START_TEST(a_stray_is_a_dead_letter)
{
    loses_what_is_waited_for();
    cache_member_tick(node.member);
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 2));
    cache_behind_tick(node.behind);
    node_until(fake_find(FAKE_GET, "k") != NULL);
    fake_have("k", "another's", UINT64_C(1) << 61);
    node_until(cache_park_count(node.park) == 0);
    const char *came = node_read(fds[0]);
    ck_says(came, "-ERR the store of cache/test/node.1 does not take this object: the store has");
}
END_TEST

SUITE_MAIN_WITH("cache_park_cell", set_up, tear_down, in_order, one_leaves, several_cells,
                the_node_ends, nothing_is_asked_twice, a_stray_is_not_stored,
                a_stray_is_stored_and_its_key_written, a_stray_is_a_dead_letter)
