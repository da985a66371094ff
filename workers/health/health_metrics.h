/*
 * health_metrics.h: the tree as Prometheus' text
 * (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).
 *
 * Runs in health workers. Pure. Names and help of a worker's own counters are proto/counters.h's; every metric has HELP
 * and TYPE, and every sample the labels worker and type.
 */
#ifndef WORKERS_HEALTH_METRICS_H
#define WORKERS_HEALTH_METRICS_H

#include "common/buffer.h"

#include <stdint.h>

/* Resident memory of a process that the tree names, with `family` of all its descendants; 0: it is not known. */
typedef uint64_t health_memory(uint64_t pid, bool family);

/*
 * Appends all metrics. `memory`: is asked once for each worker that runs. `node`: the root as PROTOCOL.md, Control
 * socket, has it; `ready` and `uptime_ms` are the master's. False when the node cannot be read; `out` is then of no
 * use.
 */
bool health_metrics(struct buffer *out, struct slice node, bool ready, uint64_t uptime_ms,
                    health_memory *memory);

#endif
