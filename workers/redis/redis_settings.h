/*
 * redis_settings.h: the one Redis connection of a worker, made from its `redis.*` settings.
 *
 * Runs in every worker that talks to Redis (send, watcher, get-set, get-hash). It joins common/redis/redis_conn.h,
 * which knows no worker, to workers/skeleton/worker.h, which knows no Redis: READY, trouble in the tree, counters.
 */
#ifndef WORKERS_REDIS_SETTINGS_H
#define WORKERS_REDIS_SETTINGS_H

#include "common/redis/redis_conn.h"
#include "workers/skeleton/worker.h"

/*
 * Fills *o, which must be zeroed, from `redis.*`; the caller ends it with redis_options_fini. Ends the process with
 * CONTRACT_EXIT_CONFIG, and says why, when a setting is missing or the url cannot be read.
 */
void redis_settings_read(struct worker *w, struct redis_options *o);

enum redis_link_need {
    REDIS_LINK_ANY,     /* a replica will do, for those who only read */
    REDIS_LINK_PRIMARY, /* READY only on a server that takes writes */
};

struct redis_link_events {
    /* The connection is READY, first or again; the trouble is cleared already, unless it asks. Optional. */
    void (*on_ready)(struct worker *w, void *state);
    /* It is gone, or an attempt failed; the tree says why already. Pending callbacks have had their NULL. Optional. */
    void (*on_lost)(struct worker *w, void *state, const char *why);
    /*
     * What on_ready asks tells whether all is well (rights, whose ledger it is). Until redis_link_settle says that it
     * was answered, the first time and again, READY waits and the trouble stands, which on_ready clears else.
     */
    bool asks;
    /* As in redis_conn_events. Optional. */
    void (*on_message)(struct worker *w, void *state, struct slice channel, struct slice payload);
};

/* A worker's connection. Lives in the worker's state. */
struct redis_link {
    struct redis_conn *conn;
    struct worker *worker;
    void *state;
    struct redis_link_events events;
    struct redis_conn_stats reported;
    uint64_t opened_ms;
    uint64_t ready_ms; /* clock_mono_ms of the last on_ready; 0: none */
    bool settled;      /* it is known what is wrong, or that nothing is, and READY was sent */
};

/*
 * Connects. To be called in init: it holds READY back until the first attempt has succeeded or failed, so that who
 * waits for the tree finds it connected, and a Redis that is down does not get a healthy worker killed for being late.
 * A Redis that reads its data from disk is about to come: it is waited for a little longer; and so are the answers to
 * what events->asks asks. `events` may be NULL.
 * Returns 0 or an exit code for init to return, after worker_trouble.
 */
int redis_link_open(struct redis_link *l, struct worker *w, void *state, enum redis_link_need need,
                    const struct redis_link_events *events);

/* Who asks has been answered, and has said what is wrong (worker_trouble), or that nothing is. May be repeated. */
void redis_link_settle(struct redis_link *l);

/*
 * Brings the counters redis_commands_total, redis_errors_total and redis_reconnects_total up to date, and no longer has
 * READY wait for answers that do not come: for on_tick.
 */
void redis_link_tick(struct redis_link *l);

/* For `late`: true, and why, when it is the server that has not answered. */
bool redis_link_late(const struct redis_link *l, char *why, size_t size);

/* Closes; pending callbacks get NULL. For fini. Harmless when it was never opened. */
void redis_link_close(struct redis_link *l);

#endif
