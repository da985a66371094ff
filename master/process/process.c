/*
 * worker_process.c: a worker's process from birth to obituary. See worker_process.h.
 *
 * One timer a process, armed for whatever must happen next: `waiting_for` says what. Its end is seen on the pidfd; then the group is
 * killed before the zombie is reaped, because the zombie still holds the group's id.
 */
#include "master/process/process_private.h"

#include "common/cgroup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "master/logs/crash.h"
#include "master/process/spawn.h"
#include "master/supervise/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker whose link has ended gets so long to end itself. */
#define WORKER_UNLINK_MS 2000

/* In this time a worker beats for certain. */
#define WORKER_NEXT_BEAT_MS ((CONTRACT_QUIET_BEATS + 1) * CONTRACT_BEAT_MS)

struct worker_process_context worker_context;

const char *worker_type_name(enum worker_type type)
{
    static const char *const names[] = {
#define X(NAME, name, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = name,
        WORKER_TYPE_LIST(X)
#undef X
    };
    return names[type];
}

void worker_process_setup(uv_loop_t *loop, struct node *root,
                          const struct worker_process_settings *settings)
{
    worker_context.loop = loop;
    worker_context.root = root;
    worker_context.settings = *settings;
    if (worker_context.started_ms == 0)
        worker_context.started_ms = clock_mono_ms();
}

pid_t worker_process_pid(const struct worker_process *p)
{
    return p->pid;
}

void worker_process_usage(const struct worker_process *p, bool family, struct process_usage *usage)
{
    process_usage_read(p->pid, family, usage);
}

bool worker_process_monitors(const struct node *watcher, const char *name)
{
    const struct worker_process *p = watcher->process;
    for (size_t i = 0; p != NULL && i < p->monitor_count; i++)
        if (strcmp(p->monitors[i], name) == 0)
            return true;
    return false;
}

bool worker_process_monitor(struct node *watcher, const char *name)
{
    struct worker_process *p = watcher->process;
    if (p == NULL || worker_process_monitors(watcher, name))
        return true;
    void *grown = p->monitor_count < WORKER_MONITORS_MAX
                      ? realloc(p->monitors, (p->monitor_count + 1) * sizeof *p->monitors)
                      : NULL;
    if (grown == NULL)
        return false;
    p->monitors = grown;
    snprintf(p->monitors[p->monitor_count++], sizeof *p->monitors, "%s", name);
    worker_context.monitors++;
    return true;
}

bool worker_process_any_monitor(void)
{
    return worker_context.monitors > 0;
}

/* ---- deadlines ---- */

static void worker_on_timer(uv_timer_t *timer);

static uint64_t worker_due(const struct worker_process *p)
{
    uint64_t due = worker_requests_next(p);
    return p->waiting_for != WORKER_NONE && p->deadline_ms < due ? p->deadline_ms : due;
}

static void worker_set_timer(struct worker_process *p, uint64_t in_ms)
{
    p->timer_ms = clock_mono_ms() + in_ms;
    uv_timer_start(&p->timer, worker_on_timer, in_ms, 0);
}

void worker_arm(struct worker_process *p)
{
    uint64_t due = worker_due(p);
    uint64_t now = clock_mono_ms();
    if (p->doubt != POLICY_NO_DOUBT && due <= now)
        return; /* another look is on its way */
    p->doubt = POLICY_NO_DOUBT;
    if (due == UINT64_MAX)
        uv_timer_stop(&p->timer);
    else
        worker_set_timer(p, due > now ? due - now : 0);
}

void worker_expect(struct worker_process *p, enum worker_deadline what, uint64_t within_ms)
{
    p->waiting_for = what;
    p->deadline_ms = clock_mono_ms() + within_ms;
    worker_arm(p);
}

void worker_kill(struct worker_process *p)
{
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL); /* it may not have come to its group yet */
}

void worker_fault(struct worker_process *p, int fault)
{
    supervisor_on_fault(p->node, (enum supervisor_fault)fault);
    worker_kill(p);
    worker_expect(p, WORKER_KILL, CONTRACT_ABORT_MS);
}

static void worker_overdue(struct worker_process *p)
{
    switch (p->waiting_for) {
    case WORKER_NONE:
        break;
    case WORKER_HELLO:
    case WORKER_READY:
        worker_fault(p, SUPERVISOR_READY_TIMEOUT);
        break;
    case WORKER_BEAT: /* SIGABRT first: its handler writes where it hangs */
        supervisor_on_fault(p->node, SUPERVISOR_HANG);
        kill(p->pid, SIGABRT);
        worker_expect(p, WORKER_KILL, CONTRACT_ABORT_MS);
        break;
    case WORKER_STOP:
        kill(p->pid, SIGTERM);
        worker_expect(p, WORKER_KILL, CONTRACT_TERM_MS);
        break;
    case WORKER_UNLINK:
        worker_fault(p, SUPERVISOR_GARBAGE);
        break;
    case WORKER_KILL:
        worker_kill(p);
        worker_expect(p, WORKER_KILL, CONTRACT_TERM_MS);
        break;
    }
}

static void worker_on_timer(uv_timer_t *timer)
{
    struct worker_process *p = timer->data;
    uint64_t now = clock_mono_ms();
    bool late = worker_due(p) <= now;
    p->doubt = late ? policy_doubt(p->doubt, p->timer_ms, now) : POLICY_NO_DOUBT;
    if (p->doubt != POLICY_NO_DOUBT) {
        /* Not 0: that would come before the loop reads. */
        worker_set_timer(p, p->doubt == POLICY_UNREAD ? 1 : WORKER_NEXT_BEAT_MS);
        return;
    }
    worker_requests_expire(p, now);
    if (p->waiting_for != WORKER_NONE && p->deadline_ms <= now)
        worker_overdue(p);
    else
        worker_arm(p);
}

/* ---- link ---- */

static void worker_on_frame(struct stream *s, struct slice frame, void *ctx)
{
    (void)s;
    struct worker_process *p = ctx;
    if (p->node != NULL)
        worker_says(p, frame);
}

static void worker_on_link_end(struct stream *s, int error, void *ctx)
{
    (void)s;
    struct worker_process *p = ctx;
    p->linked = false;
    if (p->node == NULL)
        return;
    if (error == UV_EMSGSIZE || error == UV_ENOBUFS)
        worker_fault(p, SUPERVISOR_GARBAGE);
    else if (p->waiting_for != WORKER_KILL)
        worker_expect(p, WORKER_UNLINK, WORKER_UNLINK_MS);
}

static void worker_on_handle_closed(struct worker_process *p)
{
    if (--p->open_handles > 0)
        return;
    worker_context.monitors -= p->monitor_count;
    free(p->monitors);
    free(p->requests);
    free(p);
}

static void worker_on_link_closed(struct stream *s, void *ctx)
{
    (void)s;
    worker_on_handle_closed(ctx);
}

static void worker_on_closed(uv_handle_t *handle)
{
    struct worker_process *p = handle->data;
    if (handle == (uv_handle_t *)&p->exit_poll)
        close(p->pidfd); /* not before: libuv would find the descriptor gone */
    worker_on_handle_closed(p);
}

int worker_process_send(struct node *worker, const struct buffer *frame)
{
    struct worker_process *p = worker->process;
    if (p == NULL || !p->linked)
        return -ENOTCONN;
    int rc = stream_send(&p->link, buffer_slice(frame));
    if (rc == UV_ENOBUFS)
        worker_fault(p, SUPERVISOR_HANG);
    return rc;
}

void worker_process_untold(struct node *worker)
{
    struct worker_process *p = worker->process;
    /* A link that has ended, or a kill on its way, is the same news. */
    if (p != NULL && p->linked && p->waiting_for != WORKER_KILL)
        worker_fault(p, SUPERVISOR_UNTOLD);
}

/* ---- end ---- */

/* The group that memory_max gives it, or its program. */
static bool worker_group(const struct node *n, char group[CGROUP_PATH_SIZE])
{
    const char *base = worker_context.settings.cgroup;
    return base != NULL && base[0] != '\0' && cgroup_of_worker(base, n->name, group);
}

/* The kernel says nothing to who is killed, so we look whether it was for its memory; then the group goes, its members being dead. */
static void worker_leave_group(struct worker_process *p, int status)
{
    char group[CGROUP_PATH_SIZE], limit[TEXT_NUMBER_SIZE];
    if (!worker_group(p->node, group))
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && p->said[0] == '\0' &&
        cgroup_oom_kills(group) > p->oom_kills)
        snprintf(p->said, sizeof p->said, "it used more than memory_max = %s",
                 text_format_size_short(cgroup_memory_max(group), limit));
    cgroup_remove(group);
}

/* "killed by SIGKILL after 3m05s, 12 MB" or "exit 1 (temporary failure, restart) after 20ms, 2 MB: why" */
static void worker_obituary(struct worker_process *p, int status, const struct rusage *usage)
{
    struct node *n = p->node;
    char span[32], how[96];
    clock_format_span(clock_mono_ms() - n->started_ms, span, sizeof span);
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        snprintf(how, sizeof how, "killed by SIG%s", name != NULL ? name : "?");
    } else {
        snprintf(how, sizeof how, "exit %d (%s)", WEXITSTATUS(status),
                 contract_exit_meaning(WEXITSTATUS(status)));
    }
    const char *last = p->said;
    if (last[0] == '\0' && p->output != NULL)
        last = collect_stream_last(p->output);
    snprintf(n->last_exit, sizeof n->last_exit, "%s after %s, %ld MB%s%s", how, span,
             usage->ru_maxrss / 1024, last[0] != '\0' ? ": " : "", last);
}

/* A worker that was killed leaves its mailbox' file behind. */
static void worker_unlink_mailbox(const struct node *n)
{
    char id[CONTRACT_NAME_MAX], path[4096];
    contract_mailbox_id(n->name, id);
    int len = snprintf(path, sizeof path, "%s/mbox/%s.%" PRIu64,
                       worker_context.settings.runtime_dir, id, n->generation);
    if (len > 0 && (size_t)len < sizeof path)
        unlink(path); /* mostly it is gone already */
}

static void worker_bury(struct worker_process *p, int status, const struct rusage *usage)
{
    struct node *n = p->node;
    if (p->output != NULL)
        collect_stream_drain(p->output);
    worker_leave_group(p, status);
    worker_obituary(p, status, usage);
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    log_write(orderly ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "worker-exit",
              "name=%s generation=%" PRIu64 " pid=%d how=%s", n->name, n->generation, (int)p->pid,
              log_quote_text(n->last_exit));
    n->ended_orderly = orderly;
    if (n->address[0] != '\0' || n->state == NODE_STARTING)
        worker_unlink_mailbox(n);
    if (!orderly)
        crash_write(n, p->pid, status, usage, p->output);
    n->process = NULL;
    n->doing[0] = '\0';
    n->trouble[0] = '\0';
    n->address[0] = '\0';
    memset(n->rates, 0, sizeof n->rates);
    char text[sizeof n->last_exit + CONTRACT_NAME_MAX + 64];
    snprintf(text, sizeof text, "%s died before it answered: %s", n->name, n->last_exit);
    worker_requests_fail(p, text);
    p->node = NULL;
    collect_stream_free(p->output);
    uv_close((uv_handle_t *)&p->timer, worker_on_closed);
    uv_close((uv_handle_t *)&p->exit_poll, worker_on_closed);
    stream_close(&p->link);
    supervisor_on_exit(n, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void worker_on_exit(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct worker_process *p = poll->data;
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
    worker_bury(p, how, &usage);
}

/* ---- birth ---- */

static const struct stream_events worker_link_events = {
    .on_frame = worker_on_frame, .on_end = worker_on_link_end, .on_closed = worker_on_link_closed};
static const struct stream_limits worker_link_limits = {CONTRACT_FRAME_MAX, CONTRACT_QUEUE_MAX};

void worker_watch(struct worker_process *p, const struct spawn_result *born)
{
    uv_loop_t *loop = worker_context.loop;
    p->pid = born->pid;
    p->pidfd = born->pidfd;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    stream_init(&p->link, loop, worker_link_limits, &worker_link_events, p);
    p->open_handles = 3;
    uv_poll_init(loop, &p->exit_poll, p->pidfd);
    p->exit_poll.data = p;
    uv_poll_start(&p->exit_poll, UV_READABLE, worker_on_exit);
    p->linked = born->link >= 0 && stream_open(&p->link, born->link) == 0;
    p->output = collect_stream_new(
        loop, born->output, p->node->name,
        p->node->type == WORKER_TYPE_COMMAND || p->node->type == WORKER_TYPE_PORT ? LOG_LEVEL_INFO
                                                                                  : LOG_LEVEL_WARN,
        p->node->log_level);
    p->log_level = p->node->log_level;
    worker_expect(p, WORKER_HELLO, CONTRACT_HELLO_MS);
    if (!p->linked || p->output == NULL)
        worker_kill(p);
}

static void worker_forget_last_life(struct node *n)
{
    memset(n->counters, 0, sizeof n->counters);
    memset(n->rates, 0, sizeof n->rates);
    n->doing[0] = '\0';
    n->trouble[0] = '\0';
    n->address[0] = '\0';
}

int worker_process_spawn(struct node *n)
{
    struct worker_process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    char program[4096], group[CGROUP_PATH_SIZE];
    if (n->executable != NULL)
        snprintf(program, sizeof program, "%s", n->executable);
    else
        snprintf(program, sizeof program, "%s/%s", worker_context.settings.libexec_dir,
                 worker_type_name(n->type));
    struct spawn_request request = {.program = program,
                                    .type = strrchr(program, '/') + 1,
                                    .name = n->name,
                                    .log_level = n->log_level,
                                    .generation = n->generation + 1};
    struct spawn_result born;
    if (worker_group(n, group))
        p->oom_kills = cgroup_renew(group);
    int rc = spawn_worker(&request, &born);
    if (rc != 0) {
        free(p);
        return rc;
    }
    n->generation++;
    n->started_ms = clock_mono_ms();
    worker_forget_last_life(n);
    n->process = p;
    p->node = n;
    worker_watch(p, &born);
    return 0;
}

/* ---- orders ---- */

static void worker_on_level(uint64_t status, struct slice body, void *ctx)
{
    (void)
        status; /* a worker that does not obey keeps its level; what it says too much is dropped here */
    (void)body;
    (void)ctx;
}

/* Every worker understands {"log_level":"debug"} (worker_report.c). */
void worker_process_set_level(struct node *n)
{
    struct worker_process *p = n->process;
    if (p == NULL || p->log_level == n->log_level)
        return;
    if (p->output != NULL)
        collect_stream_set_level(p->output, n->log_level);
    char text[32];
    snprintf(text, sizeof text, "{\"log_level\":\"%s\"}", log_level_name(n->log_level));
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, 1);
    pack_bin(&args, slice_of(text));
    if (buffer_ok(&args) && worker_process_request(n, slice_of("json"), buffer_slice(&args),
                                                   CONTRACT_HELLO_MS, worker_on_level, p) == 0)
        p->log_level = n->log_level;
    buffer_fini(&args);
}

void worker_process_stop(struct node *n)
{
    struct worker_process *p = n->process;
    uint64_t limit = n->stop_timeout_ms;
    struct link_stop stop = {.deadline_ms = limit};
    struct buffer out = BUFFER_EMPTY;
    link_stop_pack(&out, &stop);
    bool sent = p->greeted && buffer_ok(&out) && worker_process_send(n, &out) == 0;
    buffer_fini(&out);
    if (p->waiting_for == WORKER_KILL)
        return; /* it is being killed already */
    if (!sent)
        kill(p->pid, SIGTERM);
    worker_expect(p, sent ? WORKER_STOP : WORKER_KILL, sent ? limit : CONTRACT_TERM_MS);
}

void worker_process_force(struct node *n)
{
    worker_kill(n->process);
    worker_expect(n->process, WORKER_KILL, CONTRACT_TERM_MS);
}
