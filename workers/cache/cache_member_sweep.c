/*
 * cache_member_sweep.c: cells that Redis says are this node's, and of which it knows nothing. See
 * cache_member_private.h.
 *
 * A process that was killed knows the cells of which its log has something; those of what was not there, and of what
 * had left memory, it had without a trace. A release that came while Redis was away is none. And what is clean in the
 * log is claimed when somebody uses it, which may be never. In Redis all of these would be this node's for ever. So
 * they are claimed, as if a command needed them, and go when they have not been used for `idle`. A claim changes
 * nothing of what is another's by now. Without `idle` nothing goes, and nobody looks.
 *
 * A page at a time, and none before all that the last one has led to is asked for: whoever needs a cell comes first.
 */
#include "workers/cache/cache_member_private.h"

#include "proto/cache/cache_ring_cells.h"
#include "proto/cache/cache_ring_script.h"
#include "proto/message.h"

#include <stdio.h>

void member_sweep_begin(struct cache_member *r, bool there_may_be)
{
    r->sweeps = there_may_be && r->options.idle_ms > 0;
    r->sweep_token = 0;
    r->sweep_bucket = 0;
    snprintf(r->sweep_cursor, sizeof r->sweep_cursor, "0");
}

/* While the ring is closed nothing is granted, and what is held is claimed anyway. */
static bool sweep_may(const struct cache_member *r)
{
    return r->sweeps && !r->leaves && r->session == MEMBER_IN && r->walk == MEMBER_SETTLED &&
           r->sweep_token == 0 && r->asks.count == 0 && r->opens_us <= r->now_us &&
           r->closed_us <= r->now_us;
}

void member_sweep(struct cache_member *r)
{
    if (!sweep_may(r))
        return;
    struct message_ring_sweep m = {.token = r->last_token + 1,
                                   .mark = r->mark,
                                   .bucket = r->sweep_bucket,
                                   .cursor = slice_of(r->sweep_cursor)};
    message_ring_sweep_pack(r->options.compose(r->options.ctx), &m);
    if (r->options.send(r->options.ctx))
        r->sweep_token = ++r->last_token;
}

/* False: memory is short; the same page is asked for once more. */
static bool sweep_page(struct cache_member *r, struct slice cells)
{
    bool short_of = r->short_of;
    r->short_of = false;
    for (size_t at = 0; at < cells.len && !r->short_of; at += CACHE_RING_HELD_SIZE) {
        uint64_t cell = cache_ring_get_number(cells.ptr + at);
        if (cache_cells_state(r->cells, cell) == CACHE_CELL_UNKNOWN)
            member_event(r, cell, CACHE_ON_RECLAIM, 0);
    }
    bool all = !r->short_of;
    r->short_of = r->short_of || short_of;
    return all;
}

bool member_on_swept(struct cache_member *r, struct unpack *u)
{
    struct message_ring_swept m;
    if (!message_ring_swept_unpack(u, &m) || m.cells.len % CACHE_RING_HELD_SIZE != 0 ||
        m.cursor.len >= sizeof r->sweep_cursor)
        return false;
    if (m.token == 0 || m.token != r->sweep_token)
        return true; /* of an earlier session */
    r->sweep_token = 0;
    if (m.result != CACHE_RING_OK || !sweep_page(r, m.cells))
        return true;
    r->sweeps = m.bucket < CACHE_RING_BUCKETS;
    r->sweep_bucket = m.bucket;
    slice_copy(m.cursor, r->sweep_cursor, sizeof r->sweep_cursor);
    return true;
}
