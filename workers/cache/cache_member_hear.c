/* cache_member_hear.c: what a node hears from its manager. See cache_member_private.h. */
#include "workers/cache/cache_member_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "proto/cache/cache_ring_cells.h"
#include "proto/message.h"
#include "workers/cache/cache_second.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER_AWAY 4 /* of RING_LEFT: nothing may have been done */

static bool member_is_time(uint64_t us)
{
    return us > 0 && us <= INT64_MAX;
}

/* ---- joining ---- */

static bool member_is_joined_right(const struct message_ring_joined *m)
{
    return m->incarnation > 0 && m->incarnation <= UINT32_MAX && m->seed.len == SIPHASH_KEY_SIZE &&
           member_is_time(m->at_us) && m->closed_ms < UINT32_MAX;
}

/* With another seed no cell is what it was: a ring that was made anew. */
static bool member_is_reseeded(const struct cache_member *r, const struct message_ring_joined *m)
{
    return memcmp(r->seed, m->seed.ptr, sizeof r->seed) != 0;
}

static enum member_walk member_walk_for(const struct cache_member *r,
                                        const struct message_ring_joined *m)
{
    return m->incarnation != r->incarnation || member_is_reseeded(r, m) ? MEMBER_OUTLIVED
           : m->epoch != r->epoch                                       ? MEMBER_NEW_RUN
                                                                        : MEMBER_REJOINS;
}

static void member_become(struct cache_member *r, const struct message_ring_joined *m)
{
    r->reseeds = member_is_reseeded(r, m);
    r->incarnation = (uint32_t)m->incarnation;
    r->mark = m->mark;
    r->epoch = m->epoch;
    r->number = m->number;
    r->opens_us = r->closed_us = (int64_t)m->at_us + (int64_t)m->closed_ms * 1000;
    memcpy(r->next_seed, m->seed.ptr, sizeof r->next_seed);
    cache_lease_begin(&r->lease, r->incarnation);
    r->offer = (struct member_offer){0};
    r->session = MEMBER_IN;
}

/*
 * Killed before its walk is at its end it would come back as who it was, or nobody, and get one more incarnation: this
 * one, which has nothing, would be lost for ever. So it says at once who it is, and that the log is not. If that cannot
 * be written, its trouble is told; the walk's end, before which nothing is claimed, tries it again.
 */
static void member_is_new(struct cache_member *r, enum member_walk walk)
{
    if (walk == MEMBER_OUTLIVED)
        member_identity_write(r, true);
}

static bool member_on_joined(struct cache_member *r, struct unpack *u)
{
    struct message_ring_joined m;
    if (!message_ring_joined_unpack(u, &m) || !member_is_joined_right(&m))
        return false;
    if (r->session == MEMBER_GONE)
        return true;
    enum member_walk walk = member_walk_for(r, &m);
    walk = walk > r->owed ? walk : r->owed; /* one that was not at its end begins again */
    log_info("ring-joined",
             "incarnation=%" PRIu64 " mark=%" PRIu64 " was=%" PRIu64 " closed_ms=%" PRIu64,
             m.incarnation, m.mark, m.was, m.closed_ms);
    bool anew = member_walk_for(r, &m) != MEMBER_REJOINS;
    r->restores = r->restores && member_walk_for(r, &m) != MEMBER_OUTLIVED; /* they are stored */
    member_become(r, &m);
    member_is_new(r, walk);
    if (r->node->second != NULL)
        cache_second_joined(r->node->second, r->mark, anew);
    member_forget_flights(r);
    r->asks.count = r->holds.count = r->laters.count = 0;
    member_walk_begin(r, walk);
    member_sweep_begin(r, walk != MEMBER_OUTLIVED);
    member_leave(r);
    return true;
}

static void member_go(struct cache_member *r, bool left)
{
    if (left)
        member_identity_remove(r);
    r->session = MEMBER_GONE;
    r->options.on_left(r->options.ctx, left);
}

/*
 * Of a session that is none any more: in the next one it can. While Redis is away it is asked again with each tick, for
 * as long as the node is let live.
 */
static bool member_on_left(struct cache_member *r, struct unpack *u)
{
    struct message_ring_left m;
    if (!message_ring_left_unpack(u, &m))
        return false;
    if (!r->leaves || r->session != MEMBER_IN || m.result == MEMBER_AWAY)
        return true;
    if (m.result != CACHE_RING_MUST_JOIN) {
        member_go(r, m.result == CACHE_RING_OK);
        return true;
    }
    r->session = MEMBER_OUT;
    member_join(r);
    return true;
}

/* ---- leases ---- */

/*
 * While something is not claimed again in Redis' new run there is none: in one more new run it would mean that nobody
 * has taken over since, and somebody may have. It is kept until then: the next one may be a fifth of a lease away.
 */
void member_take_offer(struct cache_member *r)
{
    const struct member_offer *o = &r->offer;
    if (o->at_us == 0 || r->session != MEMBER_IN || r->owed == MEMBER_NEW_RUN ||
        cache_cells_count(r->cells, CACHE_CELL_HELD) > 0)
        return;
    bool serves = cache_lease_serves(&r->lease, clock_boot_us());
    cache_lease_take(&r->lease, r->incarnation, o->until_us, o->at_us, o->redis_us);
    r->offer = (struct member_offer){0};
    r->look = r->look || !serves;
}

static bool member_on_lease(struct cache_member *r, struct unpack *u)
{
    struct message_ring_lease m;
    if (!message_ring_lease_unpack(u, &m) || !member_is_time(m.until_us) ||
        !member_is_time(m.at_us) || !member_is_time(m.redis_us) || m.incarnation > UINT32_MAX)
        return false;
    if (r->session != MEMBER_IN || m.mark != r->mark || m.incarnation != r->incarnation ||
        (int64_t)m.at_us < r->offer.at_us)
        return true;
    r->offer = (struct member_offer){.until_us = (int64_t)m.until_us,
                                     .at_us = (int64_t)m.at_us,
                                     .redis_us = (int64_t)m.redis_us};
    member_take_offer(r);
    return true;
}

/* ---- claims ---- */

static struct member_flight *member_land(struct cache_member *r, uint64_t token)
{
    for (size_t i = 0; i < r->flight_count; i++)
        if (r->flights[i]->token == token) {
            struct member_flight *f = r->flights[i];
            r->flight_count--;
            memmove(r->flights + i, r->flights + i + 1,
                    (r->flight_count - i) * sizeof r->flights[0]);
            return f;
        }
    return NULL;
}

/*
 * Whether nobody was in between: it is the very claim that we know, or one of before this session. What is held is
 * known by its number: a Redis that has forgotten its last moments says a lower one in the join.
 */
static bool member_is_same_claim(const struct cache_member *r, uint64_t cell, uint64_t number)
{
    const struct cache_cells_entry *e = cache_cells_find(r->cells, cell);
    bool held = e != NULL && e->state == CACHE_CELL_HELD && e->number != 0;
    return held ? number == e->number : number <= r->number;
}

/* One cell's owner, as Redis has it. */
static void member_own(struct cache_member *r, uint64_t cell, const struct cache_ring_owner *owner)
{
    if (owner->state == CACHE_RING_OURS) {
        bool same = member_is_same_claim(r, cell, owner->value);
        member_event(r, cell, same ? CACHE_ON_SAID_OURS : CACHE_ON_GRANTED, 0);
        if (cache_cells_state(r->cells, cell) == CACHE_CELL_OURS) /* memory may have been short */
            cache_cells_set_number(r->cells, cell, owner->value);
        member_store_strays(r, cell);
    } else if (owner->state == CACHE_RING_THEIRS &&
               !cache_member_is_live(r, (uint32_t)owner->value)) {
        /* Redis knows more than we have been told so far: else it is asked again and again until we are. */
        member_wake_at(r, clock_boot_us() + (int64_t)MEMBER_LATER_MS * 1000);
        member_event(r, cell, CACHE_ON_SAID_LATER, 0);
    } else {
        member_event(r, cell,
                     owner->state == CACHE_RING_THEIRS ? CACHE_ON_SAID_THEIRS : CACHE_ON_SAID_LOST,
                     (uint32_t)owner->value);
    }
}

/* In this turn too, which may have begun before: who waited for these cells goes on in it. */
static void member_rise(struct cache_member *r, int64_t redis_us)
{
    cache_lease_rise(&r->lease, redis_us);
    cache_db_version_clock(r->node->db, cache_member_version(r));
}

/* False: it is no answer to that. */
static bool member_on_owners(struct cache_member *r, const struct member_flight *f,
                             const struct message_ring_claimed *m)
{
    struct cache_ring_owner owner;
    if (m->owners.len != f->count * CACHE_RING_OWNER_SIZE)
        return false;
    for (size_t i = 0; i < f->count; i++)
        if (!cache_ring_get_owner(m->owners, i, &owner) || owner.state == CACHE_RING_FREE_CELL ||
            (owner.state != CACHE_RING_OURS && (owner.value == 0 || owner.value > UINT32_MAX)))
            return false;
    if (m->redis_us <= INT64_MAX)
        member_rise(r, (int64_t)m->redis_us);
    for (size_t i = 0; i < f->count; i++) {
        cache_ring_get_owner(m->owners, i, &owner);
        member_own(r, f->cells[i], &owner);
    }
    return true;
}

/* It is asked for again when that time is over. */
static void member_put_off(struct cache_member *r, const struct member_flight *f, uint64_t wait_ms)
{
    member_wake_at(r, clock_boot_us() + (int64_t)wait_ms * 1000);
    for (size_t i = 0; i < f->count; i++)
        member_event(r, f->cells[i], CACHE_ON_SAID_LATER, 0);
}

static void member_on_obstacle(struct cache_member *r, const struct member_flight *f,
                               uint64_t result, uint64_t wait_ms)
{
    if (result == CACHE_RING_CLOSED) {
        r->closed_us = clock_boot_us() + (int64_t)wait_ms * 1000;
        member_put_off(r, f, wait_ms > MEMBER_LATER_MS ? wait_ms : MEMBER_LATER_MS);
    } else if (result == CACHE_RING_MOVED && f->holds) {
        for (size_t i = 0; i < f->count; i++)
            member_event(r, f->cells[i], CACHE_ON_REFUSED, 0);
    } else {
        member_put_off(r, f, MEMBER_LATER_MS);
        if (result == CACHE_RING_MUST_JOIN && r->session == MEMBER_IN)
            r->session = MEMBER_OUT;
    }
}

static bool member_on_claimed(struct cache_member *r, struct unpack *u)
{
    struct message_ring_claimed m;
    if (!message_ring_claimed_unpack(u, &m) || m.wait_ms > UINT32_MAX)
        return false;
    struct member_flight *f = member_land(r, m.token);
    bool right = true;
    if (f == NULL)
        return true; /* of an earlier session */
    r->now_us = clock_boot_us();
    if (m.result == CACHE_RING_OK)
        right = member_on_owners(r, f, &m);
    else
        member_on_obstacle(r, f, m.result, m.wait_ms);
    if (!right)
        member_put_off(r, f, MEMBER_LATER_MS);
    free(f);
    return right;
}

bool cache_member_on_message(struct cache_member *r, uint64_t type, struct unpack *u)
{
    switch (type) {
    case MESSAGE_RING_JOINED:
        return member_on_joined(r, u);
    case MESSAGE_RING_LEASE:
        return member_on_lease(r, u);
    case MESSAGE_RING_CLAIMED:
        return member_on_claimed(r, u);
    case MESSAGE_RING_NODES:
        return member_on_nodes(r, u);
    case MESSAGE_RING_FETCHED:
        return member_on_fetched(r, u);
    case MESSAGE_RING_SWEPT:
        return member_on_swept(r, u);
    case MESSAGE_RING_SEEN:
        return member_on_seen(r, u);
    case MESSAGE_RING_LEFT:
        return member_on_left(r, u);
    default:
        return false;
    }
}
