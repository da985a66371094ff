/*
 * drain_ledger.h: how the drain's workers reach the ledger: connection, keys, arguments, scripts.
 *
 * Runs in watcher, get-set and get-hash. Holds no policy: what a worker does with an answer is its own affair.
 */
#ifndef WORKERS_DRAIN_LEDGER_H
#define WORKERS_DRAIN_LEDGER_H

#include "common/redis/redis_conn.h"
#include "proto/drain/ledger.h"
#include "workers/redis/redis_settings.h"
#include "workers/skeleton/worker.h"

struct drain_ledger {
    struct worker *w;
    struct redis_link link;
    struct redis_conn *conn; /* the link's; NULL when it is closed */
    char prefix[LEDGER_PREFIX_SIZE];
    char identity[REDIS_IDENTITY_SIZE];
    struct slice set;
    char store[PATH_MAX]; /* which store the records go to, as the ledger remembers it */
    int scripts[LEDGER_SCRIPT_COUNT];
    /* The call being put together. */
    struct slice *args;
    char (*digits)[LEDGER_ID_SIZE];
    size_t count;
    size_t cap;
};

/*
 * Reads the settings and starts connecting (redis_link_open: READY waits for the first attempt, the tree
 * shows what is wrong). Returns 0, or an exit code (contract.h) after worker_trouble, for the type's init to
 * return. `events` get `state`.
 */
int drain_ledger_open(struct drain_ledger *l, struct worker *w, void *state,
                      const struct redis_link_events *events);

/*
 * What a PostgreSQL store is called in the ledger: the url, of its query no more than what says which database it is
 * (host, hostaddr, port, dbname, user, service; each as it stands last, in one order and one spelling), and the table.
 * One without these is called as it always was. False: memory is short.
 */
bool drain_ledger_name_url(char store[PATH_MAX], const char *url, const char *table);

/* Closes the connection: calls that wait get NULL. Harmless on a zeroed ledger. */
void drain_ledger_close(struct drain_ledger *l);

/* Starts a call with at most `max` arguments. Returns 0 or -ENOMEM. */
int drain_ledger_begin(struct drain_ledger *l, size_t max);

/* Adds an argument; its bytes must live until the call is sent. */
void drain_ledger_add(struct drain_ledger *l, struct slice arg);
void drain_ledger_add_u64(struct drain_ledger *l, uint64_t arg);

/* Sends the call as this script. Errors as redis_conn_command: fn is then not called. */
int drain_ledger_send(struct drain_ledger *l, enum ledger_script script, redis_reply_fn fn,
                      void *ctx);

/* Sends the call as a plain command. */
int drain_ledger_command(struct drain_ledger *l, redis_reply_fn fn, void *ctx);

/* Brings the worker's Redis counters up to date; call it on every tick. */
void drain_ledger_count(struct drain_ledger *l);

/* The error of a reply for people, in `text`; "the connection broke" for NULL. True when waiting can help. */
bool drain_ledger_explain(const redisReply *reply, char *text, size_t size);

/* The same of a plain command, which is named: the server's words do not always, and never name the key. */
void drain_ledger_explain_command(const redisReply *reply, const char *command, struct slice key,
                                  char *text, size_t size);

static inline bool drain_reply_is_error(const redisReply *reply)
{
    return reply == NULL || reply->type == REDIS_REPLY_ERROR;
}

static inline struct slice drain_reply_slice(const redisReply *reply)
{
    return slice_make(reply->str, reply->len);
}

/* Element `i` of an array as a number (integers, and texts of digits); 0 when it is none. */
int64_t drain_reply_int(const redisReply *reply, size_t i);

/* Element `i` of an array as bytes; empty when it is none. */
struct slice drain_reply_text(const redisReply *reply, size_t i);

#endif
