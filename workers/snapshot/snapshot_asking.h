/*
 * snapshot_asking.h: what a worker asks stores, and their answers, each to whoever has asked.
 *
 * Runs in the workers that stand between stores and those outside (web, gate). An ask is answered once: by the store,
 * or, when that goes, from here.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_ASKING_H
#define WORKERS_SNAPSHOT_SNAPSHOT_ASKING_H

#include "workers/skeleton/worker.h"

#define SNAPSHOT_ASK_MS 20000u /* what a store is asked has so long */

struct snapshot_ask;

/* Zeroed but for `w`. */
struct snapshot_asking {
    struct worker *w;
    struct snapshot_ask *first;
    uint64_t given; /* tokens */
};

/* The answer: `body` is one msgpack value, of another status than CONTROL_OK a text. Lives until it returns. */
typedef void (*snapshot_ask_fn)(void *ctx, enum control_status status, struct slice body);

/*
 * Asks that store; never calls back before it returns. Whoever's `ctx` goes first calls snapshot_ask_forget. False: it
 * is away (NULL too), or memory is short; nothing is called.
 */
bool snapshot_ask(struct snapshot_asking *a, struct worker_peer *store, const char *verb,
                  size_t count, const struct slice *words, snapshot_ask_fn fn, void *ctx);
/* The same of what takes as long as `ms`. */
bool snapshot_ask_within(struct snapshot_asking *a, uint64_t ms, struct worker_peer *store,
                         const char *verb, size_t count, const struct slice *words,
                         snapshot_ask_fn fn, void *ctx);
void snapshot_ask_forget(struct snapshot_asking *a, const void *ctx);

/* For worker_ops.on_message. False: it is no such message. */
bool snapshot_asking_message(struct snapshot_asking *a, uint64_t type, struct unpack *u);

/* The store has gone: who waits for it is told (CONTROL_TRYAGAIN), and may ask another. */
void snapshot_asking_down(struct snapshot_asking *a, const struct worker_peer *store);

/* At the end: nobody is told any more. */
void snapshot_asking_fini(struct snapshot_asking *a);

#endif
