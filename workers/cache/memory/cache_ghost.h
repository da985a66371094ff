/*
 * cache_ghost.h: whose keys left memory lately.
 *
 * Runs in a cache node; part of cache_policy. Pure. Remembers fingerprints, not keys: 32 bits, in sets of 16, which
 * another part of the hash chooses. A set forgets its oldest for a new one, so that all of it is a queue but for
 * chance, and costs 4 bytes a fingerprint, a third of an exact queue with an index. Memory comes with the first that is
 * remembered, and in chunks; where there is none, one is not remembered, and nobody is worse off than without.
 */
#ifndef WORKERS_CACHE_GHOST_H
#define WORKERS_CACHE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets, in chunks. */
struct cache_ghost_sets {
    uint32_t **chunks; /* NULL: none of its sets has anything */
    size_t count;      /* sets; 0: none */
};

struct cache_ghost {
    struct cache_ghost_sets now;
    struct cache_ghost_sets
        before;   /* of another size; dropped when all of it would have been forgotten by now */
    size_t added; /* since `now` is in use */
    size_t bytes;
};

#define CACHE_GHOST_EMPTY ((struct cache_ghost){0})

/* Remembers it. `room`: how many shall be remembered in all, about. */
void cache_ghost_add(struct cache_ghost *g, uint64_t hash, size_t room);

/* True when it was remembered; it is no more. */
bool cache_ghost_take(struct cache_ghost *g, uint64_t hash);

void cache_ghost_fini(struct cache_ghost *g);

#endif
