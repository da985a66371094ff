/*
 * name_index.h: from a name to what bears it, in a time that does not grow with how many there are.
 *
 * For whoever builds or compares thousands of named things (sections, nodes): a search of a list for each of them would
 * grow with the square. Owns neither names nor things: both must outlive the index. Not for what comes from
 * outside in a flood: the table only grows.
 */
#ifndef COMMON_NAME_INDEX_H
#define COMMON_NAME_INDEX_H

#include "common/slice.h"

struct name_slot;

struct name_index {
    struct name_slot *slots;
    size_t cap, count;
};

#define NAME_INDEX_EMPTY ((struct name_index){.slots = NULL})

/*
 * Adds a name of a space (a number of the caller's: names of different spaces are different). The first of one name
 * stays. False when memory is short; the index is as before then.
 */
bool name_index_add(struct name_index *x, unsigned space, const char *name, const void *thing);

/* NULL: there is none. */
void *name_index_find(const struct name_index *x, unsigned space, struct slice name);

void name_index_fini(struct name_index *x);

#endif
