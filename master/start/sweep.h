/*
 * sweep.h: what a master that died without a word left in its runtime directory.
 *
 * Runs in the master, once, at start-up, with the instance lock held. Its workers and its embedded servers outlive it
 * by up to CONTRACT_ORPHAN_MS and a little: a second redis-server on the same append-only file would spoil it, and a
 * worker on its way out would remove the mailbox of its successor. So they are waited for before anything is removed.
 */
#ifndef MASTER_SWEEP_H
#define MASTER_SWEEP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Blocks until nobody listens on a mailbox or a redis*.sock under `runtime_dir` any more, at most `within_ms`. Returns
 * 0, or -ETIMEDOUT with the path of one that is still answered in `busy`.
 */
int sweep_wait(const char *runtime_dir, uint64_t within_ms, char *busy, size_t size);

/* Removes control.sock, redis*.sock, platoon.pid and everything in mbox/. Other files are left alone. */
void sweep_remove(const char *runtime_dir);

#endif
