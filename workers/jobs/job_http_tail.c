/*
 * job_http_tail.c: a job's output as it grows, until the job has ended. See job_http.h.
 *
 * Who follows asks Redis four times a second at most, and no more while he has not read what there was: so a reader
 * costs one answer's output at a time, however slow he is. A call that is under way is the tail's as well as its
 * reader: whichever goes last frees it.
 */
#include "common/json/json_value.h"
#include "workers/jobs/job_http_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TAIL_MS 250u

struct job_http_tail {
    struct job_http_tail *prev, *next;
    struct job_http *h;
    struct http_request *r;     /* until it is known that there is such a job */
    struct http_stream *stream; /* from then on; NULL: its reader has gone */
    char job[JOB_CALL_ID_SIZE];
    uint64_t attempt, from;
    struct buffer pending; /* for its reader */
    bool asking, ended;
};

static void tail_free(struct job_http_tail *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        t->h->tails = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    buffer_fini(&t->pending);
    free(t);
}

static ssize_t tail_read(void *ctx, char *to, size_t max)
{
    struct job_http_tail *t = ctx;
    size_t len = t->pending.len < max ? t->pending.len : max;
    if (len == 0)
        return t->ended ? HTTP_STREAM_END : 0;
    memcpy(to, t->pending.data, len);
    buffer_consume(&t->pending, len);
    return (ssize_t)len;
}

static void tail_gone(void *ctx)
{
    struct job_http_tail *t = ctx;
    t->stream = NULL;
    t->r = NULL;
    if (!t->asking)
        tail_free(t);
}

static bool tail_is_over(const char *status)
{
    static const char *const ends[] = {"finished", "failed", "stopped", "canceled"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(status, ends[i]) == 0)
            return true;
    return false;
}

/* What it has said; false: the answer is none. */
static bool tail_take(struct job_http_tail *t, struct slice body)
{
    struct unpack u = unpack_start(body);
    char status[32] = "";
    if (unpack_map(&u) != 4)
        return false;
    unpack_bytes(&u);
    struct slice said = unpack_bytes(&u);
    unpack_bytes(&u);
    t->attempt = unpack_u64(&u);
    unpack_bytes(&u);
    t->from = unpack_u64(&u);
    unpack_bytes(&u);
    buffer_append_slice(&t->pending, unpack_bytes(&u));
    if (!unpack_end(&u) || !slice_copy(said, status, sizeof status))
        return false;
    t->ended = tail_is_over(status) || !buffer_ok(&t->pending);
    return true;
}

/* The first answer says whether there is such a job. */
static void tail_begin(struct job_http_tail *t, const struct job_call *call,
                       enum job_call_status status)
{
    const struct http_stream_source source = {.read = tail_read, .gone = tail_gone, .ctx = t};
    struct http_request *r = t->r;
    http_request_keep(r, NULL);
    if (status != JOB_CALL_OK) {
        job_http_fail(r, status == JOB_CALL_NO_JOB ? 404 : 503, call->why);
        tail_free(t);
        return;
    }
    tail_take(t, buffer_slice(&call->body));
    t->r = NULL;
    t->asking = true; /* so that `gone`, should it be called within, leaves it to us */
    t->stream = http_request_answer_stream(r, 200, "text/plain; charset=utf-8", &source);
    t->asking = false;
    if (t->stream == NULL)
        tail_free(t);
}

static void tail_on_done(struct job_call *call, enum job_call_status status, void *owner)
{
    struct job_http_tail *t = owner;
    t->asking = false;
    if (t->r != NULL) {
        tail_begin(t, call, status);
        return;
    }
    if (t->stream == NULL) {
        tail_free(t);
        return;
    }
    if (status == JOB_CALL_NO_JOB) /* it has been deleted */
        t->ended = true;
    else if (status == JOB_CALL_OK && !tail_take(t, buffer_slice(&call->body)))
        t->ended = true;
    if (t->pending.len > 0 || t->ended)
        http_stream_wake(t->stream);
}

void job_http_follow_no_more(struct job_http *h, const struct http_request *r)
{
    for (struct job_http_tail *t = h->tails; t != NULL; t = t->next)
        if (t->r == r)
            t->r = NULL;
}

static void tail_ask(struct job_http_tail *t)
{
    char attempt[24], from[24];
    snprintf(attempt, sizeof attempt, "%" PRIu64, t->attempt);
    snprintf(from, sizeof from, "%" PRIu64, t->from);
    const struct slice args[] = {slice_of(t->job), slice_of(attempt), slice_of(from)};
    t->asking = true;
    if (job_call_start(t->h->calls, &job_call_tail, args, tail_on_done, t) != 0)
        t->asking = false; /* the timer asks again */
}

static void tail_on_timer(uv_timer_t *timer)
{
    struct job_http *h = timer->data;
    for (struct job_http_tail *t = h->tails, *next; t != NULL; t = next) {
        next = t->next;
        if (!t->asking && !t->ended && t->pending.len == 0)
            tail_ask(t);
    }
    if (h->tails == NULL)
        uv_timer_stop(timer);
}

void job_http_follow(struct job_http *h, struct http_request *r, const char *job)
{
    struct job_http_tail *t = calloc(1, sizeof *t);
    if (t == NULL) {
        job_http_fail(r, 503, "memory is short: try again");
        return;
    }
    if (!slice_copy(slice_of(job), t->job, sizeof t->job)) {
        free(t);
        job_http_fail(r, 404, "that is no name of a job");
        return;
    }
    t->h = h;
    t->r = r;
    t->next = h->tails;
    if (h->tails != NULL)
        h->tails->prev = t;
    h->tails = t;
    if (!uv_is_active((uv_handle_t *)&h->timer))
        uv_timer_start(&h->timer, tail_on_timer, TAIL_MS, TAIL_MS);
    tail_ask(t);
}

/* After the server has stopped: nobody reads any more, and calls that are under way end behind this. */
void job_http_tails_close(struct job_http *h)
{
    for (struct job_http_tail *t = h->tails, *next; t != NULL; t = next) {
        next = t->next;
        t->r = NULL;
        t->stream = NULL;
        if (!t->asking)
            tail_free(t);
    }
}
