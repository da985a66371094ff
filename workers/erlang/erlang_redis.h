/*
 * erlang_redis.h: one-off commands of Erlang clients to Redis, on the gate's own connection.
 *
 * Runs in erlang workers. As the send worker does them (workers/redis/send.c): pipelined, what would change the
 * connection for others refused, nothing sent twice. Not through a send worker: its answers come as messages in msgpack
 * or JSON, which would be one more hop and two more forms for each.
 */
#ifndef WORKERS_ERLANG_REDIS_H
#define WORKERS_ERLANG_REDIS_H

#include "workers/erlang/erlang_command.h"
#include "workers/redis/redis_settings.h"

struct erlang_redis_events {
    /*
     * {ok, Reply} or {error, Text}, one term, for `pid` at the node of this name. All of it lives until the call
     * returns.
     */
    void (*on_reply)(void *ctx, struct slice node, struct slice pid, struct slice answer);
    /* Once, at first: whether it can be reached is known. */
    void (*on_known)(void *ctx);
    /* What an answer may have at most. */
    size_t answer_max;
};

struct erlang_redis {
    struct worker *w;
    struct redis_conn *conn;
    const struct erlang_redis_events *events;
    void *ctx;
    struct redis_conn_stats reported;
    size_t outstanding;
    bool known, closing;
};

/* Connects. 0, or an exit code after worker_trouble. */
int erlang_redis_open(struct erlang_redis *r, struct worker *w,
                      const struct erlang_redis_events *events, void *ctx);

/* Runs it. With `pid` one answer follows, unless the process ends before; without, nobody hears of it. */
void erlang_redis_send(struct erlang_redis *r, struct slice node, struct slice pid,
                       struct slice command);

/* Once a second: its counters. */
void erlang_redis_tick(struct erlang_redis *r);

/* Why it is not connected; NULL: it is, or it is not known yet. */
const char *erlang_redis_trouble(const struct erlang_redis *r);

/* Harmless when it was never opened. Nobody is answered any more. */
void erlang_redis_close(struct erlang_redis *r);

#endif
