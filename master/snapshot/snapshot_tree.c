/*
 * snapshot_tree.c: what a snapshot's store is told: its resources; and a worker for each that is made. See
 * systems_tree.h.
 *
 * Runs in the master. Such a worker stands beside the store of its snapshot, which no path of TYPES can say.
 */
#include "master/program/program_calls.h"
#include "master/snapshot/snapshot_of.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <stdio.h>

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

/* ---- the workers of resources ---- */

static int resource_settings(struct tree_builder *b, struct node *n, const struct config_section *s,
                             const struct config_section *snapshot)
{
    struct config_extras extras = CONFIG_EXTRAS_EMPTY;
    struct config_identity identity = builder_identity(b);
    if (config_get(s, "snapshot")[0] == '\0')
        config_extras_add_section(&extras, b->c, "snapshot", snapshot);
    int rc = program_calls_settings(&extras, b->c, s);
    if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, s, &identity, &extras);
    config_extras_fini(&extras);
    return rc;
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
}
