/*
 * fuzz_queue_fields.c: what templates see of a body (workers/queue/queue_fields.h): any bytes are a body.
 */
#include "common/template.h"
#include "workers/queue/queue_fields.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct queue_fields fields;
    struct buffer out = BUFFER_EMPTY;
    struct template *t;
    struct slice missing;
    char why[64];
    if (!queue_fields_read(&fields, slice_make(data, size)) || fields.count > QUEUE_FIELDS_MAX ||
        template_compile("{user_id}:{type|x}", &t, why, sizeof why) != 0)
        abort();
    /* Every byte that a field points to is there, or the sanitizer says so. */
    for (size_t i = 0; i < fields.count; i++) {
        buffer_append_slice(&out, fields.list[i].name);
        buffer_append_slice(&out, fields.list[i].value);
    }
    template_expand(t, slice_of(""), fields.list, fields.count, &out, &missing);
    template_free(t);
    buffer_fini(&out);
    return 0;
}
