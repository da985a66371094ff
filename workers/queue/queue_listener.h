/*
 * queue_listener.h: a consumer's side of what is published: whom it asks for it, and that it is told.
 *
 * Runs in every worker that listens (queue_client.c). Each message comes at most once; nobody tells of those that were
 * published while somebody was away.
 */
#ifndef WORKERS_QUEUE_QUEUE_LISTENER_H
#define WORKERS_QUEUE_QUEUE_LISTENER_H

#include "workers/skeleton/worker_tasks.h"

/* From the settings listens.*: its backbones' workers are monitored. Nothing happens when there are none. */
void queue_listener_open(struct worker *w);

/* A peer has come: it is told what we listen to, when it is one of them. */
void queue_listener_up(struct worker *w, struct worker_peer *peer);

/* Whether it was of what we listen to, and could be read. What the type does not take is counted. */
bool queue_listener_message(struct worker *w, const struct worker_task_events *events,
                            uint64_t type, struct unpack *u);

#endif
