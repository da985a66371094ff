/* job_watch.c: waits for what rq's clients push. See job_watch.h. */
#include "workers/jobs/job_watch.h"

#include "common/log.h"
#include "workers/jobs/job_functions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* So long one wait lasts at most; it is half of what a command may take. */
#define WATCH_WAIT_MS 5000u

/* The pause when the same stands at the head again, doubled each time: nobody has taken it. */
#define WATCH_PAUSE_MIN_MS 2u
#define WATCH_PAUSE_MAX_MS 1000u

#define WATCH_HEAD_SIZE 160
#define WATCH_QUEUES    40 /* the configuration's most (config_check_jobs.c) */

struct watched {
    struct job_watch *watch;
    struct slice name;
    char key[256];
    struct redis_conn *conn; /* NULL: it is only looked at */
    uv_timer_t timer;
    bool waiting;
    uint64_t pause_ms; /* 0: none */
    char head[WATCH_HEAD_SIZE];
};

struct job_watch {
    struct worker *w;
    struct job_redis *redis;
    char wait_s[24];
    bool idle, closing;
    bool said;          /* that there are none */
    size_t count, open; /* open: timers that are not closed */
    struct watched queues[WATCH_QUEUES];
};

static void watched_wait(struct watched *q);

static void watch_on_said(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct job_watch *watch = ctx;
    char why[384];
    (void)c;
    if (reply == NULL) /* or it is being closed, after the watch */
        return;
    job_redis_failed(reply, why, sizeof why);
    watch->said = watch->count == 0 && why[0] == '\0';
    if (why[0] != '\0')
        log_warn("functions", "error=%s", log_quote(slice_of(why)));
}

/* ---- one queue ---- */

static void watched_on_timer(uv_timer_t *timer)
{
    watched_wait(timer->data);
}

/* It gets a turn. The same head as before is asked after again, but not at once. */
static void watched_found(struct watched *q, struct slice head)
{
    const struct slice args[] = {slice_of("0"), q->name};
    bool same = slice_is(head, q->head);
    if (!slice_copy(head, q->head, sizeof q->head))
        q->head[0] = '\0';
    q->pause_ms = !same || q->pause_ms == 0 ? WATCH_PAUSE_MIN_MS : q->pause_ms * 2;
    if (q->pause_ms > WATCH_PAUSE_MAX_MS)
        q->pause_ms = WATCH_PAUSE_MAX_MS;
    job_redis_call(q->watch->redis, JOB_SCRIPT_JOBS_FUNCTIONS, 2, args, watch_on_said, q->watch);
    uv_timer_start(&q->timer, watched_on_timer, q->pause_ms, 0);
}

static void watched_on_waited(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct watched *q = ctx;
    (void)c;
    q->waiting = false;
    if (q->watch->closing || reply == NULL) /* the connection broke: on_ready goes on */
        return;
    if (reply->type == REDIS_REPLY_STRING) {
        watched_found(q, job_reply_bytes(reply));
    } else if (reply->type != REDIS_REPLY_ERROR) { /* else the tick goes on */
        q->head[0] = '\0';
        watched_wait(q);
    }
}

static void watched_wait(struct watched *q)
{
    static const char end[] = "LEFT";
    const struct slice words[] = {slice_of("BLMOVE"), slice_of(q->key), slice_of(q->key),
                                  slice_of(end),      slice_of(end),    slice_of(q->watch->wait_s)};
    if (q->waiting || q->conn == NULL || !q->watch->idle || worker_stopping(q->watch->w) ||
        uv_is_active((uv_handle_t *)&q->timer) || !redis_conn_ready(q->conn))
        return;
    q->waiting = redis_conn_command(q->conn, sizeof words / sizeof words[0], words,
                                    watched_on_waited, q) == 0;
}

static void watched_on_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    watched_wait(ctx);
}

/* What keeps it away keeps the keeper's other connection away too, and that one says so. */
static void watched_on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    (void)why;
    (void)ctx;
}

/* ---- all of them ---- */

static bool watch_open(struct job_watch *watch, struct watched *q, const struct redis_options *o)
{
    static const struct redis_conn_events events = {.on_ready = watched_on_ready,
                                                    .on_lost = watched_on_lost};
    char why[256];
    q->conn = redis_conn_new(worker_loop(watch->w), o, &events, q, why, sizeof why);
    return q->conn != NULL;
}

static void watch_add(struct job_watch *watch, struct slice name)
{
    struct watched *q = &watch->queues[watch->count++];
    q->watch = watch;
    q->name = name;
    snprintf(q->key, sizeof q->key, "rq:queue:%.*s", (int)name.len, name.ptr);
    uv_timer_init(worker_loop(watch->w), &q->timer);
    q->timer.data = q;
    watch->open++;
}

static void watch_read(struct job_watch *watch, const char *names)
{
    struct slice name;
    while (watch->count < WATCH_QUEUES && (name = job_functions_next(&names)).len > 0)
        watch_add(watch, name);
}

struct job_watch *job_watch_new(struct worker *w, struct job_redis *redis, const char *names)
{
    struct redis_options options = {0};
    struct job_watch *watch = calloc(1, sizeof *watch);
    bool ok = true;
    if (watch == NULL)
        return NULL;
    watch->w = w;
    watch->redis = redis;
    watch_read(watch, names);
    redis_settings_read(w, &options);
    options.primary = true;
    uint64_t most = options.timeout_ms / 2 < WATCH_WAIT_MS ? options.timeout_ms / 2 : WATCH_WAIT_MS;
    snprintf(watch->wait_s, sizeof watch->wait_s, "%" PRIu64 ".%03" PRIu64, most / 1000,
             most % 1000);
    for (size_t i = 0; ok && i < watch->count && i < JOB_WATCH_MAX; i++)
        ok = watch_open(watch, &watch->queues[i], &options);
    redis_options_fini(&options);
    if (ok)
        return watch;
    job_watch_free(watch);
    return NULL;
}

static void watch_on_closed(uv_handle_t *handle)
{
    struct watched *q = handle->data;
    if (--q->watch->open == 0)
        free(q->watch);
}

void job_watch_free(struct job_watch *watch)
{
    if (watch == NULL)
        return;
    watch->closing = true;
    for (size_t i = 0; i < watch->count; i++) {
        struct redis_conn *conn = watch->queues[i].conn;
        watch->queues[i].conn = NULL;
        redis_conn_free(conn);
    }
    size_t count = watch->count;
    if (count == 0)
        free(watch);
    for (size_t i = 0; i < count; i++)
        uv_close((uv_handle_t *)&watch->queues[i].timer, watch_on_closed);
}

void job_watch_tick(struct job_watch *watch)
{
    struct slice args[1 + WATCH_QUEUES];
    if (watch->said)
        return;
    args[0] = slice_of("1");
    for (size_t i = 0; i < watch->count; i++)
        args[1 + i] = watch->queues[i].name;
    job_redis_call(watch->redis, JOB_SCRIPT_JOBS_FUNCTIONS, 1 + watch->count, args, watch_on_said,
                   watch);
    job_watch_want(watch, watch->idle);
}

void job_watch_want(struct job_watch *watch, bool idle)
{
    watch->idle = idle;
    for (size_t i = 0; i < watch->count; i++)
        watched_wait(&watch->queues[i]);
}
