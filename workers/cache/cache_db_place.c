/* cache_db_place.c: which objects there are is told to who keeps them by cell; a cell leaves. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

struct place_all {
    const struct cache_db *db;
    bool failed;
};

static void place_on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct place_all *all = ctx;
    const struct cache_db_places *p = all->db->places;
    if (!all->failed)
        all->failed = !p->made(p->ctx, cache_object_key(cache_table_at(t, handle)), handle,
                               cache_db_second(all->db));
}

bool cache_db_place(struct cache_db *db, const struct cache_db_places *places)
{
    struct place_all all = {.db = db};
    uint64_t cursor = 0;
    db->places = places;
    if (places == NULL)
        return true;
    places->emptied(places->ctx);
    do
        cursor = cache_table_scan(db->table, cursor, place_on_seen, &all);
    while (cursor != 0 && !all.failed);
    if (!all.failed)
        return true;
    places->emptied(places->ctx);
    db->places = NULL;
    return false;
}

const struct cache_object *cache_db_object(const struct cache_db *db, uint32_t handle)
{
    return cache_table_at(db->table, handle);
}

void cache_db_own_object(struct cache_db *db, uint32_t handle, bool owned)
{
    cache_table_at(db->table, handle)->owned = owned;
}

enum cache_fault cache_db_leave(struct cache_db *db, uint32_t handle, bool *left)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    *left = false;
    if (o->dirty || o->busy)
        return CACHE_OK;
    *left = cache_db_forget(db, handle, cache_db_hash(db, cache_object_key(o)));
    return *left ? CACHE_OK : CACHE_FAULT_MEMORY;
}
