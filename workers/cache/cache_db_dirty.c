/* cache_db_dirty.c: what the store behind does not have yet, and what it has told of. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

#include "common/glob.h"

#define DIRTY_EXPIRED_MAX 4096 /* in one search for what is due */

/* What a dirty object takes beside key and value, about: its head, its places in table, queue and list, allocator. */
#define DIRTY_OBJECT_SIZE (sizeof(struct cache_object) + 64)

/* ---- which keys the store hears of ---- */

static bool dirty_is_volatile(const char *globs, struct slice key)
{
    while (globs != NULL) {
        globs += strspn(globs, " \t");
        size_t len = strcspn(globs, " \t");
        if (len == 0)
            return false;
        if (glob_matches(slice_make(globs, len), key, false))
            return true;
        globs += len;
    }
    return false;
}

bool cache_db_is_kept(const struct cache_db *db, struct slice key)
{
    return db->options.stored && !dirty_is_volatile(db->options.volatiles, cache_stray_key(key));
}

/* Its hash is kept for the command that follows. */
static uint64_t dirty_hash(struct cache_db *db, struct slice key)
{
    uint64_t hash = cache_db_hash(db, key);
    if (key.len > 0 && key.len <= CACHE_DB_HASHED_MAX) {
        memcpy(db->hashed, key.ptr, key.len);
        db->hashed_len = key.len;
        db->hash = hash;
    }
    return hash;
}

bool cache_db_knows(struct cache_db *db, struct slice key)
{
    return !cache_db_is_kept(db, key) || cache_db_handle(db, key, dirty_hash(db, key)) != 0;
}

/* The next of the three that look for the key finds it near. */
bool cache_db_is_owned(struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_table_find(db->table, key, dirty_hash(db, key));
    return handle != 0 && cache_table_at(db->table, handle)->owned;
}

/* ---- what is dirty ---- */

size_t cache_db_size_of(const struct cache_object *o)
{
    return (size_t)o->key_len + o->value_len;
}

size_t cache_db_dirt_of(const struct cache_object *o)
{
    return o->dirty && !o->dead && !o->adopted ? cache_db_size_of(o) : 0;
}

/* A newer write changes nothing in when it is due; what was a dead letter is an object like others again. */
void cache_db_dirtied(struct cache_db *db, uint32_t handle, size_t before)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    db->dirty_bytes += cache_db_dirt_of(o) - before;
    cache_db_copy_changed(db, handle, before);
    if (!o->dirty) {
        cache_due_remove(&db->due, handle);
        return;
    }
    if (before > 0)
        return; /* it is in a list already: what is written again and again is not looked for */
    enum cache_due_list list = cache_due_find(&db->due, handle, NULL);
    if (list == CACHE_DUE_NONE || (list == CACHE_DUE_DEAD && !o->dead))
        cache_due_put(&db->due, handle, CACHE_DUE_WAITING, cache_db_now_ms(db));
}

/* Those that `dirty_bytes` are of. */
static size_t dirty_keys(const struct cache_db *db)
{
    size_t keys = 0;
    for (enum cache_due_list list = CACHE_DUE_WAITING; list < CACHE_DUE_DEAD; list++)
        keys += cache_due_count(&db->due, list);
    return keys - (db->adopted_keys - db->adopted_left);
}

enum cache_dirtiness cache_db_dirtiness(const struct cache_db *db)
{
    size_t max = db->options.dirty_max, room = db->options.memory_max / 2;
    size_t taken = db->dirty_bytes + dirty_keys(db) * DIRTY_OBJECT_SIZE;
    if (db->dirty_bytes > max || taken > room)
        return CACHE_DIRTY_TOO_MUCH;
    return db->dirty_bytes > max / 2 || taken > room / 2 ? CACHE_DIRTY_SOME : CACHE_DIRTY_LITTLE;
}

struct cache_dirt cache_db_dirt(const struct cache_db *db)
{
    struct cache_dirt dirt = {.keys = db->adopted_left,
                              .bytes = db->dirty_bytes + db->adopted_bytes,
                              .oldest_ms = db->adopted_keys > 0 ? db->adopted_ms : 0,
                              .dead = cache_due_count(&db->due, CACHE_DUE_DEAD)};
    for (enum cache_due_list list = CACHE_DUE_WAITING; list < CACHE_DUE_DEAD; list++) {
        int64_t since_ms;
        dirt.keys += cache_due_count(&db->due, list);
        if (cache_due_first(&db->due, list, &since_ms) != 0 &&
            (dirt.oldest_ms == 0 || since_ms < dirt.oldest_ms))
            dirt.oldest_ms = since_ms;
    }
    return dirt;
}

uint64_t cache_db_dirty_version(struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_db_handle(db, key, cache_db_hash(db, key));
    const struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    return o != NULL && o->dirty && !o->dead ? o->version : 0;
}

bool cache_db_is_dirty(struct cache_db *db, struct slice key)
{
    return cache_db_dirty_version(db, key) != 0;
}

/* ---- storing it ---- */

bool cache_db_is_written(const struct cache_db *db)
{
    return db->log == NULL || cache_log_written(db->log) == cache_log_added(db->log);
}

bool cache_db_ask(struct cache_db *db, struct slice key)
{
    int64_t since_ms;
    uint32_t handle = cache_db_handle(db, key, cache_db_hash(db, key));
    enum cache_due_list list = cache_due_find(&db->due, handle, &since_ms);
    if (list == CACHE_DUE_WAITING)
        cache_due_put(&db->due, handle, CACHE_DUE_NOW, since_ms);
    if (list == CACHE_DUE_NONE)
        return cache_db_adopted_due(db, handle);
    return list == CACHE_DUE_WAITING || list == CACHE_DUE_NOW || list == CACHE_DUE_BUSY;
}

/*
 * 0: none is due. What is adopted comes in turn with what is due by its time, so that neither waits for all of the
 * other. A mark above now is one of before the clock went back: due, for nothing says how long it has waited.
 */
static uint32_t dirty_first(struct cache_db *db, int64_t until_ms, int64_t *since_ms)
{
    uint32_t handle = cache_due_first(&db->due, CACHE_DUE_NOW, since_ms);
    if (handle != 0)
        return handle;
    handle = cache_due_first(&db->due, CACHE_DUE_WAITING, since_ms);
    bool due = handle != 0 && (*since_ms <= until_ms || *since_ms > cache_db_now_ms(db));
    if (db->adopted_left > 0 && (!due || db->takes++ % 2 == 0) && cache_db_adopted_next(db))
        return cache_due_first(&db->due, CACHE_DUE_NOW, since_ms);
    return due ? handle : 0;
}

/* The store may have it from now on, however the call ends. */
static const struct cache_object *dirty_take(struct cache_db *db, uint32_t handle, int64_t since_ms)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    o->busy = o->behind = true;
    cache_due_put(&db->due, handle, CACHE_DUE_BUSY, since_ms);
    return o;
}

const struct cache_object *cache_db_take_last(struct cache_db *db)
{
    int64_t since_ms;
    uint32_t handle = cache_due_last(&db->due, CACHE_DUE_WAITING, &since_ms);
    if (handle == 0)
        handle = cache_due_last(&db->due, CACHE_DUE_NOW, &since_ms);
    if (handle == 0 || cache_db_is_expired(db, cache_table_at(db->table, handle)))
        return NULL;
    return dirty_take(db, handle, since_ms);
}

/*
 * What has expired is none of its business any more, or a
 * deletion, which stands at the same place then.
 */
const struct cache_object *cache_db_take(struct cache_db *db, int64_t until_ms)
{
    for (unsigned i = 0; i < DIRTY_EXPIRED_MAX; i++) {
        int64_t since_ms;
        uint32_t handle = dirty_first(db, until_ms, &since_ms);
        if (handle == 0)
            return NULL;
        const struct cache_object *o = cache_table_at(db->table, handle);
        if (!cache_db_is_expired(db, o))
            return dirty_take(db, handle, since_ms);
        cache_db_expired(db, handle, cache_db_hash(db, cache_object_key(o)), false);
    }
    return NULL;
}

/* The handle of one that is being stored, or 0: there is none, as all are gone. */
static uint32_t dirty_taken(const struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_table_find(db->table, key, cache_db_hash(db, key));
    return cache_due_find(&db->due, handle, NULL) == CACHE_DUE_BUSY ? handle : 0;
}

const struct cache_object *cache_db_taken(const struct cache_db *db, struct slice key)
{
    uint32_t handle = dirty_taken(db, key);
    return handle != 0 ? cache_table_at(db->table, handle) : NULL;
}

static void dirty_wait(struct cache_db *db, uint32_t handle, bool now)
{
    cache_table_at(db->table, handle)->busy = false;
    cache_due_put(&db->due, handle, now ? CACHE_DUE_NOW : CACHE_DUE_WAITING, cache_db_now_ms(db));
}

void cache_db_give_back(struct cache_db *db, struct slice key, bool now)
{
    uint32_t handle = dirty_taken(db, key);
    if (handle != 0)
        dirty_wait(db, handle, now);
}

/* A stray leaves memory. False: memory is short; it is put once more, and the store has it already. */
static bool dirty_stored_stray(struct cache_db *db, uint32_t handle, struct slice key, bool now)
{
    if (cache_db_forget(db, handle, cache_db_hash(db, key)))
        return true;
    dirty_wait(db, handle, now);
    return false;
}

/* Noted, else a replay would store it again: which does no harm, but takes as long as the store for all of them. */
bool cache_db_stored(struct cache_db *db, struct slice key, uint64_t version, bool now)
{
    struct cache_log_record r = {
        .kind = CACHE_LOG_STORED, .key = key, .version = version, .expiry_ms = CACHE_NEVER};
    uint32_t handle = dirty_taken(db, key);
    if (handle == 0)
        return true;
    if (cache_stray_is(key))
        return dirty_stored_stray(db, handle, key, now);
    struct cache_object *o = cache_table_at(db->table, handle);
    if (o->version != version || !cache_db_note_passing(db, &r)) {
        dirty_wait(db, handle, now);
        return false;
    }
    size_t before = cache_db_dirt_of(o);
    cache_db_own(db, handle, cache_db_size_of(o));
    cache_db_copy_stored(db, handle, before);
    o->busy = o->dirty = o->blind = false;
    db->dirty_bytes -= before;
    cache_due_remove(&db->due, handle);
    if (o->gone)
        cache_db_vanish(db, handle, version);
    return true;
}

/* ---- dead letters ---- */

/* When the store has a newer one: that one counts, and nobody misses ours. */
static bool dirty_yields(const struct cache_object *o)
{
    return o->adopted || (o->blind && cache_stray_is(cache_object_key(o)));
}

bool cache_db_give_up(struct cache_db *db, struct slice key, uint64_t version, uint64_t above)
{
    uint32_t handle = dirty_taken(db, key);
    if (handle == 0)
        return false;
    struct cache_object *o = cache_table_at(db->table, handle);
    above = above <= CACHE_VERSION_MAX ? above : 0;
    if (above > 0 && dirty_yields(o) && o->version == version &&
        cache_db_forget(db, handle, cache_db_hash(db, key)))
        return false;
    if (o->version != version || (o->blind && above > 0 && !cache_stray_is(key))) {
        dirty_wait(db, handle, o->version == version);
        cache_db_rise(db, handle, cache_db_hash(db, key), key, above);
        return false;
    }
    o->busy = false;
    cache_db_copy_over(db, handle, cache_db_dirt_of(o));
    db->dirty_bytes -= cache_db_dirt_of(o);
    cache_db_own(db, handle, cache_db_size_of(o));
    db->strays.dead += cache_stray_is(key);
    o->dead = true;
    cache_due_put(&db->due, handle, CACHE_DUE_DEAD, (int64_t)above);
    return true;
}

static uint32_t dirty_dead(const struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_table_find(db->table, key, cache_db_hash(db, key));
    return cache_due_find(&db->due, handle, NULL) == CACHE_DUE_DEAD ? handle : 0;
}

const struct cache_object *cache_db_dead(const struct cache_db *db,
                                         const struct cache_object *after)
{
    int64_t above;
    uint32_t handle = after == NULL ? cache_due_first(&db->due, CACHE_DUE_DEAD, &above) : 0;
    if (after != NULL && (handle = dirty_dead(db, cache_object_key(after))) != 0)
        handle = cache_due_next(&db->due, handle);
    return handle != 0 ? cache_table_at(db->table, handle) : NULL;
}

bool cache_db_is_dead(const struct cache_db *db, struct slice key)
{
    return dirty_dead(db, key) != 0;
}

bool cache_db_dead_retry(struct cache_db *db, struct slice key)
{
    uint32_t handle = dirty_dead(db, key);
    if (handle == 0)
        return false;
    struct cache_object *o = cache_table_at(db->table, handle);
    o->dead = false;
    db->idle_since_s = 0; /* nobody has looked at when it was used */
    db->strays.dead -= cache_stray_is(cache_object_key(o));
    db->dirty_bytes += cache_db_dirt_of(o);
    cache_db_copy_changed(db, handle, 0);
    cache_due_put(&db->due, handle, CACHE_DUE_NOW, cache_db_now_ms(db));
    return true;
}

enum cache_fault cache_db_dead_drop(struct cache_db *db, struct slice key, bool *was)
{
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = dirty_dead(db, key);
    *was = handle != 0;
    if (handle == 0)
        return CACHE_OK;
    return cache_db_forget(db, handle, hash) ? CACHE_OK : CACHE_FAULT_MEMORY;
}
