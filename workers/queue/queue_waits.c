/* queue_waits.c: how long what was handed out had waited. See queue_waits.h. */
#include "workers/queue/queue_waits.h"

#include <string.h>

/* The highest of a class: 0 to 8 one by one, then each an eighth more; the last one holds all that is above. */
static uint64_t waits_top(size_t class)
{
    uint64_t top = 0;
    for (size_t i = 0; i < class; i++)
        top += top < 8 ? 1 : top / 8;
    return top;
}

static size_t waits_class(uint64_t waited_ms)
{
    size_t class = 0;
    uint64_t top = 0;
    while (top < waited_ms && class < QUEUE_WAITS_CLASSES - 1) {
        top += top < 8 ? 1 : top / 8;
        class ++;
    }
    return class;
}

/* Empties the slices that have begun since the last call. */
static uint32_t *waits_slice(struct queue_waits *w, uint64_t now_ms)
{
    uint64_t slice = now_ms / QUEUE_WAITS_SLICE_MS;
    uint64_t from = slice - w->slice > QUEUE_WAITS_SLICES ? slice - QUEUE_WAITS_SLICES : w->slice;
    for (uint64_t s = from + 1; s <= slice; s++)
        memset(w->counts[s % QUEUE_WAITS_SLICES], 0, sizeof w->counts[0]);
    w->slice = slice;
    return w->counts[slice % QUEUE_WAITS_SLICES];
}

void queue_waits_add(struct queue_waits *w, uint64_t now_ms, uint64_t waited_ms)
{
    waits_slice(w, now_ms)[waits_class(waited_ms)]++;
}

uint64_t queue_waits_part(struct queue_waits *w, uint64_t now_ms, unsigned part)
{
    uint64_t total = 0, seen = 0;
    waits_slice(w, now_ms);
    for (size_t s = 0; s < QUEUE_WAITS_SLICES; s++)
        for (size_t c = 0; c < QUEUE_WAITS_CLASSES; c++)
            total += w->counts[s][c];
    for (size_t c = 0; c < QUEUE_WAITS_CLASSES && total > 0; c++) {
        for (size_t s = 0; s < QUEUE_WAITS_SLICES; s++)
            seen += w->counts[s][c];
        if (seen * 100 >= total * part)
            return waits_top(c);
    }
    return 0;
}
