/*
 * test_cache_db.c: what a node holds is what was written, in memory and in what a real log brings back
 * (workers/cache/cache_db.h): random work beside a plain model, with the log closed and opened anew in between.
 */
#include "test/unit/suite.h"
#include "workers/cache/cache_db.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

#define KEYS 40

static const uint8_t hash_key[16] = {7};
static struct cache_db *db;
static struct cache_log *cache_log;
static uv_loop_t loop;
static char dir[] = "/tmp/platoon-db-XXXXXX";
static int64_t now_us;
static size_t segment_max = 4096;

struct known {
    bool is;
    char value[300];
    size_t len;
    int64_t expiry_ms;
    uint64_t version;
};
static struct known model[KEYS];

static void opened(size_t memory_max)
{
    static const struct cache_log_events events = {.on_expected = cache_db_expect,
                                                   .on_records = cache_db_replay,
                                                   .is_alive = cache_db_is_alive,
                                                   .on_moved = cache_db_moved};
    const struct cache_db_options options = {
        .memory_max = memory_max, .object_max = 1 << 20, .evict = true};
    const struct cache_log_options log_options = {
        .dir = dir, .segment_max = segment_max, .fsync = CACHE_LOG_NO};
    struct cache_log_found found;
    char why[512] = "";
    db = cache_db_new(&options, hash_key);
    ck_assert_ptr_nonnull(db);
    cache_db_begin(db, now_us, 0);
    int rc =
        cache_log_open(&loop, &log_options, &events, db, NULL, &found, &cache_log, why, sizeof why);
    ck_assert_msg(rc == 0, "%s", why);
    ck_assert_uint_eq(found.damaged, 0);
    cache_db_attach(db, cache_log);
}

static void closed(void)
{
    ck_assert_int_eq(cache_log_close(cache_log), 0);
    cache_db_free(db);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void set_up(void)
{
    strcpy(dir, "/tmp/platoon-db-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    now_us = INT64_C(1700000000000000);
    memset(model, 0, sizeof model);
    opened(64 << 20);
}

static void tear_down(void)
{
    char path[512];
    closed();
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

static struct slice key_of(size_t i)
{
    static char text[32];
    snprintf(text, sizeof text, "key:%zu", i);
    return i == 0 ? slice_of("") : slice_of(text);
}

static void expect_all(void)
{
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        struct known *k = &model[i];
        k->is = k->is && k->expiry_ms > now_us / 1000;
        const struct cache_object *o = cache_db_peek(db, key_of(i));
        ck_assert_msg((o != NULL) == k->is, "%zu is %d", i, k->is);
        count += k->is;
        if (o == NULL)
            continue;
        ck_assert(slice_equal(cache_object_value(o), slice_make(k->value, k->len)));
        ck_assert_int_eq(cache_object_expiry(o), k->expiry_ms);
        ck_assert_uint_ge(o->version, k->version);
        k->version = o->version;
    }
    ck_assert_uint_eq(cache_db_count(db), count);
}

static void step_set(struct known *k, struct slice key)
{
    k->len = (size_t)rand() % 200;
    for (size_t i = 0; i < k->len; i++)
        k->value[i] = (char)rand();
    k->version = k->is ? k->version : 0; /* an object of that name, and not that one */
    k->is = true;
    k->expiry_ms = rand() % 3 == 0 ? now_us / 1000 + 1 + rand() % 50 : CACHE_NEVER;
    ck_assert_int_eq(cache_db_set(db, key, slice_make(k->value, k->len), k->expiry_ms, 0),
                     CACHE_OK);
}

static void step(void)
{
    size_t i = (size_t)rand() % KEYS, len;
    struct known *k = &model[i];
    struct slice key = key_of(i);
    bool was;
    k->is = k->is && k->expiry_ms > now_us / 1000;
    switch (rand() % 12) {
    case 0:
        ck_assert_int_eq(cache_db_delete(db, key, &was), CACHE_OK);
        ck_assert_int_eq(was, k->is);
        k->is = false;
        break;
    case 1:
        if (!k->is || k->len > 250)
            break;
        ck_assert_int_eq(cache_db_append(db, key, slice_of("tail"), &len), CACHE_OK);
        memcpy(k->value + k->len, "tail", 4);
        ck_assert_uint_eq(len, k->len += 4);
        break;
    case 2:
        if (!k->is)
            break;
        k->expiry_ms = rand() % 2 ? CACHE_NEVER : now_us / 1000 + 20;
        ck_assert_int_eq(cache_db_expire(db, key, k->expiry_ms), CACHE_OK);
        break;
    case 3:
        if (rand() % 40 != 0)
            break;
        ck_assert_int_eq(cache_db_clear(db), CACHE_OK);
        memset(model, 0, sizeof model);
        break;
    default:
        step_set(k, key);
    }
}

/* The log grows by rotation, is cleaned, and brings all of it back: nothing that was deleted, and nothing older. */
START_TEST(what_was_written_is_there_again)
{
    srand(1);
    for (int round = 0; round < 100; round++) {
        for (int turn = 0; turn < 30; turn++) {
            now_us += rand() % 3000;
            cache_db_begin(db, now_us, 0);
            for (int n = rand() % 12; n > 0; n--)
                step();
            cache_db_work(db);
            cache_log_clean(cache_log, 1000);
            ck_assert_int_eq(cache_log_flush(cache_log), 0);
        }
        expect_all();
        closed();
        opened(64 << 20);
        expect_all();
    }
    ck_assert_uint_lt(cache_log_bytes(cache_log), 64 * 1024);
}
END_TEST

#define MANY 20000

static struct slice many_key(size_t i)
{
    static char text[32];
    return slice_make(text, (size_t)snprintf(text, sizeof text, "one of many:%zu", i));
}

static struct slice many_value(size_t i)
{
    static char text[300];
    memset(text, 'a' + (int)(i % 26), sizeof text);
    return slice_make(text, i % sizeof text);
}

/* Half of them set more than once and some deleted: room is made for more than come. */
static void write_many(void)
{
    bool was;
    for (size_t n = 0; n < 3 * MANY; n++) {
        size_t i = n < MANY ? n : n % (MANY / 2);
        int64_t expiry_ms = i % 3 == 0 ? now_us / 1000 + 1000000 : CACHE_NEVER;
        ck_assert_int_eq(cache_db_set(db, many_key(i), many_value(i), expiry_ms, CACHE_FORM_BYTES),
                         CACHE_OK);
    }
    for (size_t i = 0; i < MANY; i += 5)
        ck_assert_int_eq(cache_db_delete(db, many_key(i), &was), CACHE_OK);
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
}

/* Full before, full behind: a start that took more memory would evict what was warm. */
START_TEST(many_come_back_in_no_more_memory)
{
    closed();
    segment_max = 4 << 20;
    opened(64 << 20);
    write_many();
    size_t bytes = cache_db_bytes(db), count = cache_db_count(db), ends = cache_db_expiring(db);
    uint64_t alive = cache_log_alive(cache_log);
    closed();
    opened(64 << 20);
    ck_assert_uint_eq(cache_db_count(db), count);
    ck_assert_uint_eq(cache_db_expiring(db), ends);
    ck_assert_uint_eq(cache_log_alive(cache_log), alive);
    ck_assert_uint_le(cache_db_bytes(db), bytes);
    for (size_t i = 0; i < MANY; i++) {
        const struct cache_object *o = cache_db_peek(db, many_key(i));
        ck_assert_int_eq(o != NULL, i % 5 != 0);
        ck_assert(o == NULL || slice_equal(cache_object_value(o), many_value(i)));
    }
    segment_max = 4096;
}
END_TEST

/* All of it goes into new segments, a little in each turn, while it is written to. */
START_TEST(the_log_is_written_anew)
{
    srand(2);
    for (int round = 0; round < 40; round++) {
        for (int n = 0; n < 300; n++)
            step();
        ck_assert_int_eq(cache_log_flush(cache_log), 0);
        cache_db_rewrite_begin(db);
        for (bool more = true; more;) {
            more = cache_db_rewrite(db, 500);
            step();
            ck_assert_int_eq(cache_log_flush(cache_log), 0);
        }
        closed();
        opened(64 << 20);
        expect_all();
    }
}
END_TEST

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* While the disk takes nothing, it gathers in the turn's buffer no more than one turn may add, and does not spin. */
START_TEST(a_log_that_cannot_be_written_is_not_written_anew)
{
    srand(3);
    for (int n = 0; n < 3000; n++)
        step();
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    cache_db_rewrite_begin(db);
    uint64_t most = 0;
    int more = 0, written = 0;
    limit_files(1); /* what is asserted goes into a file, too: later */
    for (int turn = 0; turn < 50; turn++) {
        more += cache_db_rewrite(db, 500);
        written += cache_log_flush(cache_log) == 0;
        uint64_t left = cache_log_added(cache_log) - cache_log_written(cache_log);
        most = left > most ? left : most;
    }
    limit_files(RLIM_INFINITY);
    ck_assert_int_eq(written, 0);
    ck_assert_int_le(more, 1);
    ck_assert_uint_lt(most, 1500);
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    while (cache_db_rewrite(db, 500))
        ck_assert_int_eq(cache_log_flush(cache_log), 0);
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    closed();
    opened(64 << 20);
    expect_all();
}
END_TEST

/* A deletion of what was evicted before answers that there was nothing: a replay must not bring it back. */
START_TEST(what_was_evicted_stays_away)
{
    closed();
    opened(1);
    step_set(&model[1], key_of(1));
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    cache_db_room(db);
    model[1].is = false;
    ck_assert_uint_eq(cache_db_count(db), 0);
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    closed();
    opened(64 << 20);
    expect_all();
}
END_TEST

START_TEST(watchers_are_told)
{
    struct cache_watch w[2] = {{.key = slice_of("a")}, {.key = slice_of("b")}};
    bool was;
    ck_assert(cache_db_watch(db, &w[0]) && cache_db_watch(db, &w[1]));
    cache_db_set(db, slice_of("a"), slice_of("1"), CACHE_NEVER, 0);
    ck_assert(w[0].touched && !w[1].touched);
    w[0].touched = false;
    cache_db_delete(db, slice_of("b"), &was);
    ck_assert(!w[1].touched);
    cache_db_clear(db);
    ck_assert(w[0].touched && !w[1].touched);
    cache_db_set(db, slice_of("b"), slice_of("1"), now_us / 1000 + 5, 0);
    w[1].touched = false;
    cache_db_begin(db, now_us + 6000, 0);
    cache_db_work(db);
    ck_assert(w[1].touched);
    cache_db_unwatch(db, &w[0]);
    cache_db_unwatch(db, &w[1]);
}
END_TEST

/* At least the clock, and more than its last. */
START_TEST(versions_grow)
{
    uint64_t last = 0;
    for (int i = 0; i < 10; i++) {
        cache_db_begin(db, now_us - i, 0);
        cache_db_set(db, slice_of("a"), slice_of("1"), CACHE_NEVER, 0);
        const struct cache_object *o = cache_db_peek(db, slice_of("a"));
        ck_assert_uint_gt(o->version, last);
        last = o->version;
    }
    ck_assert_uint_ge(last, (uint64_t)now_us);
}
END_TEST

/* The same, of a name: also where its object has gone meanwhile, in the same turn or with the clock back. */
START_TEST(versions_grow_over_an_absence)
{
    struct slice key = slice_of("a");
    bool was;
    cache_db_set(db, key, slice_of("1"), CACHE_NEVER, 0);
    uint64_t first = cache_db_peek(db, key)->version;
    cache_db_delete(db, key, &was);
    cache_db_set(db, key, slice_of("2"), CACHE_NEVER, 0);
    uint64_t second = cache_db_peek(db, key)->version;
    ck_assert_uint_gt(second, first + 1); /* the deletion has one as well */
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    closed();
    now_us -= 1000000;
    opened(64 << 20);
    cache_db_delete(db, key, &was);
    ck_assert(was);
    cache_db_set(db, key, slice_of("3"), CACHE_NEVER, 0);
    ck_assert_uint_gt(cache_db_peek(db, key)->version, second + 1);
}
END_TEST

/* Set, deleted and set again in one turn: its segment is cleaned, and nobody takes that for a loss of the disk. */
START_TEST(a_name_twice_in_a_turn_is_no_damage)
{
    bool was;
    char value[300] = {0};
    for (size_t i = 1; i < 4; i++) {
        cache_db_set(db, key_of(i), slice_of("short"), CACHE_NEVER, 0);
        cache_db_delete(db, key_of(i), &was);
        cache_db_set(db, key_of(i), slice_make(value, sizeof value), CACHE_NEVER, 0);
    }
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    for (int i = 0; i < 200; i++) {
        cache_db_set(db, slice_of("other"), slice_make(value, sizeof value), CACHE_NEVER, 0);
        ck_assert_int_eq(cache_log_flush(cache_log), 0);
        cache_log_clean(cache_log, 4096);
    }
    ck_assert_int_eq(cache_log_flush(cache_log), 0);
    ck_assert_str_eq(cache_log_trouble(cache_log), "");
    ck_assert(!cache_log_wants_rewrite(cache_log));
}
END_TEST

SUITE_MAIN_WITH("cache_db", set_up, tear_down, what_was_written_is_there_again,
                many_come_back_in_no_more_memory, the_log_is_written_anew,
                a_log_that_cannot_be_written_is_not_written_anew, what_was_evicted_stays_away,
                watchers_are_told, versions_grow, versions_grow_over_an_absence,
                a_name_twice_in_a_turn_is_no_damage)
