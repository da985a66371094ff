/*
 * supervisor_retire.c: who is never started again, and leaves the tree: temporary children, and what is gone from the
 * configuration. See supervisor.h.
 */
#include "master/supervise/supervisor_private.h"

#include "common/log.h"

void supervisor_retire_child(struct node *n)
{
    n->retired = true;
    n->wanted_up = false;
    supervisor_set_cycle(n, NULL);
    supervisor.retiring = supervisor.stopping = true;
}

void supervisor_retire_children(const struct node *owner)
{
    struct node *parent = owner->parent;
    for (size_t i = 0; parent->has_children && i < parent->child_count; i++)
        if (parent->children[i]->child && strcmp(parent->children[i]->owner, owner->name) == 0)
            supervisor_retire_child(parent->children[i]);
}

static void supervisor_unmark_by(struct node *n, const struct node *mark)
{
    if (n->cycle == mark)
        supervisor_set_cycle(n, NULL);
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

bool supervisor_sweep(struct node *n)
{
    supervisor.visits++;
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
        supervisor.changed = supervisor.starting = true;
    }
    return left;
}
