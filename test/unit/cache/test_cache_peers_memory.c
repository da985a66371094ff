/* test_cache_peers_memory.c: each allocation of a command's way fails once: everybody is told once all the same. */
#include "test/unit/short_memory.h"

#include "test/unit/cache/peers_fixture.h"

#include <signal.h>

#define CALLS 6

static struct peers_told calls[CALLS];
static int rcs[CALLS];

/*
 * From nothing to the end, with the Nth allocation failing (no assertion: it asks for memory). Whether there were so
 * many.
 */
static bool run_all(long n)
{
    char address[200], why[300] = "";
    memset(calls, 0, sizeof calls);
    for (int i = 0; i < CALLS; i++)
        rcs[i] = -ENOMEM;
    snprintf(address, sizeof address, "unix:%s", peers.server.socket);
    struct cache_peer_node nodes[] = {{PEER, slice_of("node.2"), slice_of(address)},
                                      {9, slice_of("node.3"), slice_of(address)}};
    struct slice words[] = {slice_of("ECHO"), slice_of("x")};
    short_memory_fail(n, false);
    peers.p = cache_peers_new(&peers.options, why, sizeof why);
    if (peers.p != NULL && cache_peers_set(peers.p, nodes, 2) == 0)
        for (int i = 0; i < CALLS; i++) {
            rcs[i] = cache_peers_send(peers.p, i % 3 == 2 ? 9 : PEER, 0, words, 2, 20000,
                                      peers_on_told, &calls[i]);
            if (i == CALLS / 2)
                for (int turn = 0; turn < 20; turn++)
                    peers_turn();
        }
    for (int i = 0; i < CALLS; i++)
        peers_until(rcs[i] != 0 || calls[i].times > 0);
    bool all = short_memory_after >= 0;
    short_memory_fail(0, false);
    peers_close();
    return !all;
}

START_TEST(test_each_allocation)
{
    size_t before = 0;
    redis_fixture_start(&peers.server, false, NULL);
    run_all(0); /* what libraries keep is there from now on */
    before = short_memory_bytes();
    long n = 1;
    while (run_all(n)) {
        for (int i = 0; i < CALLS; i++) {
            ck_assert(rcs[i] == 0 || rcs[i] == -ENOMEM);
            ck_assert_int_eq(calls[i].times, rcs[i] == 0);
            if (rcs[i] == 0 && calls[i].result == CACHE_PEER_ANSWERED)
                ck_assert_str_eq(calls[i].answer, "$1\r\nx\r\n");
            else if (rcs[i] == 0)
                ck_says(calls[i].why, "memory");
        }
        ck_assert(short_memory_is(before, 0));
        n++;
    }
    ck_assert_int_gt(n, 20);
    for (int i = 0; i < CALLS; i++)
        ck_assert(calls[i].times == 1 && calls[i].result == CACHE_PEER_ANSWERED);
}
END_TEST

/* The nodes are those of before. */
START_TEST(test_set_changes_nothing)
{
    struct peers_told told;
    redis_fixture_start(&peers.server, false, NULL);
    peers_open();
    peers_ring("unix:%s", peers.server.socket);
    struct cache_peer_node nodes[] = {{1, slice_of("a"), slice_of("unix:/a")},
                                      {PEER, slice_of("b"), slice_of("unix:/b")},
                                      {9, slice_of("c"), slice_of("unix:/c")}};
    for (long n = 1; n <= 3; n++) {
        short_memory_fail(n, false);
        int rc = cache_peers_set(peers.p, nodes, 3);
        short_memory_fail(0, false);
        ck_assert_int_eq(rc, -ENOMEM);
        peers_ask(&told, "ECHO x");
        ck_answered(told, "$1\r\nx\r\n");
    }
}
END_TEST

SUITE_MAIN_WITH("cache_peers_memory", peers_set_up, peers_tear_down, test_each_allocation,
                test_set_changes_nothing)
