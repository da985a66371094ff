/*
 * queue_listener.h: a consumer's side of what is published: whom it asks for it, and that it is told.
 *
 * Runs in every worker that listens (queue_client.c). Every backbone worker hears all that its Redis publishes, so one
 * of each server is listened to, and when that one is gone another: each message comes at most once, and nobody tells
 * of those that were published in between.
 */
#ifndef WORKERS_QUEUE_QUEUE_LISTENER_H
#define WORKERS_QUEUE_QUEUE_LISTENER_H

#include "workers/queue/queue_reach.h"
#include "workers/skeleton/worker_tasks.h"

struct queue_listener {
    struct worker *w;
    struct queue_reach *reach;
    struct queue_listened *first; /* a backbone each */
};

/* From the settings listens.*: its backbones' workers are asked for. Nothing happens when there are none. */
void queue_listener_open(struct queue_listener *l);
void queue_listener_fini(struct queue_listener *l);

/* A worker of that backbone is up, or gone: who is listened to is told to whom. */
void queue_listener_up(struct queue_listener *l, const struct queue_reach_backbone *reach,
                       uint64_t number);
void queue_listener_down(struct queue_listener *l, const struct queue_reach_backbone *reach,
                         uint64_t number);

/* Whether it was of what we listen to, and could be read. What the type does not take is counted. */
bool queue_listener_message(struct queue_listener *l, const struct worker_task_events *events,
                            const struct worker_peer *from, uint64_t type, struct unpack *u);

#endif
