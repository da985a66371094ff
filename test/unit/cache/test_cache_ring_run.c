/*
 * test_cache_ring_run.c: Redis is another process, or has lost its memory: nothing is granted until all leases are
 * over, and holders claim again (every script; held), with a real Redis.
 */
#include "test/unit/cache/ring_fixture.h"

static struct cache_ring_owner owner;
static struct cache_ring_joined first, second;

/* The calls that follow go to another process of Redis. */
static void fail_over(void)
{
    ring.run = slice_of("run-2");
}

static struct cache_ring_holder comes(const char *name, struct cache_ring_holder last,
                                      struct cache_ring_joined *j)
{
    struct cache_ring_member m = ring_member(name, NULL);
    m.last = last;
    ck_status(ring_join(&m, j), OK);
    return j->who;
}

static struct cache_ring_owner holds(struct cache_ring_holder who, uint64_t cell, uint64_t number)
{
    const struct cache_ring_held held = {cell, number};
    ck_status(ring_held(who, &held, 1, &owner), OK);
    return owner;
}

/* Whichever script is the first to be called in a new run, the ring is closed by it, and says so. */
START_TEST(whoever_comes_first_closes_it)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_held held = {1, ring_take(n1, 1)};
    const struct cache_ring_copy copy = {slice_of("k"), 1, slice_of("r")};
    const char *const runs[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    struct cache_ring_page page = {.cursor = "0"};
    struct cache_ring_beaten b;
    enum cache_ring_pulse pulse;
    uint64_t mark;
    bool lost;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        ring_open();
        ring.run = slice_of(runs[i]);
        if (i == 0)
            ck_status(ring_beat("m", 0, &n1, 1, &pulse, &b), OK);
        else if (i == 1)
            ck_status(ring_claim(n1, &held.cell, 1, &owner), MUST_JOIN);
        else if (i == 2)
            ck_status(ring_held(n1, &held, 1, &owner), MUST_JOIN);
        else if (i == 3)
            ck_status(ring_release(n1, &held, 1), MUST_JOIN);
        else if (i == 4)
            ck_assert_uint_gt(ring_look(&held.cell, 1, &owner).value, 0);
        else if (i == 5)
            ck_status(ring_lost("m", 1, ring_beats("1")), CLOSED);
        else if (i == 6)
            ck_status(ring_forget(n1, true), CLOSED);
        else if (i == 7)
            ck_status(ring_leave(n1), MUST_JOIN);
        else if (i == 8)
            ck_status(ring_free(&page), CLOSED);
        else if (i == 9)
            ck_assert_uint_gt(ring_sweep(1, &page).value, 0);
        else if (i == 10)
            ck_status(ring_copy(n1, &copy, 1), MUST_JOIN);
        else
            ck_status(ring_copies(1, "0", &mark, &lost, &page), OK);
        ring_redis("HGET %sring run", ring.prefix);
        ck_assert_str_eq(ring.answer, runs[i]);
        ck_status(ring_forget(n1, true), CLOSED);
    }
}
END_TEST

START_TEST(a_new_run_is_noticed_once)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    enum cache_ring_pulse pulse;
    struct cache_ring_beaten b;
    ck_status(ring_beat("m", 0, &n1, 1, &pulse, &b), OK);
    uint64_t gen = b.gen, before = ring_beats("1");
    fail_over();
    ck_status(ring_beat("m", gen, &n1, 1, &pulse, &b), OK);
    ck_assert_int_eq(pulse, CACHE_RING_JOIN_AGAIN);
    ck_assert(b.gen > gen && b.nodes.left == 1);
    ck_assert(b.closed_ms > 0 && b.closed_ms <= RING_LEASE_MS * 12 / 10);
    ck_assert_uint_eq(ring_beats("1"), before);
    ring_open();
    gen = b.gen;
    ck_status(ring_beat("m", gen, &n1, 1, &pulse, &b), OK);
    ck_assert(b.gen == gen && b.closed_ms == 0);
    ck_assert_int_eq(pulse, CACHE_RING_JOIN_AGAIN);
}
END_TEST

START_TEST(holders_claim_again_and_nobody_else)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    uint64_t number = ring_take(n1, 1);
    fail_over();
    n1 = comes("n1", n1, &first);
    n2 = comes("n2", n2, &second);
    ck_assert_int_eq(first.was, CACHE_RING_LIVE);
    ck_assert_uint_gt(second.closed_ms, 0);
    const uint64_t other = 2, cell = 1;
    ck_status(ring_claim(n2, &other, 1, &owner), CLOSED);
    ck_status(ring_claim(n1, &cell, 1, &owner), CLOSED);
    holds(n1, 1, number);
    ck_assert(owner.state == CACHE_RING_OURS && owner.value == number);
    const char *once = ring_digest();
    holds(n1, 1, number);
    ck_assert(owner.state == CACHE_RING_OURS && owner.value == number);
    ck_assert_str_eq(ring_digest(), once);
    ring_open();
    ck_assert_uint_eq(ring_take(n1, 1), number);
    ck_status(ring_claim(n2, &other, 1, &owner), OK);
    ck_assert(owner.state == CACHE_RING_OURS && owner.value > number);
    const struct cache_ring_held late = {3, 1};
    ck_status(ring_held(n1, &late, 1, &owner), MOVED);
}
END_TEST

/* Redis has lost that n2 had the cell after n1: n1's claim is there, and n2's wins, in whichever order they come. */
START_TEST(the_later_claim_wins)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    uint64_t number = ring_take(n1, 1);
    fail_over();
    n1 = comes("n1", n1, &first);
    n2 = comes("n2", n2, &second);
    ck_assert_int_eq(holds(n1, 1, number).state, CACHE_RING_OURS);
    ck_assert_int_eq(holds(n2, 1, number + 70).state, CACHE_RING_OURS);
    ck_assert_int_eq(holds(n1, 1, number).state, CACHE_RING_THEIRS);
    ck_assert_uint_eq(owner.value, n2.incarnation);
    ck_assert_int_eq(holds(n2, 2, 90).state, CACHE_RING_OURS);
    ck_assert_int_eq(holds(n1, 2, 80).state, CACHE_RING_THEIRS);
    ring_open();
    /* And what is granted from then on is later than all of these. */
    ck_assert_uint_gt(ring_take(n1, 3), 90);
}
END_TEST

START_TEST(of_its_own_claims_the_later_counts)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    uint64_t number = ring_take(n1, 1);
    fail_over();
    n1 = comes("n1", n1, &first);
    holds(n1, 1, number - 1);
    ck_assert(owner.state == CACHE_RING_OURS && owner.value == number);
    holds(n1, 1, number + 1);
    ck_assert(owner.state == CACHE_RING_OURS && owner.value == number + 1);
}
END_TEST

START_TEST(a_redis_that_has_forgotten_everything)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    uint64_t number = ring_take(n2, 1);
    ring_redis("FLUSHALL");
    const uint64_t cell = 1;
    ck_status(ring_claim(n2, &cell, 1, &owner), MUST_JOIN);
    /* A node that nobody knows comes first, and is given the incarnation that n1 had. */
    comes("n3", (struct cache_ring_holder){0, 0}, &first);
    ck_assert_uint_eq(first.who.incarnation, n1.incarnation);
    ck_assert_uint_gt(first.closed_ms, 0);
    ck_status(ring_claim(n1, &cell, 1, &owner), MUST_JOIN);
    n2 = comes("n2", n2, &second);
    ck_assert_int_eq(second.was, CACHE_RING_NEW);
    ck_assert_uint_ne(n2.incarnation, n1.incarnation);
    n1 = comes("n1", n1, &second);
    ck_assert(n1.incarnation != first.who.incarnation && n1.incarnation != n2.incarnation);
    ck_assert_int_eq(holds(n2, 1, number).state, CACHE_RING_OURS);
    ck_assert_int_eq(holds(n1, 1, number - 1).state, CACHE_RING_THEIRS);
    ring_open();
    ck_assert_uint_gt(ring_take(n1, 2), number);
}
END_TEST

/* So that a claim's number says whether it was granted since the join. What was held was given once, here or not. */
START_TEST(a_join_tells_what_was_given_in_this_run)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    uint64_t number = ring_take(n1, 1);
    ring_redis("FLUSHALL");
    n1 = comes("n1", n1, &first);
    ck_assert_uint_eq(first.number, 0);
    /* The same number as before is another incarnation: the epoch says so. */
    ck_assert_uint_eq(n1.incarnation, 1);
    ck_assert_int_eq(holds(n1, 1, number + 70).state, CACHE_RING_OURS);
    n1 = comes("n1", n1, &second);
    ck_assert_uint_eq(second.number, number + 70);
    ck_assert_uint_eq(second.epoch, first.epoch);
    ring_open();
    ck_assert_uint_eq(ring_take(n1, 1), number + 70);
    ck_assert_uint_eq(ring_take(n1, 2), number + 71);
}
END_TEST

/* A loss that was decided before stays one; what was decided before and not said is refused until all can be heard. */
START_TEST(lost_nodes_stay_lost)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    ring_take(n1, 1);
    struct cache_ring_holder lost = ring_lose(n1);
    fail_over();
    n2 = comes("n2", n2, &second);
    ck_assert_int_eq(holds(n2, 1, 0).state, CACHE_RING_LOST_CELL);
    ck_status(ring_forget(lost, true), CLOSED);
    ring_open();
    ck_status(ring_forget(lost, true), OK);
    ring_take(n2, 1);
}
END_TEST

START_TEST(who_claims_not_again_is_lost_in_the_end)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    ring_take(n1, 1);
    fail_over();
    ring_redis("SET %smaster m", ring.prefix);
    uint64_t beats = ring_beats("1");
    ck_status(ring_lost("m", 1, beats), CLOSED);
    ring_open();
    struct cache_ring_answer a = ring_lost("m", 1, beats);
    ck_status(a, OK);
    ck_status(ring_forget((struct cache_ring_holder){1, a.value}, false), OK);
}
END_TEST

START_TEST(copies_are_sent_again_while_it_is_closed)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copy = {slice_of("k"), 1, slice_of("r")};
    fail_over();
    n1 = comes("n1", n1, &first);
    ck_status(ring_copy(n1, &copy, 1), OK);
    ck_status(ring_drop(n1, &copy, 1), OK);
    ck_status(ring_leave(n1), OK);
}
END_TEST

START_TEST(a_full_redis_takes_back_what_was_held)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    fail_over();
    ring_redis("CONFIG SET maxmemory 1");
    n1 = comes("n1", n1, &first);
    ck_assert_int_eq(holds(n1, 1, 5).state, CACHE_RING_OURS);
}
END_TEST

/* Back on the first server, which has taken over again: another process than the last one. */
START_TEST(a_run_that_comes_back_is_a_new_one)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    fail_over();
    n1 = comes("n1", n1, &first);
    ring_open();
    ring.run = slice_of("run-1");
    const uint64_t cell = 1;
    ck_status(ring_claim(n1, &cell, 1, &owner), MUST_JOIN);
    comes("n1", n1, &second);
    ck_assert(second.closed_ms > 0 && second.epoch > first.epoch);
}
END_TEST

SUITE_MAIN_WITH("cache_ring_run", ring_set_up, ring_tear_down, whoever_comes_first_closes_it,
                a_new_run_is_noticed_once, holders_claim_again_and_nobody_else,
                the_later_claim_wins, of_its_own_claims_the_later_counts,
                a_redis_that_has_forgotten_everything, a_join_tells_what_was_given_in_this_run,
                lost_nodes_stay_lost, who_claims_not_again_is_lost_in_the_end,
                copies_are_sent_again_while_it_is_closed, a_full_redis_takes_back_what_was_held,
                a_run_that_comes_back_is_a_new_one)
