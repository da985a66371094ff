/*
 * supervisor_orders.c: orders and reloads: they change what is wanted, and a pass does the rest. See supervisor.h.
 */
#include "master/supervise/supervisor_private.h"

/* An order of a person's forgets the past: no back-off is left over from it. */
static void supervisor_forgive(struct node *n)
{
    n->failures = n->deaths = 0;
    n->unstable = false;
    n->next_start_ms = 0;
    if (n->kind == NODE_BRANCH)
        policy_window_clear(&n->window);
}

static void supervisor_want(struct node *n, bool up)
{
    n->wanted_up = up && !n->retired;
    n->finished = n->ended = false;
    supervisor_forgive(n);
    if (up && n->kind == NODE_WORKER && n->state == NODE_FATAL)
        supervisor_move(n, STATE_EVENT_WANT);
    if (!up) {
        supervisor_set_cycle(n, NULL);
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
    bool arrived = node_is_up(n) && n->cycle == NULL;
    if (n->retired || (fresh && !arrived && node_hopeless(n) == NULL))
        return true;
    for (size_t i = 0; i < n->child_count; i++)
        if (supervisor_is_merging(n->children[i]))
            return true;
    return false;
}
