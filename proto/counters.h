/*
 * counters.h: every number a worker reports in its beats, from the COUNTERS of proto/systems.h.
 *
 * Read by workers, which count, and by the master, the tool and the health worker, which show.
 */
#ifndef PROTO_COUNTERS_H
#define PROTO_COUNTERS_H

#include "proto/systems.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A histogram is so many counters in a row: a cell for each bound, one of all, one of their milliseconds. */
enum {
    HISTOGRAM_BOUNDS = 13,
    HISTOGRAM_ALL = HISTOGRAM_BOUNDS,
    HISTOGRAM_SUM_MS,
    HISTOGRAM_CELLS,
};

enum counter {
#define X(NAME, name, kind, help) COUNTER_##NAME,
    SYSTEMS(COUNTERS, X)
#undef X
        COUNTER_PLAIN, /* from here on cells of histograms */
    COUNTER_BEFORE_CELLS = COUNTER_PLAIN - 1,
#define X(NAME, name, help)                                                                        \
    COUNTER_##NAME, COUNTER_##NAME##_LAST = COUNTER_##NAME + HISTOGRAM_CELLS - 1,
    SYSTEMS(HISTOGRAMS, X)
#undef X
        COUNTER_COUNT
};

/* The bounds of a cell, in milliseconds, and as Prometheus' le has it. */
extern const struct histogram_bound {
    uint64_t ms;
    const char *le;
} histogram_bounds[HISTOGRAM_BOUNDS];

/* A histogram by its number in the list of all: its first cell, name and help. False: there is none. */
bool counter_histogram(size_t i, enum counter *first, const char **name, const char **help);

/* "messages_in_total" and so on. */
const char *counter_name(enum counter counter);

/* What it means that this gauge is not 0, with the remedy (WARNINGS); NULL when it is a number like others. */
const char *counter_warning(enum counter counter);

/* True for a COUNTER, false for a GAUGE. */
bool counter_is_monotonic(enum counter counter);

/* Finds a counter by name; COUNTER_COUNT when there is none. */
enum counter counter_find(const char *name, size_t len);

#endif
