/* job_timetable.c: see job_timetable.h. */
#include "workers/jobs/job_timetable.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TIMETABLE_ASK_MS 30000u
#define TIMETABLE_MAX    500 /* schedules of the file */

static int64_t timetable_now(void)
{
    return (int64_t)time(NULL);
}

/* ---- those of the file ---- */

static void timetable_on_synced(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct job_timetable *t = ctx;
    char why[384];
    (void)c;
    job_redis_failed(reply, why, sizeof why);
    t->synced = reply != NULL && why[0] == '\0';
}

static const char *timetable_item(const struct job_timetable *t, size_t i, const char *what)
{
    const char *text = worker_setting_item(t->w, "schedules", i, what);
    return text != NULL ? text : "";
}

/* The master has checked them, but for what only we can: such a one is named in the log, and left out. */
static void timetable_sync(struct job_timetable *t)
{
    static struct buffer texts[TIMETABLE_MAX];
    struct slice args[2 + 2 * TIMETABLE_MAX];
    char now[24], why[JOB_SCHEDULE_WHY_SIZE];
    size_t count = 2;
    const char *name;
    snprintf(now, sizeof now, "%" PRId64, timetable_now());
    args[0] = slice_of("sync");
    args[1] = slice_of(now);
    for (size_t i = 0;
         i < TIMETABLE_MAX && (name = worker_setting_item(t->w, "schedules", i, "name")) != NULL;
         i++) {
        int rc = job_schedule_write(&texts[i], true, timetable_item(t, i, "platform"),
                                    timetable_item(t, i, "settings"), timetable_item(t, i, "cron"),
                                    timetable_item(t, i, "every"), timetable_item(t, i, "missed"),
                                    timetable_item(t, i, "overlap"), why);
        if (rc != 0) {
            log_warn("schedule", "name=%s why=%s", log_quote(slice_of(name)), log_quote_text(why));
            continue;
        }
        args[count++] = slice_of(name);
        args[count++] = buffer_slice(&texts[i]);
    }
    job_redis_call(t->redis, JOB_SCRIPT_JOBS_SCHEDULE, count, args, timetable_on_synced, t);
    for (size_t i = 0; i < TIMETABLE_MAX; i++)
        buffer_fini(&texts[i]);
}

/* ---- what has come of it ---- */

static void timetable_on_ran(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    (void)reply; /* not heard: looked after again, and the job is there already */
    (void)ctx;
}

/* `due` below 0: it is tried again. */
static void timetable_ran(struct job_timetable *t, const char *name, int64_t due, struct slice job,
                          struct slice why)
{
    char until[24] = "";
    if (due >= 0)
        snprintf(until, sizeof until, "%" PRId64, due);
    const struct slice args[] = {slice_of("ran"), slice_of(name), slice_of(until), job, why};
    job_redis_call(t->redis, JOB_SCRIPT_JOBS_SCHEDULE, 5, args, timetable_on_ran, t);
}

static struct slice timetable_job_of(struct slice body)
{
    struct unpack u = unpack_start(body);
    if (unpack_map(&u) == 0)
        return slice_of("");
    unpack_bytes(&u);
    struct slice job = unpack_bytes(&u);
    return unpack_ok(&u) ? job : slice_of("");
}

bool job_timetable_said(struct job_timetable *t, struct unpack *u)
{
    struct message_said m;
    if (!message_said_unpack(u, &m))
        return false;
    if (t->name[0] == '\0' || m.token != t->token)
        return true;
    struct unpack text = unpack_start(m.body);
    struct slice none = slice_of("");
    if (m.status == CONTROL_OK)
        timetable_ran(t, t->name, t->due, timetable_job_of(m.body), none);
    else
        timetable_ran(t, t->name, m.status == CONTROL_ERROR ? -1 : t->due, none,
                      unpack_bytes(&text));
    if (m.status != CONTROL_OK)
        log_warn("schedule-made-nothing", "name=%s status=%" PRIu64, log_quote_text(t->name),
                 m.status);
    t->name[0] = '\0';
    return true;
}

/* ---- what is due ---- */

static struct worker_peer *timetable_collector(struct worker *w)
{
    struct worker_peer *p = worker_peer_next(w, NULL);
    while (p != NULL && strcmp(p->type, "job-collector") != 0)
        p = worker_peer_next(w, p);
    return p;
}

/* Names it alone: a message may be traced, and a schedule may have secrets. */
static bool timetable_ask(struct job_timetable *t, struct slice name, struct slice version,
                          int64_t due)
{
    struct worker_peer *collector = timetable_collector(t->w);
    char at[24];
    snprintf(at, sizeof at, "%" PRId64, due);
    const struct slice args[] = {name, slice_of(at), version};
    if (collector == NULL || !slice_copy(name, t->name, sizeof t->name))
        return false;
    t->due = due;
    t->token++;
    t->asked_ms = clock_mono_ms();
    if (worker_ask(t->w, collector, t->token, TIMETABLE_ASK_MS, "job-due", 3, args) != 0)
        t->name[0] = '\0';
    return t->name[0] != '\0';
}

static bool timetable_runs(struct slice status)
{
    return slice_is(status, "queued") || slice_is(status, "started") ||
           slice_is(status, "scheduled") || slice_is(status, "deferred");
}

/* True when the collector has been asked: the next waits for its answer. */
static bool timetable_look_at(struct job_timetable *t, const redisReply *row)
{
    struct slice fields[9];
    struct job_schedule s;
    int64_t due[SCHEDULE_ALL_MAX], now = timetable_now();
    uint64_t last;
    char name[JOB_SCHEDULE_NAME_MAX + 1];
    for (size_t i = 0; i < 9; i++)
        fields[i] = job_reply_at(row, i) != NULL ? job_reply_bytes(row->element[i]) : slice_of("");
    if (!slice_copy(fields[0], name, sizeof name) || text_parse_u64(fields[2], &last) != 0 ||
        job_schedule_read(fields[1], &s) != 0)
        return false;
    bool at_once = fields[7].len > 0, asked = false;
    size_t count = fields[3].len > 0 ? 0
                                     : schedule_due(&s.when, t->zone, (int64_t)last, now, s.policy,
                                                    JOB_SCHEDULE_GRACE_S, due);
    if (at_once) {
        count = 1;
        due[0] = now;
    }
    if (count > 0 && !at_once && strcmp(s.overlap, "skip") == 0 && timetable_runs(fields[5]))
        timetable_ran(t, name, due[0], slice_of(""),
                      slice_of("none was made: the job before has not ended"));
    else if (count > 0)
        asked = timetable_ask(t, fields[0], fields[8], due[0]);
    job_schedule_fini(&s);
    return asked;
}

/* One after the other, beginning behind whoever was last: one that cannot be made keeps no other from it. */
static void timetable_on_looked(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct job_timetable *t = ctx;
    (void)c;
    t->looking = false;
    size_t count = reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    if (worker_stopping(t->w) || t->name[0] != '\0')
        return;
    for (size_t i = 0; i < count; i++)
        if (timetable_look_at(t, reply->element[(t->token + i) % count]))
            return;
}

void job_timetable_tick(struct job_timetable *t)
{
    const struct slice what = slice_of("look");
    if (t->name[0] != '\0' && clock_mono_ms() - t->asked_ms > 2 * TIMETABLE_ASK_MS)
        t->name[0] = '\0'; /* the collector has died over it, or the message was lost */
    if (!t->synced) {
        timetable_sync(t);
        return;
    }
    if (t->looking || t->name[0] != '\0' || worker_stopping(t->w))
        return;
    t->looking =
        job_redis_call(t->redis, JOB_SCRIPT_JOBS_SCHEDULE, 1, &what, timetable_on_looked, t) == 0;
}

void job_timetable_on_redis(struct job_timetable *t)
{
    t->synced = false; /* it may be another one, or have lost what it had */
}

int job_timetable_open(struct job_timetable *t, struct worker *w, struct job_redis *redis)
{
    const char *zone = worker_setting(w, "jobs.timezone");
    t->w = w;
    t->redis = redis;
    int rc = zone_load(zone != NULL ? zone : "", &t->zone);
    if (rc == 0)
        return 0;
    worker_trouble(w, "timezone: %s cannot be read: %s: install tzdata, or name another",
                   zone != NULL && zone[0] != '\0' ? zone : "/etc/localtime", strerror(-rc));
    return rc == -ENOMEM ? CONTRACT_EXIT_SHORT : CONTRACT_EXIT_CONFIG;
}

void job_timetable_close(struct job_timetable *t)
{
    zone_free(t->zone);
    t->zone = NULL;
}
