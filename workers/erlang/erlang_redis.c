/* erlang_redis.c: see erlang_redis.h. */
#include "workers/erlang/erlang_redis.h"

#include "common/log.h"
#include "workers/redis/send_refuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_OUTSTANDING_MAX 10000u /* commands sent and not answered */

/* One that is under way. One allocation: node and pid follow. */
struct redis_asked {
    struct erlang_redis *redis;
    struct slice node, pid;
    char names[];
};

static void redis_tell(struct erlang_redis *r, struct slice node, struct slice pid,
                       const struct buffer *answer)
{
    if (r->closing || pid.len == 0)
        return;
    if (!buffer_ok(answer))
        worker_exit_for(r->w, ENOMEM, NULL, "cannot answer a command");
    r->events->on_reply(r->ctx, node, pid, buffer_slice(answer));
}

static void redis_fail(struct erlang_redis *r, struct slice node, struct slice pid, const char *why)
{
    struct buffer answer = BUFFER_EMPTY;
    erlang_command_error(&answer, why);
    redis_tell(r, node, pid, &answer);
    buffer_fini(&answer);
}

static void redis_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct redis_asked *a = ctx;
    struct erlang_redis *r = a->redis;
    (void)c;
    r->outstanding--;
    if (reply == NULL) {
        redis_fail(r, a->node, a->pid,
                   "the connection broke after the command was sent: it may or may not have run");
    } else {
        struct buffer answer = BUFFER_EMPTY;
        erlang_command_answer(&answer, reply, r->events->answer_max);
        redis_tell(r, a->node, a->pid, &answer);
        buffer_fini(&answer);
    }
    free(a);
}

static struct redis_asked *redis_asked_new(struct erlang_redis *r, struct slice node,
                                           struct slice pid)
{
    struct redis_asked *a = worker_must_alloc(r->w, sizeof *a + node.len + pid.len);
    memcpy(a->names, node.ptr, node.len);
    memcpy(a->names + node.len, pid.ptr, pid.len);
    a->redis = r;
    a->node = slice_make(a->names, node.len);
    a->pid = slice_make(a->names + node.len, pid.len);
    return a;
}

static const char *redis_why(const struct erlang_redis *r, int rc)
{
    return rc == -ENOTCONN  ? redis_conn_trouble(r->conn)
           : rc == -ENOBUFS ? "too much waits to be sent to Redis already: try again later"
                            : strerror(-rc);
}

static void redis_run(struct erlang_redis *r, struct slice node, struct slice pid,
                      const struct erlang_command *command)
{
    struct redis_asked *a = redis_asked_new(r, node, pid);
    int rc = redis_conn_command(r->conn, command->count, command->words, redis_on_reply, a);
    if (rc == 0) {
        r->outstanding++;
        return;
    }
    redis_fail(r, node, pid, redis_why(r, rc));
    free(a);
}

void erlang_redis_send(struct erlang_redis *r, struct slice node, struct slice pid,
                       struct slice command)
{
    struct erlang_command c;
    const char *why = NULL;
    char refused[512];
    if (r->conn == NULL) {
        redis_fail(r, node, pid, "this gate has no Redis: name a redis section (redis) in its own");
        return;
    }
    if (erlang_command_read(command, &c, &why) != 0) {
        redis_fail(r, node, pid, why);
        return;
    }
    const char *refusal = send_refuse(c.count, c.words);
    if (refusal != NULL) {
        snprintf(refused, sizeof refused, "%.*s is refused: %s",
                 (int)(c.words[0].len < 32 ? c.words[0].len : 32), c.words[0].ptr, refusal);
        redis_fail(r, node, pid, refused);
    } else if (r->outstanding >= REDIS_OUTSTANDING_MAX) {
        redis_fail(r, node, pid, "too many commands are outstanding: try again later");
    } else {
        redis_run(r, node, pid, &c);
    }
    erlang_command_fini(&c);
}

/* ---- life ---- */

static void redis_known(struct erlang_redis *r)
{
    bool known = r->known;
    r->known = true;
    if (!known)
        r->events->on_known(r->ctx);
}

static void redis_on_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    redis_known(ctx);
}

/* The tree says why, from erlang_redis_trouble. */
static void redis_on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    log_info("redis-lost", "cause=%s", log_quote_text(why));
    redis_known(ctx);
}

int erlang_redis_open(struct erlang_redis *r, struct worker *w,
                      const struct erlang_redis_events *events, void *ctx)
{
    static const struct redis_conn_events conn_events = {.on_ready = redis_on_ready,
                                                         .on_lost = redis_on_lost};
    struct redis_options options = {0};
    char why[512];
    *r = (struct erlang_redis){.w = w, .events = events, .ctx = ctx};
    redis_settings_read(w, &options);
    r->conn = redis_conn_new(worker_loop(w), &options, &conn_events, r, why, sizeof why);
    redis_options_fini(&options);
    if (r->conn != NULL)
        return 0;
    worker_trouble(w, "redis: %s", why);
    return strstr(why, "out of memory") != NULL ? CONTRACT_EXIT_SHORT : CONTRACT_EXIT_CONFIG;
}

void erlang_redis_tick(struct erlang_redis *r)
{
    if (r->conn == NULL)
        return;
    struct redis_conn_stats now = redis_conn_stats(r->conn);
    worker_count(r->w, COUNTER_REDIS_COMMANDS, now.commands - r->reported.commands);
    worker_count(r->w, COUNTER_REDIS_ERRORS, now.errors - r->reported.errors);
    worker_count(r->w, COUNTER_REDIS_RECONNECTS, now.reconnects - r->reported.reconnects);
    r->reported = now;
}

const char *erlang_redis_trouble(const struct erlang_redis *r)
{
    if (r->conn == NULL || !r->known || redis_conn_ready(r->conn))
        return NULL;
    return redis_conn_trouble(r->conn);
}

void erlang_redis_close(struct erlang_redis *r)
{
    r->closing = true;
    redis_conn_free(r->conn);
    r->conn = NULL;
}
