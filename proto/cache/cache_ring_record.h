/*
 * cache_ring_record.h: second copies (copies = 2): the record of an object as Redis keeps it, and lists of copies in
 * the messages between a cache's nodes and its manager.
 *
 * Used by both (cache.h, RING_COPY, RING_DROP), and by whoever stores the copies of a lost node. Pure; slices point
 * into what is read. A record is what a store is told of an object beside key and version: 8 bytes of expiry, a byte
 * of form and deletion, the value. In a list each copy is one piece of bytes, so that the manager gives it to Redis
 * as it came.
 */
#ifndef PROTO_CACHE_RING_RECORD_H
#define PROTO_CACHE_RING_RECORD_H

#include "common/buffer.h"
#include "proto/cache/cache_ring_script.h"

struct cache_ring_object {
    int64_t expiry_ms; /* milliseconds since 1970; INT64_MAX: never */
    unsigned form;     /* 0 bytes, 1 string, 2 term */
    bool deleted;      /* it is a deletion, and has no value */
    struct slice value;
};

/* Bytes of a record beside its value, and of a copy in a list beside its key and its record. */
#define CACHE_RING_RECORD_SIZE 9
#define CACHE_RING_COPY_SIZE   16

/* One more of a list: of an object, as a drop without a record, or as it is. */
void cache_ring_put_copy(struct buffer *out, struct slice key, uint64_t version,
                         const struct cache_ring_object *object);
void cache_ring_put_drop(struct buffer *out, struct slice key, uint64_t version);
void cache_ring_put_same(struct buffer *out, const struct cache_ring_copy *copy);

/* The next of a list, which is taken off its front. False: that was all, or (list->len > 0) it is none. */
bool cache_ring_take_copy(struct slice *list, struct cache_ring_copy *copy);

/* False: it is no record. */
bool cache_ring_read_record(struct slice record, struct cache_ring_object *object);

#endif
