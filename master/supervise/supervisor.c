/*
 * supervisor.c: brings the tree to what is wanted, one pass at a time. See supervisor.h.
 *
 * A pass (supervisor_step) first stops what must be down, last started first, then frees groups that were stopped to be started
 * again (`cycle`), then starts what is wanted, in order, each sibling after the ones before it are READY or have failed once. Workers of one pool go together.
 * Events only note facts and ask for a pass; so nothing depends on the order in which orders and deaths arrive.
 */
#include "master/supervise/supervisor.h"

#include "common/log.h"
#include "master/tree/state.h"

#include <stdio.h>
#include <string.h>

static struct {
    struct node *root;
    const struct supervisor_ops *ops;
    struct supervisor_settings settings;
    uv_timer_t timer;
    bool running;
    bool in_step;
    bool again;   /* an event came in during a pass */
    bool changed; /* since the watches were last called */
    /* What a pass may leave out while nothing is so: with a thousand workers each look at all of them counts. */
    bool stopping; /* somebody may have to go */
    bool cycling;  /* somebody carries a cycle */
    bool retiring; /* somebody has retired */
    struct supervisor_watch *watches;
} supervisor;

static uint64_t supervisor_now(void)
{
    return supervisor.settings.now_ms();
}

/* ---- when the next pass runs ---- */

static void supervisor_on_timer(uv_timer_t *timer)
{
    (void)timer;
    supervisor_step();
}

static void supervisor_soon(void)
{
    if (supervisor.in_step)
        supervisor.again = true;
    else if (supervisor.running)
        uv_timer_start(&supervisor.timer, supervisor_on_timer, 0, 0);
}

static void supervisor_min_due(const struct node *n, uint64_t passed, uint64_t *due)
{
    bool waits = n->next_start_ms > passed && (n->kind == NODE_BRANCH || n->state == NODE_BACKOFF);
    if (waits && n->next_start_ms < *due)
        *due = n->next_start_ms;
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_min_due(n->children[i], passed, due);
}

/* `passed`: the time of the last pass. What has come due since then was not started by it, and nobody else would. */
static void supervisor_schedule(uint64_t passed)
{
    uint64_t now = supervisor_now();
    uint64_t due = UINT64_MAX;
    supervisor_min_due(supervisor.root, passed, &due);
    if (due != UINT64_MAX)
        uv_timer_start(&supervisor.timer, supervisor_on_timer, due > now ? due - now : 0, 0);
}

/* ---- down ---- */

static bool supervisor_must_be_down(const struct node *n)
{
    return !n->wanted_up || n->cycle != NULL;
}

static void supervisor_move(struct node *worker, enum state_event event)
{
    if (state_move(worker, event, supervisor_now()))
        supervisor.changed = true;
}

/* Stops one worker unless something that was started after it still has to go. Returns true while its process is there. */
static bool supervisor_stop_worker(struct node *n, bool blocked)
{
    if (n->process == NULL) {
        if (n->state != NODE_STOPPED && (n->state != NODE_FATAL || n->cycle != NULL))
            supervisor_move(n, STATE_EVENT_CANCEL);
        return false;
    }
    if (n->state != NODE_DRAINING && !blocked) {
        supervisor_move(n, STATE_EVENT_STOP);
        supervisor.ops->stop(n);
    }
    return true;
}

/* Workers of one pool do not wait for each other, neither up nor down: a thousand of them would take a thousand times as long. */
static bool supervisor_is_pool(const struct node *a, const struct node *b)
{
    return a->pool != 0 && a->pool == b->pool;
}

/* In reverse start order. Returns true when some process at or below n, or later than n, has yet to go. */
static bool supervisor_stop_pass(struct node *n, bool blocked)
{
    if (n->kind == NODE_WORKER)
        return (supervisor_must_be_down(n) && supervisor_stop_worker(n, blocked)) || blocked;
    bool before_pool = blocked;
    for (size_t i = n->child_count; i > 0; i--) {
        if (i == n->child_count || !supervisor_is_pool(n->children[i - 1], n->children[i]))
            before_pool = blocked;
        blocked = supervisor_stop_pass(n->children[i - 1], before_pool) || blocked;
    }
    return blocked;
}

/* ---- groups that go down together before any of them comes up again ---- */

static void supervisor_mark(struct node *n, const struct node *mark)
{
    if (n->kind == NODE_WORKER) {
        if (n->child && n != mark)
            return; /* when its owner goes it goes, for good */
        if (n->wanted_up &&
            (n->process != NULL || n->state == NODE_BACKOFF || n->state == NODE_FATAL)) {
            n->cycle = mark;
            supervisor.stopping = supervisor.cycling = true;
        }
        return;
    }
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_mark(n->children[i], mark);
}

static bool supervisor_mark_is_busy(const struct node *n, const struct node *mark)
{
    if (n->kind == NODE_WORKER)
        return n->cycle == mark && n->process != NULL;
    for (size_t i = 0; i < n->child_count; i++)
        if (supervisor_mark_is_busy(n->children[i], mark))
            return true;
    return false;
}

/* Returns true while a cycle is left. */
static bool supervisor_unmark(struct node *n)
{
    if (n->kind == NODE_WORKER && n->cycle != NULL &&
        !supervisor_mark_is_busy(supervisor.root, n->cycle)) {
        n->cycle = NULL;
        supervisor.changed = true;
    }
    bool left = n->cycle != NULL;
    for (size_t i = 0; i < n->child_count; i++)
        left = supervisor_unmark(n->children[i]) || left;
    return left;
}

bool supervisor_is_restarting(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return n->cycle != NULL;
    for (size_t i = 0; i < n->child_count; i++)
        if (supervisor_is_restarting(n->children[i]))
            return true;
    return false;
}

/* ---- gone from the configuration ---- */

static void supervisor_unmark_by(struct node *n, const struct node *mark)
{
    if (n->cycle == mark)
        n->cycle = NULL;
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_unmark_by(n->children[i], mark);
}

static void supervisor_forget(struct node *n)
{
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_forget(n->children[i]);
    supervisor_unmark_by(supervisor.root, n);
    if (supervisor.ops->forget != NULL)
        supervisor.ops->forget(n);
}

/*
 * Frees what has retired and is stopped: out of the list first, because to forget a node means to walk the tree. Returns true while somebody who has
 * retired is left.
 */
static bool supervisor_sweep(struct node *n)
{
    struct node *gone = NULL;
    size_t kept = 0;
    bool left = false;
    for (size_t i = 0; i < n->child_count; i++) {
        struct node *child = n->children[i];
        if (!child->retired || !node_is_stopped(child)) {
            left = supervisor_sweep(child) || child->retired || left;
            n->children[kept++] = child;
            continue;
        }
        child->twin = gone;
        gone = child;
    }
    n->child_count = kept;
    while (gone != NULL) {
        struct node *child = gone;
        gone = child->twin;
        supervisor_forget(child);
        log_info("node-removed", "name=%s", child->name);
        tree_free(child);
        supervisor.changed = true;
    }
    return left;
}

/* ---- up ---- */

static void supervisor_died(struct node *n, int code);

/* Its one life is over, or its owner's. */
static void supervisor_retire_child(struct node *n)
{
    n->retired = true;
    n->wanted_up = false;
    n->cycle = NULL;
    supervisor.retiring = supervisor.stopping = true;
}

/* An incarnation's temporary children die with it. */
static void supervisor_retire_children(const struct node *owner)
{
    struct node *parent = owner->parent;
    for (size_t i = 0; parent->has_children && i < parent->child_count; i++)
        if (parent->children[i]->child && strcmp(parent->children[i]->owner, owner->name) == 0)
            supervisor_retire_child(parent->children[i]);
}

static void supervisor_spawn(struct node *n)
{
    supervisor_move(n, STATE_EVENT_SPAWN);
    n->was_ready = false;
    n->finished = false;
    n->next_start_ms = 0;
    int rc = supervisor.ops->spawn(n);
    if (rc == 0) {
        n->restarts += n->generation > 1 && !n->child;
        return;
    }
    snprintf(n->last_exit, sizeof n->last_exit, "could not be started: %s", strerror(-rc));
    log_error("worker-spawn", "name=%s cause=%s", n->name, log_quote_text(strerror(-rc)));
    if (n->child) {
        n->generation++; /* its owner has been told this one */
        supervisor.ops->down(n, n->last_exit);
    }
    supervisor_died(n, CONTRACT_EXIT_TEMPORARY);
}

/* For what stands in its `after`; the tree shows what that is. */
static bool supervisor_must_wait(struct node *n)
{
    for (size_t i = 0; i < n->after_count; i++) {
        if (node_is_ready(n->after[i]))
            continue;
        snprintf(n->doing, sizeof n->doing, "waits for %s", n->after[i]->name);
        return true;
    }
    return false;
}

/*
 * Returns true when the next sibling may start: n is READY, is not to run, waits for something outside of the order, or has failed and must not hold
 * up the rest (except under one_for_one it does: what comes after depends on it).
 */
static bool supervisor_start_worker(struct node *n, uint64_t now)
{
    if (supervisor_must_be_down(n) || n->state == NODE_FATAL)
        return true;
    if (n->state == NODE_STOPPED)
        supervisor_move(n, STATE_EVENT_WANT);
    if (n->process == NULL && supervisor_must_wait(n))
        return true;
    bool due = n->state == NODE_STARTING || (n->state == NODE_BACKOFF && n->next_start_ms <= now);
    if (n->process == NULL && due)
        supervisor_spawn(n);
    return n->state == NODE_READY || (n->failures > 0 && n->parent->strategy == POLICY_ONE_FOR_ONE);
}

static bool supervisor_start_pass(struct node *n, uint64_t now)
{
    if (n->kind == NODE_WORKER)
        return supervisor_start_worker(n, now);
    if (n->next_start_ms > now)
        return n->parent == NULL ||
               n->parent->strategy == POLICY_ONE_FOR_ONE; /* its restart waits */
    n->next_start_ms = 0;
    bool ready = true, blocked = false;
    for (size_t i = 0; i < n->child_count; i++) {
        struct node *child = n->children[i];
        if (child->child) { /* stands behind all others, and waits for none of them */
            supervisor_start_pass(child, now);
            continue;
        }
        blocked = blocked || (!ready && !supervisor_is_pool(n->children[i - 1], child));
        if (blocked && !n->has_children)
            return false;
        ready = !blocked && supervisor_start_pass(child, now) && ready;
    }
    return ready;
}

/* ---- a death ---- */

/* rest_for_one: what was started after n, under the same supervisor, is stopped and started again after it. */
static void supervisor_restart_rest(struct node *n)
{
    struct node *parent = n->parent;
    bool later = false;
    for (size_t i = 0; i < parent->child_count; i++) {
        if (later)
            supervisor_mark(parent->children[i], n);
        later = later || parent->children[i] == n;
    }
}

/* one_for_all: all of them go down, and come up again in order when the pause is over. */
static void supervisor_restart_all(struct node *n, uint64_t delay)
{
    struct node *parent = n->parent;
    supervisor_mark(parent, n);
    if (n->kind == NODE_WORKER)
        n->cycle = n; /* it has gone already, and waits for the others to go */
    supervisor.stopping = supervisor.cycling = true;
    parent->next_start_ms = supervisor_now() + delay;
}

/* The branch's own back-off takes the place of its workers': they start in order again, as if for the first time. */
static void supervisor_clear_failures(struct node *worker, void *ctx)
{
    (void)ctx;
    worker->failures = 0;
}

/* Too many deaths under `branch`: all of it goes down, and its parent decides as if it had died. At the root: wait, try again. */
static void supervisor_escalate(struct node *branch)
{
    const struct policy_limits *l = &supervisor.settings.limits;
    uint64_t now = supervisor_now();
    policy_window_clear(&branch->window);
    supervisor_mark(branch, branch);
    tree_each_worker(branch, supervisor_clear_failures, NULL);
    branch->restarts++;
    /* A branch that has run since its last restart for longer than any pause starts its back-off anew. */
    bool stable = now - branch->state_since_ms > l->backoff_max_ms + l->stable_after_ms;
    branch->failures = stable ? 1 : branch->failures + 1;
    branch->state_since_ms = now;
    struct node *parent = branch->parent;
    if (parent == NULL && supervisor.settings.on_fatal != NULL) {
        log_error("tree-fatal", "name=%s remedy=\"on_fatal = exit: platoon ends\"", branch->name);
        supervisor.settings.on_fatal();
        return;
    }
    if (parent == NULL) {
        branch->next_start_ms = now + l->backoff_max_ms;
        log_error("tree-fatal", "name=%s next_try_ms=%llu remedy=\"see: platoonctl status\"",
                  branch->name, (unsigned long long)l->backoff_max_ms);
        return;
    }
    if (!policy_window_add(&parent->window, now)) {
        supervisor_escalate(parent);
        return;
    }
    uint64_t delay = policy_backoff(l, branch->failures, false, supervisor.settings.random());
    branch->next_start_ms = now + delay;
    log_error("branch-restart",
              "name=%s cause=\"more deaths than its intensity allows\" next_try_ms=%llu",
              branch->name, (unsigned long long)delay);
    if (parent->strategy == POLICY_REST_FOR_ONE)
        supervisor_restart_rest(branch);
    else if (parent->strategy == POLICY_ONE_FOR_ALL)
        supervisor_restart_all(branch, delay);
}

static void supervisor_retry(struct node *n, uint64_t delay)
{
    supervisor_move(n, STATE_EVENT_RETRY);
    n->next_start_ms = supervisor_now() + delay;
}

static void supervisor_died(struct node *n, int code)
{
    if (n->child) {
        supervisor_move(n, STATE_EVENT_GONE);
        supervisor_retire_child(n);
        return;
    }
    uint64_t now = supervisor_now();
    struct policy_death death = {
        .code = code,
        .was_ready = n->was_ready,
        .ready_for_ms = n->was_ready ? now - n->ready_at_ms : 0,
        .restart = n->restart,
        .strategy = n->parent->strategy,
        .random = supervisor.settings.random(),
    };
    struct policy_verdict verdict =
        policy_judge(&n->limits, &death, &n->parent->window, &n->failures, now);
    switch (verdict.action) {
    case POLICY_RESTART_REST:
        supervisor_restart_rest(n);
        supervisor_retry(n, verdict.delay_ms);
        break;
    case POLICY_RESTART_ALL:
        supervisor_move(n, STATE_EVENT_GONE);
        supervisor_restart_all(n, verdict.delay_ms);
        break;
    case POLICY_RESTART:
        supervisor_retry(n, verdict.delay_ms);
        break;
    case POLICY_ESCALATE:
        supervisor_move(n, STATE_EVENT_GONE);
        supervisor_escalate(n->parent);
        break;
    case POLICY_FATAL:
        supervisor_move(n, STATE_EVENT_GIVE_UP);
        break;
    case POLICY_STAY_DOWN:
        n->wanted_up = false;
        n->finished = code == CONTRACT_EXIT_DONE;
        snprintf(n->doing, sizeof n->doing,
                 n->finished ? "finished" : "ended, and is not restarted");
        supervisor_move(n, STATE_EVENT_GONE);
        break;
    }
}

/* ---- events ---- */

void supervisor_on_ready(struct node *n)
{
    if (n->state != NODE_STARTING)
        return; /* told to stop meanwhile */
    n->was_ready = true;
    n->ready_at_ms = supervisor_now();
    supervisor_move(n, STATE_EVENT_READY);
    supervisor.ops->up(n);
    supervisor_soon();
}

void supervisor_on_fault(struct node *n, enum supervisor_fault fault)
{
    static const char *const causes[] = {
        [SUPERVISOR_READY_TIMEOUT] = "it did not get ready in time",
        [SUPERVISOR_HANG] = "it has not been heard of for too long",
        [SUPERVISOR_GARBAGE] = "what it said cannot be read",
        [SUPERVISOR_UNTOLD] = "the master had no memory to tell it what it must know",
    };
    log_warn("worker-killed", "name=%s generation=%llu cause=\"%s\"", n->name,
             (unsigned long long)n->generation, causes[fault]);
}

void supervisor_on_exit(struct node *n, int code)
{
    if (n->was_ready || n->child)
        supervisor.ops->down(n, n->last_exit);
    supervisor_retire_children(n);
    if (n->child && n->cycle == NULL)
        supervisor_retire_child(n);
    if (n->state == NODE_DRAINING)
        supervisor_move(n, STATE_EVENT_GONE);
    else if (supervisor_must_be_down(n))
        supervisor_move(n, STATE_EVENT_GONE); /* died while it waited to be told to stop */
    else
        supervisor_died(n, code);
    supervisor.changed = true;
    supervisor_soon();
}

/* ---- orders ---- */

/* An order of a person's forgets the past: no back-off is left over from it. */
static void supervisor_forgive(struct node *n)
{
    n->failures = 0;
    n->next_start_ms = 0;
    if (n->kind == NODE_BRANCH)
        policy_window_clear(&n->window);
}

static void supervisor_want(struct node *n, bool up)
{
    n->wanted_up = up && !n->retired;
    n->finished = false;
    supervisor_forgive(n);
    if (up && n->kind == NODE_WORKER && n->state == NODE_FATAL)
        supervisor_move(n, STATE_EVENT_WANT);
    if (!up) {
        n->cycle = NULL;
        supervisor.stopping = true;
    }
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_want(n->children[i], up);
}

void supervisor_start(struct node *n)
{
    supervisor_want(n, true);
    for (struct node *above = n->parent; above != NULL; above = above->parent)
        above->wanted_up = true;
    supervisor.changed = true;
    supervisor_soon();
}

void supervisor_stop(struct node *n)
{
    supervisor_want(n, false);
    supervisor.changed = true;
    supervisor_soon();
}

void supervisor_restart(struct node *n)
{
    supervisor_start(n);
    supervisor_mark(n, n);
}

static void supervisor_force_worker(struct node *n, void *ctx)
{
    (void)ctx;
    if (n->process != NULL)
        supervisor.ops->force(n);
}

void supervisor_force(void)
{
    supervisor_stop(supervisor.root);
    tree_each_worker(supervisor.root, supervisor_force_worker, NULL);
}

/* ---- reload ---- */

static void supervisor_take(struct node *n)
{
    bool wanted = n->parent == NULL || n->parent->wanted_up;
    if (n->retired) {
        supervisor_want(n, false);
        return;
    }
    if (n->change == NODE_ADDED && wanted)
        supervisor_want(n, true);
    if (n->change == NODE_ADDED && wanted && n->process != NULL)
        supervisor_mark(n, n); /* it had retired, and is back before it was gone */
    if (n->change == NODE_CHANGED && (n->wanted_up || n->finished)) {
        supervisor_want(n, true);
        supervisor_mark(n, n);
    }
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_take(n->children[i]);
}

void supervisor_merged(void)
{
    supervisor_take(supervisor.root);
    supervisor.retiring = supervisor.stopping = true;
    supervisor.changed = true;
    supervisor_soon();
}

bool supervisor_is_merging(const struct node *n)
{
    bool fresh = n->kind == NODE_WORKER && n->change != NODE_UNCHANGED && n->wanted_up;
    if (n->retired || (fresh && (!node_is_ready(n) || n->cycle != NULL)))
        return true;
    for (size_t i = 0; i < n->child_count; i++)
        if (supervisor_is_merging(n->children[i]))
            return true;
    return false;
}

void supervisor_set_limits(const struct policy_limits *limits)
{
    supervisor.settings.limits = *limits;
}

void supervisor_set_on_fatal(void (*on_fatal)(void))
{
    supervisor.settings.on_fatal = on_fatal;
}

/* ---- watches, life ---- */

void supervisor_watch_add(struct supervisor_watch *w)
{
    w->next = supervisor.watches;
    supervisor.watches = w;
}

void supervisor_watch_remove(struct supervisor_watch *w)
{
    for (struct supervisor_watch **at = &supervisor.watches; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

static bool supervisor_is_watch(const struct supervisor_watch *w)
{
    for (const struct supervisor_watch *at = supervisor.watches; at != NULL; at = at->next)
        if (at == w)
            return true;
    return false;
}

/* A watch may remove itself, or another: after each call the list is looked at anew instead of being walked on. */
static void supervisor_tell(void)
{
    struct supervisor_watch *w = supervisor.watches;
    while (w != NULL) {
        struct supervisor_watch *next = w->next;
        w->on_change(w->ctx);
        w = next != NULL && supervisor_is_watch(next) ? next : NULL;
    }
}

void supervisor_step(void)
{
    if (supervisor.in_step)
        return;
    uint64_t now;
    do {
        supervisor.in_step = true;
        supervisor.again = false;
        if (supervisor.stopping)
            supervisor.stopping = supervisor_stop_pass(supervisor.root, false);
        if (supervisor.cycling)
            supervisor.cycling = supervisor_unmark(supervisor.root);
        if (supervisor.retiring)
            supervisor.retiring = supervisor_sweep(supervisor.root);
        now = supervisor_now();
        supervisor_start_pass(supervisor.root, now);
        supervisor.in_step = false;
    } while (supervisor.again);
    if (supervisor.running)
        supervisor_schedule(now);
    if (supervisor.changed) {
        supervisor.changed = false;
        supervisor_tell();
    }
}

int supervisor_init(uv_loop_t *loop, struct node *root, const struct supervisor_ops *ops,
                    const struct supervisor_settings *settings)
{
    memset(&supervisor, 0, sizeof supervisor);
    supervisor.root = root;
    supervisor.ops = ops;
    supervisor.settings = *settings;
    int rc = uv_timer_init(loop, &supervisor.timer);
    supervisor.running = rc == 0;
    return rc;
}

void supervisor_fini(void)
{
    if (!supervisor.running)
        return;
    supervisor.running = false;
    uv_close((uv_handle_t *)&supervisor.timer, NULL);
}
