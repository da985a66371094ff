/* cache_db_stray.c: what is not ours any more, and not stored yet. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

#include <stdlib.h>

#define STRAY_OBJECT_MAX ((size_t)20 << 20) /* object_max is at most that (proto/cache/cache.h) */

_Static_assert(STRAY_OBJECT_MAX + CACHE_STRAY_HEAD <= CACHE_VALUE_MAX,
               "an object's key is never too long for its stray's");

struct cache_strays cache_db_strays(const struct cache_db *db)
{
    return (struct cache_strays){.count = db->strays.count,
                                 .alive =
                                     db->options.stored ? db->strays.count - db->strays.dead : 0};
}

bool cache_db_is_stray_in_vain(const struct cache_db *db, struct slice key)
{
    return db->options.stored && cache_stray_is(key) && !cache_db_is_kept(db, key);
}

char *cache_db_stray_name(struct slice key, uint64_t version)
{
    char *name = malloc(CACHE_STRAY_HEAD + key.len), *at = name;
    if (name == NULL)
        return NULL;
    memcpy(at, CACHE_STRAY_PREFIX, CACHE_STRAY_PREFIX_LEN);
    at += CACHE_STRAY_PREFIX_LEN;
    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (char)(uint8_t)(version >> shift);
    memcpy(at, key.ptr, key.len);
    return name;
}

/*
 * It is in the list that the object was in, or in that of those that are due: it is not busy, whatever the object was.
 * What was adopted is so again, for it must not count for dirty_max now.
 */
static void stray_join(struct cache_db *db, uint32_t handle, uint32_t stray)
{
    const struct cache_object *old = cache_table_at(db->table, handle);
    struct cache_object *o = cache_table_at(db->table, stray);
    int64_t mark = cache_db_now_ms(db);
    cache_due_find(&db->due, handle, &mark);
    if (!old->adopted)
        cache_due_put(&db->due, stray, old->dead ? CACHE_DUE_DEAD : CACHE_DUE_NOW, mark);
    if (!old->adopted && !old->dead)
        return;
    db->dirty_bytes -= cache_db_dirt_of(o);
    o->dead = old->dead;
    db->strays.dead += o->dead;
    if (!old->adopted)
        return;
    cache_due_remove(&db->due, stray);
    cache_db_adopt(db, stray);
    cache_db_adopted_due(db, stray);
}

/* A second one of that key and version says the same, and may be under way: it stays as it is. */
static enum cache_fault stray_make(struct cache_db *db, uint32_t handle, struct slice name)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    uint64_t hash = cache_db_hash(db, name);
    if (cache_table_find(db->table, name, hash) != 0)
        return CACHE_OK;
    struct cache_log_record r = cache_db_record(o);
    r.key = name;
    r.blind = false;
    enum cache_fault fault = cache_db_write(db, 0, hash, &r, NULL);
    if (fault == CACHE_OK)
        stray_join(db, handle, cache_table_find(db->table, name, hash));
    return fault;
}

enum cache_fault cache_db_estrange(struct cache_db *db, uint32_t handle)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    struct slice key = cache_object_key(o);
    if (cache_stray_is(key))
        return CACHE_OK;
    if (o->dirty) {
        char *name = cache_db_stray_name(key, o->version);
        enum cache_fault fault = CACHE_FAULT_MEMORY;
        if (name != NULL)
            fault = stray_make(db, handle, slice_make(name, CACHE_STRAY_HEAD + key.len));
        free(name);
        if (fault != CACHE_OK)
            return fault;
    }
    return cache_db_forget(db, handle, cache_db_hash(db, key)) ? CACHE_OK : CACHE_FAULT_MEMORY;
}
