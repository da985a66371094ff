/*
 * queue_deliveries.h: messages that a worker delivers to backbones, until each is answered.
 *
 * Runs in every worker that delivers (queue_client.c). A backbone may have several workers (queue_reach.h); one is
 * stayed with while it is up, and while none is a delivery waits. Of several servers each delivery goes to any that is
 * up. What was sent is only sent again when the answer says that it is surely not queued: to another server.
 */
#ifndef WORKERS_QUEUE_QUEUE_DELIVERIES_H
#define WORKERS_QUEUE_QUEUE_DELIVERIES_H

#include "workers/queue/queue_reach.h"
#include "workers/skeleton/worker_tasks.h"

struct queue_deliveries;

/* Copies *events; `reach` stays the caller's, and outlives it. NULL: memory is short. */
struct queue_deliveries *queue_deliveries_new(struct worker *w,
                                              const struct worker_task_events *events,
                                              struct queue_reach *reach);
/* Nobody hears of those that are not answered. Accepts NULL. */
void queue_deliveries_free(struct queue_deliveries *q);

/* As worker_deliver (worker.h). */
int queue_deliveries_add(struct queue_deliveries *q, const struct worker_delivery *d,
                         uint64_t *token);

/* A worker of a backbone is up. */
void queue_deliveries_up(struct queue_deliveries *q);
/* As queue_reach_down said: that one is gone, or none. */
void queue_deliveries_down(struct queue_deliveries *q, const struct queue_reach_backbone *reach,
                           uint64_t number, bool absent);
/* Whether it was an answer, and could be read. */
bool queue_deliveries_message(struct queue_deliveries *q, uint64_t type, struct unpack *u);
/* Once a second: those whose time is up. */
void queue_deliveries_tick(struct queue_deliveries *q);

#endif
