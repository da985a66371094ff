/* queue_hands.c: which consumer has what in its hands. See queue_worker.h. */
#include "workers/queue/queue_worker.h"

#include "common/clock.h"

#include <stdlib.h>

struct queue_consumer *queue_consumer_of(struct queue_worker *q, struct worker_peer *peer)
{
    struct queue_consumer *c = peer->user;
    if (c != NULL)
        return c;
    peer->user = c = worker_must_alloc(q->w, sizeof *c);
    c->last = &c->first;
    return c;
}

void queue_hand_add(struct queue_worker *q, struct queue_consumer *c, struct slice id,
                    uint64_t attempt, bool alone)
{
    struct queue_hand *h = worker_must_alloc(q->w, sizeof *h);
    slice_copy(id, h->id, sizeof h->id); /* its length was looked at by who has read it */
    h->attempt = attempt;
    h->alone = alone;
    *c->last = h;
    c->last = &h->next;
    c->count++;
    q->in_hands++;
    c->alone = c->alone || alone;
}

void queue_hand_begin(struct queue_consumer *c, struct slice id, uint64_t attempt)
{
    struct queue_hand *h = c->first;
    while (h != NULL && (h->attempt != attempt || !slice_is(id, h->id)))
        h = h->next;
    if (h != NULL)
        h->since_ms = clock_mono_ms();
}

const struct queue_hand *queue_hand_late(const struct queue_consumer *c, uint64_t most_ms)
{
    uint64_t now = clock_mono_ms();
    const struct queue_hand *h = c->first;
    while (h != NULL && (h->since_ms == 0 || now - h->since_ms <= most_ms))
        h = h->next;
    return h;
}

/* Unlinks what `at` points to. */
static struct queue_hand *hand_unlink(struct queue_worker *q, struct queue_consumer *c,
                                      struct queue_hand **at)
{
    struct queue_hand *h = *at;
    *at = h->next;
    if (c->last == &h->next)
        c->last = at;
    c->count--;
    q->in_hands--;
    c->alone = c->alone && !h->alone;
    return h;
}

struct queue_hand *queue_hand_take(struct queue_worker *q, struct queue_consumer *c,
                                   struct slice id, uint64_t attempt)
{
    for (struct queue_hand **at = &c->first; *at != NULL; at = &(*at)->next)
        if ((*at)->attempt == attempt && slice_is(id, (*at)->id))
            return hand_unlink(q, c, at);
    return NULL;
}

struct queue_hand *queue_hand_pop(struct queue_worker *q, struct queue_consumer *c)
{
    return c->first != NULL ? hand_unlink(q, c, &c->first) : NULL;
}

uint64_t queue_consumer_room(const struct queue_consumer *c)
{
    return c->alone || c->allowed <= c->handed ? 0 : c->allowed - c->handed;
}
