/*
 * queue.c: the queue worker: hands the messages of one queue to consumers, renews their leases, keeps its clock. See
 * queue_worker.h.
 */
#include "workers/queue/queue_worker.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Between two looks at the queue's numbers; they cost an idle worker one of its commands each. */
#define QUEUE_LOOK_MS 2000u

/* So long consumers may take to tell what they have of whom was here before. */
#define QUEUE_ORPHANS_MS 2000u

#define QUEUE_RECEIPTS_MAX 20000

/* ---- what is wrong ---- */

static void queue_on_registered(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    (void)c;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
        queue_take(q);
}

/* Redis has forgotten it (FLUSHALL, a fail-over): its backbone sees that at its next connection only. */
static void queue_register_again(struct queue_worker *q)
{
    const struct queue_settings settings = {
        .max_attempts = worker_setting_u64(q->w, "queue.max_attempts"),
        .retry_min_ms = worker_setting_u64(q->w, "queue.retry_min"),
        .retry_max_ms = worker_setting_u64(q->w, "queue.retry_max"),
        .message_max = worker_setting_u64(q->w, "backbone.message_max"),
    };
    log_info("register-again", "queue=%s", log_quote(q->name));
    queue_call_register(&q->call, q->name, slice_of(worker_setting_text(q->w, "queue.pattern")),
                        &settings);
    queue_redis_call(&q->redis, &q->call, queue_on_registered, q);
}

static void queue_note(struct queue_worker *q, const redisReply *reply, const char *why)
{
    bool gone = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
                redis_error_says(reply->str, reply->len, "NOQUEUE ");
    if (gone)
        queue_register_again(q);
    else if (reply != NULL || redis_conn_ready(q->redis.conn)) /* else the connection says it */
        snprintf(q->error, sizeof q->error, "%s", why);
}

static void queue_tell(struct queue_worker *q)
{
    int64_t oldest = q->status.oldest_ms;
    if (q->error[0] != '\0')
        worker_trouble(q->w, "%s", q->error);
    else if (q->wait_max_ms > 0 && oldest > 0 && (uint64_t)oldest > q->wait_max_ms)
        worker_trouble(q->w,
                       "the oldest message has waited %" PRId64
                       " s: see platoonctl queue status, and whether its consumers keep up",
                       oldest / 1000);
    else
        worker_trouble(q->w, "%s", "");
}

/* ---- its numbers ---- */

static void queue_on_status(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    struct queue_list all;
    struct queue_status s;
    (void)c;
    q->looking = false;
    if (reply == NULL || reply->type != REDIS_REPLY_STRING ||
        !queue_read_status(queue_reply_bytes(reply), &all) || !queue_next_status(&all, &s))
        return;
    q->status = s; /* of whose texts, which end with the answer, nothing is read */
    worker_gauge(q->w, COUNTER_QUEUE_WAITING, s.waiting);
    worker_gauge(q->w, COUNTER_QUEUE_DELAYED, s.delayed);
    worker_gauge(q->w, COUNTER_QUEUE_DEAD, s.dead);
    worker_gauge(q->w, COUNTER_QUEUE_OLDEST, s.oldest_ms > 0 ? (uint64_t)s.oldest_ms : 0);
}

static void queue_look(struct queue_worker *q)
{
    uint64_t now = clock_mono_ms();
    if (q->looking || now - q->looked_ms < QUEUE_LOOK_MS || !redis_conn_ready(q->redis.conn))
        return;
    q->looked_ms = now;
    queue_call_status(&q->call);
    queue_call_add(&q->call, q->name);
    q->looking = queue_redis_call(&q->redis, &q->call, queue_on_status, q) == 0;
}

/* ---- who was here before ---- */

static void queue_on_orphans(uv_timer_t *timer);

static void queue_disown(struct queue_worker *q, struct slice cursor);

static void queue_on_disowned(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    (void)c;
    if (FAULT_POINT("queue.after-disown", q->name) || reply == NULL ||
        reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        uv_timer_start(&q->orphans, queue_on_orphans, QUEUE_ORPHANS_MS, 0);
        return;
    }
    q->disowned = slice_is(queue_reply_bytes(reply->element[0]), "0");
    if (!q->disowned)
        queue_disown(q, queue_reply_bytes(reply->element[0]));
    queue_take(q);
}

/* What no consumer has told of by now was in nobody's hands: it counts as not handed out. */
static void queue_disown(struct queue_worker *q, struct slice cursor)
{
    queue_call_disown(&q->call, q->name, slice_of(q->redis.owners), slice_of(q->redis.owner), false,
                      slice_of("the queue worker that had it is gone"), cursor);
    queue_add_known(q);
    if (FAULT_POINT("queue.before-disown", q->name) ||
        queue_redis_call(&q->redis, &q->call, queue_on_disowned, q) != 0)
        uv_timer_start(&q->orphans, queue_on_orphans, QUEUE_ORPHANS_MS, 0);
}

static void queue_on_orphans(uv_timer_t *timer)
{
    struct queue_worker *q = timer->data;
    if (!worker_stopping(q->w))
        queue_disown(q, slice_of("0"));
}

/* ---- what consumers say ---- */

static bool queue_on_take_message(struct queue_worker *q, struct worker_peer *from,
                                  struct unpack *u)
{
    struct message_take m;
    if (!message_take_unpack(u, &m))
        return false;
    queue_consumer_of(q, from)->allowed = m.total;
    queue_take(q);
    return true;
}

static bool queue_on_settle(struct queue_worker *q, struct worker_peer *from, struct unpack *u)
{
    struct message_settle m;
    if (!message_settle_unpack(u, &m) || m.id.len > QUEUE_ID_MAX || m.outcome > QUEUE_GIVE_BACK)
        return false;
    /* Also what is not in its hands any more is told: the receipt says whether it counts. */
    free(queue_hand_take(q, queue_consumer_of(q, from), m.id, m.attempt));
    queue_end(q, from, m.id, m.attempt, (enum queue_outcome)m.outcome, m.after_ms, false, m.reason);
    return true;
}

static bool queue_on_begun(struct queue_worker *q, struct worker_peer *from, struct unpack *u)
{
    struct message_begun m;
    if (!message_begun_unpack(u, &m))
        return false;
    queue_hand_begin(queue_consumer_of(q, from), m.id, m.attempt);
    return true;
}

struct queue_adoption {
    struct queue_worker *q;
    char from[CONTRACT_NAME_MAX];
    uint64_t generation;
};

static void queue_on_adopted(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_adoption *a = ctx;
    struct queue_worker *q = a->q;
    struct worker_peer *from = worker_peer_find(q->w, a->from);
    struct slice id;
    uint64_t attempt;
    char why[384];
    (void)c;
    if (FAULT_POINT("queue.after-adopt", slice_of(a->from)))
        reply = NULL;
    queue_redis_failed(&q->redis, reply, why, sizeof why);
    if (why[0] != '\0')
        queue_note(q, reply, why); /* renewing them says which are lost */
    for (size_t i = 0; why[0] == '\0' && from != NULL && from->generation == a->generation &&
                       reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
         i++) {
        const redisReply *lost = reply->element[i];
        if (lost->type != REDIS_REPLY_STRING ||
            !queue_receipt_read(queue_reply_bytes(lost), &id, &attempt))
            continue;
        struct queue_hand *h = queue_hand_take(q, queue_consumer_of(q, from), id, attempt);
        if (h != NULL)
            queue_tell_lost(q, from, id, attempt);
        free(h);
    }
    free(a);
}

static bool queue_on_held(struct queue_worker *q, struct worker_peer *from, struct unpack *u)
{
    struct message_held m;
    if (!message_held_unpack(u, &m))
        return false;
    struct unpack list = unpack_start(m.receipts);
    uint32_t count = unpack_array(&list);
    if (!unpack_ok(&list) || count > QUEUE_RECEIPTS_MAX)
        return false;
    queue_call_adopt(&q->call, q->name, slice_of(q->redis.owner), q->lease_ms);
    for (uint32_t i = 0; i < count; i++) {
        struct slice id, receipt = unpack_str(&list);
        uint64_t attempt;
        if (!unpack_ok(&list) || !queue_receipt_read(receipt, &id, &attempt) ||
            id.len > QUEUE_ID_MAX)
            return false;
        queue_hand_add(q, queue_consumer_of(q, from), id, attempt, false);
        queue_call_receipt(&q->call, id, attempt);
    }
    struct queue_adoption *a = worker_must_alloc(q->w, sizeof *a);
    a->q = q;
    memcpy(a->from, from->name, sizeof a->from);
    a->generation = from->generation;
    if (FAULT_POINT("queue.before-adopt", slice_of(from->name)) ||
        queue_redis_call(&q->redis, &q->call, queue_on_adopted, a) != 0)
        free(a);
    return true;
}

static bool queue_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                             struct unpack *u)
{
    (void)w;
    switch (type) {
    case MESSAGE_TAKE:
        return queue_on_take_message(state, from, u);
    case MESSAGE_SETTLE:
        return queue_on_settle(state, from, u);
    case MESSAGE_BEGUN:
        return queue_on_begun(state, from, u);
    case MESSAGE_HELD:
        return queue_on_held(state, from, u);
    default:
        return false;
    }
}

static void queue_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    queue_backbones_up(state, peer);
}

static void queue_on_down(struct worker *w, void *state, struct worker_peer *peer,
                          struct slice reason)
{
    struct queue_worker *q = state;
    char text[QUEUE_REASON_SIZE];
    (void)w;
    if (peer->user == NULL)
        return;
    snprintf(text, sizeof text, "its consumer %s %s: %.*s", peer->name,
             peer->orderly ? "has ended" : "died", (int)(reason.len < 128 ? reason.len : 128),
             reason.ptr);
    queue_put_off(q);
    queue_end_consumer(q, peer->user, peer->orderly, slice_of(text));
    queue_take(q);
}

/* ---- life ---- */

static void queue_on_redis(struct worker *w, void *state)
{
    struct queue_worker *q = state;
    (void)w;
    q->error[0] = '\0';
    q->renewed_ms = 0;
    q->in_vain = 0;
    queue_redis_load(&q->redis);
    queue_end_again(q);
    if (!q->disowned && !uv_is_active((uv_handle_t *)&q->orphans))
        uv_timer_start(&q->orphans, queue_on_orphans, QUEUE_ORPHANS_MS, 0);
    queue_take(q);
}

static const struct redis_link_events queue_redis_events = {.on_ready = queue_on_redis};

static void queue_timers(struct queue_worker *q)
{
    uv_timer_t *const timers[] = {&q->timer, &q->flush, &q->orphans};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        uv_timer_init(worker_loop(q->w), timers[i]);
        timers[i]->data = q;
    }
}

static int queue_init(struct worker *w, void *state)
{
    struct queue_worker *q = state;
    q->w = w;
    q->kept_last = &q->kept;
    q->take = queue_take;
    q->note = queue_note;
    q->name = slice_of(worker_setting_text(w, "queue.name"));
    q->lease_ms = worker_setting_u64(w, "queue.lease");
    q->work_max_ms = worker_setting_u64(w, "queue.work_max");
    q->wait_max_ms = worker_setting_u64(w, "queue.wait_max");
    q->status.oldest_ms = -1;
    queue_timers(q);
    q->redis.on_list = queue_on_list;
    int code = queue_redis_open(&q->redis, w, q, &queue_redis_events);
    snprintf(q->turns, sizeof q->turns, "%s%.*s:facet_queue", q->redis.space, (int)q->name.len,
             q->name.ptr);
    queue_backbones_monitor(q, 1);
    return code;
}

/* What a consumer is at for too long is another's; it hears that, and may end it. */
static void queue_look_at_work(struct queue_worker *q)
{
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL && q->work_max_ms > 0;
         p = worker_peer_next(q->w, p)) {
        struct queue_consumer *c = p->user;
        const struct queue_hand *late;
        while (c != NULL && (late = queue_hand_late(c, q->work_max_ms)) != NULL) {
            struct queue_hand *h = queue_hand_take(q, c, slice_of(late->id), late->attempt);
            queue_end(q, p, slice_of(h->id), h->attempt, QUEUE_GIVE_BACK, 0, true,
                      slice_of("it took longer than work_max"));
            free(h);
        }
    }
}

static void queue_on_tick(struct worker *w, void *state)
{
    struct queue_worker *q = state;
    queue_redis_tick(&q->redis);
    if (redis_conn_ready(q->redis.conn) && q->kept != NULL)
        queue_end_again(q);
    queue_renew(q);
    queue_look_at_work(q);
    queue_look(q);
    queue_backbones_tell(q);
    if (!q->redis.waiting && !uv_is_active((uv_handle_t *)&q->timer))
        queue_take(q);
    worker_gauge(w, COUNTER_IN_FLIGHT, q->in_hands);
    worker_doing(w, "%" PRIu64 " waiting, %zu in flight", q->status.waiting, q->in_hands);
    if (redis_conn_ready(q->redis.conn)) /* else the connection names its own trouble */
        queue_tell(q);
}

/* Consumers keep what they have: a successor hears of it from them, or their own end gives it back. */
static void queue_drain(struct worker *w, void *state)
{
    struct queue_worker *q = state;
    queue_flush(&q->flush);
    if (q->ending == 0)
        worker_finished(w);
}

static void queue_fini(struct worker *w, void *state)
{
    struct queue_worker *q = state;
    queue_redis_close(&q->redis);
    queue_ending_fini(q);
    for (struct worker_peer *p = worker_peer_next(w, NULL); p != NULL; p = worker_peer_next(w, p))
        while (p->user != NULL && ((struct queue_consumer *)p->user)->first != NULL)
            free(queue_hand_pop(q, p->user));
    queue_call_fini(&q->call);
    uv_close((uv_handle_t *)&q->timer, NULL);
    uv_close((uv_handle_t *)&q->flush, NULL);
    uv_close((uv_handle_t *)&q->orphans, NULL);
}

const struct worker_ops worker_ops = {
    .type = "queue",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct queue_worker),
    .init = queue_init,
    .on_message = queue_on_message,
    .on_up = queue_on_up,
    .on_down = queue_on_down,
    .on_tick = queue_on_tick,
    .drain = queue_drain,
    .fini = queue_fini,
};
