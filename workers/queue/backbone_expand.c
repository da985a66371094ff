/* backbone_expand.c: topic and facet of a message that came without. See backbone.h. */
#include "workers/queue/backbone.h"

#include <errno.h>
#include <stdio.h>

bool backbone_expand(struct backbone *b, const struct template *t, const char *what,
                     struct buffer *out, char why[BACKBONE_WHY_SIZE])
{
    struct slice missing;
    int rc = template_expand(t, slice_of(""), b->fields.list, b->fields.count, out, &missing);
    if (rc == 0 && buffer_ok(out))
        return true;
    if (rc == -ENOENT)
        snprintf(why, BACKBONE_WHY_SIZE,
                 "its body has no field %.*s, which the %s of backbone %s is made of",
                 missing.len < 64 ? (int)missing.len : 64, missing.ptr, what,
                 worker_setting_text(b->w, "backbone.name"));
    else
        snprintf(why, BACKBONE_WHY_SIZE, "memory is short: try again");
    return false;
}
