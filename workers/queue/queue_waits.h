/*
 * queue_waits.h: how long what was handed out had waited: the median, and what one of a hundred waits longer.
 *
 * Runs in queue workers. Pure. Counts in classes of which each is an eighth wider than the one before, so that an
 * answer is at most an eighth too high; of the last minute, in slices of ten seconds.
 */
#ifndef WORKERS_QUEUE_QUEUE_WAITS_H
#define WORKERS_QUEUE_QUEUE_WAITS_H

#include <stddef.h>
#include <stdint.h>

#define QUEUE_WAITS_CLASSES  200
#define QUEUE_WAITS_SLICES   7 /* six that are over, and the one that is */
#define QUEUE_WAITS_SLICE_MS 10000

struct queue_waits {
    uint32_t counts[QUEUE_WAITS_SLICES][QUEUE_WAITS_CLASSES];
    uint64_t slice; /* the number of the one that is */
};

/* One has waited so long; `now_ms` is clock_mono_ms. */
void queue_waits_add(struct queue_waits *w, uint64_t now_ms, uint64_t waited_ms);

/* What `part` of a hundred have waited at most; 0: nothing was handed out in the last minute. */
uint64_t queue_waits_part(struct queue_waits *w, uint64_t now_ms, unsigned part);

#endif
