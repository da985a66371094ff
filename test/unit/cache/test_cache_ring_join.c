/* test_cache_ring_join.c: how a node comes to the ring, and goes (join, leave), with a real Redis. */
#include "test/unit/cache/ring_fixture.h"

static struct cache_ring_joined joined;

START_TEST(the_first_node_makes_the_ring)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_int_eq(joined.was, CACHE_RING_NEW);
    ck_assert_uint_eq(joined.who.incarnation, 1);
    ck_assert_uint_gt(joined.who.mark, joined.epoch);
    ck_assert_uint_eq(joined.gen, joined.who.mark);
    ck_assert(slice_is(joined.seed, "0123456789abcdef"));
    ck_assert_uint_eq(joined.number, 0);
    /* Of a Redis that has forgotten a ring nobody knows who still serves from it. */
    ck_assert_uint_le(joined.closed_ms, RING_LEASE_MS * 12 / 10);
    ck_assert_uint_gt(joined.closed_ms, RING_LEASE_MS * 12 / 10 - RING_LEASE_MS);
}
END_TEST

START_TEST(the_seed_is_the_rings)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    ring_join(&m, &joined);
    m = ring_member("n2", NULL);
    m.seed = slice_of("another seed ...");
    ck_status(ring_join(&m, &joined), OK);
    ck_assert(slice_is(joined.seed, "0123456789abcdef"));
    ck_assert_uint_eq(joined.who.incarnation, 2);
    m.name = slice_of("n3");
    ck_status(ring_join(&m, &joined), OK);
    ck_assert(slice_is(joined.seed, "0123456789abcdef"));
}
END_TEST

START_TEST(a_lost_answer_makes_no_second_node)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_joined again;
    ring_join(&m, &joined);
    ck_status(ring_join(&m, &again), OK);
    ck_assert_uint_eq(again.who.incarnation, joined.who.incarnation);
    ck_assert_uint_gt(again.who.mark, joined.who.mark);
    /* Another start of it is another node, whose log is gone: it does not know its incarnation. */
    m.token = slice_of("start2");
    ck_status(ring_join(&m, &again), OK);
    ck_assert_uint_eq(again.who.incarnation, 2);
    ck_assert_int_eq(again.was, CACHE_RING_NEW);
}
END_TEST

START_TEST(a_node_comes_back_in_its_incarnation)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_holder first = ring_node("n1", NULL);
    ring_take(first, 1);
    m.last = first;
    m.token = slice_of("start2");
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_int_eq(joined.was, CACHE_RING_LIVE);
    ck_assert_uint_eq(joined.who.incarnation, first.incarnation);
    ck_assert_uint_eq(ring_owner(1).value, first.incarnation);
    /* What it said before is of another session. */
    struct cache_ring_owner owner;
    const uint64_t cell = 2;
    ck_status(ring_claim(first, &cell, 1, &owner), MUST_JOIN);
    ck_status(ring_claim(joined.who, &cell, 1, &owner), OK);
}
END_TEST

START_TEST(a_lost_node_comes_back_to_its_cells)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_holder first = ring_node("n1", NULL);
    uint64_t number = ring_take(first, 1);
    struct cache_ring_holder lost = ring_lose(first);
    m.last = first;
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_int_eq(joined.was, CACHE_RING_LOST_NODE);
    ck_assert_uint_eq(joined.who.incarnation, first.incarnation);
    ck_assert_uint_gt(joined.who.mark, lost.mark);
    ck_assert_uint_eq(ring_take(joined.who, 1), number);
    /* Whoever decided about that loss comes too late. */
    ck_status(ring_forget(lost, true), MOVED);
}
END_TEST

START_TEST(a_node_that_was_forgotten_is_new)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_holder first = ring_node("n1", NULL);
    ring_take(first, 1);
    ck_status(ring_forget(ring_lose(first), false), OK);
    m.last = first;
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_int_eq(joined.was, CACHE_RING_NEW);
    ck_assert_uint_ne(joined.who.incarnation, first.incarnation);
}
END_TEST

START_TEST(nobody_comes_back_in_anothers_incarnation)
{
    struct cache_ring_member m = ring_member("n2", NULL);
    m.last = ring_node("n1", NULL);
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_ne(joined.who.incarnation, m.last.incarnation);
    struct cache_ring_member other = ring_member("n1", "p2");
    other.last = m.last;
    ck_status(ring_join(&other, &joined), OK);
    ck_assert_uint_ne(joined.who.incarnation, m.last.incarnation);
}
END_TEST

/* What was given before a join, to claims and to nodes; nothing that comes after it. */
START_TEST(a_join_tells_what_was_given_before)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_holder first = ring_node("n1", NULL), other = ring_node("n2", NULL);
    uint64_t before = ring_take(first, 1);
    ck_assert_uint_gt(ring_take(other, 2), before);
    m.last = first;
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_gt(joined.number, before);
    ck_assert_uint_eq(ring_take(joined.who, 1), before);
    ck_assert_uint_eq(ring_take(joined.who, 3), joined.number + 1);
    /* A new incarnation is a number too, and is given by the join itself. */
    uint64_t last = joined.number + 1;
    m = ring_member("n3", NULL);
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_eq(joined.number, last);
    ck_assert_uint_eq(joined.who.incarnation, last + 1);
    ck_status(ring_join(&m, &joined), OK); /* the answer was lost */
    ck_assert_uint_eq(joined.number, last + 1);
}
END_TEST

/* A mark is above the last one of who joins, also when Redis has lost that, or its clock is behind. */
START_TEST(marks_never_go_back)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    m.last = (struct cache_ring_holder){1, UINT64_C(5000000000000000)};
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_eq(joined.who.mark, UINT64_C(5000000000000001));
    ring_redis("FLUSHALL");
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_gt(joined.who.mark, UINT64_C(5000000000000000));
}
END_TEST

static void refused(struct cache_ring_member m, enum cache_ring_status wanted, const char *has)
{
    struct cache_ring_answer a = ring_join(&m, &joined);
    ck_assert_int_eq(a.status, wanted);
    ck_assert(slice_is(a.has, has) && slice_is(a.name, "n1") && slice_is(a.host, "front1"));
    ring_redis("HLEN %snodes", ring.prefix);
    ck_assert_int_eq(ring.integer, 1);
}

START_TEST(another_platoon_must_have_the_same_settings)
{
    struct cache_ring_member m = ring_member("n2", "p2");
    ring_node("n1", NULL);
    m.store = slice_of("s3 other");
    refused(m, CACHE_RING_OTHER_STORE, "s3 bucket");
    m = ring_member("n2", "p2");
    m.copies = 2;
    refused(m, CACHE_RING_OTHER_COPIES, "1");
    m = ring_member("n2", "p2");
    m.lease_ms = 2000;
    refused(m, CACHE_RING_OTHER_LEASE, "10000");
    m = ring_member("n2", "p2");
    m.file = true;
    refused(m, CACHE_RING_OTHERS_FILE, "s3 bucket");
    m.file = false;
    ck_status(ring_join(&m, &joined), OK);
}
END_TEST

START_TEST(the_only_platoon_changes_its_settings)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_holder n2 = ring_node("n2", NULL);
    uint64_t number = ring_take(n2, 1);
    m.store = slice_of("a directory");
    m.file = true;
    m.copies = 2;
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_eq(joined.closed_ms, 0);
    /* With another lease nobody is lost, or granted anything, before all leases of the longer one are over. */
    m.last = joined.who;
    m.lease_ms = 2000;
    ck_status(ring_join(&m, &joined), OK);
    ck_assert_uint_gt(joined.closed_ms, 2000 * 12 / 10);
    struct cache_ring_owner owner;
    const uint64_t cell = 1;
    ck_status(ring_claim(joined.who, &cell, 1, &owner), CLOSED);
    ck_status(ring_claim(n2, &cell, 1, &owner), MUST_JOIN);
    const struct cache_ring_held held = {1, number};
    ck_status(ring_held(joined.who, &held, 1, &owner), OK);
    ck_assert_int_eq(owner.state, CACHE_RING_THEIRS);
}
END_TEST

START_TEST(there_are_only_so_many_nodes)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    ring_node("n1", NULL);
    ring_eval("local k = 'platoon:{cache:c}:nodes' local n = redis.call('HGET', k, '1') "
              "for i = 2, 4096 do redis.call('HSET', k, i, n) end return redis.call('HLEN', k)");
    ck_assert_int_eq(ring.integer, 4096);
    m.name = slice_of("n5000");
    ck_status(ring_join(&m, &joined), FULL);
    m = ring_member("n1", NULL);
    m.last.incarnation = 1;
    ck_status(ring_join(&m, &joined), OK);
}
END_TEST

START_TEST(a_node_leaves)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    ring_take(n1, 1);
    ck_status(ring_leave(n1), OK);
    ck_status(ring_leave(n1), OK); /* the answer was lost */
    ck_assert_int_eq(ring_owner(1).state, CACHE_RING_FREE_CELL);
    ring_take(n2, 1);
    ring_redis("HLEN %sbeats", ring.prefix);
    ck_assert_int_eq(ring.integer, 1);
    n2.mark--;
    ck_status(ring_leave(n2), MUST_JOIN);
}
END_TEST

START_TEST(who_has_copies_does_not_leave)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copy = {slice_of("k"), 1, slice_of("r")};
    ck_status(ring_copy(n1, &copy, 1), OK);
    struct cache_ring_answer a = ring_leave(n1);
    ck_status(a, COPIED);
    ck_assert_uint_eq(a.value, 1);
    ck_status(ring_drop(n1, &copy, 1), OK);
    ck_status(ring_leave(n1), OK);
}
END_TEST

START_TEST(without_a_ring_there_is_only_join)
{
    const struct cache_ring_holder n1 = {1, 1};
    const struct cache_ring_held held = {1, 1};
    const struct cache_ring_copy copy = {slice_of("k"), 1, slice_of("r")};
    struct cache_ring_page page = {.cursor = "0"};
    struct cache_ring_owner owner;
    struct cache_ring_beaten b;
    enum cache_ring_pulse pulse;
    uint64_t mark;
    bool lost;
    ck_status(ring_beat("m", 0, &n1, 1, &pulse, &b), MUST_JOIN);
    ck_status(ring_claim(n1, &held.cell, 1, &owner), MUST_JOIN);
    ck_status(ring_held(n1, &held, 1, &owner), MUST_JOIN);
    ck_status(ring_release(n1, &held, 1), MUST_JOIN);
    ck_status(ring_look(&held.cell, 1, &owner), MUST_JOIN);
    ck_status(ring_lost("m", 1, 1), MUST_JOIN);
    ck_status(ring_forget(n1, true), MUST_JOIN);
    ck_status(ring_leave(n1), OK);
    ck_status(ring_retire("m", NULL), OK);
    ck_status(ring_sweep(1, &page), MUST_JOIN);
    ck_status(ring_free(&page), MUST_JOIN);
    ck_status(ring_copy(n1, &copy, 1), MUST_JOIN);
    ck_status(ring_copies(1, "0", &mark, &lost, &page), MUST_JOIN);
    ck_status(ring_drop(n1, &copy, 1), MUST_JOIN);
    ring_redis("DBSIZE");
    ck_assert_int_eq(ring.integer, 0);
}
END_TEST

SUITE_MAIN_WITH("cache_ring_join", ring_set_up, ring_tear_down, the_first_node_makes_the_ring,
                the_seed_is_the_rings, a_lost_answer_makes_no_second_node,
                a_node_comes_back_in_its_incarnation, a_lost_node_comes_back_to_its_cells,
                a_node_that_was_forgotten_is_new, nobody_comes_back_in_anothers_incarnation,
                marks_never_go_back, a_join_tells_what_was_given_before,
                another_platoon_must_have_the_same_settings, the_only_platoon_changes_its_settings,
                there_are_only_so_many_nodes, a_node_leaves, who_has_copies_does_not_leave,
                without_a_ring_there_is_only_join)
