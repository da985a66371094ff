/* job_orders.c: see job_orders.h. */
#include "workers/jobs/job_orders.h"

#include "common/log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ORDERS_CHANNEL "rq:pubsub:"

struct job_orders {
    struct job_redis *redis;
    struct redis_conn *conn;
};

static void orders_on_stopped(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    const redisReply *what = job_reply_at(reply, 0);
    (void)c;
    (void)ctx;
    if (what != NULL && slice_is(job_reply_bytes(what), "stopping"))
        log_info("stop-ordered", "an rq client has ordered a job to be stopped");
}

/* The beat of whoever runs it hears of it. What runs elsewhere, or no more, is nobody's affair. */
static void orders_stop(struct job_orders *o, struct slice worker, const char *job)
{
    const struct slice args[] = {slice_of(job), worker};
    job_redis_call(o->redis, JOB_SCRIPT_JOBS_CANCEL, 2, args, orders_on_stopped, o);
}

static void orders_on_matched(struct redis_conn *c, struct slice pattern, struct slice channel,
                              struct slice payload, void *ctx)
{
    struct job_orders *o = ctx;
    size_t len = strlen(ORDERS_CHANNEL);
    (void)c;
    (void)pattern;
    if (channel.len <= len)
        return;
    json_t *order = json_loadb(payload.ptr, payload.len, 0, NULL);
    const char *command = json_string_value(json_object_get(order, "command")),
               *job = json_string_value(json_object_get(order, "job_id"));
    if (command != NULL && job != NULL && strcmp(command, "stop-job") == 0)
        orders_stop(o, slice_make(channel.ptr + len, channel.len - len), job);
    else if (command != NULL)
        log_info("order-refused", "command=%s cause=sanjers are supervised: platoonctl stops them",
                 log_quote(slice_of(command)));
    json_decref(order);
}

static void orders_on_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    (void)ctx;
}

/* What keeps it away keeps the keeper's other connections away too, and they say so. */
static void orders_on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    (void)why;
    (void)ctx;
}

struct job_orders *job_orders_new(struct worker *w, struct job_redis *redis)
{
    static const struct redis_conn_events events = {
        .on_ready = orders_on_ready, .on_lost = orders_on_lost, .on_matched = orders_on_matched};
    struct redis_options options = {0};
    char why[256], host[64] = "", pattern[128];
    struct job_orders *o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    o->redis = redis;
    redis_settings_read(w, &options);
    options.primary = true;
    o->conn = redis_conn_new(worker_loop(w), &options, &events, o, why, sizeof why);
    redis_options_fini(&options);
    gethostname(host, sizeof host - 1);
    snprintf(pattern, sizeof pattern, ORDERS_CHANNEL "%s.*", host);
    if (o->conn != NULL && redis_conn_psubscribe(o->conn, pattern) == 0)
        return o;
    job_orders_free(o);
    return NULL;
}

void job_orders_free(struct job_orders *o)
{
    if (o == NULL)
        return;
    redis_conn_free(o->conn);
    free(o);
}
