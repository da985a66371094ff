/*
 * command.c: the command worker: any program under the contract of a worker: those of program sections, and the private redis-server.
 *
 * The program shares our process group and our stderr, is ready when command_ready.c says so, gets its stop signal at STOP and dies
 * with us whatever happens. When it exits by itself, so do we: the master decides what that means. No mailbox, no thread.
 */
#include "workers/command.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/process_usage.h"
#include "common/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
    struct worker *w;
    struct command_program program;
    const char *probe[COMMAND_ARGS_MAX + 1];
    struct command_ready *ready;
    struct command_output *output;
    struct command_notify *notify;
    uint64_t memory_restart; /* bytes; 0: any */
    char over[160];          /* why it is being ended: it used more */
    uint64_t over_since_ms;
    pid_t pid; /* 0: none */
    int pidfd;
    uv_poll_t exit_poll;
    int stop_signal;
    uint64_t started_ms;
};

static void command_read_list(struct worker *w, const char *prefix, const char **list)
{
    for (int i = 0; i < COMMAND_ARGS_MAX; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%d", prefix, i);
        list[i] = worker_setting(w, name);
        if (list[i] == NULL)
            return;
    }
}

/* "redis-server: killed by signal 9 (Killed) after 3m05s" */
static void command_obituary(const struct command *c, const siginfo_t *info, char *text,
                             size_t size)
{
    char span[32];
    clock_format_span(clock_mono_ms() - c->started_ms, span, sizeof span);
    if (info->si_code == CLD_EXITED)
        snprintf(text, size, "%s: exit %d after %s", c->program.argv[0], info->si_status, span);
    else
        snprintf(text, size, "%s: killed by signal %d (%s) after %s", c->program.argv[0],
                 info->si_status, strsignal(info->si_status), span);
}

/* True when the exit code is one of those that mean it finished on purpose. */
static bool command_is_done(const struct command *c, int code)
{
    const char *list = worker_setting(c->w, "command.exit_codes");
    if (list == NULL)
        return code == 0;
    for (char *end; *list != '\0'; list = *end != '\0' ? end + 1 : end)
        if (strtol(list, &end, 10) == code && end != list)
            return true;
    return false;
}

static void command_on_exit(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct command *c = poll->data;
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    c->pid = 0;
    uv_poll_stop(poll);
    command_output_drain(c->output);
    if (worker_stopping(c->w)) {
        worker_finished(c->w);
        return;
    }
    char text[512];
    command_obituary(c, &info, text, sizeof text);
    if (c->over[0] != '\0')
        worker_exit(c->w, CONTRACT_EXIT_TEMPORARY, "%s", c->over);
    bool done = info.si_code == CLD_EXITED && command_is_done(c, info.si_status);
    worker_exit(c->w, done ? CONTRACT_EXIT_DONE : CONTRACT_EXIT_TEMPORARY, "%s", text);
}

static int command_watch_exit(struct command *c)
{
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd < 0)
        return -errno;
    int rc = uv_poll_init(worker_loop(c->w), &c->exit_poll, c->pidfd);
    c->exit_poll.data = c;
    return rc != 0 ? rc : uv_poll_start(&c->exit_poll, UV_READABLE, command_on_exit);
}

static _Noreturn void command_cannot_start(const struct command *c, int rc, const char *what)
{
    bool itself = what[0] == '\0';
    bool passes = rc == -EAGAIN || rc == -ENOMEM;
    const char *remedy = rc == -EPERM || rc == -EACCES
                             ? "may platoon do that, and is it executable?"
                         : passes ? "it is tried again"
                                  : "is it installed, and its directory there?";
    worker_exit(c->w, passes ? CONTRACT_EXIT_TEMPORARY : CONTRACT_EXIT_CONFIG,
                "cannot start %s: %s%s%s: %s", c->program.argv[0], what, itself ? "" : ": ",
                strerror(-rc), remedy);
}

static int command_init(struct worker *w, void *state)
{
    struct command *c = state;
    c->w = w;
    c->pidfd = -1;
    worker_setting_text(w, "command.argv.0");
    command_read_list(w, "command.argv.", c->program.argv);
    command_read_list(w, "command.env.", c->program.env);
    command_read_list(w, "command.probe.", c->probe);
    command_limits_read(w, &c->program.limits);
    c->program.dir = worker_setting(w, "command.dir");
    c->stop_signal = (int)worker_setting_u64(w, "command.stop_signal");
    c->started_ms = clock_mono_ms();

    const char *how = worker_setting_text(w, "command.ready");
    if (strcmp(how, "none") != 0)
        worker_hold_ready(w);
    c->memory_restart = worker_setting(w, "command.memory_restart") != NULL
                            ? worker_setting_u64(w, "command.memory_restart")
                            : 0;
    c->ready = command_ready_new(w, how, c->probe, &c->program.notify_fd);
    unsetenv("NOTIFY_SOCKET"); /* ours is the master's affair, not the program's */
    unsetenv("WATCHDOG_USEC");
    c->output = command_output_new(w, how, &c->program.output_fd);
    if (strcmp(how, "notify") == 0)
        c->notify = command_notify_new(w);
    char what[64];
    int rc = command_start(&c->program, &c->pid, what);
    if (c->program.notify_fd >= 0)
        close(c->program.notify_fd);
    if (c->program.output_fd >= 0)
        close(c->program.output_fd);
    if (rc != 0)
        command_cannot_start(c, rc, what);
    rc = command_watch_exit(c);
    if (rc != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "cannot watch %s: %s", c->program.argv[0],
                    strerror(-rc));
    worker_doing(w, "runs %s, pid %d", c->program.argv[0], (int)c->pid);
    return 0;
}

/* "signal" NUMBER: for the program, not for us. */
static void command_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct command *c = state;
    struct unpack u = unpack_start(request->args);
    uint64_t number = 0;
    bool one = unpack_array(&u) == 1;
    struct slice text = unpack_bytes(&u);
    if (!slice_is(request->verb, "signal") || !one || !unpack_end(&u) ||
        text_parse_u64(text, &number) != 0 || number > 64) {
        worker_reply_text(w, request->id, CONTROL_USAGE, "it understands: signal NUMBER");
        return;
    }
    if (c->pid == 0 || kill(c->pid, (int)number) != 0) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "its program does not run now");
        return;
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
}

/*
 * RLIMIT_AS makes a program fail somewhere inside; this ends it in order, and says why. Its descendants count, pages they share count in each.
 */
static void command_on_tick(struct worker *w, void *state)
{
    struct command *c = state;
    struct process_usage usage;
    uint64_t now = clock_mono_ms();
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
    snprintf(c->over, sizeof c->over, "%s used %s, more than memory_restart = %s",
             c->program.argv[0], text_format_size_short(usage.rss_bytes, used),
             text_format_size_short(c->memory_restart, limit));
    c->over_since_ms = now;
    log_warn("memory-restart", "program=%s used=%s limit=%s", log_quote_text(c->program.argv[0]),
             used, limit);
    kill(c->pid, c->stop_signal);
}

static void command_drain(struct worker *w, void *state)
{
    struct command *c = state;
    if (c->pid == 0) {
        worker_finished(w);
        return;
    }
    kill(c->pid, c->stop_signal);
}

static void command_fini(struct worker *w, void *state)
{
    (void)w;
    struct command *c = state;
    command_ready_free(c->ready);
    command_output_free(c->output);
    command_notify_free(c->notify);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    command_kill_group();
}

const struct worker_ops worker_ops = {
    .type = "command",
    .mailbox = false,
    .state_size = sizeof(struct command),
    .init = command_init,
    .on_request = command_on_request,
    .on_tick = command_on_tick,
    .drain = command_drain,
    .fini = command_fini,
};
