/* web_text.c: see web_text.h. */
#include "workers/snapshot/web/web_text.h"

#include <stdlib.h>

struct web_text *web_text_new(struct slice bytes)
{
    struct web_text *t = malloc(sizeof *t + bytes.len);
    if (t == NULL)
        return NULL;
    t->refs = 1;
    t->len = bytes.len;
    if (bytes.len > 0)
        memcpy(t->bytes, bytes.ptr, bytes.len);
    return t;
}

struct web_text *web_text_ref(struct web_text *t)
{
    if (t != NULL)
        t->refs++;
    return t;
}

void web_text_unref(struct web_text *t)
{
    if (t != NULL && --t->refs == 0)
        free(t);
}
