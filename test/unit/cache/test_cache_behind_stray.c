/*
 * test_cache_behind_stray.c: what this node has lost and not stored yet goes to the store with the version it has, and
 * never over what others have written since; and nothing goes while it may not (workers/cache/cache_behind.h).
 */
#include "test/unit/cache/store_fake.h"
#include "test/unit/short_memory.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_db_private.h"

#define START_US INT64_C(1700000000000000)
#define DELAY_MS 5000
#define IDLE_MS  60000
#define PARALLEL 4

static struct cache_db *db;
static struct store_fake store;
static struct cache_behind *behind;
static int64_t now_us;
static uint64_t mono_ms;
static bool may;

static bool on_may(void *ctx)
{
    (void)ctx;
    return may;
}

static void set_up(void)
{
    static const uint8_t key[16] = {1};
    const struct cache_db_options options = {
        .memory_max = 64 << 20, .object_max = 1 << 20, .dirty_max = 1 << 20, .stored = true};
    const struct cache_behind_options behind_options = {.write_delay_ms = DELAY_MS,
                                                        .idle_ms = IDLE_MS,
                                                        .retry_max_ms = 10000,
                                                        .timeout_ms = 1000,
                                                        .parallel = PARALLEL,
                                                        .may = on_may};
    db = cache_db_new(&options, key);
    store_fake_init(&store);
    behind = cache_behind_new(NULL, db, &store.backing, &behind_options);
    ck_assert(db != NULL && behind != NULL);
    now_us = START_US;
    mono_ms = 1;
    may = true;
    cache_db_begin(db, now_us, 1);
}

static void tear_down(void)
{
    cache_behind_free(behind);
    store_fake_fini(&store);
    cache_db_free(db);
}

static void pass(uint64_t ms)
{
    now_us += (int64_t)ms * 1000;
    mono_ms += ms;
    cache_behind_work(behind, now_us, mono_ms);
}

static void set(const char *key, const char *value)
{
    ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of(value), CACHE_NEVER, 0), CACHE_OK);
}

static void estrange(const char *key)
{
    struct slice k = slice_of(key);
    uint32_t handle = cache_table_find(db->table, k, cache_db_hash(db, k));
    ck_assert_uint_ne(handle, 0);
    ck_assert_int_eq(cache_db_estrange(db, handle), CACHE_OK);
}

static uint64_t version_of(const char *key)
{
    return cache_db_dirty_version(db, slice_of(key));
}

static struct backing_call *call_of(const char *key)
{
    struct backing_call *call = store_fake_call(&store, key);
    ck_assert_msg(call != NULL, "nothing is put of %s", key);
    return call;
}

/* What somebody else has put. */
static void others_put(const char *key, const char *value, uint64_t version)
{
    struct store_object o = {.key_len = strlen(key), .value_len = strlen(value)};
    memcpy(o.key, key, o.key_len);
    memcpy(o.value, value, o.value_len);
    o.meta.version = version;
    o.meta.expiry_ms = CACHE_NEVER;
    ck_assert_int_eq(store_fake_do(&store, &o, NULL), BACKING_DONE);
}

/* NULL: a deletion. */
static void expect_stored(const char *key, const char *value, uint64_t version)
{
    const struct store_object *o = store_fake_find(&store, slice_of(key));
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(o->meta.deleted, value == NULL);
    ck_assert(slice_is(slice_make(o->value, o->value_len), value != NULL ? value : ""));
    ck_assert_uint_eq(o->meta.version, version);
}

static void expect_none(void)
{
    struct cache_dirt dirt = cache_db_dirt(db);
    ck_assert_uint_eq(cache_db_strays(db).count, 0);
    ck_assert_uint_eq(dirt.keys + dirt.bytes + dirt.dead, 0);
    ck_assert_uint_eq(store_fake_count(&store), 0);
}

START_TEST(under_its_real_key_and_at_once)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    pass(0);
    ck_assert_uint_eq(call_of("a")->put.meta.version, version);
    store_fake_take(call_of("a"));
    expect_stored("a", "1", version);
    expect_none();
    pass(10 * DELAY_MS);
    ck_assert_uint_eq(store.started, 1);
    ck_assert_uint_eq(store.object_count, 1);
}
END_TEST

START_TEST(a_deletion)
{
    bool was;
    set("a", "1");
    ck_assert_int_eq(cache_db_delete(db, slice_of("a"), &was), CACHE_OK);
    uint64_t version = version_of("a");
    others_put("a", "0", version - 10);
    estrange("a");
    pass(0);
    store_fake_take_all(&store);
    expect_stored("a", NULL, version);
    expect_none();
}
END_TEST

/* What was there before it must not come back. */
START_TEST(its_time_is_over)
{
    others_put("a", "0", 7);
    ck_assert_int_eq(cache_db_set(db, slice_of("a"), slice_of("1"), now_us / 1000 + 1000, 0),
                     CACHE_OK);
    uint64_t version = version_of("a");
    estrange("a");
    pass(2000);
    store_fake_take_all(&store);
    expect_stored("a", NULL, version);
    expect_none();
}
END_TEST

/* Written without asking what the store has, too: its version stays what it is. */
START_TEST(overtaken)
{
    if (_i == 0)
        cache_db_learn_absent(db, slice_of("a"), 0);
    set("a", "1");
    uint64_t version = version_of("a");
    others_put("a", "theirs", version + 1);
    estrange("a");
    for (int i = 0; i < 2; i++) {
        pass(0);
        store_fake_take_all(&store);
        pass(10 * DELAY_MS);
        ck_assert_uint_eq(store_fake_count(&store), 0);
        expect_stored("a", "theirs", version + 1);
        struct cache_strays strays = cache_db_strays(db);
        ck_assert(strays.count == 1 && strays.alive == 0);
        const struct cache_object *o = cache_db_dead(db, NULL);
        ck_assert(o != NULL && o->version == version);
        ck_assert_ptr_nonnull(
            strstr(cache_behind_why(behind, cache_object_key(o)), "another node has written it"));
        ck_assert_str_eq(cache_behind_why(behind, slice_of("a")), "");
        ck_assert(cache_behind_retry(behind, cache_object_key(o)));
    }
    store.object_count = 0; /* it is gone there */
    pass(0);
    store_fake_take_all(&store);
    expect_stored("a", "1", version);
    expect_none();
}
END_TEST

/* Nobody misses it. */
START_TEST(overtaken_and_over)
{
    ck_assert_int_eq(cache_db_set(db, slice_of("a"), slice_of("1"), now_us / 1000 + 1000, 0),
                     CACHE_OK);
    others_put("a", "theirs", version_of("a") + 1);
    estrange("a");
    pass(2000);
    store_fake_take_all(&store);
    expect_stored("a", "theirs", (uint64_t)START_US + 1);
    expect_none();
}
END_TEST

START_TEST(refused)
{
    set("a", "1");
    estrange("a");
    pass(0);
    store_fake_answer(call_of("a"), BACKING_REFUSED, false);
    ck_assert_str_eq(cache_behind_why(behind, cache_object_key(cache_db_dead(db, NULL))),
                     "the fake says so");
    set("a", "2"); /* is another */
    pass(DELAY_MS);
    store_fake_take_all(&store);
    expect_stored("a", "2", (uint64_t)START_US + 1);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
}
END_TEST

/* ---- it was under way when it was lost ---- */

/* One at a time; whatever came of the first, the second finds that very version, or puts it. */
START_TEST(it_was_under_way)
{
    static const enum backing_result results[] = {BACKING_DONE, BACKING_AWAY, BACKING_AWAY,
                                                  BACKING_REFUSED, BACKING_NEWER};
    set("a", "1");
    uint64_t version = version_of("a");
    pass(DELAY_MS);
    estrange("a");
    pass(0);
    ck_assert_uint_eq(store_fake_count(&store), 1);
    if (_i == 0)
        store_fake_take(call_of("a"));
    else
        store_fake_answer(call_of("a"), results[_i], _i == 2);
    ck_assert_uint_eq(cache_db_strays(db).alive, 1);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    pass(1000);
    ck_assert_uint_eq(store_fake_count(&store), 1);
    store_fake_take(call_of("a"));
    store_fake_arrive(&store);
    expect_stored("a", "1", version);
    expect_none();
    pass(20000);
    ck_assert_uint_eq(store.started, 2);
}
END_TEST

/* It had failed, and waits no longer than the stray has to. */
START_TEST(it_had_failed)
{
    set("a", "1");
    pass(DELAY_MS);
    for (int i = 0; i < 4; i++) {
        store_fake_answer(call_of("a"), BACKING_AWAY, false);
        if (i < 3)
            pass(10000);
    }
    set("b", "1");
    estrange("a");
    cache_behind_ask(behind, slice_of("b"));
    pass(10000); /* the store is probed: one at a time */
    for (int i = 0; i < 4 && store_fake_count(&store) > 0; i++) {
        store_fake_take_all(&store);
        pass(0);
    }
    expect_none();
    pass(20000);
    ck_assert_uint_eq(store.started, 6);
}
END_TEST

/* The key is ours again, and an object of now: the answer is none to that. */
START_TEST(ours_again_while_it_was_under_way)
{
    set("a", "1");
    uint64_t version = version_of("a");
    pass(DELAY_MS);
    estrange("a");
    set("a", "2");
    ck_assert(cache_behind_ask(behind, slice_of("a")));
    pass(0);
    ck_assert_uint_eq(store_fake_count(&store), 1);
    if (_i == 0)
        store_fake_take(call_of("a"));
    else
        store_fake_answer(call_of("a"), _i == 1 ? BACKING_NEWER : BACKING_AWAY, _i == 2);
    ck_assert(cache_db_is_dirty(db, slice_of("a")));
    uint64_t newer = version_of("a");
    ck_assert_uint_gt(newer, version);
    ck_assert_ptr_nonnull(cache_db_taken(db, slice_of("a"))); /* it waits its turn */
    for (int i = 0; cache_db_dirt(db).keys > 0; i++) {
        ck_assert_int_lt(i, 10);
        pass(200);
        ck_assert_uint_le(store_fake_count(&store), 1);
        store_fake_take_all(&store);
    }
    while (store_fake_arrive(&store))
        ;
    expect_stored("a", "2", newer);
    expect_none();
    pass(20000);
    ck_assert_uint_eq(store.started, 3);
}
END_TEST

/* The older first, though it fails; others do not wait for that. */
START_TEST(older_ones_first)
{
    char key[16];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        set(key, "1");
        estrange(key);
    }
    for (int i = 0; i < 5; i++) {
        pass(i == 0 ? 0 : 100);
        while (store.calls != NULL)
            store_fake_answer(store.calls, BACKING_FORBIDDEN, false);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        set(key, "2");
        cache_behind_ask(behind, slice_of(key));
    }
    set("other", "1");
    bool other = false;
    for (int i = 0; cache_db_dirt(db).keys > 0; i++) {
        ck_assert_int_lt(i, 2000);
        pass(100);
        other = other || store_fake_call(&store, "other") != NULL;
        if (i < 1000 && !other && store.calls != NULL &&
            slice_is(slice_make(store.calls->put.value, store.calls->put.value_len), "1"))
            store_fake_answer(store.calls, BACKING_FORBIDDEN, false);
        else
            store_fake_take_all(&store);
        ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    }
    ck_assert(other);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        const struct store_object *o = store_fake_find(&store, slice_of(key));
        ck_assert(slice_is(slice_make(o->value, o->value_len), "2"));
    }
}
END_TEST

static void fail_often(const char *key)
{
    for (int i = 0; i < 6; i++) {
        set("x", "1");
        cache_behind_ask(behind, slice_of("x"));
        pass(10000);
        store_fake_answer(call_of(key), BACKING_AWAY, false);
        store_fake_take(call_of("x"));
    }
}

/* What failed before it was lost is not tried again for an object that has its key since: that has its own try. */
START_TEST(it_had_failed_and_is_ours_again)
{
    set("a", "1");
    fail_often("a");
    estrange("a");
    pass(0);
    store_fake_take(call_of("a"));
    expect_none();
    set("a", "2");
    cache_behind_hurry(behind, true);
    for (int i = 0; i < 100; i++) {
        pass(200);
        ck_assert_uint_eq(store_fake_count(&store), 1);
    }
    store_fake_take_all(&store);
    expect_none();
}
END_TEST

/* Also when it waits for long: the store has taken others, and not this one. */
START_TEST(an_older_one_that_waits)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    fail_often("a");
    set("a", "2");
    ck_assert(cache_behind_ask(behind, slice_of("a")));
    for (int i = 0; i < 10; i++) {
        pass(100);
        ck_assert_uint_eq(store_fake_count(&store), 0);
    }
    pass(10000);
    ck_assert_uint_eq(store_fake_count(&store), 1);
    ck_assert_uint_eq(call_of("a")->put.meta.version, version);
    store_fake_take_all(&store);
    pass(100);
    store_fake_take_all(&store);
    ck_assert(slice_is(slice_make(store_fake_find(&store, slice_of("a"))->value, 1), "2"));
    expect_none();
}
END_TEST

/* More of them than may wait for another try, and all in a hurry: each round ends, and they go in their order. */
START_TEST(many_that_wait)
{
    char key[24];
    may = false;
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "%d", i);
        set("a", key);
        estrange("a");
    }
    may = true;
    cache_behind_hurry(behind, true);
    for (int i = 0; i < 20; i++) {
        pass(100);
        ck_assert_uint_eq(store_fake_count(&store), 1);
        store_fake_take_all(&store);
        snprintf(key, sizeof key, "%d", i);
        expect_stored("a", key, (uint64_t)START_US + (uint64_t)i);
    }
    ck_assert_uint_eq(cache_db_strays(db).alive, 1480);
}
END_TEST

/* ---- may ---- */

START_TEST(nothing_begins_while_it_may_not)
{
    set("a", "1");
    set("b", "1");
    pass(DELAY_MS);
    store_fake_answer(call_of("b"), BACKING_AWAY, false);
    may = false;
    store_fake_take(call_of("a")); /* is judged all the same */
    ck_assert(!cache_db_is_dirty(db, slice_of("a")));
    set("c", "1");
    estrange("c");
    cache_behind_all(behind);
    cache_behind_hurry(behind, true);
    for (int i = 0; i < 10; i++) {
        pass(IDLE_MS);
        ck_assert_uint_eq(store_fake_count(&store), 0);
    }
    ck_assert(cache_db_knows(db, slice_of("a")));
    may = true;
    pass(0);
    store_fake_take(call_of("b"));
    store_fake_take_all(&store);
    pass(0);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
    ck_assert(!cache_db_knows(db, slice_of("a")));
}
END_TEST

START_TEST(memory_is_short)
{
    unsigned failed = 0;
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    for (long nth = 1; store_fake_count(&store) == 0; nth++) {
        ck_assert_int_lt(nth, 10);
        short_memory_fail(nth, true);
        cache_behind_work(behind, now_us, mono_ms);
        short_memory_fail(0, false);
        failed += store_fake_count(&store) == 0;
        ck_assert_uint_eq(cache_db_strays(db).alive, 1);
    }
    ck_assert_uint_gt(failed, 1);
    store_fake_take_all(&store);
    expect_stored("a", "1", version);
    expect_none();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {under_its_real_key_and_at_once,
                                  a_deletion,
                                  its_time_is_over,
                                  overtaken_and_over,
                                  refused,
                                  it_had_failed,
                                  older_ones_first,
                                  it_had_failed_and_is_ours_again,
                                  an_older_one_that_waits,
                                  many_that_wait,
                                  nothing_begins_while_it_may_not,
                                  memory_is_short};
    Suite *suite = suite_create("cache_behind_stray");
    TCase *tc = tcase_create("cache_behind_stray");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, overtaken, 0, 2);
    tcase_add_loop_test(tc, it_was_under_way, 0, 5);
    tcase_add_loop_test(tc, ours_again_while_it_was_under_way, 0, 3);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
