/*
 * cache_policy.h: which object leaves memory next: S3-FIFO.
 *
 * Runs in a cache node. Pure: order only, over handles of a cache_table; knows neither time nor bytes. A small queue (a
 * tenth), where what is new proves itself, a main queue, and the fingerprints of what left the small one lately, which
 * goes straight to the main queue when it comes back. A hit sets two bits and moves nothing: that is why it is as fast
 * as no policy, and why scans do not wash out what is used. SIEVE has one queue only; it is a little worse for the
 * requests of a web site, and better for what a build opens (scripts/bench/cache/hit_ratio).
 * Source: Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023.
 *
 * Queues are lists through the objects, not rings of handles: both cost 8 bytes an object (a ring its slot and the
 * object's place in it), but a list has no holes to be closed, and needs no memory that could be short.
 */
#ifndef WORKERS_CACHE_POLICY_H
#define WORKERS_CACHE_POLICY_H

#include "workers/cache/memory/cache_table.h"

#include <stdbool.h>

struct cache_policy;

/* NULL when memory is short. */
struct cache_policy *cache_policy_new(struct cache_table *t);
void cache_policy_free(struct cache_policy *p);

/* A new object of the table. Needs no memory. */
void cache_policy_add(struct cache_policy *p, uint32_t handle, uint64_t hash);

/* Before cache_table_remove, for one that is in. */
void cache_policy_remove(struct cache_policy *p, uint32_t handle);

/* It was used. */
static inline void cache_policy_hit(struct cache_object *o)
{
    if (o->heat < 3)
        o->heat++;
}

/*
 * The object to evict: it is still in, and in the table. Dirty and busy ones are passed over and stay. 0: none within
 * a bounded number of steps (then ask again later: most are dirty), or there is none at all.
 */
uint32_t cache_policy_victim(struct cache_policy *p);

/* It is evicted: as cache_policy_remove, and what was new is remembered. `hash` is its key's. */
void cache_policy_evicted(struct cache_policy *p, uint32_t handle, uint64_t hash);

/* Bytes of queues and fingerprints. The former stand in the objects. */
size_t cache_policy_bytes(const struct cache_policy *p);

#endif
