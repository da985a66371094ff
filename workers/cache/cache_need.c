/* cache_need.c: see cache_need.h. */
#include "workers/cache/cache_need.h"

#include "workers/cache/cache_access.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/cache_reads.h"

#include <inttypes.h>
#include <stdio.h>

/* What is waited for is the first that there is; the others are asked about anew then. */
static bool need_wait(struct cache_need *need, enum cache_parked_for what, struct slice key)
{
    if (need->waits)
        return false;
    need->waits = !need->looks;
    need->what = what;
    buffer_clear(&need->key);
    buffer_append_slice(&need->key, key);
    return false;
}

/* ---- whose a key is ---- */

static enum cache_need_where need_refuse(struct cache_need *need, const char *why)
{
    need->waits = need->refused = true;
    buffer_clear(&need->key);
    buffer_append_text(&need->key, why);
    return CACHE_NEED_WAITS;
}

/* Nobody is lost who is only not known, for want of memory here. */
static enum cache_need_where need_nobody(const struct cache_node *n,
                                         const struct cache_member_sight *sight,
                                         struct cache_need *need)
{
    char why[CACHE_ACCESS_WHY_SIZE], lost[CACHE_PARK_WHY_SIZE];
    if (!sight->short_of) {
        cache_park_refuse_lost(n->park, sight->owner, lost);
        return need_refuse(need, lost);
    }
    cache_access_fault(n, CACHE_FAULT_MEMORY, why);
    return need_refuse(need, why);
}

static enum cache_need_where need_cell(struct cache_need *need, uint64_t cell)
{
    if (!need->waits)
        need->cell = cell;
    need_wait(need, CACHE_PARKED_CELL, slice_of(""));
    return CACHE_NEED_WAITS;
}

static enum cache_need_where need_away(struct cache_need *need)
{
    need_wait(need, CACHE_PARKED_AWAY, slice_of(""));
    return CACHE_NEED_WAITS;
}

/* Every answer says so much that there is no use in having all of them under way. */
static enum cache_need_where need_send(size_t index, uint32_t owner, const struct slice *words,
                                       size_t count, bool writes, struct cache_need *need)
{
    struct cache_parts *p = need->parts;
    if (p != NULL && p->out_count < CACHE_PARTS_OUT_MAX && p->why[0] == '\0')
        cache_parts_send(p, index, owner, words, count, writes);
    return need_away(need);
}

static enum cache_need_where need_look(struct cache_node *n, size_t index,
                                       const struct slice *words, size_t count, bool writes,
                                       struct cache_need *need)
{
    struct cache_member_sight sight =
        cache_member_look(n->member, words[1], (struct cache_member_who){.from = 0});
    switch (sight.action) {
    case CACHE_DO_RUN:
        return CACHE_NEED_HERE;
    case CACHE_DO_FORWARD:
        return need_send(index, sight.owner, words, count, writes, need);
    case CACHE_DO_REFUSE:
        return need_nobody(n, &sight, need);
    default:
        return need_cell(need, sight.cell);
    }
}

enum cache_need_where cache_need_where(struct cache_node *n, size_t index,
                                       const struct slice *words, size_t count, bool writes,
                                       struct cache_need *need)
{
    if (cache_stray_may_be(words[1]))
        return need_refuse(need, CACHE_ACCESS_HIDDEN);
    if (n->member == NULL)
        return CACHE_NEED_HERE;
    if (need->looks) {
        cache_member_look_ahead(n->member, words[1]);
        return CACHE_NEED_HERE;
    }
    switch (need->parts != NULL ? cache_parts_state(need->parts, index) : CACHE_PART_NONE) {
    case CACHE_PART_DONE:
        return CACHE_NEED_DONE;
    case CACHE_PART_OUT:
        return need_away(need);
    case CACHE_PART_NONE:
        if (index < need->stored)
            return CACHE_NEED_DONE;
        break;
    default:
        break;
    }
    return need_look(n, index, words, count, writes, need);
}

/* Its answer comes before our time is over, and says why in vain. */
enum cache_need_where cache_need_where_stored(struct cache_node *n, uint32_t index,
                                              struct slice key, struct cache_need *need)
{
    char ms[24];
    uint64_t left = need->left_ms - need->left_ms / 8;
    snprintf(ms, sizeof ms, "%" PRIu64, left > 0 ? left : 1);
    const struct slice words[] = {slice_of("PLATOON.DUMP"), key, slice_of("wait"), slice_of(ms)};
    return cache_need_where(n, index, words, 4, false, need);
}

bool cache_need_is_here(const struct cache_need *need, size_t index)
{
    return need->parts == NULL || cache_parts_state(need->parts, index) != CACHE_PART_DONE;
}

/* ---- what the store has ---- */

bool cache_need_knows(struct cache_node *n, struct slice key, struct cache_need *need)
{
    if (n->park == NULL || (cache_db_knows(n->db, key) && !need->looks))
        return true;
    if (!need->looks && !need->waits)
        return need_wait(need, CACHE_PARKED_LOAD, key);
    cache_park_ahead(n->park, key);
    return false;
}

/* ---- what is read ---- */

/* An eventual read: of what is known here, whosever it is. */
static enum cache_need_where need_known(struct cache_node *n, struct slice key,
                                        struct cache_need *need)
{
    if (!need->looks && cache_reads_knows(n->reads, key))
        return CACHE_NEED_HERE;
    if (need->looks)
        cache_park_ahead_copy(n->park, key);
    else
        need_wait(need, cache_reads_owns(n->reads, key) ? CACHE_PARKED_LOAD : CACHE_PARKED_COPY,
                  key);
    return CACHE_NEED_WAITS;
}

/* A bounded one, of what was confirmed lately. */
static bool need_is_fresh(struct cache_node *n, struct slice key, const struct cache_need *need)
{
    return need->consistency == CACHE_BOUNDED && !need->looks && !cache_reads_owns(n->reads, key) &&
           cache_reads_is_fresh(n->reads, key, need->bound_ms);
}

enum cache_need_where cache_need_where_read(struct cache_node *n, struct slice key,
                                            struct cache_need *need)
{
    bool whole = need->consistency == CACHE_BOUNDED || (need->form && n->reads != NULL);
    const struct slice words[] = {slice_of(whole ? "PLATOON.COPY" : "GET"), key};
    if (cache_stray_may_be(key))
        return need_refuse(need, CACHE_ACCESS_HIDDEN);
    if (n->reads != NULL && need->consistency == CACHE_EVENTUAL)
        return need_known(n, key, need);
    if (n->reads != NULL && need_is_fresh(n, key, need))
        return CACHE_NEED_HERE;
    if (n->reads != NULL)
        need->consistency = CACHE_STRONG;
    enum cache_need_where where = cache_need_where(n, 0, words, 2, false, need);
    if (where != CACHE_NEED_HERE || cache_need_knows(n, key, need))
        return where;
    return CACHE_NEED_WAITS;
}

/* ---- what is written, and stored ---- */

bool cache_need_has_room(struct cache_node *n, struct cache_need *need)
{
    if (n->park == NULL || (!need->looks && (cache_park_has_room(n->park, true, true) ||
                                             cache_db_dirt(n->db).keys == 0)))
        return true;
    return need_wait(need, CACHE_PARKED_ROOM, slice_of(""));
}

bool cache_need_ask(struct cache_node *n, struct slice key)
{
    return n->behind != NULL &&
           (cache_behind_ask(n->behind, key) || cache_behind_retry(n->behind, key));
}

bool cache_need_is_stored(struct cache_node *n, uint32_t index, struct slice key,
                          struct cache_need *need)
{
    bool was = index < need->stored;
    if (need->parts != NULL && cache_parts_is_unsure(need->parts, index)) {
        need_refuse(need, CACHE_FORWARD_NOT_KNOWN);
        return false;
    }
    need->looked = need->waits ? need->looked : index + 1;
    if (was || n->behind == NULL || (!need->looks && !cache_need_ask(n, key)))
        return true;
    return need_wait(need, CACHE_PARKED_STORED, key);
}
