/*
 * cache_park_private.h: who waits, as the two files that make that up know it: cache_park.c, which lets them wait, and
 * cache_park_why.c, which says why it is in vain. Nobody else includes it.
 *
 * Runs in a cache node.
 */
#ifndef WORKERS_CACHE_PARK_PRIVATE_H
#define WORKERS_CACHE_PARK_PRIVATE_H

#include "workers/cache/cache_park.h"

struct park_list {
    struct cache_parked *first, *last;
    size_t count;
};

struct cache_park {
    struct cache_park_options options;
    struct cache_loads *loads;
    struct park_list lists[CACHE_PARKED];
    uv_timer_t timer;
    uint64_t wake_ms; /* that the timer is set for */
    struct cache_parked
        *cursor;  /* of who tells some of a list: the next, whoever leaves meanwhile */
    bool changed; /* something has become clean, or dead */
    bool stopping;
};

/* Loads that become copies (cache_reads.h); NULL: there are none. */
struct cache_loads *cache_park_copies(const struct cache_park *park);

/* Why the store gives nothing, or takes nothing; "": it does. */
const char *cache_park_trouble(const struct cache_park *park);

#endif
