/*
 * queue_ending.c: what has become of messages is told to Redis, until it has heard; and leases. See queue_worker.h.
 *
 * What is done goes many in a call, once a turn of the loop. All of it may be told twice: a receipt counts once. Until
 * Redis has heard, the consumer keeps it in mind too, so that our death costs no second hand-out.
 */
#include "workers/queue/queue_worker.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/text.h"

#include <stdlib.h>

struct ending_entry {
    char id[QUEUE_ID_MAX + 1];
    uint64_t attempt;
    char to[CONTRACT_NAME_MAX]; /* "": nobody hears */
    uint64_t generation;
};

struct queue_ending {
    struct queue_ending *next;
    struct queue_worker *q;
    enum queue_outcome outcome;
    int64_t after_ms;
    bool blame;
    char reason[QUEUE_REASON_SIZE];
    size_t count;
    struct ending_entry entries[QUEUE_BATCH];
};

static struct queue_ending *ending_new(struct queue_worker *q, enum queue_outcome outcome,
                                       int64_t after_ms, bool blame, struct slice reason)
{
    struct queue_ending *e = worker_must_alloc(q->w, sizeof *e);
    e->q = q;
    e->outcome = outcome;
    e->after_ms = after_ms;
    e->blame = blame;
    slice_copy(
        slice_make(reason.ptr, reason.len < sizeof e->reason ? reason.len : sizeof e->reason - 1),
        e->reason, sizeof e->reason);
    return e;
}

static void ending_add(struct queue_ending *e, const struct worker_peer *to, struct slice id,
                       uint64_t attempt)
{
    struct ending_entry *entry = &e->entries[e->count++];
    slice_copy(id, entry->id, sizeof entry->id);
    entry->attempt = attempt;
    if (to != NULL) {
        memcpy(entry->to, to->name, sizeof entry->to);
        entry->generation = to->generation;
    }
}

/* ---- Redis has heard ---- */

void queue_tell_lost(struct queue_worker *q, struct worker_peer *to, struct slice id,
                     uint64_t attempt)
{
    struct buffer *message = worker_compose(q->w);
    message_lost_pack(message, &(struct message_lost){.id = id, .attempt = attempt});
    worker_must_send(q->w, to, message);
}

static void ending_tell(struct queue_worker *q, const struct queue_ending *e)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct ending_entry *entry = &e->entries[i];
        struct worker_peer *to = entry->to[0] != '\0' ? worker_peer_find(q->w, entry->to) : NULL;
        if (to != NULL && to->generation == entry->generation)
            queue_tell_lost(q, to, slice_of(entry->id), entry->attempt);
    }
}

static void ending_count(struct queue_worker *q, const struct queue_ending *e, uint64_t counted)
{
    static const enum counter counters[] = {[QUEUE_DONE] = COUNTER_QUEUE_ACKED,
                                            [QUEUE_AGAIN] = COUNTER_QUEUE_RETRIED,
                                            [QUEUE_BURY] = COUNTER_QUEUE_BURIED,
                                            [QUEUE_GIVE_BACK] = COUNTER_QUEUE_LOST};
    worker_count(q->w, counters[e->outcome], counted);
    if (e->outcome != QUEUE_GIVE_BACK && counted < e->count)
        worker_count(q->w, COUNTER_QUEUE_LOST, e->count - counted);
}

static void ending_keep(struct queue_worker *q, struct queue_ending *e)
{
    e->next = NULL;
    *q->kept_last = e;
    q->kept_last = &e->next;
}

static void ending_send(struct queue_worker *q, struct queue_ending *e);

static void ending_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_ending *e = ctx;
    struct queue_worker *q = e->q;
    char why[384];
    (void)c;
    q->ending--;
    if (FAULT_POINT("queue.after-settle", slice_of(e->entries[0].id)))
        reply = NULL;
    if (queue_redis_failed(&q->redis, reply, why, sizeof why)) {
        ending_send(q, e);
    } else if (why[0] != '\0') {
        q->note(q, reply, why);
        ending_keep(q, e);
    } else {
        ending_count(q, e, reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0);
        ending_tell(q, e);
        free(e);
        q->take(q);
    }
    if (worker_stopping(q->w) && q->ending == 0)
        worker_finished(q->w);
}

static void ending_send(struct queue_worker *q, struct queue_ending *e)
{
    switch (e->outcome) {
    case QUEUE_DONE:
        queue_call_ack(&q->call, q->name);
        break;
    case QUEUE_AGAIN:
        queue_call_again(&q->call, q->name, e->after_ms, slice_of(e->reason));
        break;
    case QUEUE_BURY:
        queue_call_bury(&q->call, q->name, slice_of(e->reason));
        break;
    case QUEUE_GIVE_BACK:
        queue_call_back(&q->call, q->name, e->blame, slice_of(e->reason));
        break;
    }
    for (size_t i = 0; i < e->count; i++)
        queue_call_receipt(&q->call, slice_of(e->entries[i].id), e->entries[i].attempt);
    if (!FAULT_POINT("queue.before-settle", slice_of(e->entries[0].id)) &&
        queue_redis_call(&q->redis, &q->call, ending_on_reply, e) == 0)
        q->ending++;
    else
        ending_keep(q, e);
}

/* ---- telling ---- */

void queue_flush(uv_timer_t *timer)
{
    struct queue_worker *q = timer->data;
    struct queue_ending *e = q->acks;
    q->acks = NULL;
    if (e != NULL)
        ending_send(q, e);
}

void queue_end(struct queue_worker *q, const struct worker_peer *to, struct slice id,
               uint64_t attempt, enum queue_outcome outcome, int64_t after_ms, bool blame,
               struct slice reason)
{
    if (outcome != QUEUE_DONE) {
        struct queue_ending *e = ending_new(q, outcome, after_ms, blame, reason);
        ending_add(e, to, id, attempt);
        ending_send(q, e);
        return;
    }
    if (q->acks == NULL) {
        q->acks = ending_new(q, QUEUE_DONE, 0, false, slice_of(""));
        uv_timer_start(&q->flush, queue_flush, 0, 0);
    }
    ending_add(q->acks, to, id, attempt);
    if (q->acks->count == QUEUE_BATCH)
        queue_flush(&q->flush);
}

/* What had to wait until it was by itself, and was not yet, is not what its consumer died of. */
void queue_end_consumer(struct queue_worker *q, struct queue_consumer *c, bool orderly,
                        struct slice reason)
{
    bool others = c->count > 1;
    struct queue_ending *lists[2] = {NULL, NULL};
    struct queue_hand *h;
    while ((h = queue_hand_pop(q, c)) != NULL) {
        bool blame = !orderly && !(h->alone && others);
        struct queue_ending **e = &lists[blame];
        if (*e == NULL)
            *e = ending_new(q, QUEUE_GIVE_BACK, 0, blame, reason);
        ending_add(*e, NULL, slice_of(h->id), h->attempt);
        free(h);
        if ((*e)->count == QUEUE_BATCH) {
            ending_send(q, *e);
            *e = NULL;
        }
    }
    for (size_t i = 0; i < 2; i++)
        if (lists[i] != NULL)
            ending_send(q, lists[i]);
}

void queue_end_again(struct queue_worker *q)
{
    struct queue_ending *e = q->kept;
    q->kept = NULL;
    q->kept_last = &q->kept;
    while (e != NULL) {
        struct queue_ending *next = e->next;
        ending_send(q, e);
        e = next;
    }
}

/* Those under way are not among these: a lost answer is looked for when nothing is. */
void queue_ending_known(struct queue_worker *q)
{
    for (const struct queue_ending *e = q->kept; e != NULL; e = e->next)
        for (size_t i = 0; i < e->count; i++)
            queue_call_receipt(&q->call, slice_of(e->entries[i].id), e->entries[i].attempt);
    for (size_t i = 0; q->acks != NULL && i < q->acks->count; i++)
        queue_call_receipt(&q->call, slice_of(q->acks->entries[i].id), q->acks->entries[i].attempt);
}

void queue_ending_fini(struct queue_worker *q)
{
    while (q->kept != NULL) {
        struct queue_ending *e = q->kept;
        q->kept = e->next;
        free(e);
    }
    free(q->acks);
    q->acks = NULL;
}

/* ---- leases ---- */

/* Of whom it was, when it is still in hands. */
static void renew_lost(struct queue_worker *q, struct slice receipt)
{
    struct slice id;
    uint64_t attempt;
    if (!queue_receipt_read(receipt, &id, &attempt))
        return;
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL;
         p = worker_peer_next(q->w, p)) {
        struct queue_hand *h = p->user != NULL ? queue_hand_take(q, p->user, id, attempt) : NULL;
        if (h == NULL)
            continue;
        queue_tell_lost(q, p, id, attempt);
        worker_count(q->w, COUNTER_QUEUE_LOST, 1);
        free(h);
        return;
    }
}

static void renew_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    char why[384];
    (void)c;
    queue_redis_failed(&q->redis, reply, why, sizeof why);
    if (why[0] != '\0')
        q->note(q, reply, why);
    else
        for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
            if (reply->element[i]->type == REDIS_REPLY_STRING)
                renew_lost(q, queue_reply_bytes(reply->element[i]));
}

static void renew_send(struct queue_worker *q)
{
    if (q->call.count > 2)
        queue_redis_call(&q->redis, &q->call, renew_on_reply, q);
    queue_call_renew(&q->call, q->name, q->lease_ms);
}

void queue_renew(struct queue_worker *q)
{
    uint64_t now = clock_mono_ms();
    if (now - q->renewed_ms < q->lease_ms / 3 || !redis_conn_ready(q->redis.conn))
        return;
    q->renewed_ms = now;
    queue_call_renew(&q->call, q->name, q->lease_ms);
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL;
         p = worker_peer_next(q->w, p)) {
        const struct queue_consumer *c = p->user;
        for (const struct queue_hand *h = c != NULL ? c->first : NULL; h != NULL; h = h->next) {
            queue_call_receipt(&q->call, slice_of(h->id), h->attempt);
            if (q->call.count == QUEUE_BATCH + 2)
                renew_send(q);
        }
    }
    renew_send(q);
}
