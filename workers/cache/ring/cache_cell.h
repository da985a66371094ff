/*
 * cache_cell.h: which cell of the ring a key is in.
 *
 * Runs in a cache node. Pure. A cell is what has an owner in a ring: 64 bits of a hash of the key or, where the key has
 * one, of its tag. The tag is Redis Cluster's, so that clients who keep keys together there keep them together here:
 * what stands between the first '{' and the first '}' behind it, unless that is nothing. Keys of one tag are always of
 * one node, and commands of several keys (MULTI, MSETNX) can be made of them.
 *
 * The seed is the ring's own: made by the first node that joins, the same in all of them. Whoever does not know it
 * cannot make keys that meet in one cell, or in one part of a table of cells (cache_cells.h). Two keys that meet by
 * chance only share their owner.
 * Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ (Hash tags)
 */
#ifndef WORKERS_CACHE_CELL_H
#define WORKERS_CACHE_CELL_H

#include "common/siphash.h"
#include "common/slice.h"

#include <stdint.h>

/* What of a key is hashed: its tag, or all of it. Borrowed from the key. */
struct slice cache_cell_tag(struct slice key);

/* The key's cell. `seed`: of the ring, SIPHASH_KEY_SIZE bytes. Any key, the empty one too; never fails. */
uint64_t cache_cell(struct slice key, const uint8_t seed[SIPHASH_KEY_SIZE]);

#endif
