/*
 * queue_call.h: the arguments of each script of the queues, as C gives them.
 *
 * Used by the workers that call them, and by suites. Pure: no I/O. What an argument means stands once, in the first
 * lines of the script's file (queue_NAME.lua). A call is begun by the function of its script, which forgets the one
 * before; what there may be several of is added one by one. Texts and bodies are borrowed until the call is sent;
 * numbers and receipts are kept here. Failure is memory's, sticks, and is asked for once, by queue_call_args.
 */
#ifndef PROTO_QUEUE_QUEUE_CALL_H
#define PROTO_QUEUE_QUEUE_CALL_H

#include "common/buffer.h"
#include "proto/queue/queue_script.h"

#include <stdint.h>

struct queue_call {
    enum queue_script script;
    size_t count;
    struct buffer list;  /* of what an argument is (queue_call.c) */
    struct buffer text;  /* numbers and receipts */
    struct buffer words; /* the arguments, once all are there */
};

#define QUEUE_CALL_EMPTY ((struct queue_call){.count = 0})

void queue_call_fini(struct queue_call *c);

/* All of them, as they are sent, until the next change; NULL: memory is short. Their number is c->count. */
const struct slice *queue_call_args(struct queue_call *c);

/* One more argument: a queue, an id, whatever text. */
void queue_call_add(struct queue_call *c, struct slice arg);

/* One more receipt, for ack, again, bury, back, renew, adopt, disown. */
void queue_call_receipt(struct queue_call *c, struct slice id, uint64_t attempt);

/* ---- messages come in ---- */

void queue_call_deliver(struct queue_call *c, struct slice topic, struct slice facet,
                        struct slice body, uint64_t after_ms);
/* Then queue_call_message for each. */
void queue_call_deliver_many(struct queue_call *c);
void queue_call_message(struct queue_call *c, struct slice topic, struct slice facet,
                        uint64_t after_ms, struct slice body);
void queue_call_inbox_look(struct queue_call *c, uint64_t most, uint64_t most_bytes);
/* Then queue_call_place for each that inbox_look has shown; `why` empty: it can be placed. */
void queue_call_inbox_take(struct queue_call *c, uint64_t taken);
void queue_call_place(struct queue_call *c, struct slice topic, struct slice facet, uint64_t len,
                      struct slice why);

/* ---- and go out ---- */

/* Then queue_call_add for each queue. lease_ms -1: at most once. */
void queue_call_pull(struct queue_call *c, struct slice owner, uint64_t count, int64_t lease_ms);
/* `wait`: the number of the wait that it stands behind; 0: it stands behind none. */
void queue_call_take(struct queue_call *c, struct slice owner, uint64_t count, uint64_t lease_ms,
                     struct slice queue, uint64_t wait);
void queue_call_ack(struct queue_call *c, struct slice queue);
/* after_ms -1: a pause that grows with the attempts. */
void queue_call_again(struct queue_call *c, struct slice queue, int64_t after_ms,
                      struct slice reason);
void queue_call_bury(struct queue_call *c, struct slice queue, struct slice reason);
void queue_call_back(struct queue_call *c, struct slice queue, bool blame, struct slice reason);
void queue_call_renew(struct queue_call *c, struct slice queue, uint64_t lease_ms);
void queue_call_adopt(struct queue_call *c, struct slice queue, struct slice owner,
                      uint64_t lease_ms);
void queue_call_disown(struct queue_call *c, struct slice queue, struct slice owner,
                       struct slice except, bool blame, struct slice reason, struct slice cursor);
void queue_call_clock(struct queue_call *c, struct slice queue);

/* ---- queues ---- */

struct queue_settings {
    bool raw;
    uint64_t max_attempts;
    uint64_t retry_min_ms;
    uint64_t retry_max_ms;
    uint64_t message_max;
};

void queue_call_register(struct queue_call *c, struct slice queue, struct slice pattern,
                         const struct queue_settings *settings);
void queue_call_vouch(struct queue_call *c);
void queue_call_unregister(struct queue_call *c, struct slice queue);
void queue_call_destroy(struct queue_call *c, struct slice queue);
void queue_call_weight(struct queue_call *c, struct slice queue, struct slice facet,
                       uint64_t weight);
void queue_call_cap(struct queue_call *c, struct slice queue, uint64_t most);
/* Of a facet, or, with an empty one, of the whole queue. */
void queue_call_pause(struct queue_call *c, struct slice queue, bool paused, struct slice facet);

/* ---- what people ask ---- */

/* Then queue_call_add for each queue; none: the answer is their names. */
void queue_call_status(struct queue_call *c);
void queue_call_facets(struct queue_call *c, struct slice queue, struct slice cursor,
                       uint64_t count);
/* An empty facet: of the next turns. */
void queue_call_peek(struct queue_call *c, struct slice queue, struct slice facet, uint64_t count);
void queue_call_dead_list(struct queue_call *c, struct slice queue, uint64_t limit);
/* Then queue_call_add for each id; of retry and drop none: the oldest `limit`. */
void queue_call_dead_show(struct queue_call *c, struct slice queue);
void queue_call_dead_retry(struct queue_call *c, struct slice queue, uint64_t limit);
void queue_call_dead_drop(struct queue_call *c, struct slice queue, uint64_t limit);

#endif
