/* job_call_schedule.c: the verbs of schedules: what there is, what is added, and what becomes of it. See job_call.h. */
#include "common/json/json_value.h"
#include "common/pack.h"
#include "common/text.h"
#include "workers/jobs/job_call.h"
#include "workers/jobs/job_schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- what there is ---- */

static enum job_call_status schedules_ask(struct job_call *call)
{
    const struct slice what = slice_of("look");
    return job_call_script(call, JOB_SCRIPT_JOBS_SCHEDULE, 1, &what);
}

/* As the platform has them, secrets masked; nil when that cannot be told. */
static void schedules_settings(struct job_call *call, const struct job_schedule *s)
{
    struct job_catalog_platform platform;
    char why[JOB_SPEC_WHY_SIZE];
    json_t *given = json_loads(s->settings, 0, NULL), *shown = NULL;
    if (job_catalog_find(call->calls->catalog, slice_of(s->platform), &platform, why, sizeof why) ==
        0)
        shown = job_settings_mask(platform.spec->settings, given);
    pack_text(&call->body, "settings");
    if (shown != NULL)
        json_value_pack(&call->body, shown);
    else
        pack_nil(&call->body);
    json_decref(shown);
    json_decref(given);
}

static void schedules_text(struct buffer *out, const char *name, struct slice text)
{
    pack_text(out, name);
    if (text.len > 0)
        pack_bin(out, text);
    else
        pack_nil(out);
}

/* When it is due next; nil: never, or it is paused. */
static void schedules_time(struct buffer *out, const char *name, int64_t when)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)when;
    pack_text(out, name);
    if (when <= 0 || when == INT64_MAX || gmtime_r(&seconds, &tm) == NULL) {
        pack_nil(out);
        return;
    }
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    pack_text(out, text);
}

static bool schedules_row(struct job_call *call, const redisReply *row)
{
    struct slice f[8];
    struct job_schedule s;
    uint64_t last;
    struct buffer *out = &call->body;
    for (size_t i = 0; i < 8; i++)
        f[i] = job_reply_at(row, i) != NULL ? job_reply_bytes(row->element[i]) : slice_of("");
    if (text_parse_u64(f[2], &last) != 0 || job_schedule_read(f[1], &s) != 0)
        return false;
    int64_t now = (int64_t)time(NULL);
    pack_map(out, 14);
    schedules_text(out, "name", f[0]);
    schedules_text(out, "platform_id", slice_of(s.platform));
    schedules_settings(call, &s);
    schedules_text(out, "cron", slice_of(s.cron));
    pack_text(out, "every_ms");
    if (s.every_ms > 0)
        pack_u64(out, s.every_ms);
    else
        pack_nil(out);
    schedules_text(out, "missed", slice_of(s.missed));
    schedules_text(out, "overlap", slice_of(s.overlap));
    schedules_text(out, "origin", slice_of(s.of_file ? "file" : "verb"));
    schedules_text(out, "state", f[3].len > 0 ? f[3] : slice_of("active"));
    schedules_time(out, "last", (int64_t)last);
    schedules_time(out, "next", f[3].len > 0 ? 0 : schedule_next(&s.when, call->calls->zone, now));
    schedules_text(out, "job_id", f[4]);
    schedules_text(out, "status", f[5]);
    schedules_text(out, "why", f[6]);
    job_schedule_fini(&s);
    return true;
}

static enum job_call_status schedules_answer(struct job_call *call, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return job_call_refuse(call, JOB_CALL_AWAY, "Redis gave no such answer");
    pack_array(&call->body, (uint32_t)reply->elements);
    for (size_t i = 0; i < reply->elements; i++)
        if (!schedules_row(call, reply->element[i]))
            return job_call_refuse(call, JOB_CALL_AWAY, "a schedule in Redis is none of ours");
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_schedules = {"job-schedules", "", 0, schedules_ask,
                                                 schedules_answer};

/* ---- what is added, and what becomes of it ---- */

enum {
    PUT_NAME,
    PUT_PLATFORM,
    PUT_SETTINGS,
    PUT_CRON,
    PUT_EVERY,
    PUT_MISSED,
    PUT_OVERLAP,
    PUT_ARGS
};

static enum job_call_status put_name(struct job_call *call)
{
    if (job_schedule_is_name(call->args[PUT_NAME]) &&
        slice_copy(call->args[PUT_NAME], call->job, sizeof call->job))
        return JOB_CALL_OK;
    return job_call_refuse(call, JOB_CALL_INVALID,
                           "a name of a schedule is letters, digits, - and _, at most %d",
                           JOB_SCHEDULE_NAME_MAX);
}

/* What it would be made of now must do: a typo is not to be found at night. */
static enum job_call_status put_try(struct job_call *call, const char *settings)
{
    struct job_catalog_platform platform;
    struct buffer why = BUFFER_EMPTY;
    json_t *values = NULL;
    int rc = job_catalog_find(call->calls->catalog, call->args[PUT_PLATFORM], &platform, call->why,
                              sizeof call->why);
    if (rc != 0)
        return rc == -EBUSY    ? JOB_CALL_WAITS
               : rc == -EINVAL ? JOB_CALL_BROKEN
                               : JOB_CALL_NO_PLATFORM;
    json_t *given = json_loads(settings, 0, NULL);
    rc = job_settings_read(platform.spec->settings, given, call->calls->zone, (int64_t)time(NULL),
                           &values, &why);
    const char *text = why.len > 0 ? buffer_text(&why) : NULL;
    enum job_call_status status = JOB_CALL_OK;
    if (rc != 0)
        status = job_call_refuse(call, rc == -EINVAL ? JOB_CALL_INVALID : JOB_CALL_AWAY, "%s",
                                 text != NULL ? text : "memory is short: try again");
    buffer_fini(&why);
    json_decref(given);
    json_decref(values);
    return status;
}

static enum job_call_status put_write(struct job_call *call, char *const texts[PUT_ARGS])
{
    struct buffer definition = BUFFER_EMPTY;
    char why[JOB_SCHEDULE_WHY_SIZE], now[24];
    int rc = job_schedule_write(&definition, false, texts[PUT_PLATFORM], texts[PUT_SETTINGS],
                                texts[PUT_CRON], texts[PUT_EVERY], texts[PUT_MISSED],
                                texts[PUT_OVERLAP], why);
    enum job_call_status status = JOB_CALL_OK;
    if (rc != 0)
        status = job_call_refuse(call, rc == -EINVAL ? JOB_CALL_INVALID : JOB_CALL_AWAY, "%s",
                                 rc == -EINVAL ? why : "memory is short: try again");
    if (status == JOB_CALL_OK)
        status = put_try(call, texts[PUT_SETTINGS]);
    snprintf(now, sizeof now, "%" PRId64, (int64_t)time(NULL));
    const struct slice args[] = {slice_of("put"), call->args[PUT_NAME], buffer_slice(&definition),
                                 slice_of(now)};
    if (status == JOB_CALL_OK)
        status = job_call_script(call, JOB_SCRIPT_JOBS_SCHEDULE, 4, args);
    buffer_fini(&definition);
    return status;
}

static enum job_call_status put_ask(struct job_call *call)
{
    char *texts[PUT_ARGS];
    bool ok = true;
    enum job_call_status status = put_name(call);
    if (status != JOB_CALL_OK)
        return status;
    for (size_t i = 0; i < PUT_ARGS; i++) {
        texts[i] = slice_dup(call->args[i]);
        ok = ok && texts[i] != NULL;
    }
    status = ok ? put_write(call, texts)
                : job_call_refuse(call, JOB_CALL_AWAY, "memory is short: try again");
    for (size_t i = 0; i < PUT_ARGS; i++)
        free(texts[i]);
    return status;
}

static enum job_call_status put_answer(struct job_call *call, const redisReply *reply)
{
    struct slice done = job_reply_bytes(reply);
    if (slice_is(done, "unknown"))
        return job_call_refuse(call, JOB_CALL_NO_JOB, "there is no schedule %s", call->job);
    if (slice_is(done, "file"))
        return job_call_refuse(call, JOB_CALL_INVALID,
                               "schedule %s stands in the configuration file: change it there",
                               call->job);
    pack_map(&call->body, 2);
    schedules_text(&call->body, "name", slice_of(call->job));
    schedules_text(&call->body, "done", done);
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_schedule_put = {
    "job-schedule-put", "NAME PLATFORM SETTINGS CRON EVERY MISSED OVERLAP", PUT_ARGS, put_ask,
    put_answer};

static enum job_call_status move_ask(struct job_call *call)
{
    static const char *const moves[] = {"remove", "pause", "resume", "now"};
    char now[24];
    enum job_call_status status = put_name(call);
    bool known = false;
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        known = known || slice_is(call->args[1], moves[i]);
    if (status != JOB_CALL_OK || !known)
        return status != JOB_CALL_OK
                   ? status
                   : job_call_refuse(call, JOB_CALL_INVALID,
                                     "WHAT: remove, pause, resume or now is wanted");
    snprintf(now, sizeof now, "%" PRId64, (int64_t)time(NULL));
    const struct slice args[] = {call->args[1], call->args[0], slice_of(now)};
    return job_call_script(call, JOB_SCRIPT_JOBS_SCHEDULE, 3, args);
}

const struct job_call_verb job_call_schedule_move = {"job-schedule-move", "NAME WHAT", 2, move_ask,
                                                     put_answer};
