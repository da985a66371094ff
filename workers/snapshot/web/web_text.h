/*
 * web_text.h: the end of a message: what a version holds, or what has changed, encoded once for all who read it.
 *
 * Runs in the web worker. Counted: the journal has it, the newest version, and each reader who is in the midst of it.
 */
#ifndef WORKERS_SNAPSHOT_WEB_TEXT_H
#define WORKERS_SNAPSHOT_WEB_TEXT_H

#include "common/slice.h"

struct web_text {
    size_t refs;
    size_t len;
    char bytes[];
};

/* With one reference, the caller's. NULL: memory is short. */
struct web_text *web_text_new(struct slice bytes);
struct web_text *web_text_ref(struct web_text *t); /* NULL stays NULL */
void web_text_unref(struct web_text *t);           /* accepts NULL */

static inline struct slice web_text_slice(const struct web_text *t)
{
    return t != NULL ? slice_make(t->bytes, t->len) : slice_make("", 0);
}

#endif
