/*
 * cache_second_batch.h: the requests by which a node has second copies made and dropped: lists of them, in order.
 *
 * Runs in a cache node; for cache_second.c. Pure: knows no messages. Batches are allocated by who makes them.
 */
#ifndef WORKERS_CACHE_SECOND_BATCH_H
#define WORKERS_CACHE_SECOND_BATCH_H

#include "common/buffer.h"

/* A request: key and version of each copy, as in a message. It waits when it has no token. */
struct second_batch {
    struct second_batch *next;
    uint64_t token;
    uint64_t number;  /* of copies the first change in it, of drops the last */
    uint64_t at_ms;   /* tried again then */
    uint64_t log_end; /* of drops: the log has all that is dropped before that */
    size_t count;
    struct buffer keys;
    struct buffer rest; /* keys that are sent when these are copied */
};

struct second_list {
    struct second_batch *first, **end;
    size_t count;
};

void second_init_list(struct second_list *l);

/* At its end; it is the list's from then on. */
void second_push(struct second_list *l, struct second_batch *b);
void second_free_batch(struct second_batch *b); /* NULL is allowed */

/* Out of the list, and the caller's; NULL: none has that token. */
struct second_batch *second_pull(struct second_list *l, uint64_t token);

/* Frees all of them. */
void second_clear(struct second_list *l);

/* None of them is answered any more: each waits, and is due. */
void second_recall(struct second_list *l);

#endif
