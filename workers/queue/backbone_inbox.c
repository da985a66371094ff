/*
 * backbone_inbox.c: deliveries that are left in the inbox, by LPUSH in any language. See backbone.h.
 *
 * Looked at, given topic and facet by the templates, and then taken by one script, which takes exactly those that were
 * looked at: a death between costs nothing, and several backbone workers do not take the same.
 */
#include "workers/queue/backbone.h"

#include "common/fault.h"

#include <stdio.h>

static void inbox_fail(struct backbone *b, const char *why)
{
    snprintf(b->inbox_error, sizeof b->inbox_error, "the inbox waits: %s", why);
}

static void inbox_wait(struct backbone *b)
{
    b->looking = false;
    queue_redis_wait(&b->redis, slice_of(b->inbox), NULL, NULL);
}

static void inbox_on_taken(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct backbone *b = ctx;
    uint64_t placed, dead;
    char why[384];
    (void)c;
    b->looking = false;
    if (FAULT_POINT("backbone.after-take", slice_of(b->inbox)))
        reply = NULL;
    bool again = queue_redis_failed(&b->redis, reply, why, sizeof why);
    if (!again && why[0] != '\0') {
        inbox_fail(b, why); /* looked at again with the next tick */
        return;
    }
    b->inbox_error[0] = '\0';
    if (!again && reply->type == REDIS_REPLY_STRING &&
        queue_read_placed(queue_reply_bytes(reply), &placed, &dead))
        worker_count(b->w, COUNTER_QUEUE_DELIVERED, placed);
    backbone_inbox_look(b);
}

/* Where topic, facet and reason of a body stand. */
struct inbox_place {
    size_t at, topic, facet, end;
    uint64_t len;
};

static bool inbox_address(struct backbone *b, struct slice body, struct buffer *text,
                          struct inbox_place *place)
{
    char why[BACKBONE_WHY_SIZE] = "";
    *place = (struct inbox_place){.at = text->len, .len = body.len};
    if (!queue_fields_read(&b->fields, body))
        return false;
    bool good = backbone_expand(b, b->topic, "topic", text, why);
    place->topic = text->len;
    good = good && backbone_expand(b, b->facet, "facet", text, why);
    place->facet = text->len;
    if (!good)
        buffer_append_text(text, why);
    place->end = text->len;
    return buffer_ok(text);
}

static bool inbox_call(struct backbone *b, struct queue_inbox *in, struct buffer *text)
{
    struct inbox_place places[BACKBONE_BATCH];
    struct slice body;
    size_t count = 0;
    while (count < BACKBONE_BATCH && queue_next_name(&in->bodies, &body))
        if (!inbox_address(b, body, text, &places[count++]))
            return false;
    queue_call_inbox_take(&b->call, in->taken);
    for (size_t i = 0; i < count; i++)
        queue_call_place(
            &b->call, slice_make(text->data + places[i].at, places[i].topic - places[i].at),
            slice_make(text->data + places[i].topic, places[i].facet - places[i].topic),
            places[i].len,
            slice_make(text->data + places[i].facet, places[i].end - places[i].facet));
    return queue_list_ok(&in->bodies) &&
           queue_redis_call(&b->redis, &b->call, inbox_on_taken, b) == 0;
}

static void inbox_on_look(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct backbone *b = ctx;
    struct queue_inbox in;
    struct buffer text = BUFFER_EMPTY;
    char why[384];
    (void)c;
    bool again = queue_redis_failed(&b->redis, reply, why, sizeof why);
    b->looking = false;
    if (again) {
        backbone_inbox_look(b);
    } else if (why[0] != '\0') {
        inbox_fail(b, why);
    } else if (reply->type != REDIS_REPLY_STRING ||
               !queue_read_inbox(queue_reply_bytes(reply), &in)) {
        inbox_fail(b, "Redis gave an answer that is none");
    } else if (in.bodies.left == 0) {
        b->inbox_error[0] = '\0';
        inbox_wait(b);
    } else {
        b->looking = true;
        if (FAULT_POINT("backbone.before-take", slice_of(b->inbox)) || !inbox_call(b, &in, &text)) {
            b->looking = false;
            inbox_fail(b, "memory is short");
        }
    }
    buffer_fini(&text);
}

void backbone_inbox_look(struct backbone *b)
{
    if (b->looking || b->redis.waiting || worker_stopping(b->w) || !redis_conn_ready(b->redis.conn))
        return;
    queue_call_inbox_look(&b->call, BACKBONE_BATCH, BACKBONE_BATCH_BYTES);
    b->looking = queue_redis_call(&b->redis, &b->call, inbox_on_look, b) == 0;
}

void backbone_inbox_on_list(void *state, bool seen)
{
    struct backbone *b = state;
    if (seen || b->inbox_error[0] != '\0') /* what was wrong may be over */
        backbone_inbox_look(b);
    else if (!b->looking && !worker_stopping(b->w))
        queue_redis_wait(&b->redis, slice_of(b->inbox), NULL, NULL);
}
