/* cache_node_tell.c: what a cache node tells of itself: counters, trouble, what it leaves. See cache_node_worker.h. */
#include "workers/cache/cache_node_worker.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_park.h"

static void node_count(struct node *n, enum counter counter, uint64_t now, uint64_t *told)
{
    worker_count(n->w, counter, now - *told);
    *told = now;
}

static void node_tell_counts(struct node *n)
{
    const struct cache_stats *stats = cache_db_stats(n->cache.db);
    const struct cache_node_counts *counts = &n->cache.counts;
    node_count(n, COUNTER_CACHE_HITS, stats->hits, &n->told.hits);
    node_count(n, COUNTER_CACHE_MISSES, stats->misses, &n->told.misses);
    node_count(n, COUNTER_CACHE_EVICTED, stats->evicted, &n->told.evicted);
    node_count(n, COUNTER_CACHE_EXPIRED, stats->expired, &n->told.expired);
    node_count(n, COUNTER_CACHE_COMMANDS, counts->commands, &n->told_counts.commands);
    node_count(n, COUNTER_CACHE_CONNECTIONS, counts->connections, &n->told_counts.connections);
    node_count(n, COUNTER_CACHE_REJECTED, counts->rejected, &n->told_counts.rejected);
    node_count(n, COUNTER_CACHE_DROPPED, n->cache.turn.dropped, &n->told_counts.dropped);
}

static void node_tell_store(struct node *n)
{
    if (n->store == NULL)
        return;
    struct cache_load_stats loads = cache_park_load_stats(n->cache.park);
    const struct cache_behind_counts *stores = cache_behind_counts(n->cache.behind);
    struct cache_dirt dirt = cache_db_dirt(n->cache.db);
    int64_t age = (int64_t)clock_wall_ms() - dirt.oldest_ms;
    node_count(n, COUNTER_CACHE_LOADS, loads.loads, &n->told_loads.loads);
    node_count(n, COUNTER_CACHE_LOAD_ERRORS, loads.failed, &n->told_loads.failed);
    node_count(n, COUNTER_CACHE_STORES, stores->stores, &n->told_stores.stores);
    node_count(n, COUNTER_CACHE_STORE_ERRORS, stores->errors, &n->told_stores.errors);
    worker_gauge(n->w, COUNTER_CACHE_DIRTY, dirt.keys);
    worker_gauge(n->w, COUNTER_CACHE_DIRTY_BYTES, dirt.bytes);
    worker_gauge(n->w, COUNTER_CACHE_AT_RISK_BYTES,
                 dirt.bytes - cache_db_copied_bytes(n->cache.db));
    worker_gauge(n->w, COUNTER_CACHE_OLDEST_DIRTY,
                 dirt.oldest_ms != 0 && age > 0 ? (uint64_t)age : 0);
    worker_gauge(n->w, COUNTER_CACHE_DEAD, dirt.dead);
    worker_gauge(n->w, COUNTER_CACHE_PARKED, cache_park_count(n->cache.park));
}

static void node_tell_ring(struct node *n)
{
    if (n->cache.member == NULL)
        return;
    node_count(n, COUNTER_CACHE_FORWARDED, cache_forward_count(n->cache.forward),
               &n->told_forwarded);
    worker_gauge(n->w, COUNTER_CACHE_CELLS, cache_member_tell(n->cache.member).cells);
}

struct node_trouble {
    const char *what, *why;
};

/*
 * The worst first: what it cannot keep, what it must not serve, what the store does not take, what it does not give.
 * What it has lost comes last, for it stands until somebody has seen to it, and would hide what comes and goes.
 */
static void node_tell_trouble(struct node *n)
{
    char ring[CACHE_MEMBER_WHY_SIZE] = "";
    bool stored = n->store != NULL;
    if (n->cache.member != NULL)
        cache_member_trouble(n->cache.member, ring);
    const struct node_trouble all[] = {
        {"", cache_log_trouble(n->cache.log)},
        {"the ring: ", ring},
        {"no second copies are kept, so that writes are refused: ",
         n->cache.second != NULL ? cache_second_trouble(n->cache.second) : ""},
        {"nothing is stored: ", stored ? cache_behind_trouble(n->cache.behind) : ""},
        {"nothing is loaded: ", stored ? cache_park_loads_trouble(n->cache.park) : ""},
        {"", n->peers != NULL ? cache_peers_trouble(n->peers) : ""},
        {"", n->damaged},
    };
    size_t i = 0;
    while (i + 1 < sizeof all / sizeof all[0] && all[i].why[0] == '\0')
        i++;
    worker_trouble(n->w, "%s",
                   cache_trouble_of(&n->trouble, all[i].what, all[i].why, clock_mono_ms()));
}

void node_tell(struct node *n)
{
    struct worker *w = n->w;
    const struct cache_db *db = n->cache.db;
    node_tell_counts(n);
    worker_gauge(w, COUNTER_CACHE_OBJECTS, cache_db_count(db));
    worker_gauge(w, COUNTER_CACHE_BYTES, cache_db_bytes(db));
    worker_gauge(w, COUNTER_CACHE_MEMORY, n->cache.options.memory_max);
    worker_gauge(w, COUNTER_CACHE_CLIENTS, n->cache.client_count);
    worker_gauge(w, COUNTER_CACHE_LOG_BYTES, cache_log_bytes(n->cache.log));
    worker_gauge(w, COUNTER_CACHE_LOG_DAMAGED, n->found.damaged);
    node_tell_store(n);
    node_tell_ring(n);
    node_tell_trouble(n);
    worker_doing(w, "%zu objects, %zu clients", cache_db_count(db), n->cache.client_count);
}

void node_tell_unstored(const struct node *n)
{
    struct cache_dirt dirt = n->store != NULL ? cache_db_dirt(n->cache.db) : (struct cache_dirt){0};
    if (dirt.keys == 0)
        return;
    const char *why = cache_behind_trouble(n->cache.behind);
    log_warn("not-stored",
             "objects=%zu bytes=%zu reason=%s remedy=\"they are in the log in %s, and are stored "
             "after the next start\"",
             dirt.keys, dirt.bytes,
             log_quote_text(why[0] != '\0'
                                ? why
                                : "the store did not take all of it within the cache's timeout"),
             n->dir);
}
