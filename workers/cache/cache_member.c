/* cache_member.c: see cache_member.h. */
#include "workers/cache/cache_member_private.h"

#include "common/clock.h"
#include "workers/cache/cache_second.h"
#include "workers/cache/ring/cache_cell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- who needs a key ---- */

/* Its owner is no node of the ring any more, or not known to be live: Redis is asked again. */
static enum cache_cell_state member_state(struct cache_member *r, const struct cache_cells_entry *e)
{
    if (e == NULL)
        return CACHE_CELL_UNKNOWN;
    if (e->state != CACHE_CELL_THEIRS || cache_member_is_live(r, e->incarnation))
        return e->state;
    member_event(r, e->cell, CACHE_ON_OWNER_GONE, 0);
    return CACHE_CELL_UNKNOWN;
}

static struct cache_member_sight member_wait(uint64_t cell)
{
    return (struct cache_member_sight){.action = CACHE_DO_WAIT, .cell = cell};
}

/* Ours, and nothing is in its way: but it is withheld while it is stored to be moved, or something older is stored. */
static struct cache_member_sight member_run(struct cache_member *r,
                                            const struct cache_cells_entry *e, uint32_t from)
{
    if (cache_cells_elsewhere(e) != 0)
        member_move(r, e);
    if (member_is_withheld(r, e->cell) || member_has_stray(r, e))
        return member_wait(e->cell);
    if (from == 0 || e->streak <= 1) /* of the next ones from there it is marked no more */
        cache_cell_objects_own(&r->objects, e, from == 0);
    return (struct cache_member_sight){
        .action = CACHE_DO_RUN, .owner = r->incarnation, .cell = e->cell};
}

static enum cache_cell_event member_need(struct cache_member_who who)
{
    return who.from == 0 ? CACHE_ON_COMMAND : who.again ? CACHE_ON_SENT_AGAIN : CACHE_ON_SENT;
}

/*
 * Most commands are of an object that is in memory, and of clients here: the cell's entry, one more line of memory that
 * is far away, need not be looked at. But for whom the last one was another node's, the next one is likely to be, too:
 * then the entry says so at once, and no object is looked for in vain (went_away).
 */
static bool member_is_ours(struct cache_member *r, struct slice key)
{
    return r->walk == MEMBER_SETTLED && !r->leaves && r->withheld == 0 &&
           cache_lease_serves(&r->lease, r->now_us) &&
           cache_cells_count(r->cells, CACHE_CELL_HELD) == 0 && cache_db_is_owned(r->node->db, key);
}

struct cache_member_sight cache_member_look(struct cache_member *r, struct slice key,
                                            struct cache_member_who who)
{
    if (who.from == 0 && !r->went_away && member_is_ours(r, key))
        return (struct cache_member_sight){.action = CACHE_DO_RUN, .owner = r->incarnation};
    uint64_t cell = cache_cell(key, r->seed);
    if (r->incarnation == 0 || r->walk != MEMBER_SETTLED || r->leaves)
        return member_wait(cell);
    const struct cache_cells_entry *e = cache_cells_use(r->cells, cell, who.from, member_now_s(r));
    enum cache_cell_state state = member_state(r, e);
    bool known = state == CACHE_CELL_THEIRS || state == CACHE_CELL_LOST;
    uint32_t owner = known ? e->incarnation : 0;
    bool short_of = r->short_of;
    r->short_of = false;
    enum cache_cell_action action = member_event(r, cell, member_need(who), 0);
    struct cache_member_sight sight = {
        .action = action, .owner = owner, .cell = cell, .short_of = r->short_of};
    r->short_of = r->short_of || short_of;
    r->went_away = action == CACHE_DO_FORWARD;
    if (action == CACHE_DO_RUN)
        return member_run(r, e, who.from);
    if (action == CACHE_DO_ASK || action == CACHE_DO_WAIT)
        return member_wait(cell);
    return sight;
}

bool cache_member_look_ahead(struct cache_member *r, struct slice key)
{
    uint64_t cell = cache_cell(key, r->seed);
    if (r->incarnation == 0 || r->walk != MEMBER_SETTLED || r->leaves)
        return false;
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    if (e == NULL || e->state == CACHE_CELL_UNKNOWN)
        member_event(r, cell, CACHE_ON_COMMAND, 0);
    return e != NULL && e->state == CACHE_CELL_OURS && !member_has_stray(r, e);
}

uint32_t cache_member_owner(const struct cache_member *r, struct slice key)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cache_cell(key, r->seed));
    bool theirs =
        e != NULL && e->state == CACHE_CELL_THEIRS && cache_member_is_live(r, e->incarnation);
    return theirs && r->walk == MEMBER_SETTLED ? e->incarnation : 0;
}

bool cache_member_is_settled(struct cache_member *r, uint64_t cell)
{
    if (r->incarnation == 0 || r->walk != MEMBER_SETTLED || member_is_withheld(r, cell))
        return false;
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    enum cache_cell_state state = e != NULL ? e->state : CACHE_CELL_UNKNOWN;
    if (state == CACHE_CELL_OURS)
        return cache_lease_serves(&r->lease, r->now_us) && !member_has_stray(r, e);
    return state != CACHE_CELL_ASKED && state != CACHE_CELL_HELD && state != CACHE_CELL_LEAVING;
}

bool cache_member_is_withheld(struct cache_member *r, uint64_t cell)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    return e != NULL && (member_is_withheld(r, cell) || e->state == CACHE_CELL_HELD ||
                         e->state == CACHE_CELL_LEAVING || member_has_stray(r, e));
}

bool cache_member_wait(struct cache_member *r, uint64_t cell)
{
    return cache_cells_wait(r->cells, cell);
}

void cache_member_wait_end(struct cache_member *r, uint64_t cell)
{
    cache_cells_wait_end(r->cells, cell);
}

uint64_t cache_member_cell(const struct cache_member *r, struct slice key)
{
    return cache_cell(key, r->seed);
}

uint64_t cache_member_claim(struct cache_member *r, struct slice key)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cache_cell(key, r->seed));
    bool ours = e != NULL && e->state == CACHE_CELL_OURS && r->walk == MEMBER_SETTLED;
    return ours && !member_has_stray(r, e) ? e->number : 0;
}

bool cache_member_owns(struct cache_member *r, struct slice key)
{
    return !r->leaves && cache_lease_serves(&r->lease, r->now_us) &&
           cache_member_claim(r, key) != 0 && !member_is_withheld(r, cache_cell(key, r->seed));
}

void cache_member_moved(struct cache_member *r, struct slice key, uint32_t owner)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cache_cell(key, r->seed));
    if (e != NULL && e->state == CACHE_CELL_THEIRS && e->incarnation == owner)
        member_event(r, e->cell, CACHE_ON_MOVED, 0);
}

uint32_t cache_member_incarnation(const struct cache_member *r)
{
    return r->incarnation;
}

void cache_member_why(struct cache_member *r, char why[CACHE_MEMBER_WHY_SIZE])
{
    int64_t now_us = clock_boot_us();
    if (r->trouble[0] != '\0')
        snprintf(why, CACHE_MEMBER_WHY_SIZE, "%s", r->trouble);
    else if (r->short_of)
        snprintf(why, CACHE_MEMBER_WHY_SIZE, "the system has no more memory for this node");
    else if (!r->manager)
        snprintf(why, CACHE_MEMBER_WHY_SIZE,
                 "its manager is away: platoonctl status shows what it does");
    else if (r->session != MEMBER_IN)
        snprintf(why, CACHE_MEMBER_WHY_SIZE,
                 "it has not joined: the manager's trouble says why (platoonctl status)");
    else if (r->closed_us > now_us)
        snprintf(why, CACHE_MEMBER_WHY_SIZE,
                 "it is new, or its Redis is: nothing is granted for %" PRId64
                 " ms more, so that who had an object before can say so",
                 (r->closed_us - now_us) / 1000);
    else if (!cache_lease_serves(&r->lease, now_us))
        snprintf(why, CACHE_MEMBER_WHY_SIZE,
                 "Redis has not confirmed for `lease` that this node is there: platoonctl status "
                 "shows what the manager meets");
    else
        snprintf(
            why, CACHE_MEMBER_WHY_SIZE,
            "nobody has said within `timeout` whose the object is: platoonctl cache ring shows "
            "who is lost");
}

/*
 * A manager that is started anew, a ring that is new and whatever else is over before the lease would be, is no
 * trouble: the first of it that lasts is told. A Redis that is away is the manager's own.
 */
void cache_member_trouble(struct cache_member *r, char why[CACHE_MEMBER_WHY_SIZE])
{
    int64_t now_us = clock_boot_us();
    bool leaves = r->leaves || r->session == MEMBER_GONE;
    bool serves = cache_lease_serves(&r->lease, now_us);
    why[0] = '\0';
    if (serves || leaves || r->closed_us > now_us)
        r->troubled_us = now_us;
    if (r->trouble[0] != '\0' || now_us - r->troubled_us > MEMBER_TROUBLE_US)
        cache_member_why(r, why);
}

/* ---- who stores ---- */

/* Before a new run grants anything: else who is granted the cell then loads what is older, and goes on from that. */
enum cache_may_put cache_member_may_put(struct cache_member *r, struct slice key)
{
    uint64_t cell = cache_cell(key, r->seed);
    enum cache_cell_state state = cache_cells_state(r->cells, cell);
    bool nobodys = state == CACHE_CELL_UNKNOWN || state == CACHE_CELL_ASKED;
    if (state == CACHE_CELL_OURS || (nobodys && r->opens_us > clock_boot_us()))
        return CACHE_MAY_PUT;
    if (state == CACHE_CELL_UNKNOWN)
        member_event(r, cell, CACHE_ON_RECLAIM, 0);
    return state == CACHE_CELL_THEIRS || state == CACHE_CELL_LOST ? CACHE_MAY_LOOK : CACHE_MAY_WAIT;
}

/* ---- turns and ticks ---- */

/* What it keeps of cells is memory as objects are. */
static void member_charge(struct cache_member *r)
{
    size_t bytes = cache_cells_bytes(r->cells) + cache_cell_objects_bytes(&r->objects);
    cache_db_charge(r->node->db, (ptrdiff_t)bytes - (ptrdiff_t)r->charged);
    r->charged = bytes;
}

bool cache_member_turn(struct cache_member *r)
{
    cache_member_now(r);
    r->short_of = false;
    bool more = member_walk_on(r);
    member_take_offer(r);
    member_say_again(r);
    member_move_on(r);
    member_release(r);
    member_say(r);
    member_charge(r);
    return more || r->look; /* who waits is told in the next turn: the loop must not sleep before */
}

bool cache_member_take_look(struct cache_member *r)
{
    bool look = r->look;
    r->look = false;
    return look;
}

void cache_member_tick(struct cache_member *r)
{
    cache_member_now(r);
    if (r->session == MEMBER_OUT)
        member_join(r);
    member_leave(r);
    member_restore(r);
    member_idle(r);
    member_claim_strays(r);
    member_sweep(r);
    member_tell_cells(r);
}

/* What leaves waits for the disk, whatever fsync says. */
void cache_member_written(struct cache_member *r)
{
    if ((r->leaving.count > 0 || r->walk == MEMBER_FORGETS) && r->node->log != NULL)
        cache_log_sync_soon(r->node->log);
}

void cache_member_synced(struct cache_member *r)
{
    member_release(r);
    cache_member_written(r);
}

void cache_member_changed(struct cache_member *r)
{
    r->look = true;
    r->stirred = true;
}

/* ---- life ---- */

void cache_member_on_up(struct cache_member *r)
{
    r->manager = true;
    r->told_cells = false;
    if (r->session == MEMBER_JOINING || r->session == MEMBER_IN)
        r->session = MEMBER_OUT;
    member_join(r);
}

void cache_member_on_down(struct cache_member *r)
{
    r->manager = false;
    if (r->node->second != NULL)
        cache_second_parted(r->node->second);
}

/* Who has never been there has nothing to leave. */
void cache_member_leave(struct cache_member *r)
{
    r->leaves = true;
    member_leave(r);
    if (r->incarnation != 0 || r->session == MEMBER_GONE)
        return;
    r->session = MEMBER_GONE;
    r->options.on_left(r->options.ctx, true);
}

struct cache_member_told cache_member_tell(struct cache_member *r)
{
    return (struct cache_member_told){.incarnation = r->session == MEMBER_IN ? r->incarnation : 0,
                                      .cells = cache_cells_count(r->cells, CACHE_CELL_OURS),
                                      .foreign = cache_cells_foreign(r->cells),
                                      .asked = cache_cells_count(r->cells, CACHE_CELL_ASKED),
                                      .serves = cache_member_serves(r),
                                      .bytes = cache_cells_bytes(r->cells)};
}

struct cache_member *cache_member_new(const struct cache_member_options *options, char *why,
                                      size_t why_size)
{
    struct cache_member *r = calloc(1, sizeof *r);
    snprintf(why, why_size, "out of memory");
    if (r == NULL)
        return NULL;
    r->options = *options;
    r->node = options->node;
    r->troubled_us = clock_boot_us();
    r->cells = cache_cells_new(CACHE_CELLS_FOREIGN_MAX);
    if (r->cells != NULL && member_wake_new(r) && member_identity_read(r, why, why_size) == 0) {
        r->restores = options->copied && r->incarnation != 0;
        cache_cell_objects_init(&r->objects, r->node->db, r->cells, r->seed);
        if (cache_db_place(r->node->db, &r->objects.places))
            return r;
    }
    cache_member_free(r);
    return NULL;
}

void cache_member_free(struct cache_member *r)
{
    if (r == NULL)
        return;
    cache_db_place(r->node->db, NULL);
    cache_db_charge(r->node->db, -(ptrdiff_t)r->charged);
    member_forget_flights(r);
    member_wake_free(r);
    if (r->objects.cells != NULL)
        cache_cell_objects_fini(&r->objects);
    cache_cells_free(r->cells);
    free(r->asks.at);
    free(r->holds.at);
    free(r->laters.at);
    free(r->leaving.at);
    member_forget_nodes(r);
    free(r);
}
