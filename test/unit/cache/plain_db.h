/*
 * plain_db.h: cache_db.h over lists, for the suites of commands: nothing of table, policy or log, and faults on order.
 *
 * Included by one file of a program, in place of cache_db.c; it defines all of cache_db.h, so that the linker takes
 * nothing of the real one.
 */
#ifndef TEST_UNIT_CACHE_PLAIN_DB_H
#define TEST_UNIT_CACHE_PLAIN_DB_H

#include "workers/cache/cache_db.h"

#include <stdlib.h>

#define PLAIN_BUCKETS 64

struct plain_node {
    struct plain_node *next;
    struct cache_object *object;
};

struct cache_db {
    struct cache_db_options options;
    struct plain_node *buckets[PLAIN_BUCKETS];
    struct cache_watch *watches;
    struct cache_stats stats;
    int64_t now_ms;
    size_t count;
    ptrdiff_t charged;
    enum cache_fault fault; /* of writes, when writes_left is 0 */
    unsigned writes_left, writes;
};

/* ---- objects, as a table has them ---- */

static struct cache_object *plain_object(struct slice key, struct slice value, int64_t expiry_ms,
                                         enum cache_form form)
{
    bool expires = expiry_ms != CACHE_NEVER;
    char *to;
    struct cache_object *o = calloc(1, sizeof *o + (expires ? 8 : 0) + key.len + value.len);
    o->expires = expires;
    o->key_len = (unsigned)key.len & CACHE_VALUE_MAX;
    o->value_len = (unsigned)value.len & CACHE_VALUE_MAX;
    o->form = form;
    to = o->bytes;
    if (expires)
        memcpy(to, &expiry_ms, 8);
    to += expires ? 8 : 0;
    memcpy(to, key.ptr, key.len);
    memcpy(to + key.len, value.ptr, value.len);
    return o;
}

static struct plain_node **plain_bucket(struct cache_db *db, struct slice key)
{
    unsigned hash = 2166136261u;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 16777619u;
    return &db->buckets[(hash ^ hash >> 16) % PLAIN_BUCKETS];
}

static void plain_touch(struct cache_db *db, struct slice key)
{
    for (struct cache_watch *w = db->watches; w != NULL; w = w->next_of_key)
        if (slice_equal(w->key, key))
            w->touched = true;
}

static void plain_remove(struct cache_db *db, struct plain_node **at)
{
    struct plain_node *n = *at;
    plain_touch(db, cache_object_key(n->object));
    *at = n->next;
    free(n->object);
    free(n);
    db->count--;
}

/* Where it stands, what has expired not; NULL: nowhere. */
static struct plain_node **plain_find(struct cache_db *db, struct slice key)
{
    struct plain_node **at = plain_bucket(db, key);
    while (*at != NULL && !slice_equal(cache_object_key((*at)->object), key))
        at = &(*at)->next;
    if (*at == NULL)
        return NULL;
    if (cache_object_expiry((*at)->object) > db->now_ms)
        return at;
    plain_remove(db, at);
    db->stats.expired++;
    return NULL;
}

/* ---- its life ---- */

struct cache_db *cache_db_new(const struct cache_db_options *options, const uint8_t hash_key[16])
{
    struct cache_db *db = calloc(1, sizeof *db);
    (void)hash_key;
    db->options = *options;
    return db;
}

void cache_db_free(struct cache_db *db)
{
    for (size_t i = 0; i < PLAIN_BUCKETS; i++)
        while (db->buckets[i] != NULL)
            plain_remove(db, &db->buckets[i]);
    free(db);
}

void cache_db_attach(struct cache_db *db, struct cache_log *log)
{
    (void)db;
    (void)log;
}

void cache_db_expect(size_t count, void *db)
{
    (void)count;
    (void)db;
}

int cache_db_replay(const struct cache_log_record *r, size_t count, uint32_t segment, void *db)
{
    (void)r;
    (void)count;
    (void)segment;
    (void)db;
    return 0;
}

bool cache_db_is_alive(struct cache_log_record *r, uint32_t segment, void *db)
{
    (void)r;
    (void)segment;
    (void)db;
    return false;
}

void cache_db_moved(const struct cache_log_record *r, uint32_t segment, void *db)
{
    (void)r;
    (void)segment;
    (void)db;
}

enum cache_fault cache_db_room(struct cache_db *db)
{
    return db->fault == CACHE_FAULT_OOM && db->writes_left == 0 ? CACHE_FAULT_OOM : CACHE_OK;
}

void cache_db_begin(struct cache_db *db, int64_t wall_us, uint64_t mono_ms)
{
    (void)mono_ms;
    db->now_ms = wall_us / 1000;
}

int64_t cache_db_now_ms(const struct cache_db *db)
{
    return db->now_ms;
}

/* ---- reading ---- */

const struct cache_object *cache_db_peek(struct cache_db *db, struct slice key)
{
    struct plain_node **at = plain_find(db, key);
    return at != NULL ? (*at)->object : NULL;
}

/* Versions it has none. */
uint64_t cache_db_seen(struct cache_db *db, struct slice key)
{
    return cache_db_peek(db, key) != NULL;
}

const struct cache_object *cache_db_read(struct cache_db *db, struct slice key)
{
    const struct cache_object *o = cache_db_peek(db, key);
    db->stats.hits += o != NULL;
    db->stats.misses += o == NULL;
    return o;
}

/* ---- writing ---- */

static enum cache_fault plain_fault(struct cache_db *db)
{
    if (db->fault != CACHE_OK && db->writes_left == 0)
        return db->fault;
    db->writes_left -= db->writes_left > 0;
    db->writes++;
    return CACHE_OK;
}

enum cache_fault cache_db_set(struct cache_db *db, struct slice key, struct slice value,
                              int64_t expiry_ms, enum cache_form form)
{
    enum cache_fault fault = plain_fault(db);
    if (fault != CACHE_OK)
        return fault;
    if (key.len + value.len > db->options.object_max)
        return CACHE_FAULT_LARGE;
    struct plain_node **at = plain_find(db, key);
    if (at == NULL) {
        at = plain_bucket(db, key);
        struct plain_node *n = calloc(1, sizeof *n);
        n->next = *at;
        *at = n;
        db->count++;
    }
    struct cache_object *old = (*at)->object;
    (*at)->object = plain_object(key, value, expiry_ms, form);
    free(old);
    plain_touch(db, key);
    return CACHE_OK;
}

enum cache_fault cache_db_append(struct cache_db *db, struct slice key, struct slice tail,
                                 size_t *len)
{
    struct cache_object *o = (*plain_find(db, key))->object;
    struct slice value = cache_object_value(o);
    char *whole = malloc(value.len + tail.len + 1);
    memcpy(whole, value.ptr, value.len);
    memcpy(whole + value.len, tail.ptr, tail.len);
    *len = value.len + tail.len;
    enum cache_fault fault =
        cache_db_set(db, key, slice_make(whole, *len), cache_object_expiry(o), o->form);
    free(whole);
    return fault;
}

enum cache_fault cache_db_delete(struct cache_db *db, struct slice key, bool *was)
{
    struct plain_node **at = plain_find(db, key);
    *was = at != NULL;
    if (at == NULL)
        return CACHE_OK;
    enum cache_fault fault = plain_fault(db);
    if (fault == CACHE_OK)
        plain_remove(db, at);
    return fault;
}

enum cache_fault cache_db_clear(struct cache_db *db)
{
    enum cache_fault fault = db->count > 0 ? plain_fault(db) : CACHE_OK;
    for (size_t i = 0; i < PLAIN_BUCKETS && fault == CACHE_OK; i++)
        while (db->buckets[i] != NULL)
            plain_remove(db, &db->buckets[i]);
    return fault;
}

enum cache_fault cache_db_expire(struct cache_db *db, struct slice key, int64_t expiry_ms)
{
    struct plain_node **at = plain_find(db, key);
    if (at == NULL)
        return CACHE_OK;
    enum cache_fault fault = plain_fault(db);
    if (fault != CACHE_OK)
        return fault;
    struct cache_object *old = (*at)->object;
    (*at)->object = plain_object(key, cache_object_value(old), expiry_ms, old->form);
    free(old);
    plain_touch(db, key);
    return CACHE_OK;
}

/* ---- all of them ---- */

size_t cache_db_count(const struct cache_db *db)
{
    return db->count;
}

size_t cache_db_expiring(const struct cache_db *db)
{
    size_t expiring = 0;
    for (size_t i = 0; i < PLAIN_BUCKETS; i++)
        for (const struct plain_node *n = db->buckets[i]; n != NULL; n = n->next)
            expiring += n->object->expires;
    return expiring;
}

size_t cache_db_bytes(const struct cache_db *db)
{
    return (size_t)db->charged;
}

const struct cache_stats *cache_db_stats(const struct cache_db *db)
{
    return &db->stats;
}

uint64_t cache_db_scan(struct cache_db *db, uint64_t cursor,
                       void (*fn)(const struct cache_object *o, void *ctx), void *ctx)
{
    if (cursor >= PLAIN_BUCKETS)
        return 0;
    for (const struct plain_node *n = db->buckets[cursor]; n != NULL; n = n->next)
        if (cache_object_expiry(n->object) > db->now_ms)
            fn(n->object, ctx);
    return (cursor + 1) % PLAIN_BUCKETS;
}

const struct cache_object *cache_db_random(struct cache_db *db, uint64_t random)
{
    for (size_t i = 0; i < PLAIN_BUCKETS; i++)
        for (const struct plain_node *n = db->buckets[(random + i) % PLAIN_BUCKETS]; n != NULL;
             n = n->next)
            if (cache_object_expiry(n->object) > db->now_ms)
                return n->object;
    return NULL;
}

void cache_db_charge(struct cache_db *db, ptrdiff_t bytes)
{
    db->charged += bytes;
}

/* ---- watching ---- */

bool cache_db_watch(struct cache_db *db, struct cache_watch *w)
{
    if (db->fault == CACHE_FAULT_MEMORY)
        return false;
    w->touched = false;
    w->next_of_key = db->watches;
    db->watches = w;
    return true;
}

void cache_db_unwatch(struct cache_db *db, struct cache_watch *w)
{
    struct cache_watch **at = &db->watches;
    while (*at != w)
        at = &(*at)->next_of_key;
    *at = w->next_of_key;
}

/* Nothing has a second copy. */
uint64_t cache_db_copy_end(const struct cache_db *db)
{
    (void)db;
    return 0;
}

uint64_t cache_db_copy_skips(const struct cache_db *db)
{
    (void)db;
    return 0;
}

uint64_t cache_db_copy_of(const struct cache_db *db, struct slice key)
{
    (void)db;
    (void)key;
    return 0;
}

uint64_t cache_db_copy_next(const struct cache_db *db)
{
    (void)db;
    return 0;
}

const struct cache_object *cache_db_copy_take(struct cache_db *db, uint64_t *number)
{
    (void)db;
    (void)number;
    return NULL;
}

const struct cache_object *cache_db_copy_find(const struct cache_db *db, struct slice key)
{
    (void)db;
    (void)key;
    return NULL;
}

void cache_db_copied(struct cache_db *db, struct slice key, uint64_t version)
{
    (void)db;
    (void)key;
    (void)version;
}

void cache_db_copy_anew(struct cache_db *db)
{
    (void)db;
}

bool cache_db_copy_work(struct cache_db *db)
{
    (void)db;
    return false;
}

void cache_db_rewrite_begin(struct cache_db *db)
{
    (void)db;
}

bool cache_db_rewrite(struct cache_db *db, size_t bytes)
{
    (void)db;
    (void)bytes;
    return false;
}

bool cache_db_work(struct cache_db *db)
{
    (void)db;
    return false;
}

#endif
