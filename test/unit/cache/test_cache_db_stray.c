/*
 * test_cache_db_stray.c: what is not ours any more and not stored yet is kept apart, in memory and in the log, and
 * found by nobody (workers/cache/cache_db_stray.c).
 */
#include "test/unit/cache/cache_log_fixture.h"
#include "test/unit/short_memory.h"
#include "workers/cache/cache_db_private.h"

#include <unistd.h>

#define START_US INT64_C(1700000000000000)

static struct log_fixture dirs[2];
static unsigned dir;
static struct cache_db *db;
static struct cache_log *node_log;
static int64_t now_us;
static const char *store_name, *volatiles;
static size_t segment_max;

static void opened(void)
{
    static const uint8_t hash_key[16] = {7};
    static const struct cache_log_events events = {.on_expected = cache_db_expect,
                                                   .on_records = cache_db_replay,
                                                   .is_alive = cache_db_is_alive,
                                                   .on_moved = cache_db_moved};
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = 1000,
                                             .stored = store_name != NULL,
                                             .volatiles = volatiles};
    const struct cache_log_options log_options = {.dir = dirs[dir].dir,
                                                  .segment_max = segment_max,
                                                  .fsync = CACHE_LOG_NO,
                                                  .store = store_name};
    struct cache_log_found found;
    db = cache_db_new(&options, hash_key);
    cache_db_begin(db, now_us, 1);
    ck_assert_int_eq(cache_log_open(&dirs[dir].loop, &log_options, &events, db, NULL, &found,
                                    &node_log, dirs[dir].why, sizeof dirs[dir].why),
                     0);
    cache_db_attach(db, node_log);
}

static void closed(void)
{
    cache_log_close(node_log);
    cache_db_free(db);
    uv_run(&dirs[dir].loop, UV_RUN_DEFAULT);
}

static void again(void)
{
    closed();
    opened();
}

/* With what is written, and nothing that was only added. */
static void killed(void)
{
    log_fixture_copy(&dirs[dir], &dirs[1 - dir]);
    closed();
    dir = 1 - dir;
    opened();
}

static void set_up(void)
{
    log_fixture_init(&dirs[0]);
    log_fixture_init(&dirs[1]);
    dir = 0;
    now_us = START_US;
    store_name = "one";
    volatiles = NULL;
    segment_max = 4096;
    opened();
}

static void tear_down(void)
{
    closed();
    log_fixture_fini(&dirs[0]);
    log_fixture_fini(&dirs[1]);
}

static void flush(void)
{
    ck_assert_int_eq(cache_log_flush(node_log), 0);
}

static void pass(int64_t ms)
{
    now_us += ms * 1000;
    cache_db_begin(db, now_us, 1);
}

static void set_until(const char *key, const char *value, int64_t expiry_ms)
{
    ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of(value), expiry_ms, CACHE_FORM_TERM),
                     CACHE_OK);
}

static void set(const char *key, const char *value)
{
    set_until(key, value, CACHE_NEVER);
}

static void del(const char *key)
{
    bool was;
    ck_assert_int_eq(cache_db_delete(db, slice_of(key), &was), CACHE_OK);
    ck_assert(was);
}

static uint32_t handle_of(struct slice key)
{
    return cache_table_find(db->table, key, cache_db_hash(db, key));
}

static void estrange(const char *key)
{
    uint32_t handle = handle_of(slice_of(key));
    ck_assert_uint_ne(handle, 0);
    ck_assert_int_eq(cache_db_estrange(db, handle), CACHE_OK);
    ck_assert_uint_eq(handle_of(slice_of(key)), 0);
}

static uint64_t version_of(const char *key)
{
    return cache_table_at(db->table, handle_of(slice_of(key)))->version;
}

struct search {
    const char *key;
    const struct cache_object *found;
    unsigned count, all;
};

static void on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct search *s = ctx;
    const struct cache_object *o = cache_table_at(t, handle);
    struct slice key = cache_object_key(o);
    s->all++;
    if (!cache_stray_is(key) || !slice_is(cache_stray_key(key), s->key))
        return;
    s->found = o;
    s->count++;
}

static struct search searched(const char *key)
{
    struct search s = {.key = key};
    uint64_t cursor = 0;
    do
        cursor = cache_table_scan(db->table, cursor, on_seen, &s);
    while (cursor != 0);
    return s;
}

/* The only one of that key. */
static const struct cache_object *stray_of(const char *key)
{
    struct search s = searched(key);
    ck_assert_uint_eq(s.count, 1);
    return s.found;
}

static void expect_strays(size_t count, size_t alive)
{
    struct cache_strays strays = cache_db_strays(db);
    ck_assert_uint_eq(strays.count, count);
    ck_assert_uint_eq(strays.alive, alive);
}

static void expect_stray(const char *key, const char *value, uint64_t version)
{
    const struct cache_object *o = stray_of(key);
    ck_assert(o->dirty && !o->busy && !o->blind && o->gone == (value == NULL));
    ck_assert(slice_is(cache_object_value(o), value != NULL ? value : ""));
    ck_assert_uint_eq(o->version, version);
}

static const struct cache_object *take(void)
{
    flush();
    const struct cache_object *o = cache_db_take(db, INT64_MIN);
    ck_assert_msg(o != NULL, "nothing is due at once");
    return o;
}

/* As cache_behind keeps it: a copy. */
static struct slice take_key(void)
{
    static char text[100];
    struct slice key = cache_object_key(take());
    ck_assert_uint_le(key.len, sizeof text);
    memcpy(text, key.ptr, key.len);
    return slice_make(text, key.len);
}

/* ---- */

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

/* ---- the log ---- */

START_TEST(a_turn_is_whole)
{
    set("a", "1");
    flush();
    estrange("a");
    killed();
    expect_strays(0, 0);
    ck_assert(cache_db_is_dirty(db, slice_of("a")));
    estrange("a");
    flush();
    killed();
    expect_strays(1, 1);
    ck_assert_uint_eq(searched("a").all, 1);
}
END_TEST

/* Two segments share the turn, and the second is not written: it is as if nothing had been done. */
START_TEST(killed_between_two_segments)
{
    char value[1100];
    unsigned torn = 0;
    segment_max = 1024;
    again();
    memset(value, 'v', sizeof value);
    for (size_t len = 900; len < sizeof value; len += 4) {
        value[len] = '\0';
        set("a", value);
        flush();
        uint64_t version = version_of("a");
        size_t before = log_fixture_segment_count(&dirs[dir]);
        estrange("a");
        flush();
        size_t more = log_fixture_segment_count(&dirs[dir]) - before;
        closed();
        if (more > 1)
            ck_assert_int_eq(unlink(log_fixture_segment(&dirs[dir], -1)), 0);
        opened();
        bool old = handle_of(slice_of("a")) != 0;
        ck_assert_uint_eq(searched("a").count, old ? 0 : 1);
        torn += old;
        if (old)
            estrange("a");
        expect_stray("a", value, version);
        expect_strays(1, 1);
        flush();
        again();
        expect_strays(1, 1);
        ck_assert(cache_db_stored(db, take_key(), version, false));
        flush();
        ck_assert_uint_eq(searched("a").all, 0);
        value[len] = 'v';
    }
    ck_assert_uint_gt(torn, 0);
}
END_TEST

/* One that is under way is not touched by its twin. */
START_TEST(the_same_twice)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    struct slice key = take_key();
    pass(-1000); /* a clock that is set back, and a node that has forgotten what it has given */
    db->newest = version - 1;
    set("a", "1");
    ck_assert_uint_eq(version_of("a"), version);
    estrange("a");
    expect_strays(1, 1);
    ck_assert(cache_db_stored(db, key, version, false));
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
}
END_TEST

/* Cleaning moves it; what was superseded comes back in no way. */
START_TEST(the_log_is_cleaned)
{
    char key[16];
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    flush();
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%d", i % 10);
        set(key, "value");
        flush();
        cache_log_clean(node_log, 1000);
    }
    ck_assert_uint_gt(stray_of("a")->segment, 1);
    flush();
    killed();
    expect_stray("a", "1", version);
    ck_assert_uint_eq(searched("a").all, 11);
}
END_TEST

/* ---- memory is short ---- */

START_TEST(memory_is_short)
{
    unsigned failed = 0;
    for (long nth = 1; nth < 12; nth++)
        for (int lasts = 0; lasts < 2; lasts++) {
            char key[16];
            snprintf(key, sizeof key, "k%ld%d", nth, lasts);
            set(key, "value");
            if (_i == 1)
                del(key);
            flush();
            again(); /* whose first record needs memory */
            uint64_t version = version_of(key);
            uint32_t handle = handle_of(slice_of(key));
            short_memory_fail(nth, lasts == 1);
            enum cache_fault fault = cache_db_estrange(db, handle);
            short_memory_fail(0, false);
            failed += fault != CACHE_OK;
            bool old = handle_of(slice_of(key)) != 0;
            ck_assert(old == (fault != CACHE_OK));
            ck_assert(!old || (version_of(key) == version &&
                               cache_table_at(db->table, handle_of(slice_of(key)))->dirty));
            if (old)
                estrange(key);
            expect_stray(key, _i == 1 ? NULL : "value", version);
            expect_strays(1, 1);
            ck_assert_uint_eq(cache_db_dirt(db).keys, 1);
            ck_assert_uint_eq(cache_db_count(db), 0);
            ck_assert(cache_db_stored(db, take_key(), version, false));
            ck_assert_uint_eq(cache_db_dirt(db).bytes, 0);
        }
    ck_assert_uint_gt(failed, 6);
}
END_TEST

/* Nor can the end of one be noted that nobody misses: then it is a dead letter, and its version is what it was. */
START_TEST(memory_is_short_when_it_is_overtaken)
{
    set_until("a", "1", now_us / 1000 + 1000);
    uint64_t version = version_of("a");
    estrange("a");
    pass(1000);
    cache_db_work(db);
    flush();
    again();
    struct slice key = take_key();
    short_memory_fail(1, true);
    bool dead = cache_db_give_up(db, key, version, version + 5);
    short_memory_fail(0, false);
    ck_assert(dead);
    expect_strays(1, 0);
    ck_assert_uint_eq(stray_of("a")->version, version);
}
END_TEST

/* It stays dirty where its end cannot be noted. */
START_TEST(memory_is_short_when_it_is_stored)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    flush();
    again();
    struct slice key = take_key();
    short_memory_fail(1, true);
    bool clean = cache_db_stored(db, key, version, true);
    short_memory_fail(0, false);
    ck_assert(!clean);
    expect_stray("a", "1", version);
    ck_assert(slice_equal(take_key(), key));
    ck_assert(cache_db_stored(db, key, version, true));
    expect_strays(0, 0);
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
                                  its_key_is_volatile_now,
                                  a_turn_is_whole,
                                  killed_between_two_segments,
                                  the_same_twice,
                                  the_log_is_cleaned,
                                  memory_is_short_when_it_is_overtaken,
                                  memory_is_short_when_it_is_stored};
    Suite *suite = suite_create("cache_db_stray");
    TCase *tc = tcase_create("cache_db_stray");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, overtaken_it_is_a_dead_letter, 0, 2);
    tcase_add_loop_test(tc, its_time_is_over, 0, 3);
    tcase_add_loop_test(tc, memory_is_short, 0, 2);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
