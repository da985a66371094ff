/*
 * backing_grave.h: tombstones that were put, and when each may be taken away.
 *
 * Runs in a backing worker. Pure: times are the caller's. In order, and bounded; what finds no room is not remembered,
 * and neither is anything beyond the process: such a tombstone stays in the store, which does no harm.
 */
#ifndef WORKERS_CACHE_BACKING_GRAVE_H
#define WORKERS_CACHE_BACKING_GRAVE_H

#include "common/slice.h"

#include <stdint.h>

struct backing_grave {
    struct backing_tomb *first, *last;
    size_t count, bytes;
    size_t count_max, bytes_max;
};

struct backing_tomb {
    struct backing_tomb *next;
    uint64_t version, due_ms;
    size_t key_len;
    char key[];
};

/* due_ms never less than that of the one before. */
void backing_grave_add(struct backing_grave *g, struct slice key, uint64_t version,
                       uint64_t due_ms);

/* The first that is due, the caller's to free; NULL: none is. */
struct backing_tomb *backing_grave_take(struct backing_grave *g, uint64_t now_ms);

static inline struct slice backing_tomb_key(const struct backing_tomb *t)
{
    return slice_make(t->key, t->key_len);
}

void backing_grave_fini(struct backing_grave *g);

#endif
