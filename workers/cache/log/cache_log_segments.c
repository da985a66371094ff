/* cache_log_segments.c: which segments there are, and how much of each is alive. See cache_log_private.h. */
#include "workers/cache/log/cache_log_private.h"

#include <stdlib.h>
#include <unistd.h>

struct cache_log_name cache_log_name_of(const struct cache_log *l, uint32_t number)
{
    return (struct cache_log_name){.number = number, .instance = l->instance};
}

struct cache_log_part *cache_log_part(const struct cache_log *l, uint32_t number)
{
    size_t low = 0, high = l->part_count;
    if (high > 0 && l->parts[high - 1].number == number)
        return &l->parts[high - 1]; /* nearly always */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->parts[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->part_count && l->parts[low].number == number ? &l->parts[low] : NULL;
}

struct cache_log_part *cache_log_part_add(struct cache_log *l, uint32_t number)
{
    if (l->part_count == l->part_capacity) {
        size_t capacity = l->part_capacity > 0 ? 2 * l->part_capacity : 16;
        struct cache_log_part *grown = realloc(l->parts, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        l->parts = grown;
        l->part_capacity = capacity;
    }
    struct cache_log_part *p = &l->parts[l->part_count++];
    struct cache_log_name n = cache_log_name_of(l, number);
    *p = (struct cache_log_part){.number = number, .base = cache_log_segment_base(&n), .fd = -1};
    return p;
}

void cache_log_part_close(struct cache_log_part *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

void cache_log_part_drop(struct cache_log *l, size_t i)
{
    struct cache_log_part *p = &l->parts[i];
    cache_log_part_close(p);
    l->bytes -= p->size;
    l->alive -= p->alive;
    l->cleaned_bytes -= p->cleaned ? p->size : 0;
    l->part_count--;
    memmove(p, p + 1, (l->part_count - i) * sizeof *p);
}

struct cache_log_part *cache_log_part_current(const struct cache_log *l)
{
    struct cache_log_part *p = l->part_count > 0 ? &l->parts[l->part_count - 1] : NULL;
    return p != NULL && !p->full ? p : NULL;
}

struct cache_log_part *cache_log_part_next(struct cache_log *l)
{
    uint32_t last = l->part_count > 0 ? l->parts[l->part_count - 1].number : 0;
    return last < UINT32_MAX ? cache_log_part_add(l, last + 1) : NULL;
}

void cache_log_dead(struct cache_log *l, uint32_t segment, size_t bytes)
{
    struct cache_log_part *p = cache_log_part(l, segment);
    if (p == NULL)
        return; /* cleaned meanwhile, and removed */
    uint64_t dead = bytes < p->alive ? bytes : p->alive;
    p->alive -= dead;
    l->alive -= dead;
}

uint64_t cache_log_bytes(const struct cache_log *l)
{
    return l->bytes;
}

uint64_t cache_log_alive(const struct cache_log *l)
{
    return l->alive;
}
