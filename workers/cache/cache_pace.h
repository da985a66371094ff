/*
 * cache_pace.h: how many calls a store gets, while it answers and while it does not.
 *
 * Runs in a cache node. Pure: clock and chance are the caller's. While calls succeed, as many as there may be at once.
 * When CACHE_PACE_FAILURES failed in a row, one at a time, with a pause before each that grows with each that fails: a
 * store that is away is not hammered by all that waits for it. One answer that is none of AWAY or FORBIDDEN ends it.
 */
#ifndef WORKERS_CACHE_PACE_H
#define WORKERS_CACHE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define CACHE_PACE_FAILURES 3u

struct cache_pace {
    unsigned failures; /* in a row; of many at once the first of each pause counts */
    uint64_t until_ms; /* nothing before that, while it pauses */
};

static inline bool cache_pace_pauses(const struct cache_pace *p)
{
    return p->failures >= CACHE_PACE_FAILURES;
}

/* How many may be started now, of `parallel` at once of which some are under way. */
unsigned cache_pace_room(const struct cache_pace *p, uint64_t now_ms, unsigned under_way,
                         unsigned parallel);

void cache_pace_answered(struct cache_pace *p);

/* As backing_retry_pause: what the store asked for, the longest pause, any number. */
void cache_pace_failed(struct cache_pace *p, uint64_t now_ms, uint64_t asked_ms, uint64_t max_ms,
                       uint32_t random);

#endif
