/*
 * supervisor_cycle.c: groups that go down together before any of them comes up again. See supervisor.h.
 *
 * Who is in such a group points to its mark: the worker or branch for whose sake it goes. The mark
 * counts who has yet to go.
 */
#include "master/supervise/supervisor_private.h"

/*
 * Its process is gone, or it leaves the cycle: the mark counts who has yet to go, because to look for them at each
 * death would take a thousand times a thousand looks.
 */
void supervisor_uncount(struct node *n)
{
    if (n->cycle_counted && --n->cycle->cycle_busy == 0)
        supervisor.cycling = true;
    n->cycle_counted = false;
}

void supervisor_set_cycle(struct node *n, struct node *mark)
{
    supervisor_uncount(n);
    n->cycle = mark;
    n->cycle_counted = mark != NULL && n->process != NULL;
    if (n->cycle_counted)
        mark->cycle_busy++;
}

void supervisor_mark(struct node *n, struct node *mark)
{
    if (n->kind == NODE_WORKER) {
        if (n->child && n != mark)
            return; /* when its owner goes it goes, for good */
        if (n->wanted_up) {
            supervisor_set_cycle(n, mark);
            supervisor.stopping = supervisor.cycling = true;
        }
        return;
    }
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_mark(n->children[i], mark);
}

void supervisor_unmark(struct node *n)
{
    supervisor.visits++;
    if (n->cycle != NULL && n->cycle->cycle_busy == 0) {
        n->cycle = NULL;
        supervisor.changed = supervisor.starting = true;
    }
    for (size_t i = 0; i < n->child_count; i++)
        supervisor_unmark(n->children[i]);
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
