/*
 * test_cache_member_walk.c: what goes through very many cells a part at a time, and what comes in the middle of it
 * (workers/cache/cache_member_walk.c).
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <stdio.h>

#define MANY 900 /* more than three parts of a walk */

/* All ours, and nothing in them. */
static void own_many(void)
{
    char key[16];
    play_begin();
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "k%d", i);
        play_looks(key);
    }
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, MANY);
    ck_assert(play_own(claim, CACHE_RING_OURS, 1));
    ck_assert_uint_eq(cache_member_tell(node.member).cells, MANY);
}

static void joined_anew(void)
{
    fake_manager.joined.mark++;
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
}

/* A part of the walk is done; then it joins once more. */
static void joins_amid(enum member_walk walk)
{
    joined_anew();
    ck_assert_int_eq(node.member->walk, walk);
    node_turn(1);
    ck_assert_int_eq(node.member->walk, walk);
    ck_assert_uint_gt(cache_member_tell(node.member).cells, 0);
    joined_anew();
    ck_assert_int_eq(node.member->walk, walk);
    node_until(node.member->walk == MEMBER_SETTLED);
    ck_assert_uint_eq(cache_member_tell(node.member).cells, 0);
}

START_TEST(joins_again_as_another)
{
    own_many();
    fake_manager.joined.incarnation = 4;
    fake_manager.joined.number = 1;
    joins_amid(MEMBER_OUTLIVED);
    fake_manager.joined.mark++;
    joined_anew();
    ck_assert_int_eq(node.member->walk, MEMBER_REJOINS); /* it had come to its end */
}
END_TEST

START_TEST(joins_again_in_a_new_run)
{
    own_many();
    fake_manager.joined.epoch++;
    joins_amid(MEMBER_NEW_RUN);
    for (size_t left = MANY; left > 0;) {
        const struct play_said *held = play_heard(MESSAGE_RING_HELD);
        ck_assert_uint_eq(held->mark, fake_manager.joined.mark);
        ck_assert(play_own(held, CACHE_RING_OURS, 1));
        left -= held->count;
    }
    play_hears_nothing();
    ck_assert_uint_eq(cache_member_tell(node.member).cells, MANY);
    joined_anew();
    ck_assert_int_eq(node.member->walk, MEMBER_REJOINS);
}
END_TEST

/* The process ends in the middle: its next start does not take what it had not seen for what it has in this run. */
START_TEST(ends_amid_a_new_run)
{
    own_many();
    fake_manager.joined.epoch++;
    joined_anew();
    node_turn(1);
    play_shut();
    play_open();
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
    ck_assert_int_eq(node.member->walk, MEMBER_NEW_RUN);
    node_until(node.member->walk == MEMBER_SETTLED);
    play_shut();
    play_open();
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
    ck_assert_int_eq(node.member->walk, MEMBER_REJOINS);
}
END_TEST

/* Meanwhile nothing is served, loaded or given back, whatever the lease says. */
START_TEST(nothing_amid)
{
    own_many();
    joined_anew();
    ck_assert(!cache_member_serves(node.member));
    ck_assert(!cache_member_may_store(node.member));
    ck_assert_int_eq(play_looks("k0"), CACHE_DO_WAIT);
    ck_assert(!cache_member_look_ahead(node.member, slice_of("k0")));
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("k0")), 0);
    ck_assert(!cache_member_is_settled(node.member, play_cell("k0")));
    cache_member_tick(node.member);
    node_until(node.member->walk == MEMBER_SETTLED);
    ck_assert(cache_member_serves(node.member));
    ck_assert_int_eq(play_looks("k0"), CACHE_DO_RUN);
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("k0")), 1);
    play_hears_nothing();
}
END_TEST

SUITE_MAIN_WITH("cache_member_walk", play_set_up, play_tear_down, joins_again_as_another,
                joins_again_in_a_new_run, ends_amid_a_new_run, nothing_amid)
