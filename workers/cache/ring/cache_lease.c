/* cache_lease.c: see cache_lease.h. */
#include "workers/cache/ring/cache_lease.h"

void cache_lease_begin(struct cache_lease *l, uint32_t incarnation)
{
    if (l->incarnation == incarnation)
        return;
    l->incarnation = incarnation;
    l->until_us = 0;
}

bool cache_lease_take(struct cache_lease *l, uint32_t incarnation, int64_t until_us, int64_t at_us,
                      int64_t redis_us)
{
    if (incarnation == 0 || incarnation != l->incarnation)
        return false;
    if (at_us <= 0 || redis_us <= 0 || until_us < at_us)
        return false;
    bool longer = until_us > l->until_us, newer = at_us > l->at_us;
    if (longer)
        l->until_us = until_us;
    if (newer) {
        l->at_us = at_us;
        l->redis_us = redis_us;
    }
    return longer || newer;
}

/* No overflow: both are at least 0, and a sum beyond the end stays there. */
static int64_t lease_sum(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int64_t cache_lease_version(struct cache_lease *l, int64_t now_us)
{
    if (l->redis_us == 0)
        return 0;
    int64_t until_us = now_us < l->until_us ? now_us : l->until_us;
    int64_t clock = until_us > l->at_us ? lease_sum(l->redis_us, until_us - l->at_us) : l->redis_us;
    cache_lease_rise(l, clock);
    return l->version_us;
}

void cache_lease_rise(struct cache_lease *l, int64_t version_us)
{
    if (version_us > l->version_us)
        l->version_us = version_us;
}
