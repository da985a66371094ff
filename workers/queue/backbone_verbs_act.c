/* backbone_verbs_act.c: what people do with queues, their facets, and messages in hands. See backbone_verbs.h. */
#include "workers/queue/backbone_verbs.h"

#include "common/pack.h"
#include "common/text.h"
#include "proto/queue/queue_pattern.h"

#include <stdio.h>

/* Of a queue that is registered by hand: the defaults of a queue section. */
#define REGISTER_ATTEMPTS     5
#define REGISTER_RETRY_MIN_MS 1000
#define REGISTER_RETRY_MAX_MS 600000

#define PULL_MAX 1000

static uint64_t act_number(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 ? (uint64_t)reply->integer : 0;
}

/* ---- queue-register, queue-unregister, queue-destroy ---- */

static bool act_ask_register(struct backbone *b, struct unpack *u, uint32_t count,
                             struct verbs_call *call)
{
    struct queue_settings settings = {.max_attempts = REGISTER_ATTEMPTS,
                                      .retry_min_ms = REGISTER_RETRY_MIN_MS,
                                      .retry_max_ms = REGISTER_RETRY_MAX_MS,
                                      .message_max = b->message_max};
    if (count != 3)
        return false;
    struct slice queue = backbone_verbs_queue(call, unpack_bytes(u)), pattern = unpack_bytes(u);
    settings.raw = slice_is(unpack_bytes(u), "1");
    if (!unpack_ok(u) || queue_pattern_check(pattern, call->why, sizeof call->why) != 0)
        return false;
    queue_call_register(&b->call, queue, pattern, &settings);
    return true;
}

static void act_was(struct verbs_call *call, const char *was, struct buffer *body)
{
    pack_map(body, 2);
    pack_text(body, "queue");
    pack_text(body, call->queue);
    pack_text(body, "was");
    pack_text(body, was);
}

static bool act_answer_register(struct verbs_call *call, const redisReply *reply,
                                struct buffer *body)
{
    static const char *const was[] = {"same", "new", "other"};
    uint64_t number = act_number(reply);
    act_was(call, was[number < 3 ? number : 0], body);
    return false;
}

/* Whether there is such a queue is asked first. */
static bool act_ask_known(struct backbone *b, struct unpack *u, uint32_t count,
                          struct verbs_call *call)
{
    if (count != 1)
        return false;
    queue_call_status(&b->call);
    queue_call_add(&b->call, backbone_verbs_queue(call, unpack_bytes(u)));
    return true;
}

static bool act_answer_unregister(struct verbs_call *call, const redisReply *reply,
                                  struct buffer *body)
{
    if (call->step == 1) {
        queue_call_unregister(&call->b->call, slice_of(call->queue));
        body->failed = !call->send(call);
        return !body->failed;
    }
    act_was(call, act_number(reply) == 1 ? "other" : "same", body);
    return false;
}

static bool act_answer_destroy(struct verbs_call *call, const redisReply *reply,
                               struct buffer *body)
{
    if (call->step == 1 || act_number(reply) > 0) {
        queue_call_destroy(&call->b->call, slice_of(call->queue));
        body->failed = !call->send(call);
        return !body->failed;
    }
    pack_map(body, 1);
    pack_text(body, "queue");
    pack_text(body, call->queue);
    return false;
}

/* ---- queue-weight, queue-pause, queue-cap ---- */

static bool act_ask_weight(struct backbone *b, struct unpack *u, uint32_t count,
                           struct verbs_call *call)
{
    uint64_t weight;
    (void)call;
    if (count != 3)
        return false;
    struct slice queue = unpack_bytes(u), facet = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &weight) != 0)
        return false;
    queue_call_weight(&b->call, queue, facet, weight);
    return weight <= 100;
}

static bool act_ask_cap(struct backbone *b, struct unpack *u, uint32_t count,
                        struct verbs_call *call)
{
    uint64_t most;
    (void)call;
    if (count != 2)
        return false;
    struct slice queue = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &most) != 0)
        return false;
    queue_call_cap(&b->call, queue, most);
    return true;
}

static bool act_answer_was(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    (void)call;
    pack_map(body, 1);
    backbone_verbs_number(body, "was", act_number(reply));
    return false;
}

static bool act_ask_pause(struct backbone *b, struct unpack *u, uint32_t count,
                          struct verbs_call *call)
{
    if (count < 2 || count > 3)
        return false;
    struct slice queue = unpack_bytes(u);
    call->all = slice_is(unpack_bytes(u), "1");
    queue_call_pause(&b->call, queue, call->all, count == 3 ? unpack_bytes(u) : slice_of(""));
    return true;
}

static bool act_answer_pause(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    pack_map(body, 2);
    pack_text(body, "paused");
    pack_bool(body, call->all);
    pack_text(body, "changed");
    pack_bool(body, act_number(reply) == 1);
    return false;
}

/* ---- queue-pull ---- */

static bool act_ask_pull(struct backbone *b, struct unpack *u, uint32_t count,
                         struct verbs_call *call)
{
    uint64_t messages, lease_ms = 0;
    if (count < 3)
        return false;
    if (text_parse_u64(unpack_bytes(u), &messages) != 0)
        return false;
    struct slice lease = unpack_bytes(u);
    bool once = slice_is(lease, "-1");
    (void)call;
    if (!once && (text_parse_u64(lease, &lease_ms) != 0 || lease_ms == 0 || lease_ms > INT64_MAX))
        return false;
    queue_call_pull(&b->call, slice_of(b->redis.owner), messages < PULL_MAX ? messages : PULL_MAX,
                    once ? -1 : (int64_t)lease_ms);
    for (uint32_t i = 2; i < count; i++)
        queue_call_add(&b->call, unpack_bytes(u));
    return true;
}

static bool act_pack_pulled(const redisReply *m, struct buffer *body)
{
    static const int types[] = {REDIS_REPLY_STRING, REDIS_REPLY_STRING,  REDIS_REPLY_INTEGER,
                                REDIS_REPLY_STRING, REDIS_REPLY_INTEGER, REDIS_REPLY_STRING};
    const size_t fields = sizeof types / sizeof types[0];
    if (m->type != REDIS_REPLY_ARRAY || m->elements != fields)
        return false;
    for (size_t i = 0; i < fields; i++)
        if (m->element[i]->type != types[i])
            return false;
    pack_map(body, fields);
    pack_text(body, "queue");
    pack_str(body, queue_reply_bytes(m->element[0]));
    pack_text(body, "receipt");
    pack_str(body, queue_reply_bytes(m->element[1]));
    backbone_verbs_number(body, "attempt", act_number(m->element[2]));
    pack_text(body, "facet");
    pack_bin(body, queue_reply_bytes(m->element[3]));
    backbone_verbs_span(body, "at_ms", m->element[4]->integer);
    pack_text(body, "body");
    pack_bin(body, queue_reply_bytes(m->element[5]));
    return true;
}

static bool act_answer_pull(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    (void)call;
    body->failed |= reply->type != REDIS_REPLY_ARRAY;
    pack_array(body, (uint32_t)reply->elements);
    for (size_t i = 0; i < reply->elements && !body->failed; i++)
        body->failed |= !act_pack_pulled(reply->element[i], body);
    return false;
}

/* ---- queue-ack, queue-again, queue-bury, queue-renew ---- */

static bool act_receipts(struct backbone *b, struct unpack *u, uint32_t left,
                         struct verbs_call *call)
{
    call->count = left;
    while (left-- > 0)
        queue_call_add(&b->call, unpack_bytes(u));
    return call->count > 0;
}

static bool act_ask_ack(struct backbone *b, struct unpack *u, uint32_t count,
                        struct verbs_call *call)
{
    if (count < 2)
        return false;
    queue_call_ack(&b->call, unpack_bytes(u));
    return act_receipts(b, u, count - 1, call);
}

static bool act_ask_again(struct backbone *b, struct unpack *u, uint32_t count,
                          struct verbs_call *call)
{
    uint64_t after_ms = 0;
    if (count < 4)
        return false;
    struct slice queue = unpack_bytes(u), after = unpack_bytes(u);
    bool back_off = slice_is(after, "-1");
    if (!back_off && (text_parse_u64(after, &after_ms) != 0 || after_ms > INT64_MAX))
        return false;
    queue_call_again(&b->call, queue, back_off ? -1 : (int64_t)after_ms, unpack_bytes(u));
    return act_receipts(b, u, count - 3, call);
}

static bool act_ask_bury(struct backbone *b, struct unpack *u, uint32_t count,
                         struct verbs_call *call)
{
    if (count < 3)
        return false;
    struct slice queue = unpack_bytes(u);
    queue_call_bury(&b->call, queue, unpack_bytes(u));
    return act_receipts(b, u, count - 2, call);
}

static bool act_ask_renew(struct backbone *b, struct unpack *u, uint32_t count,
                          struct verbs_call *call)
{
    uint64_t lease_ms;
    if (count < 3)
        return false;
    struct slice queue = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &lease_ms) != 0 || lease_ms == 0)
        return false;
    queue_call_renew(&b->call, queue, lease_ms);
    return act_receipts(b, u, count - 2, call);
}

/* Scripts say how many counted; renew says which did not. */
static void act_settled(struct verbs_call *call, const char *what, uint64_t counted,
                        struct buffer *body)
{
    counted = counted < call->count ? counted : call->count;
    pack_map(body, 2);
    backbone_verbs_number(body, what, counted);
    backbone_verbs_number(body, "lost", call->count - counted);
}

static bool act_answer_ack(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    act_settled(call, "acked", act_number(reply), body);
    return false;
}

static bool act_answer_again(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    act_settled(call, "again", act_number(reply), body);
    return false;
}

static bool act_answer_bury(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    act_settled(call, "buried", act_number(reply), body);
    return false;
}

static bool act_answer_renew(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    uint64_t lost = reply->type == REDIS_REPLY_ARRAY ? reply->elements : call->count;
    act_settled(call, "renewed", call->count - (lost < call->count ? lost : call->count), body);
    return false;
}

const struct verbs_row backbone_verbs_act[] = {
    {"queue-register", "QUEUE PATTERN RAW", true, act_ask_register, act_answer_register},
    {"queue-unregister", "QUEUE", true, act_ask_known, act_answer_unregister},
    {"queue-destroy", "QUEUE", true, act_ask_known, act_answer_destroy},
    {"queue-weight", "QUEUE FACET WEIGHT", true, act_ask_weight, act_answer_was},
    {"queue-cap", "QUEUE MOST", true, act_ask_cap, act_answer_was},
    {"queue-pause", "QUEUE 1|0 [FACET]", true, act_ask_pause, act_answer_pause},
    {"queue-pull", "COUNT LEASE_MS QUEUE...", true, act_ask_pull, act_answer_pull},
    {"queue-ack", "QUEUE RECEIPT...", true, act_ask_ack, act_answer_ack},
    {"queue-again", "QUEUE AFTER_MS REASON RECEIPT...", true, act_ask_again, act_answer_again},
    {"queue-bury", "QUEUE REASON RECEIPT...", true, act_ask_bury, act_answer_bury},
    {"queue-renew", "QUEUE LEASE_MS RECEIPT...", true, act_ask_renew, act_answer_renew},
    {0},
};
