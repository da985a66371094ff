/* cache_park_why.c: what the store does for those who wait, and why they wait in vain. See cache_park.h. */
#include "workers/cache/cache_park_private.h"

#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_reads.h"

#include <stdio.h>

/* ---- the store, for objects and for copies ---- */

struct cache_loads *cache_park_copies(const struct cache_park *park)
{
    const struct cache_reads *reads = park->options.node->reads;
    return reads != NULL ? cache_reads_loads(reads) : NULL;
}

const char *cache_park_loads_trouble(const struct cache_park *park)
{
    const struct cache_loads *copies = cache_park_copies(park);
    const char *why = cache_loads_trouble(park->loads);
    return why[0] != '\0' || copies == NULL ? why : cache_loads_trouble(copies);
}

struct cache_load_stats cache_park_load_stats(const struct cache_park *park)
{
    const struct cache_loads *copies = cache_park_copies(park);
    struct cache_load_stats stats = *cache_loads_stats(park->loads);
    if (copies != NULL) {
        stats.loads += cache_loads_stats(copies)->loads;
        stats.failed += cache_loads_stats(copies)->failed;
    }
    return stats;
}

/* ---- why it was in vain ---- */

const char *cache_park_trouble(const struct cache_park *park)
{
    const struct cache_node *n = park->options.node;
    const char *behind = n->behind != NULL ? cache_behind_trouble(n->behind) : "";
    const char *load = cache_park_loads_trouble(park);
    return load[0] != '\0' ? load : behind;
}

void cache_park_refuse(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE])
{
    const char *trouble = cache_park_trouble(park);
    snprintf(why, CACHE_PARK_WHY_SIZE, "TRYAGAIN the store of %s gives no answer: %s",
             park->options.node->options.name,
             trouble[0] != '\0' ? trouble : "it is slower than `timeout` allows");
}

void cache_park_refuse_ring(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE])
{
    char text[CACHE_MEMBER_WHY_SIZE];
    cache_member_why(park->options.node->member, text);
    snprintf(why, CACHE_PARK_WHY_SIZE, "TRYAGAIN the ring of %s: %s",
             park->options.node->options.name, text);
}

void cache_park_refuse_lost(const struct cache_park *park, uint32_t owner,
                            char why[CACHE_PARK_WHY_SIZE])
{
    struct cache_member_peer peer = cache_member_node_of(park->options.node->member, owner);
    char who[CACHE_PARK_WHY_SIZE / 2] = "the node that has this object";
    if (peer.name.len > 0)
        snprintf(who, sizeof who, "cache node %.*s at %.*s, which has this object,",
                 (int)peer.name.len, peer.name.ptr, (int)peer.address.len, peer.address.ptr);
    snprintf(why, CACHE_PARK_WHY_SIZE,
             "TRYAGAIN %s is lost: it is served again when that node is back (platoonctl cache "
             "ring), or was forgotten (cache forget)",
             who);
}

void cache_park_too_much(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE])
{
    snprintf(why, CACHE_PARK_WHY_SIZE,
             "TRYAGAIN the objects of this command do not fit into the memory of %s together: ask "
             "for fewer at a time, or raise memory",
             park->options.node->options.name);
}
