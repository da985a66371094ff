/*
 * cache_handles.h: where in memory the object of a handle is.
 *
 * Runs in a cache node; part of cache_table. Pure. Slots stand in chunks, because one array of 100 million would have
 * to be copied at once when it grows, and could never shrink: a handle is a chunk's number and a slot in it, and stays.
 * The lowest chunk with room is used first, so that the others drain as objects come and go, and are given back.
 */
#ifndef WORKERS_CACHE_HANDLES_H
#define WORKERS_CACHE_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_HANDLES_BITS  12
#define CACHE_HANDLES_CHUNK (1u << CACHE_HANDLES_BITS) /* slots: 32 KB */

/* A slot: an object, or, while it is free, the next free one of its chunk as an odd number. */
union cache_slot {
    void *object;
    uintptr_t free;
};

struct cache_handle_chunk {
    union cache_slot *slots; /* NULL: none of its handles is alive */
    uint32_t live;           /* slots taken */
    uint32_t free;           /* the first free one; CACHE_HANDLES_CHUNK: none */
};

struct cache_handles {
    struct cache_handle_chunk *chunks;
    uint64_t *open;  /* a bit a chunk: it has a free slot, or could be made */
    uint32_t cap;    /* chunks there are entries for, a multiple of 64 */
    uint32_t lowest; /* no word of `open` before this has a bit */
    union cache_slot
        *spare; /* the last chunk that became empty, so that none is made and given back in turn */
    size_t bytes; /* of all of this, as the allocator counts them */
};

#define CACHE_HANDLES_EMPTY ((struct cache_handles){0})

/* A handle for the object, or 0: memory is short, or there are as many as 32 bits can name. */
uint32_t cache_handles_take(struct cache_handles *h, void *object);

/* The handle names nothing any more, and may be another's. */
void cache_handles_give(struct cache_handles *h, uint32_t handle);

/* The object of a live handle. */
static inline void *cache_handles_at(const struct cache_handles *h, uint32_t handle)
{
    return h->chunks[handle >> CACHE_HANDLES_BITS].slots[handle & (CACHE_HANDLES_CHUNK - 1)].object;
}

/* Brings the slot of a live handle near: cache_handles_at comes soon. */
static inline void cache_handles_fetch(const struct cache_handles *h, uint32_t handle)
{
    __builtin_prefetch(
        &h->chunks[handle >> CACHE_HANDLES_BITS].slots[handle & (CACHE_HANDLES_CHUNK - 1)]);
}

/* It is elsewhere now. */
static inline void cache_handles_move(struct cache_handles *h, uint32_t handle, void *object)
{
    h->chunks[handle >> CACHE_HANDLES_BITS].slots[handle & (CACHE_HANDLES_CHUNK - 1)].object =
        object;
}

/* Calls fn for each object, which may free it, and frees the handles. */
void cache_handles_fini(struct cache_handles *h, void (*fn)(void *object));

#endif
