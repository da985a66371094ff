/*
 * web_text.h: the end of a message: what a version holds, or what has changed, encoded once for all who read it.
 *
 * Runs in the web worker. Counted: the journal has it, the newest version, and each reader who is in the midst of it.
 * What only readers have any more, who take it slowly or not at all, is `left`: how much that is, and which of it is
 * the oldest, is known, so that its owner can bound it.
 */
#ifndef WORKERS_SNAPSHOT_WEB_TEXT_H
#define WORKERS_SNAPSHOT_WEB_TEXT_H

#include "common/slice.h"

#include <stdbool.h>

struct web_text;

/* All of a store; zeros at first. It outlives them. */
struct web_texts {
    struct web_text *first, *last; /* that are left, the oldest first */
    size_t left;                   /* their bytes */
};

struct web_text {
    struct web_texts *all;
    struct web_text *prev, *next; /* among those that are left */
    bool is_left;
    size_t refs, readers; /* these are among those */
    size_t len;
    char bytes[];
};

/* With one reference, the caller's. NULL: memory is short. */
struct web_text *web_text_new(struct web_texts *all, struct slice bytes);
struct web_text *web_text_ref(struct web_text *t); /* NULL stays NULL */
void web_text_unref(struct web_text *t);           /* accepts NULL */

/* The same for one who reads it, and lets go of it when he has, or is made to. */
struct web_text *web_text_read(struct web_text *t);
void web_text_unread(struct web_text *t);

static inline struct slice web_text_slice(const struct web_text *t)
{
    return t != NULL ? slice_make(t->bytes, t->len) : slice_make("", 0);
}

#endif
