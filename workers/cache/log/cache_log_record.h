/*
 * cache_log_record.h: one record of the log as bytes.
 *
 * Runs in a cache node. Pure. Little-endian:
 *      0  u32  checksum of the head: from byte 4 on, with the expiry
 *      4  u32  checksum of key and value
 *      8  u32  value's length (25 bits), kind (2), form (2), dirty, last of its turn, has an expiry
 *     12  u32  key's length (25 bits), kind (its third bit), behind, the rest 0
 *     16  u64  version
 *     24  i64  expiry, if it has one; then key, then value
 * Two checksums, because a length must not be believed before it is known to be ours: one of garbage would have
 * megabytes summed up at each byte of a damaged place. Both start from a seed of the segment and from the place in it,
 * so that neither a block of an older file nor a client's value that looks like a record is ever taken for one.
 */
#ifndef WORKERS_CACHE_LOG_RECORD_H
#define WORKERS_CACHE_LOG_RECORD_H

#include "workers/cache/log/cache_log.h"

#define CACHE_LOG_LENGTH_MAX ((1u << 25) - 1) /* bytes of a key, or of a value */
#define CACHE_LOG_HEAD_MIN   24
#define CACHE_LOG_HEAD_MAX   32

enum cache_log_look {
    CACHE_LOG_WHOLE, /* a record */
    CACHE_LOG_SHORT, /* its head may be, or is, good; `size` bytes are needed to say more */
    CACHE_LOG_BAD,   /* none starts here */
};

struct cache_log_seen {
    struct cache_log_record record; /* its slices are of the bytes that were read */
    size_t size;
    bool last; /* of its turn: what was written so far is one */
};

/* False: it does not fit into a record. */
bool cache_log_record_fits(const struct cache_log_record *r);

/* Writes cache_log_size(r) bytes. `seed` is that of its place (cache_log_segment_seed). It must be sealed. */
void cache_log_record_write(char *to, const struct cache_log_record *r, uint32_t seed);

/* The head's checksum, with or without the mark of the turn's last: as often as wanted. */
void cache_log_record_seal(char *at, uint32_t seed, bool last);

/* The size of one that was written here: from memory, not from a disk. */
size_t cache_log_record_written(const char *at);

/* Moves one that was written here to another place: both checksums anew. Not sealed as last. */
void cache_log_record_replace(char *at, uint32_t seed);

enum cache_log_look cache_log_record_read(const char *at, size_t len, uint32_t seed,
                                          struct cache_log_seen *seen);

#endif
