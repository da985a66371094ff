/* cache_pace.c: see cache_pace.h. */
#include "workers/cache/cache_pace.h"

#include "workers/cache/backing/backing_retry.h"

unsigned cache_pace_room(const struct cache_pace *p, uint64_t now_ms, unsigned under_way,
                         unsigned parallel)
{
    if (cache_pace_pauses(p))
        return under_way == 0 && now_ms >= p->until_ms;
    return under_way < parallel ? parallel - under_way : 0;
}

void cache_pace_answered(struct cache_pace *p)
{
    p->failures = 0;
    p->until_ms = 0;
}

void cache_pace_failed(struct cache_pace *p, uint64_t now_ms, uint64_t asked_ms, uint64_t max_ms,
                       uint32_t random)
{
    if (cache_pace_pauses(p) && now_ms < p->until_ms)
        return; /* it was under way when the pause began */
    p->failures++;
    if (cache_pace_pauses(p))
        p->until_ms = now_ms + backing_retry_pause(p->failures - CACHE_PACE_FAILURES + 1, asked_ms,
                                                   max_ms, random);
}
