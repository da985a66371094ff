/*
 * queue_client.c: tasks and deliveries of the workers that have any (worker.h, Tasks; worker_tasks.h): what they take
 * (queue_taker.h), deliver (queue_deliveries.h) and hear (queue_listener.h).
 *
 * Runs in every worker type with `tasks`: ports, and those of the user's own.
 */
#include "workers/queue/queue_deliveries.h"
#include "workers/queue/queue_listener.h"
#include "workers/queue/queue_taker.h"

#include <stdlib.h>

struct worker_takes {
    struct worker *w;
    struct worker_task_events events;
    struct queue_reach reach;
    struct queue_listener listener;
    struct queue_taker *taker; /* NULL: it takes from no queue */
    struct queue_deliveries *deliveries;
};

static void client_close(struct worker_takes *t)
{
    queue_taker_free(t->taker);
    queue_deliveries_free(t->deliveries);
    queue_listener_fini(&t->listener);
    queue_reach_fini(&t->reach);
    free(t);
}

static struct worker_takes *client_open(struct worker *w, const struct worker_task_events *events)
{
    struct worker_takes *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->w = w;
    t->events = *events;
    t->reach.w = w;
    t->listener = (struct queue_listener){.w = w, .reach = &t->reach};
    t->deliveries = queue_deliveries_new(w, events, &t->reach);
    if (t->deliveries == NULL || queue_taker_open(w, events, &t->taker) != 0) {
        client_close(t);
        return NULL;
    }
    if (events->listens)
        queue_listener_open(&t->listener);
    return t;
}

static void client_up(struct worker_takes *t, struct worker_peer *peer)
{
    uint64_t number;
    queue_taker_up(t->taker, peer);
    const struct queue_reach_backbone *b = queue_reach_up(&t->reach, peer, &number);
    if (b == NULL)
        return;
    queue_deliveries_up(t->deliveries);
    queue_listener_up(&t->listener, b, number);
}

static bool client_down(struct worker_takes *t, const struct worker_peer *peer, struct slice reason)
{
    uint64_t number;
    bool absent;
    queue_taker_down(t->taker, peer);
    const struct queue_reach_backbone *b =
        queue_reach_down(&t->reach, peer, reason, &number, &absent);
    if (b == NULL)
        return false;
    queue_deliveries_down(t->deliveries, b, number, absent);
    if (!absent)
        queue_listener_down(&t->listener, b, number);
    return absent;
}

static bool client_message(struct worker_takes *t, struct worker_peer *from, uint64_t type,
                           struct unpack *u)
{
    if (type == MESSAGE_DELIVERED)
        return queue_deliveries_message(t->deliveries, type, u);
    if (type == MESSAGE_PUBLISHED)
        return t->events.listens && queue_listener_message(&t->listener, &t->events, from, type, u);
    return queue_taker_message(t->taker, from, type, u);
}

static void client_tick(struct worker_takes *t)
{
    queue_deliveries_tick(t->deliveries);
}

static void client_stop(struct worker_takes *t)
{
    queue_taker_stop(t->taker);
}

static bool client_owes(const struct worker_takes *t)
{
    return queue_taker_owes(t->taker);
}

static bool client_settle(struct worker_takes *t, const char *id, enum worker_task_end end,
                          int64_t after_ms, const char *reason)
{
    return queue_taker_settle(t->taker, id, end, after_ms, reason);
}

static int client_deliver(struct worker_takes *t, const struct worker_delivery *d, uint64_t *token)
{
    return queue_deliveries_add(t->deliveries, d, token);
}

const struct worker_tasks worker_tasks = {
    .open = client_open,
    .close = client_close,
    .up = client_up,
    .down = client_down,
    .message = client_message,
    .tick = client_tick,
    .stop = client_stop,
    .owes = client_owes,
    .settle = client_settle,
    .deliver = client_deliver,
};
