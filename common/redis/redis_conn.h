/*
 * redis_conn.h: one connection to Redis that comes back by itself.
 *
 * Runs in every worker of the redis/ branch. hiredis is the codec (redisFormatCommandArgv, redisReader), the socket is ours,
 * on libuv: so deadlines, reconnecting, close-on-exec and TLS behave the same on every hiredis (FACTS.md 2).
 *
 * A connection is READY after: connect, TLS (rediss), AUTH, SELECT, SCRIPT LOAD of every script. It reconnects for ever,
 * with exponential back-off and full jitter up to retry_max; AUTH, SELECT and the scripts are replayed each time.
 *
 * Commands are only accepted while READY. The outcome of a command whose connection broke, or whose deadline passed, is
 * unknown: its callback gets NULL, once. Retrying is the caller's decision, for idempotent commands only.
 */
#ifndef COMMON_REDIS_CONN_H
#define COMMON_REDIS_CONN_H

#include "common/slice.h"

#include <hiredis.h>
#include <uv.h>

/* Bytes of commands that may wait for a server that does not read; then redis_conn_command refuses more. */
#define REDIS_CONN_QUEUE_MAX (64u * 1024 * 1024)

/* Where and how to connect, taken apart. Strings are heap copies, owned by the options (redis_options_fini). */
struct redis_options {
    char *host;      /* NULL with a unix socket */
    char *unix_path; /* NULL with tcp */
    int port;
    bool tls;
    char *user; /* NULL: the default user */
    char *
        password_file; /* NULL: no AUTH; read anew at every connect, so that a rotated password is picked up */
    int database;
    char *tls_ca_file;   /* NULL: the system's */
    char *tls_cert_file; /* NULL: no client certificate */
    char *tls_key_file;
    char *tls_server_name; /* NULL: host */
    uint64_t connect_timeout_ms;
    uint64_t timeout_ms;
    uint64_t retry_max_ms;
    size_t reply_max; /* longest reply, bytes; a longer one ends the connection */
};

/* The numbers as proto/config_keys.h has them, for callers that have no configuration (tests). Everything else empty. */
#define REDIS_OPTIONS_DEFAULT                                                                      \
    ((struct redis_options){.connect_timeout_ms = 5000,                                            \
                            .timeout_ms = 10000,                                                   \
                            .retry_max_ms = 2000,                                                  \
                            .reply_max = 256u * 1024 * 1024})

/* "unix:/run/redis.sock", "db.example:6379", "db.example:6379 (TLS)": how messages name the server. */
#define REDIS_NAME_SIZE 160
void redis_options_name(const struct redis_options *o, char name[REDIS_NAME_SIZE]);

/*
 * Reads redis://[user@]host[:port][/db], rediss://…, unix:///path[?db=N] into *o (whose other members it leaves alone).
 * Returns 0, or -EINVAL with one sentence in `why` that says what is wrong. A password in the url is refused: it belongs
 * into a file. Escapes (%2F) are taken in user and path. Source: https://www.iana.org/assignments/uri-schemes/prov/redis
 */
int redis_options_parse_url(struct redis_options *o, const char *url, char *why, size_t why_size);
void redis_options_fini(struct redis_options *o);

/* Copies every string. -ENOMEM: *to holds what was copied, and redis_options_fini frees it. */
int redis_options_copy(struct redis_options *to, const struct redis_options *from);

struct redis_conn;

/*
 * A reply, or NULL when the outcome is unknown (connection lost, deadline passed, closed). The reply lives until the
 * callback returns. type REDIS_REPLY_ERROR is an error of the server's.
 */
typedef void (*redis_reply_fn)(struct redis_conn *c, const redisReply *reply, void *ctx);

struct redis_conn_events {
    /* READY: commands are accepted. Called at every (re)connect. */
    void (*on_ready)(struct redis_conn *c, void *ctx);
    /* Not ready any more, or an attempt failed; `why` is one line for people, with the remedy when it is known. */
    void (*on_lost)(struct redis_conn *c, const char *why, void *ctx);
    /* A pub/sub message on a connection in subscriber mode. Optional. */
    void (*on_message)(struct redis_conn *c, struct slice channel, struct slice payload, void *ctx);
};

/*
 * Starts connecting; returns at once. `options` is copied. NULL only when memory is short or the TLS files cannot be read,
 * then with a line in `why`.
 */
struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options,
                                  const struct redis_conn_events *events, void *ctx, char *why,
                                  size_t why_size);

/* Closes; pending callbacks get NULL first. Memory goes when the loop has closed the handles. Accepts NULL. */
void redis_conn_free(struct redis_conn *c);

/* False also for NULL: whoever closes has forgotten its connection before the pending callbacks come. */
bool redis_conn_ready(const struct redis_conn *c);

/* Why it is not READY: the last on_lost's line, or "redis at …: connecting"; "" when it is READY. Lives until the next change. */
const char *redis_conn_trouble(const struct redis_conn *c);

/* Commands sent whose reply is outstanding. */
size_t redis_conn_in_flight(const struct redis_conn *c);

/* Commands sent, error replies seen, and connections lost since the start: for counters. */
struct redis_conn_stats {
    uint64_t commands;
    uint64_t errors;
    uint64_t reconnects;
};
struct redis_conn_stats redis_conn_stats(const struct redis_conn *c);

/*
 * Queues a command; everything queued within one turn of the loop leaves in one write (pipelining). fn may be NULL. Returns
 * 0; -ENOTCONN when not READY; -EBUSY in subscriber mode; -ENOBUFS when REDIS_CONN_QUEUE_MAX bytes wait already; -ENOMEM;
 * -EINVAL without arguments. In all of these fn is not called. Binary safe. Never calls back before it returns.
 */
int redis_conn_command(struct redis_conn *c, size_t argc, const struct slice *argv,
                       redis_reply_fn fn, void *ctx);

/*
 * Registers a script before or after connecting; it is loaded at every connect. `text` must outlive c. Returns its number,
 * or -ENOMEM.
 */
int redis_conn_add_script(struct redis_conn *c, const char *text);

/*
 * EVALSHA of a registered script. NOSCRIPT (SCRIPT FLUSH, fail-over) is answered once by EVAL of the text, unseen by the
 * caller: a script that was not found has not run. Errors as redis_conn_command.
 */
int redis_conn_script(struct redis_conn *c, int script, size_t key_count, const struct slice *keys,
                      size_t arg_count, const struct slice *args, redis_reply_fn fn, void *ctx);

/*
 * Subscribes at every (re)connect. The connection takes no other commands from then on (RESP2). Call it before the
 * connection is READY, that is right after redis_conn_new. Returns 0, -EBUSY when it is READY already, -ENOMEM.
 */
int redis_conn_subscribe(struct redis_conn *c, const char *channel);

/*
 * The server's error as something to tell people: names the condition (OOM, READONLY, LOADING, NOAUTH, WRONGPASS, NOPERM,
 * WRONGTYPE, …) and the remedy. Writes into `text`; returns true when waiting can help (the condition is temporary).
 * An error that is not in the table is given in the server's own words. Sees through "Error running script".
 */
bool redis_error_explain(const char *error, size_t len, char *text, size_t size);

/* False when the explanation would only be the server's own words. */
bool redis_error_known(const char *error, size_t len);

#endif
