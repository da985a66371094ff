/* cache_ring.c: see cache_ring.h. */
#include "workers/cache/cache_ring_private.h"

#include "common/clock.h"
#include "workers/cache/ring/cache_cell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- who needs a key ---- */

void cache_ring_now(struct cache_ring *r)
{
    r->now_us = clock_boot_us();
}

/* Its owner is no node of the ring any more, or not known to be live: Redis is asked again. */
static enum cache_cell_state ring_state(struct cache_ring *r, const struct cache_cells_entry *e)
{
    if (e == NULL)
        return CACHE_CELL_UNKNOWN;
    if (e->state != CACHE_CELL_THEIRS || ring_is_live(r, e->incarnation))
        return e->state;
    ring_event(r, e->cell, CACHE_ON_OWNER_GONE, 0);
    return CACHE_CELL_UNKNOWN;
}

static struct cache_ring_sight ring_wait(uint64_t cell)
{
    return (struct cache_ring_sight){.action = CACHE_DO_WAIT, .cell = cell};
}

/* Ours, and nothing is in its way: but it is withheld while it is stored to be moved, or something older is stored. */
static struct cache_ring_sight ring_run(struct cache_ring *r, const struct cache_cells_entry *e)
{
    if (cache_cells_elsewhere(e) != 0)
        ring_move(r, e->cell);
    if (ring_is_moving(r, e->cell) || ring_has_stray(r, e))
        return ring_wait(e->cell);
    return (struct cache_ring_sight){
        .action = CACHE_DO_RUN, .owner = r->incarnation, .cell = e->cell};
}

static enum cache_cell_event ring_need(struct cache_ring_who who)
{
    return who.from == 0 ? CACHE_ON_COMMAND : who.again ? CACHE_ON_SENT_AGAIN : CACHE_ON_SENT;
}

struct cache_ring_sight cache_ring_look(struct cache_ring *r, struct slice key,
                                        struct cache_ring_who who)
{
    uint64_t cell = cache_cell(key, r->seed);
    if (r->incarnation == 0 || r->walk != RING_SETTLED)
        return ring_wait(cell);
    const struct cache_cells_entry *e = cache_cells_use(r->cells, cell, who.from, ring_now_s(r));
    enum cache_cell_state state = ring_state(r, e);
    uint32_t owner = state == CACHE_CELL_THEIRS ? e->incarnation : 0;
    enum cache_cell_action action = ring_event(r, cell, ring_need(who), 0);
    if (action == CACHE_DO_RUN)
        return ring_run(r, e);
    if (action == CACHE_DO_ASK || action == CACHE_DO_WAIT)
        return ring_wait(cell);
    return (struct cache_ring_sight){.action = action, .owner = owner, .cell = cell};
}

bool cache_ring_look_ahead(struct cache_ring *r, struct slice key)
{
    uint64_t cell = cache_cell(key, r->seed);
    if (r->incarnation == 0 || r->walk != RING_SETTLED)
        return false;
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    if (e == NULL || e->state == CACHE_CELL_UNKNOWN)
        ring_event(r, cell, CACHE_ON_COMMAND, 0);
    return e != NULL && e->state == CACHE_CELL_OURS && !ring_has_stray(r, e);
}

uint32_t cache_ring_owner(const struct cache_ring *r, struct slice key)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cache_cell(key, r->seed));
    bool theirs = e != NULL && e->state == CACHE_CELL_THEIRS && ring_is_live(r, e->incarnation);
    return theirs && r->walk == RING_SETTLED ? e->incarnation : 0;
}

bool cache_ring_same_cell(const struct cache_ring *r, struct slice a, struct slice b)
{
    return cache_cell(a, r->seed) == cache_cell(b, r->seed);
}

bool cache_ring_is_settled(struct cache_ring *r, uint64_t cell)
{
    if (r->incarnation == 0 || r->walk != RING_SETTLED || ring_is_moving(r, cell))
        return false;
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    enum cache_cell_state state = e != NULL ? e->state : CACHE_CELL_UNKNOWN;
    if (state == CACHE_CELL_OURS)
        return cache_lease_serves(&r->lease, r->now_us) && !ring_has_stray(r, e);
    return state != CACHE_CELL_ASKED && state != CACHE_CELL_HELD && state != CACHE_CELL_LEAVING;
}

uint64_t cache_ring_claim(struct cache_ring *r, struct slice key)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cache_cell(key, r->seed));
    bool ours = e != NULL && e->state == CACHE_CELL_OURS && r->walk == RING_SETTLED;
    return ours && !ring_has_stray(r, e) ? e->number : 0;
}

void cache_ring_moved(struct cache_ring *r, struct slice key, uint32_t owner)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cache_cell(key, r->seed));
    if (e != NULL && e->state == CACHE_CELL_THEIRS && e->incarnation == owner)
        ring_event(r, e->cell, CACHE_ON_MOVED, 0);
}

uint32_t cache_ring_incarnation(const struct cache_ring *r)
{
    return r->incarnation;
}

void cache_ring_why(struct cache_ring *r, char why[CACHE_RING_WHY_SIZE])
{
    int64_t now_us = clock_boot_us();
    if (r->trouble[0] != '\0')
        snprintf(why, CACHE_RING_WHY_SIZE, "%s", r->trouble);
    else if (r->short_of)
        snprintf(why, CACHE_RING_WHY_SIZE, "the system has no more memory for this node");
    else if (!r->manager)
        snprintf(why, CACHE_RING_WHY_SIZE,
                 "its manager is away: platoonctl status shows what it does");
    else if (r->session != RING_IN)
        snprintf(why, CACHE_RING_WHY_SIZE,
                 "it has not joined: the manager's trouble says why (platoonctl status)");
    else if (r->closed_us > now_us)
        snprintf(why, CACHE_RING_WHY_SIZE,
                 "it is new, or its Redis is: nothing is granted for %" PRId64
                 " ms more, so that who had an object before can say so",
                 (r->closed_us - now_us) / 1000);
    else if (!cache_lease_serves(&r->lease, now_us))
        snprintf(why, CACHE_RING_WHY_SIZE,
                 "Redis has not confirmed for `lease` that this node is there: platoonctl status "
                 "shows what the manager meets");
    else
        snprintf(why, CACHE_RING_WHY_SIZE,
                 "nobody has said within `timeout` whose the object is: platoonctl cache ring shows "
                 "who is lost");
}

/* ---- who acknowledges, writes, stores ---- */

bool cache_ring_serves(const struct cache_ring *r)
{
    return r->walk == RING_SETTLED && cache_lease_serves(&r->lease, clock_boot_us());
}

int64_t cache_ring_version(struct cache_ring *r)
{
    return cache_lease_version(&r->lease, clock_boot_us());
}

/* What was dirty at the start is of cells that are claimed first: nothing is settled until that is answered. */
bool cache_ring_may_store(struct cache_ring *r)
{
    return cache_ring_serves(r) && (r->session == RING_IN || r->session == RING_LEAVES) &&
           cache_cells_count(r->cells, CACHE_CELL_HELD) == 0;
}

/* ---- turns and ticks ---- */

static bool ring_is_due(const struct cache_ring *r)
{
    return r->laters.count > 0 && r->now_us >= r->later_us;
}

/* Those that could not be asked for then. */
static void ring_again(struct cache_ring *r)
{
    struct ring_list due = r->laters;
    if (!ring_is_due(r))
        return;
    r->laters = (struct ring_list){0};
    for (size_t i = 0; i < due.count; i++)
        ring_event(r, due.at[i].cell, CACHE_ON_AGAIN, 0);
    free(due.at);
}

bool cache_ring_turn(struct cache_ring *r)
{
    cache_ring_now(r);
    bool serves = cache_lease_serves(&r->lease, r->now_us);
    r->look = r->look || (serves && !r->served);
    r->served = serves;
    r->short_of = false;
    bool more = ring_walk_on(r);
    ring_again(r);
    ring_move_on(r);
    ring_release(r);
    ring_say(r);
    return more;
}

bool cache_ring_take_look(struct cache_ring *r)
{
    bool look = r->look;
    r->look = false;
    return look;
}

void cache_ring_tick(struct cache_ring *r)
{
    cache_ring_now(r);
    if (r->session == RING_OUT)
        ring_join(r);
    ring_leave(r);
    ring_idle(r);
}

/* What leaves waits for the disk, whatever fsync says. */
void cache_ring_written(struct cache_ring *r)
{
    if (r->leaving.count > 0 && r->node->log != NULL)
        cache_log_sync_soon(r->node->log);
}

void cache_ring_synced(struct cache_ring *r)
{
    ring_release(r);
    cache_ring_written(r);
}

void cache_ring_changed(struct cache_ring *r)
{
    r->look = true;
}

/* ---- life ---- */

void cache_ring_on_up(struct cache_ring *r)
{
    r->manager = true;
    if (r->session == RING_JOINING || r->session == RING_IN)
        r->session = RING_OUT;
    ring_join(r);
}

void cache_ring_on_down(struct cache_ring *r)
{
    r->manager = false;
}

void cache_ring_leave(struct cache_ring *r)
{
    r->session = RING_LEAVES;
    ring_leave(r);
}

struct cache_ring_told cache_ring_tell(struct cache_ring *r)
{
    return (struct cache_ring_told){
        .incarnation = r->session == RING_IN ? r->incarnation : 0,
        .cells = cache_cells_count(r->cells, CACHE_CELL_OURS),
        .foreign = cache_cells_foreign(r->cells),
        .asked = cache_cells_count(r->cells, CACHE_CELL_ASKED),
        .serves = cache_ring_serves(r),
        .bytes = cache_cells_bytes(r->cells)};
}

struct cache_ring *cache_ring_new(const struct cache_ring_options *options, char *why,
                                  size_t why_size)
{
    struct cache_ring *r = calloc(1, sizeof *r);
    snprintf(why, why_size, "out of memory");
    if (r == NULL)
        return NULL;
    r->options = *options;
    r->node = options->node;
    r->cells = cache_cells_new(CACHE_CELLS_FOREIGN_MAX);
    if (r->cells != NULL && ring_identity_read(r, why, why_size) == 0) {
        cache_cell_objects_init(&r->objects, r->cells, r->seed);
        if (cache_db_place(r->node->db, &r->objects.places))
            return r;
    }
    cache_ring_free(r);
    return NULL;
}

void cache_ring_free(struct cache_ring *r)
{
    if (r == NULL)
        return;
    cache_db_place(r->node->db, NULL);
    ring_forget_flights(r);
    if (r->cells != NULL)
        cache_cell_objects_fini(&r->objects);
    cache_cells_free(r->cells);
    free(r->asks.at);
    free(r->holds.at);
    free(r->laters.at);
    free(r->leaving.at);
    free(r->nodes);
    free(r);
}
