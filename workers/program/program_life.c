/* program_life.c: the life of a program under a worker: start, exit, stop, too much memory. See program.h. */
#include "workers/program/program_run.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/process_usage.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void program_read_list(struct worker *w, const char *prefix, const char **list)
{
    for (int i = 0; i < PROGRAM_ARGS_MAX; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%d", prefix, i);
        list[i] = worker_setting(w, name);
        if (list[i] == NULL)
            return;
    }
}

/* "redis-server: killed by signal 9 (Killed) after 3m05s" */
static void program_obituary(const struct program_life *c, const siginfo_t *info, char *text,
                             size_t size)
{
    char span[32], memory[64] = "", limit[TEXT_NUMBER_SIZE];
    clock_format_span(clock_mono_ms() - c->started_ms, span, sizeof span);
    if (c->spec.limits.memory_max != 0 && info->si_status == SIGKILL &&
        cgroup_oom_kills(c->spec.limits.cgroup) > c->oom_kills)
        snprintf(memory, sizeof memory, ": it used more than memory_max = %s",
                 text_format_size_short(c->spec.limits.memory_max, limit));
    if (info->si_code == CLD_EXITED)
        snprintf(text, size, "%s: exit %d after %s", c->spec.argv[0], info->si_status, span);
    else
        snprintf(text, size, "%s: killed by signal %d (%s) after %s%s", c->spec.argv[0],
                 info->si_status, strsignal(info->si_status), span, memory);
}

/* True when the exit code is one of those that mean it finished on purpose. */
static bool program_is_done(const struct program_life *c, int code)
{
    const char *list = worker_setting(c->w, "command.exit_codes");
    if (list == NULL)
        return code == 0;
    for (char *end; *list != '\0'; list = *end != '\0' ? end + 1 : end)
        if (strtol(list, &end, 10) == code && end != list)
            return true;
    return false;
}

static void program_on_exit(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct program_life *c = poll->data;
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    c->pid = 0;
    uv_poll_stop(poll);
    program_output_drain(c->output);
    if (worker_stopping(c->w)) {
        worker_finished(c->w);
        return;
    }
    char text[512];
    program_obituary(c, &info, text, sizeof text);
    if (c->over[0] != '\0')
        worker_exit(c->w, CONTRACT_EXIT_TEMPORARY, "%s", c->over);
    bool done = info.si_code == CLD_EXITED && program_is_done(c, info.si_status);
    worker_exit(c->w, done ? CONTRACT_EXIT_DONE : CONTRACT_EXIT_TEMPORARY, "%s", text);
}

static void program_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Ours: what we write to its stdin, what we read of its stdout. */
static int program_pipes(struct program_streams *ours, struct program_streams *theirs)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return -errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        int rc = -errno;
        close(in[0]);
        close(in[1]);
        return rc;
    }
    *ours = (struct program_streams){.in = in[1], .out = out[0]};
    *theirs = (struct program_streams){.in = in[0], .out = out[1]};
    return 0;
}

static int program_watch_exit(struct program_life *c)
{
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd < 0)
        return -errno;
    int rc = uv_poll_init(worker_loop(c->w), &c->exit_poll, c->pidfd);
    c->exit_poll.data = c;
    return rc != 0 ? rc : uv_poll_start(&c->exit_poll, UV_READABLE, program_on_exit);
}

static _Noreturn void program_cannot_start(const struct program_life *c, int rc, const char *what)
{
    bool itself = what[0] == '\0';
    bool passes = rc == -EAGAIN || rc == -ENOMEM;
    const char *remedy = rc == -EPERM || rc == -EACCES
                             ? "may platoon do that, and is it executable?"
                         : passes ? "it is tried again"
                                  : "is it installed, and its directory there?";
    worker_exit(c->w, passes ? CONTRACT_EXIT_TEMPORARY : CONTRACT_EXIT_CONFIG,
                "cannot start %s: %s%s%s: %s", c->spec.argv[0], what, itself ? "" : ": ",
                strerror(-rc), remedy);
}

/*
 * Who leaves our group or session stays our child all the same (PR_SET_CHILD_SUBREAPER), so that it can be found, and ends with us. The program itself is reaped where its end is
 * told.
 */
static void program_reap_adopted(const struct program_life *c)
{
    while (!program_ready_is_probing(c->ready)) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
            info.si_pid == c->pid)
            return;
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

/* Each look may adopt what those that it killed have left behind. */
static void program_end_adopted(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int look = 0; look < 10; look++) {
        FILE *file = fopen(path, "re");
        int pid, killed = 0;
        while (file != NULL && fscanf(file, "%d", &pid) == 1)
            killed += kill((pid_t)pid, SIGKILL) == 0;
        if (file != NULL)
            fclose(file);
        if (killed == 0)
            return;
        for (int i = 0; i < killed; i++)
            waitpid(-1, NULL, 0);
    }
}

/* What a temporary child is told; of anybody else's the program shall not hear. */
static void program_tell_child(struct worker *w)
{
    static const char *const told[][2] = {{CONTRACT_ENV_OWNER, "child.owner"},
                                          {CONTRACT_ENV_ARGUMENT, "child.argument"}};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        const char *value = worker_setting(w, told[i][1]);
        if (value == NULL)
            unsetenv(told[i][0]);
        else if (setenv(told[i][0], value, 1) != 0)
            worker_exit(w, CONTRACT_EXIT_TEMPORARY, "no memory for the program's environment");
    }
}

void program_life_begin(struct program_life *c, struct worker *w, struct program_streams *streams)
{
    c->w = w;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    c->pidfd = -1;
    worker_setting_text(w, "command.argv.0");
    program_read_list(w, "command.argv.", c->spec.argv);
    program_read_list(w, "command.env.", c->spec.env);
    program_read_list(w, "command.probe.", c->probe);
    worker_limits_read(w, "command", &c->spec.limits);
    c->spec.dir = worker_setting(w, "command.dir");
    c->stop_signal = (int)worker_setting_u64(w, "command.stop_signal");
    c->started_ms = clock_mono_ms();

    const char *how = worker_setting_text(w, "command.ready");
    if (strcmp(how, "none") != 0)
        worker_hold_ready(w);
    c->memory_restart = worker_setting(w, "command.memory_restart") != NULL
                            ? worker_setting_u64(w, "command.memory_restart")
                            : 0;
    c->ready = program_ready_new(w, how, c->probe, &c->spec.notify_fd);
    program_tell_child(w);
    unsetenv("NOTIFY_SOCKET"); /* ours is the master's affair, not the program's */
    unsetenv("WATCHDOG_USEC");
    c->output = program_output_new(w, how, &c->spec.output_fd);
    if (strcmp(how, "notify") == 0)
        c->notify = program_notify_new(w);
    struct program_streams theirs = {-1, -1};
    int piped = streams != NULL ? program_pipes(streams, &theirs) : 0;
    if (piped != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "cannot make pipes for %s: %s", c->spec.argv[0],
                    strerror(-piped));
    c->spec.in_fd = theirs.in;
    c->spec.out_fd = theirs.out;
    if (c->spec.limits.memory_max != 0)
        c->oom_kills = cgroup_renew(c->spec.limits.cgroup);
    char what[64];
    int rc = program_start(&c->spec, &c->pid, what);
    program_close(c->spec.notify_fd);
    program_close(c->spec.output_fd);
    program_close(theirs.in);
    program_close(theirs.out);
    if (rc != 0)
        program_cannot_start(c, rc, what);
    rc = program_watch_exit(c);
    if (rc != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "cannot watch %s: %s", c->spec.argv[0],
                    strerror(-rc));
    worker_doing(w, "runs %s, pid %d", c->spec.argv[0], (int)c->pid);
}

/* "signal" NUMBER: for the program, not for us. */
bool program_life_answer(struct program_life *c, const struct link_request *request)
{
    struct worker *w = c->w;
    if (!slice_is(request->verb, "signal"))
        return false;
    struct unpack u = unpack_start(request->args);
    uint64_t number = 0;
    bool one = unpack_array(&u) == 1;
    struct slice text = unpack_bytes(&u);
    if (!one || !unpack_end(&u) || text_parse_u64(text, &number) != 0 || number > 64) {
        worker_reply_text(w, request->id, CONTROL_USAGE, "it understands: signal NUMBER");
        return true;
    }
    if (c->pid == 0 || kill(c->pid, (int)number) != 0) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "its program does not run now");
        return true;
    }
    log_info("signalled", "signal=%d pid=%d", (int)number, (int)c->pid);
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 2);
    pack_text(&body, "name");
    pack_text(&body, worker_name(w));
    pack_text(&body, "pid");
    pack_u64(&body, (uint64_t)c->pid);
    if (buffer_ok(&body))
        worker_reply(w, request->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(w, request->id, CONTROL_ERROR, "memory is short");
    buffer_fini(&body);
    return true;
}

/*
 * RLIMIT_AS makes a program fail somewhere inside; this ends it in order, and says why. Its descendants count, pages they share count in each.
 */
void program_life_tick(struct program_life *c)
{
    struct worker *w = c->w;
    struct process_usage usage;
    uint64_t now = clock_mono_ms();
    program_reap_adopted(c);
    char used[TEXT_NUMBER_SIZE], limit[TEXT_NUMBER_SIZE];
    if (c->memory_restart == 0 || c->pid == 0 || worker_stopping(w))
        return;
    if (c->over[0] != '\0') {
        if (now - c->over_since_ms > CONTRACT_STOP_MS)
            worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s, and did not stop", c->over);
        return;
    }
    process_usage_read(c->pid, true, &usage);
    if (usage.rss_bytes <= c->memory_restart)
        return;
    snprintf(c->over, sizeof c->over, "%s used %s, more than memory_restart = %s", c->spec.argv[0],
             text_format_size_short(usage.rss_bytes, used),
             text_format_size_short(c->memory_restart, limit));
    c->over_since_ms = now;
    log_warn("memory-restart", "program=%s used=%s limit=%s", log_quote_text(c->spec.argv[0]), used,
             limit);
    kill(c->pid, c->stop_signal);
}

void program_life_stop(struct program_life *c)
{
    struct worker *w = c->w;
    if (c->pid == 0) {
        worker_finished(w);
        return;
    }
    kill(c->pid, c->stop_signal);
}

void program_life_end(struct program_life *c)
{
    program_ready_free(c->ready);
    program_output_free(c->output);
    program_notify_free(c->notify);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    program_kill_group();
    program_end_adopted();
}
