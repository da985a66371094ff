/*
 * sanjer.c: the life of a sanjer: idle, woken, a claim, beats. See sanjer.h.
 *
 * Runs as its own process, sanjer.workers of them a section. It says to the keeper when it is idle, and claims when it
 * is woken; while there are jobs the end of one claims the next. What it runs is its own until Redis says otherwise:
 * each second a beat renews the lease, and hears whether the job is to be stopped.
 */
#include "workers/jobs/sanjer.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/json/json_short.h"
#include "common/log.h"
#include "common/oom_kills.h"
#include "common/text.h"
#include "proto/jobs/job_field.h"
#include "workers/jobs/job_secret.h"
#include "common/job_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A sanjer that was not woken says again that it is idle: a keeper's successor knows nobody. */
#define SANJER_IDLE_MS 2000u

/* Looks at what is left when we end, and the pause between two: 0.5 s, of the 3 that a worker without a master has. */
#define SANJER_SWEEPS   50u
#define SANJER_SWEEP_NS 10000000

/* The part of the time of a stop that is left for Redis to hear of what is handed back: 2 s of 10. */
#define SANJER_TELL_PART 5u

static void sanjer_adopt(struct sanjer *s);

/* ---- idle ---- */

static bool sanjer_say(struct sanjer *s, uint64_t runs)
{
    bool heard = false;
    for (struct worker_peer *p = worker_peer_next(s->w, NULL); p != NULL;
         p = worker_peer_next(s->w, p)) {
        if (strcmp(p->type, "job-keeper") != 0)
            continue;
        struct buffer *message = worker_compose(s->w);
        message_idle_pack(message, &(struct message_idle){.runs = runs});
        heard = worker_send(s->w, p, message) == 0 || heard;
    }
    return heard;
}

static void sanjer_idle(struct sanjer *s)
{
    uint64_t now = clock_mono_ms();
    if (s->claiming || s->run != NULL || worker_stopping(s->w) ||
        !redis_conn_ready(s->redis.conn) || now < s->idle_ms)
        return;
    if (sanjer_say(s, 0))
        s->idle_ms = now + SANJER_IDLE_MS;
}

/* ---- a claim ---- */

static void sanjer_on_claimed(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct sanjer *s = ctx;
    char why[384];
    (void)c;
    s->claiming = false;
    if (FAULT_POINT("sanjer.after-claim", slice_of("")))
        reply = NULL; /* as when its answer is lost */
    job_redis_failed(reply, why, sizeof why);
    if (reply != NULL && why[0] != '\0')
        worker_trouble(s->w, "jobs cannot be claimed: %s", why);
    /* Whatever it has given to us without our hearing of it goes back (sanjer_adopt). */
    s->adopted = s->adopted && reply != NULL;
    sanjer_take(s, why[0] == '\0' ? reply : NULL);
    if (s->run != NULL)
        sanjer_say(s, 1); /* the keeper may look whether there is more */
}

static void sanjer_claim(struct sanjer *s)
{
    const struct slice args[] = {slice_of(s->redis.owner), slice_of(s->worker), slice_of(s->lease)};
    if (s->claiming || s->run != NULL || worker_stopping(s->w) ||
        FAULT_POINT("sanjer.before-claim", slice_of("")))
        return;
    s->claiming =
        job_redis_call(&s->redis, JOB_SCRIPT_JOBS_CLAIM, 3, args, sanjer_on_claimed, s) == 0;
}

static char *sanjer_copy(const redisReply *reply)
{
    return slice_dup(reply != NULL ? job_reply_bytes(reply) : slice_of(""));
}

static struct slice sanjer_field(const redisReply *fields, const char *name)
{
    for (size_t i = 0; job_reply_at(fields, i + 1) != NULL; i += 2)
        if (slice_is(job_reply_bytes(fields->element[i]), name))
            return job_reply_bytes(fields->element[i + 1]);
    return slice_of("");
}

static uint64_t sanjer_number(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0
               ? (uint64_t)reply->integer
               : 0;
}

/* Of what is no number, as RQ's clients may have put it there, the section's. */
static uint64_t sanjer_field_u64(const redisReply *fields, const char *name, uint64_t absent)
{
    uint64_t number;
    return text_parse_u64(sanjer_field(fields, name), &number) == 0 ? number : absent;
}

/* Empty without such a field; NULL: it holds something else. */
static json_t *sanjer_object(struct sanjer_run *run, const redisReply *fields, const char *name)
{
    struct slice text = sanjer_field(fields, name);
    json_short_begin();
    json_t *object = text.len > 0 ? json_loadb(text.ptr, text.len, 0, NULL) : json_object();
    if (json_short_end())
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for a job");
    if (json_is_object(object))
        return object;
    json_decref(object);
    snprintf(run->fault, sizeof run->fault, "settings: what Redis has of them is no JSON object");
    return NULL;
}

/* What is shown of them has stars where a secret is: that stands apart. */
static void sanjer_read_job_settings(struct sanjer_run *run, const redisReply *fields)
{
    json_t *secrets = sanjer_object(run, fields, JOB_FIELD("secrets"));
    run->settings = sanjer_object(run, fields, JOB_FIELD("settings"));
    if (run->fault[0] == '\0' &&
        (job_secret_join(run->settings, secrets) != 0 || job_mask_new(secrets, &run->mask) != 0))
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for a job");
    json_decref(secrets);
}

/* By Redis' clock, in RQ's form: 2026-11-26T00:24:00.123456Z. What is no time of that form is none. */
static uint64_t sanjer_stamp_ms(struct slice text)
{
    struct tm tm = {.tm_isdst = 0};
    char stamp[40];
    unsigned ms = 0;
    if (!slice_copy(text, stamp, sizeof stamp))
        return 0;
    const char *rest = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL || sscanf(rest, ".%3u", &ms) > 1)
        return 0;
    return (uint64_t)timegm(&tm) * 1000 + ms;
}

/* NULL when memory is short: the claim is handed back by whoever comes after us. */
static struct sanjer_run *sanjer_run_new(struct sanjer *s, const redisReply *claimed)
{
    struct sanjer_run *run = calloc(1, sizeof *run);
    const redisReply *fields = job_reply_at(claimed, 5);
    if (run == NULL)
        return NULL;
    run->s = s;
    run->progress = -1;
    run->id = sanjer_copy(job_reply_at(claimed, 0));
    run->queue = sanjer_copy(job_reply_at(claimed, 1));
    run->attempt = sanjer_number(job_reply_at(claimed, 2));
    run->blamed = sanjer_number(job_reply_at(claimed, 3));
    run->claimed_ms = sanjer_stamp_ms(sanjer_field(fields, "started_at"));
    run->lacked_ms = sanjer_field_u64(fields, JOB_FIELD("lacked"), 0);
    run->platform = slice_dup(sanjer_field(fields, JOB_FIELD("platform")));
    struct slice name = sanjer_field(fields, JOB_FIELD("id"));
    run->name = slice_dup(name.len > 0 ? name : job_reply_bytes(job_reply_at(claimed, 0)));
    run->timeout_ms = 1000 * sanjer_field_u64(fields, "timeout", 0);
    if (run->timeout_ms == 0)
        run->timeout_ms = s->timeout_ms;
    run->retries = sanjer_field_u64(fields, JOB_FIELD("retries"), s->retries);
    sanjer_read_job_settings(run, fields);
    run->meta = json_object();
    if (sanjer_function_read(run, fields) != 0)
        worker_exit(s->w, CONTRACT_EXIT_SHORT, "memory is short for a function");
    if (run->id == NULL || run->queue == NULL || run->platform == NULL || run->name == NULL ||
        run->meta == NULL)
        worker_exit(s->w, CONTRACT_EXIT_SHORT, "memory is short for a job");
    return run;
}

static uint64_t sanjer_waited_ms(const redisReply *fields)
{
    uint64_t from = sanjer_stamp_ms(sanjer_field(fields, "enqueued_at")),
             to = sanjer_stamp_ms(sanjer_field(fields, "started_at"));
    return from > 0 && to > from ? to - from : 0;
}

void sanjer_take(struct sanjer *s, const redisReply *claimed)
{
    bool none = claimed == NULL || claimed->type != REDIS_REPLY_ARRAY;
    if (none && worker_stopping(s->w)) {
        sanjer_leave(s);
        return;
    }
    if (none) {
        /* `suspended`: its turns are still there, and the keeper would wake us at once. */
        bool held = claimed != NULL && claimed->type == REDIS_REPLY_STRING;
        s->idle_ms = held ? clock_mono_ms() + SANJER_IDLE_MS : 0;
        if (!s->adopted && redis_conn_ready(s->redis.conn))
            sanjer_adopt(
                s); /* before the next: whoever is never idle long would never come to it */
        else
            sanjer_idle(s);
        return;
    }
    s->run = sanjer_run_new(s, claimed);
    if (s->run == NULL)
        worker_exit(s->w, CONTRACT_EXIT_SHORT, "memory is short for a job");
    worker_count(s->w, COUNTER_JOBS_STARTED, 1);
    worker_observe(s->w, COUNTER_JOB_WAIT, sanjer_waited_ms(job_reply_at(claimed, 5)));
    sanjer_start(s, s->run);
}

void sanjer_done(struct sanjer *s, const redisReply *claimed)
{
    sanjer_run_close(s->run);
    s->run = NULL;
    if (worker_stopping(s->w))
        sanjer_leave(s);
    else
        sanjer_take(s, claimed);
}

static bool sanjer_on_message(struct worker *w, void *state, struct worker_peer *from,
                              uint64_t type, struct unpack *u)
{
    struct message_wake m;
    (void)w;
    (void)from;
    if (type != MESSAGE_WAKE || !message_wake_unpack(u, &m))
        return false;
    sanjer_claim(state);
    return true;
}

/* ---- beats ---- */

static void sanjer_on_beat(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct sanjer *s = ctx;
    (void)c;
    if (reply == NULL || s->run == NULL || s->ending)
        return;
    struct slice said = job_reply_bytes(reply);
    if (slice_is(said, "stop"))
        sanjer_stop_run(s->run, SANJER_CANCELED);
    else if (slice_is(said, "lost") || slice_is(said, "gone") || slice_is(said, "canceled"))
        sanjer_stop_run(s->run, SANJER_GONE);
}

static void sanjer_beat(struct sanjer *s)
{
    struct slice args[5 + SANJER_FRESH];
    struct buffer texts[4] = {BUFFER_EMPTY, BUFFER_EMPTY, BUFFER_EMPTY, BUFFER_EMPTY};
    char attempt[24], progress[32];
    struct sanjer_run *run = s->run;
    if (run == NULL || s->ending || !redis_conn_ready(s->redis.conn))
        return;
    snprintf(attempt, sizeof attempt, "%" PRIu64, run->attempt);
    args[0] = slice_of(run->id);
    args[1] = slice_of(run->queue);
    args[2] = slice_of(s->redis.owner);
    args[3] = slice_of(attempt);
    args[4] = slice_of(s->lease);
    size_t count = 5 + (run->fresh ? sanjer_fresh(run, args + 5, texts, progress) : 0);
    if (job_redis_call(&s->redis, JOB_SCRIPT_JOBS_BEAT, count, args, sanjer_on_beat, s) == 0)
        run->fresh = false;
    for (size_t i = 0; i < 4; i++)
        buffer_fini(&texts[i]);
}

/* ---- life ---- */

static void sanjer_on_adopted(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct sanjer *s = ctx;
    (void)c;
    if (FAULT_POINT("sanjer.after-adopt", slice_of("")))
        reply = NULL;
    s->adopted = reply != NULL && reply->type == REDIS_REPLY_ARRAY;
    sanjer_idle(s);
}

/* What is in our name and not in our hands: an incarnation's before us, or a claim's whose answer was lost. */
static void sanjer_adopt(struct sanjer *s)
{
    char lost_max[24], queues[JOB_QUEUE_SIZE];
    job_queue_scope(worker_setting_text(s->w, "jobs.queue"), queues);
    snprintf(lost_max, sizeof lost_max, "%" PRIu64, worker_setting_u64(s->w, "jobs.lost_max"));
    const struct slice with[] = {slice_of(s->redis.owners), slice_of(lost_max), slice_of(queues)};
    if (!FAULT_POINT("sanjer.before-adopt", slice_of("")))
        job_redis_call(&s->redis, JOB_SCRIPT_JOBS_ORPHANS, 3, with, sanjer_on_adopted, s);
}

static void sanjer_on_redis(struct worker *w, void *state)
{
    struct sanjer *s = state;
    (void)w;
    s->show_ms = 0;
    sanjer_show(s);
    sanjer_beat(s);
    if (s->ending)
        sanjer_end(s);
    if (!s->adopted && s->run == NULL)
        sanjer_adopt(s);
    else
        sanjer_idle(s);
}

static void sanjer_read_settings(struct sanjer *s)
{
    s->folder = worker_setting_text(s->w, "jobs.platforms");
    s->timeout_ms = worker_setting_u64(s->w, "jobs.timeout");
    s->stop_ms = worker_setting_u64(s->w, "jobs.stop_timeout");
    s->retries = worker_setting_u64(s->w, "jobs.retries");
    s->retry_min_ms = worker_setting_u64(s->w, "jobs.retry_min");
    s->retry_max_ms = worker_setting_u64(s->w, "jobs.retry_max");
    s->jobs_per_process = worker_setting_u64(s->w, "jobs.sanjer.jobs_per_process");
    const char *most = worker_setting(s->w, "jobs.sanjer.memory_max");
    if (most != NULL && most[0] != '\0')
        s->memory_max = worker_setting_u64(s->w, "jobs.sanjer.memory_max");
    s->dataset_max = worker_setting_u64(s->w, "jobs.dataset_max");
    s->output_keep = worker_setting_u64(s->w, "jobs.output_keep");
    snprintf(s->lease, sizeof s->lease, "%" PRIu64, worker_setting_u64(s->w, "jobs.lease"));
    sanjer_name(s, false);
}

static void sanjer_declare(struct worker *w)
{
    const enum counter counts[] = {
        COUNTER_JOBS_STARTED,  COUNTER_JOBS_FINISHED, COUNTER_JOBS_FAILED, COUNTER_JOBS_STOPPED,
        COUNTER_JOBS_CANCELED, COUNTER_JOBS_RETRIED,  COUNTER_JOB_WAIT,    COUNTER_JOB_RUN};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        worker_declare(w, counts[i]);
}

static int sanjer_init(struct worker *w, void *state)
{
    static const struct redis_link_events events = {.on_ready = sanjer_on_redis};
    struct sanjer *s = state;
    s->w = w;
    sanjer_declare(w);
    uv_timer_init(worker_loop(w), &s->stop);
    s->stop.data = s;
    sanjer_read_settings(s);
    s->oom_kills = oom_kills();
    int rc = child_process_adopt();
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "descendants of jobs cannot be adopted");
    s->user = job_user_new(w);
    s->store = sanjer_store_new(s);
    s->python = sanjer_python_new(s);
    if (s->python == NULL)
        worker_exit(w, CONTRACT_EXIT_SHORT, "memory is short for an interpreter");
    return job_redis_open(&s->redis, w, s, &events);
}

static void sanjer_on_tick(struct worker *w, void *state)
{
    struct sanjer *s = state;
    redis_link_tick(&s->redis.link);
    s->oom_kills = oom_kills();
    sanjer_python_tick(s->python);
    sanjer_show(s);
    sanjer_beat(s);
    if (!s->adopted && s->run == NULL && !s->claiming && redis_conn_ready(s->redis.conn))
        sanjer_adopt(s);
    sanjer_idle(s);
    if (s->run == NULL)
        worker_doing(w, "idle");
    else if (s->run->progress >= 0)
        worker_doing(w, "runs %s (%s) %.1fs %.0f %%", s->run->platform, s->run->name,
                     (double)(clock_mono_ms() - s->run->started_ms) / 1000, s->run->progress * 100);
    else
        worker_doing(w, "runs %s (%s) %.1fs", s->run->platform, s->run->name,
                     (double)(clock_mono_ms() - s->run->started_ms) / 1000);
}

static void sanjer_on_stop(uv_timer_t *timer)
{
    struct sanjer *s = timer->data;
    if (s->run != NULL)
        sanjer_stop_run(s->run, SANJER_BACK);
}

/*
 * In half of stop_timeout it may end by itself; then it is handed back, and has stop_timeout for TERM. All of it ends
 * before we are ended ourselves (stop_timeout of the platoon section), for that would be a death that it is blamed for.
 */
static void sanjer_drain(struct worker *w, void *state)
{
    struct sanjer *s = state;
    uint64_t left = worker_stop_left_ms(w);
    left -= left / SANJER_TELL_PART;
    s->back_ms = s->stop_ms < left / 3 * 2 ? s->stop_ms : left / 3 * 2;
    uint64_t most = left - s->back_ms, own = s->stop_ms / 2 < most ? s->stop_ms / 2 : most;
    if (s->run == NULL && !s->claiming)
        sanjer_leave(s);
    else
        uv_timer_start(&s->stop, sanjer_on_stop, own, 0);
}

/* Nobody comes after us who would know what is left when the master is gone too. */
static void sanjer_leave_nothing(void)
{
    for (unsigned i = 0; i < SANJER_SWEEPS && child_process_sweep() > 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = SANJER_SWEEP_NS}, NULL);
}

static void sanjer_fini(struct worker *w, void *state)
{
    struct sanjer *s = state;
    (void)w;
    if (s->run != NULL && s->run->process.pid > 0 && !s->run->exited)
        child_process_signal(&s->run->process, SIGKILL);
    job_redis_close(&s->redis);
    if (s->run != NULL)
        sanjer_run_close(s->run);
    s->run = NULL;
    sanjer_python_free(s->python);
    sanjer_store_free(s->store);
    job_user_free(s->user);
    sanjer_leave_nothing();
    uv_close((uv_handle_t *)&s->stop, NULL);
}

const struct worker_ops worker_ops = {
    .type = "sanjer",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct sanjer),
    .init = sanjer_init,
    .on_message = sanjer_on_message,
    .on_tick = sanjer_on_tick,
    .drain = sanjer_drain,
    .fini = sanjer_fini,
};
