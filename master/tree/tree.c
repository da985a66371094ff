/* tree.c: look-ups in the tree. See tree.h. */
#include "master/tree/tree.h"

#include "common/text.h"

#include <stdlib.h>

const char *node_state_name(enum node_state state)
{
    static const char *const names[] = {
#define X(NAME, doc) [NODE_##NAME] = #NAME,
        NODE_STATE_LIST(X)
#undef X
    };
    return names[state];
}

enum node_state node_state(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return n->state;
    enum node_state worst = NODE_READY;
    for (size_t i = 0; i < n->child_count; i++) {
        enum node_state state = node_state(n->children[i]);
        if (state > worst && !n->children[i]->finished && !n->children[i]->child)
            worst = state;
    }
    return worst;
}

bool node_is_up(const struct node *n)
{
    return n->finished || node_state(n) == NODE_READY;
}

const struct node *node_hopeless(const struct node *n)
{
    const struct node *who = NULL;
    for (size_t i = 0; who == NULL && i < n->child_count; i++)
        who = node_hopeless(n->children[i]);
    if (who != NULL || n->kind != NODE_WORKER || n->process != NULL || n->cycle != NULL || n->child)
        return who;
    if (n->state == NODE_FATAL || (n->state == NODE_STOPPED && n->ended))
        return n;
    for (size_t i = 0; n->wanted_up && who == NULL && i < n->after_count; i++)
        who = node_hopeless(n->after[i]);
    return who;
}

bool node_is_stable(const struct node *n)
{
    for (size_t i = 0; i < n->child_count; i++)
        if (!node_is_stable(n->children[i]))
            return false;
    return !n->unstable;
}

bool node_is_ready(const struct node *n)
{
    for (size_t i = 0; i < n->child_count; i++)
        if (!node_is_passing(n->children[i]) && !node_is_ready(n->children[i]))
            return false;
    return n->kind != NODE_WORKER || n->finished ||
           (n->state == NODE_READY && !n->unstable && n->trouble[0] == '\0');
}

bool node_is_passing(const struct node *n)
{
    return n->child && n->state != NODE_READY;
}

bool node_is_stopped(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return n->process == NULL && (n->state == NODE_STOPPED || n->state == NODE_FATAL);
    for (size_t i = 0; i < n->child_count; i++)
        if (!node_is_stopped(n->children[i]))
            return false;
    return true;
}

/*
 * The last byte and the end first: numbered workers differ there, and a tree of a thousand is searched a thousand
 * times while it is built.
 */
static bool tree_is_called(const struct node *n, struct slice name)
{
    return name.len < sizeof n->name && n->name[name.len] == '\0' &&
           n->name[name.len - 1] == name.ptr[name.len - 1] && slice_is(name, n->name);
}

struct node *tree_find(struct node *root, struct slice name)
{
    if (name.len == 0 || tree_is_called(root, name))
        return root;
    for (size_t i = 0; i < root->child_count; i++) {
        struct node *found = tree_find(root->children[i], name);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static void tree_offer(struct node *n, struct text_nearest *nearest)
{
    text_nearest_offer(nearest, n->name);
    for (size_t i = 0; i < n->child_count; i++)
        tree_offer(n->children[i], nearest);
}

const char *tree_nearest(struct node *root, struct slice name)
{
    struct text_nearest nearest = text_nearest_start(name);
    tree_offer(root, &nearest);
    return nearest.best;
}

static struct node *tree_first_in(struct node *root, struct slice type, struct slice section,
                                  bool ready)
{
    if (root->kind == NODE_WORKER) {
        bool fits =
            (!ready || root->state == NODE_READY) && slice_is(type, worker_type_name(root->type)) &&
            (section.len == 0 || slice_is(section, root->section) || slice_is(section, root->name));
        return fits ? root : NULL;
    }
    for (size_t i = 0; i < root->child_count; i++) {
        struct node *found = tree_first_in(root->children[i], type, section, ready);
        if (found != NULL)
            return found;
    }
    return NULL;
}

struct node *tree_first_ready(struct node *root, struct slice type, struct slice section)
{
    return tree_first_in(root, type, section, true);
}

struct node *tree_first(struct node *root, struct slice type, struct slice section)
{
    return tree_first_in(root, type, section, false);
}

void tree_each_worker(struct node *n, void (*fn)(struct node *worker, void *ctx), void *ctx)
{
    if (n->kind == NODE_WORKER)
        fn(n, ctx);
    for (size_t i = 0; i < n->child_count; i++)
        tree_each_worker(n->children[i], fn, ctx);
}

void tree_free(struct node *n)
{
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->child_count; i++)
        tree_free(n->children[i]);
    free(n->children);
    free(n->window.at_ms);
    free(n->after);
    free(n->executable);
    free(n->argument);
    buffer_fini(&n->settings);
    node_counters_clear(&n->counters);
    free(n);
}
