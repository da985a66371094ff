/*
 * cache_peers_private.h: what the files of this room share. Private to them.
 *
 * cache_peers.c       which nodes there are, the timer, the interface
 * cache_peer_link.c   one node: its connection, what waits for it, what it was sent
 * cache_peer_sent.c   what it was sent: which of it an answer is to
 *
 * A command is a struct cache_peer_call from cache_peers_send until nothing can come of it any more: it waits in its
 * node's list with its words, or it has been sent, and the connection has it. One whose deadline has passed after it
 * was sent stays without `fn`, for the connection will still tell of it.
 *
 * `fn` may free all, or have the node leave. So a call is gone before its `fn` is called, and a node's memory goes only
 * from the timer, or with the loop's last word: neither stands on top of a node's own functions.
 */
#ifndef WORKERS_CACHE_PEERS_PRIVATE_H
#define WORKERS_CACHE_PEERS_PRIVATE_H

#include "common/peer_address.h"
#include "common/redis/redis_conn.h"
#include "common/spares.h"
#include "workers/cache/peer/cache_peer_due.h"
#include "workers/cache/peer/cache_peer_sent.h"
#include "workers/cache/peer/cache_peers.h"

#define CACHE_PEER_NAME_SIZE 65
#define CACHE_PEER_WHY_SIZE  1024

struct cache_peer;

struct cache_peer_call {
    struct cache_peer_due due; /* first: the heap knows only this */
    struct cache_peer *peer;
    cache_peer_fn fn; /* NULL: it has been told */
    void *ctx;
    uint64_t number; /* that its answer will have; 0: it has none */
    uint64_t timeout_ms;
    uint64_t deadline; /* `due` is earlier while it waits for what will not come */
    size_t size;       /* as the queue counts it */
    struct cache_peer_call *next, **prev;          /* of those that wait */
    struct cache_peer_call *after, *before, *same; /* of those that were sent */
    struct slice *words; /* while it waits: owned, the bytes behind them; else NULL */
    size_t count;
};

struct cache_peer {
    struct cache_peers *all;
    struct cache_peer *next;               /* in leaving, or in dead */
    struct redis_conn *conn;               /* NULL: not opened */
    struct cache_peer_call *first, **last; /* who waits */
    struct cache_peer_sent sent;           /* whose `fn` was called, too, until it is answered */
    size_t in_flight;                      /* sent, and `fn` not called yet */
    size_t bytes;                          /* of all calls */
    uint32_t incarnation;
    bool leaving; /* no node of the ring any more */
    bool moving;  /* `conn` is to where it was before */
    bool valid;   /* its address is one */
    struct peer_address at;
    char name[CACHE_PEER_NAME_SIZE];
    char address[PEER_ADDRESS_MAX + 1]; /* for people too: only what can be shown */
    char trouble[600];                  /* cause and remedy; "": none */
};

struct cache_peers {
    struct redis_options options; /* of all connections; host and path are each one's own */
    uv_loop_t *loop;
    char name[CACHE_PEER_NAME_SIZE];
    bool tls, closed;
    size_t queue_max;
    struct cache_peer **peers; /* by incarnation */
    size_t count;
    struct cache_peer *leaving; /* not among them, but still with calls */
    struct cache_peer *dead;    /* their memory is to go */
    struct cache_peer_dues dues;
    struct spares spares; /* of cache_peer_call */
    uv_timer_t timer;
    uv_timer_cb on_timer;
    uint64_t armed; /* when the timer comes at the latest; UINT64_MAX: it does not */
    char trouble[CACHE_PEER_WHY_SIZE];
};

/* ---- cache_peer_link.c ---- */

/* The timer comes at that time of the loop's, or before. */
void cache_peer_arm(struct cache_peers *p, uint64_t at);

/* NULL: memory is short. In no list. */
struct cache_peer *cache_peer_new(struct cache_peers *p, uint32_t incarnation);

/* What a node is called, and where it is from now on. */
void cache_peer_aim(struct cache_peer *peer, const struct cache_peer_node *node);

/* What it is sent goes, what waits for it is AWAY, soon. */
void cache_peer_leave(struct cache_peer *peer);

/* As cache_peers_send. */
int cache_peer_send(struct cache_peer *peer, uint64_t number, const struct slice *words,
                    size_t count, uint64_t timeout_ms, cache_peer_fn fn, void *ctx);

/* Its time is over. */
void cache_peer_expire(struct cache_peer_call *call);

/* A connection that is not wanted any more, and has nothing to tell any more, ends. */
void cache_peer_settle(struct cache_peer *peer);

/* All are told, in order: this node ends. */
void cache_peer_close(struct cache_peer *peer);

#endif
