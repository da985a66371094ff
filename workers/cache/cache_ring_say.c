/* cache_ring_say.c: what a node says to its manager. See cache_ring_private.h. */
#include "workers/cache/cache_ring_private.h"

#include "common/clock.h"
#include "proto/cache/cache_ring_cells.h"
#include "proto/messages.h"

#include <stdlib.h>
#include <string.h>

static bool ring_send(struct cache_ring *r)
{
    return r->options.send(r->options.ctx);
}

static struct buffer *ring_compose(struct cache_ring *r)
{
    return r->options.compose(r->options.ctx);
}

void ring_join(struct cache_ring *r)
{
    struct message_ring_join m = {.incarnation = r->incarnation,
                                  .mark = r->mark,
                                  .seed = slice_make((const char *)r->seed, sizeof r->seed),
                                  .address = slice_of(r->options.address)};
    if (!r->manager || r->session != RING_OUT)
        return;
    message_ring_join_pack(ring_compose(r), &m);
    if (ring_send(r))
        r->session = RING_JOINING;
}

void ring_leave(struct cache_ring *r)
{
    struct message_ring_leave m = {.mark = r->mark};
    if (!r->manager || r->session != RING_LEAVES)
        return;
    message_ring_leave_pack(ring_compose(r), &m);
    ring_send(r);
}

void ring_forget_flights(struct cache_ring *r)
{
    for (size_t i = 0; i < r->flight_count; i++)
        free(r->flights[i]);
    r->flight_count = 0;
}

/* ---- claims ---- */

static void ring_pack(struct cache_ring *r, const struct ring_flight *f, struct slice cells)
{
    struct buffer *out = ring_compose(r);
    if (f->holds)
        message_ring_held_pack(
            out, &(struct message_ring_held){.token = f->token, .mark = r->mark, .cells = cells});
    else
        message_ring_claim_pack(
            out, &(struct message_ring_claim){.token = f->token, .mark = r->mark, .cells = cells});
}

/* The first of a list, as many as one request takes. Those that are not in that state any more are passed over. */
static struct ring_flight *ring_fill(struct cache_ring *r, struct ring_list *list, bool holds,
                                     struct buffer *cells)
{
    struct ring_flight *f = malloc(sizeof *f);
    enum cache_cell_state state = holds ? CACHE_CELL_HELD : CACHE_CELL_ASKED;
    size_t i = 0;
    if (f == NULL)
        return NULL;
    f->token = r->last_token + 1;
    f->holds = holds;
    f->count = 0;
    for (; i < list->count && f->count < RING_CELLS_MAX; i++) {
        struct cache_ring_held held = {.cell = list->at[i].cell, .number = list->at[i].number};
        if (cache_cells_state(r->cells, held.cell) != state)
            continue;
        f->cells[f->count++] = held.cell;
        if (holds)
            cache_ring_put_held(cells, &held);
        else
            cache_ring_put_cell(cells, held.cell);
    }
    if (!buffer_ok(cells)) {
        free(f);
        return NULL;
    }
    list->count -= i;
    memmove(list->at, list->at + i, list->count * sizeof *list->at);
    return f;
}

/* True: one more is under way. What cannot be sent is asked for later. */
static bool ring_fly(struct cache_ring *r, struct ring_list *list, bool holds)
{
    struct buffer cells = BUFFER_EMPTY;
    struct ring_flight *f = ring_fill(r, list, holds, &cells);
    bool sent = false;
    if (f != NULL && f->count > 0) {
        ring_pack(r, f, buffer_slice(&cells));
        sent = ring_send(r);
    }
    buffer_fini(&cells);
    if (sent) {
        r->last_token = f->token;
        r->flights[r->flight_count++] = f;
        return true;
    }
    for (size_t i = 0; f != NULL && i < f->count; i++)
        r->short_of = !ring_push(&r->laters, f->cells[i], 0, 0) || r->short_of;
    if (f == NULL)
        r->short_of = true;
    free(f);
    return false;
}

void ring_say(struct cache_ring *r)
{
    if (r->session != RING_IN || (r->walk != RING_SETTLED && r->walk != RING_RECLAIMS))
        return;
    while (r->holds.count > 0 && r->flight_count < RING_FLIGHTS && ring_fly(r, &r->holds, true))
        continue;
    while (r->asks.count > 0 && r->flight_count < RING_FLIGHTS && ring_fly(r, &r->asks, false))
        continue;
}

/* ---- releases ---- */

/* How many of those that leave have been forgotten by the log, on the disk: they are in its order. */
static size_t ring_forgotten(const struct cache_ring *r)
{
    const struct cache_log *log = r->node->log;
    uint64_t synced = log != NULL ? cache_log_synced(log) : UINT64_MAX;
    size_t count = 0;
    while (count < r->leaving.count && r->leaving.at[count].log_end <= synced)
        count++;
    return count < RING_CELLS_MAX ? count : RING_CELLS_MAX;
}

/* One request. How many are given back. */
static size_t ring_release_some(struct cache_ring *r, size_t count)
{
    struct buffer cells = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++) {
        const struct ring_held *h = &r->leaving.at[i];
        if (cache_cells_state(r->cells, h->cell) == CACHE_CELL_LEAVING)
            cache_ring_put_held(
                &cells, &(struct cache_ring_held){.cell = h->cell, .number = h->number});
    }
    bool sent = buffer_ok(&cells);
    if (sent && cells.len > 0) {
        message_ring_release_pack(
            ring_compose(r),
            &(struct message_ring_release){.mark = r->mark, .cells = buffer_slice(&cells)});
        sent = ring_send(r);
    }
    buffer_fini(&cells);
    return sent ? count : 0;
}

/*
 * Nobody answers a release. What is asked behind it comes to Redis behind it, or, in another session, it never comes
 * there at all; then the cell is still ours, and whoever asks for it has it from us.
 */
void ring_release(struct cache_ring *r)
{
    while (r->session == RING_IN && r->walk == RING_SETTLED) {
        size_t count = ring_release_some(r, ring_forgotten(r));
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++)
            ring_event(r, r->leaving.at[i].cell, CACHE_ON_RELEASED, 0);
        r->leaving.count -= count;
        memmove(r->leaving.at, r->leaving.at + count, r->leaving.count * sizeof *r->leaving.at);
    }
}
