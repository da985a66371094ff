/*
 * cache_load_private.h: loads as the two files that make them up know them: cache_load_list.c, which there are and who
 * waits, and cache_load.c, which begins them and judges what comes. Nobody else includes it.
 *
 * Runs in a cache node.
 */
#ifndef WORKERS_CACHE_LOAD_PRIVATE_H
#define WORKERS_CACHE_LOAD_PRIVATE_H

#include "common/siphash.h"
#include "workers/cache/cache_load.h"

#define LOADS_BUCKETS  1024
#define LOADS_WHY_SIZE (BACKING_WHY_SIZE + 256) /* with code and who */

/* Queued are those that somebody waits for, and go first; ahead those that nobody does yet. */
enum load_state { LOAD_QUEUED, LOAD_AHEAD, LOAD_RUNNING, LOAD_PAUSED, LOAD_STATES };

struct cache_load {
    struct cache_load *next_of_bucket;
    struct cache_load *next, *prev; /* of its state, in order */
    struct cache_loads *all;
    struct backing_call *call;
    struct cache_load_wait *first, *last;
    enum load_state state;
    unsigned failures;
    enum cache_fault fault; /* of the last try, when something came */
    uint64_t due_ms;        /* of one that pauses */
    uint64_t begun_ms;
    uint64_t hash;
    uint64_t claim;           /* whose its key was when it began */
    struct cache_watch watch; /* of its key, while it is under way */
    bool watches;
    size_t key_len;
    char key[];
};

struct load_list {
    struct cache_load *first, *last;
    size_t count;
};

struct cache_loads {
    struct cache_load_options options;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    struct cache_load *buckets[LOADS_BUCKETS];
    struct load_list lists[LOAD_STATES];
    uv_timer_t timer;
    uint64_t wake_ms;  /* that the timer is set for */
    uint64_t probe_ms; /* while it fails: not before that */
    unsigned in_a_row; /* failures */
    struct cache_load_stats stats;
    uint64_t said_ms; /* when somebody has met `why` last */
    char why[LOADS_WHY_SIZE];
};

static inline struct slice cache_load_key(const struct cache_load *l)
{
    return slice_make(l->key, l->key_len);
}

/* Where it is linked in its bucket; what is there is NULL when there is none. */
struct cache_load **cache_load_find(struct cache_loads *loads, struct slice key, uint64_t hash);

/* The one there is, or a new one, ahead. NULL: too many, or memory is short. */
struct cache_load *cache_load_get(struct cache_loads *loads, struct slice key);

void cache_load_become(struct cache_load *l, enum load_state state);

/* Nobody finds it any more. Its memory is the caller's. */
void cache_load_remove(struct cache_load *l);

/* It waits no more, and is not told. */
void cache_load_unwait(struct cache_load_wait *w);

/* It is over, and freed; who waits is told (cache_load_wait.go), and may begin it anew. */
void cache_load_end(struct cache_load *l, const char *refused);

#endif
