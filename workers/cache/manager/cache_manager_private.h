/*
 * cache_manager_private.h: what the files of the worker type cache-manager share: its state.
 *
 * Runs in a cache manager. cache_manager.c is its life and what nodes say; cache_manager_ring.c how Redis is called,
 * nodes join and leave; cache_manager_beat.c its beats; cache_manager_claim.c the nodes' cells; cache_manager_copy.c
 * second copies; cache_manager_master.c what the ring's master does for all; cache_manager_rescue.c how it takes over
 * what a lost node has left; and where there are no copies cache_manager_empty.c what becomes of lost nodes without
 * cells, cache_manager_failover.c of those whose time is over; cache_manager_verbs.c what people ask.
 */
#ifndef WORKERS_CACHE_MANAGER_PRIVATE_H
#define WORKERS_CACHE_MANAGER_PRIVATE_H

#include "common/buffer.h"
#include "proto/cache/cache_ring_answer.h"
#include "workers/cache/cache_far.h"
#include "workers/cache/manager/cache_manager_policy.h"
#include "workers/redis/redis_look.h"
#include "workers/redis/redis_rights.h"

#define MANAGER_NODE_TYPE    "cache-node"
#define MANAGER_NODES_MAX    64 /* of one cache section (its key nodes) */
#define MANAGER_ADDRESS_SIZE 256
#define MANAGER_ERROR_SIZE   400

/* Calls with cells that are under way at most; then nodes are told to ask later. */
#define MANAGER_BATCHES_MAX 64

/* result of RING_CLAIMED and RING_LEFT; the others are those of a script (cache_ring_status). */
#define MANAGER_AWAY 4

enum manager_node_state {
    MANAGER_SILENT, /* it has not asked to join, or has left */
    MANAGER_WAITS,  /* to be joined */
    MANAGER_JOINING,
    MANAGER_JOINED,
};

/* A node of this platoon: its peer's `user`. */
struct manager_node {
    enum manager_node_state state;
    uint64_t joins; /* its calls of join: the answer to an earlier one is none */
    struct cache_ring_holder who;
    char seed[CACHE_RING_SEED_SIZE];
    char address[MANAGER_ADDRESS_SIZE];
    struct manager_batch *batch; /* of this turn; NULL: nothing */
    uint64_t cells;              /* that it has, as it last said */
};

/* A node of the ring, as the last beat that told of them has it. */
struct manager_known {
    struct cache_ring_holder who; /* of a lost one with the mark of its loss */
    bool lost;
    uint64_t lost_ms; /* when this manager has seen that first; clock_mono_ms */
    bool holds;       /* a lost one: it has a cell, or copies */
    char name[CONTRACT_NAME_MAX];
    char host[MANAGER_ADDRESS_SIZE];
    char platoon[CONTRACT_NAME_MAX];
    char address[MANAGER_ADDRESS_SIZE];
};

struct manager_other {
    char manager[REDIS_IDENTITY_SIZE];
    char host[MANAGER_ADDRESS_SIZE];
};

struct manager_put;

/* The lost node whose second copies are stored. */
struct manager_rescue {
    bool running;
    struct cache_ring_holder who; /* or the last one; with the mark of its loss */
    char node[CONTRACT_NAME_MAX], host[MANAGER_ADDRESS_SIZE];
    char cursor[CACHE_RING_CURSOR_SIZE];
    bool more;    /* pages behind this one */
    bool reading; /* its page is being read */
    struct manager_put *puts;
    size_t put_count;
    struct buffer drops; /* key and version of what the store has of this page */
    size_t dropped;      /* bytes of it that Redis has been told of */
    size_t kept;         /* copies that the store has not taken; of them */
    size_t refused;      /* those that it never will */
    uint64_t refused_of; /* the incarnation of which nothing else is left, 0: none */
    uint64_t stored;
    unsigned failures;                /* in a row, of whomever */
    uint64_t again_ms;                /* not before; clock_mono_ms */
    char why[BACKING_WHY_SIZE + 128]; /* of the first of those kept */
    char trouble[2 * BACKING_WHY_SIZE];
};

struct manager {
    struct worker *w;
    struct redis_link link;
    struct redis_look look;
    struct redis_rights rights;
    int scripts[CACHE_RING_SCRIPT_COUNT];
    char prefix[CACHE_RING_PREFIX_SIZE];
    char identity[REDIS_IDENTITY_SIZE];
    char host[MANAGER_ADDRESS_SIZE];
    char token[64]; /* of the node that is joined */
    char *store;    /* as the ring knows it */
    uint64_t lease_ms;
    uint64_t copies;
    bool gives_up;           /* when_lost = backing */
    uint64_t failover_ms;    /* for so long somebody is lost before */
    struct backing *backing; /* for what is lost; NULL: copies = 1 */
    struct manager_rescue rescue;
    struct cache_ring_call call;
    char run[64]; /* of the server; "" until this connection has told it */
    char seed[CACHE_RING_SEED_SIZE];
    bool seeded;
    uint64_t epoch, gen;
    int64_t open_us;    /* nothing is claimed before, by this machine's clock */
    uint64_t closed_ms; /* as Redis last said */
    uv_timer_t beat_timer, turn_timer, drain_timer;
    bool beating;     /* a beat is under way */
    bool beats_again; /* who is to have a lease is not in it */
    bool draining;
    int64_t beat_at_us; /* when it was sent */
    uint64_t beat_gen;  /* what it said of the ring's generation */
    size_t beat_count;
    struct cache_ring_holder beat_nodes[MANAGER_NODES_MAX]; /* of that beat */
    struct cache_watch watch;
    struct manager_known *known;
    size_t known_count;
    struct manager_other *others;
    size_t other_count;
    char master[REDIS_IDENTITY_SIZE];
    bool is_master, on_duty;
    uint64_t duty_incarnation; /* of whom lost, or forget, was said */
    uint64_t free_bucket;      /* where the walk that takes away free cells goes on */
    char free_cursor[CACHE_RING_CURSOR_SIZE];
    struct manager_empty {
        struct cache_ring_holder who; /* whose cells are looked for, by the mark of its loss */
        uint64_t bucket;              /* where that goes on */
        char cursor[CACHE_RING_CURSOR_SIZE];
    } empty;
    size_t batches; /* under way */
    char errors[CACHE_RING_SCRIPT_COUNT][MANAGER_ERROR_SIZE];
    uint64_t error_ms[CACHE_RING_SCRIPT_COUNT]; /* when each was last so; clock_mono_ms */
    char trouble[MANAGER_ERROR_SIZE];           /* of INFO */
};

/* ---- cache_manager_ring.c ---- */

/*
 * Sends m->call, which was built with `rc`. 0; -ENOTCONN: there is no Redis, or it has not told which it is; -ENOMEM,
 * -ENOBUFS. fn is called only when it is 0, and never before this returns.
 */
int manager_send(struct manager *m, int rc, redis_reply_fn fn, void *ctx);

/*
 * The bytes of a script's answer. False: it was lost, or Redis has refused it, which m->errors says.
 */
bool manager_bytes(struct manager *m, enum cache_ring_script script, const redisReply *reply,
                   struct slice *bytes);

/* What m->errors says of this script is of now. */
void manager_note_error(struct manager *m, enum cache_ring_script script);

/* An answer that no script of ours gives. */
void manager_is_garbled(struct manager *m, enum cache_ring_script script);

static inline struct slice manager_run(const struct manager *m)
{
    return slice_of(m->run);
}

/* The node of this name and generation, NULL when it is gone; its peer. */
struct manager_node *manager_find(struct manager *m, const char *name, uint64_t generation,
                                  struct worker_peer **peer);

/* Joins those that wait. */
void manager_join_all(struct manager *m);

void manager_send_left(struct manager *m, struct worker_peer *peer, uint64_t result);

/* Leaves for a node; RING_LEFT follows. */
void manager_leave(struct manager *m, struct worker_peer *peer);

/* Asks which server this is; on a new connection, and again where that was refused. */
void manager_ask_run(struct manager *m);
void manager_on_ready(struct worker *w, void *state);
void manager_on_lost(struct worker *w, void *state, const char *why);

/* ---- cache_manager_beat.c ---- */

/* A beat now; while one is under way, as soon as that is answered. */
void manager_beat(struct manager *m);

/* This one has left: nobody here is told of it any more. */
void manager_forget_node(struct manager *m, uint64_t incarnation);

/* ---- cache_manager_claim.c ---- */

/* RING_CLAIM, RING_HELD, RING_RELEASE. False: malformed. */
bool manager_on_claim(struct manager *m, struct worker_peer *from, struct unpack *u);
bool manager_on_held(struct manager *m, struct worker_peer *from, struct unpack *u);
bool manager_on_release(struct manager *m, struct worker_peer *from, struct unpack *u);

/* Sends what this node has asked for in this turn. */
void manager_flush(struct manager *m, struct worker_peer *peer);
void manager_on_turn(uv_timer_t *timer);

/* What it asked for and was not sent is forgotten with it. */
void manager_drop_batch(struct manager_node *n);

/* Why a node's request of the session with this mark cannot be sent at all; 0: it can. */
uint64_t manager_obstacle(const struct manager *m, const struct manager_node *n, uint64_t mark);

/* ---- cache_manager_copy.c ---- */

/* RING_COPY, RING_DROP, RING_FETCH. False: malformed. */
bool manager_on_copy(struct manager *m, struct worker_peer *from, struct unpack *u);
bool manager_on_drop(struct manager *m, struct worker_peer *from, struct unpack *u);
bool manager_on_fetch(struct manager *m, struct worker_peer *from, struct unpack *u);

/* ---- cache_manager_sweep.c ---- */

/* RING_SWEEP. False: malformed. */
bool manager_on_sweep(struct manager *m, struct worker_peer *from, struct unpack *u);

/* ---- cache_manager_look.c ---- */

/* RING_LOOK, RING_CELLS. False: malformed. */
bool manager_on_look(struct manager *m, struct worker_peer *from, struct unpack *u);
bool manager_on_cells(struct worker_peer *from, struct unpack *u);

/* The cells of an incarnation. False: it is none of this platoon's. */
bool manager_cells_of(const struct manager *m, uint64_t incarnation, uint64_t *cells);

/* ---- cache_manager_master.c ---- */

/* What is to be done for all, one call at a time; nothing when it is not the master. */
void manager_duties(struct manager *m);

/* Cells of nodes that were struck out are taken away from now on. */
void manager_free_cells(struct manager *m);

/* ---- cache_manager_empty.c ---- */

/* One step more towards that; false: there is none to do, or it was not sent. */
bool manager_strike_empty(struct manager *m);

/* ---- cache_manager_failover.c ---- */

/* Gives up the next one whose time is over; false as above. By the master. */
bool manager_fail_over(struct manager *m);

/* ---- cache_manager_rescue.c ---- */

/* One that is lost is taken over, if that is due and nobody is yet. By the master. */
void manager_rescue(struct manager *m);
void manager_rescue_close(struct manager *m);

/* ---- cache_manager_verbs.c ---- */

void manager_on_request(struct worker *w, void *state, const struct link_request *request);

#endif
