/* cache_forward_again.c: a command that did not run is looked at once more. See cache_forward_private.h. */
#include "workers/cache/cache_forward_private.h"

#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_transaction.h"

#include <stdlib.h>

#define FORWARD_AT_ONCE   2  /* times without a pause: an object has moved */
#define FORWARD_PAUSE_MS  5u /* then that, and twice as long each time */
#define FORWARD_PAUSE_MAX 100u

uint64_t forward_pause(const struct forward_slot *s)
{
    unsigned tries = s->tries + 1;
    if (tries <= FORWARD_AT_ONCE && !s->unreached)
        return 0;
    unsigned shift = tries < 5 ? tries : 5;
    uint64_t pause = FORWARD_PAUSE_MS << shift;
    return pause < FORWARD_PAUSE_MAX ? pause : FORWARD_PAUSE_MAX;
}

/* Two that only read may run in any order; but what was read behind a WATCH must not be older than that. */
static bool forward_is_ordered(const struct forward_slot *s)
{
    return (s->command->command->flags & (COMMAND_WRITE | COMMAND_AT_ONCE)) != 0;
}

static int forward_compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

/* The cells of its keys, sorted. NULL: memory is short. */
static uint64_t *forward_cells(const struct forward_slot *s, size_t *count)
{
    const struct command_queued *q = s->command;
    uint64_t *cells = malloc(q->count * sizeof *cells);
    struct command_keys keys;
    struct slice key;
    *count = 0;
    if (cells == NULL)
        return NULL;
    command_keys_start_all(&keys, NULL, q->command, q->words, q->count);
    while (command_keys_next(&keys, &key))
        cells[(*count)++] = cache_member_cell(s->forward->node->member, key);
    qsort(cells, *count, sizeof *cells, forward_compare);
    return cells;
}

static bool forward_meets(const struct forward_slot *s, const uint64_t *cells, size_t count)
{
    const struct command_queued *q = s->command;
    struct command_keys keys;
    struct slice key;
    command_keys_start_all(&keys, NULL, q->command, q->words, q->count);
    while (command_keys_next(&keys, &key)) {
        uint64_t cell = cache_member_cell(s->forward->node->member, key);
        if (bsearch(&cell, cells, count, sizeof cell, forward_compare) != NULL)
            return true;
    }
    return false;
}

/*
 * A later one of the client's has run on what this one would: run now, it would undo that. Sorted, for both may have a
 * million keys: each with each would stop the node. Without memory for that it is taken for overtaken.
 */
static bool forward_is_overtaken(const struct forward_slot *s)
{
    uint64_t *cells = NULL;
    size_t count = 0;
    bool met = false;
    for (const struct forward_slot *later = s->next; later != NULL && !met; later = later->next) {
        if (later->state != FORWARD_ANSWERED || later->command == NULL ||
            !(forward_is_ordered(s) || forward_is_ordered(later)))
            continue;
        if (cells == NULL)
            cells = forward_cells(s, &count);
        met = cells == NULL || forward_meets(later, cells, count);
    }
    free(cells);
    return met;
}

/* From its beginning: whose its keys are now. */
static void forward_look(struct cache_client *c)
{
    struct forward_slot *s = c->away->redo;
    uint64_t now = uv_now(c->node->loop), left = s->deadline_ms > now ? s->deadline_ms - now : 1;
    cache_turn_begin(&c->node->turn);
    cache_turn_lend(&c->node->turn, &c->reply.out);
    c->parked = 0;
    c->stalled = false;
    c->from = 0;
    c->reply_skip = s->hushed;
    if (cache_hold_again(c, s->command, left) != CACHE_HOLD_GO)
        c->node->forward->go_on(c);
    cache_turn_ready(c);
    cache_client_go_on(c);
}

/* ---- pauses ---- */

static void forward_on_timer(uv_timer_t *timer);

void forward_unpause(struct cache_client *c)
{
    struct cache_client **at = &c->node->forward->paused;
    if (!c->away->pauses)
        return;
    c->away->pauses = false;
    while (*at != c)
        at = &(*at)->next_paused;
    *at = c->next_paused;
}

static void forward_set_timer(struct cache_forward *f)
{
    uint64_t now = uv_now(f->node->loop), first = UINT64_MAX;
    for (const struct cache_client *c = f->paused; c != NULL; c = c->next_paused)
        first = c->away->due_ms < first ? c->away->due_ms : first;
    if (first != UINT64_MAX)
        uv_timer_start(&f->timer, forward_on_timer, first > now ? first - now : 0, 0);
}

static struct cache_client *forward_due(const struct cache_forward *f)
{
    uint64_t now = uv_now(f->node->loop);
    struct cache_client *c = f->paused;
    while (c != NULL && c->away->due_ms > now)
        c = c->next_paused;
    return c;
}

static void forward_on_timer(uv_timer_t *timer)
{
    struct cache_forward *f = timer->data;
    for (struct cache_client *c; (c = forward_due(f)) != NULL;) {
        forward_unpause(c);
        if (c->away->redo != NULL)
            forward_look(c);
        else
            f->drain(c);
    }
    forward_set_timer(f);
}

void forward_later(struct cache_client *c, uint64_t pause_ms)
{
    struct cache_forward *f = c->node->forward;
    uint64_t least =
        pause_ms > 0 ? pause_ms : 1; /* one of 0 would be due in this turn, again and again */
    if (c->away->pauses)
        return;
    c->away->pauses = true;
    c->away->due_ms = uv_now(f->node->loop) + least;
    c->next_paused = f->paused;
    f->paused = c;
    forward_set_timer(f);
}

void forward_again(struct cache_client *c)
{
    struct cache_away *a = c->away;
    struct forward_slot *s = a->first;
    if (forward_is_overtaken(s)) {
        forward_fail(s,
                     "TRYAGAIN the object's owner changed between two commands of this pipeline: "
                     "ask again");
        c->node->forward->drain(c);
        return;
    }
    a->first = s->next;
    a->last = a->first != NULL ? a->last : NULL;
    a->count--;
    a->redo = s;
    uint64_t pause = forward_pause(s);
    s->tries++;
    c->parked = 1;
    if (pause == 0)
        forward_look(c);
    else
        forward_later(c, pause);
}
