/* test_command_ring.c: PLATOON.OWNER, RING and FOR, in a ring and without one; how many cells a node says it has. */
#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"

#include <unistd.h>

#define ITSELF "$17\r\ncache/test/node.1\r\n$13\r\nunix:/run/own\r\n"
#define OTHER  "$4\r\nnode\r\n$13\r\nunix:/nowhere\r\n"

static void set_up(void)
{
    far_set_up();
    node.options.address = "unix:/run/own";
}

/* ---- PLATOON.OWNER ---- */

/* Ours is said at once; else Redis is asked, and nothing is claimed. */
START_TEST(whose_it_is)
{
    far_get("SET own 1", "+OK\r\n");
    fake_manager.answers = false;
    far_get("PLATOON.OWNER own", "*4\r\n" ITSELF ":1\r\n$4\r\nlive\r\n");
    play_hears_nothing();
    far_send(far_client, "PLATOON.OWNER k2|PING");
    const struct play_said *look = play_heard(MESSAGE_RING_LOOK);
    ck_assert(look->cells[0].cell == play_cell("k2"));
    far_expect_nothing(far_client);
    ck_assert(play_see(look, CACHE_RING_OK,
                       (struct cache_ring_owner){.state = CACHE_RING_THEIRS, .value = 2}));
    far_expect(far_client, "*4\r\n" OTHER ":2\r\n$4\r\nlive\r\n+PONG\r\n");
    ck_assert_int_eq(play_state("k2"), CACHE_CELL_UNKNOWN);
    play_hears_nothing();
}
END_TEST

START_TEST(free_and_lost_and_unknown)
{
    static const struct {
        uint64_t result;
        struct cache_ring_owner owner;
        const char *reply;
    } cases[] = {
        {CACHE_RING_OK, {.state = CACHE_RING_FREE_CELL}, "*-1\r\n"},
        {CACHE_RING_OK,
         {.state = CACHE_RING_LOST_CELL, .value = 3},
         "*4\r\n" OTHER ":3\r\n$4\r\nlost\r\n"},
        {CACHE_RING_OK,
         {.state = CACHE_RING_THEIRS, .value = 77}, /* of whom nobody has told yet */
         "*4\r\n$0\r\n\r\n$0\r\n\r\n:77\r\n$4\r\nlive\r\n"},
    };
    fake_manager.answers = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        far_send(far_client, "PLATOON.OWNER k");
        ck_assert(play_see(play_heard(MESSAGE_RING_LOOK), cases[i].result, cases[i].owner));
        far_expect(far_client, cases[i].reply);
    }
    far_send(far_client, "PLATOON.OWNER k");
    ck_assert(play_see(play_heard(MESSAGE_RING_LOOK), 4, (struct cache_ring_owner){0}));
    ck_says(far_came(far_client, "\r\n"), "-TRYAGAIN the ring of cache/test/node.1: ");
}
END_TEST

/* Nobody can be asked: it is said at once. Nobody answers: when its time is over, and what comes late is nobody's. */
START_TEST(owner_in_vain)
{
    far_begin(100);
    fake_manager.answers = false;
    far_send(far_client, "PLATOON.OWNER k");
    const struct play_said *look = play_heard(MESSAGE_RING_LOOK);
    ck_says(far_came(far_client, "\r\n"), "-TRYAGAIN ");
    ck_assert(
        play_see(look, CACHE_RING_OK, (struct cache_ring_owner){.state = CACHE_RING_FREE_CELL}));
    far_expect_nothing(far_client);
    cache_member_on_down(node.member);
    far_send(far_client, "PLATOON.OWNER k");
    ck_says(far_came(far_client, "\r\n"), "its manager is away");
}
END_TEST

START_TEST(its_client_goes)
{
    fake_manager.answers = false;
    int fd = node_connect();
    far_send(fd, "PLATOON.OWNER k");
    const struct play_said *look = play_heard(MESSAGE_RING_LOOK);
    close(fd);
    node_turn(3);
    ck_assert(
        play_see(look, CACHE_RING_OK, (struct cache_ring_owner){.state = CACHE_RING_FREE_CELL}));
    far_get("PING", "+PONG\r\n");
}
END_TEST

START_TEST(not_in_a_transaction)
{
    far_get("MULTI", "+OK\r\n");
    far_get("PLATOON.OWNER k", "-ERR Command not allowed inside a transaction\r\n");
    far_get("DISCARD", "+OK\r\n");
}
END_TEST

/* ---- PLATOON.RING ---- */

START_TEST(who_is_there)
{
    far_get("MSET a 1 b 2", "+OK\r\n");
    play_nodes((const int[]){1, 2, -3, 0});
    far_get("PLATOON.RING",
            "*3\r\n*5\r\n" OTHER ":1\r\n$4\r\nlive\r\n:2\r\n*5\r\n" OTHER
            ":2\r\n$4\r\nlive\r\n$-1\r\n*5\r\n" OTHER ":3\r\n$4\r\nlost\r\n$-1\r\n");
}
END_TEST

/* Once a second, when it has changed; to another manager anew. */
START_TEST(cells_are_told)
{
    cache_member_tick(node.member);
    ck_assert_uint_eq(fake_manager.cells_said, 1);
    ck_assert_uint_eq(fake_manager.cells, 0);
    far_get("MSET a 1 b 2", "+OK\r\n");
    cache_member_tick(node.member);
    cache_member_tick(node.member);
    ck_assert_uint_eq(fake_manager.cells_said, 2);
    ck_assert_uint_eq(fake_manager.cells, 2);
}
END_TEST

/* ---- PLATOON.FOR ---- */

START_TEST(for_another)
{
    far_get("PLATOON.FOR 1 2 0", "-ERR wrong number of arguments for 'platoon.for' command\r\n");
    far_get("PLATOON.FOR 1 2 0 PING", "+PONG\r\n");
    far_get("PLATOON.FOR 1 2 0 PLATOON.FOR 1 2 0 PING",
            "-ERR PLATOON.FOR carries a command, and no further PLATOON.FOR\r\n");
    far_get("PLATOON.FOR 7 2 0 PING", "-PLATOONMOVED this is another node by now\r\n");
    far_get("PLATOON.FOR x 2 0 PING", "-ERR syntax error\r\n");
    far_get("COMMAND GETKEYS PLATOON.FOR 1 2 0 GET k", "-ERR The command has no key arguments\r\n");
    far_send(far_client, "COMMAND INFO platoon.for");
    ck_says(far_came(far_client, "*0\r\n"), "platoon.for");
}
END_TEST

/* ---- without a ring ---- */

START_TEST(alone)
{
    struct cache_member *member = node.member;
    node.member = NULL;
    far_get("PLATOON.OWNER k", "*4\r\n" ITSELF ":0\r\n$4\r\nlive\r\n");
    far_get("PLATOON.RING", "*1\r\n*5\r\n" ITSELF ":0\r\n$4\r\nlive\r\n$-1\r\n");
    far_get("PLATOON.FOR 1 2 0 PING",
            "-ERR PLATOON.FOR is for the nodes of a ring, and this one is in none\r\n");
    node.member = member;
}
END_TEST

SUITE_MAIN_WITH("command_ring", set_up, far_tear_down, whose_it_is, free_and_lost_and_unknown,
                owner_in_vain, its_client_goes, not_in_a_transaction, who_is_there, cells_are_told,
                for_another, alone)
