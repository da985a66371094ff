/*
 * cache_peer_due.h: many deadlines, and which comes first: a heap, so that one timer does for all.
 *
 * Runs in a cache node of a ring. Pure. Deadlines come in nearly the order in which they pass, and most are taken out
 * before: then either costs a few steps. Who has one keeps a struct cache_peer_due in himself.
 */
#ifndef WORKERS_CACHE_PEER_DUE_H
#define WORKERS_CACHE_PEER_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_peer_due {
    uint64_t at;  /* read it only */
    size_t place; /* in the heap, from 1 on; 0: it is in none */
};

/* Zeroed it is empty. */
struct cache_peer_dues {
    struct cache_peer_due **heap; /* from 1 on */
    size_t count, capacity;
};

void cache_peer_dues_fini(struct cache_peer_dues *d);

/* Memory for one more. False: it is short. */
bool cache_peer_dues_reserve(struct cache_peer_dues *d);

/* Its deadline from now on. One that is in none needs cache_peer_dues_reserve before. */
void cache_peer_dues_put(struct cache_peer_dues *d, struct cache_peer_due *due, uint64_t at);

/* Out of it, if it is in. */
void cache_peer_dues_remove(struct cache_peer_dues *d, struct cache_peer_due *due);

/* The one that comes first; NULL: there is none. */
struct cache_peer_due *cache_peer_dues_first(const struct cache_peer_dues *d);

#endif
