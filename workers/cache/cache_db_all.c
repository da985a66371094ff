/* cache_db_all.c: all objects at once: numbers, SCAN, and what time brings about. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

#include <uv.h>

#define CACHE_DB_SWEEP_STEPS 64 /* buckets between two looks at the clock */

/*
 * From one sweep to the next, for a twentieth of the time; a quarter, as Redis', where much has expired. One in each
 * turn would take longer than all of its commands.
 */
#define CACHE_DB_PAUSE_MS      10
#define CACHE_DB_PAUSE_MORE_MS 2

size_t cache_db_count(const struct cache_db *db)
{
    return cache_table_count(db->table) - db->gone - (db->strays.count - db->strays.gone);
}

size_t cache_db_expiring(const struct cache_db *db)
{
    return db->expiring - db->strays.expiring;
}

size_t cache_db_bytes(const struct cache_db *db)
{
    return cache_table_bytes(db->table) + cache_policy_bytes(db->policy) + db->due.bytes +
           db->copies.bytes + db->charged;
}

const struct cache_stats *cache_db_stats(const struct cache_db *db)
{
    return &db->stats;
}

void cache_db_charge(struct cache_db *db, ptrdiff_t bytes)
{
    db->charged += (size_t)bytes;
}

void cache_db_count_read(struct cache_db *db, bool found)
{
    db->stats.hits += found;
    db->stats.misses += !found;
}

void cache_db_spare(struct cache_db *db, void (*shrink)(void *ctx, size_t bytes, bool all),
                    void *ctx)
{
    db->shrink = shrink;
    db->shrink_ctx = ctx;
}

void cache_db_shrink(struct cache_db *db, bool all)
{
    if (db->shrink != NULL && cache_db_is_full(db))
        db->shrink(db->shrink_ctx, cache_db_bytes(db) - db->options.memory_max, all);
}

/* ---- SCAN, RANDOMKEY ---- */

static bool cache_db_is_found(const struct cache_db *db, const struct cache_object *o)
{
    return !o->gone && !cache_db_is_expired(db, o) && !cache_stray_is(cache_object_key(o));
}

struct cache_db_scan {
    const struct cache_db *db;
    void (*fn)(const struct cache_object *o, void *ctx);
    void *ctx;
};

static void cache_db_on_scanned(struct cache_table *t, uint32_t handle, void *ctx)
{
    const struct cache_db_scan *scan = ctx;
    const struct cache_object *o = cache_table_at(t, handle);
    if (cache_db_is_found(scan->db, o))
        scan->fn(o, scan->ctx);
}

uint64_t cache_db_scan(struct cache_db *db, uint64_t cursor,
                       void (*fn)(const struct cache_object *o, void *ctx), void *ctx)
{
    struct cache_db_scan scan = {db, fn, ctx};
    return cache_table_scan(db->table, cursor, cache_db_on_scanned, &scan);
}

/* A few tries, as Redis does with what has expired; nearly all is found. */
const struct cache_object *cache_db_random(struct cache_db *db, uint64_t random)
{
    for (unsigned i = 0; i < 100; i++) {
        uint32_t handle = cache_table_random(db->table, random + i * UINT64_C(0x9e3779b97f4a7c15));
        if (handle == 0)
            return NULL;
        const struct cache_object *o = cache_table_at(db->table, handle);
        if (cache_db_is_found(db, o))
            return o;
    }
    return NULL;
}

/* ---- time ---- */

struct cache_db_sweep {
    struct cache_db *db;
    size_t seen, expired;
};

static void cache_db_on_swept(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct cache_db_sweep *sweep = ctx;
    const struct cache_object *o = cache_table_at(t, handle);
    sweep->seen += o->expires;
    if (o->gone || !cache_db_is_expired(sweep->db, o))
        return;
    sweep->expired++;
    cache_db_expired(sweep->db, handle, cache_db_hash(sweep->db, cache_object_key(o)), false);
}

/*
 * On from where it stopped, in the table's order: no list of what expires when, which would cost every object 8 bytes.
 * True when it was worth it: much had expired.
 */
static bool cache_db_sweep(struct cache_db *db, uint64_t until_ns)
{
    struct cache_db_sweep sweep = {.db = db};
    while (db->expiring > 0 && uv_hrtime() < until_ns) {
        for (unsigned i = 0; i < CACHE_DB_SWEEP_STEPS; i++)
            db->sweep = cache_table_scan(db->table, db->sweep, cache_db_on_swept, &sweep);
        if (db->sweep == 0)
            break; /* all of it was seen */
    }
    return db->expiring > 0 && sweep.expired * 10 > sweep.seen;
}

/* Also when the clock has gone back. */
static bool cache_db_sweep_is_due(const struct cache_db *db)
{
    int64_t left = db->sweep_ms - cache_db_now_ms(db);
    return left <= 0 || left > CACHE_DB_PAUSE_MS;
}

struct cache_db_idle {
    struct cache_db *db;
    int64_t before_s;
    bool may_forget;
    struct slice kept; /* the key of one that it may not */
};

static void cache_db_on_idle(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct cache_db_idle *idle = ctx;
    struct cache_db *db = idle->db;
    const struct cache_object *o = cache_table_at(t, handle);
    struct slice key = cache_object_key(o);
    int64_t since_ms;
    if (o->dead || !cache_db_is_kept(db, key))
        return;
    bool idles = !o->busy && o->used_s <= idle->before_s;
    if (idles && !o->dirty && idle->may_forget) {
        cache_db_forget(db, handle, cache_db_hash(db, key));
        return;
    }
    db->idle_lap_s = o->used_s < db->idle_lap_s ? o->used_s : db->idle_lap_s;
    if (idles && !o->dirty)
        idle->kept = key;
    else if (idles && cache_due_find(&db->due, handle, &since_ms) == CACHE_DUE_WAITING)
        cache_due_put(&db->due, handle, CACHE_DUE_NOW, since_ms);
}

/*
 * On from where it stopped; anew, only when one of those that the last search has left can be idle by now. What has
 * come since, or was used since, is younger. Else a node of a million objects would look at them all the time, and that
 * at each answer of its store.
 */
static bool cache_db_idle_begins(struct cache_db *db, int64_t before_s)
{
    if (db->idle != 0)
        return true;
    db->idle_lap_s = cache_db_second(db);
    return before_s >= (int64_t)db->idle_since_s;
}

struct slice cache_db_idle(struct cache_db *db, uint64_t idle_ms, bool may_forget)
{
    struct cache_db_idle idle = {
        .db = db,
        .before_s = db->mono_ms < idle_ms ? -1 : (int64_t)((db->mono_ms - idle_ms) / 1000),
        .may_forget = may_forget,
        .kept = slice_of("")};
    if (!cache_db_idle_begins(db, idle.before_s))
        return idle.kept;
    uint64_t until_ns = uv_hrtime() + CACHE_DB_WORK_NS;
    do
        for (unsigned i = 0; i < CACHE_DB_SWEEP_STEPS; i++) {
            db->idle = cache_table_scan(db->table, db->idle, cache_db_on_idle, &idle);
            if (db->idle == 0) {
                db->idle_since_s = db->idle_lap_s; /* all of it was seen */
                return idle.kept;
            }
        }
    while (idle.kept.len == 0 && uv_hrtime() < until_ns);
    return idle.kept;
}

bool cache_db_idle_is_over(const struct cache_db *db)
{
    return db->idle == 0;
}

bool cache_db_work(struct cache_db *db)
{
    if (cache_db_sweep_is_due(db)) {
        db->sweep_more = cache_db_sweep(db, uv_hrtime() + CACHE_DB_WORK_NS);
        db->sweep_ms =
            cache_db_now_ms(db) + (db->sweep_more ? CACHE_DB_PAUSE_MORE_MS : CACHE_DB_PAUSE_MS);
    }
    bool full = cache_db_room(db) == CACHE_OK && cache_db_is_full(db);
    return db->sweep_more || full;
}
