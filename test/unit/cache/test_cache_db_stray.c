/*
 * test_cache_db_stray.c: what is not ours any more and not stored yet is kept apart, and found by nobody
 * (workers/cache/cache_db_stray.c).
 */
#include "test/unit/cache/stray_db.h"

START_TEST(keys)
{
    static const char name[] = "\xffplatoon:stray\0\1\2\3\4\5\6\7\010key";
    struct slice key = slice_make(name, sizeof name - 1);
    ck_assert(cache_stray_is(key));
    ck_assert(slice_is(cache_stray_key(key), "key"));
    ck_assert(!cache_stray_is(slice_of("key")) &&
              slice_is(cache_stray_key(slice_of("key")), "key"));
    ck_assert(!cache_stray_is(slice_make(name, 22)) && cache_stray_is(slice_make(name, 23)));
    ck_assert_uint_eq(cache_stray_key(slice_make(name, 23)).len, 0);
    ck_assert(!cache_stray_is(slice_of("")));
    cache_db_begin(db, 0x0102030405060708, 1);
    set("key", "1");
    estrange("key");
    ck_assert(slice_equal(cache_object_key(stray_of("key")), key));
}
END_TEST

START_TEST(it_is_what_it_was_and_due)
{
    int64_t expiry_ms = now_us / 1000 + 5000;
    set_until("a", "1", expiry_ms);
    uint64_t version = version_of("a");
    pass(1000);
    estrange("a");
    for (int i = 0; i < 3; i++) {
        expect_stray("a", "1", version);
        ck_assert_int_eq(cache_object_expiry(stray_of("a")), expiry_ms);
        ck_assert_uint_eq(stray_of("a")->form, CACHE_FORM_TERM);
        expect_strays(1, 1);
        ck_assert_uint_eq(cache_db_dirt(db).keys, 1);
        ck_assert_int_eq(cache_db_dirt(db).oldest_ms, START_US / 1000);
        ck_assert_uint_eq(searched("a").all, 1);
        flush();
        if (i == 0)
            again();
        if (i == 1) {
            cache_db_rewrite_begin(db);
            while (cache_db_rewrite(db, 1000))
                flush();
            killed();
        }
    }
    ck_assert(cache_stray_is(cache_object_key(take())));
}
END_TEST

/* A deletion that was never put as well, and the empty key. */
START_TEST(deletions)
{
    set("a", "1");
    del("a");
    uint64_t version = version_of("a");
    estrange("a");
    set("", "empty");
    uint64_t empty = version_of("");
    estrange("");
    for (int i = 0; i < 2; i++) {
        expect_stray("a", NULL, version);
        expect_stray("", "empty", empty);
        expect_strays(2, 2);
        ck_assert_uint_eq(cache_db_count(db), 0);
        flush();
        killed();
    }
}
END_TEST

START_TEST(what_is_clean_is_forgotten)
{
    ck_assert_int_eq(
        cache_db_learn(db, slice_of("a"), slice_of("1"), 7, CACHE_NEVER, CACHE_FORM_BYTES),
        CACHE_OK);
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of("b"), 0), CACHE_OK);
    flush();
    estrange("a");
    estrange("b");
    expect_strays(0, 0);
    ck_assert_uint_eq(searched("a").all, 0);
    flush();
    killed();
    ck_assert_uint_eq(searched("a").all, 0);
}
END_TEST

static void on_scanned(const struct cache_object *o, void *ctx)
{
    (void)o;
    (*(unsigned *)ctx)++;
}

START_TEST(nobody_finds_it)
{
    unsigned scanned = 0;
    uint64_t cursor = 0;
    set_until("a", "1", CACHE_NEVER - 1);
    set("b", "1");
    estrange("a");
    estrange("b");
    set("c", "1");
    del("c");
    estrange("c");
    ck_assert_uint_eq(cache_db_count(db), 0);
    ck_assert_uint_eq(cache_db_expiring(db), 0);
    ck_assert_ptr_null(cache_db_random(db, 3));
    do
        cursor = cache_db_scan(db, cursor, on_scanned, &scanned);
    while (cursor != 0);
    ck_assert_uint_eq(scanned, 0);
    ck_assert(!cache_db_knows(db, slice_of("a")));
    expect_strays(3, 3);
    set_until("a", "2", CACHE_NEVER - 1); /* ours again */
    ck_assert_uint_eq(cache_db_count(db), 1);
    ck_assert_uint_eq(cache_db_expiring(db), 1);
    ck_assert(slice_is(cache_object_key(cache_db_random(db, 3)), "a"));
}
END_TEST

START_TEST(who_watches_is_told)
{
    struct cache_watch w = {.key = slice_of("a")};
    set("a", "1");
    ck_assert(cache_db_watch(db, &w));
    estrange("a");
    ck_assert(w.touched);
    cache_db_unwatch(db, &w);
}
END_TEST

START_TEST(two_of_one_key)
{
    set("a", "1");
    estrange("a");
    set("a", "2");
    estrange("a");
    expect_strays(2, 2);
    flush();
    killed();
    ck_assert_uint_eq(searched("a").count, 2);
    ck_assert(slice_is(cache_object_value(take()), "1")); /* the older first */
    ck_assert(slice_is(cache_object_value(take()), "2"));
}
END_TEST

/* The answer comes when there is no such object any more, or another. */
START_TEST(while_it_is_under_way)
{
    set("a", "1");
    uint64_t version = version_of("a");
    ck_assert(cache_db_ask(db, slice_of("a")));
    ck_assert(slice_is(take_key(), "a"));
    estrange("a");
    expect_stray("a", "1", version);
    ck_assert(cache_db_stored(db, slice_of("a"), version, false));
    ck_assert(!cache_db_give_up(db, slice_of("a"), version, version + 1));
    cache_db_give_back(db, slice_of("a"), true);
    expect_strays(1, 1);
    set("a", "2");
    ck_assert(cache_db_stored(db, slice_of("a"), version, false));
    ck_assert(cache_db_is_dirty(db, slice_of("a")));
    expect_stray("a", "1", version);
}
END_TEST

START_TEST(stored_it_is_gone)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    ck_assert(cache_db_stored(db, take_key(), version, false));
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_dirt(db).keys + cache_db_dirt(db).bytes, 0);
    ck_assert_uint_eq(searched("a").all, 0);
    flush();
    killed();
    ck_assert_uint_eq(searched("a").all, 0);
}
END_TEST

/* Without asking what the store has, or not: its version stays what it is. */
START_TEST(overtaken_it_is_a_dead_letter)
{
    if (_i == 0)
        cache_db_learn_absent(db, slice_of("a"), 0);
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    struct slice key = take_key();
    ck_assert(cache_db_give_up(db, key, version, version + 5));
    expect_strays(1, 0);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    ck_assert_uint_eq(cache_db_dirt(db).keys + cache_db_dirt(db).bytes, 0);
    ck_assert_ptr_eq(cache_db_dead(db, NULL), stray_of("a"));
    expect_stray("a", "1", version);
    ck_assert(cache_db_dead_retry(db, key));
    expect_strays(1, 1);
    ck_assert(slice_equal(take_key(), key));
    expect_strays(1, 1);
    ck_assert(cache_db_give_up(db, key, version, version + 5));
    expect_strays(1, 0);
    bool was;
    ck_assert_int_eq(cache_db_dead_drop(db, key, &was), CACHE_OK);
    ck_assert(was);
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
}
END_TEST

/* It stays one, with what is known of the store, until the next start. */
START_TEST(of_a_dead_letter)
{
    cache_db_learn_absent(db, slice_of("a"), 0);
    set_until("a", "1", now_us / 1000 + 1000);
    uint64_t version = version_of("a");
    ck_assert(cache_db_ask(db, slice_of("a")));
    ck_assert(cache_db_give_up(db, take_key(), version, version + 5));
    estrange("a");
    expect_strays(1, 0);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    ck_assert_uint_eq(cache_db_dirt(db).keys + cache_db_dirt(db).bytes, 0);
    expect_stray("a", "1", version);
    flush();
    killed();
    expect_strays(1, 1);
    ck_assert(cache_db_give_up(db, take_key(), version, version + 5));
    pass(2000);
    cache_db_work(db); /* its time is over, and nobody misses it */
    expect_strays(0, 0);
    ck_assert_uint_eq(searched("a").all, 0);
}
END_TEST

/* Of what the store surely has nothing, nothing is left; else it becomes a deletion, of its own version. */
START_TEST(its_time_is_over)
{
    if (_i == 0)
        cache_db_learn_absent(db, slice_of("a"), 0);
    set_until("a", "1", now_us / 1000 + 1000);
    uint64_t version = version_of("a");
    estrange("a");
    pass(1000);
    if (_i == 2) { /* the store is away all the while */
        flush();
        killed();
    }
    cache_db_work(db);
    if (_i == 0) {
        ck_assert_uint_eq(searched("a").all, 0);
        ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
        return;
    }
    expect_strays(1, 1);
    struct slice key = take_key();
    const struct cache_object *o = stray_of("a");
    ck_assert(o->gone && o->version == version);
    flush();
    killed();
    ck_assert(slice_equal(take_key(), key));
    ck_assert(!cache_db_give_up(db, key, version, version + 5));
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    ck_assert_uint_eq(cache_db_count(db), 0);
}
END_TEST

/* One that was deleted is missed by who did that. */
START_TEST(an_overtaken_deletion)
{
    set("a", "1");
    del("a");
    uint64_t version = version_of("a");
    estrange("a");
    ck_assert(cache_db_give_up(db, take_key(), version, version + 5));
    expect_strays(1, 0);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
}
END_TEST

/* It does not count for dirty_max, and yields to whoever has written it. */
START_TEST(of_what_is_adopted)
{
    char value[2000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    set("a", value);
    set("b", "1");
    flush();
    store_name = "two";
    again();
    uint64_t version = version_of("a");
    estrange("a");
    estrange("b");
    for (int i = 0; i < 2; i++) {
        ck_assert(stray_of("a")->adopted);
        expect_stray("a", value, version);
        expect_strays(2, 2);
        ck_assert_uint_eq(cache_db_dirt(db).keys, 2);
        ck_assert_uint_gt(cache_db_dirt(db).bytes, sizeof value);
        ck_assert_int_eq(cache_db_dirtiness(db), CACHE_DIRTY_LITTLE);
        flush();
        killed();
    }
    for (int i = 0; i < 2; i++) {
        struct slice key = take_key();
        const struct cache_object *o = cache_db_taken(db, key);
        if (slice_is(cache_stray_key(key), "a"))
            ck_assert(!cache_db_give_up(db, key, o->version, o->version + 1));
        else
            ck_assert(cache_db_stored(db, key, o->version, false));
    }
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_dirt(db).keys + cache_db_dirt(db).bytes + cache_db_dirt(db).dead, 0);
}
END_TEST

START_TEST(another_store_and_none)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    flush();
    store_name = NULL;
    again();
    expect_strays(1, 0);
    ck_assert_uint_eq(cache_db_count(db), 0);
    flush();
    store_name = "two";
    again();
    expect_strays(1, 1);
    cache_db_take(db, INT64_MAX);
    expect_strays(1, 1);
    ck_assert(stray_of("a")->adopted && stray_of("a")->version == version);
    flush();
    store_name = NULL;
    again();
    ck_assert_int_eq(cache_db_clear(db), CACHE_OK);
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_count(db), 0);
}
END_TEST

START_TEST(its_key_is_volatile_now)
{
    set("tmp:a", "1");
    set("b", "1");
    estrange("tmp:a");
    estrange("b");
    flush();
    volatiles = "tmp:*";
    again();
    expect_strays(1, 1);
    ck_assert_uint_eq(searched("b").all, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {keys,
                                  it_is_what_it_was_and_due,
                                  deletions,
                                  what_is_clean_is_forgotten,
                                  nobody_finds_it,
                                  who_watches_is_told,
                                  two_of_one_key,
                                  while_it_is_under_way,
                                  stored_it_is_gone,
                                  of_a_dead_letter,
                                  an_overtaken_deletion,
                                  of_what_is_adopted,
                                  another_store_and_none,
                                  its_key_is_volatile_now};
    Suite *suite = suite_create("cache_db_stray");
    TCase *tc = tcase_create("cache_db_stray");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, overtaken_it_is_a_dead_letter, 0, 2);
    tcase_add_loop_test(tc, its_time_is_over, 0, 3);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
