/* queue_redis.c: how the workers of queues reach their Redis. See queue_redis.h. */
#include "workers/queue/queue_redis.h"

#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Longest wait for a list; less where redis.timeout, after which a connection counts as dead, is short. */
#define QUEUE_WAIT_MS 5000u

/* "INSTANCE:NAME:" and then the start and the generation: successors know each other, also after a new start. */
static int queue_redis_names(struct queue_redis *q)
{
    const char *space = worker_setting(q->w, "backbone.namespace");
    space = space != NULL ? space : "";
    int rc =
        redis_identity(q->owner, worker_setting_text(q->w, "platoon.instance"), worker_name(q->w),
                       worker_setting_text(q->w, "platoon.boot"), worker_generation(q->w));
    int used = snprintf(q->owners, sizeof q->owners,
                        "%s:%s:", worker_setting_text(q->w, "platoon.instance"), worker_name(q->w));
    int len = snprintf(q->space, sizeof q->space, "%s%s", space, space[0] != '\0' ? ":" : "");
    if (rc == 0 && used < (int)sizeof q->owners && len < (int)sizeof q->space)
        return 0;
    worker_trouble(q->w, "the names of backbone and queue are too long for keys in Redis: choose "
                         "shorter ones");
    return CONTRACT_EXIT_CONFIG;
}

static int queue_redis_scripts(struct queue_redis *q)
{
    for (int i = 0; i < QUEUE_SCRIPT_COUNT; i++) {
        q->scripts[i] = redis_conn_add_script(q->conn, queue_script_text((enum queue_script)i));
        if (q->scripts[i] < 0)
            return CONTRACT_EXIT_TEMPORARY;
    }
    return 0;
}

int queue_redis_open(struct queue_redis *q, struct worker *w, void *state,
                     const struct redis_link_events *events)
{
    q->w = w;
    q->state = state;
    int code = queue_redis_names(q);
    if (code == 0)
        code = redis_link_open(&q->link, w, state, REDIS_LINK_PRIMARY, events);
    if (code != 0)
        return code;
    q->conn = q->link.conn;
    return queue_redis_scripts(q);
}

void queue_redis_close(struct queue_redis *q)
{
    q->conn = NULL;
    redis_link_close(&q->link);
    struct redis_conn *waits = q->waits;
    q->waits = NULL; /* whose pending answer is nobody's any more */
    redis_conn_free(waits);
    buffer_fini(&q->words);
}

/* ---- the library ---- */

static void queue_redis_on_load(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_redis *q = ctx;
    (void)c;
    q->library = reply != NULL && reply->type == REDIS_REPLY_STRING;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        log_info("no-library", "cause=%s remedy=\"EVALSHA is used instead\"",
                 log_quote(queue_reply_bytes(reply)));
}

void queue_redis_load(struct queue_redis *q)
{
    static const char mode[] = "REPLACE";
    const struct slice words[] = {slice_of("FUNCTION"), slice_of("LOAD"), slice_of(mode),
                                  slice_of(redis_library_queue)};
    q->library = false;
    if (q->conn != NULL)
        redis_conn_command(q->conn, sizeof words / sizeof words[0], words, queue_redis_on_load, q);
}

/* ---- calls ---- */

static int queue_redis_function(struct queue_redis *q, struct redis_conn *c,
                                struct queue_call *call, const struct slice *args,
                                redis_reply_fn fn, void *ctx)
{
    char name[64];
    snprintf(name, sizeof name, "platoon_%s", queue_script_name(call->script) + strlen("queue_"));
    const struct slice head[] = {slice_of("FCALL"), slice_of(name), slice_of("1"),
                                 slice_of(q->space)};
    buffer_clear(&q->words);
    buffer_append(&q->words, head, sizeof head);
    buffer_append(&q->words, args, call->count * sizeof *args);
    if (!buffer_ok(&q->words))
        return -ENOMEM;
    return redis_conn_command(c, sizeof head / sizeof head[0] + call->count,
                              (const struct slice *)(const void *)q->words.data, fn, ctx);
}

static int queue_redis_call_on(struct queue_redis *q, struct redis_conn *c, int script,
                               struct queue_call *call, redis_reply_fn fn, void *ctx)
{
    const struct slice *args = queue_call_args(call);
    const struct slice key = slice_of(q->space);
    if (args == NULL)
        return -ENOMEM;
    if (q->library)
        return queue_redis_function(q, c, call, args, fn, ctx);
    return redis_conn_script(c, script, 1, &key, call->count, args, fn, ctx);
}

int queue_redis_call(struct queue_redis *q, struct queue_call *call, redis_reply_fn fn, void *ctx)
{
    if (q->conn == NULL)
        return -ENOTCONN;
    return queue_redis_call_on(q, q->conn, q->scripts[call->script], call, fn, ctx);
}

bool queue_redis_failed(struct queue_redis *q, const redisReply *reply, char *text, size_t size)
{
    text[0] = '\0';
    if (reply == NULL) {
        const char *trouble = q->conn != NULL ? redis_conn_trouble(q->conn) : "";
        snprintf(text, size, "%s", trouble[0] != '\0' ? trouble : "the connection to Redis broke");
        return false;
    }
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    if (q->library && strstr(reply->str, "Function not found") != NULL) {
        queue_redis_load(q); /* answered before what is sent again comes back */
        snprintf(text, size, "the library platoon is not there any more");
        return true;
    }
    redis_error_explain(reply->str, reply->len, text, size);
    return false;
}

/* ---- waiting ---- */

static void queue_redis_on_waited(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_redis *q = ctx;
    (void)c;
    q->waiting = q->followed;
    if (q->waits != NULL) /* else it is being closed */
        q->on_list(q->state, reply != NULL && reply->type == REDIS_REPLY_STRING);
}

static void queue_redis_on_followed(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_redis *q = ctx;
    q->waiting = q->followed = false;
    if (q->waits != NULL)
        q->on_followed(c, reply, q->state);
}

static void queue_redis_on_waits(struct redis_conn *c, void *ctx)
{
    struct queue_redis *q = ctx;
    (void)c;
    q->on_list(q->state, false);
}

/* What keeps it away keeps the other connection away too, and that one says so. */
static void queue_redis_on_waits_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    (void)why;
    (void)ctx;
}

static bool queue_redis_open_waits(struct queue_redis *q, const struct queue_call *then)
{
    static const struct redis_conn_events events = {.on_ready = queue_redis_on_waits,
                                                    .on_lost = queue_redis_on_waits_lost};
    struct redis_options options = {0};
    char why[256];
    redis_settings_read(q->w, &options);
    options.primary = true;
    uint64_t most = options.timeout_ms / 2 < QUEUE_WAIT_MS ? options.timeout_ms / 2 : QUEUE_WAIT_MS;
    snprintf(q->wait_s, sizeof q->wait_s, "%" PRIu64 ".%03" PRIu64, most / 1000, most % 1000);
    q->waits = redis_conn_new(worker_loop(q->w), &options, &events, q, why, sizeof why);
    redis_options_fini(&options);
    if (q->waits != NULL && then != NULL)
        q->follows = redis_conn_add_script(q->waits, queue_script_text(then->script));
    return q->waits != NULL;
}

bool queue_redis_wait(struct queue_redis *q, struct slice key, struct queue_call *then,
                      redis_reply_fn fn)
{
    if (q->waits == NULL && !queue_redis_open_waits(q, then))
        return false;
    static const char end[] = "RIGHT";
    const struct slice words[] = {slice_of("BLMOVE"), key,           key,
                                  slice_of(end),      slice_of(end), slice_of(q->wait_s)};
    if (q->waiting || !redis_conn_ready(q->waits))
        return false;
    q->waiting = redis_conn_command(q->waits, sizeof words / sizeof words[0], words,
                                    queue_redis_on_waited, q) == 0;
    q->on_followed = fn;
    q->followed =
        q->waiting && then != NULL &&
        queue_redis_call_on(q, q->waits, q->follows, then, queue_redis_on_followed, q) == 0;
    return q->waiting;
}

void queue_redis_tick(struct queue_redis *q)
{
    redis_link_tick(&q->link);
}
