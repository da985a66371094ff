/*
 * redis_conn.h: one connection to Redis that comes back by itself.
 *
 * Runs in every worker of the redis/ branch. hiredis is the codec (redisFormatCommandArgv, redisReader), the socket is
 * ours, on libuv: so deadlines, reconnecting, close-on-exec and TLS behave the same on every hiredis (FACTS.md 2).
 *
 * A connection is READY after: connect, TLS (rediss), AUTH, ROLE (primary), SELECT, SCRIPT LOAD of every script. It
 * reconnects for ever, with exponential back-off and full jitter up to retry_max; AUTH, SELECT and the scripts are
 * replayed each time.
 *
 * With a guide in the options (a sentinel:// url: redis_sentinel.h) that is asked at each attempt where to connect to,
 * and what it tells unasked is obeyed.
 *
 * A url may name several servers: after one that fails, or is refused, the next is tried at once, and the pause comes
 * when all have been. While another of them says what is wrong, nobody is told that this one is a replica.
 *
 * A name may have several addresses: an attempt tries each of them, each with its part of what is left of
 * connect_timeout, and the next attempt begins with the next of them: a server that answers may still be the wrong one.
 *
 * An error that only a new connection can cure (redis_error_cured_by_connecting) is given to its caller, and from then
 * on the connection takes no commands (unless redis_options.relays); when what was sent before has been answered, it
 * ends, as its loss would: the name is resolved anew, so that whoever moves it, or the address, to a new primary is
 * followed.
 *
 * Commands are only accepted while READY. The outcome of a command whose connection broke, or whose deadline passed, is
 * unknown: its callback gets NULL, once. Retrying is the caller's decision, for idempotent commands only.
 */
#ifndef COMMON_REDIS_CONN_H
#define COMMON_REDIS_CONN_H

#include "common/redis_url.h"
#include "common/slice.h"

#include <hiredis.h>
#include <uv.h>

/* Bytes of commands that may wait for a server that does not read; then redis_conn_command refuses more. */
#define REDIS_CONN_QUEUE_MAX (64u * 1024 * 1024)

/*
 * How the error begins that a call is answered whose reply was above reply_max: it alone is the cause, and will be
 * again. The others that were waiting get NULL, as whenever a connection is lost.
 */
#define REDIS_CONN_TOO_LARGE "TOOLARGE"

/* Where and how to connect, taken apart. Strings are heap copies, owned by the options (redis_options_fini). */
struct redis_options {
    char *host;      /* NULL with a unix socket */
    char *unix_path; /* NULL with tcp */
    int port;
    struct redis_address *addresses; /* all of the url, when it names several: tried in turn */
    size_t address_count;            /* else 0 */
    size_t turn; /* of a name's own addresses, the first attempt begins with this one; 0 */
    char *
        sentinel_name; /* else NULL; the addresses are Sentinels, who know the primary of that name */
    char *sentinel_password_file;    /* theirs; NULL: none */
    bool sentinel;                   /* this is a connection to a Sentinel */
    const struct redis_guide *guide; /* who knows where the server is; NULL: host and port say it */
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
    size_t
        reply_max; /* longest reply, bytes; a longer one ends the connection, after REDIS_CONN_TOO_LARGE */
    bool primary; /* a server that is a replica (ROLE) is none for us: another attempt */
    /*
     * Answers are handed on to others: no error of them ends the connection, and none is taken apart: of a reply `str`
     * and `len` are its bytes as they came (RESP2), `type` tells an error from all else. (That it was above reply_max
     * is told as ever.) Such a connection takes no scripts and no channels.
     */
    bool relays;
};

/* None of these is called before open has returned, nor after close. */
struct redis_guide_events {
    /* The answer to an ask; or unasked, when there is another server. Lives until the call returns. */
    void (*on_primary)(const char *host, int port, void *ctx);
    /* Nobody has been found who knows; it goes on asking. One line for people. */
    void (*on_trouble)(const char *why, void *ctx);
};

/* Who knows where a server is whose url does not say it. A table, so that this file needs to know no such one. */
struct redis_guide {
    /* For one connection; nothing is asked yet. NULL with a line in `why`. `options` lives as long as the guide. */
    void *(*open)(uv_loop_t *loop, const struct redis_options *options,
                  const struct redis_guide_events *events, void *ctx, char *why, size_t why_size);
    /* Until it is answered. No other ask while there is one. 0, or a negative errno with a line in `why`. */
    int (*ask)(void *guide, char *why, size_t why_size);
    /* What it has answered cannot be reached, or is no primary. No event comes of it. */
    void (*blame)(void *guide);
    void (*close)(void *guide);
};

/*
 * The numbers as proto/redis/redis.h has them, for callers that have no configuration (tests). Everything else empty.
 */
#define REDIS_OPTIONS_DEFAULT                                                                      \
    ((struct redis_options){.connect_timeout_ms = 5000,                                            \
                            .timeout_ms = 10000,                                                   \
                            .retry_max_ms = 2000,                                                  \
                            .reply_max = 256u * 1024 * 1024})

/* "unix:/run/redis.sock", "db.example:6379", "db.example:6379 (TLS)": how messages name the server. */
#define REDIS_NAME_SIZE 160
void redis_options_name(const struct redis_options *o, char name[REDIS_NAME_SIZE]);

/*
 * Takes what a url says (redis_url.h) into *o, whose other members it leaves alone; all of it when the url is wrong.
 * Returns 0, -EINVAL or -ENOMEM with one sentence in `why`.
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
    /* The same for redis_conn_psubscribe: once for each pattern that the channel matches. Optional. */
    void (*on_matched)(struct redis_conn *c, struct slice pattern, struct slice channel,
                       struct slice payload, void *ctx);
};

/*
 * Starts connecting; returns at once. `options` is copied. NULL only when memory is short or the TLS files cannot be
 * read, then with a line in `why`.
 */
struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options,
                                  const struct redis_conn_events *events, void *ctx, char *why,
                                  size_t why_size);

/* Closes; pending callbacks get NULL first. Memory goes when the loop has closed the handles. Accepts NULL. */
void redis_conn_free(struct redis_conn *c);

/*
 * Ends a READY connection for this reason, as an error that only a new one can cure would: the caller has found out by
 * other means. The caller may have freed it when this returns.
 */
void redis_conn_renew(struct redis_conn *c, const char *why);

/* False also for NULL: whoever closes has forgotten its connection before the pending callbacks come. */
bool redis_conn_ready(const struct redis_conn *c);

/* The server that it is connected to, or tries, as redis_options_name. */
void redis_conn_name(const struct redis_conn *c, char name[REDIS_NAME_SIZE]);

/*
 * Why it is not READY: the last on_lost's line, or "redis at …: connecting"; "" when it is READY.
 * Lives until the next change.
 */
const char *redis_conn_trouble(const struct redis_conn *c);

/*
 * Inside on_lost: it had been good for a while, and nothing was asked: closed for idleness (`timeout` of the server, a
 * proxy, CLIENT KILL). The next try, which is on its way, mostly cures it; only when that fails is it trouble.
 */
bool redis_conn_was_idle(const struct redis_conn *c);

/* Which of the options' addresses is tried, or connected to; 0 also when there is one only. */
size_t redis_conn_address(const struct redis_conn *c);

/*
 * Inside a callback that got NULL: this command had not begun to leave the process, so it surely was not done. False
 * says nothing.
 */
bool redis_conn_unsent(const struct redis_conn *c);

/* Commands sent whose reply is outstanding. */
size_t redis_conn_in_flight(const struct redis_conn *c);

/* How long the oldest of them has waited, in ms; 0 when there is none, and for NULL. */
uint64_t redis_conn_waited_ms(const struct redis_conn *c);

/* Commands sent, error replies seen, and connections lost since the start: for counters. */
struct redis_conn_stats {
    uint64_t commands;
    uint64_t errors;
    uint64_t reconnects;
};
struct redis_conn_stats redis_conn_stats(const struct redis_conn *c);

/*
 * Queues a command; everything queued within one turn of the loop leaves in one write (pipelining). fn may be
 * NULL. Returns 0; -ENOTCONN when not READY; -EBUSY in subscriber mode; -ENOBUFS when REDIS_CONN_QUEUE_MAX
 * bytes wait already; -ENOMEM; -EINVAL without arguments. In all of these fn is not called. Binary safe. Never
 * calls back before it returns.
 */
int redis_conn_command(struct redis_conn *c, size_t argc, const struct slice *argv,
                       redis_reply_fn fn, void *ctx);

/*
 * Registers a script before or after connecting; it is loaded at every connect. `text` must outlive c.
 * Returns its number, -ENOMEM, or -EINVAL of one that relays.
 */
int redis_conn_add_script(struct redis_conn *c, const char *text);

/*
 * EVALSHA of a registered script. NOSCRIPT (SCRIPT FLUSH, fail-over) is answered once by EVAL of the text, unseen by
 * the caller: a script that was not found has not run. Errors as redis_conn_command.
 */
int redis_conn_script(struct redis_conn *c, int script, size_t key_count, const struct slice *keys,
                      size_t arg_count, const struct slice *args, redis_reply_fn fn, void *ctx);

/*
 * Subscribes at every (re)connect. The connection takes no other commands from then on (RESP2). Call it before the
 * connection is READY, that is right after redis_conn_new. Returns 0, -EBUSY when it is READY already, -ENOMEM, or
 * -EINVAL of one that relays.
 */
int redis_conn_subscribe(struct redis_conn *c, const char *channel);

/*
 * The same for all channels that a pattern matches (PSUBSCRIBE; glob.h), whose messages come to on_matched. When there
 * is a channel or a pattern already, it may be called at any time. -EBUSY when the connection is READY and takes
 * commands; -ENOMEM, -ENOBUFS, -EINVAL.
 */
int redis_conn_psubscribe(struct redis_conn *c, const char *pattern);

/*
 * False when it is not READY, and when it is, but the server has refused the channels: by its access rules, or because
 * it has no SUBSCRIBE. Such a connection stays open, and is silent; it is not opened again and again to be refused.
 */
bool redis_conn_subscribed(const struct redis_conn *c);

/* Asks once more on a READY connection, one command a channel: the right may have been given meanwhile. */
void redis_conn_subscribe_again(struct redis_conn *c);

/*
 * The server's error as something to tell people: names the condition (OOM, READONLY, LOADING, NOAUTH,
 * WRONGPASS, NOPERM, WRONGTYPE, …) and the remedy. Writes into `text`; returns true when waiting can help
 * (the condition is temporary). An error that is not in the table is given in the server's own words. Sees
 * through "Error running script".
 */
bool redis_error_explain(const char *error, size_t len, char *text, size_t size);

/*
 * True for an error that this connection will give again whatever is waited: its server is no primary any more, or has
 * forgotten who we are (READONLY, MASTERDOWN, UNBLOCKED, CLUSTERDOWN, NOREPLICAS, LOADING, NOAUTH, …). A new one goes
 * to where the address leads then.
 */
bool redis_error_cured_by_connecting(const char *error, size_t len);

/* True when the server's words begin with this code ("OOM "), also those of a command inside a script of the ledger. */
bool redis_error_says(const char *error, size_t len, const char *code);

/* What an error reply to a plain command says of the right to it; whatever else is wrong, it was not refused. */
enum redis_refusal {
    REDIS_REFUSAL_NONE,
    REDIS_REFUSAL_COMMAND, /* the access rules do not allow it */
    REDIS_REFUSAL_PLACE,   /* they do, but not for this key or channel */
    REDIS_REFUSAL_ABSENT,  /* the server has no such command: rename-command, or it is too old */
};
enum redis_refusal redis_error_refusal(const char *error, size_t len);

/* False when the explanation would only be the server's own words. */
bool redis_error_known(const char *error, size_t len);

#endif
