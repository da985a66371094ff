/*
 * test_cache_db_work.c: what a node does a little at a time (workers/cache/cache_db.h): how much of it at once, and how
 * often.
 */
#include "test/unit/suite.h"
#include "workers/cache/cache_db_private.h"

#define OBJECTS  300000 /* more than a sweep gets through */
#define START_US INT64_C(1000000000)

static struct cache_db *db;

static void set_up(void)
{
    static const uint8_t key[16] = {1};
    const struct cache_db_options options = {
        .memory_max = 256 << 20, .object_max = 1 << 20, .evict = true};
    db = cache_db_new(&options, key);
    ck_assert_ptr_nonnull(db);
    cache_db_begin(db, START_US, 0);
}

static void tear_down(void)
{
    cache_db_free(db);
}

/* Of so many one expires soon, the others much later. */
static void fill(int one_of)
{
    char key[16];
    for (int i = 0; i < OBJECTS; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        int64_t expiry_ms = START_US / 1000 + (i % one_of == 0 ? 1 : 1000000);
        ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of("value"), expiry_ms, 0),
                         CACHE_OK);
    }
}

/* How many it expires at that time, in one call. */
static size_t work(int64_t ms, bool *more)
{
    size_t before = cache_db_count(db);
    cache_db_begin(db, START_US + ms * 1000, 0);
    *more = cache_db_work(db);
    return before - cache_db_count(db);
}

/* A search for what has expired costs as long as many commands take: not in every turn, where little is found. */
START_TEST(a_search_in_vain_is_followed_by_a_pause)
{
    bool more = true;
    int64_t ms = 5;
    fill(20);
    while (more)
        work(ms += 2, &more);
    ck_assert_uint_eq(work(ms, &more), 0);
    ck_assert_uint_eq(work(ms + 1, &more), 0);
    cache_db_begin(db, START_US + 2000, 0); /* the clock went back: that is no pause that lasts */
    size_t before = cache_db_count(db);
    for (ms = 2; cache_db_count(db) == before && ms < 1000; ms += 10)
        work(ms, &more);
    ck_assert_uint_lt(cache_db_count(db), before);
    while (cache_db_count(db) > OBJECTS - OBJECTS / 20)
        work(ms += 10, &more);
}
END_TEST

/* Where much has expired it goes on soon, and says so. */
START_TEST(a_search_with_success_goes_on)
{
    bool more = true;
    int64_t ms = 5;
    fill(1);
    ck_assert_uint_gt(work(ms, &more), 0);
    ck_assert(more);
    ck_assert_uint_eq(work(ms, &more), 0);
    ck_assert(more);
    while (more)
        work(ms += 2, &more);
    ck_assert_uint_eq(cache_db_count(db), 0);
}
END_TEST

/* As after a start with less memory than before: what is too much goes a little at a time, and becomes no more. */
START_TEST(a_limit_that_was_lowered_stops_nobody)
{
    char value[1000] = {0}, key[16];
    fill(2000000);
    size_t bytes = cache_db_bytes(db);
    size_t max = db->options.memory_max = bytes / 8, near = max + max / 16;
    ck_assert_int_eq(cache_db_room(db), CACHE_OK);
    ck_assert_uint_gt(cache_db_count(db), OBJECTS / 2);
    bytes = cache_db_bytes(db); /* with the fingerprints of what has left */
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(cache_db_room(db), CACHE_OK);
        ck_assert_uint_le(cache_db_bytes(db), bytes > near ? bytes : near);
        bytes = cache_db_bytes(db);
        snprintf(key, sizeof key, "large:%d", i);
        cache_db_set(db, slice_of(key), slice_make(value, sizeof value), CACHE_NEVER, 0);
    }
    while (cache_db_work(db))
        ;
    ck_assert_uint_le(cache_db_bytes(db), max);
    db->options.evict = false;
    db->options.memory_max = 1;
    ck_assert_int_eq(cache_db_room(db), CACHE_FAULT_OOM);
    ck_assert(!cache_db_work(db));
}
END_TEST

/* From a store, at that second. */
static void learn(const char *key, uint64_t mono_ms)
{
    db->options.stored = true;
    db->options.dirty_max = 1 << 20;
    cache_db_begin(db, START_US, mono_ms);
    ck_assert_int_eq(cache_db_learn(db, slice_of(key), slice_of("v"), 1, CACHE_NEVER, 0), CACHE_OK);
}

/* What nobody has used for 10 s has left; how many are there still? */
static size_t idle(uint64_t mono_ms)
{
    cache_db_begin(db, START_US, mono_ms);
    do
        cache_db_idle(db, 10000, true);
    while (!cache_db_idle_is_over(db));
    return cache_db_count(db);
}

/* Of so many a call sees a part alone; one that need not look is over at once. */
START_TEST(nothing_is_looked_at_before_it_can_be_idle)
{
    char key[16];
    for (int i = 0; i < OBJECTS; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        learn(key, 100000);
    }
    ck_assert_uint_eq(idle(105000), OBJECTS);
    cache_db_begin(db, START_US, 109000);
    ck_assert_uint_eq(cache_db_idle(db, 10000, true).len, 0);
    ck_assert(cache_db_idle_is_over(db));
    cache_db_begin(db, START_US, 110000);
    ck_assert_ptr_nonnull(cache_db_read(db, slice_of("key:1")));
    cache_db_idle(db, 10000, true);
    ck_assert(!cache_db_idle_is_over(db));
    ck_assert_uint_eq(idle(110000), 1);
    ck_assert_uint_eq(idle(119999), 1);
    ck_assert_uint_eq(idle(120000), 0);
}
END_TEST

/* One that might not leave is looked at again, at once: it may be allowed to then. */
START_TEST(what_might_not_leave_does_later)
{
    learn("a", 100000);
    cache_db_begin(db, START_US, 110000);
    ck_assert_uint_eq(cache_db_idle(db, 10000, false).len, 1);
    ck_assert_uint_eq(cache_db_idle(db, 10000, false).len, 1);
    ck_assert_uint_eq(idle(110000), 0);
}
END_TEST

/* A dead letter is passed over; tried again, and stored, it leaves as others do, however old it is. */
START_TEST(a_letter_that_is_dead_no_more_leaves_too)
{
    learn("letter", 100000);
    cache_db_set(db, slice_of("letter"), slice_of("1"), CACHE_NEVER, 0);
    const struct cache_object *o = cache_db_take_last(db);
    ck_assert_ptr_nonnull(o);
    uint64_t version = o->version;
    ck_assert(cache_db_give_up(db, slice_of("letter"), version, 0));
    ck_assert_uint_eq(idle(120000), 1);
    learn("young", 120000);
    ck_assert_uint_eq(idle(121000), 2);
    ck_assert(cache_db_dead_retry(db, slice_of("letter")));
    ck_assert_ptr_nonnull(cache_db_take(db, INT64_MAX));
    ck_assert(cache_db_stored(db, slice_of("letter"), version, false));
    ck_assert_uint_eq(idle(121000), 1);
}
END_TEST

SUITE_MAIN_WITH("cache_db_work", set_up, tear_down, a_search_in_vain_is_followed_by_a_pause,
                a_search_with_success_goes_on, a_limit_that_was_lowered_stops_nobody,
                nothing_is_looked_at_before_it_can_be_idle, what_might_not_leave_does_later,
                a_letter_that_is_dead_no_more_leaves_too)
