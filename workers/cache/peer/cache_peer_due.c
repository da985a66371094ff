/* cache_peer_due.c: see cache_peer_due.h. */
#include "workers/cache/peer/cache_peer_due.h"

#include <stdlib.h>

#define PEER_DUES_FIRST 64 /* places to begin with */

void cache_peer_dues_fini(struct cache_peer_dues *d)
{
    free(d->heap);
    *d = (struct cache_peer_dues){.heap = NULL};
}

bool cache_peer_dues_reserve(struct cache_peer_dues *d)
{
    if (d->count + 1 < d->capacity)
        return true;
    size_t capacity = d->capacity > 0 ? 2 * d->capacity : PEER_DUES_FIRST;
    struct cache_peer_due **heap = realloc(d->heap, capacity * sizeof *heap);
    if (heap == NULL)
        return false;
    d->heap = heap;
    d->capacity = capacity;
    return true;
}

static void peer_dues_set(struct cache_peer_dues *d, size_t place, struct cache_peer_due *due)
{
    d->heap[place] = due;
    due->place = place;
}

/* `place` is free; what stands above and is later comes down into it. Returns the place that is free then. */
static size_t peer_dues_rise(struct cache_peer_dues *d, size_t place, uint64_t at)
{
    for (; place > 1 && d->heap[place / 2]->at > at; place /= 2)
        peer_dues_set(d, place, d->heap[place / 2]);
    return place;
}

static size_t peer_dues_sink(struct cache_peer_dues *d, size_t place, uint64_t at)
{
    for (size_t child; (child = 2 * place) <= d->count; place = child) {
        if (child < d->count && d->heap[child + 1]->at < d->heap[child]->at)
            child++;
        if (d->heap[child]->at >= at)
            break;
        peer_dues_set(d, place, d->heap[child]);
    }
    return place;
}

/* Into `place`, which is free, or to where it belongs. */
static void peer_dues_fill(struct cache_peer_dues *d, size_t place, struct cache_peer_due *due)
{
    place = peer_dues_rise(d, place, due->at);
    peer_dues_set(d, peer_dues_sink(d, place, due->at), due);
}

void cache_peer_dues_put(struct cache_peer_dues *d, struct cache_peer_due *due, uint64_t at)
{
    due->at = at;
    peer_dues_fill(d, due->place > 0 ? due->place : ++d->count, due);
}

void cache_peer_dues_remove(struct cache_peer_dues *d, struct cache_peer_due *due)
{
    size_t place = due->place;
    if (place == 0)
        return;
    struct cache_peer_due *last = d->heap[d->count--];
    due->place = 0;
    if (last != due)
        peer_dues_fill(d, place, last);
}

struct cache_peer_due *cache_peer_dues_first(const struct cache_peer_dues *d)
{
    return d->count > 0 ? d->heap[1] : NULL;
}
