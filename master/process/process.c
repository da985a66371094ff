/*
 * process.c: a worker's process from its first watch to its obituary. See process.h; its birth: process_birth.c.
 *
 * One timer a process, armed for whatever must happen next: `waiting_for` says what. Its end is seen on the pidfd; then
 * the group is killed before the zombie is reaped, because the zombie still holds the group's id.
 */
#include "master/process/process_private.h"

#include "common/cgroup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "common/utf8.h"
#include "master/process/seed.h"
#include "master/process/spawn.h"
#include "master/supervise/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker whose link has ended gets so long to end itself. */
#define PROCESS_UNLINK_MS 2000

/* In this time a worker beats for certain. */
#define PROCESS_NEXT_BEAT_MS ((CONTRACT_QUIET_BEATS + 1) * CONTRACT_BEAT_MS)

struct process_context process_context;

void process_setup(uv_loop_t *loop, const struct process_settings *settings)
{
    process_context.loop = loop;
    process_context.settings = *settings;
}

void process_register(const struct process_readers *readers)
{
    process_context.readers = readers;
}

pid_t process_pid(const struct process *p)
{
    return p->pid;
}

bool process_monitors(const struct node *watcher, const char *name)
{
    const struct process *p = watcher->process;
    for (size_t i = 0; p != NULL && i < p->monitor_count; i++)
        if (strcmp(p->monitors[i], name) == 0)
            return true;
    return false;
}

bool process_monitor(struct node *watcher, const char *name, enum process_interest interest)
{
    struct process *p = watcher->process;
    if (p == NULL || process_monitors(watcher, name))
        return true;
    size_t count = interest == PROCESS_ASKED ? p->asked : p->monitor_count - p->asked;
    void *grown = count < PROCESS_MONITORS_MAX
                      ? realloc(p->monitors, (p->monitor_count + 1) * sizeof *p->monitors)
                      : NULL;
    if (grown == NULL)
        return false;
    p->monitors = grown;
    snprintf(p->monitors[p->monitor_count++], sizeof *p->monitors, "%s", name);
    p->asked += interest == PROCESS_ASKED;
    process_context.monitors++;
    return true;
}

void process_monitor_refused(struct node *watcher)
{
    if (watcher->process == NULL || watcher->process->waiting_for == PROCESS_KILL)
        return;
    process_blame(watcher->process,
                  "it monitors more than %d workers, or memory is short for one more",
                  PROCESS_MONITORS_MAX);
    process_fault(watcher->process);
}

bool process_any_monitor(void)
{
    return process_context.monitors > 0;
}

/* ---- deadlines ---- */

static void process_on_timer(uv_timer_t *timer);

static uint64_t process_due(const struct process *p)
{
    uint64_t due = process_requests_next(p);
    if (p->flow.resume_ms != 0 && p->flow.resume_ms < due)
        due = p->flow.resume_ms;
    return p->waiting_for != PROCESS_NONE && p->deadline_ms < due ? p->deadline_ms : due;
}

static void process_set_timer(struct process *p, uint64_t in_ms)
{
    p->timer_ms = clock_mono_ms() + in_ms;
    uv_timer_start(&p->timer, process_on_timer, in_ms, 0);
}

void process_arm(struct process *p)
{
    uint64_t due = process_due(p);
    uint64_t now = clock_mono_ms();
    if (p->doubt != POLICY_NO_DOUBT && due <= now)
        return; /* another look is on its way */
    p->doubt = POLICY_NO_DOUBT;
    if (due == UINT64_MAX)
        uv_timer_stop(&p->timer);
    else
        process_set_timer(p, due > now ? due - now : 0);
}

void process_expect(struct process *p, enum process_deadline what, uint64_t within_ms)
{
    p->waiting_for = what;
    p->deadline_ms = clock_mono_ms() + within_ms;
    process_arm(p);
}

void process_kill(struct process *p)
{
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL); /* it may not have come to its group yet */
}

bool process_blame(struct process *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (p->killed[0] == '\0') {
        vsnprintf(p->killed, sizeof p->killed, format, args);
        utf8_show(p->killed);
    }
    va_end(args);
    return false;
}

static void process_log_fault(const struct process *p)
{
    log_warn("worker-killed", "name=%s generation=%" PRIu64 " cause=%s", p->node->name,
             p->node->generation, log_quote_text(p->killed));
}

void process_fault(struct process *p)
{
    process_log_fault(p);
    process_kill(p);
    process_expect(p, PROCESS_KILL, CONTRACT_ABORT_MS);
}

void process_accused(struct node *worker, struct slice reason)
{
    struct process *p = worker->process;
    if (p == NULL || !p->linked || p->waiting_for == PROCESS_KILL)
        return;
    process_blame(p, "%.*s", reason.len < 256 ? (int)reason.len : 256, reason.ptr);
    process_fault(p);
}

static void process_blame_unread(struct process *p)
{
    char size[TEXT_NUMBER_SIZE];
    process_blame(p, "it does not read its link: %s wait for it",
                  text_format_size_short(stream_queued(&p->link), size));
}

static void process_overdue(struct process *p)
{
    char span[TEXT_NUMBER_SIZE];
    switch (p->waiting_for) {
    case PROCESS_NONE:
        break;
    case PROCESS_HELLO:
        process_blame(p, "it has not said HELLO within %d s", CONTRACT_HELLO_MS / 1000);
        process_fault(p);
        break;
    case PROCESS_READY:
        process_blame(p, "it was not READY within ready_timeout = %s",
                      text_format_span(p->node->ready_timeout_ms, span));
        process_fault(p);
        break;
    case PROCESS_BEAT: /* SIGABRT first: its handler writes where it hangs */
        if (p->flow.unread)
            process_blame_unread(p);
        process_blame(p, "it has not been heard of for hang_timeout = %s",
                      text_format_span(process_context.settings.hang_timeout_ms, span));
        process_log_fault(p);
        kill(p->pid, SIGABRT);
        process_expect(p, PROCESS_KILL, CONTRACT_ABORT_MS);
        break;
    case PROCESS_STOP:
        kill(p->pid, SIGTERM);
        process_expect(p, PROCESS_KILL, CONTRACT_TERM_MS);
        break;
    case PROCESS_UNLINK:
        process_blame(p, "it has closed its link, and lives on");
        process_fault(p);
        break;
    case PROCESS_KILL:
        process_kill(p);
        process_expect(p, PROCESS_KILL, CONTRACT_TERM_MS);
        break;
    }
}

static void process_on_timer(uv_timer_t *timer)
{
    struct process *p = timer->data;
    uint64_t now = clock_mono_ms();
    process_flow_look(p, now);
    bool late = process_due(p) <= now;
    p->doubt = late ? policy_doubt(p->doubt, p->timer_ms, now) : POLICY_NO_DOUBT;
    if (p->doubt != POLICY_NO_DOUBT) {
        /* Not 0: that would come before the loop reads. */
        process_set_timer(p, p->doubt == POLICY_UNREAD ? 1 : PROCESS_NEXT_BEAT_MS);
        return;
    }
    process_requests_expire(p, now);
    if (p->waiting_for != PROCESS_NONE && p->deadline_ms <= now)
        process_overdue(p);
    else
        process_arm(p);
}

/* ---- link ---- */

static void process_on_frame(struct stream *s, struct slice frame, void *ctx)
{
    (void)s;
    struct process *p = ctx;
    if (p->node == NULL)
        return;
    uint64_t before = clock_thread_us();
    p->flow.asked_for = false;
    process_says(p, frame);
    if (p->node != NULL && p->linked && !p->flow.asked_for)
        process_flow_charge(p, clock_thread_us() - before + 1 + frame.len / 1024, clock_mono_ms());
}

static void process_on_link_end(struct stream *s, int error, void *ctx)
{
    (void)s;
    struct process *p = ctx;
    p->linked = false;
    if (p->node == NULL)
        return;
    if (error == UV_EMSGSIZE)
        process_blame(p, "it announced a message above %u MB", CONTRACT_FRAME_MAX / 1048576);
    if (error == UV_ENOBUFS)
        process_blame(p, "memory is short for what it says");
    if (error == UV_EMSGSIZE || error == UV_ENOBUFS)
        process_fault(p);
    else if (p->waiting_for != PROCESS_KILL)
        process_expect(p, PROCESS_UNLINK, PROCESS_UNLINK_MS);
}

static void process_on_handle_closed(struct process *p)
{
    if (--p->open_handles > 0)
        return;
    process_context.monitors -= p->monitor_count;
    free(p->monitors);
    free(p->requests);
    free(p);
}

static void process_on_link_closed(struct stream *s, void *ctx)
{
    (void)s;
    process_on_handle_closed(ctx);
}

static void process_on_closed(uv_handle_t *handle)
{
    struct process *p = handle->data;
    if (handle == (uv_handle_t *)&p->exit_poll)
        close(p->pidfd); /* not before: libuv would find the descriptor gone */
    process_on_handle_closed(p);
}

int process_send(struct node *worker, const struct buffer *frame)
{
    struct process *p = worker->process;
    if (p == NULL || !p->linked)
        return -ENOTCONN;
    int rc = stream_send(&p->link, buffer_slice(frame));
    if (rc == UV_ENOBUFS) {
        process_blame_unread(p);
        process_fault(p);
    }
    return rc;
}

void process_untold(struct node *worker)
{
    struct process *p = worker->process;
    /* A link that has ended, or a kill on its way, is the same news. */
    if (p == NULL || !p->linked || p->waiting_for == PROCESS_KILL)
        return;
    process_blame(p, "the master had no memory to tell it what it must know");
    process_fault(p);
}

/* ---- end ---- */

bool process_group(const struct node *n, char group[CGROUP_PATH_SIZE])
{
    const char *base = process_context.settings.cgroup;
    return base != NULL && base[0] != '\0' && cgroup_of_worker(base, n->name, group);
}

/*
 * The kernel says nothing to who is killed, so we look whether it was for its memory; then the group
 * goes, its members being dead.
 */
static void process_leave_group(struct process *p, int status)
{
    char group[CGROUP_PATH_SIZE], limit[TEXT_NUMBER_SIZE];
    if (!process_group(p->node, group))
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && p->said[0] == '\0' &&
        cgroup_oom_kills(group) > p->oom_kills)
        snprintf(p->said, sizeof p->said, "it used more than memory_max = %s",
                 text_format_size_short(cgroup_memory_max(group), limit));
    cgroup_remove(group);
}

/* A program has ended, or could not be started, and its worker says how: its own exit code is our affair. */
static bool process_speaks_for_program(const struct process *p, int status)
{
    return worker_type_record(p->node->type)->runs == WORKER_RUNS_PROGRAM && WIFEXITED(status) &&
           p->said[0] != '\0' && p->killed[0] == '\0' && p->node->state != NODE_DRAINING &&
           WEXITSTATUS(status) != CONTRACT_EXIT_INCONSISTENT;
}

/*
 * "killed by SIGKILL after 3m05s, 12 MB" or "exit 1 (temporary failure, restart) after 20ms, 2 MB: why"; of a program
 * "exited 3 after 3s, 12 MB"
 */
static void process_obituary(struct process *p, int status, const struct rusage *usage)
{
    struct node *n = p->node;
    if (process_speaks_for_program(p, status)) {
        snprintf(n->last_exit, sizeof n->last_exit, "%s", p->said);
        return;
    }
    char span[32], how[96];
    clock_format_span(clock_mono_ms() - n->started_ms, span, sizeof span);
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        snprintf(how, sizeof how, "killed by SIG%s", name != NULL ? name : "?");
    } else {
        snprintf(how, sizeof how, "exit %d (%s)", WEXITSTATUS(status),
                 contract_exit_meaning(WEXITSTATUS(status)));
    }
    const char *last = p->killed[0] != '\0' ? p->killed : p->said;
    if (last[0] == '\0' && p->output != NULL)
        last = collect_stream_last(p->output);
    snprintf(n->last_exit, sizeof n->last_exit, "%s after %s, %ld MB%s%s%s", how, span,
             usage->ru_maxrss / 1024, last[0] != '\0' ? ": " : "",
             p->killed[0] != '\0' ? "the master ended it: " : "", last);
    utf8_show(n->last_exit); /* the line was a program's, and there is room for its beginning */
}

#define PROCESS_MAILBOX_SCHEME "ipc://"

bool process_mailbox_address(const struct node *n, char address[PROCESS_ADDRESS_MAX])
{
    char id[CONTRACT_NAME_MAX];
    contract_mailbox_id(n->name, id);
    int len = snprintf(address, sizeof n->address, PROCESS_MAILBOX_SCHEME "%s/mbox/%s.%" PRIu64,
                       process_context.settings.runtime_dir, id, n->generation);
    return len > 0 && (size_t)len < strlen(PROCESS_MAILBOX_SCHEME) +
                                        sizeof((struct sockaddr_un *)NULL)->sun_path;
}

/* A worker that was killed leaves its mailbox' file behind. */
static void process_unlink_mailbox(const struct node *n)
{
    char address[sizeof n->address];
    if (process_mailbox_address(n, address))
        unlink(address + strlen(PROCESS_MAILBOX_SCHEME)); /* mostly it is gone already */
}

static void process_log_death(const struct death *d)
{
    log_write(d->orderly ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "worker-exit",
              "name=%s generation=%" PRIu64 " pid=%d how=%s", d->worker->name,
              d->worker->generation, (int)d->pid, log_quote_text(d->worker->last_exit));
}

/* The node forgets its process; the record has what its readers may still ask. */
static void process_leave_node(struct node *n, struct death *d)
{
    memcpy(d->doing, n->doing, sizeof d->doing);
    memcpy(d->trouble, n->trouble, sizeof d->trouble);
    if (n->address[0] != '\0' || n->state == NODE_STARTING ||
        (n->state == NODE_DRAINING && !n->was_ready)) /* told to stop before it was READY */
        process_unlink_mailbox(n);
    n->ended_orderly = d->orderly;
    n->process = NULL;
    n->doing[0] = '\0';
    n->trouble[0] = '\0';
    n->address[0] = '\0';
    n->proves = false;
    node_counters_stop(&n->counters);
}

static void process_fail_requests(struct process *p, const struct node *n)
{
    char text[sizeof n->last_exit + CONTRACT_NAME_MAX + 64];
    snprintf(text, sizeof text, "%s died before it answered: %s", n->name, n->last_exit);
    process_requests_fail(p, text);
}

static void process_close(struct process *p)
{
    process_flow_end(p);
    p->node = NULL;
    collect_stream_free(p->output);
    uv_close((uv_handle_t *)&p->timer, process_on_closed);
    uv_close((uv_handle_t *)&p->exit_poll, process_on_closed);
    stream_close(&p->link);
}

/* The record is complete before the first reader has it: none of them has to know what another does. */
static void process_bury(struct process *p, int status, const struct rusage *usage)
{
    uint64_t before = clock_thread_us();
    struct death d = {.worker = p->node,
                      .pid = p->pid,
                      .status = status,
                      .code = p->unwatched        ? CONTRACT_EXIT_SHORT
                              : WIFEXITED(status) ? WEXITSTATUS(status)
                                                  : -1,
                      .orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0,
                      .usage = usage,
                      .output = p->output};
    if (p->output != NULL)
        collect_stream_drain(p->output);
    memcpy(d.last_exit, p->node->last_exit, sizeof d.last_exit);
    if (WIFSIGNALED(status))
        seed_crashed(p->node->type, WTERMSIG(status));
    process_leave_group(p, status);
    process_obituary(p, status, usage);
    process_log_death(&d);
    process_leave_node(d.worker, &d);
    process_fail_requests(p, d.worker);
    process_close(p);
    const death_reader *readers =
        process_context.readers != NULL ? process_context.readers->deaths : NULL;
    for (; readers != NULL && *readers != NULL; readers++)
        (*readers)(&d);
    process_charge_owner(d.worker, clock_thread_us() - before + 1);
}

static void process_on_exit(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct process *p = poll->data;
    if (p->node == NULL)
        return;
    kill(-p->pid, SIGKILL);
    struct rusage usage = {0};
    int how = 0;
    pid_t pid;
    do
        pid = wait4(p->pid, &how, WNOHANG, &usage);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return; /* not dead after all: the next event says so again */
    process_bury(p, how, &usage);
}

/* ---- watching a newborn ---- */

static const struct stream_events process_link_events = {.on_frame = process_on_frame,
                                                         .on_end = process_on_link_end,
                                                         .on_closed = process_on_link_closed};
static const struct stream_limits process_link_limits = {CONTRACT_FRAME_MAX, CONTRACT_QUEUE_MAX};

static void process_abandon(const struct spawn_result *born)
{
    const int fds[] = {born->pidfd, born->link, born->output};
    kill(-born->pid, SIGKILL);
    kill(born->pid, SIGKILL); /* it may not have come to its group yet */
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

int process_watch(struct process *p, const struct spawn_result *born)
{
    uv_loop_t *loop = process_context.loop;
    int rc = uv_poll_init(loop, &p->exit_poll, born->pidfd);
    if (rc != 0) {
        process_abandon(born);
        return rc;
    }
    p->pid = born->pid;
    p->pidfd = born->pidfd;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    stream_init(&p->link, loop, process_link_limits, &process_link_events, p);
    p->open_handles = 3;
    p->exit_poll.data = p;
    uv_poll_start(&p->exit_poll, UV_READABLE, process_on_exit);
    p->linked = born->link >= 0 && stream_open(&p->link, born->link) == 0;
    p->output = collect_stream_new(loop, born->output, p->node->name,
                                   worker_type_record(p->node->type)->runs == WORKER_RUNS_PROGRAM
                                       ? LOG_LEVEL_INFO
                                       : LOG_LEVEL_WARN,
                                   p->node->log_level);
    p->log_level = p->node->log_level;
    process_expect(p, PROCESS_HELLO, CONTRACT_HELLO_MS);
    p->unwatched = !p->linked || p->output == NULL;
    if (p->unwatched)
        process_kill(p);
    return 0;
}

/* ---- orders ---- */

static void process_on_level(uint64_t status, struct slice body, void *ctx)
{
    (void)
        status; /* a worker that does not obey keeps its level; what it says too much is dropped here */
    (void)body;
    (void)ctx;
}

/* Every worker understands {"log_level":"debug"} (worker_report.c). */
void process_set_level(struct node *n)
{
    struct process *p = n->process;
    if (p == NULL || p->log_level == n->log_level)
        return;
    if (p->output != NULL)
        collect_stream_set_level(p->output, n->log_level);
    char text[32];
    snprintf(text, sizeof text, "{\"log_level\":\"%s\"}", log_level_name(n->log_level));
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, 1);
    pack_bin(&args, slice_of(text));
    if (buffer_ok(&args) && process_request(n, slice_of("json"), buffer_slice(&args),
                                            CONTRACT_HELLO_MS, process_on_level, p) == 0)
        p->log_level = n->log_level;
    buffer_fini(&args);
}

static void process_on_reopened(uint64_t status, struct slice body, void *ctx)
{
    (void)status; /* the worker logs why it could not */
    (void)body;
    (void)ctx;
}

void process_reopen_log(struct node *n)
{
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, 0);
    if (worker_type_record(n->type)->runs == WORKER_RUNS_PROGRAM && n->process != NULL &&
        buffer_ok(&args))
        process_request(n, slice_of("reopen"), buffer_slice(&args), CONTRACT_HELLO_MS,
                        process_on_reopened, n->process);
    buffer_fini(&args);
}

void process_stop(struct node *n)
{
    struct process *p = n->process;
    uint64_t limit = n->stop_timeout_ms;
    struct link_stop stop = {.deadline_ms = limit};
    struct buffer out = BUFFER_EMPTY;
    link_stop_pack(&out, &stop);
    bool sent = p->greeted && buffer_ok(&out) && process_send(n, &out) == 0;
    buffer_fini(&out);
    if (p->waiting_for == PROCESS_KILL)
        return; /* it is being killed already */
    if (!sent)
        kill(p->pid, SIGTERM);
    process_expect(p, sent ? PROCESS_STOP : PROCESS_KILL, sent ? limit : CONTRACT_TERM_MS);
}

void process_force(struct node *n)
{
    process_kill(n->process);
    process_expect(n->process, PROCESS_KILL, CONTRACT_TERM_MS);
}
