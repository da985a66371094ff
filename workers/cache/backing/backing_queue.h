/*
 * backing_queue.h: what nodes ask of a store: how much of it is under way at once, what waits, and until when.
 *
 * Runs in a backing worker. Knows no messages: who asks is a name, a generation and a token, and gets one answer, by
 * on_answer, at the latest when its time is over. One write of a key is under way at a time, whoever asks for it: a
 * node that died may have left one. Until it is opened or closed all waits; while it is closed all is answered with the
 * reason. Bounded in requests and bytes; what finds no room is answered AWAY.
 */
#ifndef WORKERS_CACHE_BACKING_QUEUE_H
#define WORKERS_CACHE_BACKING_QUEUE_H

#include "proto/contract.h"
#include "workers/cache/backing/backing.h"

/* Who gets the answer. */
struct backing_to {
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
};

enum backing_asked {
    BACKING_ASKED_CHECK,
    BACKING_ASKED_PUT,
    BACKING_ASKED_GET,
    BACKING_ASKED_ERASE
};

struct backing_ask {
    enum backing_asked what;
    struct backing_to to; /* an erase's has no name, and gets no answer */
    struct slice key, value;
    struct backing_meta meta; /* of a put; an erase's version */
    uint64_t timeout_ms;
};

/* None of them may call the queue. */
struct backing_queue_events {
    void (*on_answer)(const struct backing_to *to, const struct backing_answer *answer, void *ctx);
    /* Of each that the store has answered, before on_answer. */
    void (*on_result)(const struct backing_ask *ask, const struct backing_answer *answer,
                      void *ctx);
    /* Whether another get may begin: nobody must gather answers that its caller does not take. */
    bool (*may_get)(void *ctx);
    /* Nothing is under way any more. */
    void (*on_idle)(void *ctx);
};

struct backing_queue_options {
    size_t parallel;      /* at the store at once */
    size_t waiting_max;   /* requests … */
    size_t bytes_max;     /* … and their bytes, of which one may have more when it is alone */
    uint64_t timeout_max; /* of one request at the store, ms */
};

struct backing_queue;

/* NULL: memory is short. `events` lives as long. */
struct backing_queue *backing_queue_new(uv_loop_t *loop,
                                        const struct backing_queue_options *options,
                                        const struct backing_queue_events *events, void *ctx);

/* Ends all without answers. The store must live until then; what is left goes in the loop. Accepts NULL. */
void backing_queue_free(struct backing_queue *q);

/* Copies what it needs. May answer from within. */
void backing_queue_add(struct backing_queue *q, const struct backing_ask *ask);

/* Nobody waits for it any more. A write that is under way goes on: whether it was done is then at least known here. */
void backing_queue_cancel(struct backing_queue *q, const struct backing_to *to);

/* The same for all that this incarnation has asked for. */
void backing_queue_forget(struct backing_queue *q, const char *name, uint64_t generation);

/* The store can be used; what waits begins. */
void backing_queue_open(struct backing_queue *q, struct backing *store);

/* It cannot: what waits, and what comes, is answered so. What is under way goes on. */
void backing_queue_close(struct backing_queue *q, enum backing_result result, const char *why);

/* Looks whether something can begin: when may_get has changed its mind. */
void backing_queue_go(struct backing_queue *q);

size_t backing_queue_waiting(const struct backing_queue *q);
size_t backing_queue_running(const struct backing_queue *q);

/* For how long the store has not answered the oldest request under way, ms; 0: none is. */
uint64_t backing_queue_oldest_ms(const struct backing_queue *q);

#endif
