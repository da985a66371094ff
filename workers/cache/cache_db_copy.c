/*
 * cache_db_copy.c: what is to have a second copy until the store has it. See cache_db.h.
 *
 * A mark in each object says that its version has one; what is to get one stands in a list, in the order of the
 * changes. Who reads must not be told of what has none: whether that is so is known by key, for a fixed number of
 * places, since a read that waits for another key's copy is late by a moment, and a list of all that is under way
 * would be looked for with each read.
 */
#include "workers/cache/cache_db_private.h"

#include <stdlib.h>
#include <uv.h>

#define COPY_PLACES ((size_t)1 << 16)
#define COPY_STEPS  64 /* buckets between two looks at the clock */

bool cache_db_copy_open(struct cache_db *db)
{
    if (!db->options.copied)
        return true;
    db->copy_seen = calloc(COPY_PLACES, sizeof *db->copy_seen);
    return db->copy_seen != NULL;
}

void cache_db_copy_close(struct cache_db *db)
{
    cache_due_fini(&db->copies);
    free(db->copy_seen);
}

void cache_db_copy_emptied(struct cache_db *db)
{
    cache_due_fini(&db->copies);
    db->copied_bytes = 0;
}

static bool copy_is_needed(const struct cache_object *o)
{
    return o->dirty && !o->dead && !o->adopted && !cache_stray_is(cache_object_key(o));
}

/* What there is no memory for is searched for. */
static void copy_put(struct cache_db *db, uint32_t handle)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    db->copy_seen[cache_db_hash(db, cache_object_key(o)) % COPY_PLACES] = ++db->copy_end;
    if (cache_due_find(&db->copies, handle, NULL) != CACHE_DUE_NONE)
        return;
    if (cache_due_reserve(&db->copies))
        cache_due_put(&db->copies, handle, CACHE_DUE_WAITING, (int64_t)db->copy_end);
    else
        db->copy_search = db->copy_short = true;
}

void cache_db_copy_over(struct cache_db *db, uint32_t handle, size_t before)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    if (db->copy_seen == NULL)
        return;
    db->copied_bytes -= o->copied ? before : 0;
    o->copied = false;
    cache_due_remove(&db->copies, handle);
}

void cache_db_copy_stored(struct cache_db *db, uint32_t handle, size_t before)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    db->copy_skips += copy_is_needed(o) && !o->copied;
    cache_db_copy_over(db, handle, before);
}

void cache_db_copy_changed(struct cache_db *db, uint32_t handle, size_t before)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    if (db->copy_seen == NULL)
        return;
    if (!copy_is_needed(o)) {
        cache_db_copy_over(db, handle, before);
        return;
    }
    db->copied_bytes -= o->copied ? before : 0;
    o->copied = false;
    copy_put(db, handle);
}

/* ---- who copies ---- */

uint64_t cache_db_copy_end(const struct cache_db *db)
{
    return db->copy_end;
}

uint64_t cache_db_copy_skips(const struct cache_db *db)
{
    return db->copy_skips;
}

uint64_t cache_db_copy_of(const struct cache_db *db, struct slice key)
{
    return db->copy_seen != NULL ? db->copy_seen[cache_db_hash(db, key) % COPY_PLACES] : 0;
}

uint64_t cache_db_copy_next(const struct cache_db *db)
{
    int64_t number = 0;
    return cache_due_first(&db->copies, CACHE_DUE_WAITING, &number) != 0 ? (uint64_t)number : 0;
}

const struct cache_object *cache_db_copy_take(struct cache_db *db, uint64_t *number)
{
    int64_t mark;
    uint32_t handle = cache_due_first(&db->copies, CACHE_DUE_WAITING, &mark);
    if (handle == 0)
        return NULL;
    *number = (uint64_t)mark;
    cache_due_remove(&db->copies, handle);
    return cache_table_at(db->table, handle);
}

const struct cache_object *cache_db_copy_find(const struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_table_find(db->table, key, cache_db_hash(db, key));
    const struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    return o != NULL && copy_is_needed(o) && !o->copied ? o : NULL;
}

/* One that has been taken and changed since is in the list once more, and of another version. */
void cache_db_copied(struct cache_db *db, struct slice key, uint64_t version)
{
    struct cache_object *o = (struct cache_object *)(uintptr_t)cache_db_copy_find(db, key);
    if (o == NULL || o->version != version)
        return;
    o->copied = true;
    db->copied_bytes += cache_db_dirt_of(o);
}

size_t cache_db_copied_bytes(const struct cache_db *db)
{
    return db->copied_bytes;
}

/* ---- what the log has lost ---- */

static enum cache_fault copy_stray(struct cache_db *db, const struct cache_db_copy *copy)
{
    char *name = cache_db_stray_name(copy->key, copy->version);
    struct slice key = slice_make(name, CACHE_STRAY_HEAD + copy->key.len);
    struct cache_log_record r = {.kind = copy->deleted ? CACHE_LOG_DELETE : CACHE_LOG_SET,
                                 .key = key,
                                 .value = copy->value,
                                 .version = copy->version,
                                 .expiry_ms = copy->expiry_ms,
                                 .form = copy->form,
                                 .dirty = true,
                                 .behind = true,
                                 .blind = true};
    uint64_t hash = name != NULL ? cache_db_hash(db, key) : 0;
    enum cache_fault fault = CACHE_FAULT_MEMORY;
    if (name != NULL)
        fault = cache_table_find(db->table, key, hash) != 0 ? CACHE_OK
                                                            : cache_db_write(db, 0, hash, &r, NULL);
    free(name);
    return fault;
}

/* In the log it is the stray first: neither is lost. */
enum cache_fault cache_db_restore(struct cache_db *db, const struct cache_db_copy *copy,
                                  bool *newer)
{
    uint64_t hash = cache_db_hash(db, copy->key);
    uint32_t handle = cache_table_find(db->table, copy->key, hash);
    const struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    *newer = (o == NULL || o->version < copy->version) && cache_db_is_kept(db, copy->key);
    if (!*newer)
        return CACHE_OK;
    enum cache_fault fault = copy_stray(db, copy);
    if (fault != CACHE_OK || handle == 0)
        return fault;
    return cache_db_forget(db, handle, hash) ? CACHE_OK : CACHE_FAULT_MEMORY;
}

/* ---- all of it ---- */

static void copy_on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct cache_db *db = ctx;
    struct cache_object *o = cache_table_at(t, handle);
    if (!copy_is_needed(o) || (o->copied && !db->copy_all))
        return;
    db->copied_bytes -= o->copied ? cache_db_dirt_of(o) : 0;
    o->copied = false;
    copy_put(db, handle);
}

void cache_db_copy_anew(struct cache_db *db)
{
    db->copy_search = db->copy_all = db->copy_seen != NULL;
    db->copy_at = 0;
}

/* Some buckets. True: that was all of them. */
static bool copy_search(struct cache_db *db)
{
    for (unsigned i = 0; i < COPY_STEPS; i++) {
        db->copy_at = cache_table_scan(db->table, db->copy_at, copy_on_seen, db);
        if (db->copy_at == 0)
            return true;
    }
    return false;
}

bool cache_db_copy_work(struct cache_db *db)
{
    uint64_t until_ns = uv_hrtime() + CACHE_DB_WORK_NS;
    bool over = false;
    if (!db->copy_search)
        return false;
    while (!over && uv_hrtime() < until_ns)
        over = copy_search(db);
    if (over) {
        db->copy_search = db->copy_short;
        db->copy_short = db->copy_all = false;
    }
    return db->copy_search;
}
