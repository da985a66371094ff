/*
 * cache_ring_cells.h: lists of cells and their owners in the messages between a cache's nodes and its manager.
 *
 * Used by both (cache.h, RING_CLAIM to RING_RELEASE). Pure. Bytes of one width each, the highest first, because a turn
 * may claim a thousand: msgpack would have each looked at once more on its way.
 */
#ifndef PROTO_CACHE_RING_CELLS_H
#define PROTO_CACHE_RING_CELLS_H

#include "common/buffer.h"
#include "proto/cache/cache_ring_answer.h"

#define CACHE_RING_CELL_SIZE  8  /* a cell */
#define CACHE_RING_HELD_SIZE  16 /* a cell, and the number of its claim */
#define CACHE_RING_OWNER_SIZE 9  /* a state, and its value */

/* Eight bytes. */
uint64_t cache_ring_get_number(const char *at);

void cache_ring_put_cell(struct buffer *out, uint64_t cell);
void cache_ring_put_held(struct buffer *out, const struct cache_ring_held *held);
void cache_ring_put_owner(struct buffer *out, const struct cache_ring_owner *owner);

/* Of a list of owners the one with this index. False: there is none, or it has no such state. */
bool cache_ring_get_owner(struct slice owners, size_t index, struct cache_ring_owner *owner);

#endif
