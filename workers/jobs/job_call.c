/* job_call.c: the life of a call. See job_call.h. */
#include "workers/jobs/job_call.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum job_call_status job_call_refuse(struct job_call *call, enum job_call_status status,
                                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->why, sizeof call->why, format, args);
    va_end(args);
    utf8_mend(call->why);
    return status;
}

enum job_call_status job_call_job(struct job_call *call, struct slice id)
{
    if (id.len > 0 && slice_copy(id, call->job, sizeof call->job))
        return JOB_CALL_OK;
    return job_call_refuse(call, JOB_CALL_NO_JOB, "that is no name of a job");
}

enum job_call_status job_call_unknown(struct job_call *call)
{
    return job_call_refuse(call, JOB_CALL_NO_JOB, "no job of ours is named %s", call->job);
}

/* ---- Redis ---- */

static void call_end(struct job_call *call, enum job_call_status status)
{
    struct job_calls *calls = call->calls;
    if (status <= JOB_CALL_NOW && !buffer_ok(&call->body))
        status = job_call_refuse(call, JOB_CALL_AWAY, "memory is short: try again");
    calls->count--;
    call->done(call, status, call->owner);
    buffer_fini(&call->words);
    buffer_fini(&call->body);
    free(call);
    if (worker_stopping(calls->w) && calls->count == 0)
        worker_finished(calls->w);
}

static void call_wait(struct job_call *call)
{
    struct job_call **at = &call->calls->waiting;
    while (*at != NULL)
        at = &(*at)->next;
    call->next = NULL;
    *at = call;
}

/* What a verb has said that may go on. */
static void call_go(struct job_call *call, enum job_call_status status)
{
    if (status == JOB_CALL_WAITS)
        call_wait(call);
    else if (status != JOB_CALL_OK)
        call_end(call, status == JOB_CALL_NOW ? JOB_CALL_OK : status);
}

static void call_on_reply(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    struct job_call *call = ctx;
    enum job_call_status (*read)(struct job_call *, const redisReply *) = call->read;
    (void)conn;
    job_redis_failed(reply, call->why, sizeof call->why);
    call->read = NULL;
    if (call->why[0] != '\0')
        call_end(call, JOB_CALL_AWAY);
    else if (read != NULL)
        call_go(call, read(call, reply));
    else
        call_end(call, call->verb->answer(call, reply));
}

static enum job_call_status call_asked(struct job_call *call, int rc)
{
    struct redis_conn *conn = call->calls->redis.conn;
    const char *why = conn != NULL ? redis_conn_trouble(conn) : "";
    if (rc == 0)
        return JOB_CALL_OK;
    return job_call_refuse(call, JOB_CALL_AWAY, "%s",
                           why[0] != '\0' ? why : "not connected to Redis");
}

enum job_call_status job_call_script(struct job_call *call, enum job_script script, size_t count,
                                     const struct slice *args)
{
    return call_asked(
        call, job_redis_call(&call->calls->redis, script, count, args, call_on_reply, call));
}

enum job_call_status job_call_command(struct job_call *call, size_t count,
                                      const struct slice *words)
{
    struct redis_conn *conn = call->calls->redis.conn;
    int rc = conn != NULL ? redis_conn_command(conn, count, words, call_on_reply, call) : -ENOTCONN;
    return call_asked(call, rc);
}

/* ---- its life ---- */

int job_call_start(struct job_calls *calls, const struct job_call_verb *verb,
                   const struct slice *args, job_call_fn done, void *owner)
{
    struct job_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return -ENOMEM;
    call->calls = calls;
    call->verb = verb;
    call->done = done;
    call->owner = owner;
    for (uint32_t i = 0; i < verb->count; i++)
        buffer_append_slice(&call->words, args[i]);
    if (!buffer_ok(&call->words)) {
        buffer_fini(&call->words);
        free(call);
        return -ENOMEM;
    }
    for (size_t i = 0, from = 0; i < verb->count; from += args[i].len, i++)
        call->args[i] =
            args[i].len > 0 ? slice_make(call->words.data + from, args[i].len) : slice_of("");
    calls->count++;
    call_go(call, call->verb->ask(call));
    return 0;
}

void job_calls_on_catalog(void *ctx)
{
    struct job_calls *calls = ctx;
    struct job_call *waiting = calls->waiting;
    calls->waiting = NULL;
    for (struct job_call *call = waiting, *next; call != NULL; call = next) {
        next = call->next;
        call_go(call, call->verb->ask(call));
    }
}

void job_calls_end(struct job_calls *calls)
{
    struct job_call *waiting = calls->waiting;
    calls->waiting = NULL;
    for (struct job_call *call = waiting, *next; call != NULL; call = next) {
        next = call->next;
        call_end(call, job_call_refuse(call, JOB_CALL_AWAY, "the collector ends: try again"));
    }
}
