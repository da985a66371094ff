/*
 * queue_taker.h: a consumer's side of queues: what it takes, has in its hands, and what becomes of that.
 *
 * Runs in every worker that takes from queues (queue_client.c). It may have so many messages in its hands at once as
 * its window says, whichever queues they are of; of what waits for it here each queue gets its share by weight. It
 * keeps in mind what it has, also while a queue worker is away, and tells its successor: so that the death of a queue
 * worker costs no second hand-out. Settled is what the queue worker has said is heard.
 */
#ifndef WORKERS_QUEUE_QUEUE_TAKER_H
#define WORKERS_QUEUE_QUEUE_TAKER_H

#include "workers/skeleton/worker_tasks.h"

struct queue_taker;

/*
 * From the settings takes.*; *out is NULL when there are none, or the type takes none. 0 or -ENOMEM. From its return on
 * workers are monitored and events come. Copies *events.
 */
int queue_taker_open(struct worker *w, const struct worker_task_events *events,
                     struct queue_taker **out);
void queue_taker_free(struct queue_taker *c);

/* A peer has come, or gone; a message: whether it was of a queue, and could be read. Accept NULL. */
void queue_taker_up(struct queue_taker *c, struct worker_peer *peer);
void queue_taker_down(struct queue_taker *c, const struct worker_peer *peer);
bool queue_taker_message(struct queue_taker *c, struct worker_peer *from, uint64_t type,
                         struct unpack *u);

/* What has become of it. False: there is none such in its hands. after_ms -1: after a pause. Accepts NULL. */
bool queue_taker_settle(struct queue_taker *c, const char *id, enum worker_task_end end,
                        int64_t after_ms, const char *reason);

/* It takes nothing more: what it was not told of yet goes back. Accepts NULL. */
void queue_taker_stop(struct queue_taker *c);

/* Something is settled that a queue worker which is up has not said is heard. Accepts NULL. */
bool queue_taker_owes(const struct queue_taker *c);

#endif
