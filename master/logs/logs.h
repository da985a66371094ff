/*
 * logs.h: the newest log lines of all workers and of the master, kept for `platoonctl logs`.
 *
 * Runs in the master, one thread. Bounded by lines and bytes; the oldest go first. Lines are as they were said, before
 * they became text or JSON. What memory is short for is not kept: it was written to stderr all the same.
 */
#ifndef MASTER_LOGS_H
#define MASTER_LOGS_H

#include "common/buffer.h"
#include "common/log.h"

#include <stdint.h>

#define LOGS_LINES_MAX 4096
#define LOGS_BYTES_MAX (1024u * 1024)

/* Keeps a line; copies everything. */
void logs_add(uint64_t wall_ms, enum log_level level, const char *worker, struct slice line);

/*
 * Appends an array of [time ms, level, worker, line] to `out`: those after line number `after` that belong to `name`,
 * at most the last `limit` of them; *last is the number of the newest line there is, for the next call's `after`. A
 * name is a worker, a branch (all below it), a pattern with * or ?, or "" for all; the master's own lines about a
 * worker (name=…) count as that worker's. Returns how many.
 */
size_t logs_pack(struct buffer *out, struct slice name, uint64_t after, size_t limit,
                 uint64_t *last);

/*
 * Takes over what logs_pack of another master gave for "" and all, whose newest line had the number `last`: numbering
 * goes on from there. What cannot be read is left out.
 */
void logs_restore(struct slice packed, uint64_t last);

/* Forgets all lines. */
void logs_fini(void);

#endif
