/*
 * supervisor.c: when a pass over the tree runs, and who hears of it. See supervisor.h.
 *
 * A pass (supervisor_step) first stops what must be down, last started first, then frees groups that were stopped to be
 * started again (`cycle`), then starts what is wanted, in order, each sibling after the ones before it are READY or
 * have failed once. Workers of one pool go together, but a thousand births take a second: a pass starts as many as it
 * can in POLICY_SLICE_MS and leaves the others to the next turn of the loop, so that everybody is answered meanwhile;
 * and no more than can begin at once (POLICY_NEWBORNS), the others when those have said HELLO.
 * Events only note facts and ask for a pass; so nothing depends on the order in which orders and deaths arrive.
 */
#include "master/supervise/supervisor_private.h"

#include "common/log.h"

#include <string.h>

struct supervisor_state supervisor;

uint64_t supervisor_now(void)
{
    return supervisor.settings.now_ms();
}

/* ---- when the next pass runs ---- */

static void supervisor_on_timer(uv_timer_t *timer)
{
    (void)timer;
    supervisor_step();
}

void supervisor_ask(bool start)
{
    supervisor.starting = supervisor.starting || start;
    if (supervisor.in_step)
        supervisor.again = true;
    else if (supervisor.running)
        uv_timer_start(&supervisor.timer, supervisor_on_timer, 0, 0);
}

void supervisor_soon(void)
{
    supervisor_ask(true);
}

/* It has been READY for long enough; until then, when that will be. */
static void supervisor_settle(struct node *n, uint64_t passed, uint64_t *due)
{
    uint64_t at = n->ready_at_ms + n->limits.stable_after_ms;
    if (at > passed) {
        *due = at < *due ? at : *due;
        return;
    }
    n->unstable = false;
    n->deaths = 0;
    supervisor.changed = true;
    log_info("worker-stable", "name=%s ready_for_ms=%llu", n->name,
             (unsigned long long)(passed - n->ready_at_ms));
}

static void supervisor_min_due(struct node *n, uint64_t passed, uint64_t *due)
{
    supervisor.visits++;
    if (n->unstable && n->state == NODE_READY)
        supervisor_settle(n, passed, due);
    bool waits = n->next_start_ms > passed && (n->kind == NODE_BRANCH || n->state == NODE_BACKOFF);
    if (waits && n->next_start_ms < *due)
        *due = n->next_start_ms;
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_min_due(n->children[i], passed, due);
}

/* After a slice 1 ms, for one of 0 fires again before the loop looks at anything else (libuv up to 1.44). */
static void supervisor_schedule(uint64_t now)
{
    uint64_t due = supervisor.due_ms, least = supervisor.cut ? 1 : 0;
    if (due != UINT64_MAX)
        uv_timer_start(&supervisor.timer, supervisor_on_timer,
                       due > now + least ? due - now : least, 0);
}

/* ---- what happens to a worker ---- */

void supervisor_move(struct node *worker, enum state_event event)
{
    enum node_state from = worker->state;
    if (!state_move(worker, event, supervisor_now())) {
        log_error("worker-state-illegal", "name=%s state=%s event=%s", worker->name,
                  node_state_name(from), state_event_name(event));
        return;
    }
    supervisor.changed = true;
    if (worker->state == from)
        return;
    log_info("worker-state", "name=%s from=%s to=%s event=%s generation=%llu", worker->name,
             node_state_name(from), node_state_name(worker->state), state_event_name(event),
             (unsigned long long)worker->generation);
    if (supervisor.ops->moved != NULL)
        supervisor.ops->moved(worker, from, event);
}

void supervisor_on_hello(struct node *n)
{
    supervisor_note_hello(n);
}

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

void supervisor_on_trouble(void)
{
    supervisor.changed = true;
    supervisor_ask(false);
}

/* ---- settings, watches ---- */

void supervisor_set_limits(const struct policy_limits *limits)
{
    supervisor.settings.limits = *limits;
}

void supervisor_set_on_fatal(void (*on_fatal)(void))
{
    supervisor.settings.on_fatal = on_fatal;
}

void supervisor_watch_add(struct supervisor_watch *w)
{
    w->next = supervisor.watches;
    supervisor.watches = w;
}

void supervisor_watch_remove(struct supervisor_watch *w)
{
    if (supervisor.told_next == w)
        supervisor.told_next = w->next;
    for (struct supervisor_watch **at = &supervisor.watches; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

/* A watch may remove itself, or any other, the next one too: supervisor_watch_remove moves on past it. */
static void supervisor_tell(void)
{
    for (struct supervisor_watch *w = supervisor.watches; w != NULL; w = supervisor.told_next) {
        supervisor.told_next = w->next;
        w->on_change(w->ctx);
    }
}

/* ---- a pass ---- */

static void supervisor_pass(uint64_t now)
{
    if (supervisor.stopping) {
        supervisor.stopping = false;
        supervisor_stop_pass(supervisor.root, false);
    }
    if (supervisor.cycling) {
        supervisor.cycling = false;
        supervisor_unmark(supervisor.root);
    }
    if (supervisor.retiring)
        supervisor.retiring = supervisor_sweep(supervisor.root);
    if (!supervisor.starting && now < supervisor.due_ms)
        return;
    supervisor.starting = supervisor.cut = supervisor.crowded = false;
    supervisor_start_pass(supervisor.root, now);
    /* From the pass's own time: what has come due since then was not started by it, and nobody else would. */
    supervisor.due_ms = UINT64_MAX;
    supervisor_min_due(supervisor.root, now, &supervisor.due_ms);
    uint64_t silent_ms = supervisor.born_ms + POLICY_NEWBORN_MS;
    if (supervisor.crowded && silent_ms < supervisor.due_ms)
        supervisor.due_ms = silent_ms;
    if (!supervisor.cut)
        return;
    supervisor.starting = true;
    supervisor.due_ms = now;
}

void supervisor_step(void)
{
    if (supervisor.in_step)
        return;
    supervisor.slice_starts = 0;
    supervisor.slice_end_ms = supervisor_now() + POLICY_SLICE_MS;
    do {
        supervisor.in_step = true;
        supervisor.again = false;
        supervisor_pass(supervisor_now());
        supervisor.in_step = false;
    } while (supervisor.again);
    if (supervisor.running)
        supervisor_schedule(supervisor_now());
    if (supervisor.changed) {
        supervisor.changed = false;
        supervisor_tell();
    }
}

/* ---- life ---- */

uint64_t supervisor_visits(void)
{
    return supervisor.visits;
}

int supervisor_init(uv_loop_t *loop, struct node *root, const struct supervisor_ops *ops,
                    const struct supervisor_settings *settings)
{
    memset(&supervisor, 0, sizeof supervisor);
    supervisor.root = root;
    supervisor.ops = ops;
    supervisor.settings = *settings;
    supervisor.starting = true;
    supervisor.newborn_count = 1;
    supervisor.due_ms = UINT64_MAX;
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
