/*
 * cache_parts.h: the keys of a call, or of what the tool asks for, that other nodes of the ring own: each is asked of
 * its owner.
 *
 * Runs in a cache node of a ring. Each such key is a part: one command in Redis' protocol for its owner
 * (cache_forward_send), and its answer, which stays until the call is done: a call is done again from its beginning
 * whenever what it waited for has come (cache_need.h), and a part that is done is not done twice. Run again is what
 * surely did not run, and what only reads: its owner has moved, or was not reached; whose the key is by then is looked
 * at anew. When one part fails, the call does, and what the others did stays done.
 */
#ifndef WORKERS_CACHE_PARTS_H
#define WORKERS_CACHE_PARTS_H

#include "common/buffer.h"
#include "workers/cache/cache_form.h"
#include "workers/cache/cache_park.h"

#define CACHE_PARTS_OUT_MAX 256 /* of one call at once */

enum cache_part_state {
    CACHE_PART_NONE,  /* it was never sent */
    CACHE_PART_OUT,   /* it is not answered */
    CACHE_PART_AGAIN, /* it did not run, or may run twice: to be looked at again */
    CACHE_PART_LATER, /* so too: its owner has to wait for something, and is the owner so far */
    CACHE_PART_DONE,
};

struct cache_part_at {
    enum cache_part_state state;
    uint32_t waited_at; /* its owner had to wait for something; 0: none had */
};

struct cache_parts {
    struct cache_node *node;
    struct cache_part_at *states; /* by the keys' indexes; of those behind `count`: NONE */
    size_t count;
    struct cache_part *out; /* those that are not answered */
    size_t out_count;
    unsigned tries; /* times that some of them were to be looked at again */
    bool again;     /* some are since they were last sent */
    bool rests;     /* some were when the last that was out was answered */
    bool unreached; /* an owner was not, or it has to wait for something: not at once again */
    uint64_t deadline_ms;
    int64_t sum;                   /* of the numbers that were answered */
    bool found;                    /* a value was: */
    struct buffer value;           /* it */
    enum cache_form form;          /* of one that was asked for by PLATOON.COPY */
    char why[CACHE_PARK_WHY_SIZE]; /* the call has failed: an error with its code; "" */
    void (*go)(void *ctx);         /* from the loop: none is out any more. It may free this */
    void *ctx;
};

/* NULL: memory is short. `deadline_ms`: of the call, in the loop's time. */
struct cache_parts *cache_parts_new(struct cache_node *n, uint64_t deadline_ms,
                                    void (*go)(void *ctx), void *ctx);

/* Nobody is told; what is out goes its way. NULL is allowed. */
void cache_parts_free(struct cache_parts *p);

enum cache_part_state cache_parts_state(const struct cache_parts *p, size_t index);

/* Its owner had to wait for something, and is gone: whether it has done what it was to is not known. */
bool cache_parts_is_unsure(const struct cache_parts *p, size_t index);

/* Sends the words (copied) of the part, the key second; it is OUT, or, when it cannot be sent, as if not reached. */
void cache_parts_send(struct cache_parts *p, size_t index, uint32_t owner,
                      const struct slice *words, size_t count, bool writes);

/* Milliseconds until those that are to be looked at again are; 0: at once, or none is to be. */
uint64_t cache_parts_pause(const struct cache_parts *p);

#endif
