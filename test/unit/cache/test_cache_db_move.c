/* test_cache_db_move.c: an object keeps its value while its memory moves, as each change of room may make it. */
#include "test/unit/suite.h"
#include "workers/cache/cache_db.h"

static struct cache_db *db;

static void set_up(void)
{
    static const uint8_t key[16] = {1};
    const struct cache_db_options options = {.memory_max = 64 << 20, .object_max = 1 << 20};
    db = cache_db_new(&options, key);
    ck_assert_ptr_nonnull(db);
    cache_db_begin(db, 1000000, 0);
}

static void tear_down(void)
{
    cache_db_free(db);
}

static void expect_value(struct slice key, struct slice value, int64_t expiry_ms)
{
    const struct cache_object *o = cache_db_peek(db, key);
    ck_assert_ptr_nonnull(o);
    ck_assert(slice_equal(cache_object_value(o), value));
    ck_assert_int_eq(cache_object_expiry(o), expiry_ms);
}

/* PERSIST makes it smaller: its value was read where it no longer stood. Seen by the sanitizers only. */
START_TEST(expiry_comes_and_goes)
{
    char bytes[400];
    memset(bytes, 'v', sizeof bytes);
    for (size_t len = 0; len < sizeof bytes; len++) {
        struct slice key = slice_of("key"), value = slice_make(bytes, len);
        ck_assert_int_eq(cache_db_set(db, key, value, CACHE_NEVER, CACHE_FORM_BYTES), CACHE_OK);
        ck_assert_int_eq(cache_db_expire(db, key, 5000), CACHE_OK);
        expect_value(key, value, 5000);
        ck_assert_int_eq(cache_db_expire(db, key, 6000), CACHE_OK);
        expect_value(key, value, 6000);
        ck_assert_int_eq(cache_db_expire(db, key, CACHE_NEVER), CACHE_OK);
        expect_value(key, value, CACHE_NEVER);
    }
}
END_TEST

START_TEST(append)
{
    char bytes[1000];
    size_t len;
    memset(bytes, 'v', sizeof bytes);
    struct slice key = slice_of("key");
    for (int64_t expiry = 5000;; expiry = CACHE_NEVER) {
        ck_assert_int_eq(cache_db_set(db, key, slice_of(""), expiry, CACHE_FORM_BYTES), CACHE_OK);
        for (size_t i = 0; i + 7 < sizeof bytes; i += 7) {
            ck_assert_int_eq(cache_db_append(db, key, slice_make(bytes, 7), &len), CACHE_OK);
            ck_assert_uint_eq(len, i + 7);
            expect_value(key, slice_make(bytes, len), expiry);
        }
        ck_assert_int_eq(cache_db_append(db, key, slice_of(""), &len), CACHE_OK);
        expect_value(key, slice_make(bytes, len), expiry);
        if (expiry == CACHE_NEVER)
            break;
    }
}
END_TEST

SUITE_MAIN_WITH("cache_db_move", set_up, tear_down, expiry_comes_and_goes, append)
