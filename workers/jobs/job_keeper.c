/*
 * job_keeper.c: the keeper of a jobs section: wakes idle sanjers, keeps the clocks of its queue.
 *
 * Runs as its own process, one a section. It waits in Redis for turns (BLMOVE to the end they stand at, which changes
 * nothing) on a connection of its own, and wakes one idle sanjer for each: a turn stands until that one has claimed, so
 * the next look waits for its word. Once a second it has what is due, what was
 * lost and what is over moved by scripts, so that it holds nothing itself: a successor begins with none of its memory.
 * It claims no jobs and runs none.
 */
#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/job_queue.h"
#include "workers/jobs/job_functions.h"
#include "workers/jobs/job_orders.h"
#include "workers/jobs/job_timetable.h"
#include "workers/jobs/job_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* So long one wait lasts at most; it is half of what a command may take. */
#define KEEPER_WAIT_MS   5000u
#define KEEPER_EXPIRE_MS 10000u

/* Who was woken and says nothing for so long keeps others waiting no longer: it may be stopped, or `suspended`. */
#define KEEPER_CLAIM_MS 20u

/* After Redis was away sanjers renew their leases first. */
#define KEEPER_GRACE_MS 5000u

/* A job that waits so long beside an idle sanjer is stuck; seen so often in a row: a wake may be on its way. */
#define KEEPER_STUCK_MS    60000u
#define KEEPER_STUCK_LOOKS 5u

struct keeper {
    struct worker *w;
    struct job_redis redis;
    struct job_timetable timetable;
    struct job_watch *watch; /* RQ's functions */
    struct job_orders *orders;
    char queues[JOB_QUEUE_SIZE]; /* queues_of in jobs_lib.lua */
    char turns[JOB_SPACE_SIZE + 8];
    char lost_max[24];
    struct redis_conn *waits;
    char wait_s[24];
    bool waiting;
    size_t idle;                     /* sanjers that have said so, and were not woken since */
    const struct worker_peer *woken; /* until it says what came of it; NULL: nobody */
    uv_timer_t claims;
    unsigned stuck; /* looks in a row */
    uint64_t expired_ms, ready_ms;
    char error[384];
};

/* Of a sanjer: its peer's `user`. */
struct keeper_sanjer {
    bool idle;
};

static void keeper_wait(struct keeper *k);

/* ---- waking ---- */

static struct worker_peer *keeper_idle(struct keeper *k)
{
    for (struct worker_peer *p = worker_peer_next(k->w, NULL); p != NULL;
         p = worker_peer_next(k->w, p)) {
        const struct keeper_sanjer *s = p->user;
        if (s != NULL && s->idle)
            return p;
    }
    return NULL;
}

static void keeper_heard(struct keeper *k)
{
    k->woken = NULL;
    uv_timer_stop(&k->claims);
    keeper_wait(k);
}

static void keeper_on_silence(uv_timer_t *timer)
{
    keeper_heard(timer->data);
}

static void keeper_wake(struct keeper *k)
{
    struct worker_peer *p = keeper_idle(k);
    if (p == NULL)
        return;
    struct buffer *message = worker_compose(k->w);
    ((struct keeper_sanjer *)p->user)->idle = false;
    k->idle--;
    message_wake_pack(message, &(struct message_wake){.seen = 1});
    worker_must_send(k->w, p, message);
    k->woken = p;
    uv_timer_start(&k->claims, keeper_on_silence, KEEPER_CLAIM_MS, 0);
}

static void keeper_on_waited(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct keeper *k = ctx;
    (void)c;
    k->waiting = false;
    if (k->waits == NULL ||
        reply == NULL) /* being closed, or the connection broke: on_ready goes on */
        return;
    if (reply->type == REDIS_REPLY_STRING)
        keeper_wake(k);
    if (reply->type != REDIS_REPLY_ERROR) /* else the tick goes on */
        keeper_wait(k);
}

static void keeper_on_waits_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    keeper_wait(ctx);
}

/* What keeps it away keeps the other connection away too, and that one says so. */
static void keeper_on_waits_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    (void)why;
    (void)ctx;
}

static void keeper_open_waits(struct keeper *k)
{
    static const struct redis_conn_events events = {.on_ready = keeper_on_waits_ready,
                                                    .on_lost = keeper_on_waits_lost};
    struct redis_options options = {0};
    char why[256];
    redis_settings_read(k->w, &options);
    options.primary = true;
    uint64_t most =
        options.timeout_ms / 2 < KEEPER_WAIT_MS ? options.timeout_ms / 2 : KEEPER_WAIT_MS;
    snprintf(k->wait_s, sizeof k->wait_s, "%" PRIu64 ".%03" PRIu64, most / 1000, most % 1000);
    k->waits = redis_conn_new(worker_loop(k->w), &options, &events, k, why, sizeof why);
    redis_options_fini(&options);
}

/* Nobody waits while nobody is idle: whoever is at work claims the next by himself. */
static void keeper_wait(struct keeper *k)
{
    static const char end[] = "RIGHT";
    const struct slice words[] = {slice_of("BLMOVE"), slice_of(k->turns), slice_of(k->turns),
                                  slice_of(end),      slice_of(end),      slice_of(k->wait_s)};
    if (k->watch != NULL)
        job_watch_want(k->watch, k->idle > 0);
    if (k->waiting || k->woken != NULL || k->idle == 0 || worker_stopping(k->w) ||
        !redis_conn_ready(k->waits))
        return;
    k->waiting = redis_conn_command(k->waits, sizeof words / sizeof words[0], words,
                                    keeper_on_waited, k) == 0;
}

static bool keeper_on_message(struct worker *w, void *state, struct worker_peer *from,
                              uint64_t type, struct unpack *u)
{
    struct keeper *k = state;
    struct message_idle m;
    if (type == MESSAGE_SAID)
        return job_timetable_said(&k->timetable, u);
    if (type != MESSAGE_IDLE || !message_idle_unpack(u, &m))
        return false;
    if (from->user == NULL)
        from->user = worker_must_alloc(w, sizeof(struct keeper_sanjer));
    struct keeper_sanjer *s = from->user;
    bool idle = m.runs == 0;
    k->idle += idle && !s->idle;
    k->idle -= !idle && s->idle;
    s->idle = idle;
    if (from == k->woken)
        keeper_heard(k);
    else
        keeper_wait(k);
    return true;
}

/* ---- clocks ---- */

static void keeper_note(struct keeper *k, const redisReply *reply)
{
    char why[sizeof k->error];
    job_redis_failed(reply, why, sizeof why);
    if (reply != NULL) /* else the connection says it */
        snprintf(k->error, sizeof k->error, "%s", why);
}

static uint64_t due_number(const redisReply *reply, size_t i)
{
    const redisReply *at = job_reply_at(reply, i);
    return at != NULL && at->type == REDIS_REPLY_INTEGER && at->integer > 0 ? (uint64_t)at->integer
                                                                            : 0;
}

static void keeper_on_due(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct keeper *k = ctx;
    (void)c;
    keeper_note(k, reply);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return;
    uint64_t oldest_ms = due_number(reply, 4);
    worker_gauge(k->w, COUNTER_JOBS_QUEUED, due_number(reply, 2));
    worker_gauge(k->w, COUNTER_JOBS_RUNNING, due_number(reply, 3));
    worker_gauge(k->w, COUNTER_JOB_OLDEST_WAIT, oldest_ms);
    k->stuck = oldest_ms >= KEEPER_STUCK_MS && k->idle > 0 ? k->stuck + 1 : 0;
    if (k->stuck >= KEEPER_STUCK_LOOKS)
        snprintf(k->error, sizeof k->error,
                 "a job has waited for %" PRIu64
                 " s beside an idle sanjer: nothing wakes it, or nobody "
                 "may claim it",
                 oldest_ms / 1000);
}

static void keeper_on_history(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    keeper_note(ctx, reply);
}

static void keeper_on_expired(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    (void)ctx;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
        log_debug("expired", "jobs=%lld", reply->integer);
}

static void keeper_on_orphans(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct keeper *k = ctx;
    (void)c;
    const redisReply *row;
    if (FAULT_POINT("job-keeper.after-orphans", slice_of("")))
        return;
    for (size_t i = 0; (row = job_reply_at(reply, i)) != NULL; i++) {
        const redisReply *id = job_reply_at(row, 0), *what = job_reply_at(row, 2);
        if (id == NULL || what == NULL)
            continue;
        worker_count(k->w, COUNTER_JOBS_LOST, 1);
        log_warn("lost", "job=%s now=%s", log_quote(job_reply_bytes(id)),
                 log_quote(job_reply_bytes(what)));
    }
}

static void keeper_orphans(struct keeper *k, const char *owner)
{
    const struct slice args[] = {slice_of(owner), slice_of(k->lost_max), slice_of(k->queues)};
    if (!FAULT_POINT("job-keeper.before-orphans", slice_of(owner)))
        job_redis_call(&k->redis, JOB_SCRIPT_JOBS_ORPHANS, 3, args, keeper_on_orphans, k);
}

static struct slice keeper_rule(const struct keeper *k, const char *name)
{
    const char *text = worker_setting(k->w, name);
    return slice_of(text != NULL ? text : "");
}

static void keeper_clocks(struct keeper *k)
{
    uint64_t now = clock_mono_ms();
    const struct slice with[] = {slice_of(k->queues), keeper_rule(k, "rules.weights"),
                                 keeper_rule(k, "rules.limits")};
    if (!redis_conn_ready(k->redis.conn))
        return;
    job_watch_tick(k->watch);
    job_redis_call(&k->redis, JOB_SCRIPT_JOBS_DUE, 3, with, keeper_on_due, k);
    job_timetable_tick(&k->timetable);
    if (now - k->ready_ms >= KEEPER_GRACE_MS)
        keeper_orphans(k, "");
    if (k->expired_ms != 0 && now - k->expired_ms < KEEPER_EXPIRE_MS)
        return;
    k->expired_ms = now;
    job_redis_call(&k->redis, JOB_SCRIPT_JOBS_EXPIRE, 1, with, keeper_on_expired, k);
}

/* What it had in hands is another's at once; its own successor asks for it too, should we be away. */
static void keeper_on_down(struct worker *w, void *state, struct worker_peer *peer,
                           struct slice reason)
{
    struct keeper *k = state;
    const struct keeper_sanjer *s = peer->user;
    char owner[REDIS_IDENTITY_SIZE];
    (void)w;
    (void)reason;
    if (s != NULL && s->idle)
        k->idle--;
    if (peer == k->woken)
        keeper_heard(k);
    if (strcmp(peer->type, "sanjer") == 0 &&
        job_redis_owner(&k->redis, peer->name, peer->generation, owner) == 0)
        keeper_orphans(k, owner);
}

/* ---- history ---- */

/* To which set whoever ends a job adds a hash of it: all scripts read it there, on whatever host. */
static void keeper_history(struct keeper *k)
{
    char key[JOB_SPACE_SIZE + 8];
    const char *drain = worker_setting(k->w, "jobs.history");
    bool has = drain != NULL && drain[0] != '\0';
    snprintf(key, sizeof key, "%shistory", k->redis.space);
    const struct slice words[] = {slice_of(has ? "SET" : "UNLINK"), slice_of(key),
                                  slice_of(has ? worker_setting_text(k->w, "history.set") : "")};
    (void)redis_conn_command(k->redis.conn, has ? 3 : 2, words, keeper_on_history, k);
}

/* ---- life ---- */

static void keeper_on_redis(struct worker *w, void *state)
{
    struct keeper *k = state;
    (void)w;
    k->ready_ms = clock_mono_ms();
    job_timetable_on_redis(&k->timetable);
    keeper_history(k);
    keeper_clocks(k);
    keeper_wait(k);
}

static int keeper_init(struct worker *w, void *state)
{
    static const struct redis_link_events events = {.on_ready = keeper_on_redis};
    struct keeper *k = state;
    k->w = w;
    uv_timer_init(worker_loop(w), &k->claims);
    k->claims.data = k;
    const enum counter counts[] = {COUNTER_JOBS_LOST, COUNTER_JOBS_QUEUED, COUNTER_JOBS_RUNNING,
                                   COUNTER_JOB_OLDEST_WAIT};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        worker_declare(w, counts[i]);
    job_queue_scope(worker_setting_text(w, "jobs.queue"), k->queues);
    snprintf(k->lost_max, sizeof k->lost_max, "%" PRIu64, worker_setting_u64(w, "jobs.lost_max"));
    int code = job_timetable_open(&k->timetable, w, &k->redis);
    if (code == 0)
        code = job_redis_open(&k->redis, w, k, &events);
    if (code != 0)
        return code;
    snprintf(k->turns, sizeof k->turns, "%sturns", k->redis.space);
    keeper_open_waits(k);
    k->watch = job_watch_new(w, &k->redis, job_functions_names(w));
    k->orders = job_orders_new(w, &k->redis);
    return k->waits != NULL && k->watch != NULL && k->orders != NULL ? 0 : CONTRACT_EXIT_TEMPORARY;
}

static void keeper_on_tick(struct worker *w, void *state)
{
    struct keeper *k = state;
    redis_link_tick(&k->redis.link);
    keeper_clocks(k);
    keeper_wait(k);
    worker_doing(w, "%zu idle", k->idle);
    if (redis_conn_ready(k->redis.conn)) /* else the connection names its own trouble */
        worker_trouble(w, "%s", k->error);
}

static void keeper_fini(struct worker *w, void *state)
{
    struct keeper *k = state;
    struct redis_conn *waits = k->waits;
    (void)w;
    uv_close((uv_handle_t *)&k->claims, NULL);
    k->waits = NULL; /* whose pending answer is nobody's any more */
    redis_conn_free(waits);
    job_orders_free(k->orders);
    job_watch_free(k->watch);
    k->watch = NULL;
    job_redis_close(&k->redis);
    job_timetable_close(&k->timetable);
}

const struct worker_ops worker_ops = {
    .type = "job-keeper",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct keeper),
    .init = keeper_init,
    .on_message = keeper_on_message,
    .on_down = keeper_on_down,
    .on_tick = keeper_on_tick,
    .fini = keeper_fini,
};
