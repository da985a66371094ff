/* job_spec_read.c: see job_spec_read.h. */
#include "workers/jobs/job_spec_read.h"

#include "common/buffer.h"
#include "common/child_process.h"
#include "common/utf8.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPEC_SWEEP_MS   20u
#define SPEC_SWEEP_MAX  250u
#define SPEC_LAST_WORDS 200u /* of its stderr */

/* Handles live in it, so it goes when the last of them is closed. */
struct job_spec_read {
    unsigned timeout_ms;
    job_spec_read_fn fn;
    void *ctx;
    struct child_process process;
    uv_poll_t exit;
    uv_pipe_t out, err;
    uv_timer_t timer; /* its time; then the sweep */
    unsigned handles, open, sweeps;
    struct buffer said, words;
    int status; /* of waitpid */
    bool exited, late, large;
};

static void spec_on_closed(uv_handle_t *handle)
{
    struct job_spec_read *r = handle->data;
    if (--r->handles > 0)
        return;
    close(r->process.pidfd);
    buffer_fini(&r->said);
    buffer_fini(&r->words);
    free(r);
}

static void spec_close(struct job_spec_read *r)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&r->exit, (uv_handle_t *)&r->out,
                                    (uv_handle_t *)&r->err, (uv_handle_t *)&r->timer};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
        uv_close(handles[i], spec_on_closed);
}

/* ---- its answer ---- */

/* ": " and the last line of its stderr, when there is one. */
static void spec_last_words(struct job_spec_read *r, struct buffer *why)
{
    struct slice words = buffer_slice(&r->words);
    while (words.len > 0 && (words.ptr[words.len - 1] == '\n' || words.ptr[words.len - 1] == ' '))
        words.len--;
    const char *newline = words.len > 0 ? memrchr(words.ptr, '\n', words.len) : NULL;
    size_t from = newline != NULL ? (size_t)(newline - words.ptr) + 1 : 0;
    if (words.len > from)
        buffer_printf(why, ": %.*s", (int)(words.len - from), words.ptr + from);
}

static json_t *spec_answer(struct job_spec_read *r, struct buffer *why)
{
    json_error_t error;
    json_t *spec = NULL;
    if (r->late)
        buffer_printf(why, "--spec took longer than %us", r->timeout_ms / 1000);
    else if (r->large)
        buffer_printf(why, "--spec printed more than %uKB", JOB_SPEC_READ_MAX / 1024);
    else if (WIFSIGNALED(r->status))
        buffer_printf(why, "--spec was killed by signal %d", WTERMSIG(r->status));
    else if (WEXITSTATUS(r->status) != 0)
        buffer_printf(why, "--spec exited with code %d", WEXITSTATUS(r->status));
    if (why->len > 0) {
        spec_last_words(r, why);
        return NULL;
    }
    if (buffer_ok(&r->said))
        spec = json_loadb(r->said.data, r->said.len, JSON_REJECT_DUPLICATES, &error);
    if (!buffer_ok(&r->said))
        buffer_append_text(why, "--spec: memory was short");
    else if (spec == NULL)
        buffer_printf(why, "--spec printed no JSON: %s", error.text);
    return spec;
}

/* Also when a shell says so of what it ran: interpreters are often found behind one (pyenv's shims). */
static bool spec_killed(const struct job_spec_read *r)
{
    bool told = WIFEXITED(r->status) && WEXITSTATUS(r->status) == 128 + SIGKILL;
    bool self = WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGKILL;
    return !r->late && !r->large && (told || self);
}

static void spec_tell(struct job_spec_read *r)
{
    struct buffer text = BUFFER_EMPTY;
    char why[JOB_SPEC_WHY_SIZE];
    json_t *spec = spec_answer(r, &text);
    const char *said = text.len > 0 ? buffer_text(&text) : "";
    snprintf(why, sizeof why, "%s", said != NULL ? said : "--spec: memory was short");
    buffer_fini(&text);
    utf8_show(why);
    job_spec_read_fn fn = r->fn;
    void *ctx = r->ctx;
    bool killed = spec_killed(r);
    spec_close(r);
    fn(ctx, spec, why, killed);
    json_decref(spec);
}

/* ---- its end ---- */

static void spec_on_sweep(uv_timer_t *timer)
{
    struct job_spec_read *r = timer->data;
    size_t left = child_process_sweep();
    if ((left > 0 || r->open > 0) && ++r->sweeps < SPEC_SWEEP_MAX)
        uv_timer_start(timer, spec_on_sweep, SPEC_SWEEP_MS, 0);
    else
        spec_tell(r);
}

static void spec_on_exit(uv_poll_t *poll, int status, int events)
{
    struct job_spec_read *r = poll->data;
    (void)status;
    (void)events;
    if (waitpid(r->process.pid, &r->status, WNOHANG) != r->process.pid)
        return;
    uv_poll_stop(poll);
    r->exited = true;
    child_process_signal(&r->process, SIGKILL); /* what is left of its group */
    spec_on_sweep(&r->timer);
}

static void spec_on_late(uv_timer_t *timer)
{
    struct job_spec_read *r = timer->data;
    r->late = true;
    child_process_signal(&r->process, SIGKILL);
}

/* ---- what it says ---- */

static void spec_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[65536];
    (void)handle;
    (void)size;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void spec_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct job_spec_read *r = stream->data;
    if (n < 0) {
        uv_read_stop(stream);
        r->open--;
        return;
    }
    if (stream == (uv_stream_t *)&r->err) {
        buffer_append(&r->words, buf->base, (size_t)n);
        if (r->words.len > SPEC_LAST_WORDS)
            buffer_consume(&r->words, r->words.len - SPEC_LAST_WORDS);
    } else if (r->said.len + (size_t)n > JOB_SPEC_READ_MAX) {
        r->large = true;
        child_process_signal(&r->process, SIGKILL);
    } else {
        buffer_append(&r->said, buf->base, (size_t)n);
    }
}

/* ---- its start ---- */

static int spec_watch(struct job_spec_read *r, uv_loop_t *loop)
{
    uv_pipe_init(loop, &r->out, 0);
    uv_pipe_init(loop, &r->err, 0);
    uv_timer_init(loop, &r->timer);
    uv_poll_init(loop, &r->exit, r->process.pidfd);
    r->exit.data = r->out.data = r->err.data = r->timer.data = r;
    r->handles = 4;
    r->open = 2;
    int rc = uv_pipe_open(&r->out, r->process.out);
    if (rc == 0)
        rc = uv_pipe_open(&r->err, r->process.err);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&r->out, spec_alloc, spec_on_read);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&r->err, spec_alloc, spec_on_read);
    if (rc == 0)
        rc = uv_timer_start(&r->timer, spec_on_late, r->timeout_ms, 0);
    return rc != 0 ? rc : uv_poll_start(&r->exit, UV_READABLE, spec_on_exit);
}

struct job_spec_read *job_spec_read_start(uv_loop_t *loop, const struct child_options *command,
                                          unsigned timeout_ms, job_spec_read_fn fn, void *ctx,
                                          char why[JOB_SPEC_WHY_SIZE])
{
    struct job_spec_read *r = calloc(1, sizeof *r);
    if (r == NULL) {
        snprintf(why, JOB_SPEC_WHY_SIZE, "memory was short");
        return NULL;
    }
    r->timeout_ms = timeout_ms;
    r->fn = fn;
    r->ctx = ctx;
    int rc = child_process_start(command, &r->process);
    if (rc != 0) {
        snprintf(why, JOB_SPEC_WHY_SIZE, "it cannot be started: %s", strerror(-rc));
        free(r);
        return NULL;
    }
    close(r->process.in);
    rc = spec_watch(r, loop);
    if (rc == 0)
        return r;
    snprintf(why, JOB_SPEC_WHY_SIZE, "it cannot be watched: %s", uv_strerror(rc));
    job_spec_read_end(r);
    return NULL;
}

void job_spec_read_end(struct job_spec_read *r)
{
    if (!r->exited) {
        child_process_signal(&r->process, SIGKILL);
        waitpid(r->process.pid, NULL, 0);
    }
    child_process_sweep();
    spec_close(r);
}
