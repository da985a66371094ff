/*
 * job_collector.c: the collector of a jobs section: takes jobs in, and answers for them.
 *
 * Runs as its own process, one a section. Each request is one call of a script, or one command, and its answer one
 * value; it keeps nothing. It runs no jobs.
 */
#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/jobs/job_field.h"
#include "workers/jobs/job_pickle.h"
#include "workers/jobs/job_platform.h"
#include "workers/jobs/job_redis.h"
#include "workers/jobs/job_row.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COLLECTOR_ARGS_MAX 6
#define COLLECTOR_NAME_MAX 100
#define COLLECTOR_ID_SIZE  300

struct collector {
    struct worker *w;
    struct job_redis redis;
    struct slice queue;
    const char *folder;
    size_t asked; /* requests that wait for Redis */
};

struct collector_call;

struct collector_verb {
    const char *verb, *words;
    uint32_t count;
    /* 0: asked; else the status, with the reason in call->why. */
    int (*ask)(struct collector_call *call, const struct slice *args);
    /* 0; else the status of an answer that is a refusal, with the reason in call->why. */
    int (*answer)(struct collector_call *call, const redisReply *reply, struct buffer *body);
};

struct collector_call {
    struct collector *c;
    uint64_t id; /* of the request */
    const struct collector_verb *verb;
    char job[COLLECTOR_ID_SIZE];
    char why[512];
};

static void collector_on_reply(struct redis_conn *conn, const redisReply *reply, void *ctx);

static int collector_not_now(struct collector_call *call)
{
    const char *why = redis_conn_trouble(call->c->redis.conn);
    snprintf(call->why, sizeof call->why, "%s", why[0] != '\0' ? why : "not connected to Redis");
    return CONTROL_ERROR;
}

static int collector_script(struct collector_call *call, enum job_script script, size_t count,
                            const struct slice *args)
{
    int rc = job_redis_call(&call->c->redis, script, count, args, collector_on_reply, call);
    return rc == 0 ? CONTROL_OK : collector_not_now(call);
}

static int collector_job(struct collector_call *call, struct slice id)
{
    if (slice_copy(id, call->job, sizeof call->job) && id.len > 0)
        return CONTROL_OK;
    snprintf(call->why, sizeof call->why, "that is no name of a job");
    return CONTROL_NO_NAME;
}

static int collector_unknown(struct collector_call *call)
{
    snprintf(call->why, sizeof call->why, "no job of ours is named %.256s", call->job);
    return CONTROL_NO_NAME;
}

/* ---- run ---- */

/* Letters, digits, - and _ stay; whatever else becomes _: RQ 2 refuses it. */
static void collector_name(struct slice from, char *to, size_t size)
{
    size_t len = from.len < size - 1 ? from.len : size - 1;
    for (size_t i = 0; i < len; i++) {
        char c = from.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        to[i] = plain ? c : '_';
    }
    to[len] = '\0';
}

/* "20261126T002400123456-devTest-coinis". */
static void collector_new_id(struct collector_call *call, struct slice name, struct slice platform)
{
    char names[2][COLLECTOR_NAME_MAX + 1], stamp[32];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &tm);
    collector_name(name, names[0], sizeof names[0]);
    collector_name(platform, names[1], sizeof names[1]);
    snprintf(call->job, sizeof call->job, "%s%06ld-%s-%s", stamp, now.tv_nsec / 1000, names[0],
             names[1]);
}

static int collector_check_run(struct collector_call *call, const struct slice *args)
{
    char file[PATH_MAX];
    if (!job_platform_find(call->c->folder, args[0], file, sizeof file, call->why,
                           sizeof call->why))
        return CONTROL_NO_NAME;
    json_t *settings = json_loadb(args[1].ptr, args[1].len, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_is_object(settings);
    json_decref(settings);
    if (ok)
        return CONTROL_OK;
    snprintf(call->why, sizeof call->why,
             "settings must be a JSON object, such as {\"date\":\"today\"}");
    return CONTROL_USAGE;
}

/* PLATFORM SETTINGS ID KEY */
static int collector_run(struct collector_call *call, const struct slice *args)
{
    struct worker *w = call->c->w;
    struct buffer data = BUFFER_EMPTY, description = BUFFER_EMPTY, digest = BUFFER_EMPTY;
    char timeout[24], ttl[2][24];
    int status = collector_check_run(call, args);
    if (status != CONTROL_OK)
        return status;
    struct slice name = args[2].len > 0 ? args[2] : slice_of("manual");
    collector_new_id(call, name, args[0]);
    buffer_append_slice(&description, args[0]);
    buffer_printf(&description, " (%.*s)", (int)(name.len < 256 ? name.len : 256), name.ptr);
    for (size_t i = 0; i < 3; i++) {
        buffer_append_slice(&digest, args[i]);
        buffer_append_char(&digest, '\n');
    }
    snprintf(timeout, sizeof timeout, "%" PRIu64, worker_setting_u64(w, "jobs.timeout") / 1000);
    snprintf(ttl[0], sizeof ttl[0], "%" PRIu64, worker_setting_u64(w, "jobs.result_ttl") / 1000);
    snprintf(ttl[1], sizeof ttl[1], "%" PRIu64, worker_setting_u64(w, "jobs.failure_ttl") / 1000);
    int rc = job_data_write(&data, args[0]);
    const struct slice words[] = {slice_of(call->job),
                                  call->c->queue,
                                  slice_of("0"),
                                  slice_of("0"),
                                  args[3],
                                  buffer_slice(&digest),
                                  slice_of("data"),
                                  buffer_slice(&data),
                                  slice_of("description"),
                                  buffer_slice(&description),
                                  slice_of("timeout"),
                                  slice_of(timeout),
                                  slice_of("result_ttl"),
                                  slice_of(ttl[0]),
                                  slice_of("failure_ttl"),
                                  slice_of(ttl[1]),
                                  slice_of(JOB_FIELD("platform")),
                                  args[0],
                                  slice_of(JOB_FIELD("id")),
                                  name,
                                  slice_of(JOB_FIELD("settings")),
                                  args[1]};
    if (rc == 0 && buffer_ok(&description) && buffer_ok(&digest)) {
        status =
            collector_script(call, JOB_SCRIPT_JOBS_ENQUEUE, sizeof words / sizeof words[0], words);
    } else {
        snprintf(call->why, sizeof call->why, "memory is short: try again");
        status = CONTROL_ERROR;
    }
    buffer_fini(&data);
    buffer_fini(&description);
    buffer_fini(&digest);
    return status;
}

static int collector_ran(struct collector_call *call, const redisReply *reply, struct buffer *body)
{
    const redisReply *what = job_reply_at(reply, 0), *id = job_reply_at(reply, 1);
    if (what == NULL || id == NULL)
        return CONTROL_ERROR;
    if (slice_is(job_reply_bytes(what), "other")) {
        snprintf(call->why, sizeof call->why,
                 "this key has made job %.200s of something else in the last 24 hours: choose "
                 "another key",
                 id->str);
        return CONTROL_USAGE;
    }
    if (slice_is(job_reply_bytes(what), "made"))
        worker_count(call->c->w, COUNTER_JOBS_ENQUEUED, 1);
    pack_map(body, 2);
    pack_text(body, "job_id");
    pack_bin(body, job_reply_bytes(id));
    pack_text(body, "replayed");
    pack_bool(body, !slice_is(job_reply_bytes(what), "made"));
    return CONTROL_OK;
}

/* ---- list, show ---- */

static int collector_list(struct collector_call *call, const struct slice *args)
{
    const struct slice words[] = {call->c->queue, args[1], args[0]};
    return collector_script(call, JOB_SCRIPT_JOBS_LIST, 3, words);
}

static int collector_listed(struct collector_call *call, const redisReply *reply,
                            struct buffer *body)
{
    const redisReply *total = job_reply_at(reply, 0), *jobs = job_reply_at(reply, 1);
    (void)call;
    if (total == NULL || total->type != REDIS_REPLY_INTEGER || jobs == NULL ||
        jobs->type != REDIS_REPLY_ARRAY)
        return CONTROL_ERROR;
    pack_map(body, 2);
    pack_text(body, "total");
    pack_u64(body, (uint64_t)total->integer);
    pack_text(body, "jobs");
    pack_array(body, (uint32_t)jobs->elements);
    for (size_t i = 0; i < jobs->elements; i++) {
        const redisReply *id = job_reply_at(jobs->element[i], 0),
                         *fields = job_reply_at(jobs->element[i], 1);
        if (id == NULL || fields == NULL || fields->type != REDIS_REPLY_ARRAY)
            return CONTROL_ERROR;
        job_row_pack(body, job_reply_bytes(id), fields, false);
    }
    return CONTROL_OK;
}

static int collector_show(struct collector_call *call, const struct slice *args)
{
    char key[COLLECTOR_ID_SIZE + 16];
    int status = collector_job(call, args[0]);
    if (status != CONTROL_OK)
        return status;
    snprintf(key, sizeof key, "rq:job:%s", call->job);
    const struct slice words[] = {slice_of("HGETALL"), slice_of(key)};
    int rc = redis_conn_command(call->c->redis.conn, 2, words, collector_on_reply, call);
    return rc == 0 ? CONTROL_OK : collector_not_now(call);
}

static bool collector_is_ours(const redisReply *fields)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (slice_is(job_reply_bytes(fields->element[i]), JOB_FIELD("platform")))
            return true;
    return false;
}

static int collector_shown(struct collector_call *call, const redisReply *reply,
                           struct buffer *body)
{
    if (reply->type != REDIS_REPLY_ARRAY || !collector_is_ours(reply))
        return collector_unknown(call);
    job_row_pack(body, slice_of(call->job), reply, true);
    return CONTROL_OK;
}

/* ---- cancel, retry ---- */

static int collector_move(struct collector_call *call, const struct slice *args,
                          enum job_script script)
{
    int status = collector_job(call, args[0]);
    return status == CONTROL_OK ? collector_script(call, script, 1, args) : status;
}

static int collector_cancel(struct collector_call *call, const struct slice *args)
{
    return collector_move(call, args, JOB_SCRIPT_JOBS_CANCEL);
}

static int collector_retry(struct collector_call *call, const struct slice *args)
{
    return collector_move(call, args, JOB_SCRIPT_JOBS_RETRY);
}

static int collector_moved(struct collector_call *call, const redisReply *reply,
                           struct buffer *body)
{
    const redisReply *what = reply->type == REDIS_REPLY_ARRAY ? job_reply_at(reply, 0) : reply;
    if (what == NULL || job_reply_bytes(what).len == 0)
        return CONTROL_ERROR;
    if (slice_is(job_reply_bytes(what), "unknown"))
        return collector_unknown(call);
    pack_map(body, 2);
    pack_text(body, "job_id");
    pack_text(body, call->job);
    pack_text(body, "status");
    pack_bin(body, job_reply_bytes(what));
    return CONTROL_OK;
}

/* ---- requests ---- */

static const struct collector_verb collector_verbs[] = {
    {"job-run", "PLATFORM SETTINGS ID KEY", 4, collector_run, collector_ran},
    {"job-list", "STATUS LIMIT", 2, collector_list, collector_listed},
    {"job-show", "JOB", 1, collector_show, collector_shown},
    {"job-cancel", "JOB", 1, collector_cancel, collector_moved},
    {"job-retry", "JOB", 1, collector_retry, collector_moved},
};
#define COLLECTOR_VERBS (sizeof collector_verbs / sizeof collector_verbs[0])

static void collector_end(struct collector_call *call)
{
    struct collector *c = call->c;
    free(call);
    c->asked--;
    if (worker_stopping(c->w) && c->asked == 0)
        worker_finished(c->w);
}

static void collector_on_reply(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    struct collector_call *call = ctx;
    struct buffer body = BUFFER_EMPTY;
    (void)conn;
    job_redis_failed(reply, call->why, sizeof call->why);
    int status = call->why[0] == '\0' ? call->verb->answer(call, reply, &body) : CONTROL_ERROR;
    if (status == CONTROL_OK && buffer_ok(&body))
        worker_reply(call->c->w, call->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(call->c->w, call->id,
                          status == CONTROL_OK ? CONTROL_ERROR : (enum control_status)status, "%s",
                          call->why[0] != '\0' ? call->why
                                               : "Redis gave no such answer, or memory is short");
    buffer_fini(&body);
    collector_end(call);
}

struct collector_platforms {
    struct buffer list;
    uint32_t count;
};

static void collector_platform(struct slice id, const char *file, void *ctx)
{
    struct collector_platforms *p = ctx;
    pack_map(&p->list, 2);
    pack_text(&p->list, "platform_id");
    pack_bin(&p->list, id);
    pack_text(&p->list, "file");
    pack_text(&p->list, file);
    p->count++;
}

static void collector_platforms(struct collector *c, uint64_t request)
{
    struct collector_platforms p = {.list = BUFFER_EMPTY};
    struct buffer body = BUFFER_EMPTY;
    if (!job_platform_each(c->folder, collector_platform, &p)) {
        worker_reply_text(c->w, request, CONTROL_ERROR, "%s cannot be read: %s", c->folder,
                          strerror(errno));
        buffer_fini(&p.list);
        return;
    }
    pack_array(&body, p.count);
    buffer_append_slice(&body, buffer_slice(&p.list));
    bool ok = buffer_ok(&body) && buffer_ok(&p.list);
    worker_reply(c->w, request, ok ? CONTROL_OK : CONTROL_ERROR,
                 ok ? buffer_slice(&body) : slice_of(""));
    buffer_fini(&body);
    buffer_fini(&p.list);
}

static void collector_usage(struct worker *w, uint64_t id)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "a collector understands: job-platforms");
    for (size_t i = 0; i < COLLECTOR_VERBS; i++)
        buffer_printf(&text, ", %s %s", collector_verbs[i].verb, collector_verbs[i].words);
    worker_reply_text(w, id, CONTROL_USAGE, "%s",
                      buffer_ok(&text) ? buffer_text(&text) : "memory is short: try again");
    buffer_fini(&text);
}

static void collector_ask(struct collector *c, const struct link_request *request,
                          const struct collector_verb *verb, const struct slice *args)
{
    struct collector_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        worker_reply_text(c->w, request->id, CONTROL_ERROR, "memory is short: try again");
        return;
    }
    *call = (struct collector_call){.c = c, .id = request->id, .verb = verb};
    c->asked++;
    int status = verb->ask(call, args);
    if (status == CONTROL_OK)
        return;
    worker_reply_text(c->w, request->id, (enum control_status)status, "%s", call->why);
    collector_end(call);
}

static void collector_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct collector *c = state;
    struct slice args[COLLECTOR_ARGS_MAX];
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    const struct collector_verb *verb = NULL;
    for (uint32_t i = 0; i < count && i < COLLECTOR_ARGS_MAX; i++)
        args[i] = unpack_bytes(&u);
    for (size_t i = 0; i < COLLECTOR_VERBS; i++)
        if (slice_is(request->verb, collector_verbs[i].verb))
            verb = &collector_verbs[i];
    if (unpack_end(&u) && verb != NULL && count == verb->count)
        collector_ask(c, request, verb, args);
    else if (unpack_end(&u) && count == 0 && slice_is(request->verb, "job-platforms"))
        collector_platforms(c, request->id);
    else
        collector_usage(w, request->id);
}

/* ---- life ---- */

static int collector_init(struct worker *w, void *state)
{
    struct collector *c = state;
    c->w = w;
    c->queue = slice_of(worker_setting_text(w, "jobs.queue"));
    c->folder = worker_setting_text(w, "jobs.platforms");
    return job_redis_open(&c->redis, w, c, NULL);
}

static void collector_on_tick(struct worker *w, void *state)
{
    struct collector *c = state;
    (void)w;
    redis_link_tick(&c->redis.link);
}

static bool collector_late(struct worker *w, void *state, char *why, size_t size)
{
    struct collector *c = state;
    (void)w;
    return redis_link_late(&c->redis.link, why, size);
}

static void collector_drain(struct worker *w, void *state)
{
    struct collector *c = state;
    if (c->asked == 0)
        worker_finished(w);
}

static void collector_fini(struct worker *w, void *state)
{
    struct collector *c = state;
    (void)w;
    job_redis_close(&c->redis);
}

const struct worker_ops worker_ops = {
    .type = "job-collector",
    .state_size = sizeof(struct collector),
    .init = collector_init,
    .on_request = collector_on_request,
    .late = collector_late,
    .on_tick = collector_on_tick,
    .drain = collector_drain,
    .fini = collector_fini,
};
