/*
 * cache_node.h: what a cache node is made of, for the files that are its front: clients, turns, commands.
 *
 * Runs in a cache node. cache_node.c fills it in; it has no logic of its own. Whoever has one of these knows neither
 * the skeleton nor the settings by their names, so that it can be tested without a master.
 */
#ifndef WORKERS_CACHE_NODE_H
#define WORKERS_CACHE_NODE_H

#include "workers/cache/cache_listen.h"
#include "workers/cache/cache_rates.h"
#include "workers/cache/cache_turn.h"

#define CACHE_READ_SIZE ((size_t)64 << 10) /* of one client in one turn */

/*
 * What waits for the store has room of its own: would it count among objects, a burst of writers would push out all
 * of them, and still find no room, for it is itself what fills memory. Above this no more waits, and no more is read of
 * who does. At least so much; an eighth of memory where that is more.
 */
#define CACHE_WAITING_MIN ((size_t)64 << 20)

/* Whose replies a node gives: clients choose their ways by it. */
#define CACHE_REDIS_VERSION "7.0.15"

struct cache_node_options {
    const char *name;    /* "cache/sessions/node.1" */
    const char *address; /* where other nodes, or clients, reach it; NULL: tests */
    const char *secret;  /* NULL: clients need none */
    size_t memory_max, object_max, clients_max;
    enum cache_log_fsync fsync;
    bool evict;
    bool stored;         /* there is a store behind */
    uint64_t timeout_ms; /* of who waits for second copies */
};

/* What executes commands, which is above clients: they know it by this only. */
struct cache_commands {
    /* As command.h, command_execute: count > 0. */
    void (*execute)(struct cache_client *c, const struct slice *words, size_t count);
    /* As cache_forward.h, cache_forward_may_join: of a client whose earlier commands other nodes run. */
    bool (*may_join)(struct cache_client *c, const struct slice *words, size_t count);
    /* As command.h, command_resume: of one whose command was held and may go on. */
    void (*resume)(struct cache_client *c);
    /* As cache_hold.h, cache_hold_look_ahead: of any client, when more has come or it has gone on. */
    void (*look_ahead)(struct cache_client *c);
    /* It ends: what it waits for, its transaction and its watches are forgotten. */
    void (*forget)(struct cache_client *c);
    const struct command_table *table;
};

/* Since it began; what INFO's fields are made of. */
struct cache_node_counts {
    uint64_t commands, connections, rejected, dropped, in_bytes, out_bytes, reads, writes, errors,
        auth_failures;
};

struct cache_behind;
struct cache_forward;
struct cache_guest;
struct cache_park;
struct cache_member;
struct cache_reads;
struct cache_second;
struct command_stats;
struct command_table;
struct redis_tls;

struct cache_node {
    uv_loop_t *loop;
    struct cache_node_options options;
    const struct cache_commands *commands;
    struct cache_db *db;
    struct cache_log *log;         /* NULL: none (tests) */
    struct cache_park *park;       /* who waits for the store; NULL: there is none */
    struct cache_behind *behind;   /* what is to be stored; NULL: there is none */
    struct cache_member *member;   /* whose is what; NULL: all is this node's */
    struct cache_second *second;   /* second copies of what is dirty; NULL: there are none */
    struct cache_forward *forward; /* commands for other nodes; NULL: there are none */
    struct cache_reads *reads; /* what is read without asking whose it is; NULL: there is no ring */
    struct redis_tls *tls;     /* of its TCP addresses; NULL: plain */
    struct cache_turn turn;
    struct cache_listen listen;
    struct cache_client *clients;
    struct cache_guest *orphans; /* whose connections have ended (cache_guest.h) */
    struct cache_input input;    /* of their commands that are not whole yet */
    size_t client_count;
    uint64_t last_id;
    size_t
        waiting; /* bytes of what waits for the store: commands, calls, what has come behind them */
    uint64_t born_ms; /* clock_mono_ms */
    char run_id[41];  /* INFO's: of this incarnation */
    struct cache_node_counts counts;
    struct cache_rates rates;
    struct command_stats *stats; /* of each command; NULL: none (tests) */
    uint64_t http_said_ms;       /* the log has it that clients speak HTTP; 0: not yet */
    char *read;                  /* CACHE_READ_SIZE: where all clients' bytes go first */
};

static inline bool cache_node_may_wait(const struct cache_node *n, size_t bytes)
{
    size_t share = n->options.memory_max / 8;
    return n->waiting + bytes <= (share > CACHE_WAITING_MIN ? share : CACHE_WAITING_MIN);
}

#endif
