/* test_cache_ring_copy.c: second copies of what the store does not have yet (copy, copies, drop), with a real Redis. */
#include "test/unit/cache/ring_fixture.h"

#include <stdlib.h>

static struct cache_ring_copy copy_of(const char *key, uint64_t version, const char *record)
{
    return (struct cache_ring_copy){slice_of(key), version, slice_of(record)};
}

/* The one copy of this key, or version 0. */
static struct cache_ring_copy there(uint64_t incarnation, const char *key)
{
    struct cache_ring_copy copy, found = {.version = 0};
    struct cache_ring_page page = {.cursor = "0"};
    uint64_t mark;
    bool lost;
    ck_status(ring_copies(incarnation, "0", &mark, &lost, &page), OK);
    ck_assert(!page.more);
    while (cache_ring_next_copy(&page.list, &copy))
        if (slice_is(copy.key, key))
            found = copy;
    ck_assert(cache_ring_list_ok(&page.list));
    return found;
}

START_TEST(copies_are_kept)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copies[] = {
        copy_of("a", 1, "one"),
        {slice_make("\0 b\xff", 4), UINT64_C(9999999999999999), slice_make("\0 two", 5)}};
    ck_status(ring_copy(n1, copies, 2), OK);
    const char *once = ring_digest();
    ck_status(ring_copy(n1, copies, 2), OK); /* the answer was lost */
    ck_assert_str_eq(ring_digest(), once);
    ck_assert(slice_is(there(1, "a").record, "one"));
    struct cache_ring_copy copy;
    struct cache_ring_page page;
    uint64_t mark = 0;
    bool lost = true;
    size_t count = 0;
    ck_status(ring_copies(1, "0", &mark, &lost, &page), OK);
    ck_assert(mark == n1.mark && !lost);
    for (; cache_ring_next_copy(&page.list, &copy); count++)
        if (copy.version != 1)
            ck_assert(slice_equal(copy.key, copies[1].key) &&
                      slice_equal(copy.record, copies[1].record) &&
                      copy.version == copies[1].version);
    ck_assert_uint_eq(count, 2);
}
END_TEST

START_TEST(an_older_copy_replaces_no_newer)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy old = copy_of("a", UINT64_C(9007199254740992), "old"),
                                 now = copy_of("a", UINT64_C(9007199254740993), "now"),
                                 first = copy_of("a", 99, "first");
    ck_status(ring_copy(n1, &old, 1), OK);
    ck_status(ring_copy(n1, &now, 1), OK);
    ck_status(ring_copy(n1, &old, 1), OK);
    ck_status(ring_copy(n1, &first, 1), OK);
    ck_assert(slice_is(there(1, "a").record, "now"));
    /* The store has the older one: that is no reason to drop the newer. */
    struct cache_ring_answer a = ring_drop(n1, &old, 1);
    ck_status(a, OK);
    ck_assert_uint_eq(a.value, 0);
    a = ring_drop(n1, &now, 1);
    ck_assert_uint_eq(a.value, 1);
    ck_assert_uint_eq(ring_drop(n1, &now, 1).value, 0); /* the answer was lost */
    ck_assert_uint_eq(there(1, "a").version, 0);
}
END_TEST

START_TEST(the_master_stores_the_copies_of_a_lost_node)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copy = copy_of("a", 5, "r"), late = copy_of("b", 6, "r");
    struct cache_ring_page page;
    uint64_t mark = 0;
    bool is_lost = false;
    ck_status(ring_copy(n1, &copy, 1), OK);
    struct cache_ring_holder lost = ring_lose(n1);
    ck_status(ring_copies(1, "0", &mark, &is_lost, &page), OK);
    ck_assert(is_lost && mark == lost.mark);
    struct cache_ring_answer a = ring_forget(lost, false);
    ck_status(a, COPIED);
    ck_assert_uint_eq(a.value, 1);
    ck_status(ring_drop(n1, &copy, 1), MOVED);
    ck_status(ring_copy(n1, &late, 1), MUST_JOIN);
    ck_status(ring_drop(lost, &copy, 1), OK);
    ck_status(ring_forget(lost, false), OK);
    ck_status(ring_copies(1, "0", &mark, &is_lost, &page), MOVED);
    ck_status(ring_drop(lost, &copy, 1), MOVED);
}
END_TEST

/* It has come back meanwhile, and writes: what was stored for the loss does not free its cells, nor drop its copies. */
START_TEST(a_master_that_is_late_drops_nothing)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copy = copy_of("a", 5, "r");
    ck_status(ring_copy(n1, &copy, 1), OK);
    struct cache_ring_holder lost = ring_lose(n1);
    n1 = ring_node("n1", NULL);
    ck_status(ring_drop(lost, &copy, 1), MOVED);
    ck_status(ring_forget(lost, true), MOVED);
    ck_assert_uint_eq(there(1, "a").version, 5);
    ck_status(ring_drop(n1, &copy, 1), OK);
}
END_TEST

START_TEST(a_person_forgets_a_node_with_its_copies)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copy = copy_of("a", 5, "r");
    ck_status(ring_copy(n1, &copy, 1), OK);
    ck_status(ring_forget(ring_lose(n1), true), OK);
    ring_redis("EXISTS %scopies:1", ring.prefix);
    ck_assert_int_eq(ring.integer, 0);
}
END_TEST

START_TEST(many_copies_come_in_pages)
{
    enum { MANY = 3000, SIZE = 4000 };
    static char keys[MANY][16], record[SIZE + 1];
    static unsigned char seen[MANY];
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    struct cache_ring_copy copies[100], copy;
    struct cache_ring_page page = {.cursor = "0", .more = true};
    size_t pages = 0, all = 0;
    uint64_t mark;
    bool lost;
    memset(record, 'r', SIZE);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        copies[i % 100] = copy_of(keys[i], i + 1, record);
        if (i % 100 == 99)
            ck_status(ring_copy(n1, copies, 100), OK);
    }
    for (; page.more; pages++) {
        ck_status(ring_copies(1, page.cursor, &mark, &lost, &page), OK);
        ck_assert_uint_lt(ring.answer_len, 2 * 1024 * 1024);
        while (cache_ring_next_copy(&page.list, &copy)) {
            ck_assert_uint_eq(copy.record.len, SIZE);
            seen[copy.version - 1] = 1;
        }
        ck_assert(cache_ring_list_ok(&page.list));
    }
    for (size_t i = 0; i < MANY; i++)
        all += seen[i];
    ck_assert_uint_eq(all, MANY);
    ck_assert_uint_ge(pages, (size_t)MANY * SIZE / (2 * 1024 * 1024));
}
END_TEST

START_TEST(a_full_redis_takes_no_copies_and_gives_them_up)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const struct cache_ring_copy copies[] = {copy_of("a", 5, "r"), copy_of("b", 6, "r")};
    ck_status(ring_copy(n1, copies, 1), OK);
    ring_redis("CONFIG SET maxmemory 1");
    const char *before = ring_digest();
    ck_assert_int_eq(cache_ring_copy(&ring.call, ring.run, &n1, copies, 2), 0);
    ck_assert_ptr_nonnull(strstr(ring_refused(), "HSET platoon:{cache:c}:copies:1\tOOM"));
    ck_assert_str_eq(ring_digest(), before);
    ck_assert_uint_eq(ring_drop(n1, copies, 1).value, 1);
}
END_TEST

SUITE_MAIN_WITH("cache_ring_copy", ring_set_up, ring_tear_down, copies_are_kept,
                an_older_copy_replaces_no_newer, the_master_stores_the_copies_of_a_lost_node,
                a_master_that_is_late_drops_nothing, a_person_forgets_a_node_with_its_copies,
                many_copies_come_in_pages, a_full_redis_takes_no_copies_and_gives_them_up)
