/*
 * queue_fields.h: what templates of topic and facet see of a body: the strings, numbers and booleans of its top level.
 *
 * Runs in backbone workers. Pure. A body that is no JSON object has no fields, and is none the worse for it.
 */
#ifndef WORKERS_QUEUE_QUEUE_FIELDS_H
#define WORKERS_QUEUE_QUEUE_FIELDS_H

#include "common/buffer.h"
#include "common/template.h"

/* Most fields that are looked at. */
#define QUEUE_FIELDS_MAX 256

struct queue_fields {
    struct template_field list[QUEUE_FIELDS_MAX];
    size_t count;
    struct buffer text; /* their names and values */
};

#define QUEUE_FIELDS_EMPTY ((struct queue_fields){.count = 0})

/* What it had before is forgotten. False: memory is short. */
bool queue_fields_read(struct queue_fields *f, struct slice body);
void queue_fields_fini(struct queue_fields *f);

#endif
