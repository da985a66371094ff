/* cache_member_event.c: what an event makes of a cell, and does with its objects. See cache_member_private.h. */
#include "workers/cache/cache_member_private.h"

#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_second.h"
#include "workers/cache/ring/cache_cell.h"

#include <stdlib.h>

#define MEMBER_LIST_FIRST 64

bool member_push(struct member_list *list, uint64_t cell, uint64_t number, uint64_t log_end)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? 2 * list->capacity : MEMBER_LIST_FIRST;
        struct member_held *grown = realloc(list->at, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        list->at = grown;
        list->capacity = capacity;
    }
    list->at[list->count++] =
        (struct member_held){.cell = cell, .number = number, .log_end = log_end};
    return true;
}

/* ---- a cell's objects ---- */

/* It is in this memory only, and is never dirty: given up, it would be nowhere, and a lock could be taken twice. */
static bool member_is_only_here(const struct cache_member *r, const struct cache_object *o)
{
    struct slice key = cache_object_key(o);
    return !o->gone && !cache_stray_is(key) && !cache_db_is_kept(r->node->db, key);
}

bool member_is_dirty(struct cache_member *r, const struct cache_cells_entry *e)
{
    for (uint32_t h = e != NULL ? e->first : 0; h != 0;
         h = cache_cell_list_next(&r->objects.list, h)) {
        const struct cache_object *o = cache_db_object(r->node->db, h);
        bool letter = o->dead && cache_stray_is(cache_object_key(o));
        if ((o->dirty && !letter) || o->busy || member_is_only_here(r, o))
            return true;
    }
    return false;
}

struct member_dirt member_dirt(const struct cache_member *r, const struct cache_cells_entry *e)
{
    struct member_dirt dirt = {0};
    for (uint32_t h = e != NULL ? e->first : 0; h != 0;
         h = cache_cell_list_next(&r->objects.list, h)) {
        const struct cache_object *o = cache_db_object(r->node->db, h);
        dirt.stuck = dirt.stuck || member_is_only_here(r, o) ||
                     (o->dead && !cache_stray_is(cache_object_key(o)));
        if (!o->dirty || o->dead)
            continue;
        dirt.newest = o->version > dirt.newest ? o->version : dirt.newest;
        dirt.oldest = dirt.oldest == 0 || o->version < dirt.oldest ? o->version : dirt.oldest;
    }
    return dirt;
}

bool member_owes(struct cache_member *r, const struct cache_cells_entry *e)
{
    for (uint32_t h = e != NULL ? e->first : 0; h != 0;
         h = cache_cell_list_next(&r->objects.list, h)) {
        const struct cache_object *o = cache_db_object(r->node->db, h);
        if (o->dirty && !cache_stray_is(cache_object_key(o)))
            return true;
    }
    return false;
}

bool member_has_stray(struct cache_member *r, const struct cache_cells_entry *e)
{
    if (cache_db_strays(r->node->db).alive == 0)
        return false;
    for (uint32_t h = e != NULL ? e->first : 0; h != 0;
         h = cache_cell_list_next(&r->objects.list, h)) {
        const struct cache_object *o = cache_db_object(r->node->db, h);
        if (cache_stray_is(cache_object_key(o)) && o->dirty && !o->dead)
            return true;
    }
    return false;
}

const struct cache_object *cache_member_stray(const struct cache_member *r, struct slice key,
                                              uint64_t version)
{
    if (cache_db_strays(r->node->db).count == 0)
        return NULL;
    for (uint32_t h = cache_cell_objects_first(&r->objects, cache_cell(key, r->seed)); h != 0;
         h = cache_cell_list_next(&r->objects.list, h)) {
        const struct cache_object *o = cache_db_object(r->node->db, h);
        struct slice name = cache_object_key(o);
        if (cache_stray_is(name) && o->version >= version && o->dirty &&
            slice_equal(cache_stray_key(name), key))
            return o;
    }
    return NULL;
}

/* All that is dirty of it is put now. */
static void member_store(struct cache_member *r, const struct cache_cells_entry *e)
{
    for (uint32_t h = e != NULL ? e->first : 0; h != 0;
         h = cache_cell_list_next(&r->objects.list, h)) {
        const struct cache_object *o = cache_db_object(r->node->db, h);
        if (o->dirty && !o->dead)
            cache_behind_ask(r->node->behind, cache_object_key(o));
    }
}

void member_store_strays(struct cache_member *r, uint64_t cell)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    if (e != NULL && e->state == CACHE_CELL_OURS && member_has_stray(r, e))
        member_store(r, e);
}

/* False: memory is short, or something is dirty that must not be; some of it is still there. */
static bool member_empty(struct cache_member *r, uint64_t cell, bool estranges)
{
    struct cache_db *db = r->node->db;
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    bool all = true;
    if (e != NULL)
        cache_cell_objects_own(&r->objects, e, false);
    for (uint32_t h = e != NULL ? e->first : 0, next; h != 0; h = next) {
        const struct cache_object *o = cache_db_object(db, h);
        next = cache_cell_list_next(&r->objects.list, h);
        if (cache_stray_is(cache_object_key(o)))
            continue;
        bool left = false;
        if (cache_db_leave(db, h, &left) == CACHE_OK && !left && estranges)
            left = cache_db_estrange(db, h) == CACHE_OK;
        all = all && left;
        r->drops = r->drops || (left && estranges);
    }
    return all;
}

/* ---- what is done ---- */

/* So far the log must come before the cell is anybody else's. */
static uint64_t member_log_end(const struct cache_member *r)
{
    return r->node->log != NULL ? cache_log_added(r->node->log) : 0;
}

/* It is out of memory, and given back when the log knows that. False: it stays. */
static bool member_give_up(struct cache_member *r, uint64_t cell)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    uint64_t number = e != NULL ? e->number : 0;
    if (!member_push(&r->leaving, cell, number, 0))
        return false;
    if (!member_empty(r, cell, false)) {
        r->leaving.count--;
        return false;
    }
    struct member_held *leaves = &r->leaving.at[r->leaving.count - 1];
    leaves->log_end = member_log_end(r);
    leaves->drop_end = r->node->second != NULL ? cache_second_drop_end(r->node->second) : 0;
    return true;
}

/*
 * What was dropped must be gone from the log, too, on the disk, before anything is served under a later claim: it would
 * be taken for that claim's when the machine has died, and the log lost its end.
 */
static bool member_drop(struct cache_member *r, uint64_t cell)
{
    bool dropped = member_empty(r, cell, true);
    if (r->drops && (r->walk == MEMBER_SETTLED || r->walk == MEMBER_RECLAIMS))
        member_forget(r);
    r->drops = false;
    return dropped;
}

/* Whether it was; else it goes on as `state`, and nothing was done. */
static bool member_do(struct cache_member *r, uint64_t cell, enum cache_cell_action action)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    switch (action) {
    case CACHE_DO_ASK:
        return member_push(&r->asks, cell, 0, 0);
    case CACHE_DO_ASK_LATER:
        return member_push(&r->laters, cell, 0, 0);
    case CACHE_DO_HOLD:
        return member_push(&r->holds, cell, e != NULL ? e->number : 0, 0);
    case CACHE_DO_RELEASE:
        return member_give_up(r, cell);
    case CACHE_DO_DROP:
        r->look = true;
        return member_drop(r, cell);
    case CACHE_DO_STORE:
        member_store(r, e);
        return true;
    case CACHE_DO_LOOK:
    case CACHE_DO_REFUSE:
        r->look = true;
        return true;
    default:
        return true;
    }
}

/* What could not be done for want of memory: it is as before, and asked for again where something waits for that. */
static enum cache_cell_action member_undo(struct cache_member *r,
                                          const struct cache_cells_entry *was, uint64_t cell)
{
    bool asks = was->state == CACHE_CELL_ASKED || was->state == CACHE_CELL_HELD;
    r->short_of = true;
    cache_cells_set(r->cells, cell, was->state, was->incarnation, member_now_s(r));
    cache_cells_set_number(r->cells, cell, was->number);
    if (asks)
        member_wake_at(r, r->now_us + (int64_t)MEMBER_LATER_MS * 1000);
    if (asks && !member_push(&r->laters, cell, 0, 0))
        member_start_over(r);
    return asks ? CACHE_DO_WAIT : CACHE_DO_REFUSE;
}

/* Looked at only where the table does. */
static bool member_needs_facts(enum cache_cell_event event)
{
    return event == CACHE_ON_IDLE || event == CACHE_ON_ELSEWHERE || event == CACHE_ON_STOP;
}

enum cache_cell_action member_event(struct cache_member *r, uint64_t cell,
                                    enum cache_cell_event event, uint32_t owner)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    struct cache_cells_entry was = e != NULL ? *e : (struct cache_cells_entry){.cell = cell};
    struct cache_own_facts facts = {.serves = cache_lease_serves(&r->lease, r->now_us)};
    if (e != NULL && member_needs_facts(event)) {
        facts.parked = e->waiting > 0 && event != CACHE_ON_ELSEWHERE;
        facts.dirty = member_is_dirty(r, e);
    }
    struct cache_own_move move = cache_own(was.state, event, facts);
    bool names = event == CACHE_ON_SAID_THEIRS || event == CACHE_ON_SAID_LOST;
    if (move.state != was.state || names) {
        uint32_t incarnation = names ? owner : 0;
        if (!cache_cells_set(r->cells, cell, move.state, incarnation, member_now_s(r))) {
            r->short_of = true;
            return CACHE_DO_REFUSE;
        }
    }
    return member_do(r, cell, move.action) ? move.action : member_undo(r, &was, cell);
}
