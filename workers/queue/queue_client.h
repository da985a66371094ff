/*
 * queue_client.h: a consumer's side of queues: what it takes, has in its hands, and what becomes of that.
 *
 * Runs in every worker that takes from queues: a port with `takes`. It may have so many messages in its hands at once
 * as its window says, whichever queues they are of; of what waits for it here each queue gets its share by weight. It
 * keeps in mind what it has, also while a queue worker is away, and tells its successor: so that the death of a queue
 * worker costs no second hand-out. Settled is what the queue worker has said is heard.
 */
#ifndef WORKERS_QUEUE_QUEUE_CLIENT_H
#define WORKERS_QUEUE_QUEUE_CLIENT_H

#include "workers/skeleton/worker.h"

/* As of queue_worker.h: SETTLE's outcome. */
enum queue_client_outcome { QUEUE_CLIENT_DONE, QUEUE_CLIENT_AGAIN, QUEUE_CLIENT_BURY };

/* "QUEUE/ID" */
#define QUEUE_CLIENT_ID_SIZE (CONTRACT_NAME_MAX + 24)

struct queue_client_task {
    char id[QUEUE_CLIENT_ID_SIZE];
    const char *queue;
    uint64_t attempt;
    int64_t at_ms;
    struct slice facet;
    struct slice body;
};

struct queue_client_events {
    /* One more is in its hands; lives until it is settled or lost. */
    void (*on_task)(void *ctx, const struct queue_client_task *task);
    /* That one is somebody else's; settling it has no effect any more. */
    void (*on_lost)(void *ctx, const char *id);
};

struct queue_client;

/*
 * From the settings takes.*; *out is NULL when there are none. 0 or -ENOMEM. From its return on workers are monitored
 * and events come.
 */
int queue_client_open(struct worker *w, const struct queue_client_events *events, void *ctx,
                      struct queue_client **out);
void queue_client_free(struct queue_client *c);

/* For on_up, on_down and on_message; the latter says whether the message was of a queue, and read. Accept NULL. */
void queue_client_up(struct queue_client *c, struct worker_peer *peer);
void queue_client_down(struct queue_client *c, const struct worker_peer *peer);
bool queue_client_message(struct queue_client *c, struct worker_peer *from, uint64_t type,
                          struct unpack *u);

/* What has become of it. False: there is none such in its hands. after_ms -1: after a pause. Accepts NULL. */
bool queue_client_settle(struct queue_client *c, const char *id, enum queue_client_outcome outcome,
                         int64_t after_ms, const char *reason);

/* ---- delivering ---- */

struct queue_client_delivery {
    uint64_t token;            /* names the answer; unique within this incarnation */
    bool has_topic, has_facet; /* else by the backbone's templates */
    struct slice topic, facet;
    uint64_t after_ms;
    struct slice body;
};

/* To a backbone worker, exactly once; its answer, or its DOWN, follows. */
void queue_client_deliver(struct worker *w, struct worker_peer *to,
                          const struct queue_client_delivery *d);

struct queue_client_delivered {
    uint64_t token;
    struct slice error; /* why it is not queued; empty: it is */
    struct slice id;
    struct unpack queues; /* an array of str */
};

/* Whether the message is such an answer; *ok then says whether it could be read. */
bool queue_client_delivered(uint64_t type, struct unpack *u, struct queue_client_delivered *d,
                            bool *ok);

/* ---- listening: each message at most once; nobody tells of those that were published while somebody was away ---- */

/* From the settings listens.*: its backbones' workers are monitored. Nothing happens when there are none. */
void queue_client_listen(struct worker *w);

/* For on_up: it is told what we listen to, when it is one of them. */
void queue_client_listen_up(struct worker *w, struct worker_peer *peer);

/*
 * For on_message: whether it is of what we listen to; *ok then says whether it could be read. topic and body live until
 * the call returns.
 */
bool queue_client_published(uint64_t type, struct unpack *u, struct slice *topic,
                            struct slice *body, bool *ok);

/* It was dropped, because who is told does not keep up. */
void queue_client_unheard(struct worker *w);

/* ---- the end ---- */

/* It takes nothing more: what it was not told of yet goes back. For drain. Accepts NULL. */
void queue_client_stop(struct queue_client *c);

#endif
