/* sanjer_end.c: what has become of a job, told to Redis until that has heard. See sanjer.h. */
#include "workers/jobs/sanjer.h"

#include "common/base64.h"
#include "common/fault.h"
#include "common/json/json_text.h"
#include "common/log.h"
#include "proto/jobs/job_field.h"
#include "workers/jobs/job_pickle.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/wait.h>

/* An exit code that says: not again (ARCHITECTURE, Exit codes). */
#define END_AGAIN_MS     2000u
#define EXIT_NEVER_AGAIN CONTRACT_EXIT_CONFIG

struct end {
    const char *how, *cause;
    char reason[SANJER_TEXT_MAX];
    bool again;      /* another attempt may do better */
    const char *oom; /* memory was short: "1", or it was not: "0"; NULL: that does not say */
};

/* ---- what has become of it ---- */

static void end_of_status(const struct sanjer_run *run, struct end *e)
{
    int status = run->status;
    e->how = "failed";
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        e->cause = "signal";
        e->again = true;
        snprintf(e->reason, sizeof e->reason, "killed by signal %d (SIG%s)%s", WTERMSIG(status),
                 name != NULL ? name : "?",
                 run->oom_ran ? ", while the kernel's OOM killer ran" : "");
        if (WTERMSIG(status) == SIGKILL)
            e->oom = run->oom_ran ? "1" : "0";
    } else if (WEXITSTATUS(status) != 0) {
        e->cause = "exit";
        e->again = WEXITSTATUS(status) != EXIT_NEVER_AGAIN;
        snprintf(e->reason, sizeof e->reason, "exited with code %d", WEXITSTATUS(status));
    } else {
        e->how = "finished";
    }
}

static void end_of(const struct sanjer_run *run, struct end *e)
{
    *e = (struct end){.how = "failed", .cause = ""};
    if (run->lacks) {
        e->how = "back";
    } else if (run->fault[0] != '\0') {
        bool of_settings = strncmp(run->fault, "settings: ", strlen("settings: ")) == 0;
        e->cause = of_settings ? "settings" : "platform";
        snprintf(e->reason, sizeof e->reason, "%s", run->fault);
    } else if (run->why == SANJER_TIMEOUT) {
        e->cause = "timeout";
        e->again = true;
        snprintf(e->reason, sizeof e->reason, "timed out after %" PRIu64 "s",
                 run->timeout_ms / 1000);
    } else if (run->why == SANJER_CANCELED) {
        e->how = "stopped";
        e->cause = "canceled";
        snprintf(e->reason, sizeof e->reason, "canceled");
    } else if (run->why == SANJER_BACK) {
        e->how = "back";
    } else if (run->raised[0] != '\0') {
        e->cause = run->memory ? "memory" : "exception";
        e->oom = run->memory ? "1" : NULL;
        e->again = !run->spent;
        snprintf(e->reason, sizeof e->reason, "%s", run->raised);
    } else if (run->storage[0] != '\0' && (!run->has_status || run->status == 0)) {
        e->cause = "storage";
        e->again = true;
        snprintf(e->reason, sizeof e->reason, "%s", run->storage);
    } else if (run->has_status) {
        end_of_status(run, e);
    } else {
        e->how = "finished"; /* its child lives, or has served */
    }
    if (strcmp(e->how, "finished") == 0 && run->returned_retries > 0)
        e->how = "retry"; /* it has returned one, which counts by itself */
}

/* Full jitter: anything between nothing and twice the pause of the attempt before. At least 1: 0 is at once. */
static uint64_t end_pause(const struct sanjer_run *run)
{
    uint64_t most = run->s->retry_min_ms, random = 0;
    for (uint64_t i = 1; i < run->blamed && most < run->s->retry_max_ms; i++)
        most *= 2;
    most = most < run->s->retry_max_ms ? most : run->s->retry_max_ms;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = run->started_ms;
    return random % (most + 1) + 1;
}

/* Attempts; of a function RQ's Retry alone says so. */
static bool end_has_more(const struct sanjer_run *run)
{
    return run->function != NULL ? run->again_left > 0 : run->blamed <= run->retries;
}

/* ---- what is told ---- */

static size_t put(struct slice *args, size_t count, const char *field, struct slice value)
{
    args[count] = slice_of(field);
    args[count + 1] = value;
    return count + 2;
}

/* What cannot be written whole is not told as another value: the job is lost, and handed on. */
static void put_json(const struct sanjer_run *run, struct buffer *out, const json_t *value)
{
    char *text = json_text(value);
    buffer_append_text(out, text != NULL ? text : "");
    if (text == NULL || !buffer_ok(out))
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job has said");
    free(text);
}

size_t sanjer_fresh(struct sanjer_run *run, struct slice *args, struct buffer texts[4],
                    char progress[32])
{
    size_t count = put(args, 0, JOB_FIELD("output"), sanjer_say_kept(run));
    snprintf(run->output_end, sizeof run->output_end, "%" PRIu64,
             run->output_gone + run->output.len);
    count = put(args, count, JOB_FIELD("output_end"), slice_of(run->output_end));
    if (run->progress >= 0) {
        snprintf(progress, 32, "%.4f", run->progress);
        count = put(args, count, JOB_FIELD("progress"), slice_of(progress));
    }
    if (json_object_size(run->meta) > 0) {
        put_json(run, &texts[0], run->meta);
        count = put(args, count, JOB_FIELD("meta"), buffer_slice(&texts[0]));
        /* A function's own is what rq's Job has written itself (save_meta). */
        if (run->function == NULL && job_pickle_write(&texts[1], run->meta) == 0)
            count = put(args, count, "meta", buffer_slice(&texts[1]));
    }
    if (run->result != NULL) {
        put_json(run, &texts[2], run->result);
        count = put(args, count, JOB_FIELD("result"), buffer_slice(&texts[2]));
    }
    return count;
}

/* The entry of rq:results: its field; "" there is none. A Retry that was returned is a value, also one too many. */
static const char *result_field(const struct sanjer_run *run, const struct end *e)
{
    bool finished = strcmp(e->how, "finished") == 0, retry = strcmp(e->how, "retry") == 0;
    if (strcmp(e->how, "back") == 0 || (retry && run->returned_retries == 0))
        return "";
    return finished || retry || (run->spent && run->returned != NULL) ? "return_value"
                                                                      : "exc_string";
}

/* What cannot be a pickle is what RQ 2 has it be: an entry without one breaks what its clients list. */
static int put_value(struct buffer *out, const json_t *value)
{
    int rc = job_pickle_write(out, value);
    if (rc != -EINVAL)
        return rc;
    json_t *instead = json_string("Unserializable return value");
    buffer_clear(out);
    rc = instead != NULL ? job_pickle_write(out, instead) : -ENOMEM;
    json_decref(instead);
    return rc;
}

/* And its value: of a job that has finished, or why it has not; both as RQ has them, in base64. */
static void put_result(const struct sanjer_run *run, const struct end *e, const char *field,
                       struct buffer *out)
{
    struct buffer bytes = BUFFER_EMPTY;
    json_t *none = json_null();
    int rc = 0;
    bool is_value = strcmp(field, "return_value") == 0;
    if (run->returned != NULL && is_value)
        buffer_append_text(out, run->returned);
    else if (is_value)
        rc = put_value(&bytes, run->result != NULL ? run->result : none);
    else
        rc = job_zlib_write(&bytes, slice_of(run->traceback != NULL ? run->traceback : e->reason));
    base64_append(out, buffer_slice(&bytes)); /* nothing of what was that already */
    if (rc != 0 || !buffer_ok(out))
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job has said");
    buffer_fini(&bytes);
}

static void sanjer_on_ended(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct sanjer *s = ctx;
    char why[384];
    (void)c;
    s->telling = false;
    if (FAULT_POINT("sanjer.after-finish", slice_of("")))
        reply = NULL; /* as when its answer is lost */
    s->adopted =
        s->adopted && reply != NULL; /* it may have claimed for us without our hearing of it */
    if (s->run == NULL)
        return;
    job_redis_failed(reply, why, sizeof why);
    if (why[0] != '\0') {
        /* Unknown, or refused: told again at the next connection, or by the timer. */
        if (reply != NULL)
            worker_trouble(s->w, "the end of a job cannot be told: %s", why);
        return;
    }
    const redisReply *what = job_reply_at(reply, 0);
    s->ending = false;
    worker_trouble(s->w, "%s", "");
    if (what != NULL && slice_is(job_reply_bytes(what), "canceled"))
        worker_count(s->w, COUNTER_JOBS_CANCELED, 1);
    if (what != NULL && !slice_is(job_reply_bytes(what), "done"))
        log_info("end-not-counted", "job=%s said=%s", log_quote(slice_of(s->run->id)),
                 log_quote(job_reply_bytes(what)));
    sanjer_done(s, job_reply_at(reply, 1));
}

static void end_on_again(uv_timer_t *timer)
{
    struct sanjer_run *run = timer->data;
    sanjer_end(run->s);
}

struct end_texts {
    struct buffer fresh[4], result;
    char progress[32], code[16], left[24], signal[16], run_ms[24], cpu_ms[24], rss[24], attempt[24],
        after[24], count[24], lacked[24];
};

static size_t end_fields(struct sanjer_run *run, const struct end *e, struct slice *args,
                         struct end_texts *t)
{
    size_t n = sanjer_fresh(run, args, t->fresh, t->progress);
    bool ran = run->has_status;
    if (strcmp(e->how, "back") != 0 && e->cause[0] != '\0') {
        n = put(args, n, JOB_FIELD("cause"), slice_of(e->cause));
        n = put(args, n, JOB_FIELD("reason"), slice_of(e->reason));
    }
    if (run->lacks) {
        snprintf(t->lacked, sizeof t->lacked, "%" PRIu64, run->lacked_ms);
        n = put(args, n, JOB_FIELD("lacked"), slice_of(t->lacked));
        n = put(args, n, JOB_FIELD("reason"), slice_of(run->fault));
    }
    if (run->function != NULL && strcmp(e->how, "retry") == 0) {
        bool returned = run->returned_retries > 0;
        snprintf(t->left, sizeof t->left, "%" PRIu64,
                 returned ? run->returned_retries : run->again_left - 1);
        n = put(args, n, returned ? "number_of_retries" : "retries_left", slice_of(t->left));
    }
    if (run->traceback != NULL && strcmp(e->how, "failed") == 0)
        n = put(args, n, JOB_FIELD("traceback"), slice_of(run->traceback));
    if (ran && WIFEXITED(run->status)) {
        snprintf(t->code, sizeof t->code, "%d", WEXITSTATUS(run->status));
        n = put(args, n, JOB_FIELD("exit_code"), slice_of(t->code));
    } else if (ran) {
        snprintf(t->signal, sizeof t->signal, "%d", WTERMSIG(run->status));
        n = put(args, n, JOB_FIELD("signal"), slice_of(t->signal));
    }
    if (e->oom != NULL)
        n = put(args, n, JOB_FIELD("oom"), slice_of(e->oom));
    snprintf(t->run_ms, sizeof t->run_ms, "%" PRIu64, run->ended_ms - run->started_ms);
    n = put(args, n, JOB_FIELD("run_ms"), slice_of(t->run_ms));
    snprintf(t->cpu_ms, sizeof t->cpu_ms, "%" PRIu64, run->cpu_ms);
    n = put(args, n, JOB_FIELD("cpu_ms"), slice_of(t->cpu_ms));
    snprintf(t->rss, sizeof t->rss, "%" PRIu64, run->rss);
    return put(args, n, JOB_FIELD("max_rss_bytes"), slice_of(t->rss));
}

static void end_count(struct sanjer *s, const char *how)
{
    if (strcmp(how, "finished") == 0)
        worker_count(s->w, COUNTER_JOBS_FINISHED, 1);
    else if (strcmp(how, "failed") == 0)
        worker_count(s->w, COUNTER_JOBS_FAILED, 1);
    else if (strcmp(how, "stopped") == 0)
        worker_count(s->w, COUNTER_JOBS_STOPPED, 1);
    else if (strcmp(how, "retry") == 0)
        worker_count(s->w, COUNTER_JOBS_RETRIED, 1);
}

void sanjer_end(struct sanjer *s)
{
    struct sanjer_run *run = s->run;
    struct end e;
    struct end_texts t = {.result = BUFFER_EMPTY};
    struct slice args[JOB_ARGS_MAX];
    uint64_t after = 0;
    bool again = s->ending;
    if (s->telling)
        return;
    if (!again)
        log_debug("ended", "job=%s status=%d", log_quote(slice_of(run->id)), run->status);
    end_of(run, &e);
    if (strcmp(e.how, "failed") == 0 && e.again && end_has_more(run)) {
        e.how = "retry";
        after = run->function != NULL ? run->again_ms : end_pause(run);
    } else if (strcmp(e.how, "retry") == 0) {
        after = run->returned_ms;
    } else if (run->lacks) {
        after = SANJER_LACK_PAUSE_MS;
    }
    if (!again) {
        end_count(s, e.how);
        worker_observe(s->w, COUNTER_JOB_RUN, run->ended_ms - run->started_ms);
    }
    s->ending = true;
    snprintf(t.attempt, sizeof t.attempt, "%" PRIu64, run->attempt);
    snprintf(t.after, sizeof t.after, "%" PRIu64, after);
    const char *field = result_field(run, &e);
    if (field[0] != '\0')
        put_result(run, &e, field, &t.result);
    size_t fields = end_fields(run, &e, args + 9, &t);
    snprintf(t.count, sizeof t.count, "%zu", fields / 2);
    const struct slice head[9] = {
        slice_of(run->id),   slice_of(run->queue),    slice_of(s->redis.owner),
        slice_of(t.attempt), slice_of(e.how),         slice_of(t.after),
        slice_of(field),     buffer_slice(&t.result), slice_of(t.count)};
    memcpy(args, head, sizeof head);
    size_t count = 9 + fields;
    /* Told again it claims nothing: what the first call may have claimed for us is handed back before (sanjer_take). */
    if (!again && !worker_stopping(s->w)) {
        args[count++] = slice_of(s->redis.owner);
        args[count++] = slice_of(s->worker);
        args[count++] = slice_of(s->lease);
    }
    s->telling =
        !FAULT_POINT("sanjer.before-finish", slice_of("")) &&
        job_redis_call(&s->redis, JOB_SCRIPT_JOBS_FINISH, count, args, sanjer_on_ended, s) == 0;
    uv_timer_start(&run->timer, end_on_again, END_AGAIN_MS, END_AGAIN_MS); /* when it was refused */
    sanjer_run_hang_up(run); /* while Redis has something to do */
    for (size_t i = 0; i < 4; i++)
        buffer_fini(&t.fresh[i]);
    buffer_fini(&t.result);
}
