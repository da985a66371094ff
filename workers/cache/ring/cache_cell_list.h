/*
 * cache_cell_list.h: which objects in memory are of one cell: lists of handles.
 *
 * Runs in a cache node of a ring. Pure. A cell leaves memory object by object when it is given up, so they must be
 * found from the cell. The links stand beside the objects, by handle, and not in them: 8 bytes an object that a node
 * without a ring has not. A list of handles in each cell was rejected: most cells have one object, and one of them may
 * have a million, of which each must be taken out at once wherever it stands.
 *
 * Links stand in chunks, as handles do (cache_handles.h): no call copies more than a pointer for 4096 of them, and a
 * chunk without a linked handle is given back. Where a cell's list begins the cell's entry says (cache_cells.h).
 */
#ifndef WORKERS_CACHE_CELL_LIST_H
#define WORKERS_CACHE_CELL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_CELL_LIST_BITS  12
#define CACHE_CELL_LIST_CHUNK (1u << CACHE_CELL_LIST_BITS) /* links: 32 KB */

struct cache_cell_link {
    uint32_t older; /* the handle before it; of a list's first its own; 0: it is in no list */
    uint32_t newer; /* the handle behind it; 0: it is the last */
};

struct cache_cell_links {
    struct cache_cell_link *links; /* NULL: none of its handles is in a list */
    uint32_t count;                /* of its handles that are */
};

struct cache_cell_list {
    struct cache_cell_links *chunks;
    uint32_t cap; /* chunks there are entries for */
    struct cache_cell_link
        *spare;   /* the last chunk that became empty: none is made and given back in turn */
    size_t bytes; /* of all of this, as the allocator counts them */
};

#define CACHE_CELL_LIST_EMPTY ((struct cache_cell_list){0})

/* All of them are in no list any more. */
void cache_cell_list_fini(struct cache_cell_list *l);

/*
 * The handle, which is not 0, joins the list whose first one *first is (0: there is none): behind the first, so that
 * *first changes only where it was 0. One that is in a list stays where it is. False: memory is short, and nothing has
 * changed.
 */
bool cache_cell_list_add(struct cache_cell_list *l, uint32_t *first, uint32_t handle);

/* The handle leaves the list that *first begins. *first changes only where it was it. Not for one that is in none. */
void cache_cell_list_remove(struct cache_cell_list *l, uint32_t *first, uint32_t handle);

/* Whether it is in a list; any handle, 0 too. */
bool cache_cell_list_has(const struct cache_cell_list *l, uint32_t handle);

/* The one behind it in its list, or 0. Of one that is in a list; to be asked before that one is removed. */
uint32_t cache_cell_list_next(const struct cache_cell_list *l, uint32_t handle);

#endif
