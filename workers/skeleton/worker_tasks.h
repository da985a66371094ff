/*
 * worker_tasks.h: where tasks come from and deliveries go to, as the skeleton sees it.
 *
 * Runs in the worker. A table of pointers and not plain calls, as the mailbox (worker_mailbox.h): the skeleton knows no
 * system, and a type that takes no tasks refers to nothing of the one that hands them out.
 */
#ifndef WORKERS_WORKER_TASKS_H
#define WORKERS_WORKER_TASKS_H

#include "workers/skeleton/worker.h"

enum worker_task_end { WORKER_TASK_DONE, WORKER_TASK_AGAIN, WORKER_TASK_BURY };

/* What the type is told, by the skeleton's hand; `w` as it was given to `open`. */
struct worker_task_events {
    bool takes, listens; /* the type has on_task, on_published */
    void (*on_task)(struct worker *w, const struct worker_task *task);
    void (*on_lost)(struct worker *w, const struct worker_task *task);
    void (*on_delivered)(struct worker *w, const struct worker_delivered *d);
    /* False: it is dropped. */
    bool (*on_published)(struct worker *w, struct slice topic, struct slice body);
};

struct worker_takes;

struct worker_tasks {
    /* Reads the settings takes.* and listens.*, and monitors whom they name. NULL: memory is short. */
    struct worker_takes *(*open)(struct worker *w, const struct worker_task_events *events);
    void (*close)(struct worker_takes *t);
    void (*up)(struct worker_takes *t, struct worker_peer *peer);
    /* True: it answers a MONITOR of its own, which is nobody else's affair. */
    bool (*down)(struct worker_takes *t, const struct worker_peer *peer, struct slice reason);
    /* Whether the message was of its own, and could be read. */
    bool (*message)(struct worker_takes *t, struct worker_peer *from, uint64_t type,
                    struct unpack *u);
    void (*tick)(struct worker_takes *t); /* once a second */
    /* Takes nothing more, and gives back what the type was not told of. */
    void (*stop)(struct worker_takes *t);
    /* Something that was settled has not been heard, by somebody who is there to hear. */
    bool (*owes)(const struct worker_takes *t);
    bool (*settle)(struct worker_takes *t, const char *id, enum worker_task_end end,
                   int64_t after_ms, const char *reason);
    int (*deliver)(struct worker_takes *t, const struct worker_delivery *d, uint64_t *token);
};

#endif
