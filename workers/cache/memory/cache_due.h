/*
 * cache_due.h: which objects the store shall hear of, in which order, since when: lists of handles.
 *
 * Runs in a cache node. Pure. What is kept of a dirty object stands here and not in the object, since most are clean:
 * 36 bytes of each that is in a list. It is found by its handle, so that one that is stored, deleted or expired leaves
 * its place at once and exactly. A ring of handles with stale ones in it would be smaller, but a handle is another
 * object's soon, and that one would be stored before it is due: what lives for moments would never be gone for good.
 */
#ifndef WORKERS_CACHE_DUE_H
#define WORKERS_CACHE_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_due_list {
    CACHE_DUE_NONE,
    CACHE_DUE_WAITING, /* dirty, until its time has come */
    CACHE_DUE_NOW,     /* dirty, and somebody wants it stored */
    CACHE_DUE_BUSY,    /* being stored */
    CACHE_DUE_DEAD,    /* dead letters */
    CACHE_DUE_LISTS,
};

struct cache_due_node {
    int64_t mark; /* the caller's: since when, or what the store has */
    uint32_t handle, chain, older, newer;
    uint32_t list;
};

struct cache_due {
    struct cache_due_node *nodes; /* from 1 on */
    uint32_t *buckets;            /* by handle: the first node, or 0; as many as nodes */
    uint32_t capacity;            /* a power of two, or 0 */
    uint32_t used;                /* nodes ever taken of these */
    uint32_t free;                /* the first that was given back, or 0; by `chain` */
    uint32_t count;
    struct {
        uint32_t oldest, newest, count;
    } lists[CACHE_DUE_LISTS];
    size_t bytes; /* of all of this, as the allocator counts them */
};

#define CACHE_DUE_EMPTY ((struct cache_due){0})
void cache_due_fini(struct cache_due *d);

/* Memory for one more. False: it is short. */
bool cache_due_reserve(struct cache_due *d);

/* The list it is in, and its mark (may be NULL); CACHE_DUE_NONE. */
enum cache_due_list cache_due_find(const struct cache_due *d, uint32_t handle, int64_t *mark);

/* To the end of that list, from whichever it is in. One that is in none needs cache_due_reserve before. */
void cache_due_put(struct cache_due *d, uint32_t handle, enum cache_due_list list, int64_t mark);

/* Out of its list, if it is in one. */
void cache_due_remove(struct cache_due *d, uint32_t handle);

/* The first of a list, or 0. */
uint32_t cache_due_first(const struct cache_due *d, enum cache_due_list list, int64_t *mark);

/* The last of a list, or 0. */
uint32_t cache_due_last(const struct cache_due *d, enum cache_due_list list, int64_t *mark);

/* The one behind it in its list, or 0. */
uint32_t cache_due_next(const struct cache_due *d, uint32_t handle);

static inline size_t cache_due_count(const struct cache_due *d, enum cache_due_list list)
{
    return d->lists[list].count;
}

#endif
