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

enum counter {
#define X(NAME, name, kind, help) COUNTER_##NAME,
    SYSTEMS(COUNTERS, X)
#undef X
        COUNTER_COUNT
};

/* "messages_in_total" and so on. */
const char *counter_name(enum counter counter);

/* What it means that this gauge is not 0, with the remedy (WARNINGS); NULL when it is a number like others. */
const char *counter_warning(enum counter counter);

/* True for a COUNTER, false for a GAUGE. */
bool counter_is_monotonic(enum counter counter);

/* Finds a counter by name; COUNTER_COUNT when there is none. */
enum counter counter_find(const char *name, size_t len);

#endif
