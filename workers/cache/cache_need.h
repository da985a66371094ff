/*
 * cache_need.h: what a call or a request must wait for before it can be done.
 *
 * Runs in a cache node. Who does something asks here first, about all that it will need: nothing has been done when it
 * must wait, and it is done again from its beginning when it has (cache_mail.c). Without a store nothing waits.
 */
#ifndef WORKERS_CACHE_NEED_H
#define WORKERS_CACHE_NEED_H

#include "common/buffer.h"
#include "workers/cache/cache_consistency.h"
#include "workers/cache/cache_park.h"

struct cache_node;

/* What something must wait for before it can be done (cache_park.h). */
struct cache_need {
    enum cache_consistency consistency; /* of its reads: said before a key is asked about */
    uint64_t bound_ms;                  /* of CACHE_BOUNDED */
    bool looks; /* nothing is done, what it will need is loaded: who asks has its turn later */
    bool waits; /* nothing has been done; what for: */
    enum cache_parked_for what;
    struct buffer key; /* of CACHE_PARKED_LOAD, CACHE_PARKED_STORED; kept by who asks */
    /*
     * Of the keys that are to be stored, in their order: so many are, as they were when it began to wait for each,
     * whoever has written them since; so many were asked about this time.
     */
    uint32_t stored, looked;
};

/*
 * False: it must wait, which *need says now. Each of a command's keys is asked about before it does anything: the loads
 * of those behind the first are begun too.
 */
bool cache_need_knows(struct cache_node *n, struct slice key, struct cache_need *need);
bool cache_need_has_room(struct cache_node *n, struct cache_need *need);
bool cache_need_is_stored(struct cache_node *n, struct slice key, struct cache_need *need);

/* Has it stored now, a dead letter too. True: the store does not have it yet. */
bool cache_need_ask(struct cache_node *n, struct slice key);

#endif
