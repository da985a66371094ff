/* upgrade_adopt.c: the new master's side. See upgrade.h. */
#include "common/log.h"
#include "common/utf8.h"
#include "master/build/config_settings.h"
#include "master/process/child.h"
#include "master/logs/events.h"
#include "master/logs/logs.h"
#include "master/supervise/supervisor.h"
#include "master/upgrade/upgrade.h"
#include "proto/upgrade_state.h"
#include "master/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPGRADE_STATE_MAX (256u * 1024 * 1024)

/* ---- reading ---- */

static bool upgrade_read_bytes(struct upgrade *u, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || info.st_size <= 0 || info.st_size > UPGRADE_STATE_MAX)
        return false;
    char *room = buffer_reserve(&u->bytes, (size_t)info.st_size);
    if (room == NULL || pread(fd, room, (size_t)info.st_size, 0) != info.st_size)
        return false;
    u->bytes.len = (size_t)info.st_size;
    return true;
}

bool upgrade_read(struct upgrade *u, int fd, struct buffer *error)
{
    *u = (struct upgrade){.bytes = BUFFER_EMPTY};
    if (!upgrade_read_bytes(u, fd)) {
        buffer_printf(error, "the running master's state cannot be read\n");
        return false;
    }
    struct unpack in = unpack_start(buffer_slice(&u->bytes));
    struct upgrade_master m;
    if (!upgrade_master_unpack(&in, &m) || m.version != UPGRADE_VERSION ||
        !slice_copy(m.instance, u->instance, sizeof u->instance)) {
        buffer_printf(error,
                      "the running master hands over its state in a version that this one (%s) "
                      "does not read: platoonctl shutdown, then start it\n",
                      PLATOON_VERSION);
        return false;
    }
    u->lock_fd = m.lock_fd;
    u->listener_fd = m.listener_fd;
    u->started_ms = m.started_ms;
    u->upgrades = m.upgrades;
    u->request_id = m.request_id;
    u->boot = m.boot;
    u->nodes = m.nodes;
    u->children = m.children;
    u->last_line = m.last_line;
    u->lines = m.lines;
    u->last_event = m.last_event;
    u->events = m.events;
    u->nodes_at = (size_t)((const char *)in.at - u->bytes.data);
    return true;
}

void upgrade_fini(struct upgrade *u)
{
    buffer_fini(&u->bytes);
}

static void upgrade_take_ends(struct node *n, const struct upgrade_ends *m)
{
    if (n == NULL || n->kind != NODE_WORKER)
        return;
    n->deaths = m->deaths;
    n->unstable = m->unstable != 0;
    n->ended = m->ended != 0;
    n->is_short = m->is_short != 0;
}

/* Calls one of both for each record, takes what stands behind; false at the first that cannot be read or is refused. */
static bool upgrade_each(const struct upgrade *u, struct node *root,
                         bool (*branch)(struct node *n, const struct upgrade_branch *m, void *ctx),
                         bool (*worker)(struct node *n, const struct upgrade_worker *m, void *ctx),
                         void *ctx)
{
    struct unpack in =
        unpack_start(slice_make(u->bytes.data + u->nodes_at, u->bytes.len - u->nodes_at));
    bool good = true;
    for (uint64_t i = 0; i < u->nodes && good; i++) {
        struct upgrade_branch b;
        struct upgrade_worker w;
        if (schema_peek_type(in) == UPGRADE_BRANCH)
            good = upgrade_branch_unpack(&in, &b) && branch(tree_find(root, b.name), &b, ctx);
        else
            good = upgrade_worker_unpack(&in, &w) && worker(tree_find(root, w.name), &w, ctx);
    }
    while (good && schema_peek_type(in) == UPGRADE_ENDS) {
        struct upgrade_ends e;
        good = upgrade_ends_unpack(&in, &e);
        if (good)
            upgrade_take_ends(tree_find(root, e.name), &e);
    }
    return good && unpack_end(&in);
}

/* ---- does it fit ---- */

static bool upgrade_branch_fits(struct node *n, const struct upgrade_branch *m, void *ctx)
{
    (void)ctx;
    (void)m;
    return n == NULL || n->kind == NODE_BRANCH;
}

struct upgrade_look {
    struct master *m;
    struct buffer *error;
};

/* A temporary child is in no configuration: it gets its place back here. */
static bool upgrade_worker_fits(struct node *n, const struct upgrade_worker *m, void *ctx)
{
    struct upgrade_look *look = ctx;
    if (m->owner.len > 0 && m->pid != 0)
        n = child_adopt(look->m, m->name, m->owner, m->program, m->argument);
    if (m->pid == 0 || (n != NULL && n->kind == NODE_WORKER))
        return true;
    buffer_printf(look->error,
                  "%.*s runs and has no place in the configuration: platoonctl reload first\n",
                  (int)m->name.len, m->name.ptr);
    return false;
}

bool upgrade_fits(const struct upgrade *u, struct master *m, struct buffer *error)
{
    struct upgrade_look look = {m, error};
    size_t before = error->len;
    if (upgrade_each(u, m->root, upgrade_branch_fits, upgrade_worker_fits, &look))
        return true;
    if (error->len == before)
        buffer_printf(error, "the running master's state is damaged\n");
    return false;
}

/* ---- adopting ---- */

static bool upgrade_adopt_branch(struct node *n, const struct upgrade_branch *m, void *ctx)
{
    (void)ctx;
    if (n == NULL)
        return true;
    n->wanted_up = m->wanted != 0;
    n->restarts = m->restarts;
    n->failures = m->failures;
    n->state_since_ms = m->state_since_ms;
    n->next_start_ms = m->next_start_ms;
    n->change = NODE_UNCHANGED;
    return true;
}

/* Older masters have cut such texts inside a character. */
static void upgrade_take_text(struct slice from, char *to, size_t size)
{
    slice_copy(from, to, size);
    utf8_mend(to);
}

static void upgrade_take_history(struct node *n, const struct upgrade_worker *m)
{
    n->state = m->state <= NODE_FATAL ? (enum node_state)m->state : NODE_STOPPED;
    n->wanted_up = m->wanted != 0;
    n->finished = m->finished != 0;
    n->was_ready = m->was_ready != 0;
    n->ready_at_ms = m->ready_at_ms;
    n->generation = m->generation;
    n->restarts = m->restarts;
    n->failures = m->failures;
    n->state_since_ms = m->state_since_ms;
    n->started_ms = m->started_ms;
    n->next_start_ms = m->next_start_ms;
    slice_copy(m->address, n->address, sizeof n->address);
    upgrade_take_text(m->last_exit, n->last_exit, sizeof n->last_exit);
    upgrade_take_text(m->doing, n->doing, sizeof n->doing);
    upgrade_take_text(m->trouble, n->trouble, sizeof n->trouble);
}

static void upgrade_close_on_exec(uint64_t fd)
{
    if (fd > 0)
        fcntl((int)fd - 1, F_SETFD, FD_CLOEXEC);
}

static bool upgrade_adopt_worker(struct node *n, const struct upgrade_worker *m, void *ctx)
{
    (void)ctx;
    upgrade_close_on_exec(m->pidfd);
    upgrade_close_on_exec(m->link_fd);
    upgrade_close_on_exec(m->output_fd);
    if (n == NULL)
        return true; /* it had no process: upgrade_fits has seen to it */
    upgrade_take_history(n, m);
    n->change = config_settings_still(m->settings, buffer_slice(&n->settings)) ? NODE_UNCHANGED
                                                                               : NODE_CHANGED;
    int rc = m->pid != 0 ? process_adopt(n, m) : 0;
    if (rc != 0) {
        log_error("adopt", "name=%s pid=%" PRIu64 " cause=%s", n->name, m->pid,
                  log_quote_text(strerror(-rc)));
        kill(-(pid_t)m->pid, SIGKILL);
        n->state = NODE_STOPPED;
    }
    return true;
}

/* What the state does not name is new; upgrade_adopt_* take that back for all that it names. */
static void upgrade_call_new(struct node *n)
{
    n->change = NODE_ADDED;
    for (size_t i = 0; i < n->child_count; i++)
        upgrade_call_new(n->children[i]);
}

void upgrade_restore(const struct upgrade *u)
{
    logs_restore(u->lines, u->last_line);
    events_restore(u->events, u->last_event);
}

void upgrade_adopt(const struct upgrade *u, struct master *m)
{
    m->started_ms = u->started_ms;
    m->upgrades = u->upgrades;
    process_set_last_request(u->request_id);
    child_set_last_generation(u->children);
    upgrade_call_new(m->root);
    m->root->change = NODE_UNCHANGED;
    upgrade_each(u, m->root, upgrade_adopt_branch, upgrade_adopt_worker, NULL);
    supervisor_merged();
}
