/*
 * test_cache_manager_lost.c: without copies, the master strikes out lost nodes that have no cell, and gives up those
 * whose time is over where it is told to (workers/cache/manager/cache_manager_empty.c, cache_manager_failover.c). Redis
 * is the test's.
 */
#include "common/clock.h"
#include "test/unit/cache/manager_fixture.h"

/* Lost for so long. */
static struct manager_known *lost_for(uint64_t incarnation, uint64_t ms)
{
    struct manager_known *k = managed_lose(incarnation);
    k->lost_ms = clock_mono_ms() - ms;
    return k;
}

/* A page of its cells: that many, and where it goes on. */
static void swept(uint64_t cells, uint64_t bucket)
{
    struct buffer out = BUFFER_EMPTY;
    pack_u64(&out, CACHE_RING_OK);
    pack_u64(&out, 0);
    pack_u64(&out, bucket);
    pack_text(&out, "0");
    pack_array(&out, (uint32_t)(2 * cells));
    for (uint64_t i = 0; i < cells; i++) {
        pack_bin(&out, slice_make("\0\0\0\0\0\0\0\1", 8));
        pack_u64(&out, 1);
    }
    managed_answer_bytes(buffer_slice(&out));
    buffer_fini(&out);
}

static void set_up(void)
{
    managed_set_up();
    managed.copies = 1;
    managed.failover_ms = 30000;
}

/* ---- without a cell ---- */

START_TEST(who_has_no_cell_is_struck_out)
{
    lost_for(9, 201000);
    ck_assert(manager_strike_empty(&managed));
    managed_expect(CACHE_RING_SWEEP, "9 0 0");
    swept(0, 100);
    ck_assert(manager_strike_empty(&managed));
    managed_expect(CACHE_RING_SWEEP, "9 100 0");
    swept(0, CACHE_RING_BUCKETS);
    ck_assert(manager_strike_empty(&managed));
    managed_expect(CACHE_RING_FORGET, "9 900 0");
    managed_answer(CACHE_RING_OK);
    ck_assert_uint_eq(managed_done.forgotten, 9);
    ck_assert(!manager_strike_empty(&managed));
}
END_TEST

START_TEST(who_has_one_stays)
{
    struct manager_known *k = lost_for(9, 201000);
    ck_assert(manager_strike_empty(&managed));
    swept(1, 100);
    ck_assert(k->holds);
    ck_assert(!manager_strike_empty(&managed));
}
END_TEST

START_TEST(not_before_twenty_leases)
{
    lost_for(9, 100000);
    ck_assert(!manager_strike_empty(&managed));
}
END_TEST

/* Whoever takes its copies over strikes it out. */
START_TEST(with_copies_it_is_nobodys_here)
{
    managed.copies = 2;
    managed.gives_up = true;
    lost_for(9, 201000);
    ck_assert(!manager_strike_empty(&managed));
    ck_assert(!manager_fail_over(&managed));
    ck_assert_uint_eq(managed_calls(), 0);
}
END_TEST

/* ---- given up ---- */

START_TEST(whose_time_is_over_is_given_up)
{
    managed.gives_up = true;
    lost_for(9, 31000)->holds = true;
    ck_assert(manager_fail_over(&managed));
    managed_expect(CACHE_RING_FORGET, "9 900 0");
    managed_answer(CACHE_RING_OK);
    ck_assert_uint_eq(managed_done.forgotten, 9);
    ck_assert_uint_eq(managed_done.frees, 1);
    ck_assert_uint_eq(managed_done.duties, 1);
    ck_assert(!manager_fail_over(&managed));
}
END_TEST

START_TEST(nobody_else_is)
{
    struct manager_known *k = lost_for(9, 31000);
    ck_assert(!manager_fail_over(&managed));
    managed.gives_up = true;
    k->lost = false;
    ck_assert(!manager_fail_over(&managed));
    k->lost = true;
    k->lost_ms = clock_mono_ms();
    ck_assert(!manager_fail_over(&managed));
    ck_assert_uint_eq(managed_calls(), 0);
}
END_TEST

START_TEST(at_once)
{
    managed.gives_up = true;
    managed.failover_ms = 0;
    lost_for(9, 0);
    ck_assert(manager_fail_over(&managed));
}
END_TEST

/* It is back, the ring is closed, there is no answer, or none that is one: nothing has changed. */
START_TEST(what_is_not_done_changes_nothing)
{
    managed.gives_up = true;
    lost_for(9, 31000);
    managed.on_duty = manager_fail_over(&managed);
    managed_answer(CACHE_RING_MOVED);
    ck_assert(!managed.on_duty);
    managed.on_duty = manager_fail_over(&managed);
    managed_answer(CACHE_RING_CLOSED, 100);
    managed.on_duty = manager_fail_over(&managed);
    managed_unheard();
    managed.on_duty = manager_fail_over(&managed);
    managed_answer_bytes(slice_of("\xc1"));
    ck_assert(!managed.on_duty);
    ck_assert_uint_eq(managed_done.garbled, 1);
    ck_assert_uint_eq(managed_done.forgotten + managed_done.frees + managed_done.duties, 0);
}
END_TEST

/* Another one is first by now: what was answered is not its. */
START_TEST(an_answer_is_of_whom_was_asked)
{
    managed.gives_up = true;
    struct manager_known *k = lost_for(9, 31000);
    ck_assert(manager_fail_over(&managed));
    k->lost = false;
    lost_for(11, 31000);
    managed_answer(CACHE_RING_OK);
    ck_assert_uint_eq(managed_done.forgotten, 0);
}
END_TEST

SUITE_MAIN_WITH("cache_manager_lost", set_up, managed_tear_down, who_has_no_cell_is_struck_out,
                who_has_one_stays, not_before_twenty_leases, with_copies_it_is_nobodys_here,
                whose_time_is_over_is_given_up, nobody_else_is, at_once,
                what_is_not_done_changes_nothing, an_answer_is_of_whom_was_asked)
