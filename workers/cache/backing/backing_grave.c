/* backing_grave.c: see backing_grave.h. */
#include "workers/cache/backing/backing_grave.h"

#include <stdlib.h>

void backing_grave_add(struct backing_grave *g, struct slice key, uint64_t version, uint64_t due_ms)
{
    size_t size = sizeof(struct backing_tomb) + key.len;
    struct backing_tomb *t =
        g->count < g->count_max && g->bytes + size <= g->bytes_max ? malloc(size) : NULL;
    if (t == NULL)
        return;
    *t = (struct backing_tomb){.version = version, .due_ms = due_ms, .key_len = key.len};
    if (key.len > 0)
        memcpy(t->key, key.ptr, key.len);
    if (g->last != NULL)
        g->last->next = t;
    else
        g->first = t;
    g->last = t;
    g->count++;
    g->bytes += size;
}

struct backing_tomb *backing_grave_take(struct backing_grave *g, uint64_t now_ms)
{
    struct backing_tomb *t = g->first;
    if (t == NULL || t->due_ms > now_ms)
        return NULL;
    g->first = t->next;
    if (g->first == NULL)
        g->last = NULL;
    g->count--;
    g->bytes -= sizeof *t + t->key_len;
    return t;
}

void backing_grave_fini(struct backing_grave *g)
{
    struct backing_tomb *t;
    while ((t = backing_grave_take(g, UINT64_MAX)) != NULL)
        free(t);
}
