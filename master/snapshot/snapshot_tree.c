/*
 * snapshot_tree.c: what a snapshot's store is told: its resources. See systems_tree.h.
 *
 * Runs in the master.
 */
#include "master/snapshot/snapshot_of.h"
#include "master/systems_tree.h"

int tree_extra_snapshot(const struct config *c, const struct config_section *s,
                        const struct preflight *p, struct config_extras *extras)
{
    const struct config_section *resource;
    size_t count = 0;
    (void)p;
    for (size_t i = 0; (resource = config_section_at(c, CONFIG_RESOURCE, i)) != NULL; i++) {
        if (snapshot_of(c, resource) != s)
            continue;
        config_extras_add_item(extras, "resources", count, "name", config_title(resource));
        config_extras_add_item(extras, "resources", count, "path", snapshot_file(resource));
        config_extras_add_item(extras, "resources", count, "size_min",
                               config_get(resource, "size_min"));
        config_extras_add_item(extras, "resources", count, "size_max",
                               config_get(resource, "size_max"));
        count++;
    }
    return 0;
}
