/*
 * cache_table.h: the objects in memory: a hash table of handles.
 *
 * Runs in a cache node. Pure: knows neither time, log, policy nor clients. An object is one allocation (head, expiry if
 * it has one, key, value), because each pointer and each allocator's head more costs a million objects 8 to 16 MB.
 * Others name it by its handle, 32 bits that stay while it lives, wherever its memory moves: queues and chains cost 4
 * bytes. Chained, not probed: SCAN's cursor (reversed bits, as Redis') needs buckets that only split and join.
 *
 * Linear hashing: buckets stand in chunks, and with the calls that add or remove one or two more are split or joined;
 * never two tables, never all at once, and memory follows the objects both ways. Hashes are not kept, as 4 bytes an
 * object are dearer than to hash one anew when its bucket is split.
 */
#ifndef WORKERS_CACHE_TABLE_H
#define WORKERS_CACHE_TABLE_H

#include "common/siphash.h"
#include "common/slice.h"

#include <stdint.h>

#define CACHE_VALUE_MAX   ((1u << 25) - 1) /* bytes of a value, or of a key */
#define CACHE_OBJECTS_MAX UINT32_MAX

/* Fields belong to those who are named; the table keeps those of others through every move and starts them at 0. */
struct cache_object {
    uint64_t version;     /* cache_db */
    uint32_t next;        /* the table: handle of the next of its bucket */
    uint32_t segment;     /* cache_db: of the log, that has its record; 0: none */
    unsigned used_s : 30; /* cache_db: when it was used last, in seconds of its monotonic clock */
    unsigned copied : 1;  /* cache_db: dirty, and this version has a second copy elsewhere */
    unsigned
        owned : 1; /* cache_db: in a ring: ours, and who uses it is this node's (cache_db_is_owned) */
    uint32_t older;     /* cache_policy: its neighbours' handles in the queue */
    uint32_t newer;     /* cache_policy */
    unsigned form : 2;  /* cache_db: what a value is to an Erlang client: bytes, string, term */
    unsigned dirty : 1; /* cache_db: the store does not have it yet */
    unsigned
        gone : 1; /* cache_db: a deletion, which the store shall hear of, or an absence it has told of */
    unsigned watched : 1; /* cache_db: some client watches it */
    unsigned busy : 1;    /* cache_db: being stored or moved: not to be evicted */
    unsigned expires : 1; /* the table: 8 bytes of expiry stand before the key */
    unsigned value_len : 25;
    unsigned heat : 2;    /* cache_policy */
    unsigned main : 1;    /* cache_policy */
    unsigned behind : 1;  /* cache_db: the store has some version of it, or may have */
    unsigned blind : 1;   /* cache_db: written without asking what the store has */
    unsigned dead : 1;    /* cache_db: dirty, and the store does not take it: a dead letter */
    unsigned adopted : 1; /* cache_db: dirty, and older than the store that is behind */
    unsigned key_len : 25;
    char bytes[];
};

/* Of one call of cache_table_fetch: so many lines of memory are on their way at once, and few of them lost again. */
#define CACHE_TABLE_FETCH_MAX 64

struct cache_table;

/* hash_key: siphash's, of all hashes below; copied. NULL when memory is short. */
struct cache_table *cache_table_new(const uint8_t hash_key[SIPHASH_KEY_SIZE]);
void cache_table_free(struct cache_table *t);

/* siphash of a key, by the table's hash key: what `hash` is in all calls. */
uint64_t cache_table_hash(const struct cache_table *t, struct slice key);

/* The handle of that key's object, or 0. */
uint32_t cache_table_find(const struct cache_table *t, struct slice key, uint64_t hash);

/*
 * Brings near what cache_table_find will look at for these hashes, all at once and not one behind the other: to be
 * called before a search for each. `count`: CACHE_TABLE_FETCH_MAX at most. Changes nothing.
 */
void cache_table_fetch(const struct cache_table *t, const uint64_t *hashes, size_t count);

/* The object of a live handle; the pointer holds until the next call that changes the table. */
struct cache_object *cache_table_at(const struct cache_table *t, uint32_t handle);

static inline struct slice cache_object_key(const struct cache_object *o)
{
    return slice_make(o->bytes + (o->expires ? sizeof(int64_t) : 0), o->key_len);
}

static inline struct slice cache_object_value(const struct cache_object *o)
{
    return slice_make(cache_object_key(o).ptr + o->key_len, o->value_len);
}

/* Milliseconds since 1970, or INT64_MAX: never. */
static inline int64_t cache_object_expiry(const struct cache_object *o)
{
    int64_t expiry_ms = INT64_MAX;
    if (o->expires)
        memcpy(&expiry_ms, o->bytes, sizeof expiry_ms);
    return expiry_ms;
}

/*
 * A new object without a value. The key must not be there, and be of at most CACHE_VALUE_MAX bytes. Its handle, or 0:
 * memory is short and nothing has changed.
 */
uint32_t cache_table_add(struct cache_table *t, struct slice key, uint64_t hash);

/* The same with room for a value and an expiry, as cache_table_resize gives it, in one allocation instead of two. */
uint32_t cache_table_add_sized(struct cache_table *t, struct slice key, uint64_t hash, size_t len,
                               int64_t expiry_ms);

/*
 * So many objects are to come: buckets for them are made at once if there are no objects yet, as far as memory reaches,
 * and are not given back before it is said that no more are (0), whereupon they are as many as for what has come.
 */
void cache_table_expect(struct cache_table *t, size_t count);

/*
 * Gives the object room for `len` bytes of value (at most CACHE_VALUE_MAX), whose first ones stay, and an expiry
 * (INT64_MAX: none). Returns where its value is, to be written, or NULL: memory is short and nothing has changed; never
 * when value and expiry together take no more than before. The value must not be written from a slice of this object.
 */
char *cache_table_resize(struct cache_table *t, uint32_t handle, size_t len, int64_t expiry_ms);

/* Frees the object; its handle may be another's from now on. */
void cache_table_remove(struct cache_table *t, uint32_t handle, uint64_t hash);

/* Objects, and the bytes of all of this as the allocator counts them, its own head of each included. */
size_t cache_table_count(const struct cache_table *t);
size_t cache_table_bytes(const struct cache_table *t);

/*
 * Calls fn for each object of one bucket (both halves of one that has been split in the round at hand); returns the
 * cursor to go on with, 0 at the end. What is there from the first call to the last is seen at least once, whatever is
 * added or removed meanwhile. fn may remove or resize the object it is given, and change nothing else.
 */
uint64_t cache_table_scan(struct cache_table *t, uint64_t cursor,
                          void (*fn)(struct cache_table *t, uint32_t handle, void *ctx), void *ctx);

/*
 * A random object's handle, 0 when there is none. `random`: any number, evenly spread. Not quite even: a bucket is
 * drawn first, so that who shares one with others is drawn less (as Redis' RANDOMKEY).
 */
uint32_t cache_table_random(const struct cache_table *t, uint64_t random);

#endif
