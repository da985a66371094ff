/*
 * cache_trim.h: gives back what the allocator keeps for itself.
 *
 * Runs in a cache node. Objects of other sizes than those that were there before leave holes, which count in no sum of
 * ours: with values of some 30 KB the process had twice what the node may use. The pages of holes can be given back in
 * their place (malloc_trim). An allocator of our own, or one of Redis' kind, was rejected: a process has one only, and
 * this one does it in 10 lines.
 */
#ifndef WORKERS_CACHE_TRIM_H
#define WORKERS_CACHE_TRIM_H

#include <stdbool.h>
#include <stddef.h>

struct cache_trim {
    size_t
        kept; /* bytes beside those in use that the last one could not give back, or that were less since */
};

/*
 * To be called once a second. `used`: bytes that are in use as far as the node knows. True when something was given
 * back, which takes some 0.1 ms a megabyte: only when an eighth of `used` and 16 MB more are not in use, and not again
 * for what could not be given back.
 */
bool cache_trim(struct cache_trim *t, size_t used);

#endif
