/*
 * test_cache_db_adopt.c: what is in memory when a cache gets a store, another one, or names fewer volatile keys, is
 * stored there (workers/cache/cache_db_adopt.c, workers/cache/log/cache_log_store.c).
 */
#include "test/unit/cache/cache_log_fixture.h"
#include "test/unit/cache/store_fake.h"
#include "workers/cache/cache_behind.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_US INT64_C(1700000000000000)
#define DELAY_MS 5000

static struct log_fixture files;
static struct cache_db *db;
static struct cache_log *node_log;
static struct cache_behind *behind;
static struct store_fake store;
static int64_t now_us;

static uint64_t mono_ms(void)
{
    return (uint64_t)(now_us - START_US) / 1000 + 1;
}

static int try_open(const char *name, const char *volatiles)
{
    static const uint8_t hash_key[16] = {7};
    static const struct cache_log_events events = {.on_expected = cache_db_expect,
                                                   .on_records = cache_db_replay,
                                                   .is_alive = cache_db_is_alive,
                                                   .on_moved = cache_db_moved};
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = 1000,
                                             .stored = name != NULL,
                                             .volatiles = volatiles};
    const struct cache_log_options log_options = {
        .dir = files.dir, .segment_max = 4096, .fsync = CACHE_LOG_NO, .store = name};
    struct cache_log_found found;
    db = cache_db_new(&options, hash_key);
    cache_db_begin(db, now_us, mono_ms());
    int rc = cache_log_open(&files.loop, &log_options, &events, db, NULL, &found, &node_log,
                            files.why, sizeof files.why);
    if (rc == 0)
        cache_db_attach(db, node_log);
    return rc;
}

/* NULL: no store. */
static void opened(const char *name, const char *volatiles)
{
    const struct cache_behind_options options = {
        .write_delay_ms = DELAY_MS, .retry_max_ms = 500, .timeout_ms = 100, .parallel = 1};
    ck_assert_int_eq(try_open(name, volatiles), 0);
    behind = name != NULL ? cache_behind_new(NULL, db, &store.backing, &options) : NULL;
}

static void closed(void)
{
    cache_behind_free(behind);
    cache_log_close(node_log);
    cache_db_free(db);
    uv_run(&files.loop, UV_RUN_DEFAULT);
}

static void again(const char *name, const char *volatiles)
{
    closed();
    opened(name, volatiles);
}

static void set_up(void)
{
    log_fixture_init(&files);
    store_fake_init(&store);
    now_us = START_US;
}

static void tear_down(void)
{
    closed();
    store_fake_fini(&store);
    log_fixture_fini(&files);
}

static void set(const char *key, const char *value)
{
    ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of(value), CACHE_NEVER, 0), CACHE_OK);
    ck_assert_int_eq(cache_log_flush(node_log), 0);
}

static void del(const char *key)
{
    bool was;
    ck_assert_int_eq(cache_db_delete(db, slice_of(key), &was), CACHE_OK);
    ck_assert(was);
    ck_assert_int_eq(cache_log_flush(node_log), 0);
}

/* One put, or none. */
static void put_one(void)
{
    now_us += 1000;
    ck_assert_int_eq(cache_log_flush(node_log), 0);
    cache_behind_work(behind, now_us, mono_ms());
    store_fake_take_all(&store);
}

static void put_all(void)
{
    cache_behind_all(behind);
    for (int i = 0; cache_db_dirt(db).keys > 0; i++) {
        ck_assert_int_lt(i, 1000);
        put_one();
    }
    ck_assert_int_eq(cache_log_flush(node_log), 0);
}

static void expect_dirt(size_t keys, size_t bytes)
{
    struct cache_dirt dirt = cache_db_dirt(db);
    ck_assert_uint_eq(dirt.keys, keys);
    ck_assert_uint_eq(dirt.bytes, bytes);
    ck_assert_int_eq(dirt.oldest_ms != 0, keys != 0);
}

/* NULL: nothing, or a deletion. */
static void expect_stored(const char *key, const char *value)
{
    const struct store_object *o = store_fake_find(&store, slice_of(key));
    bool there = o != NULL && !o->meta.deleted;
    ck_assert_msg(there == (value != NULL), "%s is %d", key, there);
    if (there)
        ck_assert(slice_is(slice_make(o->value, o->value_len), value));
}

static void another_store(void)
{
    store_fake_fini(&store);
    store_fake_init(&store);
}

START_TEST(a_cache_gets_a_store)
{
    opened(NULL, NULL);
    set("a", "1");
    set("b", "old");
    set("b", "2");
    set("gone", "3");
    del("gone");
    set("tmp:1", "4");
    ck_assert_int_eq(cache_db_set(db, slice_of("short"), slice_of("5"), now_us / 1000 + 1, 0),
                     CACHE_OK);
    ck_assert_int_eq(cache_log_flush(node_log), 0);
    now_us += 1000000;
    again("file /a", "tmp:*");
    expect_dirt(2, 4);
    ck_assert(cache_db_is_dirty(db, slice_of("a")));
    put_all();
    expect_dirt(0, 0);
    expect_stored("a", "1");
    expect_stored("b", "2");
    ck_assert_uint_eq(store.started, 2);
    again("file /a", "tmp:*");
    expect_dirt(0, 0);
    again("file /a", NULL); /* a name that it did not hear of */
    expect_dirt(1, 6);
    put_all();
    expect_stored("tmp:1", "4");
    again("file /a", NULL);
    expect_dirt(0, 0);
}
END_TEST

/* Until the segments of before are gone. */
static void anew(void)
{
    cache_db_rewrite_begin(db);
    while (cache_db_rewrite(db, 1 << 20))
        ;
    ck_assert_int_eq(cache_log_flush(node_log), 0);
    uint64_t alive = cache_log_alive(node_log);
    for (int i = 0; cache_log_bytes(node_log) > alive + 1000; i++) {
        ck_assert_int_lt(i, 1000);
        cache_log_tick(node_log);
        uv_run(&files.loop, UV_RUN_NOWAIT);
        usleep(2000);
    }
}

/* At any moment: what is not stored there yet is so afterwards, and what is, is not once more. */
START_TEST(killed_in_the_middle)
{
    char key[8];
    opened(NULL, NULL);
    for (unsigned i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "key%u", i);
        set(key, "v");
    }
    for (unsigned left = 8; left > 0; left--) {
        again("file /a", NULL);
        expect_dirt(left, left * 5);
        again("file /a", NULL);
        expect_dirt(left, left * 5);
        put_one();
    }
    again("file /a", NULL);
    expect_dirt(0, 0);
    ck_assert_uint_eq(store.object_count, 8);
}
END_TEST

/* Also what cleaning, or a disk that fails, has brought to where the new store is spoken of. */
START_TEST(moved_it_is_the_same)
{
    opened("file /a", NULL);
    set("a", "1");
    put_all();
    again("file /b", NULL);
    anew();
    again("file /b", NULL);
    expect_dirt(1, 2);
    ck_assert(cache_db_peek(db, slice_of("a"))->adopted); /* it is one that was there before */
}
END_TEST

START_TEST(another_store_and_back)
{
    opened("file /a", NULL);
    set("a", "1");
    put_all();
    expect_dirt(0, 0);
    again("file /b", NULL);
    another_store();
    expect_dirt(1, 2);
    put_all();
    expect_stored("a", "1");
    set("b", "2");
    put_all();
    again("file /a", NULL);
    expect_dirt(2, 4);
}
END_TEST

/* Volatile where the store was changed, and not any more: whatever became of its record meanwhile. */
START_TEST(volatile_while_the_store_is_changed)
{
    opened("file /a", NULL);
    set("tmp:1", "1");
    put_all();
    anew();
    again("file /b", "tmp:*");
    expect_dirt(0, 0);
    anew();
    again("file /b", NULL);
    expect_dirt(1, 6);
}
END_TEST

START_TEST(taken_away_and_back)
{
    opened("file /a", NULL);
    set("a", "1");
    set("b", "2");
    put_all();
    del("b");
    expect_dirt(1, 1);
    again(NULL, NULL);
    ck_assert_ptr_null(cache_db_peek(db, slice_of("b")));
    ck_assert_uint_eq(cache_db_count(db), 1);
    set("a", "3");
    set("c", "4");
    again(NULL, NULL);
    ck_assert_ptr_null(cache_db_peek(db, slice_of("b")));
    again("file /a", NULL);
    put_all();
    expect_stored("a", "3");
    expect_stored("b", NULL);
    expect_stored("c", "4");
}
END_TEST

/* Not written since: whoever has put a newer one there has the last word. */
START_TEST(the_store_has_a_newer_one)
{
    opened(NULL, NULL);
    set("a", "1");
    set("b", "2");
    for (const char *key = "a"; *key <= 'b'; key = *key == 'a' ? "b" : "c") {
        struct store_object there = {.key_len = 1, .value_len = 1};
        there.key[0] = key[0];
        there.value[0] = '9';
        there.meta = (struct backing_meta){.version = START_US * 2, .expiry_ms = CACHE_NEVER};
        store_fake_do(&store, &there, NULL);
    }
    again("file /a", NULL);
    set("b", "3");
    put_all();
    ck_assert(!cache_db_knows(db, slice_of("a")));
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1); /* b: written twice, by two */
    expect_stored("a", "9");
    again("file /a", NULL);
    ck_assert(!cache_db_knows(db, slice_of("a")));
}
END_TEST

/* Written without asking, by a clock that is behind: also after a restart its version goes above. */
START_TEST(a_blind_write_is_so_after_a_restart)
{
    struct store_object there = {.key_len = 1, .value_len = 1, .key = "a", .value = "9"};
    there.meta = (struct backing_meta){.version = START_US * 2, .expiry_ms = CACHE_NEVER};
    store_fake_do(&store, &there, NULL);
    opened("file /a", NULL);
    set("a", "1");
    again("file /a", NULL);
    put_all();
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    expect_stored("a", "1");
}
END_TEST

/* Nothing could be above it: neither this key nor others go on from there. */
START_TEST(a_version_that_cannot_be_is_none)
{
    opened("file /a", NULL);
    const uint64_t versions[] = {UINT64_MAX, UINT64_MAX - 1, (UINT64_C(1) << 62) + 1};
    for (unsigned i = 0; i < 3; i++) {
        char key[] = {(char)('a' + i), '\0'};
        ck_assert_int_eq(cache_db_learn(db, slice_of(key), slice_of("9"), versions[i], CACHE_NEVER,
                                        CACHE_FORM_BYTES),
                         CACHE_OK);
        ck_assert_int_eq(cache_db_learn_absent(db, slice_of("absent"), versions[i]), CACHE_OK);
        set(key, "1");
        set("absent", "1");
        ck_assert_uint_lt(cache_db_peek(db, slice_of(key))->version, START_US * 2);
        ck_assert_uint_lt(cache_db_peek(db, slice_of("absent"))->version, START_US * 2);
    }
    put_all();
    expect_stored("a", "1");
    set("b", "2");
    cache_behind_ask(behind, slice_of("b"));
    cache_behind_work(behind, now_us, mono_ms());
    const struct cache_object *o = cache_db_taken(db, slice_of("b"));
    ck_assert_ptr_nonnull(o);
    ck_assert(cache_db_give_up(db, slice_of("b"), o->version, UINT64_MAX));
    set("b", "3");
    ck_assert_uint_lt(cache_db_peek(db, slice_of("b"))->version, START_US * 2);
}
END_TEST

/* They count for no write that would wait, take no memory, and are put in turn with what is written meanwhile. */
START_TEST(many_of_them_stop_nothing)
{
    char key[16];
    opened(NULL, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key:%u", i);
        set(key, "some value");
    }
    size_t before = cache_db_bytes(db);
    again("file /a", NULL);
    ck_assert_uint_lt(cache_db_bytes(db), before + 1024);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 1000);
    ck_assert_uint_gt(cache_db_dirt(db).bytes, 10000);
    ck_assert_int_eq(cache_db_dirtiness(db), CACHE_DIRTY_LITTLE);
    set("new", "1");
    ck_assert_uint_eq(cache_db_dirt(db).keys, 1001);
    now_us += DELAY_MS * 1000;
    put_one();
    put_one();
    put_one();
    expect_stored("new", "1");
    ck_assert_int_eq(cache_db_dirtiness(db), CACHE_DIRTY_LITTLE);
    ck_assert_uint_ge(cache_db_dirt(db).keys, 997);
    ck_assert(cache_behind_ask(behind, slice_of("key:7"))); /* one of them, now */
    put_one();
    put_one();
    put_one();
    expect_stored("key:7", "some value");
}
END_TEST

/* Its log is what it was: a start with the old configuration goes on. */
START_TEST(where_it_cannot_be_noted_there_is_no_start)
{
    char path[128];
    opened(NULL, NULL);
    set("a", "1");
    closed();
    snprintf(path, sizeof path, "%s/store.new", files.dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_ne(try_open("file /a", NULL), 0);
    ck_assert_ptr_nonnull(strstr(files.why, "store"));
    cache_db_free(db);
    ck_assert_int_eq(rmdir(path), 0);
    opened("file /a", NULL);
    expect_dirt(1, 2);
}
END_TEST

SUITE_MAIN_WITH("cache_db_adopt", set_up, tear_down, a_cache_gets_a_store, killed_in_the_middle,
                moved_it_is_the_same, another_store_and_back, volatile_while_the_store_is_changed,
                taken_away_and_back, the_store_has_a_newer_one, a_blind_write_is_so_after_a_restart,
                a_version_that_cannot_be_is_none, many_of_them_stop_nothing,
                where_it_cannot_be_noted_there_is_no_start)
