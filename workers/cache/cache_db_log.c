/* cache_db_log.c: what the log asks and tells: replay, cleaning. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- replay ---- */

/* So many bytes of a segment are dead; the log hears of it when it is open. Mostly it is the last of few. */
static int cache_db_note_dead(struct cache_db *db, uint32_t segment, size_t bytes)
{
    for (size_t i = db->dead_count; i > 0; i--)
        if (db->dead[i - 1].segment == segment) {
            db->dead[i - 1].bytes += bytes;
            return 0;
        }
    if (db->dead_count == db->dead_capacity) {
        size_t capacity = db->dead_capacity > 0 ? 2 * db->dead_capacity : 16;
        struct cache_db_dead *grown = realloc(db->dead, capacity * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        db->dead = grown;
        db->dead_capacity = capacity;
    }
    db->dead[db->dead_count++] = (struct cache_db_dead){segment, bytes};
    return 0;
}

void cache_db_attach(struct cache_db *db, struct cache_log *log)
{
    db->log = log;
    for (size_t i = 0; i < db->dead_count; i++)
        cache_log_dead(log, db->dead[i].segment, db->dead[i].bytes);
    cache_table_expect(db->table, 0);
    free(db->dead);
    db->dead = NULL;
    db->dead_count = db->dead_capacity = 0;
}

/* The object's record has been superseded. */
static int cache_db_replay_dead(struct cache_db *db, const struct cache_object *o)
{
    struct cache_log_record r = cache_db_record(o);
    return o->segment != 0 ? cache_db_note_dead(db, o->segment, cache_log_size(&r)) : 0;
}

/* Dirty since its last write: earlier ones are not known. */
static int64_t cache_db_replay_since(const struct cache_db *db, uint64_t version)
{
    int64_t now_ms = cache_db_now_ms(db);
    return version / 1000 < (uint64_t)now_ms ? (int64_t)(version / 1000) : now_ms;
}

/*
 * What of it is dirty. Adopted is what the store that is behind is not known to have: it was there before, or
 * before a key was no longer volatile. Deleted, and no store to be told: that is remembered, should there be one again.
 */
static bool cache_db_replay_adopts(const struct cache_db *db, const struct cache_log_record *r)
{
    bool expired = r->kind == CACHE_LOG_SET && !r->dirty && r->expiry_ms <= cache_db_now_ms(db);
    bool clean = !r->dirty && (r->kind == CACHE_LOG_DELETE || !r->behind);
    return !expired && (r->strange || r->adopted || clean);
}

static void cache_db_replay_dirt(struct cache_db *db, const struct cache_log_record *r,
                                 uint32_t handle, size_t before)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    bool kept = cache_db_is_kept(db, r->key);
    o->dirty = r->dirty && kept;
    o->blind = r->blind && kept;
    o->behind = kept || r->kind == CACHE_LOG_DELETE
                    ? r->behind || r->dirty /* it may have been under way when the process died */
                    : r->behind && !r->dirty && !r->strange;
    if (!kept || !cache_db_replay_adopts(db, r)) {
        cache_db_dirtied(db, handle, before);
        if (o->dirty)
            cache_due_put(&db->due, handle, CACHE_DUE_NOW, cache_db_replay_since(db, r->version));
        return;
    }
    o->dirty = false;
    cache_db_dirtied(db, handle, before);
    cache_db_adopt(db, handle);
}

/* The object that the record is of (0: a new one), with room for it; what it was does not count any more. */
static int cache_db_replay_room(struct cache_db *db, const struct cache_log_record *r,
                                uint64_t hash, uint32_t *handle)
{
    if (*handle == 0) {
        *handle = cache_db_make(db, r->key, hash, r->value.len, r->expiry_ms);
        return *handle != 0 ? 0 : -ENOMEM;
    }
    const struct cache_object *o = cache_table_at(db->table, *handle);
    int rc = cache_db_replay_dead(db, o);
    cache_db_own(db, *handle, cache_db_size_of(o));
    cache_db_tally(db, o, -1);
    if (rc == 0 && cache_table_resize(db->table, *handle, r->value.len, r->expiry_ms) == NULL)
        rc = -ENOMEM;
    return rc;
}

static int cache_db_replay_set(struct cache_db *db, const struct cache_log_record *r,
                               uint32_t segment, uint64_t hash, uint32_t handle)
{
    if (r->dirty && !cache_due_reserve(&db->due))
        return -ENOMEM;
    size_t dirt = handle != 0 ? cache_db_dirt_of(cache_table_at(db->table, handle)) : 0;
    int rc = cache_db_replay_room(db, r, hash, &handle);
    if (rc != 0)
        return rc;
    struct cache_object *o = cache_table_at(db->table, handle);
    memcpy((char *)(uintptr_t)cache_object_value(o).ptr, r->value.ptr, r->value.len);
    o->gone = r->kind == CACHE_LOG_DELETE;
    o->form = r->form & 3;
    o->version = r->version;
    o->segment = segment;
    o->used_s = cache_db_second(db);
    cache_db_tally(db, o, 1);
    cache_db_replay_dirt(db, r, handle, dirt);
    return 0;
}

static int cache_db_replay_gone(struct cache_db *db, uint64_t hash, uint32_t handle)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    int rc = cache_db_replay_dead(db, o);
    o->segment = 0;
    cache_db_drop(db, handle, hash);
    return rc;
}

static void cache_db_on_cleared(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct cache_db *db = ctx;
    struct cache_object *o = cache_table_at(t, handle);
    if (cache_db_replay_dead(db, o) == 0)
        o->segment = 0;
}

/* What could not be noted as dead for want of memory is cleaned later, or never: room on the disk, no more. */
static int cache_db_replay_clear(struct cache_db *db)
{
    uint64_t cursor = 0;
    do
        cursor = cache_table_scan(db->table, cursor, cache_db_on_cleared, db);
    while (cursor != 0);
    return cache_db_empty(db) ? 0 : -ENOMEM;
}

/*
 * Its time was over before the store heard of it. In a ring it stays, as clean, until it is seen that it has expired:
 * what this start passes over without a record the next one would find, if the clock stands earlier then.
 */
static int cache_db_replay_unseen(struct cache_db *db, const struct cache_log_record *r,
                                  uint32_t segment, uint64_t hash, uint32_t handle)
{
    struct cache_log_record clean = *r;
    clean.dirty = clean.blind = false;
    return cache_db_replay_set(db, &clean, segment, hash, handle);
}

static int cache_db_replay_one(struct cache_db *db, const struct cache_log_record *r,
                               uint32_t segment, uint64_t hash)
{
    uint32_t handle = cache_table_find(db->table, r->key, hash);
    bool unseen = (r->kind == CACHE_LOG_SET && r->dirty && !r->behind && db->options.stored &&
                   r->expiry_ms <= cache_db_now_ms(db)) ||
                  cache_db_is_stray_in_vain(db, r->key);
    bool ours = r->kind == CACHE_LOG_SET ? r->dirty || !r->behind : r->kind != CACHE_LOG_FORGET;
    if (ours && r->version > db->newest && r->version <= CACHE_VERSION_MAX)
        db->newest = r->version;
    if (unseen && db->places != NULL)
        return cache_db_replay_unseen(db, r, segment, hash, handle);
    if (!unseen &&
        (r->kind == CACHE_LOG_SET || (r->kind == CACHE_LOG_DELETE && (r->dirty || r->behind))))
        return cache_db_replay_set(db, r, segment, hash, handle);
    int rc = cache_db_note_dead(db, segment, cache_log_size(r)); /* it is never copied */
    if (rc == 0 && r->kind == CACHE_LOG_CLEAR)
        return cache_db_replay_clear(db);
    if (rc != 0 || handle == 0)
        return rc;
    struct cache_object *o = cache_table_at(db->table, handle);
    if (unseen ||
        r->kind ==
            CACHE_LOG_DELETE) /* the store has this one at most, whose time is over as well */
        return cache_db_replay_gone(db, hash, handle);
    if (o->version != r->version || (r->kind == CACHE_LOG_STORED && r->strange))
        return 0; /* it speaks of an older one, or of another store */
    if (r->kind == CACHE_LOG_FORGET || o->gone)
        return cache_db_replay_gone(db, hash, handle);
    size_t dirt = cache_db_dirt_of(o);
    cache_db_own(db, handle, cache_db_size_of(o));
    o->dirty = o->blind = false;
    o->behind = true;
    cache_db_dirtied(db, handle, dirt);
    return 0;
}

void cache_db_expect(size_t count, void *ctx)
{
    struct cache_db *db = ctx;
    cache_table_expect(db->table, count);
}

int cache_db_replay(const struct cache_log_record *r, size_t count, uint32_t segment, void *ctx)
{
    struct cache_db *db = ctx;
    uint64_t hashes[CACHE_TABLE_FETCH_MAX];
    int rc = 0;
    for (size_t from = 0; from < count && rc == 0;) {
        size_t n = count - from < CACHE_TABLE_FETCH_MAX ? count - from : CACHE_TABLE_FETCH_MAX;
        for (size_t i = 0; i < n; i++)
            hashes[i] = cache_db_hash(db, r[from + i].key);
        cache_table_fetch(db->table, hashes, n);
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = cache_db_replay_one(db, &r[from + i], segment, hashes[i]);
        from += n;
    }
    return rc;
}

/* ---- cleaning ---- */

bool cache_db_is_alive(struct cache_log_record *r, uint32_t segment, void *ctx)
{
    struct cache_db *db = ctx;
    uint32_t handle = cache_table_find(db->table, r->key, cache_db_hash(db, r->key));
    if (handle == 0)
        return false;
    const struct cache_object *o = cache_table_at(db->table, handle);
    if (o->segment != segment || o->version != r->version ||
        o->gone != (r->kind == CACHE_LOG_DELETE))
        return false;
    *r = cache_db_record(o);
    return true;
}

void cache_db_moved(const struct cache_log_record *r, uint32_t segment, void *ctx)
{
    struct cache_db *db = ctx;
    uint32_t handle = cache_table_find(db->table, r->key, cache_db_hash(db, r->key));
    cache_table_at(db->table, handle)->segment = segment;
}
