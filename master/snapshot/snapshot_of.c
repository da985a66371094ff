/* snapshot_of.c: see snapshot_of.h. */
#include "master/snapshot/snapshot_of.h"

const struct config_section *snapshot_of(const struct config *c,
                                         const struct config_section *resource)
{
    const char *title = config_get(resource, "snapshot");
    if (title[0] != '\0')
        return config_section_find(c, CONFIG_SNAPSHOT, title);
    return config_section_at(c, CONFIG_SNAPSHOT, 1) == NULL
               ? config_section_at(c, CONFIG_SNAPSHOT, 0)
               : NULL;
}

const char *snapshot_file(const struct config_section *resource)
{
    const char *path = config_get(resource, "path");
    return path[0] != '\0' ? path : config_title(resource);
}

bool snapshot_is_made(const struct config_section *resource)
{
    return config_get(resource, "command")[0] != '\0' || config_get(resource, "url")[0] != '\0';
}
