/* cache_db_watch.c: who watches which key (WATCH). See cache_db.h. */
#include "workers/cache/cache_db_private.h"

#include <stdlib.h>

#define CACHE_WATCH_BUCKETS 64

static struct cache_watch **cache_watch_bucket(struct cache_db *db, uint64_t hash)
{
    return &db->watches[hash & (db->watch_buckets - 1)];
}

/* Twice as many buckets; without memory the chains become longer, that is all. */
static void cache_watch_grow(struct cache_db *db)
{
    size_t count = db->watch_buckets > 0 ? 2 * db->watch_buckets : CACHE_WATCH_BUCKETS;
    size_t old_count = db->watch_buckets;
    struct cache_watch **old = db->watches, **grown = calloc(count, sizeof(struct cache_watch *));
    if (grown == NULL)
        return;
    db->watches = grown;
    db->watch_buckets = count;
    for (size_t i = 0; i < old_count; i++) {
        struct cache_watch *next;
        for (struct cache_watch *w = old[i]; w != NULL; w = next) {
            next = w->next_of_key;
            struct cache_watch **at = cache_watch_bucket(db, cache_db_hash(db, w->key));
            w->next_of_key = *at;
            *at = w;
        }
    }
    free(old);
}

bool cache_db_watch(struct cache_db *db, struct cache_watch *w)
{
    if (db->watch_count >= db->watch_buckets)
        cache_watch_grow(db);
    if (db->watch_buckets == 0)
        return false;
    struct cache_watch **at = cache_watch_bucket(db, cache_db_hash(db, w->key));
    w->touched = false;
    w->next_of_key = *at;
    *at = w;
    db->watch_count++;
    return true;
}

void cache_db_unwatch(struct cache_db *db, struct cache_watch *w)
{
    struct cache_watch **at = cache_watch_bucket(db, cache_db_hash(db, w->key));
    while (*at != w)
        at = &(*at)->next_of_key;
    *at = w->next_of_key;
    db->watch_count--;
}

void cache_db_touch(struct cache_db *db, struct slice key, uint64_t hash)
{
    if (db->watch_count == 0)
        return;
    for (struct cache_watch *w = *cache_watch_bucket(db, hash); w != NULL; w = w->next_of_key)
        if (slice_equal(w->key, key))
            w->touched = true;
}
