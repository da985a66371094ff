/*
 * cache_need.h: what a call or a request must wait for before it can be done.
 *
 * Runs in a cache node. Who does something asks here first, about all that it will need: nothing has been done when it
 * must wait, and it is done again from its beginning when it has (cache_mail.c). Without a store nothing waits, but
 * what is asked of a key that nobody may have is refused, with a ring and without. In a ring whose a key is is asked
 * about first (cache_need_where), and what another node has is done there.
 */
#ifndef WORKERS_CACHE_NEED_H
#define WORKERS_CACHE_NEED_H

#include "common/buffer.h"
#include "workers/cache/cache_consistency.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/cache_parts.h"

struct cache_node;

/* What something must wait for before it can be done (cache_park.h). */
struct cache_need {
    enum cache_consistency
        consistency; /* of its reads: said before a key is asked about; strong then, if nothing is fresh */
    uint64_t bound_ms; /* of CACHE_BOUNDED */
    bool form;         /* who reads wants the form too: said before, likewise */
    bool looks;  /* nothing is done, what it will need is loaded: who asks has its turn later */
    bool leased; /* what was read here is an answer only while this node has its lease */
    bool waits;  /* nothing has been done; what for: */
    enum cache_parked_for what; /* CACHE_PARKED_AWAY: for its parts at other nodes */
    bool refused;               /* it waits in vain: `key` has the error, with its code */
    struct buffer key;          /* of CACHE_PARKED_LOAD, CACHE_PARKED_STORED; kept by who asks */
    uint64_t cell;              /* of CACHE_PARKED_CELL */
    struct cache_parts
        *parts;       /* of a call that has some; NULL: nothing is sent, it waits for AWAY */
    uint64_t left_ms; /* of its time, where it has parts */
    /*
     * Of the keys that are to be stored, in their order: so many are, as they were when it began to wait for each,
     * whoever has written them since; so many will be when what is waited for has come.
     */
    uint32_t stored, looked;
};

enum cache_need_where {
    CACHE_NEED_HERE,  /* this node has the key; what else is needed is to be asked about */
    CACHE_NEED_DONE,  /* it was done, there or here: need->parts has what was answered */
    CACHE_NEED_WAITS, /* *need says for what */
};

/*
 * Where a key is dealt with: of each of a call's keys, by its index, before anything is done. `words`: the command that
 * does it where the key is, if that is another node; the key is the second.
 */
enum cache_need_where cache_need_where(struct cache_node *n, size_t index,
                                       const struct slice *words, size_t count, bool writes,
                                       struct cache_need *need);

/*
 * The same of the one key that is read, as fresh as need->consistency says, which is told how it is to be read then
 * (cache_access_get): strong, if nothing fresh is known of a bounded one. HERE: it is known, too.
 */
enum cache_need_where cache_need_where_read(struct cache_node *n, struct slice key,
                                            struct cache_need *need);

/* The same of one that is to be stored where it is. */
enum cache_need_where cache_need_where_stored(struct cache_node *n, uint32_t index,
                                              struct slice key, struct cache_need *need);

/* The same, asked again in the turn in which nothing had to wait: whether it is this node that does it. */
bool cache_need_is_here(const struct cache_need *need, size_t index);

/*
 * False: it must wait, which *need says now. Each of a command's keys is asked about before it does anything: the loads
 * of those behind the first are begun too.
 */
bool cache_need_knows(struct cache_node *n, struct slice key, struct cache_need *need);
bool cache_need_has_room(struct cache_node *n, struct cache_need *need);
bool cache_need_is_stored(struct cache_node *n, uint32_t index, struct slice key,
                          struct cache_need *need);

/* Has it stored now, a dead letter too. True: the store does not have it yet. */
bool cache_need_ask(struct cache_node *n, struct slice key);

#endif
