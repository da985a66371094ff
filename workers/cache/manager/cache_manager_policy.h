/*
 * cache_manager_policy.h: whose beats have stood still, for how long, and what follows from a lease.
 *
 * Runs in a cache manager. Pure: knows no clock and no Redis. `now_us` is CLOCK_BOOTTIME in microseconds, never a
 * wall clock. Every answered beat of the manager's is a round, which shows the beats of all nodes and managers; who
 * has beaten since the last one begins anew. Nobody is taken for dead because the manager itself heard nothing: a
 * pause between two rounds that is longer than two beats, another connection and a closed ring begin all of them
 * anew. It must not decide that a node is lost: the script compares the beats once more (ring_lost.lua).
 *
 * A node serves until 0.8 lease after the sending of a beat (cache_lease.h), and is lost 1.2 lease after its last one
 * was seen, so that clocks whose rates differ by 10 % agree: 0.8 * 1.1 < 1.2 * 0.9.
 */
#ifndef WORKERS_CACHE_MANAGER_POLICY_H
#define WORKERS_CACHE_MANAGER_POLICY_H

#include "common/slice.h"
#include "proto/redis/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most nodes and managers of a ring that are watched: 4096 nodes (ring_join.lua), and as many managers. */
#define CACHE_WATCH_MAX 8192

/* How often a manager beats. */
static inline uint64_t cache_manager_beat_ms(uint64_t lease_ms)
{
    return lease_ms / 5;
}

/* Until when the nodes of a beat that was sent at at_us may serve, once it is confirmed. */
static inline int64_t cache_manager_until_us(int64_t at_us, uint64_t lease_ms)
{
    return at_us + (int64_t)lease_ms * 800;
}

/* For so long a node's beats stand still before it is lost; and nothing is granted in a new run of a ring. */
static inline int64_t cache_manager_grace_us(uint64_t lease_ms)
{
    return (int64_t)lease_ms * 1200;
}

/* For so long a manager's beats stand still before it is struck out. */
static inline int64_t cache_manager_retire_us(uint64_t lease_ms)
{
    return (int64_t)lease_ms * 10000;
}

/* And a lost node without a cell: later than a manager, for people want to see what has been lost. */
static inline uint64_t cache_manager_empty_ms(uint64_t lease_ms)
{
    return lease_ms * 20;
}

struct cache_watched {
    char who[REDIS_IDENTITY_SIZE]; /* an incarnation in decimal, or a manager */
    uint64_t beats;
    int64_t since_us; /* they have been seen to stand there since then */
    uint64_t round;   /* the last one that showed them */
};

/* Zeroed, then cache_watch_init. */
struct cache_watch {
    struct cache_watched *list;
    size_t count, cap;
    size_t next; /* where the next one is looked for first: Redis tells them in one order, mostly */
    uint64_t round;
    int64_t gap_us; /* longest pause between two rounds */
    int64_t now_us; /* of the last round; 0: there was none since cache_watch_anew */
    bool anew;      /* this round begins all of them anew */
};

void cache_watch_init(struct cache_watch *w, uint64_t lease_ms);
void cache_watch_fini(struct cache_watch *w);

/* Forgets how long anybody has stood still: the connection was lost. */
void cache_watch_anew(struct cache_watch *w);

/* A round that came at now_us: then cache_watch_see for each that it shows, and cache_watch_end. `closed`: the ring. */
void cache_watch_begin(struct cache_watch *w, int64_t now_us, bool closed);

/* 0; -EINVAL: a name that is too long; -E2BIG: more than CACHE_WATCH_MAX; -ENOMEM. Who is not watched is never dead. */
int cache_watch_see(struct cache_watch *w, struct slice who, uint64_t beats);

/* Those that were not shown are forgotten. */
void cache_watch_end(struct cache_watch *w);

/* NULL: it was not in the last round. Lives until the next one. */
const struct cache_watched *cache_watch_find(const struct cache_watch *w, struct slice who);

/* For how long it had stood still when the last round came. */
static inline int64_t cache_watch_still_us(const struct cache_watch *w,
                                           const struct cache_watched *one)
{
    return w->now_us - one->since_us;
}

#endif
