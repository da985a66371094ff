/* drain_ledger.c: connection, keys, arguments and scripts for the drain's workers. See drain_ledger.h. */
#include "workers/drain/drain_ledger.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Command name, script digest, number of keys and the keys go in front by redis_conn_script. */
#define DRAIN_LEDGER_KEYS 2

static int drain_ledger_names(struct drain_ledger *l, struct worker *w)
{
    l->set = slice_of(worker_setting_text(w, "drain.set"));
    if (ledger_prefix(l->prefix, worker_setting_text(w, "drain.name")) != 0 ||
        ledger_identity(l->identity, worker_setting_text(w, "platoon.instance"),
                        worker_setting_text(w, "platoon.boot"), worker_name(w),
                        worker_generation(w)) != 0) {
        worker_trouble(w,
                       "the drain's name is too long for the ledger's keys: choose a shorter one");
        return CONTRACT_EXIT_CONFIG;
    }
    return 0;
}

int drain_ledger_open(struct drain_ledger *l, struct worker *w, void *state,
                      const struct redis_link_events *events)
{
    *l = (struct drain_ledger){.w = w};
    int code = drain_ledger_names(l, w);
    if (code == 0)
        code = redis_link_open(&l->link, w, state, events);
    if (code != 0)
        return code;
    l->conn = l->link.conn;
    for (int i = 0; i < LEDGER_SCRIPT_COUNT; i++) {
        l->scripts[i] = redis_conn_add_script(l->conn, ledger_script_text((enum ledger_script)i));
        if (l->scripts[i] < 0)
            return CONTRACT_EXIT_TEMPORARY;
    }
    return 0;
}

void drain_ledger_close(struct drain_ledger *l)
{
    l->conn = NULL;
    redis_link_close(&l->link);
    free(l->args);
    free(l->digits);
    l->args = NULL;
    l->digits = NULL;
    l->cap = 0;
}

int drain_ledger_begin(struct drain_ledger *l, size_t max)
{
    l->count = 0;
    if (max <= l->cap)
        return 0;
    /* Both new before either is replaced: an argument may point into `digits`, so these never move while a call is made. */
    struct slice *args = calloc(max, sizeof *args);
    char(*digits)[LEDGER_ID_SIZE] = calloc(max, sizeof *digits);
    if (args == NULL || digits == NULL) {
        free(args);
        free(digits);
        return -ENOMEM;
    }
    free(l->args);
    free(l->digits);
    l->args = args;
    l->digits = digits;
    l->cap = max;
    return 0;
}

void drain_ledger_add(struct drain_ledger *l, struct slice arg)
{
    assert(l->count < l->cap);
    l->args[l->count++] = arg;
}

void drain_ledger_add_u64(struct drain_ledger *l, uint64_t arg)
{
    assert(l->count < l->cap);
    int len = snprintf(l->digits[l->count], LEDGER_ID_SIZE, "%" PRIu64, arg);
    drain_ledger_add(l, slice_make(l->digits[l->count], (size_t)len));
}

int drain_ledger_send(struct drain_ledger *l, enum ledger_script script, redis_reply_fn fn,
                      void *ctx)
{
    struct slice keys[DRAIN_LEDGER_KEYS] = {slice_of(l->prefix), l->set};
    if (l->conn == NULL)
        return -ENOTCONN;
    return redis_conn_script(l->conn, l->scripts[script], DRAIN_LEDGER_KEYS, keys, l->count,
                             l->args, fn, ctx);
}

int drain_ledger_command(struct drain_ledger *l, redis_reply_fn fn, void *ctx)
{
    if (l->conn == NULL)
        return -ENOTCONN;
    return redis_conn_command(l->conn, l->count, l->args, fn, ctx);
}

void drain_ledger_count(struct drain_ledger *l)
{
    redis_link_tick(&l->link);
}

bool drain_ledger_explain(const redisReply *reply, char *text, size_t size)
{
    if (reply == NULL) {
        snprintf(text, size, "the connection to Redis broke; waiting for it to come back");
        return true;
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        snprintf(text, size,
                 "Redis gave an answer of type %d, which the ledger's scripts never give: is it a "
                 "Redis?",
                 reply->type);
        return false;
    }
    return redis_error_explain(reply->str, reply->len, text, size);
}

int64_t drain_reply_int(const redisReply *reply, size_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements)
        return 0;
    const redisReply *r = reply->element[i];
    if (r->type == REDIS_REPLY_INTEGER)
        return r->integer;
    return r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : 0;
}

struct slice drain_reply_text(const redisReply *reply, size_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements)
        return slice_make(NULL, 0);
    const redisReply *r = reply->element[i];
    if (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS)
        return slice_make(NULL, 0);
    return drain_reply_slice(r);
}
