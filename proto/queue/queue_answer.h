/*
 * queue_answer.h: what the queues' scripts answer, as C reads it.
 *
 * Used by whoever calls them (queue_script.h). Pure: no I/O, no memory; slices point into the answer, which must live
 * as long as they are used. Bounded by what is there: an answer that is none is refused whole.
 */
#ifndef PROTO_QUEUE_QUEUE_ANSWER_H
#define PROTO_QUEUE_QUEUE_ANSWER_H

#include "common/slice.h"
#include "common/unpack.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A list within an answer, read from its start to its end by one of the `next` functions below, which give false at its
 * end, or when it is malformed: then queue_list_ok is false, and nothing of the answer may be used.
 */
struct queue_list {
    struct unpack u;
    uint32_t left;
};

static inline bool queue_list_ok(const struct queue_list *l)
{
    return unpack_ok(&l->u) && l->left == 0;
}

/* take */
struct queue_taken {
    bool paused;
    int64_t due_ms; /* until a lease or a delay is over; -1: there is none */
    uint64_t waiting;
    struct queue_list tasks;
};

/* A message, as it is handed out, shown by peek, or read in a dead letter. */
struct queue_task {
    struct slice id; /* digits; peek: empty when it has none yet */
    uint64_t attempt;
    bool alone; /* take: nothing else may be in its consumer's hands */
    struct slice facet;
    int64_t at_ms; /* -1: unknown */
    struct slice body;
};

bool queue_read_taken(struct slice bytes, struct queue_taken *taken);
bool queue_next_task(struct queue_list *l, struct queue_task *task);
bool queue_read_peeked(struct slice bytes, struct queue_list *tasks);
bool queue_next_peeked(struct queue_list *l, struct queue_task *task);

/* "ID.ATTEMPT", how a hand-out is named. */
#define QUEUE_RECEIPT_SIZE 40

/* The longest id: 2^53 has 16 digits. */
#define QUEUE_ID_MAX 16

/* False when the id is none (digits, at most QUEUE_ID_MAX). */
bool queue_receipt(struct slice id, uint64_t attempt, char receipt[QUEUE_RECEIPT_SIZE]);
bool queue_receipt_read(struct slice receipt, struct slice *id, uint64_t *attempt);

/* deliver_many: for each message, in order. */
struct queue_delivered {
    struct slice id;
    struct slice refused; /* why it is not queued; empty: it is */
    struct queue_list queues;
};
bool queue_read_delivered(struct slice bytes, struct queue_list *all);
bool queue_next_delivered(struct queue_list *l, struct queue_delivered *one);
bool queue_next_name(struct queue_list *l, struct slice *name);

/* inbox_look: bodies by queue_next_name. */
struct queue_inbox {
    uint64_t taken;
    uint64_t left;
    struct queue_list bodies;
};
bool queue_read_inbox(struct slice bytes, struct queue_inbox *inbox);

/* inbox_take */
bool queue_read_placed(struct slice bytes, uint64_t *placed, uint64_t *dead);

struct queue_status {
    struct slice queue;
    bool registered;
    struct slice pattern;
    bool raw;
    bool paused;
    uint64_t waiting, in_flight, delayed, dead, facets;
    int64_t oldest_ms; /* -1: unknown, or nothing waits */
    uint64_t delivered, acked, retried, expired, late, moved;
    struct queue_list wrong; /* what is wrong with keys: queue_next_name */
};
/* status without a queue: names, by queue_next_name. */
bool queue_read_names(struct slice bytes, struct queue_list *names);
bool queue_read_status(struct slice bytes, struct queue_list *all);
bool queue_next_status(struct queue_list *l, struct queue_status *status);

/* facets: a page. */
#define QUEUE_CURSOR_SIZE 24
struct queue_facet {
    struct slice facet;
    uint64_t waiting, in_flight, weight;
    int64_t oldest_ms;
};
/* `cursor`: where the sweep goes on; *more is false when that was all. */
bool queue_read_facets(struct slice bytes, char cursor[QUEUE_CURSOR_SIZE], bool *more,
                       struct queue_list *facets);
bool queue_next_facet(struct queue_list *l, struct queue_facet *facet);

/* dead_list and dead_show, which has the body too. */
struct queue_letter {
    struct slice id;
    struct slice facet;
    uint64_t attempts;
    struct slice reason;
    int64_t at_ms;
    uint64_t bytes;
    struct slice body;
};
bool queue_read_letters(struct slice bytes, struct queue_list *letters);
bool queue_next_letter(struct queue_list *l, bool shown, struct queue_letter *letter);

#endif
