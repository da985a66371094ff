/* cache_policy.c: two queues and what is remembered of one. See cache_policy.h. */
#include "workers/cache/memory/cache_policy.h"
#include "workers/cache/memory/cache_ghost.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>

#define POLICY_SMALL  10 /* the small queue's part: a tenth */
#define POLICY_PROVEN 2  /* hits that bring an object from the small queue to the main one */
#define POLICY_STEPS                                                                               \
    256 /* objects of a queue that one search looks at, for all hot or dirty ones */

struct cache_queue {
    uint32_t oldest, newest; /* 0: empty */
    size_t count;
    size_t rest; /* searches that shall leave it alone, because the last one found nothing */
};

struct cache_policy {
    struct cache_table *table;
    struct cache_queue small, main;
    struct cache_ghost ghost;
};

struct cache_policy *cache_policy_new(struct cache_table *t)
{
    struct cache_policy *p = calloc(1, sizeof *p);
    if (p != NULL)
        p->table = t;
    return p;
}

void cache_policy_free(struct cache_policy *p)
{
    if (p == NULL)
        return;
    cache_ghost_fini(&p->ghost);
    free(p);
}

size_t cache_policy_bytes(const struct cache_policy *p)
{
    return cache_memory_of(p) + p->ghost.bytes;
}

/* ---- queues ---- */

static void policy_push(struct cache_policy *p, struct cache_queue *q, uint32_t handle,
                        struct cache_object *o)
{
    o->older = q->newest;
    o->newer = 0;
    *(q->newest != 0 ? &cache_table_at(p->table, q->newest)->newer : &q->oldest) = handle;
    q->newest = handle;
    q->count++;
}

static void policy_pull(struct cache_policy *p, struct cache_queue *q, const struct cache_object *o)
{
    *(o->older != 0 ? &cache_table_at(p->table, o->older)->newer : &q->oldest) = o->newer;
    *(o->newer != 0 ? &cache_table_at(p->table, o->newer)->older : &q->newest) = o->older;
    q->count--;
}

static void policy_move(struct cache_policy *p, struct cache_queue *from, struct cache_queue *to,
                        uint32_t handle, struct cache_object *o)
{
    policy_pull(p, from, o);
    policy_push(p, to, handle, o);
}

void cache_policy_add(struct cache_policy *p, uint32_t handle, uint64_t hash)
{
    struct cache_object *o = cache_table_at(p->table, handle);
    o->heat = 0;
    o->main = cache_ghost_take(&p->ghost, hash);
    policy_push(p, o->main ? &p->main : &p->small, handle, o);
}

void cache_policy_remove(struct cache_policy *p, uint32_t handle)
{
    const struct cache_object *o = cache_table_at(p->table, handle);
    policy_pull(p, o->main ? &p->main : &p->small, o);
}

/* The fingerprints are as many as the main queue shall have objects; at the start it has none yet. */
void cache_policy_evicted(struct cache_policy *p, uint32_t handle, uint64_t hash)
{
    size_t count = p->small.count + p->main.count;
    if (!cache_table_at(p->table, handle)->main)
        cache_ghost_add(&p->ghost, hash, count - count / POLICY_SMALL);
    cache_policy_remove(p, handle);
}

/* ---- who goes ---- */

static bool policy_stays(const struct cache_object *o)
{
    return o->dirty || o->busy;
}

static uint32_t policy_search_small(struct cache_policy *p)
{
    size_t steps = p->small.count < POLICY_STEPS ? p->small.count : POLICY_STEPS;
    for (; steps > 0; steps--) {
        uint32_t handle = p->small.oldest;
        struct cache_object *o = cache_table_at(p->table, handle);
        if (o->heat >= POLICY_PROVEN) {
            o->heat = 0;
            o->main = 1;
            policy_move(p, &p->small, &p->main, handle, o);
        } else if (policy_stays(o)) {
            policy_move(p, &p->small, &p->small, handle, o);
        } else {
            return handle;
        }
    }
    return 0;
}

/* Were all of so many hot, the coolest of them goes: the rest of the round would take as long as there are objects. */
static uint32_t policy_search_main(struct cache_policy *p)
{
    uint32_t coolest = 0;
    unsigned heat = 4;
    for (unsigned i = 0; i < POLICY_STEPS && p->main.count > 0; i++) {
        uint32_t handle = p->main.oldest;
        struct cache_object *o = cache_table_at(p->table, handle);
        if (!policy_stays(o) && o->heat == 0)
            return handle;
        if (!policy_stays(o) && o->heat < heat) {
            heat = o->heat;
            coolest = handle;
        }
        o->heat -= o->heat > 0;
        policy_move(p, &p->main, &p->main, handle, o);
    }
    return coolest;
}

/*
 * Where nothing was found, most are dirty, and will be for a while: the queue is left alone for as many searches as the
 * vain one had steps, so that a small queue full of what was just written does not cost each eviction a round.
 */
static uint32_t policy_search(struct cache_policy *p, struct cache_queue *q)
{
    uint32_t found = q == &p->small ? policy_search_small(p) : policy_search_main(p);
    q->rest = found != 0 ? 0 : q->count < POLICY_STEPS ? q->count : POLICY_STEPS;
    return found;
}

uint32_t cache_policy_victim(struct cache_policy *p)
{
    struct cache_queue *first = &p->small, *other = &p->main;
    if (p->small.count * POLICY_SMALL < p->small.count + p->main.count) {
        first = &p->main;
        other = &p->small;
    }
    size_t in_main = p->main.count;
    bool rests = first->rest > 0;
    uint32_t found = 0;
    if (rests)
        first->rest--;
    else
        found = policy_search(p, first);
    if (found == 0)
        found = policy_search(p, other);
    if (found != 0 || (!rests && p->main.count == in_main))
        return found;
    /* One had been left alone, or a clean one has gone over to the main queue. */
    found = policy_search(p, &p->small);
    return found != 0 ? found : policy_search(p, &p->main);
}
