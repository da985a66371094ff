/*
 * filter_run.c: a run of a command: its process, what it reads and says, its time, its end. See filter_run.h.
 *
 * Its exit ends the run, though children hold its stdout open: what lies in the pipe by then is its output, and what
 * comes later is nobody's. Then all that it has left behind is ended, and only then is the end told.
 */
#include "workers/snapshot/filter_run.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between two looks at what a run has left; so many before its end is told all the same (5 s). */
#define SWEEP_MS  20u
#define SWEEP_MAX 250u

#define RUN_ERROR_SIZE 512

enum { RUN_OUT, RUN_ERR, RUN_STREAMS };

struct filter_run {
    struct worker *w;
    struct filter_limits limits;
    struct filter_events events;
    struct child_process process; /* pid 0: it never came to be */
    unsigned handles;
    uv_timer_t timer; /* its time; then that of TERM; then the sweep */
    uv_poll_t exit;
    uv_pipe_t in, streams[RUN_STREAMS];
    uv_write_t write;
    struct buffer fed; /* what is being written */
    struct buffer out, said;
    bool exited, ending, too_long, in_closed, over;
    unsigned sweeps;
    int status; /* of waitpid */
    uint64_t started_ms, ended_ms;
    char error[RUN_ERROR_SIZE]; /* why it is being ended; "" while it may do as it likes */
};

/* ---- what is freed ---- */

static void run_on_closed(uv_handle_t *handle)
{
    struct filter_run *run = handle->data;
    if (--run->handles > 0)
        return;
    if (run->process.pid > 0)
        close(run->process.pidfd);
    buffer_fini(&run->fed);
    buffer_fini(&run->out);
    buffer_fini(&run->said);
    free(run);
}

static void run_close(struct filter_run *run)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&run->timer, (uv_handle_t *)&run->exit,
                                    (uv_handle_t *)&run->in, (uv_handle_t *)&run->streams[RUN_OUT],
                                    (uv_handle_t *)&run->streams[RUN_ERR]};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
        if (handles[i]->data != NULL && !uv_is_closing(handles[i]))
            uv_close(handles[i], run_on_closed);
}

/* ---- its end ---- */

/* The last line of what it said that says anything. */
static struct slice run_last_line(const struct filter_run *run)
{
    size_t end = run->said.len;
    while (end > 0 && (unsigned char)run->said.data[end - 1] <= ' ')
        end--;
    size_t from = end;
    while (from > 0 && run->said.data[from - 1] != '\n')
        from--;
    while (from < end && (unsigned char)run->said.data[from] <= ' ')
        from++;
    return slice_make(run->said.data + from, end - from);
}

/* "exit 3: LAST LINE", "signal 9", "output below size_min (1)"; "" : it did what it is there for. */
static void run_judge(struct filter_run *run)
{
    char size[TEXT_NUMBER_SIZE];
    if (run->error[0] != '\0')
        return;
    if (WIFSIGNALED(run->status)) {
        snprintf(run->error, sizeof run->error, "signal %d", WTERMSIG(run->status));
    } else if (WEXITSTATUS(run->status) != 0) {
        struct slice line = run_last_line(run);
        snprintf(run->error, sizeof run->error, "exit %d%s%.*s", WEXITSTATUS(run->status),
                 line.len > 0 ? ": " : "", (int)(line.len < 300 ? line.len : 300), line.ptr);
    } else if (run->out.len < run->limits.size_min) {
        snprintf(run->error, sizeof run->error, "output below size_min (%s)",
                 text_format_size(run->limits.size_min, size));
    }
}

static void run_end(struct filter_run *run)
{
    if (run->over)
        return;
    run->over = true;
    if (run->process.pid > 0)
        run_judge(run);
    (void)FAULT_POINT("filter.before-result", slice_of(worker_name(run->w)));
    bool good = run->error[0] == '\0';
    run->events.on_end(run->events.ctx, good ? FILTER_BYTES : FILTER_FAILED, run->error,
                       good ? buffer_slice(&run->out) : slice_of(""), buffer_slice(&run->said),
                       run->ended_ms - run->started_ms);
    run_close(run);
}

static void run_on_sweep(uv_timer_t *timer)
{
    struct filter_run *run = timer->data;
    size_t left = child_process_sweep();
    if (left > 0 && ++run->sweeps < SWEEP_MAX) {
        uv_timer_start(timer, run_on_sweep, SWEEP_MS, 0);
        return;
    }
    if (left > 0)
        log_warn("left",
                 "processes=%zu remedy=\"they are another user's by now: end them as root\"", left);
    run_end(run);
}

/* ---- what it says ---- */

static void run_too_long(struct filter_run *run)
{
    char size[TEXT_NUMBER_SIZE];
    run->too_long = true;
    snprintf(run->error, sizeof run->error, "output above size_max (%s)",
             text_format_size(run->limits.size_max, size));
    child_process_signal(&run->process, SIGKILL);
}

static void run_take_out(struct filter_run *run, struct slice bytes)
{
    if (run->error[0] != '\0')
        return; /* nothing becomes of it */
    if (run->out.len + bytes.len > run->limits.size_max) {
        run_too_long(run);
        return;
    }
    buffer_append_slice(&run->out, bytes);
    if (!buffer_ok(&run->out))
        worker_exit(run->w, CONTRACT_EXIT_SHORT, "memory is short for what the command makes");
}

/* Our log has all of it, and the run the last. What the log cannot take is nobody's loss but the log's. */
static void run_take_said(struct filter_run *run, struct slice bytes)
{
    for (size_t at = 0; at < bytes.len;) {
        ssize_t n = write(STDERR_FILENO, bytes.ptr + at, bytes.len - at);
        if (n <= 0 && errno != EINTR)
            break;
        at += n > 0 ? (size_t)n : 0;
    }
    buffer_append_slice(&run->said, bytes);
    if (!buffer_ok(&run->said))
        buffer_clear(&run->said); /* memory is short: the last of it is what counts */
    if (run->said.len > SNAPSHOT_SAID_MAX)
        buffer_consume(&run->said, run->said.len - SNAPSHOT_SAID_MAX);
}

static void run_take(struct filter_run *run, int stream, struct slice bytes)
{
    if (stream == RUN_OUT)
        run_take_out(run, bytes);
    else
        run_take_said(run, bytes);
}

static void run_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[65536];
    (void)handle;
    (void)size;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void run_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct filter_run *run = stream->data;
    if (n > 0)
        run_take(run, stream == (uv_stream_t *)&run->streams[RUN_OUT] ? RUN_OUT : RUN_ERR,
                 slice_make(buf->base, (size_t)n));
    else if (n < 0)
        uv_read_stop(stream);
}

/* What it has left in the pipe; who still writes there does so in vain. */
static void run_drain(struct filter_run *run, int stream)
{
    static char bytes[65536];
    int left = 0, fd = stream == RUN_OUT ? run->process.out : run->process.err;
    uv_read_stop((uv_stream_t *)&run->streams[stream]);
    if (ioctl(fd, FIONREAD, &left) != 0)
        return;
    while (left > 0) {
        ssize_t n = read(fd, bytes, left < (int)sizeof bytes ? (size_t)left : sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        run_take(run, stream, slice_make(bytes, (size_t)n));
        left -= (int)n;
    }
}

static void run_on_exit(uv_poll_t *poll, int status, int events)
{
    struct filter_run *run = poll->data;
    (void)status;
    (void)events;
    if (waitpid(run->process.pid, &run->status, WNOHANG) != run->process.pid)
        return;
    uv_poll_stop(poll);
    run->exited = true;
    run->ended_ms = clock_mono_ms();
    for (int i = 0; i < RUN_STREAMS; i++)
        run_drain(run, i);
    child_process_signal(&run->process, SIGKILL); /* what is left of its group */
    run_on_sweep(&run->timer);
}

static void run_on_kill(uv_timer_t *timer)
{
    struct filter_run *run = timer->data;
    child_process_signal(&run->process, SIGKILL);
}

void filter_run_stop(struct filter_run *run, const char *why)
{
    if (run->exited || run->ending || run->process.pid == 0)
        return;
    run->ending = true;
    if (run->error[0] == '\0')
        snprintf(run->error, sizeof run->error, "%s", why);
    child_process_signal(&run->process, SIGTERM);
    uv_timer_start(&run->timer, run_on_kill, run->limits.stop_ms, 0);
}

static void run_on_timeout(uv_timer_t *timer)
{
    struct filter_run *run = timer->data;
    char span[TEXT_NUMBER_SIZE], why[64];
    snprintf(why, sizeof why, "timed out after %s", text_format_span(run->limits.timeout_ms, span));
    filter_run_stop(run, why);
}

void filter_run_kill(struct filter_run *run)
{
    run->over = true;
    if (run->process.pid > 0 && !run->exited)
        child_process_signal(&run->process, SIGKILL);
    child_process_sweep();
    run_close(run);
}

/* ---- what it reads ---- */

static void run_on_written(uv_write_t *write, int status)
{
    struct filter_run *run = write->data;
    buffer_fini(&run->fed);
    if (status == UV_ECANCELED || run->over)
        return;
    if (status != 0) /* it need not read all that it is given */
        filter_run_fed(run);
    else if (!run->exited)
        run->events.on_want(run->events.ctx);
}

void filter_run_feed(struct filter_run *run, struct buffer *bytes)
{
    run->fed = *bytes;
    *bytes = BUFFER_EMPTY;
    if (run->in_closed || run->exited || run->process.pid == 0)
        return;
    if (run->fed.len == 0) {
        run->events.on_want(run->events.ctx);
        return;
    }
    uv_buf_t buf = uv_buf_init(run->fed.data, (unsigned)run->fed.len);
    run->write.data = run;
    if (uv_write(&run->write, (uv_stream_t *)&run->in, &buf, 1, run_on_written) != 0)
        filter_run_fed(run);
}

void filter_run_fed(struct filter_run *run)
{
    if (run->in_closed || run->process.pid == 0 || uv_is_closing((uv_handle_t *)&run->in))
        return;
    run->in_closed = true;
    uv_close((uv_handle_t *)&run->in, run_on_closed);
}

/* ---- its start ---- */

static void run_on_never(uv_timer_t *timer)
{
    run_end(timer->data);
}

static void run_on_begin(uv_timer_t *timer)
{
    struct filter_run *run = timer->data;
    uint64_t spent = clock_mono_ms() - run->started_ms;
    uv_timer_start(timer, run_on_timeout,
                   spent < run->limits.timeout_ms ? run->limits.timeout_ms - spent : 1, 0);
    run->events.on_want(run->events.ctx);
}

static void run_watch(struct filter_run *run)
{
    uv_loop_t *loop = worker_loop(run->w);
    const int fds[RUN_STREAMS] = {run->process.out, run->process.err};
    uv_pipe_init(loop, &run->in, 0);
    bool ok = uv_poll_init(loop, &run->exit, run->process.pidfd) == 0;
    run->in.data = run;
    run->exit.data = ok ? run : NULL;
    run->handles += 1 + ok;
    ok = ok && uv_pipe_open(&run->in, run->process.in) == 0 &&
         uv_poll_start(&run->exit, UV_READABLE, run_on_exit) == 0;
    for (int i = 0; i < RUN_STREAMS; i++) {
        uv_pipe_init(loop, &run->streams[i], 0);
        run->streams[i].data = run;
        run->handles++;
        ok = ok && uv_pipe_open(&run->streams[i], fds[i]) == 0 &&
             uv_read_start((uv_stream_t *)&run->streams[i], run_alloc, run_on_read) == 0;
    }
    if (!ok)
        worker_exit(run->w, CONTRACT_EXIT_SHORT, "the command's process cannot be watched");
}

struct filter_run *filter_run_new(struct worker *w, struct filter_program *program,
                                  const char *commit, const struct filter_limits *limits,
                                  const struct filter_events *events)
{
    struct filter_run *run = worker_must_alloc(w, sizeof *run);
    struct buffer why = BUFFER_EMPTY;
    run->w = w;
    run->limits = *limits;
    run->events = *events;
    run->process = (struct child_process){.pid = 0, .pidfd = -1};
    run->started_ms = run->ended_ms = clock_mono_ms();
    uv_timer_init(worker_loop(w), &run->timer);
    run->timer.data = run;
    run->handles = 1;
    (void)FAULT_POINT("filter.before-start", slice_of(worker_name(w)));
    if (filter_program_start(program, commit, &run->process, &why) != 0) {
        run->process.pid = 0;
        const char *said = buffer_text(&why);
        snprintf(run->error, sizeof run->error, "%s", said != NULL ? said : "memory is short");
        uv_timer_start(&run->timer, run_on_never, 0, 0);
    } else {
        run_watch(run);
        uv_timer_start(&run->timer, run_on_begin, 0, 0);
    }
    buffer_fini(&why);
    return run;
}
