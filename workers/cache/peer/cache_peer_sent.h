/*
 * cache_peer_sent.h: what a node was sent and has not answered, and which of it an answer is to.
 *
 * Runs in a cache node of a ring. Pure. A node answers commands that have a number in any order, each answer with its
 * number, for one may wait there long after those behind it are done; what has none is answered in the order in which
 * it was sent. Each has one answer all the same, so that a connection's own count of them stays right.
 */
#ifndef WORKERS_CACHE_PEER_SENT_H
#define WORKERS_CACHE_PEER_SENT_H

#include "common/slice.h"

#include <stdint.h>

#define CACHE_PEER_SENT_SLOTS 256

struct cache_peer_call;

/* Zeroed it is empty. */
struct cache_peer_sent {
    struct cache_peer_call *first, *last;                 /* as they were sent */
    struct cache_peer_call *slots[CACHE_PEER_SENT_SLOTS]; /* those with a number, by it */
};

void cache_peer_sent_add(struct cache_peer_sent *s, struct cache_peer_call *call);
void cache_peer_sent_remove(struct cache_peer_sent *s, struct cache_peer_call *call);

/*
 * Whose answer this is, whole and RESP2: that of its number, and *answer is what stands behind that; else the first's.
 * NULL: nothing is unanswered.
 */
struct cache_peer_call *cache_peer_sent_find(const struct cache_peer_sent *s, struct slice *answer);

#endif
