/* cache_cell_objects.c: see cache_cell_objects.h. */
#include "workers/cache/cache_cell_objects.h"

#include "workers/cache/ring/cache_cell.h"

#define OBJECTS_PAGE 64

uint32_t cache_cell_objects_first(const struct cache_cell_objects *objects, uint64_t cell)
{
    const struct cache_cells_entry *e = cache_cells_find(objects->cells, cell);
    return e != NULL ? e->first : 0;
}

size_t cache_cell_objects_bytes(const struct cache_cell_objects *objects)
{
    return objects->list.bytes;
}

/* ---- what cache_db tells ---- */

static bool objects_on_made(void *ctx, struct slice key, uint32_t handle, uint32_t now_s)
{
    struct cache_cell_objects *objects = ctx;
    uint64_t cell = cache_cell(cache_stray_key(key), objects->seed);
    uint32_t was = cache_cell_objects_first(objects, cell), first = was;
    if (!cache_cell_list_add(&objects->list, &first, handle))
        return false;
    if (was != 0)
        cache_db_own_object(objects->db, was, false);
    if (first == was || cache_cells_set_first(objects->cells, cell, first, now_s))
        return true;
    cache_cell_list_remove(&objects->list, &first, handle);
    return false;
}

/* Its cell has an entry: it has an object. */
static void objects_on_gone(void *ctx, struct slice key, uint32_t handle)
{
    struct cache_cell_objects *objects = ctx;
    uint64_t cell = cache_cell(cache_stray_key(key), objects->seed);
    uint32_t was = cache_cell_objects_first(objects, cell), first = was;
    cache_cell_list_remove(&objects->list, &first, handle);
    if (first != was)
        cache_cells_set_first(objects->cells, cell, first, 0);
}

static void objects_on_emptied(void *ctx)
{
    struct cache_cell_objects *objects = ctx;
    struct cache_cells_walk walk = {0};
    struct cache_cells_entry page[OBJECTS_PAGE];
    while (!walk.end) {
        size_t count = cache_cells_page(objects->cells, &walk, ~0u, page, OBJECTS_PAGE);
        for (size_t i = 0; i < count; i++)
            cache_cells_set_first(objects->cells, page[i].cell, 0, 0);
    }
    cache_cell_list_fini(&objects->list);
}

void cache_cell_objects_own(struct cache_cell_objects *objects, const struct cache_cells_entry *e,
                            bool owned)
{
    if (e->first != 0 && cache_cell_list_next(&objects->list, e->first) == 0)
        cache_db_own_object(objects->db, e->first, owned);
}

/* ---- its life ---- */

void cache_cell_objects_init(struct cache_cell_objects *objects, struct cache_db *db,
                             struct cache_cells *cells, const uint8_t *seed)
{
    *objects = (struct cache_cell_objects){.cells = cells,
                                           .db = db,
                                           .list = CACHE_CELL_LIST_EMPTY,
                                           .places = {.made = objects_on_made,
                                                      .gone = objects_on_gone,
                                                      .emptied = objects_on_emptied,
                                                      .ctx = objects}};
    memcpy(objects->seed, seed, sizeof objects->seed);
}

void cache_cell_objects_fini(struct cache_cell_objects *objects)
{
    objects_on_emptied(objects);
}
