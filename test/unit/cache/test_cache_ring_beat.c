/* test_cache_ring_beat.c: beats of managers and nodes, and who is master (beat, lost, retire), with a real Redis. */
#include "test/unit/cache/ring_fixture.h"

static struct cache_ring_beaten b;
static enum cache_ring_pulse pulses[4];

static void beats(const char *manager, const struct cache_ring_holder *nodes, size_t count)
{
    ck_status(ring_beat(manager, 0, nodes, count, pulses, &b), OK);
}

START_TEST(beats_are_counted)
{
    const struct cache_ring_holder nodes[] = {ring_node("n1", NULL), ring_node("n2", NULL)};
    uint64_t before = ring_beats("1");
    struct slice who;
    uint64_t count, managers = 0;
    beats("m:1", nodes, 2);
    beats("m:1", nodes, 1);
    ck_assert_int_eq(pulses[0], CACHE_RING_BEATS);
    ck_assert_uint_eq(ring_beats("1"), before + 2);
    ck_assert_uint_eq(ring_beats("2"), before + 1);
    beats("m:1", nodes, 0);
    ck_assert_uint_eq(b.beats.left, 3);
    while (cache_ring_next_beat(&b.beats, &who, &count)) {
        managers += slice_is(who, "m:1");
        ck_assert_uint_eq(count, slice_is(who, "m:1") ? 3
                                 : slice_is(who, "1") ? before + 2
                                                      : before + 1);
    }
    ck_assert(cache_ring_list_ok(&b.beats));
    ck_assert_uint_eq(managers, 1);
    ck_assert_uint_gt(b.redis_us, UINT64_C(1600000000000000));
}
END_TEST

START_TEST(what_has_become_of_each)
{
    struct cache_ring_holder old = ring_node("n1", NULL), now = ring_node("n1", NULL);
    struct cache_ring_holder gone = ring_node("n2", NULL), lost = ring_node("n3", NULL);
    ck_status(ring_leave(gone), OK);
    ring_lose(lost);
    const struct cache_ring_holder nodes[] = {now, old, lost, gone};
    uint64_t before = ring_beats("3");
    beats("m", nodes, 4);
    ck_assert_int_eq(pulses[0], CACHE_RING_BEATS);
    ck_assert_int_eq(pulses[1], CACHE_RING_JOIN_AGAIN);
    ck_assert_int_eq(pulses[2], CACHE_RING_IS_LOST);
    ck_assert_int_eq(pulses[3], CACHE_RING_IS_GONE);
    ck_assert_uint_eq(ring_beats("3"), before);
}
END_TEST

/* The one node and the one manager of the answer. */
static void ck_lists(struct cache_ring_holder who, bool lost)
{
    struct cache_ring_node node;
    struct slice manager, host;
    ck_assert(cache_ring_next_node(&b.nodes, &node) && !cache_ring_next_node(&b.nodes, &node));
    ck_assert(cache_ring_list_ok(&b.nodes));
    ck_assert(node.who.incarnation == who.incarnation && node.who.mark == who.mark);
    ck_assert(node.lost == lost && slice_is(node.name, "n1") && slice_is(node.host, "front1"));
    ck_assert(slice_is(node.platoon, "p1") && slice_is(node.address, "10.0.0.1:6390"));
    ck_assert(cache_ring_next_manager(&b.managers, &manager, &host));
    ck_assert(!cache_ring_next_manager(&b.managers, &manager, &host));
    ck_assert(slice_is(manager, "m") && slice_is(host, "front1"));
}

START_TEST(nodes_are_told_when_they_have_changed)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    beats("m", &n1, 1);
    ck_lists(n1, false);
    uint64_t gen = b.gen;
    ck_status(ring_beat("m", gen, &n1, 1, pulses, &b), OK);
    ck_assert_uint_eq(b.nodes.left + b.managers.left, 0);
    ck_assert_uint_eq(b.gen, gen);
    struct cache_ring_holder lost = ring_lose(n1);
    ck_status(ring_beat("m", gen, NULL, 0, pulses, &b), OK);
    ck_assert_uint_gt(b.gen, gen);
    ck_lists(lost, true);
    gen = b.gen;
    ck_status(ring_forget(lost, false), OK);
    ck_status(ring_beat("m", gen, NULL, 0, pulses, &b), OK);
    ck_assert(b.gen > gen && b.nodes.left == 0 && b.managers.left == 1);
    gen = b.gen;
    ck_status(ring_beat("m2", gen, NULL, 0, pulses, &b), OK);
    ck_assert(b.gen > gen && b.managers.left == 2);
}
END_TEST

START_TEST(who_beats_first_is_master)
{
    ring_node("n1", NULL);
    beats("m1", NULL, 0);
    ck_assert(slice_is(b.master, "m1"));
    beats("m2", NULL, 0);
    ck_assert(slice_is(b.master, "m1"));
    ring_redis("PTTL %smaster", ring.prefix);
    ck_assert(ring.integer > 0 && ring.integer <= RING_LEASE_MS * 12 / 10);
    ring_redis("PEXPIRE %smaster 100000000", ring.prefix);
    beats("m2", NULL, 0); /* prolongs nothing */
    ring_redis("PTTL %smaster", ring.prefix);
    ck_assert_int_gt(ring.integer, RING_LEASE_MS * 12 / 10);
    beats("m1", NULL, 0);
    ring_redis("PTTL %smaster", ring.prefix);
    ck_assert_int_le(ring.integer, RING_LEASE_MS * 12 / 10);
}
END_TEST

START_TEST(a_master_that_does_not_beat_is_none)
{
    ring_node("n1", NULL);
    beats("m1", NULL, 0);
    ring_redis("PEXPIRE %smaster 1", ring.prefix);
    do
        beats("m2", NULL, 0);
    while (!slice_is(b.master, "m2"));
    beats("m1", NULL, 0);
    ck_assert(slice_is(b.master, "m2"));
}
END_TEST

START_TEST(managers_retire)
{
    ring_node("n1", NULL);
    beats("m1", NULL, 0);
    beats("m2", NULL, 0);
    uint64_t seen = ring_beats("m1");
    beats("m1", NULL, 0);
    ck_status(ring_retire("m1", &seen), MOVED);
    seen++;
    ck_status(ring_retire("m1", &seen), OK);
    ck_status(ring_retire("m1", &seen), OK); /* the answer was lost */
    beats("m2", NULL, 0);
    ck_assert(slice_is(b.master, "m2") && b.managers.left == 1);
    ck_assert_uint_eq(ring_beats("m1"), 0);
    ck_status(ring_retire("m2", NULL), OK);
    ring_redis("EXISTS %smaster", ring.prefix);
    ck_assert_int_eq(ring.integer, 0);
    /* One that was taken for gone comes back with its next beat. */
    beats("m1", NULL, 0);
    ck_assert(slice_is(b.master, "m1") && b.managers.left == 1);
}
END_TEST

START_TEST(lost_is_who_did_not_beat)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    ring_redis("SET %smaster m1", ring.prefix);
    uint64_t seen = ring_beats("1");
    beats("m2", &n1, 1);
    ck_status(ring_lost("m1", 1, seen), MOVED);
    struct cache_ring_answer a = ring_lost("m2", 1, seen + 1);
    ck_status(a, SLAVE);
    ck_assert(slice_is(a.has, "m1"));
    ck_status(ring_lost("m1", 7, 0), MOVED);
    a = ring_lost("m1", 1, seen + 1);
    ck_status(a, OK);
    ck_assert_uint_gt(a.value, n1.mark);
    struct cache_ring_answer again = ring_lost("m1", 1, seen + 1);
    ck_status(again, OK);
    ck_assert_uint_eq(again.value, a.value);
    ring_redis("DEL %smaster", ring.prefix);
    ck_status(ring_lost("m1", 1, seen + 1), SLAVE);
}
END_TEST

/* A join is a sign of life, as a beat is. */
START_TEST(who_has_joined_since_is_not_lost)
{
    ring_node("n1", NULL);
    ring_redis("SET %smaster m", ring.prefix);
    uint64_t seen = ring_beats("1");
    ring_node("n1", NULL);
    ck_status(ring_lost("m", 1, seen), MOVED);
}
END_TEST

START_TEST(who_is_lost_is_granted_nothing)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    const struct cache_ring_held held = {1, ring_take(n1, 1)};
    const struct cache_ring_copy copy = {slice_of("k"), 1, slice_of("r")};
    struct cache_ring_owner owner;
    struct cache_ring_holder lost = ring_lose(n1);
    ck_status(ring_claim(n1, &held.cell, 1, &owner), MUST_JOIN);
    ck_status(ring_claim(lost, &held.cell, 1, &owner), MUST_JOIN);
    ck_status(ring_release(n1, &held, 1), MUST_JOIN);
    ck_status(ring_copy(n1, &copy, 1), MUST_JOIN);
    ck_status(ring_leave(n1), MUST_JOIN);
    ck_status(ring_claim(n2, &held.cell, 1, &owner), OK);
    ck_assert(owner.state == CACHE_RING_LOST_CELL && owner.value == n1.incarnation);
    ck_assert_int_eq(ring_owner(1).state, CACHE_RING_LOST_CELL);
}
END_TEST

START_TEST(forgotten_is_who_is_lost)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    ring_take(n1, 1);
    ck_status(ring_forget(n1, true), MOVED); /* it lives */
    struct cache_ring_holder first = ring_lose(n1);
    n1 = ring_node("n1", NULL);
    struct cache_ring_holder second = ring_lose(n1);
    ck_status(ring_forget(first, true), MOVED); /* that loss is over */
    ck_assert_int_eq(ring_owner(1).state, CACHE_RING_LOST_CELL);
    ck_status(ring_forget(second, true), OK);
    const char *once = ring_digest();
    ck_status(ring_forget(second, true), OK);
    ck_assert_str_eq(ring_digest(), once);
    ck_assert_int_eq(ring_owner(1).state, CACHE_RING_FREE_CELL);
    ring_take(n2, 1);
}
END_TEST

START_TEST(a_full_redis_takes_beats)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    uint64_t before = ring_beats("1");
    ring_redis("CONFIG SET maxmemory 1");
    beats("m", &n1, 1);
    ck_assert_int_eq(pulses[0], CACHE_RING_BEATS);
    ck_assert(slice_is(b.master, "m"));
    ck_assert_uint_eq(ring_beats("1"), before + 1);
    const struct cache_ring_holder lost = {1, ring_lost("m", 1, before + 1).value};
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_joined j;
    ck_status(ring_join(&m, &j), OK);
    ck_assert_int_eq(j.was, CACHE_RING_LOST_NODE);
    ck_assert_uint_gt(j.who.mark, lost.mark);
    ck_status(ring_leave(j.who), OK);
    ck_status(ring_retire("m", NULL), OK);
}
END_TEST

SUITE_MAIN_WITH("cache_ring_beat", ring_set_up, ring_tear_down, beats_are_counted,
                what_has_become_of_each, nodes_are_told_when_they_have_changed,
                who_beats_first_is_master, a_master_that_does_not_beat_is_none, managers_retire,
                lost_is_who_did_not_beat, who_has_joined_since_is_not_lost,
                who_is_lost_is_granted_nothing, forgotten_is_who_is_lost, a_full_redis_takes_beats)
