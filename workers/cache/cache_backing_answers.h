/*
 * cache_backing_answers.h: a backing worker's answers to nodes, also while the way to one of them is full.
 *
 * Runs in a backing worker. What a node's queue has no room for is kept, and sent some milliseconds later, in order;
 * meanwhile the worker begins no more gets (cache_backing_answers_wait), so that no more is kept than was under way.
 * What is for an incarnation that is gone is dropped. One for which memory is too short becomes "away", which is short,
 * and the node asks again.
 */
#ifndef WORKERS_CACHE_BACKING_ANSWERS_H
#define WORKERS_CACHE_BACKING_ANSWERS_H

#include "workers/cache/backing/backing_queue.h"
#include "workers/skeleton/worker.h"

struct cache_backing_unsent;

struct cache_backing_answers {
    struct worker *w;
    uv_timer_t timer;
    struct cache_backing_unsent *first, *last;
    void (*on_room)(void *ctx); /* nothing is kept any more; from the loop */
    void *ctx;
};

void cache_backing_answers_open(struct cache_backing_answers *a, struct worker *w,
                                void (*on_room)(void *ctx), void *ctx);

/* Drops what is kept; the timer closes in the loop. */
void cache_backing_answers_close(struct cache_backing_answers *a);

void cache_backing_answers_give(struct cache_backing_answers *a, const struct backing_to *to,
                                const struct backing_answer *answer);

/* Whether any is kept. */
bool cache_backing_answers_wait(const struct cache_backing_answers *a);

#endif
