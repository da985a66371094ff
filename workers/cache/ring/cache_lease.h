/*
 * cache_lease.h: until when a cache node may serve what it owns, and what time its versions tell.
 *
 * Runs in a cache node of a ring. Pure: knows no clock; `now_us` is CLOCK_BOOTTIME in microseconds, which node and
 * manager share, as they are on one host, and which goes on while that host sleeps: with CLOCK_MONOTONIC a node would
 * wake up with a lease that others saw end. Never a wall clock: somebody may set it.
 *
 * The manager's beat that Redis has confirmed is a lease (RING_LEASE): `until` is 0.8 lease after the *sending* of it.
 * Others take the node for lost 1.2 lease after that at the earliest, so that clocks whose rates differ by 10 % still
 * agree on who was first: 0.8 * 1.1 < 1.2 * 0.9. What is told may come twice, late, or in another order: a lease only
 * grows, and never beyond what was told. It is looked at for each command, and once more before the turn's
 * acknowledgements leave, with the clock read anew: no timer ends it, for a process may be stopped between any steps.
 *
 * A lease is one incarnation's. That of another is none, and one that was told to be lost has none any more, whatever
 * still comes for it.
 */
#ifndef WORKERS_CACHE_LEASE_H
#define WORKERS_CACHE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: no incarnation, no lease. */
struct cache_lease {
    uint32_t incarnation; /* whose; 0: of nobody */
    int64_t until_us;     /* it ends then; 0: there is none */
    int64_t at_us;        /* when the newest beat was sent */
    int64_t redis_us;     /* Redis' TIME in its answer */
    int64_t version_us;   /* the highest version clock that was read */
};

/*
 * The node goes on as this one (0: as nobody: its incarnation is lost). Told the same once more: nothing changes. Else
 * there is no lease until one is told for it; the version clock goes on, as versions grow over all of a node's lives.
 */
void cache_lease_begin(struct cache_lease *l, uint32_t incarnation);

/*
 * A beat was confirmed: sent at at_us, answered with Redis' time redis_us, it is a lease until until_us. True when it
 * says something new; false: of another incarnation, not newer than what is known, or no such thing (a time that is not
 * above 0, or an end before its beginning).
 */
bool cache_lease_take(struct cache_lease *l, uint32_t incarnation, int64_t until_us, int64_t at_us,
                      int64_t redis_us);

/* Whether strong commands may be served, and acknowledged, and objects stored, at this moment. */
static inline bool cache_lease_serves(const struct cache_lease *l, int64_t now_us)
{
    return now_us < l->until_us;
}

/*
 * What a version is at least: Redis' clock, in microseconds since 1970, as the newest beat tells it: at most the time
 * that this beat took ahead of it. It stands still when the lease is over: who was stopped between looking at the lease
 * and writing writes nothing that is newer than what another owner has acknowledged since. It never goes back, though
 * Redis' own clock may (another primary). 0 before the first lease.
 */
int64_t cache_lease_version(struct cache_lease *l, int64_t now_us);

/* What is written from now on gets versions from this one on at least: Redis' clock when it granted a cell. */
void cache_lease_rise(struct cache_lease *l, int64_t version_us);

#endif
