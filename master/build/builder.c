/* builder.c: see builder.h. */
#include "master/build/builder.h"

#include "master/config/config_check_key.h"

#include <stdlib.h>

#define BUILDER_CLASH "two things would have this name in the tree: rename a section"

void builder_fail(struct tree_builder *b, const char *name, const char *cause)
{
    if (!b->failed)
        config_say(b->c, b->at, NULL, b->error, "%s: %s", name, cause);
    b->failed = true;
}

void builder_pool_begin(struct tree_builder *b)
{
    b->pool = ++b->pools;
}

void builder_pool_end(struct tree_builder *b)
{
    b->pool = 0;
}

void builder_take_back(struct node *n)
{
    n->parent->child_count--;
    tree_free(n);
}

struct config_identity builder_identity(const struct tree_builder *b)
{
    return (struct config_identity){b->p->instance, b->p->boot, b->p->cgroup};
}

/* ---- nodes ---- */

/* Thousands are built at once, each looks whether its name is free: to search the tree would grow with the square. */
static struct node *builder_find(const struct tree_builder *b, const char *name)
{
    return b->names.count > 0 ? name_index_find(&b->names, 0, slice_of(name))
                              : tree_find(b->root, slice_of(name));
}

/* Room for one more child. False when memory is short; nothing is changed then. */
static bool builder_make_room(struct node *parent)
{
    struct node **grown =
        realloc(parent->children, (parent->child_count + 1) * sizeof(*parent->children));
    if (grown == NULL)
        return false;
    parent->children = grown;
    return true;
}

static struct node *builder_node(struct tree_builder *b, const char *name, enum node_kind kind,
                                 struct node *parent)
{
    if (parent != NULL && builder_find(b, name) != NULL) {
        builder_fail(b, name, BUILDER_CLASH);
        return NULL;
    }
    struct node *n = calloc(1, sizeof *n);
    bool memory = n != NULL && (parent == NULL || builder_make_room(parent));
    if (!memory || !slice_copy(slice_of(name), n->name, sizeof n->name)) {
        builder_fail(b, name,
                     memory ? "the name is too long: choose a shorter one for its section"
                            : "memory is short");
        free(n);
        return NULL;
    }
    bool whole = parent == NULL || b->names.count > 0;
    if (whole && !name_index_add(&b->names, 0, n->name, n)) {
        builder_fail(b, name, "memory is short");
        free(n);
        return NULL;
    }
    n->kind = kind;
    n->parent = parent;
    n->state = NODE_STOPPED;
    n->log_level = parent != NULL ? parent->log_level : LOG_LEVEL_INFO;
    if (parent != NULL)
        parent->children[parent->child_count++] = n;
    return n;
}

/* The section's own level, where it has one. */
static void builder_log_level(struct node *n, const struct config_section *section)
{
    const char *own = section != NULL ? config_get(section, "log_level") : NULL;
    if (own != NULL)
        log_level_parse(own, &n->log_level);
}

static enum policy_strategy builder_strategy(const char *word)
{
    return strcmp(word, "one_for_all") == 0    ? POLICY_ONE_FOR_ALL
           : strcmp(word, "rest_for_one") == 0 ? POLICY_REST_FOR_ONE
                                               : POLICY_ONE_FOR_ONE;
}

struct node *builder_branch(struct tree_builder *b, const char *name, struct node *parent,
                            const struct config_section *policy)
{
    struct node *n = builder_node(b, name, NODE_BRANCH, parent);
    if (n == NULL)
        return NULL;
    builder_log_level(n, policy);
    n->strategy = builder_strategy(config_get(policy, "strategy"));
    n->window.limit = config_get_u64(policy, "intensity");
    n->window.period_ms = config_get_u64(policy, "period");
    n->window.at_ms = calloc(n->window.limit, sizeof *n->window.at_ms);
    if (n->window.at_ms == NULL)
        builder_fail(b, name, "memory is short");
    return n;
}

/* A redis section has no strategy: its workers' branch is platoon's, also when the section is named as the branch. */
static bool builder_is_of(const char *branch, const struct config_section *section)
{
    const char *slash = strrchr(branch, '/');
    return section != NULL && config_get(section, "strategy") != NULL &&
           strcmp(slash != NULL ? slash + 1 : branch, config_title(section)) == 0;
}

struct node *builder_parent(struct tree_builder *b, const char *path,
                            const struct config_section *section)
{
    struct node *at = b->root;
    for (const char *slash = strchr(path, '/'); slash != NULL && at != NULL;
         slash = strchr(slash + 1, '/')) {
        char name[CONTRACT_NAME_MAX];
        slice_copy(slice_make(path, (size_t)(slash - path)), name, sizeof name);
        struct node *found = builder_find(b, name);
        bool deepest = strchr(slash + 1, '/') == NULL;
        bool own = deepest && builder_is_of(name, section);
        if (found != NULL && found->kind == NODE_WORKER) {
            builder_fail(b, name, BUILDER_CLASH);
            return NULL;
        }
        at = found != NULL ? found
                           : builder_branch(b, name, at, own ? section : config_platoon(b->c));
    }
    return at;
}

struct policy_limits builder_limits(const struct config_section *platoon)
{
    return (struct policy_limits){.backoff_min_ms = config_get_u64(platoon, "backoff_min"),
                                  .backoff_max_ms = config_get_u64(platoon, "backoff_max"),
                                  .backoff_factor = config_get_u64(platoon, "backoff_factor"),
                                  .stable_after_ms = config_get_u64(platoon, "stable_after")};
}

struct node *builder_leaf(struct tree_builder *b, const char *name, enum worker_type type,
                          struct node *parent, const struct config_section *section)
{
    struct node *n = parent != NULL ? builder_node(b, name, NODE_WORKER, parent) : NULL;
    if (n == NULL)
        return NULL;
    const struct config_section *platoon = config_platoon(b->c);
    n->type = type;
    n->pool = b->pool;
    n->limits = builder_limits(platoon);
    n->ready_timeout_ms = config_get_u64(platoon, "ready_timeout");
    n->stop_timeout_ms = config_get_u64(platoon, "stop_timeout");
    n->section_kind = config_section_kind(section);
    slice_copy(slice_of(config_title(section)), n->section, sizeof n->section);
    if (section != platoon)
        builder_log_level(n, section);
    return n;
}
