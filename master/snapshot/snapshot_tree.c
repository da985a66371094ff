/*
 * snapshot_tree.c: what a snapshot's store is told: its resources. See systems_tree.h.
 *
 * Runs in the master.
 */
#include "master/snapshot/snapshot_of.h"
#include "master/systems_tree.h"

#include <stdio.h>

static void tell(struct config_extras *e, size_t number, const char *what, const char *value)
{
    char name[64];
    snprintf(name, sizeof name, "resources.%zu.%s", number, what);
    config_extras_add(e, name, value);
}

int tree_extra_snapshot(const struct config *c, const struct config_section *s,
                        const struct preflight *p, struct config_extras *extras)
{
    const struct config_section *resource;
    size_t count = 0;
    (void)p;
    for (size_t i = 0; (resource = config_section_at(c, CONFIG_RESOURCE, i)) != NULL; i++) {
        if (snapshot_of(c, resource) != s)
            continue;
        tell(extras, count, "name", config_title(resource));
        tell(extras, count, "path", snapshot_file(resource));
        tell(extras, count, "size_min", config_get(resource, "size_min"));
        tell(extras, count, "size_max", config_get(resource, "size_max"));
        count++;
    }
    return 0;
}
