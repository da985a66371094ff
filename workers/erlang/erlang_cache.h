/*
 * erlang_cache.h: what Erlang clients want of a cache, called for at one of its nodes (CACHE.md, Calls).
 *
 * Runs in erlang workers. One node is called as long as it lives, whichever came first: it knows where in the ring an
 * object is, and does what one lane calls for in order. What is called for while no node is up waits for one, for the
 * cache's `timeout`; what was under way when its node died is not called for again, for it may have been done and
 * written over since. Who asks is told what was read, or nothing.
 */
#ifndef WORKERS_ERLANG_CACHE_H
#define WORKERS_ERLANG_CACHE_H

#include "workers/erlang/erlang_value.h"
#include "workers/skeleton/worker.h"

/* Who asked, and where the answer goes. */
struct erlang_caller {
    uint32_t lane;     /* what one lane calls for is done in order */
    struct slice node; /* name of the node of `pid` */
    struct slice pid;  /* a term */
};

struct erlang_cache_events {
    /* What a get has read. `value`: of `form`, when there is such an object. All of it lives until the call returns. */
    void (*on_got)(void *ctx, const struct erlang_caller *caller, bool found, struct slice value,
                   enum erlang_form form);
    /* One of this lane's is over, answered or not: it may call for more (erlang_cache_is_full). */
    void (*on_over)(void *ctx, uint32_t lane);
};

struct erlang_call;

struct erlang_cache {
    struct worker *w;
    const struct erlang_cache_events *events;
    void *ctx;
    const char *title;
    uint64_t timeout_ms;
    struct worker_peer *node; /* that is called; NULL: none is up */
    uint64_t down_ms;         /* clock_mono_ms since when none is up */
    uint64_t last_token;
    struct erlang_call *out, *out_last; /* sent, and not answered */
    size_t out_count, out_bytes, gets;
    size_t expected;                         /* bytes of an answer to a get, so far the largest */
    struct erlang_call *waiting, *wait_last; /* not sent yet */
    size_t wait_count;
    uint64_t dropped; /* calls without an answer since the log last said so */
    char why[256];    /* of the last of them */
};

/* `title`: the cache's. */
void erlang_cache_open(struct erlang_cache *c, struct worker *w, const char *title,
                       const struct erlang_cache_events *events, void *ctx);

/* Asks for the cache's nodes: only after READY, or they would meet us without our mailbox. */
void erlang_cache_start(struct erlang_cache *c);

void erlang_cache_fini(struct erlang_cache *c);

/* As many as make sense are under way: nobody should call for more until on_over. */
bool erlang_cache_is_full(const struct erlang_cache *c);

/*
 * Each calls for one thing; on_over follows, from the loop or at once. Terms are as the client sent them. When memory
 * is short the process ends.
 */
void erlang_cache_set(struct erlang_cache *c, const struct erlang_caller *caller, struct slice id,
                      struct slice value);
void erlang_cache_get(struct erlang_cache *c, const struct erlang_caller *caller, struct slice id,
                      bool strong);
void erlang_cache_persist(struct erlang_cache *c, const struct erlang_caller *caller,
                          struct slice id);

/* As those of worker_ops. */
void erlang_cache_on_up(struct erlang_cache *c, struct worker_peer *peer);
void erlang_cache_on_down(struct erlang_cache *c, struct worker_peer *peer);
bool erlang_cache_on_message(struct erlang_cache *c, struct worker_peer *from, uint64_t type,
                             struct unpack *u);

/* Once a second: what waits too long, and what the log says of it. */
void erlang_cache_tick(struct erlang_cache *c);

/* What is wrong, as trouble; NULL: nothing. */
const char *erlang_cache_trouble(const struct erlang_cache *c);

#endif
