/*
 * process_upgrade.c: a worker's process, from one master to the next without its noticing. See
 * process.h and upgrade_state.h.
 *
 * What is on its way is kept: bytes of a frame or line that has not come whole travel along, and a link with something
 * still to be written is waited for (process_is_quiet).
 */
#include "master/process/process_private.h"

#include "common/log.h"
#include "common/pack.h"
#include "common/utf8.h"
#include "proto/upgrade_state.h"

#include <errno.h>
#include <stdlib.h>

bool process_is_quiet(const struct node *worker)
{
    const struct process *p = worker->process;
    return p == NULL || !p->linked || stream_queued(&p->link) == 0;
}

static uint64_t upgrade_fd(const uv_handle_t *handle)
{
    uv_os_fd_t fd;
    return uv_fileno(handle, &fd) == 0 ? (uint64_t)fd + 1 : 0;
}

void process_fds(const struct node *worker, int fds[3])
{
    const struct process *p = worker->process;
    fds[0] = p != NULL ? p->pidfd : -1;
    fds[1] = p != NULL && p->linked ? (int)upgrade_fd((const uv_handle_t *)&p->link.pipe) - 1 : -1;
    fds[2] = p != NULL && p->output != NULL ? collect_stream_fd(p->output) : -1;
}

/* ---- out ---- */

/* Of upgrade_worker.greeted: it has not said HELLO, and was sent CONFIG at its birth. */
#define UPGRADE_CONFIGURED 2

static void upgrade_pack_process(const struct process *p, struct upgrade_worker *m,
                                 struct buffer *monitors, struct buffer *lines)
{
    m->pid = (uint64_t)p->pid;
    m->pidfd = (uint64_t)p->pidfd + 1;
    m->link_fd = p->linked ? upgrade_fd((const uv_handle_t *)&p->link.pipe) : 0;
    m->told_level = (uint64_t)p->log_level;
    m->greeted = p->greeted ? 1 : p->configured ? UPGRADE_CONFIGURED : 0;
    m->waiting_for = (uint64_t)p->waiting_for;
    m->deadline_ms = p->deadline_ms;
    m->said = slice_of(p->said);
    m->link_in = buffer_slice(&p->link.in);
    for (size_t i = 0; i < p->monitor_count; i++)
        pack_text(monitors, p->monitors[i]);
    if (p->output == NULL)
        return;
    m->output_fd = (uint64_t)collect_stream_fd(p->output) + 1;
    m->output_in = collect_stream_partial(p->output);
    collect_stream_settle(p->output);
    const char *line;
    for (size_t i = 0; (line = collect_stream_line(p->output, i)) != NULL; i++)
        pack_bin(lines, slice_of(line));
}

/* Puts an array's header in front of what was packed, `count` values. */
static void upgrade_array(struct buffer *out, uint32_t count, const struct buffer *values)
{
    pack_array(out, count);
    buffer_append_slice(out, buffer_slice(values));
    if (!buffer_ok(values))
        out->failed = true;
}

static uint32_t upgrade_count_lines(const struct process *p)
{
    uint32_t count = 0;
    while (p->output != NULL && collect_stream_line(p->output, count) != NULL)
        count++;
    return count;
}

void process_save(const struct node *n, struct buffer *out)
{
    struct buffer monitors = BUFFER_EMPTY, lines = BUFFER_EMPTY, all = BUFFER_EMPTY,
                  last = BUFFER_EMPTY;
    struct upgrade_worker m = {
        .name = slice_of(n->name),
        .type = slice_of(worker_type_name(n->type)),
        .settings = buffer_slice(&n->settings),
        .state = (uint64_t)n->state,
        .wanted = n->wanted_up,
        .finished = n->finished,
        .was_ready = n->was_ready,
        .ready_at_ms = n->ready_at_ms,
        .generation = n->generation,
        .restarts = n->restarts,
        .failures = n->failures,
        .state_since_ms = n->state_since_ms,
        .started_ms = n->started_ms,
        .next_start_ms = n->next_start_ms,
        .address = slice_of(n->address),
        .last_exit = slice_of(n->last_exit),
        .doing = slice_of(n->doing),
        .trouble = slice_of(n->trouble),
        .log_level = (uint64_t)n->log_level,
        .owner = slice_of(n->owner),
        .program = slice_of(n->child ? n->section : ""),
        .argument = slice_of(n->child ? n->argument : ""),
    };
    const struct process *p = n->process;
    if (p != NULL)
        upgrade_pack_process(p, &m, &monitors, &lines);
    upgrade_array(&all, p != NULL ? (uint32_t)p->monitor_count : 0, &monitors);
    upgrade_array(&last, p != NULL ? upgrade_count_lines(p) : 0, &lines);
    m.monitors = buffer_slice(&all);
    m.lines = buffer_slice(&last);
    upgrade_worker_pack(out, &m);
    if (!buffer_ok(&all) || !buffer_ok(&last))
        out->failed = true;
    buffer_fini(&monitors);
    buffer_fini(&lines);
    buffer_fini(&all);
    buffer_fini(&last);
}

/* ---- in ---- */

static void upgrade_read_monitors(struct node *n, struct slice packed)
{
    struct unpack u = unpack_start(packed);
    uint32_t count = unpack_array(&u);
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        char name[CONTRACT_NAME_MAX];
        if (slice_copy(unpack_str(&u), name, sizeof name))
            process_monitor(n, name, i < PROCESS_MONITORS_MAX ? PROCESS_ASKED : PROCESS_WATCHED);
    }
}

static void upgrade_read_lines(struct process *p, struct slice packed)
{
    struct unpack u = unpack_start(packed);
    uint32_t count = unpack_array(&u);
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++)
        collect_stream_remember(p->output, unpack_bin(&u));
}

int process_adopt(struct node *n, const struct upgrade_worker *m)
{
    struct process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    struct spawn_result born = {.pid = (pid_t)m->pid,
                                .pidfd = (int)m->pidfd - 1,
                                .link = (int)m->link_fd - 1,
                                .output = (int)m->output_fd - 1};
    p->node = n;
    int rc = process_watch(p, &born);
    if (rc != 0) {
        free(p);
        return rc;
    }
    n->process = p;
    p->log_level = (enum log_level)m->told_level;
    p->greeted = m->greeted != 0 && m->greeted != UPGRADE_CONFIGURED;
    p->configured = m->greeted == UPGRADE_CONFIGURED;
    slice_copy(m->said, p->said, sizeof p->said);
    utf8_mend(p->said);
    p->waiting_for = (enum process_deadline)m->waiting_for;
    p->deadline_ms = m->deadline_ms;
    process_arm(p);
    upgrade_read_monitors(n, m->monitors);
    if (p->output != NULL) {
        upgrade_read_lines(p, m->lines);
        collect_stream_feed(p->output, m->output_in);
    }
    if (p->linked)
        stream_feed(&p->link, m->link_in);
    return 0;
}
