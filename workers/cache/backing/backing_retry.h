/*
 * backing_retry.h: when what the store did not take is tried again, and when no more.
 *
 * Runs in a backing worker, and in a node for what it has to store. Pure: clock and chance are the caller's.
 */
#ifndef WORKERS_CACHE_BACKING_RETRY_H
#define WORKERS_CACHE_BACKING_RETRY_H

#include "workers/cache/backing/backing.h"

#define BACKING_RETRY_MIN_MS 100u
/* The longest pause a store is given: who asks for an hour may be well in a second, and nothing is loaded before. */
#define BACKING_RETRY_ASKED_MS (UINT64_C(30) * 1000)

/*
 * The pause after so many failures in a row (from 1 on): doubled from BACKING_RETRY_MIN_MS up to max_ms, the upper half
 * of it by chance (`random`: any number), so that what failed together does not come back together; never less than the
 * store has asked for, within BACKING_RETRY_ASKED_MS.
 */
uint64_t backing_retry_pause(unsigned failures, uint64_t asked_ms, uint64_t max_ms,
                             uint32_t random);

#define BACKING_DEAD_FAILURES 8  /* of one object in a row … */
#define BACKING_DEAD_OTHERS   16 /* … while so many others were taken */

/*
 * Whether an object is a dead letter: refused for good, or failed again and again while the store took others.
 * others_done: how many others it took since this one's first failure. NEWER is the caller's to judge.
 */
bool backing_retry_is_dead(enum backing_result result, unsigned failures, uint64_t others_done);

#endif
