/*
 * queue_redis.h: how the workers of queues reach their Redis: connection, library, calls of scripts, and who waits.
 *
 * Runs in backbone and queue workers. Holds no policy: what a worker does with an answer is its own affair.
 */
#ifndef WORKERS_QUEUE_QUEUE_REDIS_H
#define WORKERS_QUEUE_QUEUE_REDIS_H

#include "proto/queue/queue_call.h"
#include "proto/redis/identity.h"
#include "workers/redis/redis_settings.h"

#define QUEUE_SPACE_SIZE 128

struct queue_redis {
    struct worker *w;
    struct redis_link link;
    struct redis_conn *conn;          /* the link's; NULL when it is closed */
    char space[QUEUE_SPACE_SIZE];     /* "shop:" or "" */
    char owner[REDIS_IDENTITY_SIZE];  /* this incarnation */
    char owners[REDIS_IDENTITY_SIZE]; /* what those of every incarnation of this name begin with */
    bool library;                     /* the server has it: FCALL; else EVALSHA */
    int scripts[QUEUE_SCRIPT_COUNT];
    struct buffer words; /* of the command that is being put together */
    /* Waiting for a list has a connection of its own: nothing else is answered on it meanwhile. */
    struct redis_conn *waits;
    char wait_s[24]; /* the longest, in seconds */
    bool waiting;
    bool followed; /* a call stands behind the wait, and is answered after it */
    int follows;   /* its script's number on that connection */
    redis_reply_fn on_followed;
    void (*on_list)(void *state, bool seen);
    void *state;
};

/*
 * Reads the settings (redis.*, backbone.namespace) and starts connecting, as redis_link_open, whose answers these are.
 * `events` get `state`.
 */
int queue_redis_open(struct queue_redis *q, struct worker *w, void *state,
                     const struct redis_link_events *events);

/* Closes: calls that wait get NULL. Harmless on a zeroed one. */
void queue_redis_close(struct queue_redis *q);

/* Has the server load the library `platoon`, which everybody may call: for on_ready. Until it has, EVALSHA does. */
void queue_redis_load(struct queue_redis *q);

/* Sends a call. Errors as redis_conn_command, and -ENOMEM: fn is then not called. */
int queue_redis_call(struct queue_redis *q, struct queue_call *call, redis_reply_fn fn, void *ctx);

/*
 * The error of a reply for people, in `text`; "" when it is none. Of no reply at all: why there is none; the outcome is
 * unknown. True when the call has surely not run, and may be
 * sent again at once: the library is gone (FUNCTION FLUSH, a fail-over), which has been noticed.
 */
bool queue_redis_failed(struct queue_redis *q, const redisReply *reply, char *text, size_t size);

/*
 * Waits until there is something in this list (BLMOVE to the end it stands at, which changes nothing), a few seconds at
 * most: `on_list` hears whether there was. Nothing happens when somebody waits already, or there is no connection: then
 * false.
 *
 * `then` (NULL: none; always of the same script): a call that goes with it, which the server runs at once when the wait
 * is over, however it ended: no way to here and back lies between. `waiting` and `followed` hold until `fn` has its
 * answer, with the `state` of queue_redis_open; NULL: it may have run. When only the call could not be sent `followed`
 * is false in on_list.
 */
bool queue_redis_wait(struct queue_redis *q, struct slice key, struct queue_call *then,
                      redis_reply_fn fn);

/* Brings the worker's Redis counters up to date; for on_tick. */
void queue_redis_tick(struct queue_redis *q);

static inline struct slice queue_reply_bytes(const redisReply *reply)
{
    return slice_make(reply->str, reply->len);
}

#endif
