/*
 * cache_cell_objects.h: what of each cell is in memory: cache_db's objects in the lists of the table of cells.
 *
 * Runs in a cache node of a ring; one thread. It is who cache_db tells of its objects (cache_db_place), and knows
 * neither claims nor leases. From a cell's entry (cache_cells_find) `first` is its first object, cache_cell_list_next
 * the one behind each, cache_db_object what it is, cache_db_leave lets it go. Whoever lets objects go on the way asks
 * for the next one before, and for the entry anew behind: it may be gone with the last of them.
 */
#ifndef WORKERS_CACHE_CELL_OBJECTS_H
#define WORKERS_CACHE_CELL_OBJECTS_H

#include "common/siphash.h"
#include "workers/cache/cache_db.h"
#include "workers/cache/ring/cache_cell_list.h"
#include "workers/cache/ring/cache_cells.h"

struct cache_cell_objects {
    struct cache_cells *cells; /* the caller's; their `first` is set here alone */
    struct cache_cell_list list;
    struct cache_db *db;
    uint8_t seed[SIPHASH_KEY_SIZE];
    struct cache_db_places places; /* for cache_db_place */
};

/*
 * Of an empty table of cells, and a ring of that seed (SIPHASH_KEY_SIZE bytes, copied); then cache_db_place(db,
 * &objects->places). `objects` stays where it is. With another seed: cache_db_place(db, NULL), fini, init, and so on.
 */
void cache_cell_objects_init(struct cache_cell_objects *objects, struct cache_db *db,
                             struct cache_cells *cells, const uint8_t *seed);

/*
 * The cell's only object is marked as one that is ours to use (cache_db_is_owned), or not any more. The mark ends when
 * the cell gets a second one: so a cell is not looked at for each use of its object, and none is forgotten to be told
 * that others use it, or that it is not ours.
 */
void cache_cell_objects_own(struct cache_cell_objects *objects, const struct cache_cells_entry *e,
                            bool owned);

/* Of the cells no object is known any more. cache_db must not tell of any then. */
void cache_cell_objects_fini(struct cache_cell_objects *objects);

/* The handle of the cell's first object; 0: there is none. */
uint32_t cache_cell_objects_first(const struct cache_cell_objects *objects, uint64_t cell);

/* Bytes of the lists; those of the cells: cache_cells_bytes. To be counted as what clients hold (cache_db_charge). */
size_t cache_cell_objects_bytes(const struct cache_cell_objects *objects);

#endif
