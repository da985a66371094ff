/* sanjer_run.c: a job's process: what it is told, its time, its end and that of what it left. See sanjer.h. */
#include "workers/jobs/sanjer.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/json/json_text.h"
#include "common/log.h"
#include "common/oom_kills.h"
#include "workers/jobs/job_platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

/*
 * Between two looks at what a job has left, after the first few, which follow soon: what was killed is gone in a
 * moment. So many before its end is told all the same (5 s).
 */
#define SWEEP_MS   20u
#define SWEEP_SOON 10u
#define SWEEP_MAX  250u

#define RUN_READ_SIZE 65536

/*
 * What RQ has canceled or deleted is over within 2 s, and what is somebody else's by now must not go on beside it: the
 * beat that tells us comes each second, and so long TERM has for it, should stop_timeout be longer.
 */
#define RUN_GONE_MS 800u

/* Of what stands in a pipe when a child has said that its job is over: all, unless somebody still writes. */
#define RUN_DRAIN_MAX (1024u * 1024)

/* ---- its end ---- */

static void run_on_sweep(uv_timer_t *timer)
{
    struct sanjer_run *run = timer->data;
    size_t left = child_process_sweep_but(sanjer_python_spares, run->s->python);
    run->sweeping = false;
    if (++run->sweeps == SWEEP_MAX)
        log_warn("left", "job=%s processes=%zu pipes=%u", log_quote(slice_of(run->id)), left,
                 run->open);
    if ((left > 0 || run->open > 0) && run->sweeps < SWEEP_MAX) {
        uv_timer_start(timer, run_on_sweep, run->sweeps < SWEEP_SOON ? 1 : SWEEP_MS, 0);
        run->sweeping = true;
        return;
    }
    sanjer_say_no_more(run);
    if (!sanjer_store_write(run))
        sanjer_end(run->s);
}

static void run_on_exit(uv_poll_t *poll, int status, int events)
{
    struct sanjer_run *run = poll->data;
    struct rusage usage;
    (void)status;
    (void)events;
    if (wait4(run->process.pid, &run->status, WNOHANG, &usage) != run->process.pid)
        return;
    uv_poll_stop(poll);
    run->exited = run->has_status = true;
    if (WIFSIGNALED(run->status) && WTERMSIG(run->status) == SIGKILL) {
        run->s->oom_kills = oom_kills(); /* what has killed it is none of the next one's */
        run->oom_ran = run->s->oom_kills > run->oom_kills;
    }
    run->ended_ms = clock_mono_ms();
    run->cpu_ms = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    run->rss = (uint64_t)usage.ru_maxrss * 1024;
    child_process_signal(&run->process, SIGKILL); /* what is left of its group */
    if (run->child != NULL) {
        run->child->pid = 0;
        sanjer_python_done(run->s->python, run->child, false);
        run->child = NULL;
    }
    run->sweeping = true; /* when the ends of its streams have been read, which came with this */
    uv_timer_start(&run->timer, run_on_sweep, 0, 0);
}

/* All that is in it now: it stays open with the child. */
static void run_drain(struct sanjer_run *run, uv_pipe_t *pipe, enum sanjer_stream from)
{
    char bytes[4096];
    uv_os_fd_t fd = -1;
    size_t most = RUN_DRAIN_MAX;
    uv_read_stop((uv_stream_t *)pipe);
    if (uv_fileno((uv_handle_t *)pipe, &fd) != 0)
        return;
    for (ssize_t n; most >= sizeof bytes && (n = read(fd, bytes, sizeof bytes)) > 0;
         most -= sizeof bytes)
        sanjer_say_output(run, from, slice_make(bytes, (size_t)n));
}

void sanjer_run_over(struct sanjer_run *run, const json_t *end)
{
    if (run->exited || run->child == NULL)
        return;
    bool left = !json_is_false(json_object_get(end, "left"));
    run->exited = true;
    run->ended_ms = clock_mono_ms();
    run->cpu_ms = (uint64_t)json_integer_value(json_object_get(end, "cpu_ms"));
    run->rss = (uint64_t)json_integer_value(json_object_get(end, "rss"));
    uv_poll_stop(&run->exit);
    uv_read_stop((uv_stream_t *)&run->said);
    run_drain(run, &run->out, SANJER_OUT);
    run_drain(run, &run->err, SANJER_ERR);
    run->open = 0;
    bool large = run->s->memory_max > 0 && run->rss > run->s->memory_max / 2;
    bool fine = !left && run->why == SANJER_ITSELF;
    run->child->alone = fine && sanjer_python_is_last(run->s->python, run->child);
    sanjer_python_done(run->s->python, run->child, fine && !large);
    run->child = NULL;
    uv_timer_start(&run->timer, run_on_sweep, 0, 0);
}

/* To all of its first group; a child that has only just been made leads none yet. */
static void run_signal(struct sanjer_run *run, int signal)
{
    if (run->process.pid > 0 && kill(-run->process.pid, signal) != 0)
        kill(run->process.pid, signal);
}

static void run_on_kill(uv_timer_t *timer)
{
    run_signal(timer->data, SIGKILL);
}

void sanjer_stop_run(struct sanjer_run *run, enum sanjer_why why)
{
    if (sanjer_store_stop(run))
        run->why = why;
    if (run->exited || run->term_sent)
        return;
    if (run->fault[0] != '\0')
        return; /* it never ran, and that is told */
    run->why = why;
    if (run->waits) {
        run->waits = false;
        run->exited = true;
        sanjer_python_forget(run->s->python);
        sanjer_end(run->s);
        return;
    }
    run->term_sent = true;
    run_signal(run, SIGTERM);
    uint64_t most = why == SANJER_GONE   ? RUN_GONE_MS
                    : why == SANJER_BACK ? run->s->back_ms
                                         : UINT64_MAX;
    uv_timer_start(&run->timer, run_on_kill, run->s->stop_ms < most ? run->s->stop_ms : most, 0);
}

static void run_on_timeout(uv_timer_t *timer)
{
    sanjer_stop_run(timer->data, SANJER_TIMEOUT);
}

/* A function ends itself in time, as RQ's do (platoon_function.py); what does not within stop_timeout is ended. */
void sanjer_run_more(struct sanjer_run *run, uint64_t ms)
{
    if (run->term_sent || run->exited)
        return;
    if (ms == 0)
        uv_timer_stop(&run->timer);
    else
        uv_timer_start(&run->timer, run_on_timeout,
                       ms + (run->function != NULL ? run->s->stop_ms : 0), 0);
}

/* ---- its streams ---- */

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
    struct slice bytes = slice_make(buf->base, n > 0 ? (size_t)n : 0);
    bool is_said = stream == (uv_stream_t *)&run->said, out = stream == (uv_stream_t *)&run->out,
         is_out = out && run->said_fd < 0;
    if (n > 0 && is_said)
        sanjer_say_child(run, bytes);
    else if (n > 0 && is_out)
        sanjer_say_out(run, bytes);
    else if (n > 0)
        sanjer_say_output(run, out ? SANJER_OUT : SANJER_ERR, bytes);
    if (n >= 0)
        return;
    uv_read_stop(stream);
    run->open--;
    if (is_said || is_out)
        sanjer_say_ended(run);
    if (run->sweeping && run->open == 0) /* this may be all that its end has waited for */
        uv_timer_start(&run->timer, run_on_sweep, 0, 0);
}

/* ---- what is freed ---- */

static void run_free(struct sanjer_run *run)
{
    if (run->process.pidfd >= 0)
        close(run->process.pidfd);
    free(run->traceback);
    json_decref(run->stores);
    free(run->id);
    free(run->queue);
    free(run->platform);
    free(run->name);
    json_decref(run->settings);
    job_mask_free(run->mask);
    buffer_fini(&run->told);
    buffer_fini(&run->line);
    buffer_fini(&run->output);
    buffer_fini(&run->held[SANJER_OUT]);
    buffer_fini(&run->held[SANJER_ERR]);
    json_decref(run->meta);
    json_decref(run->result);
    json_decref(run->function);
    free(run->returned);
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
    bool whole = run->function == NULL || json_object_set(told, "function", run->function) == 0;
    if (run->child != NULL) {
        bool last = sanjer_python_is_last(run->s->python, run->child);
        whole = json_object_set_new(told, "last", json_boolean(last)) == 0 && whole;
    }
    char *text = told != NULL && whole ? json_text(told) : NULL;
    buffer_append_text(&run->told, text != NULL ? text : "");
    buffer_append_char(&run->told, '\n');
    bool ok = text != NULL && buffer_ok(&run->told);
    free(text);
    json_decref(told);
    if (!ok) /* half of it would be another job's run; so it is lost, and handed on */
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job is told");
    uv_buf_t buf = uv_buf_init(run->told.data, (unsigned)run->told.len);
    run->write.data = run;
    if (uv_write(&run->write, (uv_stream_t *)&run->in, &buf, 1, run_on_written) != 0)
        run_on_written(&run->write, 0);
}

static void run_watch(struct sanjer_run *run)
{
    uv_loop_t *loop = worker_loop(run->s->w);
    uv_pipe_t *const pipes[] = {&run->in, &run->out, &run->err, &run->said};
    const int fds[] = {run->process.in, run->process.out, run->process.err, run->said_fd};
    unsigned count = run->said_fd >= 0 ? 4 : 3;
    bool ok = true;
    for (unsigned i = 0; i < count; i++) {
        uv_pipe_init(loop, pipes[i], 0);
        pipes[i]->data = run;
        ok = uv_pipe_open(pipes[i], fds[i]) == 0 && ok;
    }
    uv_poll_init(loop, &run->exit, run->process.pidfd);
    run->exit.data = run;
    run->handles += count + 1;
    ok = uv_poll_start(&run->exit, UV_READABLE, run_on_exit) == 0 && ok;
    for (unsigned i = 1; ok && i < count; i++)
        ok = uv_read_start((uv_stream_t *)pipes[i], run_alloc, run_on_read) == 0;
    if (!ok)
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "a job's process cannot be watched");
    run->open = count - 1;
}

static void run_begin(struct sanjer_run *run)
{
    run->oom_kills = run->s->oom_kills;
    run_watch(run);
    run_tell(run);
    if (FAULT_POINT("sanjer.after-start", slice_of(run->platform)))
        run_signal(run, SIGKILL);
    sanjer_run_more(run, run->timeout_ms);
}

/* Copies, which go with the run: the child stays. Its last job has its own. */
void sanjer_run_child(struct sanjer_run *run, struct sanjer_child *child)
{
    int *const to[] = {&run->process.pidfd, &run->process.in, &run->process.out, &run->process.err,
                       &run->said_fd},
               *const from[] = {&child->pidfd, &child->jobs, &child->out, &child->err,
                                &child->said};
    bool last = sanjer_python_is_last(run->s->python, child);
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        bool moves = last && i > 0; /* what it is known by it needs until its end */
        *to[i] = moves ? *from[i] : fcntl(*from[i], F_DUPFD_CLOEXEC, 0);
        if (*to[i] < 0)
            worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "there is no descriptor for a job: %s",
                        strerror(errno));
        if (moves)
            *from[i] = -1;
    }
    run->waits = false;
    run->child = child;
    run->process.pid = child->pid;
    run->started_ms = clock_mono_ms();
    run_begin(run);
}

void sanjer_run_fault(struct sanjer_run *run, const char *why)
{
    run->waits = false;
    snprintf(run->fault, sizeof run->fault, "%s", why);
    sanjer_end(run->s);
}

/* Without arguments, in the folder that the file is in. */
static int run_become(struct sanjer_run *run, const char *file)
{
    char folder[PATH_MAX];
    const char *const argv[] = {file, NULL};
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file, '/') - file), file);
    struct child_options options = {
        .argv = argv, .folder = folder, .memory_max = run->s->memory_max};
    job_user_apply(run->s->user, &options);
    return child_process_start(&options, &run->process);
}

/* Another sanjer, on another machine, may have its platform, or we a moment later: it is being copied. */
static bool run_may_be_elsewhere(struct sanjer_run *run)
{
    if (run->lacked_ms == 0)
        run->lacked_ms = run->claimed_ms;
    return run->claimed_ms < run->lacked_ms + SANJER_LACK_MS;
}

/* What this machine is short of is no job's fault: it is lost, and handed on. */
static void run_look_short(const struct sanjer_run *run, int rc)
{
    if (rc < 0 && contract_is_shortage(-rc))
        worker_exit_for(run->s->w, -rc, NULL, "a job of %s cannot be started", run->platform);
}

void sanjer_start(struct sanjer *s, struct sanjer_run *run)
{
    char file[PATH_MAX];
    run->started_ms = run->ended_ms = clock_mono_ms();
    run->process = (struct child_process){.pid = 0, .pidfd = -1};
    run->said_fd = -1;
    uv_timer_init(worker_loop(s->w), &run->timer);
    run->timer.data = run;
    run->handles = 1;
    if (run->function != NULL) {
        run->waits = run->fault[0] == '\0';
        if (run->waits)
            sanjer_python_want(s->python);
        else
            sanjer_end(s);
        return;
    }
    if (run->fault[0] != '\0') {
        sanjer_end(s);
        return;
    }
    int rc = job_platform_find(s->folder, slice_of(run->platform), file, sizeof file, run->fault,
                               sizeof run->fault);
    run_look_short(run, rc);
    if (rc != 0) {
        run->lacks = rc == -ENOENT && run_may_be_elsewhere(run);
        sanjer_end(s);
        return;
    }
    if (job_platform_kind(file) == JOB_PLATFORM_CLASS) {
        run->waits = true;
        sanjer_python_want(s->python);
        return;
    }
    rc = run_become(run, file);
    run_look_short(run, rc);
    if (rc != 0) {
        char why[SANJER_TEXT_MAX];
        run->process.pid = 0;
        snprintf(why, sizeof why, "platform: %.300s cannot be started: %s", file, strerror(-rc));
        sanjer_run_fault(run, why);
        return;
    }
    run_begin(run);
}

static void run_close(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, run_on_closed);
}

void sanjer_run_hang_up(struct sanjer_run *run)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&run->in, (uv_handle_t *)&run->exit,
                                    (uv_handle_t *)&run->out, (uv_handle_t *)&run->err,
                                    (uv_handle_t *)&run->said};
    size_t count = run->process.pid == 0 ? 0 : run->said_fd < 0 ? 4 : 5;
    for (size_t i = 0; i < count; i++)
        run_close(handles[i]);
}

void sanjer_run_close(struct sanjer_run *run)
{
    sanjer_store_let_go(run);
    if (run->waits)
        sanjer_python_forget(run->s->python);
    if (run->child != NULL)
        sanjer_python_done(run->s->python, run->child, false);
    run->child = NULL;
    sanjer_run_hang_up(run);
    run_close((uv_handle_t *)&run->timer);
}
