/* queue_backbone.c: see queue_backbone.h. */
#include "master/queue/queue_backbone.h"

#include <stdio.h>

const struct config_section *queue_backbone(const struct config *c,
                                            const struct config_section *queue)
{
    const char *title = config_get(queue, "backbone");
    if (title[0] != '\0')
        return config_section_find(c, CONFIG_BACKBONE, title);
    return config_section_at(c, CONFIG_BACKBONE, 1) == NULL
               ? config_section_at(c, CONFIG_BACKBONE, 0)
               : NULL;
}

int queue_path(const struct config_section *backbone, const struct config_section *queue,
               char *path, size_t size)
{
    return snprintf(path, size, "queue/%s/%s", config_title(backbone), config_title(queue));
}
