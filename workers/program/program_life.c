/* program_life.c: the life of a program under a worker: start, exit, stop, too much memory. See program.h. */
#include "workers/program/program_run.h"

#include "common/clock.h"
#include "common/hold.h"
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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* As long as what it holds: there is one for each of a thousand programs. */
static const char **program_read_list(struct worker *w, const char *prefix)
{
    char name[64];
    size_t count = 0;
    do
        snprintf(name, sizeof name, "%s%zu", prefix, count);
    while (worker_setting(w, name) != NULL && ++count < PROGRAM_ARGS_MAX);
    const char **list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        worker_exit_for(w, ENOMEM, NULL, "cannot read %s", prefix);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%zu", prefix, i);
        list[i] = worker_setting(w, name);
    }
    return list;
}

static bool program_was_killed_for_memory(const struct program_life *c, int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && c->memory != NULL &&
           cgroup_oom_kills(c->memory->cgroup) > c->memory->oom_kills;
}

/*
 * Who leaves our group or session stays our child all the same (PR_SET_CHILD_SUBREAPER), so that it can be found, and
 * ends with us. The program itself is reaped where its end is told.
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

static void program_on_child(uv_signal_t *signal, int number)
{
    (void)number;
    program_reap_adopted(signal->data);
}

/* Nobody waits for them but us: without this a program that leaves many behind would fill the table of processes. */
static void program_watch_adopted(struct program_life *c)
{
    int rc = uv_signal_init(worker_loop(c->w), &c->child_signal);
    c->child_signal.data = c;
    if (rc == 0)
        rc = uv_signal_start(&c->child_signal, program_on_child, SIGCHLD);
    if (rc != 0)
        worker_exit_for(c->w, -rc, NULL, "cannot hear of processes that %s leaves behind",
                        c->spec.argv[0]);
}

/*
 * Who has gone into the background leaves a child that was adopted by us (PR_SET_CHILD_SUBREAPER), and ends itself with
 * 0: it would be started again for ever.
 */
static bool program_went_to_background(const struct program_life *c, int status)
{
    char path[64];
    int pid = 0;
    program_reap_adopted(c); /* who has ended is not left behind */
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file =
        WIFEXITED(status) && WEXITSTATUS(status) == 0 && !program_ready_is_probing(c->ready)
            ? fopen(path, "re")
            : NULL;
    bool found = file != NULL && fscanf(file, "%d", &pid) == 1;
    if (file != NULL)
        fclose(file);
    return found;
}

/* "exited 3 after 2s, 12 MB", "killed by SIGKILL (Killed) after 3m05s, 12 MB: why" */
static void program_obituary(const struct program_life *c, int status, const struct rusage *usage,
                             char *text, size_t size)
{
    char span[32], limit[TEXT_NUMBER_SIZE], how[96];
    clock_format_span(clock_mono_ms() - c->started_ms, span, sizeof span);
    const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    if (WIFEXITED(status))
        snprintf(how, sizeof how, "exited %d", WEXITSTATUS(status));
    else
        snprintf(how, sizeof how, "killed by SIG%s (%s)", name != NULL ? name : "?",
                 strsignal(WTERMSIG(status)));
    int n = snprintf(text, size, "%s after %s, %ld MB", how, span, usage->ru_maxrss / 1024);
    if (program_was_killed_for_memory(c, status))
        snprintf(text + n, size - (size_t)n, ": it used more than memory_max = %s",
                 text_format_size_short(c->memory->max, limit));
    else if (program_went_to_background(c, status))
        snprintf(text + n, size - (size_t)n,
                 ": it left a process behind, as one does that goes into the background: have it "
                 "stay in the foreground (an option of it, mostly)");
    else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 &&
             program_output_reason(c->output)[0] != '\0')
        snprintf(text + n, size - (size_t)n, ": %s", program_output_reason(c->output));
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
    struct rusage usage = {0};
    int how = 0;
    if (wait4(c->pid, &how, WNOHANG, &usage) <= 0)
        return;
    c->pid = 0;
    uv_poll_stop(poll);
    program_output_drain(c->output);
    if (worker_stopping(c->w)) {
        worker_finished(c->w);
        return;
    }
    char text[512];
    program_obituary(c, how, &usage, text, sizeof text);
    if (c->over[0] != '\0')
        worker_exit(c->w, CONTRACT_EXIT_TEMPORARY, "%s", c->over);
    bool done = WIFEXITED(how) && program_is_done(c, WEXITSTATUS(how));
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

static _Noreturn void program_cannot_start(const struct program_life *c, int error,
                                           const char *what)
{
    struct buffer why = BUFFER_EMPTY;
    program_fault_say(&c->spec, error, what, &why);
    /* Its own memory_max is nobody's shortage but its own. */
    bool is_short =
        contract_is_shortage(error) && (error != ENOMEM || c->spec.limits->memory_max == 0);
    worker_exit(c->w,
                is_short                      ? CONTRACT_EXIT_SHORT
                : program_fault_passes(error) ? CONTRACT_EXIT_TEMPORARY
                                              : CONTRACT_EXIT_CONFIG,
                "%s", buffer_text(&why) != NULL ? why.data : strerror(error));
}

/* Ends our children; `left` gets those that another user owns by now, as set-user-id programs do, each " PID". */
static int program_end_children(char *left, size_t size)
{
    char path[64];
    int pid, killed = 0;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    left[0] = '\0';
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    while (file != NULL && fscanf(file, "%d", &pid) == 1) {
        size_t len = strlen(left);
        if (kill((pid_t)pid, SIGKILL) == 0)
            killed++;
        else if (errno == EPERM && len + 16 < size)
            snprintf(left + len, size - len, " %d", pid);
    }
    if (file != NULL)
        fclose(file);
    return killed;
}

/* Each look may adopt what those that it killed have left behind. */
static void program_end_adopted(struct worker *w)
{
    char left[160];
    for (int look = 0; look < 10; look++) {
        int killed = program_end_children(left, sizeof left);
        if (killed == 0)
            break;
        for (int i = 0; i < killed; i++)
            waitpid(-1, NULL, 0);
    }
    if (left[0] != '\0')
        worker_add_last_words(w,
                              "it left running what is another user's by now (set-user-id) and "
                              "platoon may not end:%s: end that as root",
                              left);
}

/*
 * What the program works on is held by the program itself, because it may outlive us by a moment, and by what it has
 * forked. One that is on its way out is waited for.
 */
static int program_hold(struct worker *w)
{
    const char *path = worker_setting(w, "command.lock");
    pid_t holder;
    if (path == NULL)
        return -1;
    int fd = hold_take(path, CONTRACT_ORPHAN_MS, &holder);
    if (fd == -EWOULDBLOCK)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY,
                    "%s: what it holds is being worked on by another process (pid %d started it): "
                    "two would spoil it; end that one, or choose another state_dir",
                    path, (int)holder);
    char remedy[PATH_MAX + 64];
    if (fd < 0)
        worker_exit(w, contract_exit_for(-fd), "%s: %s: %s", path, strerror(-fd),
                    contract_file_remedy(-fd, path, remedy, sizeof remedy));
    return fd;
}

/* NULL: no memory for it. */
static struct program_memory *program_limit_memory(const struct worker_limits *limits)
{
    struct program_memory *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->max = limits->memory_max;
    memcpy(m->cgroup, limits->cgroup, sizeof m->cgroup);
    m->oom_kills = cgroup_renew(m->cgroup);
    return m;
}

void program_life_begin(struct program_life *c, struct worker *w, struct program_streams *streams)
{
    c->w = w;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    log_share_stderr();
    c->pidfd = -1;
    worker_setting_text(w, "command.argv.0");
    c->spec.argv = program_read_list(w, "command.argv.");
    c->spec.env = program_read_list(w, "command.env.");
    c->probe = program_read_list(w, "command.probe.");
    struct worker_limits limits; /* 2 KB that each of a thousand would keep */
    worker_limits_read(w, "command", &limits);
    c->spec.limits = &limits;
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
    c->output = program_output_new(w, how, &c->spec.output_fd);
    if (strcmp(how, "notify") == 0)
        c->notify = program_notify_new(w);
    c->spec.notify_socket = program_notify_address(c->notify);
    struct program_streams theirs = {-1, -1};
    int piped = streams != NULL ? program_pipes(streams, &theirs) : 0;
    if (piped != 0)
        worker_exit_for(w, -piped, NULL, "cannot make pipes for %s", c->spec.argv[0]);
    c->spec.in_fd = theirs.in;
    c->spec.out_fd = theirs.out;
    c->spec.lock_fd = program_hold(w);
    if (limits.memory_max != 0)
        c->memory = program_limit_memory(&limits);
    if (limits.memory_max != 0 && c->memory == NULL)
        worker_exit_for(w, ENOMEM, NULL, "cannot watch the memory of %s", c->spec.argv[0]);
    char what[64];
    int rc = program_start(w, &c->spec, &c->pid, what);
    program_close(c->spec.notify_fd);
    program_close(c->spec.output_fd);
    program_close(c->spec.lock_fd);
    program_close(theirs.in);
    program_close(theirs.out);
    if (rc != 0)
        program_cannot_start(c, -rc, what);
    c->spec.limits = NULL;
    rc = program_watch_exit(c);
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "cannot watch %s", c->spec.argv[0]);
    program_watch_adopted(c);
    worker_doing(w, "runs %s, pid %d", c->spec.argv[0], (int)c->pid);
}

/* "reopen": the master was told to open log files anew (USR2). */
static void program_reopen(struct program_life *c, const struct link_request *request)
{
    int rc = program_output_reopen(c->output);
    if (rc != 0)
        log_error("log-reopen", "cause=%s remedy=\"the old file is written on\"",
                  log_quote_text(strerror(-rc)));
    worker_reply_text(c->w, request->id, rc == 0 ? CONTROL_OK : CONTROL_ERROR,
                      rc == 0 ? "opened anew" : "the old file is written on");
}

/* "signal" NUMBER: for the program, not for us. */
bool program_life_answer(struct program_life *c, const struct link_request *request)
{
    struct worker *w = c->w;
    if (slice_is(request->verb, "reopen")) {
        program_reopen(c, request);
        return true;
    }
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
 * RLIMIT_AS makes a program fail somewhere inside; this ends it in order, and says why. Its descendants count, pages
 * they share count in each.
 */
void program_life_tick(struct program_life *c)
{
    struct worker *w = c->w;
    struct process_usage usage;
    uint64_t now = clock_mono_ms();
    program_reap_adopted(c); /* what ended while a probe was waited for */
    program_output_tick(c->output);
    if (c->memory_restart == 0 && program_output_is_idle(c->output) &&
        !program_ready_is_probing(c->ready))
        worker_rest(w);
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
    /* What may not be told to stop is not waited for either: program_end_adopted says so. */
    if (kill(c->pid, c->stop_signal) != 0 && errno == EPERM)
        worker_finished(w);
}

void program_life_end(struct program_life *c)
{
    program_ready_free(c->ready);
    program_output_free(c->output);
    program_notify_free(c->notify);
    if (c->pid > 0 && kill(c->pid, SIGKILL) == 0)
        waitpid(c->pid, NULL, 0);
    program_kill_group();
    program_end_adopted(c->w);
    free(c->memory);
    free(c->spec.argv);
    free(c->spec.env);
    free(c->probe);
}
