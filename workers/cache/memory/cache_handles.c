/* cache_handles.c: chunks of slots, and which of them have room. See cache_handles.h. */
#include "workers/cache/memory/cache_handles.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>
#include <string.h>

#define HANDLES_CHUNKS_MAX (1u << (32 - CACHE_HANDLES_BITS))

/* ---- which chunks have room ---- */

static void handles_open(struct cache_handles *h, uint32_t chunk)
{
    uint32_t word = chunk / 64;
    h->open[word] |= UINT64_C(1) << chunk % 64;
    if (word < h->lowest)
        h->lowest = word;
}

static void handles_close(struct cache_handles *h, uint32_t chunk)
{
    h->open[chunk / 64] &= ~(UINT64_C(1) << chunk % 64);
}

/* The lowest open chunk; h->cap: none. */
static uint32_t handles_first_open(struct cache_handles *h)
{
    for (; h->lowest < h->cap / 64; h->lowest++)
        if (h->open[h->lowest] != 0)
            return h->lowest * 64 + (uint32_t)__builtin_ctzll(h->open[h->lowest]);
    return h->cap;
}

/* Entries for more chunks: 16 bytes for 4096 handles, so these few may move at once. */
static bool handles_widen(struct cache_handles *h)
{
    uint32_t cap = h->cap > 0 ? 2 * h->cap : 64;
    if (cap > HANDLES_CHUNKS_MAX)
        return false;
    uint64_t *open = malloc(cap / 64 * sizeof *open);
    struct cache_handle_chunk *chunks = malloc(cap * sizeof *chunks);
    if (open == NULL || chunks == NULL) {
        free(open);
        free(chunks);
        return false;
    }
    memset(open, 0xff, cap / 64 * sizeof *open);
    memset(chunks, 0, cap * sizeof *chunks);
    if (h->cap > 0) {
        memcpy(open, h->open, h->cap / 64 * sizeof *open);
        memcpy(chunks, h->chunks, h->cap * sizeof *chunks);
    }
    h->bytes += cache_memory_of(open) + cache_memory_of(chunks);
    h->bytes -= cache_memory_of(h->open) + cache_memory_of(h->chunks);
    free(h->open);
    free(h->chunks);
    h->open = open;
    h->chunks = chunks;
    h->cap = cap;
    return true;
}

/* ---- chunks ---- */

static bool handles_make(struct cache_handles *h, uint32_t chunk)
{
    union cache_slot *slots = h->spare;
    if (slots == NULL) {
        slots = malloc(CACHE_HANDLES_CHUNK * sizeof *slots);
        if (slots == NULL)
            return false;
        h->bytes += cache_memory_of(slots);
    }
    h->spare = NULL;
    for (uint32_t i = 0; i < CACHE_HANDLES_CHUNK; i++)
        slots[i].free = (uintptr_t)(i + 1) << 1 | 1;
    h->chunks[chunk] = (struct cache_handle_chunk){.slots = slots};
    if (chunk == 0) { /* no handle is 0: the slot is taken for ever */
        slots[0].object = NULL;
        h->chunks[0].live = h->chunks[0].free = 1;
    }
    return true;
}

static void handles_drop(struct cache_handles *h, uint32_t chunk)
{
    if (h->spare != NULL) {
        h->bytes -= cache_memory_of(h->spare);
        free(h->spare);
    }
    h->spare = h->chunks[chunk].slots;
    h->chunks[chunk].slots = NULL;
}

uint32_t cache_handles_take(struct cache_handles *h, void *object)
{
    uint32_t at = handles_first_open(h);
    if (at == h->cap && !handles_widen(h))
        return 0;
    struct cache_handle_chunk *chunk = &h->chunks[at];
    if (chunk->slots == NULL && !handles_make(h, at))
        return 0;
    uint32_t slot = chunk->free;
    chunk->free = (uint32_t)(chunk->slots[slot].free >> 1);
    chunk->slots[slot].object = object;
    if (++chunk->live == CACHE_HANDLES_CHUNK)
        handles_close(h, at);
    return at << CACHE_HANDLES_BITS | slot;
}

void cache_handles_give(struct cache_handles *h, uint32_t handle)
{
    uint32_t at = handle >> CACHE_HANDLES_BITS, slot = handle & (CACHE_HANDLES_CHUNK - 1);
    struct cache_handle_chunk *chunk = &h->chunks[at];
    chunk->slots[slot].free = (uintptr_t)chunk->free << 1 | 1;
    chunk->free = slot;
    handles_open(h, at);
    if (--chunk->live == 0)
        handles_drop(h, at);
}

void cache_handles_fini(struct cache_handles *h, void (*fn)(void *object))
{
    for (uint32_t at = 0; at < h->cap; at++) {
        union cache_slot *slots = h->chunks[at].slots;
        for (uint32_t i = 0; slots != NULL && i < CACHE_HANDLES_CHUNK; i++)
            if (!(slots[i].free & 1) && slots[i].object != NULL)
                fn(slots[i].object);
        free(slots);
    }
    free(h->spare);
    free(h->open);
    free(h->chunks);
    *h = CACHE_HANDLES_EMPTY;
}
