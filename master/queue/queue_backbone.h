/*
 * queue_backbone.h: which backbone a queue is of, and where its workers stand.
 *
 * Runs in the master and in the tool. Pure.
 */
#ifndef MASTER_QUEUE_QUEUE_BACKBONE_H
#define MASTER_QUEUE_QUEUE_BACKBONE_H

#include "master/config/config.h"

/* The one that the queue section names, or the only one there is. NULL: there is none, or nobody says which. */
const struct config_section *queue_backbone(const struct config *c,
                                            const struct config_section *queue);

/* "queue/BACKBONE/QUEUE", of which the workers are .1 and so on. As snprintf. */
int queue_path(const struct config_section *backbone, const struct config_section *queue,
               char *path, size_t size);

#endif
