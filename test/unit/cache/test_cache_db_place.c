/*
 * test_cache_db_place.c: cache_db tells of each object that comes and goes, and of no other; what leaves with its cell
 * does not come back from a real log (workers/cache/cache_db.h).
 */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/cache_db_private.h"

#include <dirent.h>
#include <unistd.h>
#include <uv.h>

#define NOW_MS  INT64_C(1700000000000)
#define HANDLES 5000

static const uint8_t hash_key[16] = {7};
static struct cache_db *db;
static struct cache_log *cache_log;
static uv_loop_t loop;
static char dir[] = "/tmp/platoon-place-XXXXXX";

/* ---- who is told ---- */

static struct {
    bool is[HANDLES];
    char key[HANDLES][32];
    size_t count, emptied, refused;
    uint32_t made_s;
    unsigned may; /* so many more; then memory is short */
} told;

static bool on_made(void *ctx, struct slice key, uint32_t handle, uint32_t now_s)
{
    MUST(ctx == &told && handle < HANDLES);
    if (told.may == 0) {
        told.refused++;
        return false;
    }
    told.may--;
    told.count += !told.is[handle];
    told.is[handle] = true;
    told.made_s = now_s;
    MUST(slice_copy(key, told.key[handle], sizeof told.key[handle]));
    return true;
}

static void on_gone(void *ctx, struct slice key, uint32_t handle)
{
    MUST(ctx == &told && told.is[handle] && slice_equal(key, slice_of(told.key[handle])));
    MUST(slice_equal(cache_object_key(cache_db_object(db, handle)), key));
    told.is[handle] = false;
    told.count--;
}

static void on_emptied(void *ctx)
{
    MUST(ctx == &told);
    memset(told.is, 0, sizeof told.is);
    told.count = 0;
    told.emptied++;
}

static const struct cache_db_places places = {on_made, on_gone, on_emptied, &told};

static void on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    (void)ctx;
    MUST(told.is[handle]);
    MUST(slice_equal(cache_object_key(cache_table_at(t, handle)), slice_of(told.key[handle])));
}

/* It knows what there is. */
static void expect_told(void)
{
    uint64_t cursor = 0;
    MUST(told.count == cache_table_count(db->table));
    do
        cursor = cache_table_scan(db->table, cursor, on_seen, NULL);
    while (cursor != 0);
}

/* ---- a database with a log ---- */

static int open_log(bool stored, bool placed, int64_t now_ms)
{
    static const struct cache_log_events events = {.on_expected = cache_db_expect,
                                                   .on_records = cache_db_replay,
                                                   .is_alive = cache_db_is_alive,
                                                   .on_moved = cache_db_moved};
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = 32 << 20,
                                             .stored = stored,
                                             .volatiles = "lock:*"};
    const struct cache_log_options log_options = {
        .dir = dir, .segment_max = 1 << 20, .fsync = CACHE_LOG_NO};
    struct cache_log_found found;
    char why[512] = "";
    db = cache_db_new(&options, hash_key);
    ck_assert_ptr_nonnull(db);
    cache_db_begin(db, now_ms * 1000, 5000);
    if (placed)
        ck_assert(cache_db_place(db, &places));
    int rc =
        cache_log_open(&loop, &log_options, &events, db, NULL, &found, &cache_log, why, sizeof why);
    if (rc == 0)
        cache_db_attach(db, cache_log);
    return rc;
}

static void close_db(void)
{
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    ck_assert_int_eq(cache_log_close(cache_log), 0);
    cache_db_free(db);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void reopen(int64_t now_ms)
{
    close_db();
    ck_assert_int_eq(open_log(true, true, now_ms), 0);
}

static void set_up(void)
{
    strcpy(dir, "/tmp/platoon-place-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    memset(&told, 0, sizeof told);
    told.may = UINT32_MAX;
    ck_assert_int_eq(open_log(true, true, NOW_MS), 0);
}

static void tear_down(void)
{
    char path[512];
    close_db();
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

static enum cache_fault set(const char *key, int64_t expiry_ms)
{
    return cache_db_set(db, slice_of(key), slice_of("value"), expiry_ms, CACHE_FORM_BYTES);
}

static enum cache_fault learn(const char *key, uint64_t version, int64_t expiry_ms)
{
    return cache_db_learn(db, slice_of(key), slice_of("stored"), version, expiry_ms, 0);
}

static uint32_t handle_of(const char *key)
{
    return cache_table_find(db->table, slice_of(key), cache_db_hash(db, slice_of(key)));
}

static bool knows(const char *key)
{
    return handle_of(key) != 0;
}

/* CACHE_OK, and it has left. */
static bool leave(const char *key)
{
    bool left;
    ck_assert_int_eq(cache_db_leave(db, handle_of(key), &left), CACHE_OK);
    ck_assert_int_eq(left, !knows(key));
    return left;
}

/* The store takes all that is dirty. */
static void store_all(void)
{
    for (const struct cache_object *o; (o = cache_db_take(db, INT64_MAX)) != NULL;) {
        char key[32];
        MUST(slice_copy(cache_object_key(o), key, sizeof key));
        MUST(cache_db_stored(db, slice_of(key), o->version, false));
    }
}

/* ---- what is told ---- */

START_TEST(each_that_comes_and_goes)
{
    bool was;
    ck_assert_uint_eq(told.emptied, 1);
    set("a", CACHE_NEVER);
    ck_assert_uint_eq(told.made_s, 5);
    learn("b", 3, CACHE_NEVER);
    cache_db_learn_absent(db, slice_of("c"), 0);
    ck_assert_uint_eq(told.count, 3);
    set("a", CACHE_NEVER);
    set("c", CACHE_NEVER);
    ck_assert_uint_eq(told.count, 3);
    set("lock:d", CACHE_NEVER);
    ck_assert_uint_eq(told.count, 4);
    expect_told();
    cache_db_delete(db, slice_of("lock:d"), &was); /* nobody need remember it */
    ck_assert_uint_eq(told.count, 3);
    cache_db_delete(db, slice_of("b"), &was); /* remembered as a deletion */
    ck_assert_uint_eq(told.count, 3);
    expect_told();
    db->options.memory_max = 1;
    store_all();
    while (cache_db_room(db) == CACHE_OK)
        ;
    ck_assert_uint_eq(told.count, 0);
    expect_told();
}
END_TEST

START_TEST(what_expires_and_what_nobody_uses)
{
    for (unsigned i = 0; i < 500; i++) {
        char key[32];
        snprintf(key, sizeof key, "key:%u", i);
        MUST((i % 2 ? learn(key, 3, NOW_MS + 5) : learn(key, 3, CACHE_NEVER)) == CACHE_OK);
    }
    expect_told();
    cache_db_begin(db, (NOW_MS + 10) * 1000, 6000);
    while (cache_db_expiring(db) > 0) {
        cache_db_work(db);
        cache_db_begin(db, db->wall_us + 20000, 6000);
    }
    ck_assert_uint_eq(told.count, 250);
    expect_told();
    cache_db_begin(db, db->wall_us, 100000);
    while (told.count > 0)
        cache_db_idle(db, 1000, true);
    expect_told();
}
END_TEST

START_TEST(what_the_log_brings_back)
{
    bool was;
    set("a", CACHE_NEVER);
    set("b", CACHE_NEVER);
    set("lock:c", CACHE_NEVER);
    cache_db_delete(db, slice_of("lock:c"), &was);
    learn("d", 3, CACHE_NEVER);
    reopen(NOW_MS);
    ck_assert_uint_eq(told.count, 3);
    expect_told();
    close_db();
    ck_assert_int_eq(open_log(false, true, NOW_MS),
                     0); /* without a store all of it can be cleared */
    ck_assert_uint_gt(told.count, 0);
    size_t emptied = told.emptied;
    ck_assert_int_eq(cache_db_clear(db), CACHE_OK);
    ck_assert_uint_eq(told.emptied, emptied + 1);
    set("e", CACHE_NEVER);
    expect_told();
    reopen(NOW_MS);
    ck_assert_uint_eq(told.emptied, emptied + 3); /* at first, and with the record of it */
    ck_assert_uint_eq(told.count, 1);
    expect_told();
}
END_TEST

START_TEST(what_is_there_already)
{
    ck_assert(cache_db_place(db, NULL));
    for (unsigned i = 0; i < 1000; i++) {
        char key[32];
        snprintf(key, sizeof key, "key:%u", i);
        MUST(set(key, CACHE_NEVER) == CACHE_OK);
    }
    ck_assert_uint_eq(told.count, 0);
    told.may = 700;
    ck_assert(!cache_db_place(db, &places));
    ck_assert_uint_eq(told.count, 0);
    ck_assert_uint_eq(told.refused, 1);
    set("other", CACHE_NEVER); /* nobody is told */
    ck_assert_uint_eq(told.refused, 1);
    told.may = UINT32_MAX;
    ck_assert(cache_db_place(db, &places));
    ck_assert_uint_eq(told.count, 1001);
    expect_told();
    ck_assert(cache_db_place(db, &places)); /* of another ring, say */
    expect_told();
}
END_TEST

START_TEST(without_memory_there_is_no_object)
{
    told.may = 0;
    ck_assert_int_eq(set("a", CACHE_NEVER), CACHE_FAULT_MEMORY);
    ck_assert_int_eq(learn("b", 3, CACHE_NEVER), CACHE_FAULT_MEMORY);
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of("c"), 0), CACHE_FAULT_MEMORY);
    ck_assert_uint_eq(told.refused, 3);
    ck_assert_uint_eq(cache_table_count(db->table), 0);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
    told.may = 1;
    ck_assert_int_eq(set("a", CACHE_NEVER), CACHE_OK);
    ck_assert_int_eq(set("a", CACHE_NEVER), CACHE_OK);
    expect_told();
    close_db();
    told.may = 0;
    ck_assert_int_eq(open_log(true, true, NOW_MS), -ENOMEM);
    cache_db_free(db);
    told.may = UINT32_MAX;
    ck_assert_int_eq(open_log(true, true, NOW_MS), 0);
    ck_assert(knows("a"));
}
END_TEST

/* ---- what leaves ---- */

START_TEST(what_leaves_does_not_come_back)
{
    set("a", CACHE_NEVER);
    store_all();
    learn("b", 3, CACHE_NEVER);
    cache_db_learn_absent(db, slice_of("c"), 0);
    set("lock:d", CACHE_NEVER);
    learn("e", 3, CACHE_NEVER);
    ck_assert(leave("a") && leave("b") && leave("c") && leave("lock:d"));
    ck_assert_uint_eq(told.count, 1);
    expect_told();
    reopen(NOW_MS);
    ck_assert(!knows("a") && !knows("b") && !knows("c") && !knows("lock:d") && knows("e"));
}
END_TEST

START_TEST(what_the_store_has_not_stays)
{
    set("a", CACHE_NEVER);
    ck_assert(!leave("a"));
    uint64_t version = cache_db_take(db, INT64_MAX)->version;
    ck_assert(!leave("a"));
    ck_assert(cache_db_give_up(db, slice_of("a"), version, 0));
    ck_assert(!leave("a")); /* a dead letter */
    ck_assert(cache_db_dead_retry(db, slice_of("a")));
    store_all();
    ck_assert(leave("a"));
    learn("b", 3, CACHE_NEVER);
    bool was;
    cache_db_delete(db, slice_of("b"), &was);
    ck_assert(!leave("b"));
    store_all();
    ck_assert(leave("b"));
}
END_TEST

START_TEST(who_watches_is_told)
{
    struct cache_watch a = {.key = slice_of("a")}, b = {.key = slice_of("b")};
    learn("a", 3, CACHE_NEVER);
    cache_db_learn_absent(db, slice_of("b"), 0);
    ck_assert(cache_db_watch(db, &a) && cache_db_watch(db, &b));
    ck_assert(leave("a"));
    ck_assert(a.touched && !b.touched);
    ck_assert(leave("b"));
    ck_assert(b.touched);
    cache_db_unwatch(db, &a);
    cache_db_unwatch(db, &b);
}
END_TEST

/* Once in a while the log's buffer must grow for it. */
START_TEST(without_memory_for_the_record_it_stays)
{
    static const char bytes[200];
    bool left = true;
    for (uint64_t version = 1; left; version++) {
        struct slice value = slice_make(bytes, cache_random(sizeof bytes));
        MUST(cache_db_learn(db, slice_of("a"), value, version, CACHE_NEVER, 0) == CACHE_OK);
        short_memory_fail(1, true);
        enum cache_fault fault = cache_db_leave(db, handle_of("a"), &left);
        short_memory_fail(0, false);
        MUST(fault == (left ? CACHE_OK : CACHE_FAULT_MEMORY) && left == !knows("a"));
        MUST(version < 100000);
    }
    expect_told();
    ck_assert(leave("a"));
    reopen(NOW_MS);
    ck_assert(!knows("a"));
}
END_TEST

/* Between the two starts the cell may have been another node's; the clock may stand before that time at the second. */
START_TEST(what_has_expired_does_not_come_back_with_an_earlier_clock)
{
    learn("a", 3, NOW_MS + 5);
    learn("b", 3, NOW_MS + 5);
    learn("c", 3, NOW_MS + 5);
    cache_db_learn_absent(db, slice_of("d"), 0);
    set("d", NOW_MS + 5); /* of which the store has nothing */
    cache_db_begin(db, (NOW_MS + 10) * 1000, 6000);
    ck_assert_ptr_null(cache_db_peek(db, slice_of("a"))); /* its absence is remembered */
    ck_assert(leave("a"));
    ck_assert(leave("b")); /* nobody has seen it */
    while (cache_db_expiring(db) > 0) {
        cache_db_work(db);
        cache_db_begin(db, db->wall_us + 20000, 6000);
    }
    reopen(NOW_MS);
    ck_assert(!knows("a") && !knows("b") && !knows("c") && !knows("d"));
    expect_told();
}
END_TEST

/* The same of what the store has not heard of before its time was over, which was while nobody was there. */
START_TEST(what_a_start_finds_expired_the_next_one_does_not_find)
{
    cache_db_learn_absent(db, slice_of("a"), 0);
    set("a", NOW_MS + 5);
    learn("b", 3, NOW_MS + 5);
    reopen(NOW_MS + 10);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
    expect_told();
    ck_assert_ptr_null(cache_db_peek(db, slice_of("a")));
    ck_assert(leave("a") && leave("b"));
    reopen(NOW_MS);
    ck_assert(!knows("a") && !knows("b"));
}
END_TEST

SUITE_MAIN_WITH("cache_db_place", set_up, tear_down, each_that_comes_and_goes,
                what_expires_and_what_nobody_uses, what_the_log_brings_back, what_is_there_already,
                without_memory_there_is_no_object, what_leaves_does_not_come_back,
                what_the_store_has_not_stays, who_watches_is_told,
                without_memory_for_the_record_it_stays,
                what_has_expired_does_not_come_back_with_an_earlier_clock,
                what_a_start_finds_expired_the_next_one_does_not_find)
