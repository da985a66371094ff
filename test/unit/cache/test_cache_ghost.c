/* test_cache_ghost.c: what was remembered lately is known, what is long ago is not, and memory follows. */
#include "workers/cache/memory/cache_ghost.h"
#include "test/unit/cache/cache_property.h"

static size_t at_start;
static struct cache_ghost g;

static void set_up(void)
{
    at_start = short_memory_bytes();
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    MUST(short_memory_is(at_start, g.bytes));
    cache_ghost_fini(&g);
    MUST(short_memory_is(at_start, 0));
}

/* Hashes that are as good as siphash's. */
static uint64_t hash_of(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
    return i ^ i >> 31;
}

static void add(uint64_t from, uint64_t to, size_t room)
{
    for (; from < to; from++)
        cache_ghost_add(&g, hash_of(from), room);
}

/* How many of them are remembered; none is afterwards. */
static size_t take(uint64_t from, uint64_t to)
{
    size_t found = 0;
    for (; from < to; from++)
        found += cache_ghost_take(&g, hash_of(from));
    return found;
}

START_TEST(nothing_is_known_and_nothing_taken_at_first)
{
    MUST(take(0, 100) == 0);
    MUST(short_memory_is(at_start, 0));
}
END_TEST

START_TEST(one_set_is_a_queue_of_16)
{
    add(0, 20, 16);
    MUST(take(0, 4) == 0);
    MUST(take(4, 20) == 16);
    MUST(take(4, 20) == 0);
    add(20, 36, 1);
    MUST(take(25, 26) == 1);
    add(36, 37, 1); /* in the place of the one that was taken */
    MUST(take(20, 25) == 5);
    MUST(take(26, 37) == 11);
}
END_TEST

/* A hash of nothing but zeros is no free place. */
START_TEST(hashes_at_the_ends)
{
    MUST(!cache_ghost_take(&g, 0));
    cache_ghost_add(&g, 0, 1000);
    cache_ghost_add(&g, UINT64_MAX, 1000);
    MUST(cache_ghost_take(&g, 0));
    MUST(!cache_ghost_take(&g, 0));
    MUST(cache_ghost_take(&g, UINT64_MAX));
}
END_TEST

START_TEST(what_is_new_is_known_and_what_is_old_is_not)
{
    add(0, 500000, 100000);
    size_t half = take(450000, 500000), old = take(200000, 300000), never = take(600000, 700000);
    MUST(half > 49000); /* but for sets that many came into */
    MUST(old < 1000);
    MUST(never < 10);
}
END_TEST

START_TEST(memory_is_bounded)
{
    add(0, 1000000, 100000);
    MUST(g.bytes < 100000 * 4 * 5 / 4);
    MUST(g.bytes > 100000 * 4 / 2);
}
END_TEST

START_TEST(the_size_follows)
{
    add(0, 1000, 1000);
    add(1000, 50000, 40000);
    MUST(take(30000, 50000) > 19000);
    add(50000, 150000, 2000);
    MUST(g.bytes < 2 * 16384 + 1000);
    MUST(take(149000, 150000) > 900);
    MUST(take(100000, 140000) < 400);
}
END_TEST

/* While the size changes what was remembered still is. */
START_TEST(nothing_is_lost_by_another_size)
{
    add(0, 10000, 10000);
    add(10000, 10001, 30000);
    MUST(take(5000, 10001) > 4900);
    add(20000, 30000, 30000);
    MUST(take(20000, 30000) > 9900);
}
END_TEST

START_TEST(without_memory_one_is_not_remembered)
{
    for (long n = 1; n <= 2; n++) {
        short_memory_fail(n, false);
        cache_ghost_add(&g, hash_of(1), 100);
        short_memory_fail(0, false);
        MUST(!cache_ghost_take(&g, hash_of(1)));
        cache_ghost_add(&g, hash_of(1), 100);
        MUST(cache_ghost_take(&g, hash_of(1)));
        cache_ghost_fini(&g);
    }
    add(0, 1000, 1000);
    short_memory_fail(1, true);
    add(1000, 2000, 100000); /* no memory for another size: the one it has goes on */
    short_memory_fail(0, false);
    MUST(take(1500, 2000) > 480);
}
END_TEST

SUITE_MAIN_WITH("cache_ghost", set_up, tear_down, nothing_is_known_and_nothing_taken_at_first,
                one_set_is_a_queue_of_16, hashes_at_the_ends,
                what_is_new_is_known_and_what_is_old_is_not, memory_is_bounded, the_size_follows,
                nothing_is_lost_by_another_size, without_memory_one_is_not_remembered)
