/*
 * test_cache_member_claim.c: what a node asks of its manager, and what it makes of each answer: of claims
 * (workers/cache/cache_member_say.c, workers/cache/cache_member_hear.c).
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <stdlib.h>

static void look_at_many(int from, int to)
{
    char key[16];
    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(play_looks(key), CACHE_DO_WAIT);
    }
}

/* ---- asking ---- */

/* A turn's needs are one request; each cell is asked for once; a request has a thousand at most. */
START_TEST(claims_are_batched)
{
    char key[16];
    play_begin();
    look_at_many(0, 2500);
    look_at_many(0, 2500);
    ck_assert_uint_eq(cache_member_tell(node.member).asked, 2500);
    size_t counts[] = {1000, 1000, 500};
    uint64_t token = 0;
    for (int i = 0, at = 0; i < 3; i++) {
        const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
        ck_assert_uint_eq(claim->count, counts[i]);
        ck_assert_uint_eq(claim->mark, 101);
        ck_assert_uint_gt(claim->token, token);
        token = claim->token;
        for (size_t j = 0; j < claim->count; j++, at++) {
            snprintf(key, sizeof key, "k%d", at);
            ck_assert(claim->cells[j].cell == play_cell(key));
        }
        ck_assert(play_own(claim, CACHE_RING_OURS, (uint64_t)i + 1));
    }
    play_hears_nothing();
    ck_assert_uint_eq(cache_member_tell(node.member).cells, 2500);
    ck_assert_int_eq(play_looks("k2499"), CACHE_DO_RUN);
}
END_TEST

/* No more than so many requests are under way; the rest goes when one is answered. */
START_TEST(requests_are_bounded)
{
    play_begin();
    look_at_many(0, (MEMBER_FLIGHTS + 1) * 1000 + 1);
    const struct play_said *first = play_heard(MESSAGE_RING_CLAIM);
    for (int i = 1; i < MEMBER_FLIGHTS; i++)
        play_heard(MESSAGE_RING_CLAIM);
    play_hears_nothing();
    ck_assert(play_own(first, CACHE_RING_OURS, 1));
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 1000);
    play_hears_nothing();
}
END_TEST

/* What cannot be sent is asked for a little later, by itself. */
START_TEST(what_is_not_sent)
{
    play_begin();
    fake_manager.deaf = true;
    look_at_many(0, 3);
    play_hears_nothing();
    fake_manager.deaf = false;
    node_until(fake_manager.count > 0);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 3);
}
END_TEST

/* Nothing is asked before it has joined; then what was looked at meanwhile is. */
START_TEST(not_before_it_has_joined)
{
    play_open();
    look_at_many(0, 3);
    ck_assert(!cache_member_look_ahead(node.member, slice_of("k1")));
    ck_assert(!cache_member_is_settled(node.member, play_cell("k1")));
    play_join();
    play_hears_nothing(); /* who waited looks again, if it is still there */
    look_at_many(0, 3);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 3);
}
END_TEST

START_TEST(ahead)
{
    play_begin();
    ck_assert(!cache_member_look_ahead(node.member, slice_of("k")));
    ck_assert(!cache_member_look_ahead(node.member, slice_of("k")));
    play_grant("k");
    ck_assert(cache_member_look_ahead(node.member, slice_of("k")));
}
END_TEST

/* ---- whose they are ---- */

START_TEST(ours)
{
    play_begin();
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("k")), 0);
    ck_assert(!cache_member_is_settled(node.member, play_cell("k")));
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(play_own(claim, CACHE_RING_OURS, 77));
    ck_assert(cache_member_take_look(node.member));
    ck_assert(cache_member_is_settled(node.member, play_cell("k")));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("k")), 77);
    ck_assert_uint_eq(cache_member_owner(node.member, slice_of("k")), 0);
}
END_TEST

/* Another's: its commands go there, while that node is one of the live. */
START_TEST(theirs)
{
    struct cache_member_sight sight;
    play_begin();
    play_looks("k");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 2));
    cache_member_now(node.member);
    sight = cache_member_look(node.member, slice_of("k"), (struct cache_member_who){0});
    ck_assert_int_eq(sight.action, CACHE_DO_FORWARD);
    ck_assert_uint_eq(sight.owner, 2);
    ck_assert_uint_eq(cache_member_owner(node.member, slice_of("k")), 2);
    ck_assert_uint_eq(cache_member_tell(node.member).foreign, 1);
    play_lease_over();
    ck_assert_int_eq(play_looks("k"), CACHE_DO_FORWARD); /* it needs no lease of ours */
    play_hears_nothing();
    play_nodes((const int[]){1, -2, 3, 0});
    ck_assert_uint_eq(cache_member_owner(node.member, slice_of("k")), 0);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 1);
}
END_TEST

/* Of a node that nobody has told of: it is asked again, until there is such a one. */
START_TEST(of_an_unknown_node)
{
    play_begin();
    play_looks("k");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 9));
    ck_assert(!cache_member_is_settled(node.member, play_cell("k")));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_hears_nothing(); /* not at once: the list is on its way */
    node_until(fake_manager.count > 0);
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 9));
    play_hears_nothing();
    play_nodes((const int[]){9, 1, 0}); /* with that, at once */
    ck_assert_uint_eq(fake_manager.count, 1);
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 9));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_FORWARD);
}
END_TEST

/* Of a lost node: refused, until the nodes have changed. */
START_TEST(of_a_lost_node)
{
    play_begin();
    play_looks("k");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_LOST_CELL, 3));
    ck_assert(cache_member_is_settled(node.member, play_cell("k")));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_REFUSE);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_REFUSE);
    play_hears_nothing();
    play_nodes((const int[]){1, 2, 0});
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_grant("k");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
}
END_TEST

/* The owner says that it is not: asked once more; what is said late of another owner is nothing. */
START_TEST(owner_says_it_is_not)
{
    play_begin();
    play_looks("k");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 2));
    cache_member_moved(node.member, slice_of("k"), 3);
    cache_member_moved(node.member, slice_of("other"), 2);
    play_hears_nothing();
    cache_member_moved(node.member, slice_of("k"), 2);
    cache_member_moved(node.member, slice_of("k"), 2);
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    play_hears_nothing();
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    ck_assert(play_own(claim, CACHE_RING_THEIRS, 3));
    ck_assert_uint_eq(cache_member_owner(node.member, slice_of("k")), 3);
}
END_TEST

/* Another node's command is run or refused; only if it was refused before, and asks again, is Redis asked. */
START_TEST(sent_by_another)
{
    struct cache_member_who first = {.from = 2}, again = {.from = 2, .again = true};
    struct slice key = slice_of("k");
    play_begin();
    cache_member_now(node.member);
    ck_assert_int_eq(cache_member_look(node.member, key, first).action, CACHE_DO_REFUSE);
    play_hears_nothing();
    ck_assert_int_eq(cache_member_look(node.member, key, again).action, CACHE_DO_WAIT);
    play_grant("k");
    ck_assert_int_eq(cache_member_look(node.member, key, first).action, CACHE_DO_RUN);
    play_looks("x");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 3));
    key = slice_of("x");
    ck_assert_int_eq(cache_member_look(node.member, key, first).action, CACHE_DO_REFUSE);
    ck_assert_int_eq(cache_member_look(node.member, key, again).action, CACHE_DO_WAIT);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 1);
}
END_TEST

/* ---- why nobody says ---- */

static void why(const char *part)
{
    char text[CACHE_MEMBER_WHY_SIZE];
    cache_member_why(node.member, text);
    ck_says(text, part);
}

/* Nothing is granted for a while: it is asked for when that is over, and only then. */
START_TEST(closed)
{
    play_begin();
    play_looks("k");
    ck_assert(play_obstruct(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_CLOSED, 3600000));
    why("nothing is granted for");
    play_hears_nothing();
    ck_assert_int_gt(node.member->later_us - node.member->now_us, INT64_C(3500) * 1000000);
    node.member->later_us = 0;
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 1);
    play_lease_over();
    node.member->closed_us = 0;
    why("has not confirmed for `lease`");
    play_lease(PLAY_HOUR);
    why("nobody has said within `timeout`");
    cache_member_on_down(node.member);
    why("its manager is away");
}
END_TEST

/* Of a new ring: what closed_ms of the join says. */
START_TEST(closed_from_the_join)
{
    play_open();
    fake_manager.joined.closed_ms = 60000;
    why("its manager is away");
    cache_member_on_up(node.member);
    why("it has not joined");
    play_join();
    why("nothing is granted for 59");
}
END_TEST

static void goes_on_after(uint64_t result)
{
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(play_obstruct(claim, result, 0));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_hears_nothing();
    node_until(fake_manager.count > 0);
}

/* The manager could not ask; or says what it never says of a claim: it is asked again, a little later. */
START_TEST(away)
{
    play_begin();
    play_looks("k");
    goes_on_after(4);
    goes_on_after(CACHE_RING_MOVED);
    goes_on_after(99);
    play_grant("k");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
}
END_TEST

/* Redis does not know this session any more: it joins anew, and asks again. */
START_TEST(must_join)
{
    play_begin();
    play_looks("k");
    ck_assert(play_obstruct(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_MUST_JOIN, 0));
    why("it has not joined");
    play_hears_nothing();
    cache_member_tick(node.member);
    fake_manager.joined.mark = 102;
    play_join();
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->mark, 102);
}
END_TEST

/* ---- answers that are none ---- */

/* Nothing of it is taken, and what was asked is asked again. */
static void is_no_answer(const struct cache_ring_owner *owners, size_t count)
{
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 2);
    ck_assert(!play_own_each(claim, owners, count));
    ck_assert_int_eq(play_state("a"), CACHE_CELL_ASKED);
    ck_assert_int_eq(play_state("b"), CACHE_CELL_ASKED);
    node.member->later_us = 0;
}

START_TEST(malformed)
{
    const struct cache_ring_owner own = {CACHE_RING_OURS, 5}, foreign = {CACHE_RING_THEIRS, 2};
    play_begin();
    play_looks("a");
    play_looks("b");
#define NO_ANSWER(...)                                                                             \
    do {                                                                                           \
        const struct cache_ring_owner owners[] = {__VA_ARGS__};                                    \
        is_no_answer(owners, sizeof owners / sizeof owners[0]);                                    \
    } while (0)
    NO_ANSWER(own);
    NO_ANSWER(own, foreign, own);
    NO_ANSWER(own, {CACHE_RING_FREE_CELL, 2});
    NO_ANSWER(own, {9, 2});
    NO_ANSWER(own, {CACHE_RING_THEIRS, 0});
    NO_ANSWER(own, {CACHE_RING_THEIRS, (uint64_t)UINT32_MAX + 1});
    NO_ANSWER({CACHE_RING_LOST_CELL, 0}, own);
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(!play_obstruct(claim, CACHE_RING_CLOSED, (uint64_t)1 << 32)); /* it still waits */
    const struct cache_ring_owner right[] = {own, foreign};
    ck_assert(play_own_each(claim, right, 2));
    ck_assert_int_eq(play_state("a"), CACHE_CELL_OURS);
    ck_assert_int_eq(play_state("b"), CACHE_CELL_THEIRS);
}
END_TEST

/* Twice, late, or of an earlier session: it says nothing any more. */
START_TEST(twice_and_late)
{
    play_begin();
    play_looks("k");
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(play_own(claim, CACHE_RING_OURS, 5));
    ck_assert(play_own(claim, CACHE_RING_THEIRS, 2));
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("k")), 5);
    play_looks("late");
    const struct play_said *late = play_heard(MESSAGE_RING_CLAIM);
    fake_manager.joined.mark = 102;
    fake_manager.joined.number = 5;
    cache_member_on_up(node.member);
    play_join();
    ck_assert(play_own(late, CACHE_RING_OURS, 6));
    ck_assert_int_eq(play_state("late"), CACHE_CELL_ASKED);
    play_grant("late");
    ck_assert_int_eq(play_state("late"), CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("k")), 5);
}
END_TEST

/* Never: who waits is told within its time, and the connection goes on. */
START_TEST(never)
{
    fake_manager.timeout_ms = 100;
    play_begin();
    int fd = node_connect();
    node_expect(fd, "GET k\r\nPING\r\n", "");
    char came[1024] = "";
    node_until((strcat(came, node_read(fd)), strstr(came, "PONG") != NULL));
    ck_says(came, "-TRYAGAIN the ring of cache/test/node.1: nobody has said within `timeout`");
    ck_says(came, "\r\n+PONG\r\n");
    close(fd);
}
END_TEST

/* Redis' clock when a cell was granted is below what is written there, whatever the last beat said. */
START_TEST(granted_at)
{
    play_begin();
    int fd = node_connect();
    node_expect(fd, "SET k v\r\n", "");
    fake_manager.joined.redis_us = UINT64_C(3000000000000000);
    cache_turn_begin(&node.turn); /* somebody else has been served in this turn */
    play_grant("k");
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
    ck_assert_uint_ge(cache_db_dirty_version(node.db, slice_of("k")), fake_manager.joined.redis_us);
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_member_claim", play_set_up, play_tear_down, claims_are_batched,
                requests_are_bounded, what_is_not_sent, not_before_it_has_joined, ahead, ours,
                theirs, of_an_unknown_node, of_a_lost_node, owner_says_it_is_not, sent_by_another,
                closed, closed_from_the_join, away, must_join, malformed, twice_and_late, never,
                granted_at)
