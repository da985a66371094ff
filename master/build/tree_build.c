/* tree_build.c: from configuration sections to nodes. See tree_build.h. */
#include "master/build/tree_build.h"

#include "common/words.h"
#include "master/build/config_settings.h"
#include "master/redis/embedded_redis.h"
#include "master/program/program_settings.h"
#include "master/program/tree_after.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BUILD_CLASH "two things would have this name in the tree: rename a section"

enum place { HEALTH, EMBEDDED, REDIS, DRAIN, ONCE, PROGRAM };

static const struct worker_kind {
    enum worker_type type;
    enum place place;
    const char *path;        /* with %s for the section's name */
    const char *workers_key; /* "", "1", or a key */
} worker_kinds[] = {
#define X(NAME, type, PLACE, path, key, doc) {WORKER_TYPE_##NAME, PLACE, path, key},
    WORKER_TYPE_LIST(X)
#undef X
};

#define WORKER_KIND_COUNT (sizeof worker_kinds / sizeof worker_kinds[0])

struct builder {
    const struct config *c;
    const struct preflight *p;
    struct node *root;
    struct buffer *error;
    uint32_t pool; /* of what is being built; 0 for what stands alone */
    uint32_t pools;
    bool failed;
};

static void build_fail(struct builder *b, const char *name, const char *cause)
{
    if (!b->failed)
        buffer_printf(b->error, "%s: %s\n", name, cause);
    b->failed = true;
}

/* ---- nodes ---- */

static struct node *build_node(struct builder *b, const char *name, enum node_kind kind,
                               struct node *parent)
{
    if (parent != NULL && tree_find(b->root, slice_of(name)) != NULL) {
        build_fail(b, name, BUILD_CLASH);
        return NULL;
    }
    struct node *n = calloc(1, sizeof *n);
    struct node **grown =
        parent != NULL ? realloc(parent->children, (parent->child_count + 1) * sizeof(*grown))
                       : NULL;
    if (grown != NULL)
        parent->children = grown;
    bool memory = n != NULL && (parent == NULL || grown != NULL);
    if (!memory || !slice_copy(slice_of(name), n->name, sizeof n->name)) {
        build_fail(b, name,
                   memory ? "the name is too long: choose a shorter one for its section"
                          : "memory is short");
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

static enum policy_strategy build_strategy(const char *word)
{
    return strcmp(word, "one_for_all") == 0    ? POLICY_ONE_FOR_ALL
           : strcmp(word, "rest_for_one") == 0 ? POLICY_REST_FOR_ONE
                                               : POLICY_ONE_FOR_ONE;
}

struct policy_limits tree_build_limits(const struct config_section *platoon)
{
    return (struct policy_limits){.backoff_min_ms = config_get_u64(platoon, "backoff_min"),
                                  .backoff_max_ms = config_get_u64(platoon, "backoff_max"),
                                  .backoff_factor = config_get_u64(platoon, "backoff_factor"),
                                  .stable_after_ms = config_get_u64(platoon, "stable_after")};
}

/* The section's own level, where it has one. */
static void build_log_level(struct node *n, const struct config_section *section)
{
    const char *own = section != NULL ? config_get(section, "log_level") : NULL;
    if (own != NULL)
        log_level_parse(own, &n->log_level);
}

static struct node *build_branch(struct builder *b, const char *name, struct node *parent,
                                 const struct config_section *policy)
{
    struct node *n = build_node(b, name, NODE_BRANCH, parent);
    if (n == NULL)
        return NULL;
    build_log_level(n, policy);
    n->strategy = build_strategy(config_get(policy, "strategy"));
    n->window.limit = config_get_u64(policy, "intensity");
    n->window.period_ms = config_get_u64(policy, "period");
    n->window.at_ms = calloc(n->window.limit, sizeof *n->window.at_ms);
    if (n->window.at_ms == NULL)
        build_fail(b, name, "memory is short");
    return n;
}

/* The branch a path stands in, made when it is missing: "redis/visits/watcher" -> "redis/visits". */
static struct node *build_parent(struct builder *b, const char *path,
                                 const struct config_section *section)
{
    struct node *at = b->root;
    for (const char *slash = strchr(path, '/'); slash != NULL && at != NULL;
         slash = strchr(slash + 1, '/')) {
        char name[CONTRACT_NAME_MAX];
        slice_copy(slice_make(path, (size_t)(slash - path)), name, sizeof name);
        struct node *found = tree_find(b->root, slice_of(name));
        bool deepest = strchr(slash + 1, '/') == NULL;
        bool drain =
            deepest && section != NULL &&
            strcmp(strrchr(name, '/') ? strrchr(name, '/') + 1 : "", config_title(section)) == 0;
        if (found != NULL && found->kind == NODE_WORKER) {
            build_fail(b, name, BUILD_CLASH);
            return NULL;
        }
        at = found != NULL ? found
                           : build_branch(b, name, at, drain ? section : config_platoon(b->c));
    }
    return at;
}

/* ---- workers ---- */

static struct config_identity build_identity(const struct builder *b)
{
    return (struct config_identity){b->p->instance, b->p->boot, b->p->cgroup};
}

static int build_settings(struct builder *b, struct node *n, const struct worker_kind *kind,
                          const struct config_section *section)
{
    struct embedded_redis e = {0};
    struct config_identity identity = build_identity(b);
    if (kind->place == HEALTH) {
        struct config_pair listen = {"health.listen", config_get(config_platoon(b->c), "health")};
        return config_settings_pack(&n->settings, b->c, kind->type, NULL, &identity, &listen, 1);
    }
    int rc =
        kind->place == EMBEDDED ? embedded_redis_settings(&e, b->c, section, b->p->state_dir) : 0;
    if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, kind->type, section, &identity, e.pairs,
                                  e.count);
    embedded_redis_fini(&e);
    return rc;
}

/* A worker that nobody wants yet, with the platoon section's times. */
static struct node *build_leaf(struct builder *b, const char *name, enum worker_type type,
                               struct node *parent)
{
    struct node *n = parent != NULL ? build_node(b, name, NODE_WORKER, parent) : NULL;
    if (n == NULL)
        return NULL;
    const struct config_section *platoon = config_platoon(b->c);
    n->type = type;
    n->pool = b->pool;
    n->limits = tree_build_limits(platoon);
    n->ready_timeout_ms = config_get_u64(platoon, "ready_timeout");
    n->stop_timeout_ms = config_get_u64(platoon, "stop_timeout");
    return n;
}

static void build_worker(struct builder *b, const struct worker_kind *kind,
                         const struct config_section *section, const char *name)
{
    struct node *n = build_leaf(b, name, kind->type, build_parent(b, name, section));
    if (n == NULL)
        return;
    if (section != NULL)
        slice_copy(slice_of(config_title(section)), n->section, sizeof n->section);
    build_log_level(n, section);
    if (kind->place == DRAIN)
        memcpy(n->group, n->section, sizeof n->group);
    int rc = build_settings(b, n, kind, section);
    if (rc != 0)
        build_fail(b, name, strerror(-rc));
}

/* The first redis section's workers have the plain names; a further one's name stands before the last part. */
static void build_path(const struct builder *b, const struct worker_kind *kind,
                       const struct config_section *section, char *path, size_t size)
{
    const char *title = section != NULL ? config_title(section) : "";
    bool redis = kind->place == EMBEDDED || kind->place == REDIS;
    if (redis && section != config_section_at(b->c, CONFIG_REDIS, 0)) {
        const char *last = strrchr(kind->path, '/') + 1;
        snprintf(path, size, "%.*s%s-%s", (int)(last - kind->path), kind->path, title, last);
        return;
    }
    const char *hole = strstr(kind->path, "%s");
    if (hole == NULL)
        snprintf(path, size, "%s", kind->path);
    else
        snprintf(path, size, "%.*s%s%s", (int)(hole - kind->path), kind->path, title, hole + 2);
}

static void build_workers(struct builder *b, const struct worker_kind *kind,
                          const struct config_section *section)
{
    char path[CONTRACT_NAME_MAX * 2], name[CONTRACT_NAME_MAX * 2 + 24];
    build_path(b, kind, section, path, sizeof path);
    if (kind->workers_key[0] == '\0') {
        build_worker(b, kind, section, path);
        return;
    }
    uint64_t count =
        strcmp(kind->workers_key, "1") == 0 ? 1 : config_get_u64(section, kind->workers_key);
    b->pool = ++b->pools;
    for (uint64_t i = 1; i <= count && !b->failed; i++) {
        snprintf(name, sizeof name, "%s.%llu", path, (unsigned long long)i);
        build_worker(b, kind, section, name);
    }
    b->pool = 0;
}

static void build_place(struct builder *b, enum place place, const struct config_section *section)
{
    for (size_t i = 0; i < WORKER_KIND_COUNT && !b->failed; i++)
        if (worker_kinds[i].place == place)
            build_workers(b, &worker_kinds[i], section);
}

/* ---- programs and their supervisors ---- */

/* The program's own time where it has one. */
static void build_override(const struct config_section *program, const char *key, uint64_t *value)
{
    if (config_get(program, key)[0] != '\0')
        *value = config_get_u64(program, key);
}

static void build_program_policy(struct node *n, const struct config_section *program)
{
    const char *restart = config_get(program, "restart");
    n->restart = strcmp(restart, "transient") == 0   ? POLICY_TRANSIENT
                 : strcmp(restart, "temporary") == 0 ? POLICY_TEMPORARY
                                                     : POLICY_PERMANENT;
    build_override(program, "backoff_min", &n->limits.backoff_min_ms);
    build_override(program, "backoff_max", &n->limits.backoff_max_ms);
    build_override(program, "stable_after", &n->limits.stable_after_ms);
    build_override(program, "ready_timeout", &n->ready_timeout_ms);
    build_override(program, "stop_timeout", &n->stop_timeout_ms);
    if (n->limits.backoff_max_ms < n->limits.backoff_min_ms)
        n->limits.backoff_max_ms = n->limits.backoff_min_ms; /* one of the two is platoon's */
}

static enum worker_type build_program_type(const struct config_section *program)
{
    if (config_get_u64(program, "worker") != 0)
        return WORKER_TYPE_CUSTOM;
    return strcmp(config_get(program, "port"), "none") != 0 ? WORKER_TYPE_PORT
                                                            : WORKER_TYPE_COMMAND;
}

static int build_program_settings(struct builder *b, struct node *n,
                                  const struct config_section *program, uint64_t number)
{
    struct program_settings *p = malloc(sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    struct program_child child = {n->owner, n->argument};
    struct config_identity identity = build_identity(b);
    int rc = program_settings_make(p, program, number, n->child ? &child : NULL);
    if (rc == 0 && n->type == WORKER_TYPE_CUSTOM) {
        n->executable = strdup(p->pairs[0].value);
        rc = n->executable != NULL ? 0 : -ENOMEM;
    }
    if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, n->type, program, &identity, p->pairs,
                                  p->count);
    program_settings_fini(p);
    free(p);
    return rc;
}

/* `owner` NULL: none of anybody's. */
static struct node *build_process(struct builder *b, const struct config_section *program,
                                  struct node *parent, const char *name, uint64_t number,
                                  const struct node *owner, struct slice argument)
{
    struct node *n = build_leaf(b, name, build_program_type(program), parent);
    if (n == NULL)
        return NULL;
    n->program = true;
    slice_copy(slice_of(config_title(program)), n->section, sizeof n->section);
    build_program_policy(n, program);
    build_log_level(n, program);
    int rc = 0;
    if (owner != NULL) {
        n->child = parent->has_children = true;
        memcpy(n->owner, owner->name, sizeof n->owner);
        n->argument = strndup(argument.len > 0 ? argument.ptr : "", argument.len);
        rc = n->argument != NULL ? 0 : -ENOMEM;
    }
    if (rc == 0)
        rc = build_program_settings(b, n, program, number);
    if (rc != 0)
        build_fail(b, name, strerror(-rc));
    return n;
}

struct node *tree_build_child(const struct config *c, const struct preflight *p, struct node *owner,
                              const struct config_section *program, uint64_t number,
                              struct slice argument, struct buffer *error)
{
    struct node *parent = owner->parent;
    struct builder b = {.c = c, .p = p, .root = parent, .error = error};
    char name[3 * CONTRACT_NAME_MAX];
    snprintf(name, sizeof name, "%s/%s.%llu", owner->name, config_title(program),
             (unsigned long long)number);
    struct node *n = build_process(&b, program, parent, name, number, owner, argument);
    if (n == NULL || !b.failed)
        return n;
    tree_unbuild_child(n);
    return NULL;
}

void tree_unbuild_child(struct node *child)
{
    child->parent->child_count--;
    tree_free(child);
}

/* "site" and "mailer" make "site/mailer"; below the root, "mailer". */
static void build_join(const struct builder *b, const struct node *parent, const char *title,
                       char *name, size_t size)
{
    bool top = parent == b->root;
    snprintf(name, size, "%s%s%s", top ? "" : parent->name, top ? "" : "/", title);
}

static void build_program(struct builder *b, const struct config_section *program,
                          struct node *parent)
{
    char path[CONTRACT_NAME_MAX * 2], name[CONTRACT_NAME_MAX * 2 + 24];
    build_join(b, parent, config_title(program), path, sizeof path);
    uint64_t count = config_get_u64(program, "processes");
    b->pool = ++b->pools;
    for (uint64_t i = 1; i <= count && !b->failed; i++) {
        snprintf(name, sizeof name, "%s.%llu", path, (unsigned long long)i);
        build_process(b, program, parent, name, i, NULL, slice_make(NULL, 0));
    }
    b->pool = 0;
}

/* config_check has seen to it that children are there, have one parent, and make no ring. */
static void build_supervisor(struct builder *b, const struct config_section *section,
                             struct node *parent)
{
    char name[CONTRACT_NAME_MAX * 2];
    build_join(b, parent, config_title(section), name, sizeof name);
    struct node *n = build_branch(b, name, parent, section);
    struct buffer words = BUFFER_EMPTY;
    if (n != NULL)
        slice_copy(slice_of(config_title(section)), n->section, sizeof n->section);
    if (n != NULL &&
        words_split(slice_of(config_get(section, "children")), CONFIG_CHILDREN_MAX, &words) < 0)
        build_fail(b, name, "memory is short");
    for (const char *w = b->failed ? NULL : words_next(&words, 0, NULL); w != NULL && !b->failed;
         w = words_next(&words, 0, w)) {
        const struct config_section *program = config_section_find(b->c, CONFIG_PROGRAM, w);
        if (program != NULL)
            build_program(b, program, n);
        else
            build_supervisor(b, config_section_find(b->c, CONFIG_SUPERVISOR, w), n);
    }
    buffer_fini(&words);
}

/* Those that are nobody's children stand below the root. */
static void build_programs(struct builder *b)
{
    const struct config_section *s;
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_SUPERVISOR, i)) != NULL;
         i++)
        if (config_supervisor_of(b->c, config_title(s)) == NULL)
            build_supervisor(b, s, b->root);
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_PROGRAM, i)) != NULL; i++)
        if (config_supervisor_of(b->c, config_title(s)) == NULL)
            build_program(b, s, b->root);
}

struct node *tree_build(const struct config *c, const struct preflight *p, struct buffer *error)
{
    struct builder b = {.c = c, .p = p, .error = error};
    b.root = build_branch(&b, "platoon", NULL, config_platoon(c));
    const struct config_section *s;
    if (!b.failed && config_get(config_platoon(c), "health")[0] != '\0')
        build_place(&b, HEALTH, NULL);
    for (size_t i = 0; !b.failed && (s = config_section_at(c, CONFIG_REDIS, i)) != NULL; i++) {
        if (config_redis_is_embedded(s))
            build_place(&b, EMBEDDED, s);
        build_place(&b, REDIS, s);
    }
    for (size_t i = 0; !b.failed && (s = config_section_at(c, CONFIG_DRAIN, i)) != NULL; i++)
        build_place(&b, DRAIN, s);
    if (config_section_at(c, CONFIG_DRAIN, 0) != NULL)
        build_place(&b, ONCE, NULL);
    build_programs(&b);
    if (!b.failed)
        tree_after_resolve(b.root, c, error, &b.failed);
    if (!b.failed)
        return b.root;
    tree_free(b.root);
    return NULL;
}
