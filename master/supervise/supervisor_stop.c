/*
 * supervisor_stop.c: the pass that stops what must be down: last started first, one after the other, a pool
 * at once. See supervisor.h.
 */
#include "master/supervise/supervisor_private.h"

bool supervisor_must_be_down(const struct node *n)
{
    return !n->wanted_up || n->cycle != NULL;
}

/*
 * Stops one worker unless something that was started after it still has to go. Returns true while its process is there.
 */
static bool supervisor_stop_worker(struct node *n, bool blocked)
{
    if (n->process == NULL) {
        bool waits = n->wanted_up && n->state == NODE_STARTING; /* its turn comes later */
        bool rests = n->state == NODE_STOPPED || (n->state == NODE_FATAL && n->cycle == NULL);
        if (!waits && !rests)
            supervisor_move(n, STATE_EVENT_CANCEL);
        return false;
    }
    if (n->state != NODE_DRAINING && blocked) {
        supervisor.stopping = true; /* it will have to be told */
    } else if (n->state != NODE_DRAINING) {
        supervisor_move(n, STATE_EVENT_STOP);
        supervisor.ops->stop(n);
    }
    return true;
}

bool supervisor_is_pool(const struct node *a, const struct node *b)
{
    return a->pool != 0 && a->pool == b->pool;
}

bool supervisor_stop_pass(struct node *n, bool blocked)
{
    supervisor.visits++;
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
