/*
 * cache_db_adopt.c: what was in memory before the store that is behind. See cache_db_private.h.
 *
 * A cache gets a store, or another one, or `volatile` names less: what is there is dirty, and nothing is known of what
 * the store has of it. It is put little by little behind what is written meanwhile, and does not count for dirty_max:
 * memory bounds it, the log has it, and no write need wait for all of it. What somebody has put there under the same
 * name with a newer version is that somebody's: ours is forgotten, unless it was written since.
 */
#include "workers/cache/cache_db_private.h"

#include <uv.h>

#define ADOPT_STEPS    64       /* buckets between two looks at the clock */
#define ADOPT_PAUSE_NS 10000000 /* after a search in vain: there are others to be put */

void cache_db_adopt(struct cache_db *db, uint32_t handle)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    o->dirty = o->behind = o->adopted = true;
    o->blind = false;
    if (db->adopted_keys == 0)
        db->adopted_ms = cache_db_now_ms(db);
    db->adopted_keys++;
    db->adopted_left++;
    db->adopted_bytes += cache_db_size_of(o);
}

void cache_db_own(struct cache_db *db, uint32_t handle, size_t bytes)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    if (!o->adopted)
        return;
    o->adopted = false;
    db->adopted_keys--;
    db->adopted_bytes -= bytes;
    db->adopted_left -= cache_due_find(&db->due, handle, NULL) == CACHE_DUE_NONE;
}

bool cache_db_adopted_due(struct cache_db *db, uint32_t handle)
{
    const struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    if (o == NULL || !o->adopted || cache_due_find(&db->due, handle, NULL) != CACHE_DUE_NONE ||
        !cache_due_reserve(&db->due))
        return false;
    cache_due_put(&db->due, handle, CACHE_DUE_NOW, db->adopted_ms);
    db->adopted_left--;
    return true;
}

struct adopt_search {
    struct cache_db *db;
    bool found;
};

static void adopt_on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    (void)t;
    struct adopt_search *search = ctx;
    search->found = cache_db_adopted_due(search->db, handle) || search->found;
}

/* On from where it stopped, and not for long: the last of them stand among many that are stored. */
bool cache_db_adopted_next(struct cache_db *db)
{
    struct adopt_search search = {.db = db};
    uint64_t until_ns = 0;
    for (unsigned n = 1; db->adopted_left > 0 && !search.found; n++) {
        db->adopted_at = cache_table_scan(db->table, db->adopted_at, adopt_on_seen, &search);
        if (n % ADOPT_STEPS != 0)
            continue;
        uint64_t now_ns = uv_hrtime();
        until_ns = until_ns == 0 ? now_ns + CACHE_DB_WORK_NS : until_ns;
        if (now_ns < db->adopted_ns)
            break;
        if (now_ns >= until_ns)
            db->adopted_ns = now_ns + ADOPT_PAUSE_NS;
    }
    return search.found;
}
