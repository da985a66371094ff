/* cache_db_learn.c: what the store has told of. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

/* What object_max may be at most (proto/cache/cache.h): an object from before it was lowered stays readable. */
#define LEARN_MAX ((size_t)20 << 20)

enum cache_fault cache_db_rise(struct cache_db *db, uint32_t handle, uint64_t hash,
                               struct slice key, uint64_t version)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    o->blind = false; /* it is known now, and goes above only once */
    if (o->dead || o->version > version)
        return CACHE_OK;
    if (o->gone)
        return cache_db_bury(db, handle, version + 1) ? CACHE_OK : CACHE_FAULT_MEMORY;
    struct cache_log_record r = cache_db_record(o);
    r.key = key;
    r.version = version + 1;
    r.behind = true;
    r.adopted = false;
    return cache_db_write(db, handle, hash, &r, &(struct slice){"", 0});
}

enum cache_fault cache_db_learn(struct cache_db *db, struct slice key, struct slice value,
                                uint64_t version, int64_t expiry_ms, enum cache_form form)
{
    version = version > 0 && version <= CACHE_VERSION_MAX ? version : 1;
    struct cache_log_record r = {.kind = CACHE_LOG_SET,
                                 .key = key,
                                 .value = value,
                                 .version = version,
                                 .expiry_ms = expiry_ms,
                                 .form = form,
                                 .behind = true};
    if (!cache_db_is_kept(db, key))
        return CACHE_OK;
    if (key.len + value.len > LEARN_MAX)
        return CACHE_FAULT_LARGE;
    if (cache_db_room(db) != CACHE_OK)
        return CACHE_FAULT_OOM;
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = cache_db_handle(db, key, hash);
    const struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    if (o != NULL && o->dirty)
        return cache_db_rise(db, handle, hash, key, version);
    if (o != NULL && o->version >= version && (!o->gone || o->version > 0))
        return CACHE_OK;
    if (expiry_ms <= cache_db_now_ms(db))
        return cache_db_learn_absent(db, key, version);
    return cache_db_write(db, handle, hash, &r, NULL);
}

/* What the store surely has nothing of need not be deleted there, should it expire or be deleted before. */
static enum cache_fault learn_absent(struct cache_db *db, uint32_t handle, uint64_t hash,
                                     struct slice key, uint64_t version)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    if (o->version <= version)
        return cache_db_rise(db, handle, hash, key, version);
    o->blind = false;
    o->behind = o->behind && (o->gone || o->busy || o->dead || db->options.copied);
    return CACHE_OK;
}

enum cache_fault cache_db_learn_absent(struct cache_db *db, struct slice key, uint64_t version)
{
    version = version <= CACHE_VERSION_MAX ? version : 0;
    if (!cache_db_is_kept(db, key))
        return CACHE_OK;
    if (cache_db_room(db) != CACHE_OK)
        return CACHE_FAULT_OOM;
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = cache_db_handle(db, key, hash);
    struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    if (o != NULL && o->dirty)
        return learn_absent(db, handle, hash, key, version);
    if (o != NULL && o->gone && o->version < version)
        o->version = version;
    if (o != NULL)
        return CACHE_OK;
    handle = cache_db_make(db, key, hash, 0, CACHE_NEVER);
    if (handle == 0)
        return CACHE_FAULT_MEMORY;
    cache_db_vanish(db, handle, version);
    return CACHE_OK;
}
