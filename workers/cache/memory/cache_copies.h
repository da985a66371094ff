/*
 * cache_copies.h: copies of objects that other nodes own, or of which the store told, for eventual and bounded reads.
 *
 * Runs in a cache node of a ring. Pure: is told what time it is, asks nobody. A copy tells of a key what its owner, or
 * the store, answered: a value, or that there is none. It is never stored and not in the log, and nobody misses it:
 * what exceeds bytes_max, or is wanted for something else (cache_copies_shrink), goes at once, the least recently used
 * first. Such a queue and not cache_policy's: copies are few and short-lived beside objects, and who bounds their age
 * has no use for one that is kept because it was used often.
 *
 * An object that is ours has no copy: who claims its cell, or has its write acknowledged by the owner, drops it.
 */
#ifndef WORKERS_CACHE_COPIES_H
#define WORKERS_CACHE_COPIES_H

#include "common/siphash.h"
#include "common/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_copy {
    struct slice value; /* empty when it is absent */
    bool absent;        /* there was no such object */
    unsigned form;      /* enum cache_form */
    uint64_t version;   /* as it was answered */
    int64_t expiry_ms;  /* milliseconds since 1970; INT64_MAX: never */
    uint64_t
        confirmed_ms; /* clock_mono_ms when the request was *sent* that its owner answered; 0: the store told */
};

/*
 * Whether its owner confirmed it at most so many milliseconds ago: what a bounded read may take. Both times have lost
 * what is behind their milliseconds, so that a difference of ms may be almost one more; of 0 nothing is fresh, then.
 */
static inline bool cache_copy_is_fresh(const struct cache_copy *copy, uint64_t now_mono_ms,
                                       uint64_t ms)
{
    return copy->confirmed_ms != 0 && ms > 0 &&
           (now_mono_ms <= copy->confirmed_ms || now_mono_ms - copy->confirmed_ms < ms);
}

struct cache_copies;

/*
 * bytes_max: of all of this, as the allocator counts it; tables of some 50 KB are part of that, so that much less holds
 * nothing. hash_key: siphash's, copied. NULL when memory is short.
 */
struct cache_copies *cache_copies_new(size_t bytes_max, const uint8_t hash_key[SIPHASH_KEY_SIZE]);
void cache_copies_free(struct cache_copies *c); /* NULL is allowed */

/*
 * Keeps what was answered, copied, in place of what is known, unless that was confirmed later: then it stays. Key and
 * value must not be of a copy that is here. False: memory is short, or they have more bytes than half of the bound;
 * then nothing is known of the key any more, as it would be older than what has been told.
 */
bool cache_copies_put(struct cache_copies *c, struct slice key, const struct cache_copy *copy);

/*
 * What is known of the key, which counts as use. NULL: nothing; or it has expired, and is gone now. It holds until the
 * next call with `c`.
 */
const struct cache_copy *cache_copies_find(struct cache_copies *c, struct slice key,
                                           int64_t now_wall_ms);

void cache_copies_drop(struct cache_copies *c, struct slice key);

/* Takes as long as there are many: for what happens seldom, such as another run of the ring. */
void cache_copies_drop_all(struct cache_copies *c);

/* Gives up copies until about so many bytes are free, or there is none. Returns how many bytes are. */
size_t cache_copies_shrink(struct cache_copies *c, size_t bytes);

size_t cache_copies_bytes(const struct cache_copies *c);
size_t cache_copies_count(const struct cache_copies *c);

#endif
