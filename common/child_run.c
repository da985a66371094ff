/* child_run.c: see child_run.h. */
#include "common/child_run.h"

#include "common/buffer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between two looks at what it has left; so many before its end is told all the same (5 s). */
#define RUN_SWEEP_MS  20u
#define RUN_SWEEP_MAX 250u

#define RUN_READ_SIZE 65536

struct child_run {
    struct child_run_options options;
    struct child_process process;
    struct child_run_end end;
    struct buffer input;
    uv_pipe_t in, out, err;
    uv_poll_t exit;
    uv_timer_t timer;
    uv_write_t write;
    unsigned open;    /* of its output streams */
    unsigned handles; /* that are not closed */
    unsigned sweeps;
    bool exited, term_sent, paused;
};

/* ---- what is freed ---- */

static void run_on_closed(uv_handle_t *handle)
{
    struct child_run *r = handle->data;
    if (--r->handles > 0)
        return;
    if (r->process.pidfd >= 0)
        close(r->process.pidfd);
    buffer_fini(&r->input);
    free(r);
}

static void run_close(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, run_on_closed);
}

static void run_close_all(struct child_run *r)
{
    run_close((uv_handle_t *)&r->in);
    run_close((uv_handle_t *)&r->out);
    run_close((uv_handle_t *)&r->err);
    run_close((uv_handle_t *)&r->exit);
    run_close((uv_handle_t *)&r->timer);
}

/* ---- its end ---- */

/* Until nothing of it is left: its streams end only then. */
static void run_on_sweep(uv_timer_t *timer)
{
    struct child_run *r = timer->data;
    if (r->paused)
        return; /* it has said more than was read */
    r->end.left = r->options.beside ? 0 : child_process_sweep();
    if ((r->end.left > 0 || r->open > 0) && ++r->sweeps < RUN_SWEEP_MAX) {
        uv_timer_start(timer, run_on_sweep, RUN_SWEEP_MS, 0);
        return;
    }
    run_close_all(r);
    r->options.on_end(r->options.ctx, &r->end);
}

static void run_on_exit(uv_poll_t *poll, int status, int events)
{
    struct child_run *r = poll->data;
    (void)status;
    (void)events;
    if (wait4(r->process.pid, &r->end.status, WNOHANG, &r->end.usage) != r->process.pid)
        return;
    uv_poll_stop(poll);
    r->exited = true;
    child_process_signal(&r->process, SIGKILL); /* what is left of its group */
    uv_timer_start(&r->timer, run_on_sweep, 0, 0);
}

static void run_on_kill(uv_timer_t *timer)
{
    struct child_run *r = timer->data;
    child_process_signal(&r->process, SIGKILL);
}

static void run_term(struct child_run *r)
{
    r->term_sent = true;
    child_process_signal(&r->process, SIGTERM);
    uv_timer_start(&r->timer, run_on_kill, r->options.stop_timeout_ms, 0);
}

static void run_on_timeout(uv_timer_t *timer)
{
    struct child_run *r = timer->data;
    r->end.timed_out = true;
    run_term(r);
}

void child_run_stop(struct child_run *r)
{
    if (r->exited || r->term_sent)
        return;
    r->end.stopped = true;
    run_term(r);
}

void child_run_abandon(struct child_run *r)
{
    if (!r->exited)
        child_process_signal(&r->process, SIGKILL);
    run_close_all(r);
}

/* ---- what it says ---- */

static void run_on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[RUN_READ_SIZE];
    (void)handle;
    (void)size;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void run_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct child_run *r = stream->data;
    void (*fn)(void *, struct slice) =
        stream == (uv_stream_t *)&r->out ? r->options.on_out : r->options.on_err;
    if (n > 0 && fn != NULL)
        fn(r->options.ctx, slice_make(buf->base, (size_t)n));
    if (n >= 0)
        return;
    uv_read_stop(stream);
    r->open--;
}

void child_run_pause(struct child_run *r)
{
    if (!r->paused)
        uv_read_stop((uv_stream_t *)&r->out);
    r->paused = true;
}

void child_run_resume(struct child_run *r)
{
    if (!r->paused)
        return;
    r->paused = false;
    uv_read_start((uv_stream_t *)&r->out, run_on_alloc, run_on_read);
    if (r->exited)
        uv_timer_start(&r->timer, run_on_sweep, RUN_SWEEP_MS, 0);
}

/* ---- its start ---- */

/* It need not read what it is told. */
static void run_on_written(uv_write_t *write, int status)
{
    struct child_run *r = write->data;
    (void)status;
    run_close((uv_handle_t *)&r->in);
}

static void run_tell(struct child_run *r)
{
    uv_buf_t buf = uv_buf_init(r->input.data, (unsigned)r->input.len);
    r->write.data = r;
    if (r->input.len == 0 ||
        uv_write(&r->write, (uv_stream_t *)&r->in, &buf, 1, run_on_written) != 0)
        run_close((uv_handle_t *)&r->in);
}

static bool run_watch(struct child_run *r)
{
    bool good = uv_pipe_open(&r->in, r->process.in) == 0;
    good = uv_pipe_open(&r->out, r->process.out) == 0 && good;
    good = uv_pipe_open(&r->err, r->process.err) == 0 && good;
    return good && uv_read_start((uv_stream_t *)&r->out, run_on_alloc, run_on_read) == 0 &&
           uv_read_start((uv_stream_t *)&r->err, run_on_alloc, run_on_read) == 0 &&
           uv_poll_start(&r->exit, UV_READABLE, run_on_exit) == 0;
}

/* What is in the loop from now on is freed by closing it. */
static int run_enter(uv_loop_t *loop, struct child_run *r)
{
    uv_pipe_t *const pipes[] = {&r->in, &r->out, &r->err};
    int rc = uv_poll_init(loop, &r->exit, r->process.pidfd);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < 3; i++) {
        uv_pipe_init(loop, pipes[i], 0);
        pipes[i]->data = r;
    }
    uv_timer_init(loop, &r->timer);
    r->exit.data = r->timer.data = r;
    r->handles = 5;
    r->open = 2;
    return 0;
}

/* Nothing hears of it: it is killed and reaped. */
static void run_undo(struct child_run *r)
{
    child_process_signal(&r->process, SIGKILL);
    waitpid(r->process.pid, NULL, 0);
    if (!r->options.beside)
        (void)child_process_sweep();
}

static void run_free(struct child_run *r)
{
    buffer_fini(&r->input);
    free(r);
}

static void run_drop(struct child_run *r)
{
    close(r->process.in);
    close(r->process.out);
    close(r->process.err);
    close(r->process.pidfd);
    run_free(r);
}

int child_run_start(uv_loop_t *loop, const struct child_run_options *o, struct child_run **out)
{
    struct child_run *r = calloc(1, sizeof *r);
    *out = NULL;
    if (r == NULL)
        return -ENOMEM;
    r->options = *o;
    buffer_append_slice(&r->input, o->input);
    int rc = buffer_ok(&r->input) ? child_process_start(&o->child, &r->process) : -ENOMEM;
    if (rc != 0) {
        run_free(r);
        return rc;
    }
    rc = run_enter(loop, r);
    if (rc != 0) {
        run_undo(r);
        run_drop(r);
        return rc;
    }
    if (!run_watch(r)) {
        run_undo(r);
        run_close_all(r);
        return -ENOMEM;
    }
    run_tell(r);
    if (o->timeout_ms > 0)
        uv_timer_start(&r->timer, run_on_timeout, o->timeout_ms, 0);
    *out = r;
    return 0;
}
