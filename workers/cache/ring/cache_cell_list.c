/* cache_cell_list.c: links by handle, in chunks. See cache_cell_list.h. */
#include "workers/cache/ring/cache_cell_list.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>
#include <string.h>

#define LIST_CAP_FIRST 16

static uint32_t list_chunk(uint32_t handle)
{
    return handle >> CACHE_CELL_LIST_BITS;
}

/* The chunk of the handle is there. */
static struct cache_cell_link *list_at(const struct cache_cell_list *l, uint32_t handle)
{
    return &l->chunks[list_chunk(handle)].links[handle & (CACHE_CELL_LIST_CHUNK - 1)];
}

/* ---- chunks ---- */

/* Entries for more chunks: 16 bytes for 4096 handles, so these few may move at once. */
static bool list_widen(struct cache_cell_list *l, uint32_t chunk)
{
    uint32_t cap = l->cap > 0 ? l->cap : LIST_CAP_FIRST;
    while (cap <= chunk)
        cap *= 2;
    if (cap == l->cap)
        return true;
    struct cache_cell_links *chunks = calloc(cap, sizeof *chunks);
    if (chunks == NULL)
        return false;
    if (l->cap > 0)
        memcpy(chunks, l->chunks, l->cap * sizeof *chunks);
    l->bytes += cache_memory_of(chunks);
    l->bytes -= cache_memory_of(l->chunks);
    free(l->chunks);
    l->chunks = chunks;
    l->cap = cap;
    return true;
}

/* What became empty is all zeroes, as a new one. */
static bool list_make(struct cache_cell_list *l, uint32_t chunk)
{
    if (!list_widen(l, chunk))
        return false;
    if (l->chunks[chunk].links != NULL)
        return true;
    struct cache_cell_link *links = l->spare;
    if (links == NULL) {
        links = calloc(CACHE_CELL_LIST_CHUNK, sizeof *links);
        if (links == NULL)
            return false;
        l->bytes += cache_memory_of(links);
    }
    l->spare = NULL;
    l->chunks[chunk].links = links;
    return true;
}

static void list_drop(struct cache_cell_list *l, uint32_t chunk)
{
    l->bytes -= cache_memory_of(l->spare);
    free(l->spare);
    l->spare = l->chunks[chunk].links;
    l->chunks[chunk].links = NULL;
}

void cache_cell_list_fini(struct cache_cell_list *l)
{
    for (uint32_t i = 0; i < l->cap; i++)
        free(l->chunks[i].links);
    free(l->chunks);
    free(l->spare);
    *l = CACHE_CELL_LIST_EMPTY;
}

/* ---- lists ---- */

bool cache_cell_list_has(const struct cache_cell_list *l, uint32_t handle)
{
    uint32_t chunk = list_chunk(handle);
    return chunk < l->cap && l->chunks[chunk].links != NULL && list_at(l, handle)->older != 0;
}

bool cache_cell_list_add(struct cache_cell_list *l, uint32_t *first, uint32_t handle)
{
    if (cache_cell_list_has(l, handle))
        return true;
    if (!list_make(l, list_chunk(handle)))
        return false;
    struct cache_cell_link *link = list_at(l, handle);
    if (*first == 0) {
        *link = (struct cache_cell_link){.older = handle};
        *first = handle;
    } else {
        struct cache_cell_link *front = list_at(l, *first);
        *link = (struct cache_cell_link){.older = *first, .newer = front->newer};
        if (link->newer != 0)
            list_at(l, link->newer)->older = handle;
        front->newer = handle;
    }
    l->chunks[list_chunk(handle)].count++;
    return true;
}

void cache_cell_list_remove(struct cache_cell_list *l, uint32_t *first, uint32_t handle)
{
    struct cache_cell_link *link = list_at(l, handle);
    bool was_first = link->older == handle;
    if (link->newer != 0)
        list_at(l, link->newer)->older = was_first ? link->newer : link->older;
    if (was_first)
        *first = link->newer;
    else
        list_at(l, link->older)->newer = link->newer;
    *link = (struct cache_cell_link){0};
    uint32_t chunk = list_chunk(handle);
    if (--l->chunks[chunk].count == 0)
        list_drop(l, chunk);
}

uint32_t cache_cell_list_next(const struct cache_cell_list *l, uint32_t handle)
{
    return list_at(l, handle)->newer;
}
