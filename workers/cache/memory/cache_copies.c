/*
 * cache_copies.c: a cache_table of copies, and a list through them in the order of their use. See cache_copies.h.
 *
 * Fields of cache_object: version, form, older and newer are what they are called; gone: it is absent; used_s and
 * segment: the low 30 bits of confirmed_ms, and those above (there is neither a log nor an idle time here, and 8
 * bytes more before each value would be to be read unaligned).
 */
#include "workers/cache/memory/cache_copies.h"
#include "workers/cache/memory/cache_memory.h"
#include "workers/cache/memory/cache_table.h"

#include <stdlib.h>

struct cache_copies {
    struct cache_table *table;
    size_t bytes_max;
    uint32_t oldest, newest; /* handles: the next to go, and what was used last; 0: there is none */
    struct cache_copy found; /* what cache_copies_find tells */
};

/* ---- order ---- */

static void copies_set_newer(struct cache_copies *c, uint32_t of, uint32_t to)
{
    *(of != 0 ? &cache_table_at(c->table, of)->newer : &c->oldest) = to;
}

static void copies_set_older(struct cache_copies *c, uint32_t of, uint32_t to)
{
    *(of != 0 ? &cache_table_at(c->table, of)->older : &c->newest) = to;
}

static void copies_unlink(struct cache_copies *c, uint32_t handle)
{
    const struct cache_object *o = cache_table_at(c->table, handle);
    copies_set_newer(c, o->older, o->newer);
    copies_set_older(c, o->newer, o->older);
}

static void copies_link(struct cache_copies *c, uint32_t handle)
{
    struct cache_object *o = cache_table_at(c->table, handle);
    o->older = c->newest;
    o->newer = 0;
    copies_set_newer(c, o->older, handle);
    c->newest = handle;
}

/* ---- giving up ---- */

static void copies_remove(struct cache_copies *c, uint32_t handle, uint64_t hash)
{
    copies_unlink(c, handle);
    cache_table_remove(c->table, handle, hash);
}

static void copies_remove_oldest(struct cache_copies *c)
{
    struct slice key = cache_object_key(cache_table_at(c->table, c->oldest));
    copies_remove(c, c->oldest, cache_table_hash(c->table, key));
}

size_t cache_copies_shrink(struct cache_copies *c, size_t bytes)
{
    size_t before = cache_copies_bytes(c), now = before;
    while (c->oldest != 0 && before - now < bytes) {
        copies_remove_oldest(c);
        now = cache_copies_bytes(c);
    }
    return before - now;
}

void cache_copies_drop(struct cache_copies *c, struct slice key)
{
    uint64_t hash = cache_table_hash(c->table, key);
    uint32_t handle = cache_table_find(c->table, key, hash);
    if (handle != 0)
        copies_remove(c, handle, hash);
}

void cache_copies_drop_all(struct cache_copies *c)
{
    while (c->oldest != 0)
        copies_remove_oldest(c);
}

/* ---- keeping ---- */

static uint64_t copies_confirmed_ms(const struct cache_object *o)
{
    return (uint64_t)o->segment << 30 | o->used_s;
}

static void copies_fill(struct cache_object *o, const struct cache_copy *copy)
{
    o->version = copy->version;
    o->form = copy->form & 3u;
    o->gone = copy->absent;
    o->used_s = copy->confirmed_ms & 0x3fffffff;
    o->segment = (uint32_t)(copy->confirmed_ms >> 30);
    if (o->value_len > 0)
        memcpy((char *)(uintptr_t)cache_object_value(o).ptr, copy->value.ptr, o->value_len);
}

/* Half of the bound: a value near all of it would cost all other copies, and then maybe not fit beside the table. */
static bool copies_may_hold(const struct cache_copies *c, struct slice key, struct slice value)
{
    return key.len <= CACHE_VALUE_MAX && value.len <= CACHE_VALUE_MAX &&
           key.len + value.len <= c->bytes_max / 2;
}

/* Room is made before, so that the bound is exceeded by no value, and what the table itself has grown by behind. */
static bool copies_add(struct cache_copies *c, struct slice key, uint64_t hash,
                       const struct cache_copy *copy)
{
    size_t need = sizeof(struct cache_object) + key.len + copy->value.len;
    while (c->oldest != 0 && cache_copies_bytes(c) + need > c->bytes_max)
        copies_remove_oldest(c);
    uint32_t handle = cache_table_add_sized(c->table, key, hash, copy->value.len, copy->expiry_ms);
    if (handle == 0)
        return false;
    copies_fill(cache_table_at(c->table, handle), copy);
    copies_link(c, handle);
    while (c->oldest != 0 && cache_copies_bytes(c) > c->bytes_max)
        copies_remove_oldest(c);
    return c->oldest != 0;
}

bool cache_copies_put(struct cache_copies *c, struct slice key, const struct cache_copy *copy)
{
    uint64_t hash = cache_table_hash(c->table, key);
    uint32_t handle = cache_table_find(c->table, key, hash);
    if (handle != 0 && copies_confirmed_ms(cache_table_at(c->table, handle)) > copy->confirmed_ms)
        return true;
    if (handle != 0)
        copies_remove(c, handle, hash);
    return copies_may_hold(c, key, copy->value) && copies_add(c, key, hash, copy);
}

/* ---- looking ---- */

const struct cache_copy *cache_copies_find(struct cache_copies *c, struct slice key,
                                           int64_t now_wall_ms)
{
    uint64_t hash = cache_table_hash(c->table, key);
    uint32_t handle = cache_table_find(c->table, key, hash);
    if (handle == 0)
        return NULL;
    const struct cache_object *o = cache_table_at(c->table, handle);
    if (o->expires && cache_object_expiry(o) <= now_wall_ms) {
        copies_remove(c, handle, hash);
        return NULL;
    }
    copies_unlink(c, handle);
    copies_link(c, handle);
    c->found = (struct cache_copy){.value = cache_object_value(o),
                                   .absent = o->gone,
                                   .form = o->form,
                                   .version = o->version,
                                   .expiry_ms = cache_object_expiry(o),
                                   .confirmed_ms = copies_confirmed_ms(o)};
    return &c->found;
}

/* ---- all of it ---- */

struct cache_copies *cache_copies_new(size_t bytes_max, const uint8_t hash_key[SIPHASH_KEY_SIZE])
{
    struct cache_copies *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->bytes_max = bytes_max;
    c->table = cache_table_new(hash_key);
    if (c->table == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void cache_copies_free(struct cache_copies *c)
{
    if (c == NULL)
        return;
    cache_table_free(c->table);
    free(c);
}

size_t cache_copies_bytes(const struct cache_copies *c)
{
    return cache_memory_of(c) + cache_table_bytes(c->table);
}

size_t cache_copies_count(const struct cache_copies *c)
{
    return cache_table_count(c->table);
}
