/* cache_ghost.c: sets of fingerprints, of a size that follows slowly. See cache_ghost.h. */
#include "workers/cache/memory/cache_ghost.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>
#include <string.h>

#define GHOST_SET   16  /* fingerprints: a cache line */
#define GHOST_CHUNK 256 /* sets: 16 KB */

static size_t ghost_chunks(const struct cache_ghost_sets *s)
{
    return (s->count + GHOST_CHUNK - 1) / GHOST_CHUNK;
}

/* 0 is a free place. */
static uint32_t ghost_print(uint64_t hash)
{
    uint32_t print = (uint32_t)(hash >> 32);
    return print != 0 ? print : 1;
}

/* The set of a hash among so many: no power of two is needed, and none of the fingerprint's bits. */
static size_t ghost_set_of(const struct cache_ghost_sets *s, uint64_t hash)
{
    return (size_t)((hash & UINT32_MAX) * s->count >> 32);
}

/* Where the fingerprint stands, or NULL. */
static uint32_t *ghost_find(const struct cache_ghost_sets *s, uint64_t hash, uint32_t **set)
{
    if (s->count == 0)
        return NULL;
    size_t at = ghost_set_of(s, hash);
    uint32_t *chunk = s->chunks[at / GHOST_CHUNK], print = ghost_print(hash);
    if (chunk == NULL)
        return NULL;
    *set = chunk + at % GHOST_CHUNK * GHOST_SET;
    for (unsigned i = 0; i < GHOST_SET; i++)
        if ((*set)[i] == print)
            return *set + i;
    return NULL;
}

static bool ghost_take_from(const struct cache_ghost_sets *s, uint64_t hash)
{
    uint32_t *set, *found = ghost_find(s, hash, &set);
    if (found == NULL)
        return false;
    memmove(found, found + 1, (size_t)(set + GHOST_SET - 1 - found) * sizeof *found);
    set[GHOST_SET - 1] = 0;
    return true;
}

bool cache_ghost_take(struct cache_ghost *g, uint64_t hash)
{
    return ghost_take_from(&g->now, hash) || ghost_take_from(&g->before, hash);
}

static void ghost_put(struct cache_ghost *g, uint64_t hash)
{
    size_t at = ghost_set_of(&g->now, hash);
    uint32_t **chunk = &g->now.chunks[at / GHOST_CHUNK];
    if (*chunk == NULL) {
        *chunk = calloc((size_t)GHOST_CHUNK * GHOST_SET, sizeof **chunk);
        g->bytes += cache_memory_of(*chunk);
    }
    if (*chunk == NULL)
        return;
    uint32_t *set = *chunk + at % GHOST_CHUNK * GHOST_SET;
    memmove(set + 1, set, (GHOST_SET - 1) * sizeof *set);
    set[0] = ghost_print(hash);
}

/* Gives the last chunk back, or with the last one the rest. */
static void ghost_shed(struct cache_ghost *g, struct cache_ghost_sets *s)
{
    size_t chunks = ghost_chunks(s);
    if (chunks > 0) {
        g->bytes -= cache_memory_of(s->chunks[chunks - 1]);
        free(s->chunks[chunks - 1]);
        s->count = (chunks - 1) * GHOST_CHUNK;
    }
    if (s->count > 0)
        return;
    g->bytes -= cache_memory_of(s->chunks);
    free(s->chunks);
    s->chunks = NULL;
}

/* Begins anew with so many sets; what was remembered is until as many have come as it has places. */
static void ghost_size(struct cache_ghost *g, size_t sets)
{
    struct cache_ghost_sets made = {.count = sets};
    made.chunks = calloc(ghost_chunks(&made), sizeof *made.chunks);
    if (made.chunks == NULL)
        return;
    g->bytes += cache_memory_of(made.chunks);
    g->before = g->now;
    g->now = made;
    g->added = 0;
}

/*
 * The size follows in steps of a quarter. Not in place: a fingerprint does not tell of what its set would be among more
 * of them, and copying all of it at once would take as long as there are many.
 */
static void ghost_fit(struct cache_ghost *g, size_t room)
{
    size_t sets = (room + GHOST_SET - 1) / GHOST_SET, have = g->now.count;
    if (sets == 0)
        sets = 1;
    if (g->before.chunks != NULL) {
        if (g->added >= g->before.count * GHOST_SET)
            ghost_shed(g, &g->before);
    } else if (sets > have + have / 4 || sets < have - have / 4) {
        ghost_size(g, sets);
    }
}

void cache_ghost_add(struct cache_ghost *g, uint64_t hash, size_t room)
{
    ghost_fit(g, room);
    if (g->now.count == 0)
        return;
    ghost_put(g, hash);
    g->added++;
}

void cache_ghost_fini(struct cache_ghost *g)
{
    while (g->now.chunks != NULL)
        ghost_shed(g, &g->now);
    while (g->before.chunks != NULL)
        ghost_shed(g, &g->before);
    *g = CACHE_GHOST_EMPTY;
}
