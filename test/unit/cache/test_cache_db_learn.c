/*
 * test_cache_db_learn.c: what a node with a store behind knows, and what of it the store does not have yet
 * (workers/cache/cache_db.h).
 */
#include "test/unit/suite.h"
#include "workers/cache/cache_db.h"

#define NOW_MS INT64_C(1700000000000)

static struct cache_db *db;

static void set_up(void)
{
    static const uint8_t key[16] = {1};
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .stored = true,
                                             .volatiles = " lock:*  tmp:? "};
    db = cache_db_new(&options, key);
    ck_assert_ptr_nonnull(db);
    cache_db_begin(db, NOW_MS * 1000, 0);
}

static void tear_down(void)
{
    cache_db_free(db);
}

static void set(const char *key, const char *value, int64_t expiry_ms)
{
    ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of(value), expiry_ms, CACHE_FORM_BYTES),
                     CACHE_OK);
}

static void learn(const char *key, const char *value, uint64_t version, int64_t expiry_ms)
{
    ck_assert_int_eq(
        cache_db_learn(db, slice_of(key), slice_of(value), version, expiry_ms, CACHE_FORM_STRING),
        CACHE_OK);
}

static void learn_absent(const char *key, uint64_t version)
{
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of(key), version), CACHE_OK);
}

static bool del(const char *key)
{
    bool was;
    ck_assert_int_eq(cache_db_delete(db, slice_of(key), &was), CACHE_OK);
    return was;
}

static bool knows(const char *key)
{
    return cache_db_knows(db, slice_of(key));
}

static bool is_dirty(const char *key)
{
    return cache_db_is_dirty(db, slice_of(key));
}

static const char *value_of(const char *key)
{
    static char text[64];
    const struct cache_object *o = cache_db_peek(db, slice_of(key));
    return o != NULL && slice_copy(cache_object_value(o), text, sizeof text) ? text : NULL;
}

static void expect_dirt(size_t keys, size_t bytes)
{
    struct cache_dirt dirt = cache_db_dirt(db);
    ck_assert_uint_eq(dirt.keys, keys);
    ck_assert_uint_eq(dirt.bytes, bytes);
    ck_assert_int_eq(dirt.oldest_ms != 0, keys != 0);
}

START_TEST(what_is_learned_is_clean)
{
    ck_assert(!knows("a"));
    learn("a", "1", 7, CACHE_NEVER);
    ck_assert(knows("a") && !is_dirty("a"));
    ck_assert_str_eq(value_of("a"), "1");
    const struct cache_object *o = cache_db_peek(db, slice_of("a"));
    ck_assert_uint_eq(o->version, 7);
    ck_assert_uint_eq(o->form, CACHE_FORM_STRING);
    expect_dirt(0, 0);
    learn("a", "0", 6, CACHE_NEVER);
    ck_assert_str_eq(value_of("a"), "1");
    learn("a", "2", 8, CACHE_NEVER);
    ck_assert_str_eq(value_of("a"), "2");
}
END_TEST

START_TEST(an_absence_is_known)
{
    learn_absent("a", 0);
    ck_assert(knows("a") && !is_dirty("a") && value_of("a") == NULL);
    ck_assert_uint_eq(cache_db_count(db), 0);
    ck_assert(!del("a"));
    learn("a", "1", 7, NOW_MS); /* it has expired */
    ck_assert(knows("a") && value_of("a") == NULL);
    learn("a", "0", 6, CACHE_NEVER); /* older than the deletion */
    ck_assert_ptr_null(value_of("a"));
    set("a", "2", CACHE_NEVER);
    expect_dirt(1, 2);
    ck_assert(del("a") && knows("a")); /* of which the store has nothing */
    expect_dirt(0, 0);
}
END_TEST

/* By a clock that is ahead: what was written without asking goes above it. */
START_TEST(a_blind_write_goes_above)
{
    uint64_t ahead = (uint64_t)NOW_MS * 2000;
    set("a", "1", CACHE_NEVER);
    learn("a", "old", ahead, CACHE_NEVER);
    ck_assert_str_eq(value_of("a"), "1");
    ck_assert_uint_eq(cache_db_peek(db, slice_of("a"))->version, ahead + 1);
    expect_dirt(1, 2);
    set("b", "1", CACHE_NEVER);
    learn_absent("b", ahead);
    ck_assert_uint_eq(cache_db_peek(db, slice_of("b"))->version, ahead + 1);
    set("c", "1", CACHE_NEVER);
    del("c");
    learn("c", "old", ahead, CACHE_NEVER);
    ck_assert(is_dirty("c") && value_of("c") == NULL);
    expect_dirt(3, 5);
}
END_TEST

START_TEST(deletions_are_dirty_where_the_store_may_have_something)
{
    learn("a", "1234", 7, CACHE_NEVER);
    ck_assert(del("a") && is_dirty("a"));
    expect_dirt(1, 1);
    set("b", "1234", CACHE_NEVER); /* who knows */
    expect_dirt(2, 6);
    ck_assert(del("b") && is_dirty("b"));
    expect_dirt(2, 2);
    set("c", "1234", CACHE_NEVER);
    learn_absent("c", 0);
    ck_assert(del("c") && !is_dirty("c"));
    expect_dirt(2, 2);
}
END_TEST

START_TEST(what_expires)
{
    learn("clean", "1", 7, NOW_MS + 5);
    learn_absent("unseen", 0);
    set("unseen", "1", NOW_MS + 5);
    set("stored", "1", NOW_MS + 5);
    expect_dirt(2, 14);
    cache_db_begin(db, (NOW_MS + 5) * 1000, 0);
    while (cache_db_work(db))
        ;
    ck_assert(!knows("clean") && !knows("unseen") && is_dirty("stored"));
    expect_dirt(1, 6);
    learn("clean", "1", 7, NOW_MS + 9);
    cache_db_begin(db, (NOW_MS + 9) * 1000, 0);
    ck_assert_ptr_null(value_of("clean"));
    ck_assert(knows("clean")); /* by whom it was sought */
    ck_assert_uint_eq(cache_db_count(db), 0);
}
END_TEST

START_TEST(writes_do_not_postpone)
{
    set("a", "1", CACHE_NEVER);
    cache_db_begin(db, (NOW_MS + 50) * 1000, 0);
    set("b", "1", CACHE_NEVER);
    set("a", "12", CACHE_NEVER);
    size_t len;
    ck_assert_int_eq(cache_db_append(db, slice_of("a"), slice_of("3"), &len), CACHE_OK);
    ck_assert_int_eq(cache_db_expire(db, slice_of("a"), NOW_MS + 500), CACHE_OK);
    ck_assert_int_eq(cache_db_dirt(db).oldest_ms, NOW_MS);
    expect_dirt(2, 6);
}
END_TEST

START_TEST(volatile_keys_are_nobodys_business)
{
    ck_assert(knows("lock:1") && knows("tmp:a") && !knows("tmp:ab") && !knows("xlock:1"));
    set("lock:1", "1", CACHE_NEVER);
    learn("lock:2", "1", 7, CACHE_NEVER);
    expect_dirt(0, 0);
    ck_assert_ptr_null(value_of("lock:2"));
    ck_assert(del("lock:1"));
    expect_dirt(0, 0);
}
END_TEST

START_TEST(what_does_not_fit)
{
    static char large[1 << 20], larger[20 << 20];
    memset(large, 'x', sizeof large);
    ck_assert_int_eq(cache_db_learn(db, slice_of("a"), slice_make(larger, sizeof larger), 7,
                                    CACHE_NEVER, CACHE_FORM_BYTES),
                     CACHE_FAULT_LARGE);
    /* Above object_max, which was lowered since: read it is, and not written. */
    learn("b", "", 7, CACHE_NEVER);
    ck_assert_int_eq(cache_db_learn(db, slice_of("b"), slice_make(large, sizeof large), 8,
                                    CACHE_NEVER, CACHE_FORM_BYTES),
                     CACHE_OK);
    ck_assert_uint_eq(cache_db_peek(db, slice_of("b"))->value_len, sizeof large);
    ck_assert_int_eq(
        cache_db_set(db, slice_of("b"), slice_make(large, sizeof large), CACHE_NEVER, 0),
        CACHE_FAULT_LARGE);
    for (int i = 0; i < 80; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        ck_assert_int_eq(cache_db_learn(db, slice_of(key), slice_make(large, sizeof large - 9), 7,
                                        CACHE_NEVER, CACHE_FORM_BYTES),
                         CACHE_OK);
    }
    ck_assert_uint_gt(cache_db_stats(db)->evicted, 0);
    for (int i = 0; i < 80; i++) {
        char key[16];
        snprintf(key, sizeof key, "w%d", i);
        if (cache_db_room(db) != CACHE_OK)
            break;
        ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_make(large, sizeof large - 9),
                                      CACHE_NEVER, CACHE_FORM_BYTES),
                         CACHE_OK);
    }
    ck_assert_int_eq(
        cache_db_learn(db, slice_of("a"), slice_of(""), 7, CACHE_NEVER, CACHE_FORM_BYTES),
        CACHE_FAULT_OOM);
    ck_assert(!knows("a"));
}
END_TEST

static uint64_t seen(const char *key)
{
    return cache_db_seen(db, slice_of(key));
}

/* What was seen is so again only if nothing has become of it: an end of its time is something. */
START_TEST(what_was_seen)
{
    ck_assert_uint_eq(seen("a"), 0);
    learn("a", "1", 7, NOW_MS + 1000);
    uint64_t first = seen("a");
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_eq(seen("a"), first);
    cache_db_begin(db, (NOW_MS + 1000) * 1000, 0);
    uint64_t over = seen("a"); /* nobody has looked at it since */
    ck_assert(over != first && over != 0);
    ck_assert_uint_eq(seen("a"), over);
    set("a", "2", CACHE_NEVER);
    uint64_t written = seen("a");
    ck_assert(written != first && written != over);
    ck_assert(del("a"));
    ck_assert(seen("a") != written && seen("a") != over);
    learn("b", "1", 7, CACHE_NEVER);
    learn_absent("c", 7);
    ck_assert_uint_ne(seen("b"), seen("c"));
    ck_assert_uint_eq(seen("b"), first); /* one version is one value */
}
END_TEST

SUITE_MAIN_WITH("cache_db_learn", set_up, tear_down, what_is_learned_is_clean, an_absence_is_known,
                a_blind_write_goes_above, deletions_are_dirty_where_the_store_may_have_something,
                what_expires, writes_do_not_postpone, volatile_keys_are_nobodys_business,
                what_does_not_fit, what_was_seen)
