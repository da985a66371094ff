/*
 * sanjer_worker.c: a sanjer as RQ's clients see it: a worker. See sanjer.h.
 *
 * It says every SANJER_SHOW_MS that it is there; what it has in hands the scripts write that claim and end. Its name is
 * HOST.sanjerN; where another has that already, as of a second section on this host, a longer one.
 */
#include "workers/jobs/sanjer.h"

#include "common/clock.h"
#include "common/job_queue.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

/* A third of the script's LIFE_MS, and of what 8 idle ones may ask of Redis each second next to nothing. */
#define SANJER_SHOW_MS 20000u

/* So long a stop waits for Redis to hear of it. */
#define SANJER_LEAVE_MS 500u

static void worker_host(char host[64])
{
    memset(host, 0, 64);
    gethostname(host, 63);
}

/* Letters of names of RQ's; whatever else is _. */
static void worker_plain(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("_-.", *c) == NULL)
            *c = '_';
}

void sanjer_name(struct sanjer *s, bool longer)
{
    char host[64];
    const char *number = strrchr(worker_name(s->w), '.');
    number = number != NULL ? number + 1 : "";
    worker_host(host);
    if (longer)
        snprintf(s->worker, sizeof s->worker, "%s.%.60s.%.60s.sanjer%s", host,
                 worker_setting_text(s->w, "platoon.instance"),
                 worker_setting_text(s->w, "jobs.name"), number);
    else
        snprintf(s->worker, sizeof s->worker, "%s.sanjer%s", host, number);
    worker_plain(s->worker);
    s->longer = longer;
}

static int worker_say(struct sanjer *s, const char *leaves, redis_reply_fn fn)
{
    char queues[JOB_QUEUE_SIZE], pid[24], host[64];
    worker_host(host);
    job_queue_scope(worker_setting_text(s->w, "jobs.queue"), queues);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    const struct slice args[] = {slice_of(s->worker), slice_of(s->redis.owners),
                                 slice_of(queues),    slice_of(pid),
                                 slice_of(host),      slice_of("platoon " PLATOON_VERSION),
                                 slice_of(leaves)};
    return job_redis_call(&s->redis, JOB_SCRIPT_JOBS_WORKER, sizeof args / sizeof args[0], args, fn,
                          s);
}

static void worker_on_shown(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct sanjer *s = ctx;
    (void)c;
    if (reply == NULL || !slice_is(job_reply_bytes(reply), "taken") || s->longer)
        return;
    sanjer_name(s, true);
    s->show_ms = 0;
    sanjer_show(s);
}

void sanjer_show(struct sanjer *s)
{
    uint64_t now = clock_mono_ms();
    if (now < s->show_ms || worker_stopping(s->w) || !redis_conn_ready(s->redis.conn))
        return;
    if (worker_say(s, "0", worker_on_shown) == 0)
        s->show_ms = now + SANJER_SHOW_MS;
}

/* ---- its end ---- */

static void worker_left(struct sanjer *s)
{
    if (s->leaving)
        worker_finished(s->w);
    s->leaving = false;
}

static void worker_on_left(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    if (reply != NULL) /* else it is being closed, or the timer tells */
        worker_left(ctx);
}

static void worker_on_late(uv_timer_t *timer)
{
    worker_left(timer->data);
}

void sanjer_leave(struct sanjer *s)
{
    if (s->leaving)
        return;
    s->leaving = true;
    if (!redis_conn_ready(s->redis.conn) || worker_say(s, "1", worker_on_left) != 0)
        worker_left(s);
    else
        uv_timer_start(&s->stop, worker_on_late, SANJER_LEAVE_MS, 0);
}
