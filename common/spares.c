/* spares.c: see spares.h. Each that is kept begins with where the next one is. */
#include "common/spares.h"

#include <stdlib.h>
#include <string.h>

void *spares_take(struct spares *s)
{
    void *piece = s->first;
    if (piece == NULL)
        return malloc(s->size);
    memcpy(&s->first, piece, sizeof s->first);
    s->count--;
    return piece;
}

void spares_give(struct spares *s, void *piece)
{
    if (piece == NULL)
        return;
    if (s->count == s->max) {
        free(piece);
        return;
    }
    memcpy(piece, &s->first, sizeof s->first);
    s->first = piece;
    s->count++;
}

void spares_fini(struct spares *s)
{
    while (s->count > 0)
        free(spares_take(s));
}
