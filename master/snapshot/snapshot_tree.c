/*
 * snapshot_tree.c: what a snapshot's store is told, its resources; a worker for each that is made, and those of
 * what-ifs; and what web is told, all stores. See systems_tree.h.
 *
 * Runs in the master. Such a worker stands beside the store of its snapshot, which no path of TYPES can say.
 */
#include "master/program/program_calls.h"
#include "master/snapshot/snapshot_of.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- web ---- */

static void tell_resources(const struct config *c, const struct config_section *s, size_t *served,
                           struct config_extras *extras)
{
    const struct config_section *resource;
    for (size_t i = 0; (resource = config_section_at(c, CONFIG_RESOURCE, i)) != NULL; i++) {
        if (snapshot_of(c, resource) != s)
            continue;
        config_extras_add_item(extras, "served", *served, "store", config_title(s));
        config_extras_add_item(extras, "served", *served, "resource", config_title(resource));
        config_extras_add_item(extras, "served", *served, "path", snapshot_file(resource));
        config_extras_add_item(extras, "served", *served, "type", config_get(resource, "type"));
        ++*served;
    }
}

bool tree_when_web(const struct config *c, const struct config_section *s)
{
    (void)c;
    return config_get(s, "listen")[0] != '\0';
}

int tree_extra_web(const struct config *c, const struct config_section *s,
                   const struct preflight *p, struct config_extras *extras)
{
    const struct config_section *store;
    size_t served = 0;
    (void)s;
    (void)p;
    for (size_t i = 0; (store = config_section_at(c, CONFIG_SNAPSHOT, i)) != NULL; i++) {
        char path[2 * CONTRACT_NAME_MAX];
        snprintf(path, sizeof path, "snapshot/%s/store", config_title(store));
        config_extras_add_item(extras, "stores", i, "name", config_title(store));
        config_extras_add_item(extras, "stores", i, "worker", path);
        config_extras_add_item(extras, "stores", i, "path", config_get(store, "path"));
        config_extras_add_item(extras, "stores", i, "public", config_get(store, "public"));
        config_extras_add_item(extras, "stores", i, "open", config_get(store, "open"));
        config_extras_add_item(extras, "stores", i, "journal", config_get(store, "journal"));
        tell_resources(c, store, &served, extras);
    }
    return 0;
}

/* ---- store ---- */

int tree_extra_snapshot(const struct config *c, const struct config_section *s,
                        const struct preflight *p, struct config_extras *extras)
{
    static const char *const told[] = {"size_min",  "size_max",  "header", "inputs",
                                       "command",   "every",     "cron",   "pause",
                                       "retry_min", "retry_max", "url",    "fresh"};
    const struct config_section *resource;
    size_t count = 0;
    (void)p;
    for (size_t i = 0; (resource = config_section_at(c, CONFIG_RESOURCE, i)) != NULL; i++) {
        if (snapshot_of(c, resource) != s)
            continue;
        config_extras_add_item(extras, "resources", count, "name", config_title(resource));
        config_extras_add_item(extras, "resources", count, "path", snapshot_file(resource));
        for (size_t k = 0; k < sizeof told / sizeof told[0]; k++)
            config_extras_add_item(extras, "resources", count, told[k],
                                   config_get(resource, told[k]));
        count++;
    }
    return 0;
}

/* ---- gate ---- */

bool tree_when_gate(const struct config *c, const struct config_section *s)
{
    (void)c;
    return config_get(s, "listen")[0] != '\0' || config_get(s, "notify")[0] != '\0' ||
           config_get_u64(s, "nanomsg") != 0;
}

int tree_extra_gate(const struct config *c, const struct config_section *s,
                    const struct preflight *p, struct config_extras *extras)
{
    const struct config_section *resource,
        *redis = config_section_find(c, CONFIG_REDIS, config_get(s, "notify"));
    char store[2 * CONTRACT_NAME_MAX];
    size_t count = 0;
    (void)p;
    snprintf(store, sizeof store, "snapshot/%s/store", config_title(s));
    config_extras_add(extras, "gate.store", store);
    if (redis != NULL)
        config_extras_add_section(extras, c, "redis", redis);
    for (size_t i = 0; (resource = config_section_at(c, CONFIG_RESOURCE, i)) != NULL; i++) {
        if (snapshot_of(c, resource) != s)
            continue;
        config_extras_add_item(extras, "resources", count, "name", config_title(resource));
        config_extras_add_item(extras, "resources", count, "header",
                               config_get(resource, "header"));
        count++;
    }
    return 0;
}

/* ---- the workers of resources ---- */

static int resource_settings(struct tree_builder *b, struct node *n, const struct config_section *s,
                             const struct config_section *snapshot)
{
    struct config_extras extras = CONFIG_EXTRAS_EMPTY;
    struct config_identity identity = builder_identity(b);
    if (config_get(s, "snapshot")[0] == '\0')
        config_extras_add_section(&extras, b->c, "snapshot", snapshot);
    int rc = program_calls_settings(&extras, b->c, s, "command");
    if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, s, &identity, &extras);
    config_extras_fini(&extras);
    return rc;
}

/* ---- what-ifs ---- */

/* One of the commands that a what-if may run: all of them are told to each of its workers. */
static int whatif_add_step(const struct tree_builder *b, struct config_extras *extras,
                           size_t number, const struct config_section *s)
{
    static const char *const told[] = {"size_min", "size_max", "timeout", "stop_timeout"};
    char prefix[32];
    snprintf(prefix, sizeof prefix, "steps.%zu", number);
    config_extras_add_item(extras, "steps", number, "name", config_title(s));
    for (size_t k = 0; k < sizeof told / sizeof told[0]; k++)
        config_extras_add_item(extras, "steps", number, told[k], config_get(s, told[k]));
    return program_calls_settings(extras, b->c, s, prefix);
}

/* Every resource that is made from others. -ENOENT: there is none, and so nobody to ask what if. */
static int whatif_add_steps(const struct tree_builder *b, const struct config_section *snapshot,
                            struct config_extras *extras)
{
    const struct config_section *s;
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (s = config_section_at(b->c, CONFIG_RESOURCE, i)) != NULL; i++)
        if (snapshot_of(b->c, s) == snapshot && config_get(s, "inputs")[0] != '\0')
            rc = whatif_add_step(b, extras, count++, s);
    return rc != 0 ? rc : count > 0 ? 0 : -ENOENT;
}

static void whatif_build(struct tree_builder *b, const struct config_section *snapshot,
                         uint64_t number, const struct config_extras *extras)
{
    struct config_identity identity = builder_identity(b);
    char name[4 * CONTRACT_NAME_MAX];
    snprintf(name, sizeof name, "snapshot/%s/whatif.%" PRIu64, config_title(snapshot), number);
    struct node *n =
        builder_leaf(b, name, WORKER_TYPE_FILTER, builder_parent(b, name, snapshot), snapshot);
    int rc = n != NULL ? config_settings_pack(&n->settings, b->c, snapshot, &identity, extras) : 0;
    if (rc != 0)
        builder_fail(b, name, strerror(-rc));
}

static void whatif_build_all(struct tree_builder *b, const struct config_section *snapshot)
{
    struct config_extras extras = CONFIG_EXTRAS_EMPTY;
    int rc = whatif_add_steps(b, snapshot, &extras);
    b->at = snapshot;
    if (rc != 0 && rc != -ENOENT)
        builder_fail(b, config_title(snapshot), strerror(-rc));
    for (uint64_t n = 1; rc == 0 && !b->failed && n <= config_get_u64(snapshot, "whatifs"); n++)
        whatif_build(b, snapshot, n, &extras);
    config_extras_fini(&extras);
}

/* Who opens doors is started behind those who make what is asked for there. */
static void gate_to_end(struct node *branch)
{
    struct node *gate = NULL;
    size_t at = 0;
    for (size_t i = 0; branch != NULL && i < branch->child_count; i++)
        if (branch->children[i]->type == WORKER_TYPE_GATE)
            gate = branch->children[i];
        else
            branch->children[at++] = branch->children[i];
    if (gate != NULL)
        branch->children[at] = gate;
}

static void whatifs_build(struct tree_builder *b)
{
    const struct config_section *s;
    char name[4 * CONTRACT_NAME_MAX];
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_SNAPSHOT, i)) != NULL;
         i++) {
        whatif_build_all(b, s);
        snprintf(name, sizeof name, "snapshot/%s/gate", config_title(s));
        gate_to_end(b->failed ? NULL : builder_parent(b, name, s));
    }
}

void tree_build_resources(struct tree_builder *b)
{
    const struct config_section *s;
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_RESOURCE, i)) != NULL;
         i++) {
        const struct config_section *snapshot = snapshot_of(b->c, s);
        char name[4 * CONTRACT_NAME_MAX];
        if (snapshot == NULL || !snapshot_is_made(s))
            continue;
        enum worker_type type =
            config_get(s, "url")[0] != '\0' ? WORKER_TYPE_PULL : WORKER_TYPE_FILTER;
        b->at = s;
        snprintf(name, sizeof name, "snapshot/%s/%s", config_title(snapshot), config_title(s));
        struct node *n = builder_leaf(b, name, type, builder_parent(b, name, snapshot), s);
        int rc = n != NULL ? resource_settings(b, n, s, snapshot) : 0;
        if (rc != 0)
            builder_fail(b, name, strerror(-rc));
    }
    whatifs_build(b);
}
