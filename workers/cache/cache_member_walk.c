/* cache_member_walk.c: what is done with many cells, a part at a time. See cache_member_private.h. */
#include "workers/cache/cache_member_private.h"

#include "common/clock.h"
#include "workers/cache/cache_behind.h"

#include <string.h>

#define MEMBER_PAGE       256
#define MEMBER_IDLE_PAGES 16   /* in one tick */
#define MEMBER_LARGE      4096 /* objects of a cell */
#define MEMBER_STRAYS_S   2    /* between two claims of what another node has */
#define MEMBER_ALL_STATES ((1u << CACHE_CELL_STATE_COUNT) - 1)

/* ---- after a join ---- */

void member_walk_begin(struct cache_member *r, enum member_walk walk)
{
    r->walk = r->owed = walk;
    r->reclaims = false;
    r->at = (struct cache_cells_walk){0};
}

/* False: memory is short, and nothing was done. */
static bool member_walk_one(struct cache_member *r, const struct cache_cells_entry *e)
{
    if (r->walk == MEMBER_OUTLIVED)
        member_event(r, e->cell, CACHE_ON_OUTLIVED, 0);
    else if (r->walk == MEMBER_NEW_RUN)
        member_event(r, e->cell, CACHE_ON_NEW_RUN, 0);
    else if (e->state == CACHE_CELL_ASKED || e->state == CACHE_CELL_HELD)
        member_event(r, e->cell, CACHE_ON_AGAIN, 0);
    else if (e->state == CACHE_CELL_UNKNOWN && member_owes(r, e))
        r->reclaims = member_event(r, e->cell, CACHE_ON_RECLAIM, 0) == CACHE_DO_ASK || r->reclaims;
    return !r->short_of;
}

/* All that is left are strays: each has its place by the ring's seed. False: memory is short, and it is tried again. */
static bool member_reseed(struct cache_member *r)
{
    struct cache_cells *cells = cache_cells_new(CACHE_CELLS_FOREIGN_MAX);
    if (cells == NULL)
        return false;
    cache_db_place(r->node->db, NULL);
    cache_cell_objects_fini(&r->objects);
    cache_cells_free(r->cells);
    r->cells = cells;
    memcpy(r->seed, r->next_seed, sizeof r->seed);
    cache_cell_objects_init(&r->objects, r->node->db, cells, r->seed);
    r->leaving.count = 0;
    r->reseeds = !cache_db_place(r->node->db, &r->objects.places);
    return !r->reseeds;
}

static void member_settle(struct cache_member *r)
{
    r->walk = MEMBER_SETTLED;
    r->look = true;
}

void member_reclaim(struct cache_member *r)
{
    if (r->reclaims)
        r->walk = MEMBER_RECLAIMS;
    else
        member_settle(r);
}

/*
 * Who it is must be on the disk before it claims anything: it would come back as nobody, and its cells would be lost
 * with what only its log has. And not before the log has forgotten what it dropped, on the disk: it would come back as
 * who owns that, and serve what is of another time.
 */
static void member_end_walk(struct cache_member *r)
{
    const struct cache_log *log = r->node->log;
    if (log != NULL && cache_log_synced(log) < r->dropped_end)
        return;
    if (!member_identity_write(r, false)) {
        r->session = MEMBER_OUT;
        return;
    }
    r->owed = MEMBER_SETTLED;
    if (r->restores)
        member_restore_begin(r);
    else
        member_reclaim(r);
}

/* All cells have been seen, or some have lost what they had. */
void member_forget(struct cache_member *r)
{
    bool drops = r->walk != MEMBER_REJOINS;
    if (r->walk == MEMBER_OUTLIVED)
        r->leaving.count = 0;
    r->dropped_end = drops && r->node->log != NULL ? cache_log_added(r->node->log) : 0;
    r->walk = MEMBER_FORGETS;
    member_end_walk(r);
}

static bool member_walks(const struct cache_member *r)
{
    return r->session == MEMBER_IN && r->walk >= MEMBER_REJOINS && r->walk <= MEMBER_OUTLIVED;
}

bool member_walk_on(struct cache_member *r)
{
    struct cache_cells_entry page[MEMBER_PAGE];
    if (r->session == MEMBER_IN && r->walk == MEMBER_FORGETS)
        member_end_walk(r);
    if (r->walk == MEMBER_RESTORES)
        member_restore(r);
    if (r->walk == MEMBER_RECLAIMS && cache_cells_count(r->cells, CACHE_CELL_ASKED) == 0)
        member_settle(r);
    if (!member_walks(r))
        return false;
    size_t count = cache_cells_page(r->cells, &r->at, MEMBER_ALL_STATES, page, MEMBER_PAGE);
    for (size_t i = 0; i < count; i++)
        if (!member_walk_one(r, &page[i])) {
            /* What is passed over would be ours still, though others may have it. */
            r->at = (struct cache_cells_walk){.next = page[i].cell};
            return true;
        }
    if (!r->at.end)
        return true;
    if (r->reseeds && !member_reseed(r))
        return true;
    member_forget(r);
    return false;
}

/* ---- strays ---- */

/* One that another node has is asked about once more: it may have been given up. */
static void member_claim_stray(struct cache_member *r, const struct cache_cells_entry *e)
{
    if (!member_has_stray(r, e))
        return;
    if (e->state == CACHE_CELL_THEIRS)
        member_event(r, e->cell, CACHE_ON_MOVED, 0);
    else
        member_event(r, e->cell, CACHE_ON_RECLAIM, 0);
}

void member_claim_strays(struct cache_member *r)
{
    struct cache_cells_entry page[MEMBER_PAGE];
    unsigned states = CACHE_CELLS_OF(CACHE_CELL_UNKNOWN) | CACHE_CELLS_OF(CACHE_CELL_THEIRS);
    if (r->session != MEMBER_IN || r->walk != MEMBER_SETTLED || r->strays_s > member_now_s(r) ||
        cache_db_strays(r->node->db).alive == 0)
        return;
    for (unsigned pages = 0; pages < MEMBER_IDLE_PAGES && !r->strays.end; pages++) {
        size_t count = cache_cells_page(r->cells, &r->strays, states, page, MEMBER_PAGE);
        for (size_t i = 0; i < count; i++)
            member_claim_stray(r, &page[i]);
    }
    if (!r->strays.end)
        return;
    r->strays = (struct cache_cells_walk){0};
    r->strays_s = member_now_s(r) + MEMBER_STRAYS_S;
}

/* ---- owners ---- */

void member_owners_changed(struct cache_member *r)
{
    struct cache_cells_entry page[MEMBER_PAGE];
    struct cache_cells_walk at = {0};
    while (cache_cells_count(r->cells, CACHE_CELL_LOST) > 0 && !at.end) {
        size_t count =
            cache_cells_page(r->cells, &at, CACHE_CELLS_OF(CACHE_CELL_LOST), page, MEMBER_PAGE);
        for (size_t i = 0; i < count; i++)
            member_event(r, page[i].cell, CACHE_ON_OWNER_GONE, 0);
    }
    if (r->closed_us <= clock_boot_us())
        r->later_us = 0; /* of cells whose owner nobody had told of */
    r->look = true;
}

/* ---- moving ---- */

/*
 * Commands wait for a cell that moves only when nothing else is left: it is stored first, and served meanwhile. One
 * that is written all the time would never be clean so; it is withheld once all that was dirty of it has been written
 * again and the store has taken something since. But not for long: one that the store does not take in time stays, is
 * served, and rests.
 */

static struct member_move *member_find_move(struct cache_member *r, uint64_t cell)
{
    for (size_t i = 0; i < r->move_count; i++)
        if (r->moves[i].cell == cell)
            return &r->moves[i];
    return NULL;
}

bool member_is_withheld(const struct cache_member *r, uint64_t cell)
{
    for (size_t i = 0; r->withheld > 0 && i < r->move_count; i++)
        if (r->moves[i].cell == cell)
            return r->moves[i].stage == MEMBER_WITHHELD;
    return false;
}

static void member_move_stage(struct cache_member *r, struct member_move *m,
                              enum member_move_stage stage, int64_t us)
{
    if (m->stage == MEMBER_WITHHELD) {
        r->withheld--;
        r->look = true;
    }
    r->withheld += stage == MEMBER_WITHHELD;
    m->stage = stage;
    m->until_us = r->now_us + us;
}

static void member_move_end(struct cache_member *r, struct member_move *m)
{
    member_move_stage(r, m, MEMBER_RESTS, 0);
    *m = r->moves[--r->move_count];
}

static bool member_is_store_away(const struct cache_member *r)
{
    return cache_behind_trouble(r->node->behind)[0] != '\0';
}

static int64_t member_move_us(const struct cache_member *r)
{
    return (int64_t)r->options.write_wait_ms * 1000;
}

/* One that cannot be stored is not tried; nor is it looked at again for each of its commands. */
void member_move(struct cache_member *r, const struct cache_cells_entry *e)
{
    if (r->move_count == MEMBER_MOVES || member_find_move(r, e->cell) != NULL ||
        member_is_store_away(r))
        return;
    struct member_dirt dirt = member_dirt(r, e);
    if (dirt.stuck) {
        cache_cells_use(r->cells, e->cell, 0, member_now_s(r));
        return;
    }
    struct member_move *m = &r->moves[r->move_count++];
    *m = (struct member_move){.cell = e->cell,
                              .stage = MEMBER_STORES,
                              .newest = dirt.newest,
                              .stores = cache_behind_counts(r->node->behind)->stores};
    member_move_stage(r, m, dirt.newest > 0 ? MEMBER_STORES : MEMBER_WITHHELD, member_move_us(r));
    r->stirred = true;
}

/* It is being stored, or shall be. */
static void member_move_wait(struct cache_member *r, struct member_move *m,
                             const struct member_dirt *dirt)
{
    bool stores = cache_behind_counts(r->node->behind)->stores != m->stores;
    if (m->stage == MEMBER_STORES && stores && dirt->oldest > m->newest)
        member_move_stage(r, m, MEMBER_WITHHELD, member_move_us(r));
}

/* Not stored, and its time is over, or it never will be. */
static void member_move_fail(struct cache_member *r, struct member_move *m)
{
    cache_cells_use(r->cells, m->cell, 0, member_now_s(r));
    member_move_stage(r, m, MEMBER_RESTS, MEMBER_REST_US);
}

static void member_move_one(struct cache_member *r, struct member_move *m)
{
    bool over = r->now_us >= m->until_us;
    if (m->stage == MEMBER_RESTS) {
        if (over)
            member_move_end(r, m);
        return;
    }
    const struct cache_cells_entry *e = cache_cells_find(r->cells, m->cell);
    bool calm = e == NULL || cache_cells_elsewhere(e) == 0; /* somebody here was in between */
    if (m->stage == MEMBER_STORES && calm) {
        member_move_end(r, m);
        return;
    }
    enum cache_cell_action action = member_event(r, m->cell, CACHE_ON_ELSEWHERE, 0);
    struct member_dirt dirt = member_dirt(r, cache_cells_find(r->cells, m->cell));
    if (action == CACHE_DO_RELEASE)
        member_move_end(r, m);
    else if (action != CACHE_DO_STORE || over || dirt.stuck || member_is_store_away(r))
        member_move_fail(r, m);
    else
        member_move_wait(r, m, &dirt);
}

/* Not in each turn: what is asked to be stored now wakes the loop at once. */
void member_move_on(struct cache_member *r)
{
    bool stirred = r->stirred;
    r->stirred = false;
    for (size_t i = r->move_count; i > 0; i--)
        if (stirred || r->now_us >= r->moves[i - 1].until_us)
            member_move_one(r, &r->moves[i - 1]);
}

/* ---- idle ---- */

/*
 * Of more objects than leave at once. One after the other they are not used either, and go by themselves
 * (cache_behind.h), a little at a time; what is left of the cell goes then.
 */
static bool member_is_large(const struct cache_member *r, const struct cache_cells_entry *e)
{
    unsigned count = 0;
    uint32_t h = e->first;
    for (; h != 0 && count < MEMBER_LARGE; count++)
        h = cache_cell_list_next(&r->objects.list, h);
    return h != 0;
}

/* What evicts must not leave cells behind for ever: they are memory, too. */
static bool member_is_tight(const struct cache_member *r)
{
    size_t max = r->node->options.memory_max;
    return cache_db_bytes(r->node->db) >= max - max / 16;
}

/* For so long nobody has used it: its only object may have been, without its entry (cache_cell_objects_own). */
static uint32_t member_unused_s(const struct cache_member *r, const struct cache_cells_entry *e)
{
    uint32_t cell_s = member_since_s(r, e->used_s);
    if (e->first == 0)
        return cell_s;
    uint32_t object_s = member_since_s(r, cache_db_object(r->node->db, e->first)->used_s);
    return object_s < cell_s ? object_s : cell_s;
}

static void member_idle_one(struct cache_member *r, const struct cache_cells_entry *e,
                            uint64_t idle_s, bool tight)
{
    uint32_t unused_s = member_unused_s(r, e);
    bool needless = tight && e->first == 0 && e->waiting == 0 && unused_s >= MEMBER_EMPTY_S;
    if (needless || (idle_s > 0 && unused_s >= idle_s && !member_is_large(r, e)))
        member_event(r, e->cell, CACHE_ON_IDLE, 0);
}

void member_idle(struct cache_member *r)
{
    struct cache_cells_entry page[MEMBER_PAGE];
    uint64_t idle_s = (r->options.idle_ms + 999) / 1000;
    bool tight = member_is_tight(r);
    if ((idle_s == 0 && !tight) || r->session != MEMBER_IN || r->walk != MEMBER_SETTLED)
        return;
    for (unsigned pages = 0; pages < MEMBER_IDLE_PAGES; pages++) {
        size_t count = cache_cells_page(r->cells, &r->idle, CACHE_CELLS_OF(CACHE_CELL_OURS), page,
                                        MEMBER_PAGE);
        for (size_t i = 0; i < count; i++)
            member_idle_one(r, &page[i], idle_s, tight);
        if (r->idle.end) {
            r->idle = (struct cache_cells_walk){0};
            break;
        }
    }
    uint32_t now_s = member_now_s(r);
    if (idle_s > 0 && now_s > idle_s)
        cache_cells_forget(r->cells, now_s - (uint32_t)idle_s);
}
