/*
 * cache_reads.h: reads that ask no other node: eventual ones, and bounded ones of what was confirmed lately.
 *
 * Runs in a cache node of a ring. What is read so is, in this order: what is in memory of this node's own objects,
 * whatever has become of its lease; a copy (memory/cache_copies.h); what the store has, which becomes a copy, never an
 * object: nothing is claimed for it, logged or stored. While the node has a key by a lease that runs, copies of it are
 * neither looked at nor made; whoever writes a key here drops its copy.
 *
 * Who reads asks whether the key is known (cache_reads_knows), waits for it where it is not (cache_park.h,
 * CACHE_PARKED_COPY, or a load as any other when the node has the key), asks again, and reads in the same turn
 * (cache_reads_find). A bounded read for which there is nothing lately confirmed is as a strong one, and its owner is
 * asked by PLATOON.COPY, which answers in one step what a copy must know: [value or nil, PEXPIRETIME, version, form].
 *
 * Copies count as memory of the node, have an eighth of it at most, and go before any object does, but for a part of
 * them that commands of several keys need to come to an end (READS_KEPT_PART). What is too large for a copy is there
 * for who has waited for it, and gone by the end of the turn.
 */
#ifndef WORKERS_CACHE_READS_H
#define WORKERS_CACHE_READS_H

#include "workers/cache/cache_consistency.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/memory/cache_copies.h"

struct backing;
struct cache_loads;
struct cache_reads;

struct cache_reads_options {
    struct cache_node *node; /* its db and memory_max are used */
    struct backing *backing;
    const uint8_t *hash_key;                   /* SIPHASH_KEY_SIZE bytes, copied */
    uint64_t timeout_ms;                       /* of one call of the store */
    uint64_t retry_max_ms;                     /* longest pause between two tries */
    unsigned parallel;                         /* loads at once */
    bool (*owns)(void *ctx, struct slice key); /* the key is this node's by a lease that runs */
    void (*on_answer)(void *ctx);              /* before anything is learned: a turn begins */
    void *ctx;
};

/* NULL: memory is short. Afterwards cache_db gives up copies when it is full. */
struct cache_reads *cache_reads_new(const struct cache_reads_options *options);

/* After the park (cache_park_free), before db and store. NULL is allowed. */
void cache_reads_free(struct cache_reads *r);

/* Loads that become copies: who waits for one is parked there. */
struct cache_loads *cache_reads_loads(const struct cache_reads *r);

bool cache_reads_owns(const struct cache_reads *r, struct slice key);

/* Whether an eventual read can be answered now. */
bool cache_reads_knows(struct cache_reads *r, struct slice key);

/* Whether a bounded one can: its owner confirmed a copy less than so many milliseconds ago. */
bool cache_reads_is_fresh(struct cache_reads *r, struct slice key, uint64_t ms);

/*
 * Of what is known, or fresh, now. False: there is no such object. The value lives until the next call. *form: what it
 * is to an Erlang client; NULL: that does not matter.
 */
bool cache_reads_find(struct cache_reads *r, struct slice key, enum cache_consistency how,
                      struct slice *value, enum cache_form *form);

/* An eventual read will need it: unless it is known, it is loaded as a copy. Not what cache_reads_owns. */
void cache_reads_ahead(struct cache_reads *r, struct slice key);

/* The key is written, by this node or by one that it asks to. What is on its way from the store counts for nothing. */
void cache_reads_drop(struct cache_reads *r, struct slice key);

/* Nothing is known that could be dropped, nor on its way. */
bool cache_reads_are_none(const struct cache_reads *r);

/* When an owner was asked for a copy; ms 0: it was not. */
struct cache_reads_when {
    uint64_t ms;    /* clock_mono_ms */
    uint64_t drops; /* what had been written by then */
};

/* Now one is. */
struct cache_reads_when cache_reads_ask(struct cache_reads *r);

/*
 * The owner's answer to PLATOON.COPY: kept, its value written to *reply, and its form to *form, unless that is NULL.
 * False: it is none, and nothing is written.
 * It is not kept when the key was written since it was asked for: the answer may come from who was the owner before,
 * behind what the next one has answered to the write. Who has read it had asked before the write was done.
 */
bool cache_reads_take(struct cache_reads *r, struct slice key, struct slice answer,
                      struct cache_reads_when asked, struct resp_reply *reply,
                      enum cache_form *form);

/* At the end of each turn: what is too large for a copy goes. */
void cache_reads_turn(struct cache_reads *r);

size_t cache_reads_count(const struct cache_reads *r); /* copies */

#endif
