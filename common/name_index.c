/* name_index.c: open addressing with linear probing, at most half full. See name_index.h. */
#include "common/name_index.h"

#include <stdint.h>
#include <stdlib.h>

#define NAME_INDEX_FIRST 64

struct name_slot {
    const char *name; /* NULL: free */
    uint64_t hash;
    unsigned space;
    const void *thing;
};

/* FNV-1a. */
static uint64_t name_hash(unsigned space, struct slice name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ space;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The name's slot, or the free one where it belongs; the table has free ones. */
static struct name_slot *name_slot_of(struct name_slot *slots, size_t cap, uint64_t hash,
                                      unsigned space, struct slice name)
{
    for (size_t at = hash & (cap - 1);; at = (at + 1) & (cap - 1)) {
        struct name_slot *s = &slots[at];
        if (s->name == NULL || (s->hash == hash && s->space == space && slice_is(name, s->name)))
            return s;
    }
}

static bool name_index_grow(struct name_index *x)
{
    size_t cap = x->cap > 0 ? 2 * x->cap : NAME_INDEX_FIRST;
    struct name_slot *slots = calloc(cap, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < x->cap; i++) {
        const struct name_slot *s = &x->slots[i];
        if (s->name != NULL)
            *name_slot_of(slots, cap, s->hash, s->space, slice_of(s->name)) = *s;
    }
    free(x->slots);
    x->slots = slots;
    x->cap = cap;
    return true;
}

bool name_index_add(struct name_index *x, unsigned space, const char *name, const void *thing)
{
    if (2 * (x->count + 1) > x->cap && !name_index_grow(x))
        return false;
    uint64_t hash = name_hash(space, slice_of(name));
    struct name_slot *s = name_slot_of(x->slots, x->cap, hash, space, slice_of(name));
    if (s->name != NULL)
        return true;
    *s = (struct name_slot){name, hash, space, thing};
    x->count++;
    return true;
}

void *name_index_find(const struct name_index *x, unsigned space, struct slice name)
{
    if (x->cap == 0)
        return NULL;
    return (void *)(uintptr_t)name_slot_of(x->slots, x->cap, name_hash(space, name), space, name)
        ->thing;
}

void name_index_fini(struct name_index *x)
{
    free(x->slots);
    *x = NAME_INDEX_EMPTY;
}
