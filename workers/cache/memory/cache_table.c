/* cache_table.c: objects, and the buckets they hang in. See cache_table.h. */
#include "workers/cache/memory/cache_table.h"
#include "workers/cache/memory/cache_handles.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>

#define TABLE_CHUNK_BITS 12
#define TABLE_CHUNK      (1u << TABLE_CHUNK_BITS) /* buckets: 16 KB */
#define TABLE_FIRST      4                        /* buckets there are always */
#define TABLE_SOON       8                        /* splits between two steps of bringing near */
#define TABLE_OBJECT     offsetof(struct cache_object, bytes)

/* What only asks for memory to come near is no work in the compiler's eyes: it would leave a call of it out. */
#define TABLE_INLINE __attribute__((always_inline))

/*
 * Buckets 0 … mask + split are there. Those below `split`, and what they were split into, are told apart by one bit of
 * the hash more than the others.
 */
struct cache_table {
    uint32_t **chunks; /* of buckets: the first handle of each, or 0 */
    size_t cap;        /* chunks there are pointers for */
    uint64_t mask, split;
    size_t count;
    size_t expected; /* objects that there are buckets for, however few have come */
    size_t bytes;    /* all but the handles' */
    bool scanning;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    struct cache_handles handles;
};

uint64_t cache_table_hash(const struct cache_table *t, struct slice key)
{
    return siphash(key, t->hash_key);
}

struct cache_object *cache_table_at(const struct cache_table *t, uint32_t handle)
{
    return cache_handles_at(&t->handles, handle);
}

size_t cache_table_count(const struct cache_table *t)
{
    return t->count;
}

size_t cache_table_bytes(const struct cache_table *t)
{
    return t->bytes + t->handles.bytes;
}

/* ---- buckets ---- */

static inline uint64_t table_buckets(const struct cache_table *t)
{
    return t->mask + 1 + t->split;
}

static inline uint32_t *table_bucket(const struct cache_table *t, uint64_t bucket)
{
    return &t->chunks[bucket >> TABLE_CHUNK_BITS][bucket & (TABLE_CHUNK - 1)];
}

static inline uint32_t *table_bucket_of(const struct cache_table *t, uint64_t hash)
{
    uint64_t coarse = hash & t->mask, fine = hash & (2 * t->mask + 1);
    return table_bucket(t, coarse < t->split ? fine : coarse);
}

/* Pointers to more chunks: 8 bytes for 4096 buckets, so these few may move at once. */
static bool table_widen(struct cache_table *t, size_t cap)
{
    uint32_t **chunks = malloc(cap * sizeof *chunks);
    if (chunks == NULL)
        return false;
    memset(chunks, 0, cap * sizeof *chunks);
    if (t->cap > 0)
        memcpy(chunks, t->chunks, t->cap * sizeof *chunks);
    t->bytes += cache_memory_of(chunks);
    t->bytes -= cache_memory_of(t->chunks);
    free(t->chunks);
    t->chunks = chunks;
    t->cap = cap;
    return true;
}

/* Makes sure that the bucket has memory. Its content is not set. */
static bool table_make_bucket(struct cache_table *t, uint64_t bucket)
{
    size_t chunk = bucket >> TABLE_CHUNK_BITS;
    if (chunk == t->cap && !table_widen(t, t->cap > 0 ? 2 * t->cap : 8))
        return false;
    if (t->chunks[chunk] != NULL)
        return true;
    t->chunks[chunk] = malloc(TABLE_CHUNK * sizeof **t->chunks);
    t->bytes += cache_memory_of(t->chunks[chunk]);
    return t->chunks[chunk] != NULL;
}

/* The bucket was the last one. */
static void table_drop_bucket(struct cache_table *t, uint64_t bucket)
{
    size_t chunk = bucket >> TABLE_CHUNK_BITS;
    if (bucket % TABLE_CHUNK != 0)
        return;
    t->bytes -= cache_memory_of(t->chunks[chunk]);
    free(t->chunks[chunk]);
    t->chunks[chunk] = NULL;
}

/* An object's head and the beginning of its key, which need not stand in one line. */
static inline TABLE_INLINE void table_fetch(const struct cache_table *t, uint32_t handle)
{
    const struct cache_object *o = cache_table_at(t, handle);
    __builtin_prefetch(o);
    __builtin_prefetch(o->bytes + sizeof(uint64_t));
}

/*
 * What the next splits will look at is brought near, a step a split: where an object is, then the object; then the same
 * of the one behind it. Which bucket comes next is known long before, and each of these is a miss of all caches.
 */
static inline TABLE_INLINE void table_split_soon(const struct cache_table *t)
{
    uint32_t handle, next;
    if (t->split + 4 * TABLE_SOON > t->mask)
        return;
    if ((handle = *table_bucket(t, t->split + 4 * TABLE_SOON)) != 0)
        cache_handles_fetch(&t->handles, handle);
    if ((handle = *table_bucket(t, t->split + 3 * TABLE_SOON)) != 0)
        table_fetch(t, handle);
    if ((handle = *table_bucket(t, t->split + 2 * TABLE_SOON)) != 0 &&
        (next = cache_table_at(t, handle)->next) != 0)
        cache_handles_fetch(&t->handles, next);
    if ((handle = *table_bucket(t, t->split + TABLE_SOON)) != 0 &&
        (next = cache_table_at(t, handle)->next) != 0)
        table_fetch(t, next);
}

/* One bucket becomes two. False: memory is short, and chains go on growing until it is not. */
static bool table_split(struct cache_table *t)
{
    uint64_t bit = t->mask + 1;
    if (!table_make_bucket(t, bit + t->split))
        return false;
    table_split_soon(t);
    uint32_t *low = table_bucket(t, t->split), *high = table_bucket(t, bit + t->split);
    uint32_t handle = *low;
    while (handle != 0) {
        struct cache_object *o = cache_table_at(t, handle);
        uint32_t **end = cache_table_hash(t, cache_object_key(o)) & bit ? &high : &low;
        **end = handle;
        *end = &o->next;
        handle = o->next;
    }
    *low = *high = 0;
    if (++t->split == bit) {
        t->mask = 2 * t->mask + 1;
        t->split = 0;
    }
    return true;
}

/* The last bucket goes back into the one it was split from. */
static void table_join(struct cache_table *t)
{
    if (t->split == 0) {
        t->mask >>= 1;
        t->split = t->mask + 1;
    }
    t->split--;
    uint64_t last = t->mask + 1 + t->split;
    uint32_t first = *table_bucket(t, last);
    uint32_t *end = table_bucket(t, t->split);
    while (first != 0 && *end != 0)
        end = &cache_table_at(t, *end)->next;
    if (first != 0)
        *end = first;
    table_drop_bucket(t, last);
}

/*
 * Two buckets an object: with one, every second search would touch an object more than it must, and each is a miss of
 * all caches; the second costs 4 bytes. Joined only when there are four, so that one added and one removed in turn cost
 * nothing. Each object moves a bound by 2 or 4 buckets; twice as many steps catch up with what failed, or waited for a
 * scan.
 */
static void table_settle(struct cache_table *t)
{
    size_t count = t->count > t->expected ? t->count : t->expected;
    for (unsigned i = 0; i < 4 && table_buckets(t) < 2 * count && table_split(t); i++)
        ;
    for (unsigned i = 0; i < 8 && table_buckets(t) > 4 * count + TABLE_FIRST; i++)
        table_join(t);
}

/* All of them at once, of a table without objects. */
static void table_make_buckets(struct cache_table *t, uint64_t count)
{
    uint64_t made = 0;
    for (; made < count && table_make_bucket(t, made); made += TABLE_CHUNK)
        memset(table_bucket(t, made), 0, TABLE_CHUNK * sizeof **t->chunks);
    count = count < made ? count : made;
    if (count <= table_buckets(t))
        return;
    while (2 * (t->mask + 1) <= count)
        t->mask = 2 * t->mask + 1;
    t->split = count - (t->mask + 1);
}

void cache_table_expect(struct cache_table *t, size_t count)
{
    t->expected = count < CACHE_OBJECTS_MAX ? count : CACHE_OBJECTS_MAX;
    if (t->count == 0)
        table_make_buckets(t, 2 * (uint64_t)t->expected);
    while (count == 0 && table_buckets(t) > 2 * t->count + TABLE_FIRST)
        table_join(t);
}

/* ---- the table ---- */

struct cache_table *cache_table_new(const uint8_t hash_key[SIPHASH_KEY_SIZE])
{
    struct cache_table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->bytes = cache_memory_of(t);
    t->mask = TABLE_FIRST - 1;
    memcpy(t->hash_key, hash_key, sizeof t->hash_key);
    if (!table_make_bucket(t, 0)) {
        cache_table_free(t);
        return NULL;
    }
    memset(t->chunks[0], 0, TABLE_FIRST * sizeof **t->chunks);
    return t;
}

void cache_table_free(struct cache_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->cap; i++)
        free(t->chunks[i]);
    free(t->chunks);
    cache_handles_fini(&t->handles, free);
    free(t);
}

uint32_t cache_table_find(const struct cache_table *t, struct slice key, uint64_t hash)
{
    uint32_t handle = *table_bucket_of(t, hash);
    while (handle != 0) {
        const struct cache_object *o = cache_table_at(t, handle);
        if (slice_equal(cache_object_key(o), key))
            break;
        handle = o->next;
    }
    return handle;
}

/* The first object of each chain: few have a second. Each pass finds what the one before it has asked for. */
void cache_table_fetch(const struct cache_table *t, const uint64_t *hashes, size_t count)
{
    uint32_t first[CACHE_TABLE_FETCH_MAX];
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(table_bucket_of(t, hashes[i]), 1);
    for (size_t i = 0; i < count; i++)
        if ((first[i] = *table_bucket_of(t, hashes[i])) != 0)
            cache_handles_fetch(&t->handles, first[i]);
    for (size_t i = 0; i < count; i++)
        if (first[i] != 0)
            table_fetch(t, first[i]);
}

uint32_t cache_table_add_sized(struct cache_table *t, struct slice key, uint64_t hash, size_t len,
                               int64_t expiry_ms)
{
    bool expires = expiry_ms != INT64_MAX;
    struct cache_object *o =
        malloc(TABLE_OBJECT + (expires ? sizeof expiry_ms : 0) + key.len + len);
    uint32_t handle = o != NULL ? cache_handles_take(&t->handles, o) : 0;
    if (handle == 0) {
        free(o);
        return 0;
    }
    uint32_t *bucket = table_bucket_of(t, hash);
    memset(o, 0, TABLE_OBJECT);
    o->key_len = (unsigned)key.len & CACHE_VALUE_MAX;
    o->value_len = (unsigned)len & CACHE_VALUE_MAX;
    o->expires = expires;
    o->next = *bucket;
    if (expires)
        memcpy(o->bytes, &expiry_ms, sizeof expiry_ms);
    memcpy((char *)(uintptr_t)cache_object_key(o).ptr, key.ptr, key.len);
    *bucket = handle;
    t->count++;
    t->bytes += cache_memory_of(o);
    table_settle(t);
    return handle;
}

uint32_t cache_table_add(struct cache_table *t, struct slice key, uint64_t hash)
{
    return cache_table_add_sized(t, key, hash, 0, INT64_MAX);
}

void cache_table_remove(struct cache_table *t, uint32_t handle, uint64_t hash)
{
    struct cache_object *o = cache_table_at(t, handle);
    uint32_t *link = table_bucket_of(t, hash);
    while (*link != handle)
        link = &cache_table_at(t, *link)->next;
    *link = o->next;
    cache_handles_give(&t->handles, handle);
    t->count--;
    t->bytes -= cache_memory_of(o);
    free(o);
    if (!t->scanning)
        table_settle(t);
}

/* ---- an object's room ---- */

/* Moves the object's memory; NULL, and all as it was, when there is none of that size. */
static struct cache_object *table_move(struct cache_table *t, uint32_t handle, size_t size)
{
    struct cache_object *old = cache_table_at(t, handle);
    size_t before = cache_memory_of(old);
    struct cache_object *o = realloc(old, size);
    if (o == NULL)
        return NULL;
    cache_handles_move(&t->handles, handle, o);
    t->bytes += cache_memory_of(o);
    t->bytes -= before;
    return o;
}

/* Key and value move to where they stand with or without an expiry before them. */
static void table_shape(struct cache_object *o, size_t len, int64_t expiry_ms)
{
    const char *from = cache_object_key(o).ptr;
    size_t kept = o->key_len + (len < o->value_len ? len : o->value_len);
    o->expires = expiry_ms != INT64_MAX;
    o->value_len = (unsigned)len & CACHE_VALUE_MAX;
    memmove((char *)(uintptr_t)cache_object_key(o).ptr, from, kept);
    if (o->expires)
        memcpy(o->bytes, &expiry_ms, sizeof expiry_ms);
}

static size_t table_size(const struct cache_object *o, size_t len, bool expires)
{
    return TABLE_OBJECT + (expires ? sizeof(int64_t) : 0) + o->key_len + len;
}

char *cache_table_resize(struct cache_table *t, uint32_t handle, size_t len, int64_t expiry_ms)
{
    struct cache_object *o = cache_table_at(t, handle);
    size_t before = table_size(o, o->value_len, o->expires);
    size_t after = table_size(o, len, expiry_ms != INT64_MAX);
    if (after > before && (o = table_move(t, handle, after)) == NULL)
        return NULL;
    table_shape(o, len, expiry_ms);
    if (after < before)
        table_move(t, handle, after); /* where it fails the object keeps its room, and is right */
    return (char *)(uintptr_t)cache_object_value(cache_table_at(t, handle)).ptr;
}

/* ---- all of them ---- */

static uint64_t table_reversed(uint64_t x)
{
    x = (x >> 1 & UINT64_C(0x5555555555555555)) | (x & UINT64_C(0x5555555555555555)) << 1;
    x = (x >> 2 & UINT64_C(0x3333333333333333)) | (x & UINT64_C(0x3333333333333333)) << 2;
    x = (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(x);
}

static void table_scan_bucket(struct cache_table *t, uint64_t bucket,
                              void (*fn)(struct cache_table *t, uint32_t handle, void *ctx),
                              void *ctx)
{
    for (uint32_t handle = *table_bucket(t, bucket), next; handle != 0; handle = next) {
        next = cache_table_at(t, handle)->next;
        fn(t, handle, ctx);
    }
}

/*
 * The cursor counts with its highest bit first: what was seen of a bucket stays seen when it is split, as its halves
 * have the same low bits, and at worst is seen again when it has been joined.
 */
uint64_t cache_table_scan(struct cache_table *t, uint64_t cursor,
                          void (*fn)(struct cache_table *t, uint32_t handle, void *ctx), void *ctx)
{
    uint64_t bucket = cursor & t->mask,
             next = table_reversed(table_reversed(cursor | ~t->mask) + 1);
    t->scanning = true;
    table_scan_bucket(t, bucket, fn, ctx);
    if (bucket < t->split)
        table_scan_bucket(t, bucket + t->mask + 1, fn, ctx);
    t->scanning = false;
    table_settle(t);
    return next;
}

/* SplitMix64's end: each bit of one number depends on each of the other. */
static uint64_t table_mixed(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint32_t cache_table_random(const struct cache_table *t, uint64_t random)
{
    uint32_t first = 0, length = 0;
    if (t->count == 0)
        return 0;
    while ((first = *table_bucket(t, random % table_buckets(t))) == 0)
        random = table_mixed(random + UINT64_C(0x9e3779b97f4a7c15));
    for (uint32_t h = first; h != 0; h = cache_table_at(t, h)->next)
        length++;
    for (uint64_t skip = table_mixed(random) % length; skip > 0; skip--)
        first = cache_table_at(t, first)->next;
    return first;
}
