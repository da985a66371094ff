/* test_cache_lease.c: never longer than told, whatever comes twice, late or in another order. */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/ring/cache_lease.h"

#define WALL INT64_C(1800000000000000) /* Redis' clock when the host's is 0 */

START_TEST(there_is_none_at_first)
{
    struct cache_lease l = {0};
    ck_assert(!cache_lease_serves(&l, 0));
    ck_assert(!cache_lease_serves(&l, INT64_MAX));
    ck_assert_int_eq(cache_lease_version(&l, 5), 0);
    ck_assert(!cache_lease_take(&l, 0, 90, 10, WALL)); /* nobody's */
    ck_assert(!cache_lease_take(&l, 7, 90, 10, WALL)); /* not ours */
    ck_assert(!cache_lease_serves(&l, 20));
    ck_assert_int_eq(cache_lease_version(&l, 20), 0);
}
END_TEST

START_TEST(it_ends_at_its_last_microsecond)
{
    struct cache_lease l = {0};
    cache_lease_begin(&l, 7);
    ck_assert(!cache_lease_serves(&l, 1));
    ck_assert(cache_lease_take(&l, 7, 90, 10, WALL));
    ck_assert(cache_lease_serves(&l, 89));
    ck_assert(!cache_lease_serves(&l, 90));
    ck_assert(cache_lease_serves(&l, 89)); /* asking changes nothing */
}
END_TEST

START_TEST(a_beat_that_comes_late_or_twice_changes_nothing)
{
    struct cache_lease l = {0};
    cache_lease_begin(&l, 7);
    ck_assert(cache_lease_take(&l, 7, 100, 20, WALL + 20));
    ck_assert(!cache_lease_take(&l, 7, 100, 20, WALL + 20));
    ck_assert(!cache_lease_take(&l, 7, 100, 20, WALL + 1000)); /* not newer */
    ck_assert(!cache_lease_take(&l, 7, 90, 10, WALL + 5000));
    ck_assert(!cache_lease_serves(&l, 100));
    ck_assert(cache_lease_serves(&l, 99));
    ck_assert_int_eq(cache_lease_version(&l, 30), WALL + 30);
}
END_TEST

START_TEST(what_is_no_lease_is_not_taken)
{
    struct cache_lease l = {0}, before;
    cache_lease_begin(&l, 7);
    cache_lease_take(&l, 7, 100, 20, WALL);
    before = l;
    ck_assert(!cache_lease_take(&l, 7, 200, 0, WALL));
    ck_assert(!cache_lease_take(&l, 7, 200, -1, WALL));
    ck_assert(!cache_lease_take(&l, 7, 200, 201, WALL));
    ck_assert(!cache_lease_take(&l, 7, 200, 30, 0));
    ck_assert(!cache_lease_take(&l, 7, INT64_MIN, 30, WALL));
    ck_assert(!cache_lease_take(&l, 8, 200, 30, WALL));
    ck_assert(memcmp(&l, &before, sizeof l) == 0);
}
END_TEST

START_TEST(another_incarnation_has_a_lease_of_its_own)
{
    struct cache_lease l = {0};
    cache_lease_begin(&l, 7);
    cache_lease_take(&l, 7, 100, 20, WALL + 20);
    cache_lease_begin(&l, 7); /* told once more */
    ck_assert(cache_lease_serves(&l, 50));
    cache_lease_begin(&l, 0); /* lost */
    ck_assert(!cache_lease_serves(&l, 50));
    ck_assert(!cache_lease_take(&l, 7, 200, 60, WALL + 60));
    ck_assert(!cache_lease_serves(&l, 70));
    cache_lease_begin(&l, 8);
    ck_assert(!cache_lease_serves(&l, 50));
    ck_assert(!cache_lease_take(&l, 7, 200, 60, WALL + 60));
    ck_assert_int_eq(cache_lease_version(&l, 70), WALL + 20); /* there is none: the clock stands */
    ck_assert(cache_lease_take(&l, 8, 150, 70, WALL + 70));
    ck_assert(cache_lease_serves(&l, 149));
}
END_TEST

START_TEST(versions_follow_redis_and_never_go_back)
{
    struct cache_lease l = {0};
    cache_lease_begin(&l, 7);
    cache_lease_take(&l, 7, 100, 20, WALL);
    ck_assert_int_eq(cache_lease_version(&l, 20), WALL);
    ck_assert_int_eq(cache_lease_version(&l, 99), WALL + 79);
    ck_assert_int_eq(cache_lease_version(&l, 1020), WALL + 80); /* long over: it stands still */
    ck_assert_int_eq(cache_lease_version(&l, 10), WALL + 80);
    cache_lease_take(&l, 7, 3000, 2000, WALL - 500); /* another primary, whose clock is behind */
    ck_assert_int_eq(cache_lease_version(&l, 2100), WALL + 80);
    ck_assert_int_eq(cache_lease_version(&l, 2700), WALL + 200);
    cache_lease_take(&l, 7, 3100, 3000, WALL + 100000);
    ck_assert_int_eq(cache_lease_version(&l, 3000), WALL + 100000);
    cache_lease_begin(&l, 8);
    ck_assert_int_eq(cache_lease_version(&l, 3001), WALL + 100000);
}
END_TEST

START_TEST(the_ends_of_numbers)
{
    struct cache_lease l = {0};
    cache_lease_begin(&l, 7);
    ck_assert(cache_lease_take(&l, 7, INT64_MAX, 1, INT64_MAX));
    ck_assert(cache_lease_serves(&l, INT64_MAX - 1));
    ck_assert(!cache_lease_serves(&l, INT64_MAX));
    ck_assert_int_eq(cache_lease_version(&l, INT64_MAX), INT64_MAX);
    ck_assert_int_eq(cache_lease_version(&l, INT64_MIN), INT64_MAX);
}
END_TEST

/* ---- all orders ---- */

#define BEATS 40

struct beat {
    uint32_t incarnation;
    int64_t until_us, at_us, redis_us;
};

/* The lease ends where the furthest of those told so far says, and the clock is the newest one's. */
static void expect(struct cache_lease *l, const struct beat *told, size_t count, uint32_t mine,
                   int64_t *last)
{
    int64_t until = 0, now = cache_random(5000);
    for (size_t i = 0; i < count; i++)
        if (told[i].incarnation == mine && told[i].until_us > until)
            until = told[i].until_us;
    MUST(cache_lease_serves(l, now) == (now < until));
    MUST(!cache_lease_serves(l, until) && (until == 0 || cache_lease_serves(l, until - 1)));
    int64_t version = cache_lease_version(l, now);
    MUST(version >= *last);
    MUST((version == 0) == (until == 0));
    *last = version;
}

START_TEST(any_order_comes_to_the_same)
{
    for (unsigned round = 0; round < 500; round++) {
        struct cache_lease l = {0};
        struct beat told[BEATS];
        int64_t last = 0;
        cache_lease_begin(&l, 2);
        for (size_t i = 0; i < BEATS; i++) {
            struct beat *b = &told[i];
            int64_t at = 1 + cache_random(4000);
            *b = (struct beat){1 + cache_random(3), at + cache_random(800), at,
                               WALL + at + cache_random(50)};
            if (i > 0 && cache_random(4) == 0)
                *b = told[cache_random((uint32_t)i)];
            cache_lease_take(&l, b->incarnation, b->until_us, b->at_us, b->redis_us);
            expect(&l, told, i + 1, 2, &last);
        }
    }
}
END_TEST

/* Redis' clock that came with a claim: versions are above it from now on, whatever beats say. */
START_TEST(versions_rise)
{
    struct cache_lease l = {0};
    cache_lease_begin(&l, 1);
    cache_lease_rise(&l, 900);
    ck_assert_int_eq(cache_lease_version(&l, 10),
                     0); /* not before a lease: nothing is written then */
    ck_assert(cache_lease_take(&l, 1, 1000, 10, 500));
    ck_assert_int_eq(cache_lease_version(&l, 20), 900);
    ck_assert_int_eq(cache_lease_version(&l, 500), 990);
    cache_lease_rise(&l, 700);
    ck_assert_int_eq(cache_lease_version(&l, 500), 990);
    cache_lease_rise(&l, 2000);
    ck_assert_int_eq(cache_lease_version(&l, 500), 2000);
    cache_lease_begin(&l, 2);
    ck_assert_int_eq(cache_lease_version(&l, 500), 2000); /* over all of a node's lives */
    ck_assert(!cache_lease_serves(&l, 500));
}
END_TEST

SUITE_MAIN("cache_lease", there_is_none_at_first, it_ends_at_its_last_microsecond,
           a_beat_that_comes_late_or_twice_changes_nothing, what_is_no_lease_is_not_taken,
           another_incarnation_has_a_lease_of_its_own, versions_follow_redis_and_never_go_back,
           the_ends_of_numbers, any_order_comes_to_the_same, versions_rise)
