/* cache_second_batch.c: see cache_second_batch.h. */
#include "workers/cache/cache_second_batch.h"

#include <stdlib.h>

void second_init_list(struct second_list *l)
{
    *l = (struct second_list){.end = &l->first};
}

void second_push(struct second_list *l, struct second_batch *b)
{
    b->next = NULL;
    *l->end = b;
    l->end = &b->next;
    l->count++;
}

void second_free_batch(struct second_batch *b)
{
    if (b != NULL) {
        buffer_fini(&b->keys);
        buffer_fini(&b->rest);
    }
    free(b);
}

struct second_batch *second_pull(struct second_list *l, uint64_t token)
{
    struct second_batch **link = &l->first, *b;
    while (*link != NULL && (*link)->token != token)
        link = &(*link)->next;
    if ((b = *link) == NULL)
        return NULL;
    *link = b->next;
    if (l->end == &b->next)
        l->end = link;
    l->count--;
    return b;
}

void second_clear(struct second_list *l)
{
    while (l->first != NULL) {
        struct second_batch *b = l->first;
        l->first = b->next;
        second_free_batch(b);
    }
    second_init_list(l);
}

void second_recall(struct second_list *l)
{
    for (struct second_batch *b = l->first; b != NULL; b = b->next)
        b->token = b->at_ms = 0;
}
