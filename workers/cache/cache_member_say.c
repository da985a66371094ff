/* cache_member_say.c: what a node says to its manager. See cache_member_private.h. */
#include "workers/cache/cache_member_private.h"

#include "common/clock.h"
#include "proto/cache/cache_ring_cells.h"
#include "proto/message.h"
#include "workers/cache/cache_second.h"

#include <stdlib.h>
#include <string.h>

static bool member_send(struct cache_member *r)
{
    return r->options.send(r->options.ctx);
}

static struct buffer *member_compose(struct cache_member *r)
{
    return r->options.compose(r->options.ctx);
}

void member_join(struct cache_member *r)
{
    struct message_ring_join m = {.incarnation = r->incarnation,
                                  .mark = r->mark,
                                  .seed = slice_make((const char *)r->seed, sizeof r->seed),
                                  .address = slice_of(r->options.address)};
    if (!r->manager || r->session != MEMBER_OUT)
        return;
    message_ring_join_pack(member_compose(r), &m);
    if (member_send(r))
        r->session = MEMBER_JOINING;
}

void member_start_over(struct cache_member *r)
{
    r->short_of = true;
    if (r->session == MEMBER_IN)
        r->session = MEMBER_OUT;
}

void member_leave(struct cache_member *r)
{
    struct message_ring_leave m = {.mark = r->mark};
    if (!r->leaves || !r->manager || r->session != MEMBER_IN)
        return;
    message_ring_leave_pack(member_compose(r), &m);
    member_send(r);
}

void member_forget_flights(struct cache_member *r)
{
    for (size_t i = 0; i < r->flight_count; i++)
        free(r->flights[i]);
    r->flight_count = 0;
}

/* ---- claims ---- */

static void member_pack(struct cache_member *r, const struct member_flight *f, struct slice cells)
{
    struct buffer *out = member_compose(r);
    if (f->holds)
        message_ring_held_pack(
            out, &(struct message_ring_held){.token = f->token, .mark = r->mark, .cells = cells});
    else
        message_ring_claim_pack(
            out, &(struct message_ring_claim){.token = f->token, .mark = r->mark, .cells = cells});
}

/* The first of a list, as many as one request takes. Those that are not in that state any more are passed over. */
static struct member_flight *member_fill(struct cache_member *r, struct member_list *list,
                                         bool holds, struct buffer *cells)
{
    struct member_flight *f = malloc(sizeof *f);
    enum cache_cell_state state = holds ? CACHE_CELL_HELD : CACHE_CELL_ASKED;
    size_t i = 0;
    if (f == NULL)
        return NULL;
    f->token = r->last_token + 1;
    f->holds = holds;
    f->count = 0;
    for (; i < list->count && f->count < MEMBER_CELLS_MAX; i++) {
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
static bool member_fly(struct cache_member *r, struct member_list *list, bool holds)
{
    struct buffer cells = BUFFER_EMPTY;
    struct member_flight *f = member_fill(r, list, holds, &cells);
    bool sent = false;
    if (f != NULL && f->count > 0) {
        member_pack(r, f, buffer_slice(&cells));
        sent = member_send(r);
    }
    buffer_fini(&cells);
    if (sent) {
        r->last_token = f->token;
        r->flights[r->flight_count++] = f;
        return true;
    }
    if (f != NULL)
        member_wake_at(r, r->now_us + (int64_t)MEMBER_LATER_MS * 1000);
    for (size_t i = 0; f != NULL && i < f->count; i++)
        if (!member_push(&r->laters, f->cells[i], 0, 0))
            member_start_over(r);
    if (f == NULL)
        r->short_of = true;
    free(f);
    return false;
}

void member_say(struct cache_member *r)
{
    if (r->session != MEMBER_IN || (r->walk != MEMBER_SETTLED && r->walk != MEMBER_RECLAIMS))
        return;
    while (r->holds.count > 0 && r->flight_count < MEMBER_FLIGHTS && member_fly(r, &r->holds, true))
        continue;
    while (r->asks.count > 0 && r->flight_count < MEMBER_FLIGHTS && member_fly(r, &r->asks, false))
        continue;
}

/* ---- once more ---- */

void member_say_again(struct cache_member *r)
{
    struct member_list due = r->laters;
    if (due.count == 0 || r->now_us < r->later_us)
        return;
    r->laters = (struct member_list){0};
    for (size_t i = 0; i < due.count; i++)
        member_event(r, due.at[i].cell, CACHE_ON_AGAIN, 0);
    free(due.at);
}

/* Said here and now: where nothing else happens, the turn's end is far. */
static void member_on_wake(uv_timer_t *timer)
{
    struct cache_member *r = timer->data;
    r->now_us = clock_boot_us();
    member_say_again(r);
    member_say(r);
    if (r->laters.count > 0)
        member_wake_at(r, r->later_us);
}

void member_wake_at(struct cache_member *r, int64_t due_us)
{
    int64_t now_us = clock_boot_us();
    if (r->laters.count == 0 || due_us > r->later_us)
        r->later_us = due_us;
    uint64_t left_ms = r->later_us > now_us ? (uint64_t)(r->later_us - now_us) / 1000 + 1 : 1;
    uv_timer_start(r->wake, member_on_wake, left_ms, 0);
}

bool member_wake_new(struct cache_member *r)
{
    r->wake = malloc(sizeof *r->wake);
    if (r->wake == NULL)
        return false;
    uv_timer_init(r->node->loop, r->wake);
    r->wake->data = r;
    return true;
}

static void member_on_wake_closed(uv_handle_t *timer)
{
    free(timer);
}

void member_wake_free(struct cache_member *r)
{
    if (r->wake != NULL)
        uv_close((uv_handle_t *)r->wake, member_on_wake_closed);
}

/* ---- releases ---- */

/* How many of those that leave have been forgotten by the log, on the disk, and by Redis: they are in its order. */
static size_t member_forgotten(const struct cache_member *r)
{
    const struct cache_log *log = r->node->log;
    const struct cache_second *second = r->node->second;
    uint64_t synced = log != NULL ? cache_log_synced(log) : UINT64_MAX;
    uint64_t dropped = second != NULL ? cache_second_dropped(second) : UINT64_MAX;
    size_t count = 0;
    while (count < r->leaving.count && r->leaving.at[count].log_end <= synced &&
           r->leaving.at[count].drop_end <= dropped)
        count++;
    return count < MEMBER_CELLS_MAX ? count : MEMBER_CELLS_MAX;
}

/* One request. How many are given back. */
static size_t member_release_some(struct cache_member *r, size_t count)
{
    struct buffer cells = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++) {
        const struct member_held *h = &r->leaving.at[i];
        if (cache_cells_state(r->cells, h->cell) == CACHE_CELL_LEAVING)
            cache_ring_put_held(&cells,
                                &(struct cache_ring_held){.cell = h->cell, .number = h->number});
    }
    bool sent = buffer_ok(&cells);
    if (sent && cells.len > 0) {
        message_ring_release_pack(
            member_compose(r),
            &(struct message_ring_release){.mark = r->mark, .cells = buffer_slice(&cells)});
        sent = member_send(r);
    }
    buffer_fini(&cells);
    return sent ? count : 0;
}

/* A release that comes while the ring is closed is none, and the cell would be ours until somebody uses it. */
static bool member_may_release(const struct cache_member *r)
{
    return r->session == MEMBER_IN && r->walk == MEMBER_SETTLED && r->opens_us <= clock_boot_us();
}

/*
 * Nobody answers a release. What is asked behind it comes to Redis behind it, or, in another session, it never comes
 * there at all; then the cell is still ours, and whoever asks for it has it from us.
 */
void member_release(struct cache_member *r)
{
    while (r->leaving.count > 0 && member_may_release(r)) {
        size_t count = member_release_some(r, member_forgotten(r));
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++)
            member_event(r, r->leaving.at[i].cell, CACHE_ON_RELEASED, 0);
        r->leaving.count -= count;
        memmove(r->leaving.at, r->leaving.at + count, r->leaving.count * sizeof *r->leaving.at);
    }
}
