/* test_cache_manager_policy.c: nobody is dead before the lease's time, nor because the manager itself was deaf. */
#include "test/unit/suite.h"
#include "workers/cache/manager/cache_manager_policy.h"

#include <errno.h>

#define LEASE_MS 10000u
#define BEAT_US  INT64_C(2000000) /* a fifth of it */

static struct cache_watch watch;

static void set_up(void)
{
    cache_watch_init(&watch, LEASE_MS);
}

static void tear_down(void)
{
    cache_watch_fini(&watch);
}

static void see(const char *who, uint64_t beats)
{
    ck_assert_int_eq(cache_watch_see(&watch, slice_of(who), beats), 0);
}

/* A round with two of them. */
static void come(int64_t now_us, uint64_t a, uint64_t b)
{
    cache_watch_begin(&watch, now_us, false);
    see("1", a);
    see("2", b);
    cache_watch_end(&watch);
}

static int64_t still(const char *who)
{
    const struct cache_watched *one = cache_watch_find(&watch, slice_of(who));
    ck_assert_ptr_nonnull(one);
    return cache_watch_still_us(&watch, one);
}

START_TEST(a_lease_counts_from_the_sending)
{
    ck_assert_uint_eq(cache_manager_beat_ms(LEASE_MS), 2000);
    ck_assert_int_eq(cache_manager_until_us(5, LEASE_MS), 5 + 8000000);
    ck_assert_int_eq(cache_manager_grace_us(LEASE_MS), 12000000);
    ck_assert_int_eq(cache_manager_retire_us(LEASE_MS), 100000000);
}
END_TEST

/* By clocks that differ by 10 %, for every lease that may be set. */
START_TEST(a_node_serves_no_more_when_it_is_lost)
{
    for (uint64_t lease_ms = 1000; lease_ms <= 600000; lease_ms += 997)
        ck_assert_int_lt(cache_manager_until_us(0, lease_ms) * 11,
                         cache_manager_grace_us(lease_ms) * 9);
}
END_TEST

START_TEST(who_beats_is_not_dead)
{
    for (int64_t i = 0; i < 30; i++) {
        come(1 + i * BEAT_US, 7 + (uint64_t)i, 7);
        ck_assert_int_eq(still("1"), 0);
        ck_assert_int_eq(still("2"), i * BEAT_US);
    }
    ck_assert_uint_eq(cache_watch_find(&watch, slice_of("2"))->beats, 7);
}
END_TEST

/* One beat is enough, and one that is less than before, as another Redis may have it, is one too. */
START_TEST(a_beat_begins_it_anew)
{
    come(1, 7, 7);
    come(1 + BEAT_US, 7, 7);
    come(1 + 2 * BEAT_US, 6, 7);
    ck_assert_int_eq(still("1"), 0);
    ck_assert_int_eq(still("2"), 2 * BEAT_US);
}
END_TEST

START_TEST(a_pause_of_ours_begins_all_anew)
{
    come(1, 7, 7);
    come(1 + 2 * BEAT_US, 7, 7);
    ck_assert_int_eq(still("1"), 2 * BEAT_US);
    come(1 + 4 * BEAT_US + 1, 7, 7);
    ck_assert_int_eq(still("1"), 0);
    ck_assert_int_eq(still("2"), 0);
}
END_TEST

START_TEST(so_do_another_connection_and_a_closed_ring)
{
    come(1, 7, 7);
    come(1 + BEAT_US, 7, 7);
    cache_watch_anew(&watch);
    come(1 + 2 * BEAT_US, 7, 7);
    ck_assert_int_eq(still("1"), 0);
    come(1 + 3 * BEAT_US, 7, 7);
    ck_assert_int_eq(still("1"), BEAT_US);
    cache_watch_begin(&watch, 1 + 4 * BEAT_US, true);
    see("1", 7);
    cache_watch_end(&watch);
    ck_assert_int_eq(still("1"), 0);
}
END_TEST

START_TEST(who_is_not_shown_is_forgotten)
{
    come(1, 7, 7);
    cache_watch_begin(&watch, 1 + BEAT_US, false);
    see("2", 7);
    cache_watch_end(&watch);
    ck_assert_ptr_null(cache_watch_find(&watch, slice_of("1")));
    ck_assert_int_eq(still("2"), BEAT_US);
    come(1 + 2 * BEAT_US, 7, 7);
    ck_assert_int_eq(still("1"), 0);
}
END_TEST

/* In whatever order Redis tells them. */
START_TEST(order_is_nothing)
{
    char who[16];
    for (int round = 0; round < 3; round++) {
        cache_watch_begin(&watch, 1 + round * BEAT_US, false);
        for (int i = 0; i < 100; i++) {
            snprintf(who, sizeof who, "%d", round % 2 == 0 ? i : 99 - i);
            see(who, 5);
        }
        cache_watch_end(&watch);
    }
    ck_assert_uint_eq(watch.count, 100);
    ck_assert_int_eq(still("0"), 2 * BEAT_US);
    ck_assert_int_eq(still("99"), 2 * BEAT_US);
}
END_TEST

START_TEST(names_and_numbers_are_bounded)
{
    static char name[REDIS_IDENTITY_SIZE + 1];
    memset(name, 'x', REDIS_IDENTITY_SIZE);
    cache_watch_begin(&watch, 1, false);
    ck_assert_int_eq(cache_watch_see(&watch, slice_of(name), 1), -EINVAL);
    ck_assert_int_eq(cache_watch_see(&watch, slice_of(""), 1), -EINVAL);
    name[REDIS_IDENTITY_SIZE - 1] = '\0';
    see(name, 1);
    for (int i = 1; i < CACHE_WATCH_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        see(name, 1);
    }
    ck_assert_int_eq(cache_watch_see(&watch, slice_of("more"), 1), -E2BIG);
    ck_assert_int_eq(cache_watch_see(&watch, slice_of("17"), 2), 0);
}
END_TEST

SUITE_MAIN_WITH("cache_manager_policy", set_up, tear_down, a_lease_counts_from_the_sending,
                a_node_serves_no_more_when_it_is_lost, who_beats_is_not_dead, a_beat_begins_it_anew,
                a_pause_of_ours_begins_all_anew, so_do_another_connection_and_a_closed_ring,
                who_is_not_shown_is_forgotten, order_is_nothing, names_and_numbers_are_bounded)
