/* cache_ring_walk.c: what is done with many cells, a part at a time. See cache_ring_private.h. */
#include "workers/cache/cache_ring_private.h"

#include "workers/cache/cache_behind.h"

#include <string.h>

#define RING_PAGE       256
#define RING_IDLE_PAGES 16 /* in one tick */
#define RING_ALL_STATES ((1u << CACHE_CELL_STATE_COUNT) - 1)

/* ---- after a join ---- */

void ring_walk_begin(struct cache_ring *r, enum ring_walk walk)
{
    r->walk = walk;
    r->reclaims = false;
    r->at = (struct cache_cells_walk){0};
}

static void ring_walk_one(struct cache_ring *r, const struct cache_cells_entry *e)
{
    if (r->walk == RING_OUTLIVED)
        ring_event(r, e->cell, CACHE_ON_OUTLIVED, 0);
    else if (r->walk == RING_NEW_RUN)
        ring_event(r, e->cell, CACHE_ON_NEW_RUN, 0);
    else if (e->state == CACHE_CELL_ASKED || e->state == CACHE_CELL_HELD)
        ring_event(r, e->cell, CACHE_ON_AGAIN, 0);
    else if (e->state == CACHE_CELL_UNKNOWN && ring_is_dirty(r, e))
        r->reclaims = ring_event(r, e->cell, CACHE_ON_RECLAIM, 0) == CACHE_DO_ASK || r->reclaims;
}

/* All that is left are strays: each has its place by the ring's seed. False: memory is short, and it is tried again. */
static bool ring_reseed(struct cache_ring *r)
{
    struct cache_cells *cells = cache_cells_new(CACHE_CELLS_FOREIGN_MAX);
    if (cells == NULL)
        return false;
    cache_db_place(r->node->db, NULL);
    cache_cell_objects_fini(&r->objects);
    cache_cells_free(r->cells);
    r->cells = cells;
    memcpy(r->seed, r->next_seed, sizeof r->seed);
    cache_cell_objects_init(&r->objects, cells, r->seed);
    r->leaving.count = 0;
    r->reseeds = !cache_db_place(r->node->db, &r->objects.places);
    return !r->reseeds;
}

static void ring_settle(struct cache_ring *r)
{
    r->walk = RING_SETTLED;
    r->look = true;
}

bool ring_walk_on(struct cache_ring *r)
{
    struct cache_cells_entry page[RING_PAGE];
    if (r->walk == RING_RECLAIMS && cache_cells_count(r->cells, CACHE_CELL_ASKED) == 0)
        ring_settle(r);
    if (r->walk == RING_SETTLED || r->walk == RING_RECLAIMS || r->session != RING_IN)
        return false;
    size_t count = cache_cells_page(r->cells, &r->at, RING_ALL_STATES, page, RING_PAGE);
    for (size_t i = 0; i < count; i++)
        ring_walk_one(r, &page[i]);
    if (!r->at.end)
        return true;
    if (r->reseeds && !ring_reseed(r))
        return true;
    if (r->walk == RING_OUTLIVED)
        r->leaving.count = 0;
    if (r->reclaims)
        r->walk = RING_RECLAIMS;
    else
        ring_settle(r);
    return false;
}

/* ---- owners ---- */

void ring_owners_changed(struct cache_ring *r)
{
    struct cache_cells_entry page[RING_PAGE];
    struct cache_cells_walk at = {0};
    while (cache_cells_count(r->cells, CACHE_CELL_LOST) > 0 && !at.end) {
        size_t count =
            cache_cells_page(r->cells, &at, CACHE_CELLS_OF(CACHE_CELL_LOST), page, RING_PAGE);
        for (size_t i = 0; i < count; i++)
            ring_event(r, page[i].cell, CACHE_ON_OWNER_GONE, 0);
    }
    r->look = true;
}

/* ---- moving ---- */

static void ring_move_end(struct cache_ring *r, size_t i)
{
    r->move_count--;
    r->moves[i] = r->moves[r->move_count];
    r->moves_us[i] = r->moves_us[r->move_count];
    r->look = true;
}

bool ring_is_moving(const struct cache_ring *r, uint64_t cell)
{
    for (size_t i = 0; i < r->move_count; i++)
        if (r->moves[i] == cell)
            return true;
    return false;
}

/*
 * One that is written all the time would never be clean: while it is stored its commands wait, but not for long. One
 * that the store does not take within that time stays, and is in peace until it was used from elsewhere as often again.
 */
static void ring_move_one(struct cache_ring *r, size_t i)
{
    uint64_t cell = r->moves[i];
    enum cache_cell_action action = ring_event(r, cell, CACHE_ON_ELSEWHERE, 0);
    bool over = r->now_us >= r->moves_us[i];
    if (action == CACHE_DO_STORE && !over)
        return;
    if (action != CACHE_DO_RELEASE)
        cache_cells_use(r->cells, cell, 0, ring_now_s(r));
    ring_move_end(r, i);
}

void ring_move(struct cache_ring *r, uint64_t cell)
{
    if (r->move_count == RING_MOVES || ring_is_moving(r, cell))
        return;
    r->moves[r->move_count] = cell;
    r->moves_us[r->move_count] = r->now_us + (int64_t)r->options.write_wait_ms * 1000;
    r->move_count++;
}

void ring_move_on(struct cache_ring *r)
{
    for (size_t i = r->move_count; i > 0; i--)
        ring_move_one(r, i - 1);
}

/* ---- idle ---- */

static void ring_idle_one(struct cache_ring *r, const struct cache_cells_entry *e, uint64_t idle_s)
{
    if (ring_now_s(r) - e->used_s >= idle_s)
        ring_event(r, e->cell, CACHE_ON_IDLE, 0);
}

void ring_idle(struct cache_ring *r)
{
    struct cache_cells_entry page[RING_PAGE];
    uint64_t idle_s = (r->options.idle_ms + 999) / 1000;
    if (r->options.idle_ms == 0 || r->session != RING_IN || r->walk != RING_SETTLED)
        return;
    for (unsigned pages = 0; pages < RING_IDLE_PAGES; pages++) {
        size_t count = cache_cells_page(r->cells, &r->idle, CACHE_CELLS_OF(CACHE_CELL_OURS), page,
                                        RING_PAGE);
        for (size_t i = 0; i < count; i++)
            ring_idle_one(r, &page[i], idle_s);
        if (r->idle.end) {
            r->idle = (struct cache_cells_walk){0};
            break;
        }
    }
    uint32_t now_s = ring_now_s(r);
    if (now_s > idle_s)
        cache_cells_forget(r->cells, now_s - (uint32_t)idle_s);
}
