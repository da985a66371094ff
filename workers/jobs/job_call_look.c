/* job_call_look.c: the verbs that show and move jobs: platforms, list, show, cancel, retry. See job_call.h. */
#include "common/json/json_value.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/jobs/job_field.h"
#include "workers/jobs/job_call.h"
#include "workers/jobs/job_functions.h"
#include "workers/jobs/job_row.h"

#include <errno.h>
#include <stdio.h>

static enum job_call_status look_strange(struct job_call *call)
{
    return job_call_refuse(call, JOB_CALL_AWAY, "Redis gave no such answer");
}

/* ---- platforms ---- */

struct look_platforms {
    struct buffer list;
    uint32_t count;
};

static void look_number(struct buffer *out, const char *name, bool known, uint64_t value)
{
    pack_text(out, name);
    if (known)
        pack_u64(out, value);
    else
        pack_nil(out);
}

static void look_platform(const struct job_catalog_platform *p, void *ctx)
{
    struct look_platforms *all = ctx;
    struct buffer *out = &all->list;
    const struct job_platform_spec *spec = p->spec;
    json_t *settings = spec != NULL ? job_settings_describe(spec->settings) : json_object();
    pack_map(out, 8);
    pack_text(out, "platform_id");
    pack_bin(out, slice_of(p->id));
    pack_text(out, "file");
    pack_bin(out, slice_of(p->file));
    pack_text(out, "display_name");
    pack_bin(out,
             slice_of(spec != NULL && spec->display_name != NULL ? spec->display_name : p->id));
    pack_text(out, "settings");
    if (settings != NULL)
        json_value_pack(out, settings);
    else
        out->failed = true;
    json_decref(settings);
    look_number(out, "timeout_ms", spec != NULL && spec->timeout_ms > 0,
                spec != NULL ? spec->timeout_ms : 0);
    look_number(out, "retries", spec != NULL && spec->retries >= 0,
                spec != NULL ? (uint64_t)spec->retries : 0);
    pack_text(out, "rerun");
    pack_bool(out, spec == NULL || spec->rerun);
    pack_text(out, "broken");
    if (spec == NULL)
        pack_text(out, p->why);
    else
        pack_nil(out);
    all->count++;
}

static enum job_call_status look_platforms_ask(struct job_call *call)
{
    struct look_platforms all = {.list = BUFFER_EMPTY};
    int rc = job_catalog_look(call->calls->catalog);
    if (rc == -EBUSY)
        return JOB_CALL_WAITS;
    if (rc != 0)
        return job_call_refuse(call, JOB_CALL_AWAY, "the platforms cannot be read: %s",
                               strerror(-rc));
    job_catalog_each(call->calls->catalog, look_platform, &all);
    pack_array(&call->body, all.count);
    buffer_append_slice(&call->body, buffer_slice(&all.list));
    call->body.failed = call->body.failed || !buffer_ok(&all.list);
    buffer_fini(&all.list);
    return JOB_CALL_NOW;
}

const struct job_call_verb job_call_platforms = {"job-platforms", "", 0, look_platforms_ask, NULL};

/* ---- list, show ---- */

enum { LIST_STATUS, LIST_LIMIT, LIST_PLATFORM, LIST_QUEUE, LIST_SINCE, LIST_AFTER, LIST_ARGS };

static enum job_call_status look_list_check(struct job_call *call)
{
    static const char *const statuses[] = {"",         "queued", "started", "scheduled", "deferred",
                                           "finished", "failed", "stopped", "canceled"};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (slice_is(call->args[LIST_STATUS], statuses[i]))
            return JOB_CALL_OK;
    return job_call_refuse(call, JOB_CALL_INVALID,
                           "Invalid parameters in request: status: none of queued, started, "
                           "scheduled, deferred, finished, failed, stopped, canceled");
}

/* The queue that is asked for; else all, except of a section that has but one, whose places RQ keeps in order. */
static struct slice look_queue(const struct job_call *call)
{
    bool one = job_functions_names(call->calls->w)[0] == '\0';
    if (call->args[LIST_QUEUE].len > 0)
        return call->args[LIST_QUEUE];
    return slice_of(one && call->args[LIST_STATUS].len > 0 ? call->calls->scope : "*");
}

static enum job_call_status look_list_ask(struct job_call *call)
{
    struct slice queue = look_queue(call);
    char asked[JOB_QUEUE_SIZE] = "";
    const struct slice words[] = {queue,
                                  call->args[LIST_LIMIT],
                                  call->args[LIST_STATUS],
                                  call->args[LIST_PLATFORM],
                                  call->args[LIST_SINCE],
                                  call->args[LIST_AFTER]};
    enum job_call_status status = look_list_check(call);
    if (status != JOB_CALL_OK)
        return status;
    bool any = call->args[LIST_QUEUE].len == 0;
    if (!any && (!slice_copy(queue, asked, sizeof asked) || strchr(asked, '*') != NULL ||
                 (!job_queue_scopes_meet(asked, call->calls->scope) &&
                  !job_functions_has(call->calls->w, queue))))
        return job_call_refuse(call, JOB_CALL_INVALID,
                               "Invalid parameters in request: queue: this section's is %s",
                               call->calls->scope);
    return job_call_script(call, JOB_SCRIPT_JOBS_LIST, LIST_ARGS, words);
}

static enum job_call_status look_list_answer(struct job_call *call, const redisReply *reply)
{
    const redisReply *total = job_reply_at(reply, 0), *jobs = job_reply_at(reply, 1),
                     *next = job_reply_at(reply, 2);
    struct buffer *body = &call->body;
    if (slice_is(job_reply_bytes(reply), "unknown"))
        return job_call_refuse(call, JOB_CALL_NO_JOB,
                               "the job to go on after is not in this list any more: begin anew");
    if (total == NULL || total->type != REDIS_REPLY_INTEGER || next == NULL || jobs == NULL ||
        jobs->type != REDIS_REPLY_ARRAY)
        return look_strange(call);
    pack_map(body, 3);
    pack_text(body, "total");
    pack_u64(body, (uint64_t)total->integer);
    pack_text(body, "jobs");
    pack_array(body, (uint32_t)jobs->elements);
    for (size_t i = 0; i < jobs->elements; i++) {
        const redisReply *id = job_reply_at(jobs->element[i], 0),
                         *fields = job_reply_at(jobs->element[i], 1);
        if (id == NULL || fields == NULL || fields->type != REDIS_REPLY_ARRAY)
            return look_strange(call);
        job_row_pack(body, job_reply_bytes(id), fields, false);
    }
    pack_text(body, "next");
    if (job_reply_bytes(next).len > 0)
        pack_bin(body, job_reply_bytes(next));
    else
        pack_nil(body);
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_list = {"job-list", "STATUS LIMIT PLATFORM QUEUE SINCE AFTER",
                                            LIST_ARGS, look_list_ask, look_list_answer};

static enum job_call_status look_show_ask(struct job_call *call)
{
    char key[JOB_CALL_ID_SIZE + 16];
    enum job_call_status status = job_call_job(call, call->args[0]);
    if (status != JOB_CALL_OK)
        return status;
    snprintf(key, sizeof key, "rq:job:%s", call->job);
    const struct slice words[] = {slice_of("HGETALL"), slice_of(key)};
    return job_call_command(call, 2, words);
}

static bool look_is_ours(const redisReply *fields)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (slice_is(job_reply_bytes(fields->element[i]), JOB_FIELD("platform")))
            return true;
    return false;
}

static enum job_call_status look_show_answer(struct job_call *call, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || !look_is_ours(reply))
        return job_call_unknown(call);
    job_row_pack(&call->body, slice_of(call->job), reply, true);
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_show = {"job-show", "JOB", 1, look_show_ask, look_show_answer};

static enum job_call_status look_get_answer(struct job_call *call, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || !look_is_ours(reply))
        return job_call_unknown(call);
    job_row_pack_original(&call->body, slice_of(call->job), reply, call->args[1].len > 0);
    return JOB_CALL_OK;
}

/* As execution/get has it; FULL is empty or not. */
const struct job_call_verb job_call_get = {"job-get", "JOB FULL", 2, look_show_ask,
                                           look_get_answer};

/* ---- tail ---- */

static enum job_call_status look_tail_ask(struct job_call *call)
{
    static const char *const fields[] = {JOB_FIELD("platform"), "status", JOB_FIELD("attempt"),
                                         JOB_FIELD("output"), JOB_FIELD("output_end")};
    char key[JOB_CALL_ID_SIZE + 16];
    struct slice words[7];
    enum job_call_status status = job_call_job(call, call->args[0]);
    if (status != JOB_CALL_OK)
        return status;
    snprintf(key, sizeof key, "rq:job:%s", call->job);
    words[0] = slice_of("HMGET");
    words[1] = slice_of(key);
    for (size_t i = 0; i < 5; i++)
        words[2 + i] = slice_of(fields[i]);
    return job_call_command(call, 7, words);
}

static uint64_t look_u64(struct slice text)
{
    uint64_t number;
    return text_parse_u64(text, &number) == 0 ? number : 0;
}

/* What has come behind the byte `from` of this attempt's output, as far as it is still kept. */
static struct slice look_fresh(struct slice kept, uint64_t end, uint64_t from)
{
    uint64_t fresh = end > from ? end - from : 0;
    if (fresh >= kept.len)
        return kept;
    return slice_make(kept.ptr + (kept.len - fresh), (size_t)fresh);
}

static enum job_call_status look_tail_answer(struct job_call *call, const redisReply *reply)
{
    struct slice fields[5];
    for (size_t i = 0; i < 5; i++) {
        const redisReply *field = job_reply_at(reply, i);
        fields[i] = field != NULL ? job_reply_bytes(field) : slice_of("");
    }
    if (fields[0].len == 0)
        return job_call_unknown(call);
    uint64_t attempt = look_u64(fields[2]), end = look_u64(fields[4]);
    end = end >= fields[3].len ? end : fields[3].len;
    bool same = attempt == look_u64(call->args[1]);
    pack_map(&call->body, 4);
    pack_text(&call->body, "status");
    pack_str(&call->body, fields[1]);
    pack_text(&call->body, "attempt");
    pack_u64(&call->body, attempt);
    pack_text(&call->body, "end");
    pack_u64(&call->body, end);
    pack_text(&call->body, "output");
    pack_bin(&call->body, look_fresh(fields[3], end, same ? look_u64(call->args[2]) : 0));
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_tail = {"job-tail", "JOB ATTEMPT FROM", 3, look_tail_ask,
                                            look_tail_answer};

/* ---- stats ---- */

static enum job_call_status look_stats_ask(struct job_call *call)
{
    return job_call_script(call, JOB_SCRIPT_JOBS_STATS, 1, call->args);
}

/* "finished coinis", "7" of a day. */
static void look_stats_row(struct buffer *out, struct slice day, struct slice name,
                           struct slice count)
{
    const char *blank = name.len > 0 ? memchr(name.ptr, ' ', name.len) : NULL;
    size_t len = blank != NULL ? (size_t)(blank - name.ptr) : name.len;
    pack_map(out, 4);
    pack_text(out, "day");
    pack_bin(out, day);
    pack_text(out, "platform_id");
    pack_bin(out, blank != NULL ? slice_make(blank + 1, name.len - len - 1) : slice_of(""));
    pack_text(out, "status");
    pack_bin(out, slice_make(name.ptr, len));
    pack_text(out, "jobs");
    pack_u64(out, look_u64(count));
}

static enum job_call_status look_stats_answer(struct job_call *call, const redisReply *reply)
{
    struct buffer rows = BUFFER_EMPTY;
    uint32_t count = 0;
    const redisReply *row;
    for (size_t i = 0; (row = job_reply_at(reply, i)) != NULL; i++) {
        const redisReply *day = job_reply_at(row, 0), *counts = job_reply_at(row, 1);
        for (size_t k = 0; day != NULL && job_reply_at(counts, k + 1) != NULL; k += 2, count++)
            look_stats_row(&rows, job_reply_bytes(day), job_reply_bytes(counts->element[k]),
                           job_reply_bytes(counts->element[k + 1]));
    }
    pack_array(&call->body, count);
    buffer_append_slice(&call->body, buffer_slice(&rows));
    call->body.failed = call->body.failed || !buffer_ok(&rows);
    buffer_fini(&rows);
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_stats = {"job-stats", "DAYS", 1, look_stats_ask,
                                             look_stats_answer};

/* ---- cancel, retry ---- */

static enum job_call_status look_move(struct job_call *call, enum job_script script)
{
    enum job_call_status status = job_call_job(call, call->args[0]);
    return status == JOB_CALL_OK ? job_call_script(call, script, 1, call->args) : status;
}

static enum job_call_status look_cancel_ask(struct job_call *call)
{
    return look_move(call, JOB_SCRIPT_JOBS_CANCEL);
}

static enum job_call_status look_retry_ask(struct job_call *call)
{
    return look_move(call, JOB_SCRIPT_JOBS_RETRY);
}

static enum job_call_status look_moved(struct job_call *call, const redisReply *reply)
{
    const redisReply *what = reply->type == REDIS_REPLY_ARRAY ? job_reply_at(reply, 0) : reply;
    if (what == NULL || job_reply_bytes(what).len == 0)
        return look_strange(call);
    if (slice_is(job_reply_bytes(what), "unknown"))
        return job_call_unknown(call);
    pack_map(&call->body, 2);
    pack_text(&call->body, "job_id");
    pack_text(&call->body, call->job);
    pack_text(&call->body, "status");
    pack_str(&call->body, job_reply_bytes(what));
    return JOB_CALL_OK;
}

static enum job_call_status look_canceled(struct job_call *call, const redisReply *reply)
{
    if (job_reply_at(reply, 2) != NULL)
        worker_count(call->calls->w, COUNTER_JOBS_CANCELED, 1);
    return look_moved(call, reply);
}

const struct job_call_verb job_call_cancel = {"job-cancel", "JOB", 1, look_cancel_ask,
                                              look_canceled};
const struct job_call_verb job_call_retry = {"job-retry", "JOB", 1, look_retry_ask, look_moved};

/* ---- ping ---- */

static enum job_call_status look_ping_ask(struct job_call *call)
{
    const struct slice word = slice_of("PING");
    return job_call_command(call, 1, &word);
}

static enum job_call_status look_ping_answer(struct job_call *call, const redisReply *reply)
{
    (void)reply;
    pack_nil(&call->body);
    return JOB_CALL_OK;
}

const struct job_call_verb job_call_ping = {"job-ping", "", 0, look_ping_ask, look_ping_answer};
