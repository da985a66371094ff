/* sanjer_run.c: a job's process: what it is told and says, its time, its end and that of what it left. See sanjer.h. */
#include "workers/jobs/sanjer.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/jobs/job_platform.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

/* Between two looks at what a job has left; so many before its end is told all the same (5 s). */
#define SWEEP_MS  20u
#define SWEEP_MAX 250u

#define RUN_READ_SIZE 65536

/* ---- its end ---- */

static void run_on_sweep(uv_timer_t *timer)
{
    struct sanjer_run *run = timer->data;
    size_t left = child_process_sweep();
    if (++run->sweeps == SWEEP_MAX)
        log_warn("left", "job=%s processes=%zu pipes=%u", log_quote(slice_of(run->id)), left,
                 run->open);
    if ((left > 0 || run->open > 0) && run->sweeps < SWEEP_MAX) {
        uv_timer_start(timer, run_on_sweep, SWEEP_MS, 0);
        return;
    }
    sanjer_end(run->s);
}

static void run_on_exit(uv_poll_t *poll, int status, int events)
{
    struct sanjer_run *run = poll->data;
    (void)status;
    (void)events;
    if (wait4(run->process.pid, &run->status, WNOHANG, &run->usage) != run->process.pid)
        return;
    uv_poll_stop(poll);
    run->exited = true;
    run->ended_ms = clock_mono_ms();
    child_process_signal(&run->process, SIGKILL); /* what is left of its group */
    run_on_sweep(&run->timer);
}

static void run_on_kill(uv_timer_t *timer)
{
    struct sanjer_run *run = timer->data;
    child_process_signal(&run->process, SIGKILL);
}

void sanjer_stop_run(struct sanjer_run *run, enum sanjer_why why)
{
    if (run->exited || run->term_sent)
        return;
    run->why = why;
    run->term_sent = true;
    child_process_signal(&run->process, SIGTERM);
    uv_timer_start(&run->timer, run_on_kill, run->s->stop_ms, 0);
}

static void run_on_timeout(uv_timer_t *timer)
{
    sanjer_stop_run(timer->data, SANJER_TIMEOUT);
}

/* ---- what it says ---- */

static void run_keep_output(struct sanjer_run *run, struct slice bytes)
{
    size_t keep = run->s->output_keep;
    buffer_append_slice(&run->output, bytes);
    if (!buffer_ok(&run->output))
        buffer_clear(&run->output); /* memory is short: the last of it is what counts */
    job_mask_text(run->mask, &run->output, bytes.len);
    if (run->output.len > keep)
        buffer_consume(&run->output, run->output.len - keep);
    run->fresh = true;
}

/* True when it was one of ours. */
static bool run_take(struct sanjer_run *run, const json_t *said)
{
    json_t *progress = json_object_get(said, "progress"), *update = json_object_get(said, "update"),
           *result = json_object_get(said, "result");
    if (json_is_number(progress)) {
        double value = json_number_value(progress);
        run->progress = value < 0 ? 0 : value > 1 ? 1 : value;
    }
    if (json_is_object(update)) {
        json_t *shown = job_mask_json(run->mask, update);
        json_object_update(run->meta, shown);
        json_decref(shown);
    }
    if (result != NULL) {
        json_decref(run->result);
        run->result = json_incref(result);
    }
    bool ours = json_is_number(progress) || json_is_object(update) || result != NULL;
    run->fresh = run->fresh || ours;
    return ours;
}

static void run_line(struct sanjer_run *run, struct slice line, bool ended)
{
    json_t *said = NULL;
    if (line.len > 0 && line.ptr[0] == '{')
        said = json_loadb(line.ptr, line.len, 0, NULL);
    if (said == NULL || !run_take(run, said)) {
        run_keep_output(run, line);
        if (ended)
            run_keep_output(run, slice_of("\n"));
    }
    json_decref(said);
}

static void run_stdout(struct sanjer_run *run, struct slice bytes)
{
    buffer_append_slice(&run->line, bytes);
    if (!buffer_ok(&run->line))
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job says");
    size_t from = 0;
    const char *end;
    while ((end = memchr(run->line.data + from, '\n', run->line.len - from)) != NULL) {
        size_t len = (size_t)(end - run->line.data) - from;
        run_line(run, slice_make(run->line.data + from, len), true);
        from += len + 1;
    }
    if (run->line.len - from > SANJER_LINE_MAX) {
        run_keep_output(run, slice_make(run->line.data + from, run->line.len - from));
        from = run->line.len;
    }
    buffer_consume(&run->line, from);
}

static void run_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[RUN_READ_SIZE];
    (void)handle;
    (void)size;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void run_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sanjer_run *run = stream->data;
    bool is_out = stream == (uv_stream_t *)&run->out;
    if (n > 0 && is_out)
        run_stdout(run, slice_make(buf->base, (size_t)n));
    else if (n > 0)
        run_keep_output(run, slice_make(buf->base, (size_t)n));
    if (n >= 0)
        return;
    uv_read_stop(stream);
    run->open--;
    if (is_out && run->line.len > 0) {
        run_line(run, buffer_slice(&run->line), false);
        buffer_clear(&run->line);
    }
}

/* ---- what is freed ---- */

static void run_free(struct sanjer_run *run)
{
    if (run->process.pidfd >= 0)
        close(run->process.pidfd);
    free(run->id);
    free(run->queue);
    free(run->platform);
    free(run->name);
    json_decref(run->settings);
    job_mask_free(run->mask);
    buffer_fini(&run->told);
    buffer_fini(&run->line);
    buffer_fini(&run->output);
    json_decref(run->meta);
    json_decref(run->result);
    free(run);
}

static void run_on_closed(uv_handle_t *handle)
{
    struct sanjer_run *run = handle->data;
    if (--run->handles == 0)
        run_free(run);
}

/* ---- its start ---- */

static void run_on_written(uv_write_t *write, int status)
{
    struct sanjer_run *run = write->data;
    (void)status; /* it need not read what it is told */
    if (!uv_is_closing((uv_handle_t *)&run->in))
        uv_close((uv_handle_t *)&run->in, run_on_closed);
}

static void run_tell(struct sanjer_run *run)
{
    json_t *told =
        json_pack("{s:s,s:s,s:s,s:I,s:O}", "job_id", run->id, "id", run->name, "platform_id",
                  run->platform, "attempt", (json_int_t)run->attempt, "settings", run->settings);
    char *text = told != NULL ? json_dumps(told, JSON_COMPACT) : NULL;
    buffer_append_text(&run->told, text != NULL ? text : "{}");
    buffer_append_char(&run->told, '\n');
    free(text);
    json_decref(told);
    if (!buffer_ok(&run->told))
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job is told");
    uv_buf_t buf = uv_buf_init(run->told.data, (unsigned)run->told.len);
    run->write.data = run;
    if (uv_write(&run->write, (uv_stream_t *)&run->in, &buf, 1, run_on_written) != 0)
        run_on_written(&run->write, 0);
}

static void run_watch(struct sanjer_run *run)
{
    uv_loop_t *loop = worker_loop(run->s->w);
    uv_stream_t *const streams[] = {(uv_stream_t *)&run->out, (uv_stream_t *)&run->err};
    uv_pipe_init(loop, &run->in, 0);
    uv_pipe_init(loop, &run->out, 0);
    uv_pipe_init(loop, &run->err, 0);
    uv_poll_init(loop, &run->exit, run->process.pidfd);
    run->in.data = run->exit.data = run->out.data = run->err.data = run;
    run->handles += 4;
    bool ok = uv_pipe_open(&run->in, run->process.in) == 0 &&
              uv_pipe_open(&run->out, run->process.out) == 0 &&
              uv_pipe_open(&run->err, run->process.err) == 0 &&
              uv_poll_start(&run->exit, UV_READABLE, run_on_exit) == 0;
    for (size_t i = 0; ok && i < 2; i++)
        ok = uv_read_start(streams[i], run_alloc, run_on_read) == 0;
    if (!ok)
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "a job's process cannot be watched");
    run->open = 2;
}

/* Without arguments, in the folder that the file is in. */
static int run_become(struct sanjer_run *run, const char *file)
{
    char folder[PATH_MAX];
    const char *const argv[] = {file, NULL};
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file, '/') - file), file);
    return child_process_start(&(struct child_options){.argv = argv, .folder = folder},
                               &run->process);
}

void sanjer_start(struct sanjer *s, struct sanjer_run *run)
{
    char file[PATH_MAX];
    run->started_ms = run->ended_ms = clock_mono_ms();
    run->process = (struct child_process){.pid = 0, .pidfd = -1};
    uv_timer_init(worker_loop(s->w), &run->timer);
    run->timer.data = run;
    run->handles = 1;
    if (!job_platform_find(s->folder, slice_of(run->platform), file, sizeof file, run->fault,
                           sizeof run->fault)) {
        sanjer_end(s);
        return;
    }
    int rc = run_become(run, file);
    if (rc != 0) {
        run->process.pid = 0;
        snprintf(run->fault, sizeof run->fault, "platform: %.300s cannot be started: %s", file,
                 strerror(-rc));
        sanjer_end(s);
        return;
    }
    run_watch(run);
    run_tell(run);
    uv_timer_start(&run->timer, run_on_timeout, run->timeout_ms, 0);
}

void sanjer_run_close(struct sanjer_run *run)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&run->timer, (uv_handle_t *)&run->in,
                                    (uv_handle_t *)&run->exit, (uv_handle_t *)&run->out,
                                    (uv_handle_t *)&run->err};
    for (size_t i = 0, count = run->process.pid > 0 ? 5 : 1; i < count; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], run_on_closed);
}
