/* backbone_verbs_dead.c: what people ask about dead letters. See backbone_verbs.h. */
#include "workers/queue/backbone_verbs.h"

#include "common/pack.h"
#include "common/text.h"

#define VERBS_LIMIT   100  /* of a list, unless it is said */
#define VERBS_LETTERS 1000 /* of one script */

static bool verbs_ask_list(struct backbone *b, struct unpack *u, uint32_t count,
                           struct verbs_call *call)
{
    uint64_t limit = VERBS_LIMIT;
    if (count < 1 || count > 2)
        return false;
    struct slice queue = unpack_bytes(u);
    (void)call;
    if (count == 2 && text_parse_u64(unpack_bytes(u), &limit) != 0)
        return false;
    queue_call_dead_list(&b->call, queue, limit < VERBS_LETTERS ? limit : VERBS_LETTERS);
    return true;
}

static bool verbs_ask_show(struct backbone *b, struct unpack *u, uint32_t count,
                           struct verbs_call *call)
{
    (void)call;
    if (count < 2)
        return false;
    queue_call_dead_show(&b->call, unpack_bytes(u));
    for (uint32_t i = 1; i < count; i++)
        queue_call_add(&b->call, unpack_bytes(u));
    return true;
}

static void verbs_begin_letters(struct verbs_call *call, struct slice queue)
{
    if (strcmp(call->row->verb, "queue-dead-retry") == 0)
        queue_call_dead_retry(&call->b->call, queue, VERBS_LETTERS);
    else
        queue_call_dead_drop(&call->b->call, queue, VERBS_LETTERS);
}

static bool verbs_ask_letters(struct backbone *b, struct unpack *u, uint32_t count,
                              struct verbs_call *call)
{
    if (count < 2) /* everything must be said, not forgotten */
        return false;
    struct slice queue = backbone_verbs_queue(call, unpack_bytes(u)), first = unpack_bytes(u);
    call->all = count == 2 && slice_is(first, "all");
    verbs_begin_letters(call, queue);
    if (!call->all)
        queue_call_add(&b->call, first);
    for (uint32_t i = 2; i < count; i++)
        queue_call_add(&b->call, unpack_bytes(u));
    return true;
}

static bool verbs_answer_letters(struct verbs_call *call, const redisReply *reply,
                                 struct buffer *body)
{
    uint64_t count = reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0;
    call->count += count;
    if (call->all && count == VERBS_LETTERS) {
        verbs_begin_letters(call, slice_of(call->queue));
        if (call->send(call))
            return true;
    }
    pack_map(body, 1);
    backbone_verbs_number(body, "count", call->count);
    return false;
}

static bool verbs_answer_list(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    bool shown = strcmp(call->row->verb, "queue-dead-show") == 0;
    struct queue_list letters;
    struct queue_letter l;
    if (!queue_read_letters(queue_reply_bytes(reply), &letters)) {
        body->failed = true;
        return false;
    }
    pack_array(body, letters.left);
    while (queue_next_letter(&letters, shown, &l)) {
        pack_map(body, shown ? 7 : 6);
        pack_text(body, "id");
        pack_str(body, l.id);
        pack_text(body, "facet");
        pack_bin(body, l.facet);
        backbone_verbs_number(body, "attempts", l.attempts);
        pack_text(body, "reason");
        pack_str(body, l.reason);
        backbone_verbs_number(body, "at_ms", (uint64_t)l.at_ms);
        backbone_verbs_number(body, "bytes", l.bytes);
        if (shown) {
            pack_text(body, "body");
            pack_bin(body, l.body);
        }
    }
    body->failed |= !queue_list_ok(&letters);
    return false;
}

const struct verbs_row backbone_verbs_dead[] = {
    {"queue-dead-list", "QUEUE [LIMIT]", false, verbs_ask_list, verbs_answer_list},
    {"queue-dead-show", "QUEUE ID...", false, verbs_ask_show, verbs_answer_list},
    {"queue-dead-retry", "QUEUE ID...|all", true, verbs_ask_letters, verbs_answer_letters},
    {"queue-dead-drop", "QUEUE ID...|all", true, verbs_ask_letters, verbs_answer_letters},
    {0},
};
