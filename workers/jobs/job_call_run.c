/*
 * job_call_run.c: job-run, and job-due of a schedule: a job is made of what is asked for and what its platform takes.
 * See job_call.h.
 *
 * Who asks for a schedule's job names the schedule; what it is made of, secrets too, is read in Redis, so that no
 * message has it.
 */
#include "common/pack.h"
#include "common/json/json_text.h"
#include "common/siphash.h"
#include "common/text.h"
#include "common/utf8.h"
#include "proto/jobs/job_field.h"
#include "workers/jobs/job_call.h"
#include "workers/jobs/job_pickle.h"
#include "workers/jobs/job_schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUN_NAME_MAX    100           /* bytes of a name within an id */
#define RUN_ID_MAX      256           /* of the short name that is asked for */
#define RUN_DUE_MAX     253402300799u /* the end of the year 9999 */
#define RUN_KEY_MAX     200
#define RUN_DIGEST_SIZE 33
#define RUN_WORDS       64

enum { ARG_PLATFORM, ARG_SETTINGS, ARG_ID, ARG_KEY, ARGS };
enum { DUE_NAME, DUE_AT, DUE_VERSION, DUE_ARGS };

/* What is asked for. */
struct run_wish {
    struct slice platform, settings, id, key;
    int64_t due; /* seconds since 1970; below 0: it is of no schedule */
};

/* What a new job is told to Redis with. */
struct run {
    struct run_wish wish;
    struct slice words[RUN_WORDS];
    size_t count;
    struct buffer data, description, settings, secrets;
    char digest[RUN_DIGEST_SIZE];
    char timeout[24], retries[24], ttl[2][24];
};

/* ---- its name ---- */

/* Letters, digits, - and _ stay; whatever else becomes _: RQ 2 refuses it. */
static void run_name(struct slice from, char *to, size_t size)
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

/* "20261126T002400123456-devTest-coinis"; of Etlas "2026-11-26T00:24:00.123456::devTest::coinis". */
static void run_new_id(struct job_call *call, struct slice name, struct slice platform, int64_t due)
{
    char names[2][RUN_NAME_MAX + 1], stamp[32];
    bool etlas = call->calls->etlas_ids;
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    if (due >= 0) /* whoever makes it gives it the same name */
        now = (struct timespec){.tv_sec = due};
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, etlas ? "%Y-%m-%dT%H:%M:%S." : "%Y%m%dT%H%M%S", &tm);
    run_name(name, names[0], sizeof names[0]);
    run_name(platform, names[1], sizeof names[1]);
    const char *between = etlas ? "::" : "-";
    snprintf(call->job, sizeof call->job, "%s%06ld%s%s%s%s", stamp, now.tv_nsec / 1000, between,
             names[0], between, names[1]);
}

/* ---- its settings ---- */

static bool run_dump(struct buffer *out, json_t *value)
{
    char *text = value != NULL ? json_text(value) : NULL;
    if (text != NULL)
        buffer_append_text(out, text);
    free(text);
    json_decref(value);
    return text != NULL && buffer_ok(out);
}

/* What is shown of them, and apart from that what is not: it goes when the job has finished. */
static bool run_keep(struct run *run, const struct job_settings *takes, const json_t *values)
{
    json_t *secrets = job_settings_secrets(takes, values);
    bool any = json_object_size(secrets) > 0;
    bool ok = secrets != NULL && run_dump(&run->settings, job_settings_mask(takes, values));
    if (!ok || !any) {
        json_decref(secrets);
        return ok;
    }
    return run_dump(&run->secrets, secrets);
}

static enum job_call_status run_settings(struct job_call *call, struct run *run,
                                         const struct job_settings *takes, const json_t *given)
{
    struct buffer why = BUFFER_EMPTY;
    json_t *values = NULL;
    int64_t now = run->wish.due >= 0 ? run->wish.due : (int64_t)time(NULL);
    int rc = job_settings_read(takes, given, call->calls->zone, now, &values, &why);
    const char *text = why.len > 0 ? buffer_text(&why) : NULL;
    enum job_call_status status = JOB_CALL_OK;
    if (rc == -EINVAL && text != NULL)
        status = job_call_refuse(call, JOB_CALL_INVALID, "%s", text);
    else if (rc != 0 || !run_keep(run, takes, values))
        status = job_call_refuse(call, JOB_CALL_AWAY, "memory is short: try again");
    buffer_fini(&why);
    json_decref(values);
    return status;
}

/*
 * Of what was asked for, not of what came of it: "yesterday" stays that. A hash, for secrets may be among it. It tells
 * apart what one caller asks for under one key, so it need not withstand more than chance.
 */
static bool run_digest(const struct run_wish *wish, json_t *given, char digest[RUN_DIGEST_SIZE])
{
    static const uint8_t keys[2][SIPHASH_KEY_SIZE] = {"job-run", "job-run, again"};
    struct buffer asked = BUFFER_EMPTY;
    char *text = json_dumps(given, JSON_COMPACT | JSON_SORT_KEYS);
    buffer_append_slice(&asked, wish->platform);
    buffer_append_char(&asked, '\n');
    buffer_append_slice(&asked, wish->id);
    buffer_append_char(&asked, '\n');
    buffer_append_text(&asked, text != NULL ? text : "");
    bool ok = text != NULL && buffer_ok(&asked);
    if (ok)
        snprintf(digest, RUN_DIGEST_SIZE, "%016" PRIx64 "%016" PRIx64,
                 siphash(buffer_slice(&asked), keys[0]), siphash(buffer_slice(&asked), keys[1]));
    free(text);
    buffer_fini(&asked);
    return ok;
}

/* ---- what Redis is told ---- */

static void run_put(struct run *run, const char *field, struct slice value)
{
    run->words[run->count++] = slice_of(field);
    run->words[run->count++] = value;
}

static void run_put_platform(struct run *run, const struct worker *w,
                             const struct job_platform_spec *spec)
{
    uint64_t timeout_ms =
        spec->timeout_ms > 0 ? spec->timeout_ms : worker_setting_u64(w, "jobs.timeout");
    snprintf(run->timeout, sizeof run->timeout, "%" PRIu64, (timeout_ms + 999) / 1000);
    run_put(run, "timeout", slice_of(run->timeout));
    if (spec->retries >= 0) {
        snprintf(run->retries, sizeof run->retries, "%" PRId64, spec->retries);
        run_put(run, JOB_FIELD("retries"), slice_of(run->retries));
    }
    if (!spec->rerun)
        run_put(run, JOB_FIELD("rerun"), slice_of("0"));
}

static void run_put_job(struct run *run, const struct worker *w, struct slice name)
{
    static const char *const keys[] = {"jobs.result_ttl", "jobs.failure_ttl"};
    static const char *const fields[] = {"result_ttl", "failure_ttl"};
    run_put(run, "data", buffer_slice(&run->data));
    run_put(run, "description", buffer_slice(&run->description));
    for (size_t i = 0; i < 2; i++) {
        snprintf(run->ttl[i], sizeof run->ttl[i], "%" PRIu64,
                 worker_setting_u64(w, keys[i]) / 1000);
        run_put(run, fields[i], slice_of(run->ttl[i]));
    }
    run_put(run, JOB_FIELD("platform"), run->wish.platform);
    run_put(run, JOB_FIELD("id"), name);
    run_put(run, JOB_FIELD("settings"), buffer_slice(&run->settings));
    if (run->secrets.len > 0)
        run_put(run, JOB_FIELD("secrets"), buffer_slice(&run->secrets));
}

static enum job_call_status run_make(struct job_call *call, struct run *run, struct slice name,
                                     const struct job_platform_spec *spec)
{
    char queue[JOB_QUEUE_SIZE];
    const struct run_wish *wish = &run->wish;
    run_new_id(call, name, wish->platform, wish->due);
    buffer_append_slice(&run->description, wish->platform);
    buffer_printf(&run->description, " (%.*s)", (int)name.len, name.ptr);
    int rc = job_data_write(&run->data, wish->platform);
    if (rc == 0)
        rc = job_queue_name(call->calls->queue, wish->platform, name, queue);
    if (rc != 0 || !buffer_ok(&run->description))
        return job_call_refuse(call, JOB_CALL_AWAY, "memory is short: try again");
    const struct slice head[] = {slice_of(call->job), slice_of(queue), slice_of("0"),
                                 slice_of("0"),       wish->key,       slice_of(run->digest)};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        run->words[run->count++] = head[i];
    run_put_job(run, call->calls->w, name);
    run_put_platform(run, call->calls->w, spec);
    return job_call_script(call, JOB_SCRIPT_JOBS_ENQUEUE, run->count, run->words);
}

/* ---- the verb ---- */

static enum job_call_status run_check(struct job_call *call, const struct run_wish *wish)
{
    if (wish->id.len > RUN_ID_MAX || !utf8_valid(wish->id))
        return job_call_refuse(call, JOB_CALL_INVALID, "the short name is UTF-8, at most %d bytes",
                               RUN_ID_MAX);
    if (wish->key.len > RUN_KEY_MAX)
        return job_call_refuse(call, JOB_CALL_INVALID, "a key has at most %d bytes", RUN_KEY_MAX);
    return JOB_CALL_OK;
}

static enum job_call_status run_wish(struct job_call *call, const struct run_wish *wish)
{
    struct job_catalog_platform platform;
    struct run run = {.wish = *wish};
    enum job_call_status status = run_check(call, wish);
    if (status != JOB_CALL_OK)
        return status;
    int rc = job_catalog_find(call->calls->catalog, wish->platform, &platform, call->why,
                              sizeof call->why);
    if (rc == -EBUSY)
        return JOB_CALL_WAITS;
    if (rc != 0)
        return rc == -EINVAL ? JOB_CALL_BROKEN : JOB_CALL_NO_PLATFORM;
    json_t *given =
        json_loadb(wish->settings.ptr, wish->settings.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(given))
        status = job_call_refuse(call, JOB_CALL_INVALID,
                                 "settings must be a JSON object, such as {\"date\":\"today\"}");
    else if (!run_digest(wish, given, run.digest))
        status = job_call_refuse(call, JOB_CALL_AWAY, "memory is short: try again");
    else
        status = run_settings(call, &run, platform.spec->settings, given);
    struct slice name = wish->id.len > 0 ? wish->id : slice_of("manual");
    if (status == JOB_CALL_OK)
        status = run_make(call, &run, name, platform.spec);
    json_decref(given);
    buffer_fini(&run.data);
    buffer_fini(&run.description);
    buffer_fini(&run.settings);
    buffer_fini(&run.secrets);
    return status;
}

static enum job_call_status run_ask(struct job_call *call)
{
    const struct slice *args = call->args;
    return run_wish(call, &(struct run_wish){.platform = args[ARG_PLATFORM],
                                             .settings = args[ARG_SETTINGS],
                                             .id = args[ARG_ID],
                                             .key = args[ARG_KEY],
                                             .due = -1});
}

static enum job_call_status run_answer(struct job_call *call, const redisReply *reply)
{
    const redisReply *what = job_reply_at(reply, 0), *id = job_reply_at(reply, 1);
    if (what == NULL || id == NULL || id->str == NULL)
        return job_call_refuse(call, JOB_CALL_AWAY, "Redis gave no such answer");
    if (slice_is(job_reply_bytes(what), "other"))
        return job_call_refuse(call, JOB_CALL_OTHER,
                               "this key has made job %.200s of something else in the last 24 "
                               "hours: choose another key",
                               id->str);
    bool made = slice_is(job_reply_bytes(what), "made");
    worker_count(call->calls->w, COUNTER_JOBS_ENQUEUED, made);
    pack_map(&call->body, 2);
    pack_text(&call->body, "job_id");
    pack_str(&call->body, job_reply_bytes(id));
    pack_text(&call->body, "replayed");
    pack_bool(&call->body, !made);
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_run = {"job-run", "PLATFORM SETTINGS ID KEY", ARGS, run_ask,
                                           run_answer};

/* ---- of a schedule: as of its due time, and once, whoever asks for it how often ---- */

/* What it is made of. When another has come instead meanwhile, that one need not be due. */
static enum job_call_status due_read(struct job_call *call, const redisReply *reply)
{
    const redisReply *definition = job_reply_at(reply, 0), *version = job_reply_at(reply, 1);
    struct job_schedule s;
    uint64_t due = 0;
    if (definition == NULL || version == NULL)
        return job_call_refuse(call, JOB_CALL_NO_JOB, "there is no schedule %s", call->job);
    if (!slice_equal(job_reply_bytes(version), call->args[DUE_VERSION]))
        return job_call_refuse(call, JOB_CALL_AWAY,
                               "schedule %s was changed meanwhile: it is looked after again",
                               call->job);
    if (text_parse_u64(call->args[DUE_AT], &due) != 0 ||
        job_schedule_read(job_reply_bytes(definition), &s) != 0)
        return job_call_refuse(call, JOB_CALL_AWAY, "a schedule in Redis is none of ours");
    enum job_call_status status =
        run_wish(call, &(struct run_wish){.platform = slice_of(s.platform),
                                          .settings = slice_of(s.settings),
                                          .id = call->args[DUE_NAME],
                                          .key = slice_of(""),
                                          .due = (int64_t)due});
    job_schedule_fini(&s);
    return status;
}

static enum job_call_status due_ask(struct job_call *call)
{
    uint64_t due;
    if (text_parse_u64(call->args[DUE_AT], &due) != 0 || due > RUN_DUE_MAX)
        return job_call_refuse(call, JOB_CALL_INVALID, "DUE: seconds since 1970 are wanted");
    if (!slice_copy(call->args[DUE_NAME], call->job, sizeof call->job))
        return job_call_refuse(call, JOB_CALL_INVALID, "that is no name of a schedule");
    call->read = due_read;
    const struct slice args[] = {slice_of("read"), call->args[DUE_NAME]};
    return job_call_script(call, JOB_SCRIPT_JOBS_SCHEDULE, 2, args);
}

const struct job_call_verb job_call_due = {"job-due", "NAME DUE VERSION", DUE_ARGS, due_ask,
                                           run_answer};
