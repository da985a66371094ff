/*
 * queue_deliveries.h: messages that a worker delivers to backbones, until each is answered.
 *
 * Runs in every worker that delivers (queue_client.c). A backbone may have several workers, who are found by their
 * names, one behind the other (queue/shop/backbone.1, .2, ...); one is stayed with while it is up, and while none is a
 * delivery waits. What was sent is never sent again: it may be queued.
 */
#ifndef WORKERS_QUEUE_QUEUE_DELIVERIES_H
#define WORKERS_QUEUE_QUEUE_DELIVERIES_H

#include "workers/skeleton/worker_tasks.h"

struct queue_deliveries;

/* Copies *events. NULL: memory is short. */
struct queue_deliveries *queue_deliveries_new(struct worker *w,
                                              const struct worker_task_events *events);
/* Nobody hears of those that are not answered. Accepts NULL. */
void queue_deliveries_free(struct queue_deliveries *q);

/* As worker_deliver (worker.h). */
int queue_deliveries_add(struct queue_deliveries *q, const struct worker_delivery *d,
                         uint64_t *token);

void queue_deliveries_up(struct queue_deliveries *q, const struct worker_peer *peer);
/* True: the answer to our own question whether there is one more worker. */
bool queue_deliveries_down(struct queue_deliveries *q, const struct worker_peer *peer,
                           struct slice reason);
/* Whether it was an answer, and could be read. */
bool queue_deliveries_message(struct queue_deliveries *q, uint64_t type, struct unpack *u);
/* Once a second: those whose time is up. */
void queue_deliveries_tick(struct queue_deliveries *q);

#endif
