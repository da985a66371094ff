/*
 * cache_trouble.h: what of all that a store says is told to people, so that one cause is one warning.
 *
 * Runs in a cache node. Pure. What keeps objects from being stored comes with another object's name each time, or
 * alternates between two texts: each change would be a line in the log, every second. A cause, whatever its object,
 * is told anew when CACHE_TROUBLE_PERIOD_MS have passed, or when the trouble was over in between; until then what was
 * told last stands. It must not hide a cause that has not been told.
 */
#ifndef WORKERS_CACHE_TROUBLE_H
#define WORKERS_CACHE_TROUBLE_H

#include <stdint.h>

#define CACHE_TROUBLE_PERIOD_MS 60000
#define CACHE_TROUBLE_CAUSES    8
#define CACHE_TROUBLE_SIZE      1024

/* Zeroed before its first use. */
struct cache_trouble {
    struct {
        uint64_t cause, at_ms; /* 0: none */
    } told[CACHE_TROUBLE_CAUSES];
    unsigned next;
    char text[CACHE_TROUBLE_SIZE];
};

/* What is to be told, `what` and `why` or what stands; "" when `why` is. Lives until the next call. */
const char *cache_trouble_of(struct cache_trouble *t, const char *what, const char *why,
                             uint64_t now_ms);

#endif
