/* cache_db_whole.c: all objects leave memory at once, or go into the log anew. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

/* ---- FLUSHALL ---- */

/* Who watches what is there. */
static void cache_db_touch_all(struct cache_db *db)
{
    for (size_t i = 0; db->watch_count > 0 && i < db->watch_buckets; i++)
        for (struct cache_watch *w = db->watches[i]; w != NULL; w = w->next_of_key)
            w->touched =
                w->touched || cache_table_find(db->table, w->key, cache_db_hash(db, w->key)) != 0;
}

/* Empty ones. False: memory is short. */
static bool cache_db_make_empty(const struct cache_db *db, struct cache_table **table,
                                struct cache_policy **policy)
{
    *table = cache_table_new(db->hash_key);
    *policy = *table != NULL ? cache_policy_new(*table) : NULL;
    if (*policy != NULL)
        return true;
    if (*table != NULL)
        cache_table_free(*table);
    return false;
}

static void cache_db_replace(struct cache_db *db, struct cache_table *table,
                             struct cache_policy *policy)
{
    cache_db_touch_all(db);
    cache_policy_free(db->policy);
    cache_table_free(db->table);
    db->table = table;
    db->policy = policy;
    db->gone = db->expiring = db->dirty_bytes = 0;
    memset(&db->strays, 0, sizeof db->strays);
    db->adopted_keys = db->adopted_bytes = db->adopted_left = 0;
    cache_due_fini(&db->due);
    cache_db_copy_emptied(db);
    if (db->places != NULL)
        db->places->emptied(db->places->ctx);
    db->sweep = db->idle = db->anew_at = db->adopted_at = 0;
}

bool cache_db_empty(struct cache_db *db)
{
    struct cache_table *table;
    struct cache_policy *policy;
    if (!cache_db_make_empty(db, &table, &policy))
        return false;
    cache_db_replace(db, table, policy);
    return true;
}

static void cache_db_on_superseded(struct cache_table *t, uint32_t handle, void *ctx)
{
    cache_db_supersede(ctx, cache_table_at(t, handle));
}

/* What may fail comes first: a note of it in the log must not be of what is still there. */
enum cache_fault cache_db_clear(struct cache_db *db)
{
    struct cache_log_record r = {.kind = CACHE_LOG_CLEAR, .expiry_ms = CACHE_NEVER};
    struct cache_table *table;
    struct cache_policy *policy;
    if (cache_table_count(db->table) == 0)
        return CACHE_OK;
    if (!cache_db_make_empty(db, &table, &policy))
        return CACHE_FAULT_MEMORY;
    if (!cache_db_note_passing(db, &r)) {
        cache_policy_free(policy);
        cache_table_free(table);
        return CACHE_FAULT_MEMORY;
    }
    uint64_t cursor = 0;
    do
        cursor = cache_table_scan(db->table, cursor, cache_db_on_superseded, db);
    while (cursor != 0);
    cache_db_replace(db, table, policy);
    return CACHE_OK;
}

/* ---- the log, written anew ---- */

static void cache_db_on_anew(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct cache_db *db = ctx;
    struct cache_object *o = cache_table_at(t, handle);
    if (o->segment >= db->anew || (o->gone && !o->dirty && !o->behind))
        return;
    struct cache_log_record r = cache_db_record(o);
    uint32_t segment = cache_log_add(db->log, &r);
    db->anew_short = db->anew_short || segment == 0;
    if (segment == 0)
        return;
    cache_db_supersede(db, o);
    o->segment = segment;
}

void cache_db_rewrite_begin(struct cache_db *db)
{
    db->anew = cache_log_rewrite_begin(db->log);
    db->anew_at = 0;
}

/*
 * Measured from what is written: while the log cannot be, nothing gathers in its buffer but what one turn may add, and
 * there is nothing more to do at once.
 */
bool cache_db_rewrite(struct cache_db *db, size_t bytes)
{
    if (db->anew == 0)
        return false;
    uint64_t from = cache_log_written(db->log), added = cache_log_added(db->log);
    db->anew_short = false;
    while (db->anew != 0 && cache_log_added(db->log) - from < bytes) {
        uint64_t next = cache_table_scan(db->table, db->anew_at, cache_db_on_anew, db);
        if (db->anew_short)
            break; /* the same once more, next time: what was added is behind `anew` by now */
        db->anew_at = next;
        if (next == 0) {
            cache_log_rewrite_end(db->log);
            db->anew = 0;
        }
    }
    return db->anew != 0 && !db->anew_short && cache_log_added(db->log) > added;
}
