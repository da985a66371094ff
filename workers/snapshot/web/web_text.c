/* web_text.c: see web_text.h. */
#include "workers/snapshot/web/web_text.h"

#include <stdlib.h>

struct web_text *web_text_new(struct web_texts *all, struct slice bytes)
{
    struct web_text *t = malloc(sizeof *t + bytes.len);
    if (t == NULL)
        return NULL;
    *t = (struct web_text){.all = all, .refs = 1, .len = bytes.len};
    if (bytes.len > 0)
        memcpy(t->bytes, bytes.ptr, bytes.len);
    return t;
}

static void text_leave(struct web_text *t)
{
    struct web_texts *all = t->all;
    t->is_left = true;
    t->prev = all->last;
    t->next = NULL;
    if (all->last != NULL)
        all->last->next = t;
    else
        all->first = t;
    all->last = t;
    all->left += t->len;
}

static void text_take_back(struct web_text *t)
{
    struct web_texts *all = t->all;
    t->is_left = false;
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        all->first = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    else
        all->last = t->prev;
    all->left -= t->len;
}

/* Its counts are others. */
static void text_look(struct web_text *t)
{
    bool is_left = t->refs > 0 && t->refs == t->readers;
    if (is_left && !t->is_left)
        text_leave(t);
    else if (!is_left && t->is_left)
        text_take_back(t);
    if (t->refs == 0)
        free(t);
}

struct web_text *web_text_ref(struct web_text *t)
{
    if (t != NULL) {
        t->refs++;
        text_look(t);
    }
    return t;
}

void web_text_unref(struct web_text *t)
{
    if (t == NULL)
        return;
    t->refs--;
    text_look(t);
}

struct web_text *web_text_read(struct web_text *t)
{
    if (t != NULL) {
        t->refs++;
        t->readers++;
    }
    return t;
}

void web_text_unread(struct web_text *t)
{
    if (t == NULL)
        return;
    t->refs--;
    t->readers--;
    text_look(t);
}
