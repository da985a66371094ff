/*
 * cache_far.h: the store behind a node, as a struct backing: each call is said to a backing worker, and its answer
 * handed back.
 *
 * Runs in a cache node. Knows no store, and links none. All of a key goes to one live worker, chosen by hash
 * (rendezvous): it knows what it last saw of the object, and which of its writes are unaccounted for. Rejected: whoever
 * has least to do, which would make each second put ask the store what is there, and lose sight of late writes. A call
 * for which its worker has no room waits here, where it costs no copy of its value; when that worker dies, what it was
 * asked for is AWAY, and what waited goes to another. `erase` is DONE at once, and `erases` false: the workers take
 * their tombstones away themselves. check asks one of them what its own has shown.
 *
 * Deadlines: each call is answered when its time is over, whatever the worker does; the worker is told a little less,
 * so that its reason is there before.
 */
#ifndef WORKERS_CACHE_FAR_H
#define WORKERS_CACHE_FAR_H

#include "workers/cache/backing/backing.h"
#include "workers/skeleton/worker.h"

#define CACHE_FAR_CALLS 65536u /* at once; one more is AWAY */
#define CACHE_FAR_BYTES                                                                            \
    ((size_t)24 << 20) /* of keys and values at one worker; half of what fits into its queue */

struct cache_far_options {
    const char *workers; /* the branch in which they stand, for reasons: "cache/sessions/backing" */
    size_t
        parallel; /* backing.parallel: of that twice as many calls are at one worker, so that it need not wait */
};

/*
 * For ops->free. NULL: memory is short. It must be told what on_up, on_down and on_message of the worker hear; peers of
 * other types are left alone.
 */
struct backing *cache_far_new(struct worker *w, const struct cache_far_options *options);

void cache_far_on_up(struct backing *b, struct worker_peer *peer);
void cache_far_on_down(struct backing *b, struct worker_peer *peer, struct slice reason);

/* As worker_ops.on_message; false for what is not an answer of a backing worker. */
bool cache_far_on_message(struct backing *b, struct worker_peer *from, uint64_t type,
                          struct unpack *u);

/* Live backing workers. */
size_t cache_far_workers(const struct backing *b);

#endif
