/* cache_ring_cells.c: see cache_ring_cells.h. */
#include "proto/cache/cache_ring_cells.h"

uint64_t cache_ring_get_number(const char *at)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

void cache_ring_put_cell(struct buffer *out, uint64_t cell)
{
    for (int i = 0; i < 8; i++)
        buffer_append_char(out, (char)(cell >> (56 - 8 * i)));
}

void cache_ring_put_held(struct buffer *out, const struct cache_ring_held *held)
{
    cache_ring_put_cell(out, held->cell);
    cache_ring_put_cell(out, held->number);
}

void cache_ring_put_owner(struct buffer *out, const struct cache_ring_owner *owner)
{
    buffer_append_char(out, (char)owner->state);
    cache_ring_put_cell(out, owner->value);
}

bool cache_ring_get_owner(struct slice owners, size_t index, struct cache_ring_owner *owner)
{
    if (index >= owners.len / CACHE_RING_OWNER_SIZE)
        return false;
    const char *at = owners.ptr + index * CACHE_RING_OWNER_SIZE;
    if ((unsigned char)at[0] > CACHE_RING_LOST_CELL)
        return false;
    *owner = (struct cache_ring_owner){.state = (enum cache_ring_state)at[0],
                                       .value = cache_ring_get_number(at + 1)};
    return true;
}
