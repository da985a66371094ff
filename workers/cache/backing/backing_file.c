/* backing_file.c: see backing_file.h. */
#include "workers/cache/backing/backing_file.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/cache/backing/backing_file_store.h"
#include "workers/cache/backing/backing_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct file_backing {
    struct backing head;
    uv_loop_t *loop;
    char *path;
    struct backing_file_mark mark;
    size_t value_max;
    unsigned running; /* calls in memory */
    bool freed;
    struct backing_call *calls; /* that somebody waits for */
};

/* Lives until both its thread and its timer are done with it. */
struct backing_call {
    struct backing_call *next, *before;
    struct file_backing *store;
    uv_work_t work;
    uv_timer_t timer;
    unsigned holds; /* of these two */
    atomic_bool given_up;
    bool too_many;
    uint64_t timeout_ms;
    backing_answer_fn fn;
    void *ctx;
    char name[BACKING_NAME_SIZE];
    struct backing_file_job job;
};

/* ---- memory ---- */

static void file_backing_unref(struct file_backing *s)
{
    if (!s->freed || s->running > 0)
        return;
    backing_file_mark_fini(&s->mark);
    free(s->path);
    free(s);
}

static void file_call_release(struct backing_call *call)
{
    struct file_backing *s = call->store;
    if (--call->holds > 0)
        return;
    buffer_fini(&call->job.value);
    free(call);
    s->running--;
    file_backing_unref(s);
}

static void file_on_timer_closed(uv_handle_t *handle)
{
    file_call_release(handle->data);
}

/* Nobody waits for it any more. */
static void file_call_leave(struct backing_call *call)
{
    atomic_store(&call->given_up, true);
    if (call->before != NULL)
        call->before->next = call->next;
    else
        call->store->calls = call->next;
    if (call->next != NULL)
        call->next->before = call->before;
    call->next = call->before = NULL;
    uv_close((uv_handle_t *)&call->timer, file_on_timer_closed);
    uv_cancel((uv_req_t *)&call->work); /* if it waits for a thread still */
}

/* ---- answers ---- */

static void file_on_work(uv_work_t *work)
{
    struct backing_call *call = work->data;
    backing_file_run(&call->job);
}

static void file_on_done(uv_work_t *work, int status)
{
    struct backing_call *call = work->data;
    (void)status; /* UV_ECANCELED: it was left before */
    if (call->job.not_remembered != 0)
        log_warn("store-not-remembered",
                 "file=%s cause=%s remedy=\"check state_dir and its disk: after a boot without its "
                 "mount the store could be taken for a new one\"",
                 log_quote_text(call->store->mark.remembered),
                 log_quote_text(strerror(-call->job.not_remembered)));
    if (!atomic_load(&call->given_up)) {
        struct backing_answer answer = {.result = call->job.result,
                                        .meta = call->job.meta,
                                        .value = buffer_slice(&call->job.value),
                                        .why = call->job.why};
        backing_answer_fn fn = call->fn;
        void *ctx = call->ctx;
        file_call_leave(call);
        fn(&answer, ctx);
    }
    file_call_release(call);
}

static void file_on_deadline(uv_timer_t *timer)
{
    struct backing_call *call = timer->data;
    char why[BACKING_WHY_SIZE];
    struct backing_answer answer = {.result = BACKING_AWAY, .value = slice_of(""), .why = why};
    if (call->too_many)
        snprintf(why, sizeof why, "%.500s: %d requests wait for its disk already", call->job.path,
                 BACKING_FILE_CALLS);
    else
        snprintf(
            why, sizeof why,
            "%.500s: no answer for %llu ms: is its disk, or who holds a lock there, at a stand?",
            call->job.path, (unsigned long long)call->timeout_ms);
    file_call_leave(call);
    call->fn(&answer, call->ctx);
}

/* ---- calls ---- */

static struct backing_call *file_call_new(struct file_backing *s, enum backing_file_kind kind,
                                          struct slice key, uint64_t timeout_ms,
                                          backing_answer_fn fn, void *ctx)
{
    struct backing_call *call = calloc(1, sizeof *call);
    if (call == NULL || !backing_name(BACKING_FILE, key, call->name)) {
        free(call);
        return NULL;
    }
    call->store = s;
    call->fn = fn;
    call->ctx = ctx;
    call->timeout_ms = timeout_ms;
    call->job = (struct backing_file_job){.kind = kind,
                                          .path = s->path,
                                          .mark = &s->mark,
                                          .name = call->name,
                                          .meta = BACKING_META_NONE,
                                          .value_max = s->value_max,
                                          .deadline_ms = clock_mono_ms() + timeout_ms,
                                          .given_up = &call->given_up};
    return call;
}

/* A disk that does not answer must not gather copies of values without end. */
static int file_call_start(struct backing_call *call, struct backing_call **out)
{
    struct file_backing *s = call->store;
    call->too_many = s->running >= BACKING_FILE_CALLS;
    uv_timer_init(s->loop, &call->timer);
    call->timer.data = call;
    call->work.data = call;
    call->holds = 1;
    uv_timer_start(&call->timer, file_on_deadline, call->too_many ? 1 : call->timeout_ms, 0);
    if (!call->too_many && uv_queue_work(s->loop, &call->work, file_on_work, file_on_done) == 0)
        call->holds++;
    call->next = s->calls;
    if (s->calls != NULL)
        s->calls->before = call;
    s->calls = call;
    s->running++;
    *out = call;
    return 0;
}

static int file_check(struct backing *b, uint64_t timeout_ms, backing_answer_fn fn, void *ctx,
                      struct backing_call **out)
{
    struct backing_call *call = file_call_new((struct file_backing *)b, BACKING_FILE_CHECK,
                                              slice_of(""), timeout_ms, fn, ctx);
    return call != NULL ? file_call_start(call, out) : -ENOMEM;
}

/* The value is copied: a thread may go on with it when the caller has been answered. */
static int file_put(struct backing *b, struct slice key, struct slice value,
                    const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **out)
{
    struct file_backing *s = (struct file_backing *)b;
    struct backing_call *call = file_call_new(s, BACKING_FILE_PUT, key, timeout_ms, fn, ctx);
    if (call == NULL)
        return -ENOMEM;
    call->job.meta = *meta;
    if (s->running < BACKING_FILE_CALLS)
        buffer_append_slice(&call->job.value, value);
    if (buffer_ok(&call->job.value))
        return file_call_start(call, out);
    free(call);
    return -ENOMEM;
}

static int file_get(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **out)
{
    struct backing_call *call =
        file_call_new((struct file_backing *)b, BACKING_FILE_GET, key, timeout_ms, fn, ctx);
    return call != NULL ? file_call_start(call, out) : -ENOMEM;
}

static int file_erase(struct backing *b, struct slice key, uint64_t version, uint64_t timeout_ms,
                      backing_answer_fn fn, void *ctx, struct backing_call **out)
{
    struct backing_call *call =
        file_call_new((struct file_backing *)b, BACKING_FILE_ERASE, key, timeout_ms, fn, ctx);
    if (call == NULL)
        return -ENOMEM;
    call->job.meta.version = version;
    return file_call_start(call, out);
}

static void file_free(struct backing *b)
{
    struct file_backing *s = (struct file_backing *)b;
    while (s->calls != NULL)
        file_call_leave(s->calls);
    s->freed = true;
    file_backing_unref(s);
}

static const struct backing_ops file_ops = {.check = file_check,
                                            .put = file_put,
                                            .get = file_get,
                                            .erase = file_erase,
                                            .cancel = file_call_leave,
                                            .free = file_free};

int backing_file_new(uv_loop_t *loop, const struct backing_file_options *options,
                     struct backing **out)
{
    struct file_backing *s = calloc(1, sizeof *s);
    if (s == NULL || (s->path = strdup(options->path)) == NULL ||
        !backing_file_mark_init(&s->mark, s->path, options->remembered)) {
        if (s != NULL)
            free(s->path);
        free(s);
        return -ENOMEM;
    }
    s->head = (struct backing){.ops = &file_ops, .erases = true};
    s->loop = loop;
    s->value_max = options->value_max;
    *out = &s->head;
    return 0;
}
