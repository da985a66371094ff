/*
 * test_cache_member_sweep.c: cells that a node has in Redis without knowing are found after a join, claimed, and given
 * back when nobody uses them (workers/cache/cache_member_sweep.c).
 */
#include "test/unit/cache/member_fixture.h"

#include "proto/cache/cache_ring_script.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

static void set_up(void)
{
    play_set_up();
    fake_manager.idle_ms = 60000;
}

static size_t sweeps_of_a_tick(void)
{
    size_t before = fake_manager.sweeps;
    cache_member_tick(node.member);
    return fake_manager.sweeps - before;
}

/* Joined as who it is already: a process of its incarnation that was killed. */
static void come_back(void)
{
    play_begin();
    play_shut();
    play_open();
    play_join();
    play_nodes((const int[]){1, 2, 3, 0});
    play_lease(PLAY_HOUR);
}

static bool swept(const struct cache_ring_held *held, size_t count, uint64_t bucket)
{
    bool said = play_swept(fake_manager.sweep_token, CACHE_RING_OK, held, count, bucket);
    node_turn(2);
    return said;
}

/* Whoever is new has nothing there. */
START_TEST(not_when_it_is_new)
{
    play_begin();
    ck_assert_uint_eq(sweeps_of_a_tick(), 0);
}
END_TEST

/* 0: what is not used is kept, and so are cells. */
START_TEST(not_without_idle)
{
    fake_manager.idle_ms = 0;
    come_back();
    ck_assert_uint_eq(sweeps_of_a_tick(), 0);
}
END_TEST

/* One page after the other, to the last; then no more. */
START_TEST(page_by_page)
{
    come_back();
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    ck_assert_uint_eq(fake_manager.sweep_mark, fake_manager.joined.mark);
    ck_assert_uint_eq(fake_manager.sweep_bucket, 0);
    ck_assert_str_eq(fake_manager.sweep_cursor, "0");
    ck_assert_uint_eq(sweeps_of_a_tick(), 0); /* it waits for that one */
    ck_assert(swept(NULL, 0, 300));
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    ck_assert_uint_eq(fake_manager.sweep_bucket, 300);
    ck_assert_str_eq(fake_manager.sweep_cursor, "7");
    ck_assert(swept(NULL, 0, CACHE_RING_BUCKETS));
    ck_assert_uint_eq(sweeps_of_a_tick(), 0);
}
END_TEST

/* What is not known is claimed; of a claim that is under way, and of what is known, nothing is said again. */
START_TEST(what_is_not_known_is_claimed)
{
    come_back();
    play_looks("known");
    play_grant("known");
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    play_looks("asked");
    const struct cache_ring_held held[] = {
        {play_cell("known"), 1}, {play_cell("asked"), 1}, {play_cell("forgotten"), 2}};
    const uint64_t number = fake_manager.joined.number;
    ck_assert(swept(held, 3, 300));
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 2);
    ck_assert(claim->cells[0].cell == play_cell("asked"));
    ck_assert(claim->cells[1].cell == play_cell("forgotten"));
    play_hears_nothing();
    ck_assert(play_own(claim, CACHE_RING_OURS, number));
    node_turn(2);
    ck_assert_int_eq(play_state("forgotten"), CACHE_CELL_OURS);
    ck_assert_int_eq(play_looks("forgotten"), CACHE_DO_RUN);
}
END_TEST

/* It may be another's by now: that is what the claim says. */
START_TEST(what_is_anothers_stays_so)
{
    come_back();
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    const struct cache_ring_held held = {play_cell("k"), 2};
    ck_assert(swept(&held, 1, CACHE_RING_BUCKETS));
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 2));
    node_turn(2);
    ck_assert_int_eq(play_state("k"), CACHE_CELL_THEIRS);
}
END_TEST

/* No answer, or none of this session: the page is asked for again; garbage is none. */
START_TEST(answers_that_are_none)
{
    come_back();
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    uint64_t old = fake_manager.sweep_token;
    ck_assert(play_swept(old, MEMBER_AWAY, NULL, 0, 0));
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    ck_assert_uint_eq(fake_manager.sweep_bucket, 0);
    ck_assert(play_swept(old, CACHE_RING_OK, NULL, 0, 500));
    ck_assert_uint_eq(sweeps_of_a_tick(), 0);
    struct buffer out = BUFFER_EMPTY;
    message_ring_swept_pack(&out, &(struct message_ring_swept){.token = fake_manager.sweep_token,
                                                               .bucket = 1,
                                                               .cursor = slice_of("0"),
                                                               .cells = slice_of("short")});
    ck_assert(!play_say(&out));
    buffer_fini(&out);
}
END_TEST

/* Another session begins it anew, and while the node leaves nobody asks. */
START_TEST(another_session)
{
    come_back();
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    ck_assert(swept(NULL, 0, 300));
    cache_member_on_down(node.member);
    cache_member_on_up(node.member);
    fake_manager.joined.mark++;
    play_join();
    play_lease(PLAY_HOUR);
    ck_assert_uint_eq(sweeps_of_a_tick(), 1);
    ck_assert_uint_eq(fake_manager.sweep_bucket, 0);
    ck_assert_uint_eq(fake_manager.sweep_mark, fake_manager.joined.mark);
    cache_member_leave(node.member);
    ck_assert(swept(NULL, 0, 300));
    ck_assert_uint_eq(sweeps_of_a_tick(), 0);
}
END_TEST

SUITE_MAIN_WITH("cache_member_sweep", set_up, play_tear_down, not_when_it_is_new, not_without_idle,
                page_by_page, what_is_not_known_is_claimed, what_is_anothers_stays_so,
                answers_that_are_none, another_session)
