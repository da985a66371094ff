/* cache_ring_record.c: see cache_ring_record.h. */
#include "proto/cache/cache_ring_record.h"

#define RECORD_DELETED 4 /* in the byte of the form */

/* `width` bytes, the highest first. */
static void record_put(struct buffer *out, uint64_t number, unsigned width)
{
    for (unsigned i = width; i > 0; i--)
        buffer_append_char(out, (char)(number >> (8 * (i - 1))));
}

static uint64_t record_get(const char *at, unsigned width)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < width; i++)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

static void record_put_head(struct buffer *out, struct slice key, uint64_t version, size_t record)
{
    record_put(out, key.len, 4);
    record_put(out, record, 4);
    record_put(out, version, 8);
    buffer_append_slice(out, key);
}

void cache_ring_put_copy(struct buffer *out, struct slice key, uint64_t version,
                         const struct cache_ring_object *object)
{
    unsigned flags = (object->form & 3) | (object->deleted ? RECORD_DELETED : 0);
    record_put_head(out, key, version, CACHE_RING_RECORD_SIZE + object->value.len);
    record_put(out, (uint64_t)object->expiry_ms, 8);
    record_put(out, flags, 1);
    buffer_append_slice(out, object->value);
}

void cache_ring_put_drop(struct buffer *out, struct slice key, uint64_t version)
{
    record_put_head(out, key, version, 0);
}

void cache_ring_put_same(struct buffer *out, const struct cache_ring_copy *copy)
{
    record_put_head(out, copy->key, copy->version, copy->record.len);
    buffer_append_slice(out, copy->record);
}

bool cache_ring_take_copy(struct slice *list, struct cache_ring_copy *copy)
{
    if (list->len < CACHE_RING_COPY_SIZE)
        return false;
    uint64_t key = record_get(list->ptr, 4), record = record_get(list->ptr + 4, 4);
    uint64_t version = record_get(list->ptr + 8, 8);
    if (key + record > list->len - CACHE_RING_COPY_SIZE)
        return false;
    const char *at = list->ptr + CACHE_RING_COPY_SIZE;
    *copy = (struct cache_ring_copy){
        .key = slice_make(at, key), .version = version, .record = slice_make(at + key, record)};
    size_t used = CACHE_RING_COPY_SIZE + (size_t)(key + record);
    *list = slice_make(list->ptr + used, list->len - used);
    return true;
}

bool cache_ring_read_record(struct slice record, struct cache_ring_object *object)
{
    if (record.len < CACHE_RING_RECORD_SIZE)
        return false;
    unsigned flags = (unsigned)record_get(record.ptr + 8, 1);
    *object = (struct cache_ring_object){.expiry_ms = (int64_t)record_get(record.ptr, 8),
                                         .form = flags & 3,
                                         .deleted = (flags & RECORD_DELETED) != 0,
                                         .value = slice_make(record.ptr + CACHE_RING_RECORD_SIZE,
                                                             record.len - CACHE_RING_RECORD_SIZE)};
    return flags < 2 * RECORD_DELETED && object->form <= 2 &&
           (!object->deleted || object->value.len == 0);
}
