/*
 * node_counters.h: the numbers that a worker reports in its beats, as its node holds them.
 *
 * Runs in the master. A node holds what its own worker has reported and nothing else: a thousand programs do not carry
 * room for every counter of every system.
 */
#ifndef MASTER_TREE_NODE_COUNTERS_H
#define MASTER_TREE_NODE_COUNTERS_H

#include "proto/counters.h"

#include <stdint.h>

struct node_counter {
    enum counter counter;
    uint64_t value;
    double rate;   /* of a COUNTER, per second, between the last two beats */
    bool declared; /* it was 0 when it was first told, so it is shown at 0 too */
};

struct node_counters {
    struct node_counter *list; /* in order of their first report */
    size_t count;
};

/*
 * Takes over a value that came `seconds` after the one before; 0: it is the first. A new counter for which there is no
 * memory is passed over: the next beat brings it again.
 */
void node_counters_take(struct node_counters *c, enum counter counter, uint64_t value,
                        double seconds);

/* The last value; 0 when none was reported. */
uint64_t node_counters_value(const struct node_counters *c, enum counter counter);

/* Its worker is gone: nothing moves any more. */
void node_counters_stop(struct node_counters *c);

/* A new incarnation has reported nothing. Also frees. */
void node_counters_clear(struct node_counters *c);

#endif
