/*
 * redis_conn_private.h: what the files of a connection share. Private to them.
 *
 * redis_conn.c        states, the FIFO of what is outstanding, replies, deadlines, the interface
 * redis_conn_setup.c  what is said between connect and READY
 */
#ifndef COMMON_REDIS_CONN_PRIVATE_H
#define COMMON_REDIS_CONN_PRIVATE_H

#include "common/buffer.h"
#include "common/redis/redis_codec.h"
#include "common/redis/redis_conn.h"

enum conn_state {
    CONN_WAITING,
    CONN_CONNECTING,
    CONN_SETUP,
    CONN_READY,
    CONN_CLOSED,
};

enum conn_kind {
    CONN_COMMAND, /* a caller's */
    CONN_SCRIPT,  /* a caller's EVALSHA, kept so that NOSCRIPT can be answered by EVAL */
    CONN_AUTH,
    CONN_SELECT,
    CONN_LOAD,
    CONN_PING,
    CONN_SUBSCRIBE,
};

struct conn_pending {
    struct conn_pending *next;
    redis_reply_fn fn;
    void *ctx;
    uint64_t deadline;
    enum conn_kind kind;
    int script;        /* number, with CONN_SCRIPT and CONN_LOAD */
    struct slice sent; /* CONN_SCRIPT: the EVALSHA as it was sent, owned; ptr NULL otherwise */
};

struct conn_script {
    const char *text;
    char sha[REDIS_SHA_SIZE]; /* empty until the server has told it */
};

struct redis_conn {
    uv_loop_t *loop;
    struct redis_options options;
    struct redis_tls *tls;
    struct redis_conn_events events;
    void *ctx;
    enum conn_state state;
    struct redis_socket *socket;
    redisReader *reader;
    size_t reply_bytes; /* taken since the last whole reply */
    struct buffer out;  /* commands of this turn of the loop */
    uv_idle_t flush;
    uv_timer_t timer;
    int handles;
    struct conn_pending *head, **tail;
    size_t in_flight; /* of the caller's */
    size_t setup_left;
    struct conn_script *scripts;
    int script_count;
    char **channels;
    size_t channel_count;
    unsigned attempt;
    bool grace_given;
    uint64_t ready_at;
    struct redis_conn_stats stats;
    char trouble[640];
};

/* ---- redis_conn.c ---- */

/* Encodes and queues one command; `like` says whose it is. 0 or a negative errno. */
int redis_conn_send(struct redis_conn *c, struct conn_pending like, size_t argc,
                    const struct slice *argv);

/* Ends the connection for this reason, and comes back after a pause. The caller may have freed it when this returns. */
void redis_conn_lose(struct redis_conn *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* SETUP is over. */
void redis_conn_become_ready(struct redis_conn *c);

/* ---- redis_conn_setup.c ---- */

/* The socket is open: queues every step. `ctx` is the connection. */
void redis_conn_setup_begin(void *ctx);

/* The answer to a step. */
void redis_conn_setup_answer(struct redis_conn *c, const struct conn_pending *p,
                             const redisReply *reply);

/* SCRIPT LOAD of one script, as a step. */
int redis_conn_setup_load(struct redis_conn *c, int script);

#endif
