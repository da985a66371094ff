/*
 * test_cache_ring_size.c: what a cell takes of Redis' memory, and, to be read, of its time. The bound is that of issue
 * 13: 85 bytes a cell.
 */
#include "common/clock.h"
#include "test/unit/cache/ring_fixture.h"

#include <stdlib.h>

enum { MANY = 100000 };

static uint64_t cells[MANY];
static struct cache_ring_held held[MANY];
static struct cache_ring_owner owners[CACHE_RING_CALL_MAX];

/* Buckets and the table of keys' share of each (a dictEntry, its pointer), by MEMORY USAGE. */
static double bytes_a_cell(void)
{
    ring_eval("local sum = 0 for i = 0, 4095 do "
              "sum = sum + (redis.call('MEMORY', 'USAGE', "
              "string.format('platoon:{cache:c}:cells:%03x', i), "
              "'SAMPLES', '0') or 0) end return sum");
    return (double)ring.integer / MANY;
}

static void make_cells(uint64_t buckets)
{
    srand(7);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t low = (uint64_t)rand() << 31 ^ (uint64_t)rand();
        cells[i] = (i % buckets) << 52 | (low & ((UINT64_C(1) << 52) - 1));
    }
}

/* Milliseconds of all of it, as called one after the other. */
static uint64_t claim_all(struct cache_ring_holder who)
{
    uint64_t start = clock_mono_ms();
    for (size_t at = 0; at < MANY; at += CACHE_RING_CALL_MAX) {
        ck_status(ring_claim(who, cells + at, CACHE_RING_CALL_MAX, owners), OK);
        for (size_t i = 0; i < CACHE_RING_CALL_MAX; i++)
            held[at + i] = (struct cache_ring_held){cells[at + i], owners[i].value};
    }
    return clock_mono_ms() - start;
}

static uint64_t release_all(struct cache_ring_holder who)
{
    uint64_t start = clock_mono_ms(), count = 0;
    for (size_t at = 0; at < MANY; at += CACHE_RING_CALL_MAX)
        count += ring_release(who, held + at, CACHE_RING_CALL_MAX).value;
    ck_assert_uint_eq(count, MANY);
    return clock_mono_ms() - start;
}

static void measure(const char *what, uint64_t buckets)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    make_cells(buckets);
    uint64_t first = claim_all(n1), again = claim_all(n1);
    double bytes = bytes_a_cell();
    uint64_t released = release_all(n1);
    printf("%s: %.1f bytes a cell; us a cell: claimed %.2f, ours already %.2f, released %.2f\n",
           what, bytes, (double)first * 1000 / MANY, (double)again * 1000 / MANY,
           (double)released * 1000 / MANY);
    ck_assert_double_le(bytes, 85);
    ck_assert_double_eq(bytes_a_cell(), 0);
}

/* 24 in each bucket. */
START_TEST(a_hundred_thousand_cells)
{
    measure("100,000 cells", CACHE_RING_BUCKETS);
}
END_TEST

/* As many in each bucket as of two millions: still a listpack, within Redis' own setting. */
START_TEST(as_dense_as_two_millions)
{
    measure("as of 2,000,000", CACHE_RING_BUCKETS / 20);
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    claim_all(n1);
    ring_redis("HLEN %scells:000", ring.prefix);
    ck_assert_int_gt(ring.integer, 450);
    ring_redis("OBJECT ENCODING %scells:000", ring.prefix);
    ck_assert_str_eq(ring.answer, "listpack");
}
END_TEST

SUITE_MAIN_WITH("cache_ring_size", ring_set_up, ring_tear_down, a_hundred_thousand_cells,
                as_dense_as_two_millions)
