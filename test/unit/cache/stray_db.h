/*
 * stray_db.h: a database with its log in a directory, whose objects become strays; for the suites of what is not ours
 * any more. In a header: each suite is a program with one of them.
 */
#ifndef TEST_UNIT_CACHE_STRAY_DB_H
#define TEST_UNIT_CACHE_STRAY_DB_H

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

static inline void opened(void)
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

static inline void closed(void)
{
    cache_log_close(node_log);
    cache_db_free(db);
    uv_run(&dirs[dir].loop, UV_RUN_DEFAULT);
}

static inline void again(void)
{
    closed();
    opened();
}

/* With what is written, and nothing that was only added. */
static inline void killed(void)
{
    log_fixture_copy(&dirs[dir], &dirs[1 - dir]);
    closed();
    dir = 1 - dir;
    opened();
}

static inline void set_up(void)
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

static inline void tear_down(void)
{
    closed();
    log_fixture_fini(&dirs[0]);
    log_fixture_fini(&dirs[1]);
}

static inline void flush(void)
{
    ck_assert_int_eq(cache_log_flush(node_log), 0);
}

static inline void pass(int64_t ms)
{
    now_us += ms * 1000;
    cache_db_begin(db, now_us, 1);
}

static inline void set_until(const char *key, const char *value, int64_t expiry_ms)
{
    ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of(value), expiry_ms, CACHE_FORM_TERM),
                     CACHE_OK);
}

static inline void set(const char *key, const char *value)
{
    set_until(key, value, CACHE_NEVER);
}

static inline void del(const char *key)
{
    bool was;
    ck_assert_int_eq(cache_db_delete(db, slice_of(key), &was), CACHE_OK);
    ck_assert(was);
}

static inline uint32_t handle_of(struct slice key)
{
    return cache_table_find(db->table, key, cache_db_hash(db, key));
}

static inline void estrange(const char *key)
{
    uint32_t handle = handle_of(slice_of(key));
    ck_assert_uint_ne(handle, 0);
    ck_assert_int_eq(cache_db_estrange(db, handle), CACHE_OK);
    ck_assert_uint_eq(handle_of(slice_of(key)), 0);
}

static inline uint64_t version_of(const char *key)
{
    return cache_table_at(db->table, handle_of(slice_of(key)))->version;
}

struct search {
    const char *key;
    const struct cache_object *found;
    unsigned count, all;
};

static inline void on_seen(struct cache_table *t, uint32_t handle, void *ctx)
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

static inline struct search searched(const char *key)
{
    struct search s = {.key = key};
    uint64_t cursor = 0;
    do
        cursor = cache_table_scan(db->table, cursor, on_seen, &s);
    while (cursor != 0);
    return s;
}

/* The only one of that key. */
static inline const struct cache_object *stray_of(const char *key)
{
    struct search s = searched(key);
    ck_assert_uint_eq(s.count, 1);
    return s.found;
}

static inline void expect_strays(size_t count, size_t alive)
{
    struct cache_strays strays = cache_db_strays(db);
    ck_assert_uint_eq(strays.count, count);
    ck_assert_uint_eq(strays.alive, alive);
}

static inline void expect_stray(const char *key, const char *value, uint64_t version)
{
    const struct cache_object *o = stray_of(key);
    ck_assert(o->dirty && !o->busy && !o->blind && o->gone == (value == NULL));
    ck_assert(slice_is(cache_object_value(o), value != NULL ? value : ""));
    ck_assert_uint_eq(o->version, version);
}

static inline const struct cache_object *take(void)
{
    flush();
    const struct cache_object *o = cache_db_take(db, INT64_MIN);
    ck_assert_msg(o != NULL, "nothing is due at once");
    return o;
}

/* As cache_behind keeps it: a copy. */
static inline struct slice take_key(void)
{
    static char text[100];
    struct slice key = cache_object_key(take());
    ck_assert_uint_le(key.len, sizeof text);
    memcpy(text, key.ptr, key.len);
    return slice_make(text, key.len);
}

#endif
