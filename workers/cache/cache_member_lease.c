/*
 * cache_member_lease.c: what time it is for a node in its ring: whether it may serve, and from where on versions count.
 * Below all other files of cache_member; see cache_member_private.h.
 */
#include "workers/cache/cache_member_private.h"

#include "common/clock.h"

void cache_member_now(struct cache_member *r)
{
    r->now_us = clock_boot_us();
}

bool cache_member_serves(const struct cache_member *r)
{
    return r->walk == MEMBER_SETTLED && cache_lease_serves(&r->lease, clock_boot_us());
}

int64_t cache_member_version(struct cache_member *r)
{
    return cache_lease_version(&r->lease, clock_boot_us());
}

/* What was dirty at the start is of cells that are claimed first: nothing is settled until that is answered. */
bool cache_member_may_store(struct cache_member *r)
{
    return cache_member_serves(r) && r->session == MEMBER_IN &&
           cache_cells_count(r->cells, CACHE_CELL_HELD) == 0;
}
