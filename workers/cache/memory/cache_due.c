/* cache_due.c: see cache_due.h. */
#include "workers/cache/memory/cache_due.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>

#define DUE_CAPACITY_MIN 64u
#define DUE_SPARSE       8u /* so much smaller than its room: it gets less */

/* ---- places ---- */

static uint32_t *due_bucket(const struct cache_due *d, uint32_t handle)
{
    return &d->buckets[handle * UINT32_C(0x9e3779b1) & (d->capacity - 1)];
}

static uint32_t due_search(const struct cache_due *d, uint32_t handle)
{
    if (d->count == 0)
        return 0;
    uint32_t at = *due_bucket(d, handle);
    while (at != 0 && d->nodes[at].handle != handle)
        at = d->nodes[at].chain;
    return at;
}

static uint32_t due_take(struct cache_due *d, uint32_t handle)
{
    uint32_t at = d->free, *bucket = due_bucket(d, handle);
    if (at != 0)
        d->free = d->nodes[at].chain;
    else
        at = ++d->used;
    d->nodes[at] = (struct cache_due_node){.handle = handle, .chain = *bucket};
    *bucket = at;
    d->count++;
    return at;
}

static void due_give(struct cache_due *d, uint32_t at)
{
    uint32_t *link = due_bucket(d, d->nodes[at].handle);
    while (*link != at)
        link = &d->nodes[*link].chain;
    *link = d->nodes[at].chain;
    d->nodes[at].chain = d->free;
    d->free = at;
    d->count--;
}

/* ---- lists ---- */

static void due_push(struct cache_due *d, uint32_t at, enum cache_due_list list, int64_t mark)
{
    struct cache_due_node *n = &d->nodes[at];
    n->mark = mark;
    n->list = list;
    n->older = d->lists[list].newest;
    n->newer = 0;
    *(n->older != 0 ? &d->nodes[n->older].newer : &d->lists[list].oldest) = at;
    d->lists[list].newest = at;
    d->lists[list].count++;
}

static void due_pull(struct cache_due *d, uint32_t at)
{
    const struct cache_due_node *n = &d->nodes[at];
    *(n->older != 0 ? &d->nodes[n->older].newer : &d->lists[n->list].oldest) = n->newer;
    *(n->newer != 0 ? &d->nodes[n->newer].older : &d->lists[n->list].newest) = n->older;
    d->lists[n->list].count--;
}

/* ---- room ---- */

void cache_due_fini(struct cache_due *d)
{
    free(d->nodes);
    free(d->buckets);
    *d = CACHE_DUE_EMPTY;
}

/* All of it in new memory, for so many. False: memory is short, and nothing has changed. */
static bool due_rebuild(struct cache_due *d, uint32_t capacity)
{
    struct cache_due new = {.capacity = capacity};
    new.nodes = malloc(((size_t)capacity + 1) * sizeof *new.nodes);
    new.buckets = calloc(capacity, sizeof *new.buckets);
    if (new.nodes == NULL || new.buckets == NULL) {
        cache_due_fini(&new);
        return false;
    }
    new.bytes = cache_memory_of(new.nodes) + cache_memory_of(new.buckets);
    for (enum cache_due_list list = CACHE_DUE_WAITING; list < CACHE_DUE_LISTS; list++)
        for (uint32_t at = d->lists[list].oldest; at != 0; at = d->nodes[at].newer)
            due_push(&new, due_take(&new, d->nodes[at].handle), list, d->nodes[at].mark);
    cache_due_fini(d);
    *d = new;
    return true;
}

bool cache_due_reserve(struct cache_due *d)
{
    if (d->count < d->capacity)
        return true;
    return d->capacity < UINT32_C(1) << 31 &&
           due_rebuild(d, d->capacity > 0 ? 2 * d->capacity : DUE_CAPACITY_MIN);
}

/* ---- from outside ---- */

enum cache_due_list cache_due_find(const struct cache_due *d, uint32_t handle, int64_t *mark)
{
    uint32_t at = due_search(d, handle);
    if (at == 0)
        return CACHE_DUE_NONE;
    if (mark != NULL)
        *mark = d->nodes[at].mark;
    return (enum cache_due_list)d->nodes[at].list;
}

void cache_due_put(struct cache_due *d, uint32_t handle, enum cache_due_list list, int64_t mark)
{
    uint32_t at = due_search(d, handle);
    if (at != 0)
        due_pull(d, at);
    else
        at = due_take(d, handle);
    due_push(d, at, list, mark);
}

void cache_due_remove(struct cache_due *d, uint32_t handle)
{
    uint32_t at = due_search(d, handle);
    if (at == 0)
        return;
    due_pull(d, at);
    due_give(d, at);
    if (d->capacity > DUE_CAPACITY_MIN && d->count < d->capacity / DUE_SPARSE)
        due_rebuild(d, d->capacity / 2);
}

static uint32_t due_mark(const struct cache_due *d, uint32_t at, int64_t *mark)
{
    if (at == 0)
        return 0;
    *mark = d->nodes[at].mark;
    return d->nodes[at].handle;
}

uint32_t cache_due_first(const struct cache_due *d, enum cache_due_list list, int64_t *mark)
{
    return due_mark(d, d->lists[list].oldest, mark);
}

uint32_t cache_due_last(const struct cache_due *d, enum cache_due_list list, int64_t *mark)
{
    return due_mark(d, d->lists[list].newest, mark);
}

uint32_t cache_due_next(const struct cache_due *d, uint32_t handle)
{
    uint32_t at = d->nodes[due_search(d, handle)].newer;
    return at != 0 ? d->nodes[at].handle : 0;
}
