/* cache_load_list.c: which loads there are, in which state, and who waits for each. See cache_load_private.h. */
#include "workers/cache/cache_load_private.h"

#include "common/siphash.h"

#include <stdlib.h>

/* ---- which there are ---- */

struct cache_load **cache_load_find(struct cache_loads *loads, struct slice key, uint64_t hash)
{
    struct cache_load **at = &loads->buckets[hash % LOADS_BUCKETS];
    while (*at != NULL && !((*at)->hash == hash && slice_equal(cache_load_key(*at), key)))
        at = &(*at)->next_of_bucket;
    return at;
}

size_t cache_loads_count(const struct cache_loads *loads)
{
    size_t count = 0;
    for (unsigned i = 0; i < LOAD_STATES; i++)
        count += loads->lists[i].count;
    return count;
}

static void load_unlink(struct cache_load *l)
{
    struct load_list *list = &l->all->lists[l->state];
    *(l->prev != NULL ? &l->prev->next : &list->first) = l->next;
    *(l->next != NULL ? &l->next->prev : &list->last) = l->prev;
    list->count--;
}

static void load_link(struct cache_load *l, enum load_state state)
{
    struct load_list *list = &l->all->lists[state];
    l->state = state;
    l->next = NULL;
    l->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = l;
    list->last = l;
    list->count++;
}

void cache_load_become(struct cache_load *l, enum load_state state)
{
    load_unlink(l);
    load_link(l, state);
}

/* Nobody finds it any more. */
void cache_load_remove(struct cache_load *l)
{
    *cache_load_find(l->all, cache_load_key(l), l->hash) = l->next_of_bucket;
    load_unlink(l);
}

/* NULL: too many, or memory is short. */
struct cache_load *cache_load_get(struct cache_loads *loads, struct slice key)
{
    uint64_t hash = siphash(key, loads->hash_key);
    struct cache_load **at = cache_load_find(loads, key, hash), *l = *at;
    if (l != NULL || cache_loads_count(loads) >= CACHE_LOADS_MAX)
        return l;
    l = malloc(sizeof *l + key.len);
    if (l == NULL)
        return NULL;
    *l = (struct cache_load){
        .all = loads, .hash = hash, .begun_ms = uv_now(loads->options.loop), .key_len = key.len};
    memcpy(l->key, key.ptr, key.len);
    *at = l;
    load_link(l, LOAD_AHEAD);
    return l;
}

/* ---- who waits ---- */

void cache_load_unwait(struct cache_load_wait *w)
{
    struct cache_load *l = w->load;
    *(w->prev != NULL ? &w->prev->next : &l->first) = w->next;
    *(w->next != NULL ? &w->next->prev : &l->last) = w->prev;
    w->load = NULL;
}

/* It has ended; who is told may begin it anew. */
void cache_load_end(struct cache_load *l, const char *refused)
{
    cache_load_remove(l);
    while (l->first != NULL) {
        struct cache_load_wait *w = l->first;
        cache_load_unwait(w);
        w->go(w, refused);
    }
    free(l);
}
