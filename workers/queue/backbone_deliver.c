/*
 * backbone_deliver.c: deliveries of workers and people, many in one call. See backbone.h.
 *
 * One call is under way at a time: what comes meanwhile goes with the next, so that under load a call has many. What
 * was sent and not answered is an error to who delivers, never sent again: it may be there.
 */
#include "workers/queue/backbone.h"

#include "common/pack.h"
#include "proto/delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct backbone_delivery {
    struct backbone_delivery *next;
    uint64_t request; /* of a person; 0: of a worker */
    char from[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
    uint64_t after_ms;
    struct slice topic, facet, body;
    char bytes[];
};

void backbone_deliver_init(struct backbone *b)
{
    b->last = &b->first;
}

bool backbone_deliver_is_idle(const struct backbone *b)
{
    return b->first == NULL && b->sent == NULL;
}

/* ---- answering ---- */

static void deliver_tell_worker(struct backbone *b, const struct backbone_delivery *d,
                                const struct message_delivered *m)
{
    struct worker_peer *peer = worker_peer_find(b->w, d->from);
    if (peer == NULL || peer->generation != d->generation)
        return; /* nobody waits for it any more */
    struct buffer *message = worker_compose(b->w);
    message_delivered_pack(message, m);
    worker_must_send(b->w, peer, message);
}

static void deliver_tell_person(struct backbone *b, const struct backbone_delivery *d,
                                const struct message_delivered *m)
{
    struct buffer body = BUFFER_EMPTY;
    if (m->error.len > 0) {
        worker_reply_text(b->w, d->request, CONTROL_ERROR, "%.*s", (int)m->error.len, m->error.ptr);
        return;
    }
    pack_map(&body, 2);
    pack_text(&body, "id");
    pack_str(&body, m->id);
    pack_text(&body, "queues");
    pack_raw(&body, m->queues);
    if (buffer_ok(&body))
        worker_reply(b->w, d->request, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(b->w, d->request, CONTROL_ERROR,
                          "it is queued as %.*s, but memory is short for the answer",
                          (int)m->id.len, m->id.ptr);
    buffer_fini(&body);
}

static void deliver_tell(struct backbone *b, const struct backbone_delivery *d,
                         struct message_delivered m)
{
    m.token = d->token;
    if (d->request != 0)
        deliver_tell_person(b, d, &m);
    else
        deliver_tell_worker(b, d, &m);
}

static void deliver_fail(struct backbone *b, const struct backbone_delivery *d, const char *what,
                         const char *why)
{
    char text[BACKBONE_ERROR_SIZE + 64];
    struct buffer empty = BUFFER_EMPTY;
    snprintf(text, sizeof text, "%s: %s", what, why);
    pack_array(&empty, 0);
    deliver_tell(b, d,
                 (struct message_delivered){
                     .error = slice_of(text), .id = slice_of(""), .queues = buffer_slice(&empty)});
    buffer_fini(&empty);
}

/* ---- what is under way ---- */

/* Takes the first of a list out of it. */
static struct backbone_delivery *deliver_pop(struct backbone_delivery **list)
{
    struct backbone_delivery *d = *list;
    *list = d->next;
    return d;
}

static void deliver_end(struct backbone *b, struct backbone_delivery *d)
{
    b->waiting_bytes -= d->body.len;
    free(d);
}

/* Ids are a server's own: where there are several, its name is part of what is said. */
static struct slice deliver_name(const struct backbone *b, struct slice id, char *text, size_t size)
{
    const char *server = worker_setting(b->w, "backbone.server");
    if (server == NULL)
        return id;
    int len = snprintf(text, size, "%.*s@%s", (int)id.len, id.ptr, server);
    return slice_make(text, len < (int)size ? (size_t)len : size - 1);
}

static void deliver_answer(struct backbone *b, const struct backbone_delivery *d,
                           struct queue_delivered *one)
{
    char id[QUEUE_ID_MAX + 2 + CONTRACT_NAME_MAX];
    struct buffer names = BUFFER_EMPTY;
    struct slice name;
    if (one->refused.len > 0) {
        char why[BACKBONE_ERROR_SIZE];
        slice_copy(slice_make(one->refused.ptr,
                              one->refused.len < sizeof why ? one->refused.len : sizeof why - 1),
                   why, sizeof why);
        deliver_fail(b, d, DELIVERY_NOT_QUEUED, why);
        return;
    }
    pack_array(&names, one->queues.left);
    worker_count(b->w, COUNTER_QUEUE_DELIVERED, 1);
    if (one->queues.left == 0)
        worker_count(b->w, COUNTER_QUEUE_UNWANTED, 1);
    while (queue_next_name(&one->queues, &name))
        pack_str(&names, name);
    if (buffer_ok(&names))
        deliver_tell(b, d,
                     (struct message_delivered){.id = deliver_name(b, one->id, id, sizeof id),
                                                .queues = buffer_slice(&names)});
    else
        deliver_fail(b, d, DELIVERY_UNKNOWN, "memory is short");
    buffer_fini(&names);
}

static void deliver_fail_sent(struct backbone *b, const char *what, const char *why)
{
    while (b->sent != NULL) {
        struct backbone_delivery *d = deliver_pop(&b->sent);
        deliver_fail(b, d, what, why);
        deliver_end(b, d);
    }
}

/* What surely has not run stands again where it stood. */
static void deliver_again(struct backbone *b)
{
    struct backbone_delivery **end = &b->sent;
    while (*end != NULL)
        end = &(*end)->next;
    *end = b->first;
    if (b->first == NULL)
        b->last = end == &b->sent ? &b->first : end;
    b->first = b->sent;
    b->sent = NULL;
}

static void deliver_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct backbone *b = ctx;
    struct queue_list all;
    struct queue_delivered one;
    char why[384];
    (void)c;
    bool again = queue_redis_failed(&b->redis, reply, why, sizeof why);
    b->refused = !again && why[0] != '\0';
    if (again) {
        deliver_again(b);
    } else if (why[0] != '\0') {
        deliver_fail_sent(b, reply == NULL ? DELIVERY_UNKNOWN : DELIVERY_NOT_QUEUED, why);
    } else if (reply->type == REDIS_REPLY_STRING &&
               queue_read_delivered(queue_reply_bytes(reply), &all)) {
        while (b->sent != NULL && queue_next_delivered(&all, &one)) {
            struct backbone_delivery *d = deliver_pop(&b->sent);
            deliver_answer(b, d, &one);
            deliver_end(b, d);
        }
    }
    deliver_fail_sent(b, DELIVERY_UNKNOWN, "Redis gave an answer that is none");
    backbone_deliver_send(b);
    if (worker_stopping(b->w) && b->asked == 0 && backbone_deliver_is_idle(b))
        worker_finished(b->w);
}

void backbone_deliver_send(struct backbone *b)
{
    if (b->sent != NULL || b->first == NULL || !redis_conn_ready(b->redis.conn))
        return;
    struct backbone_delivery *d = b->first, **end = &b->first;
    size_t bytes = 0;
    queue_call_deliver_many(&b->call);
    for (size_t n = 0; d != NULL && n < BACKBONE_BATCH && (n == 0 || bytes < BACKBONE_BATCH_BYTES);
         n++) {
        queue_call_message(&b->call, d->topic, d->facet, d->after_ms, d->body);
        bytes += d->body.len;
        end = &d->next;
        d = d->next;
    }
    b->sent = b->first;
    b->first = d;
    *end = NULL;
    if (d == NULL)
        b->last = &b->first;
    int rc = queue_redis_call(&b->redis, &b->call, deliver_on_reply, b);
    if (rc != 0)
        deliver_fail_sent(b, DELIVERY_NOT_QUEUED, uv_strerror(rc));
}

void backbone_deliver_refuse(struct backbone *b, const char *why)
{
    while (b->first != NULL) {
        struct backbone_delivery *d = deliver_pop(&b->first);
        deliver_fail(b, d, DELIVERY_NOT_QUEUED, why);
        deliver_end(b, d);
    }
    b->last = &b->first;
}

/* ---- taking in ---- */

/* Topic and facet, given or made, appended to `out`; where the topic ends. False with the reason. */
static bool deliver_address(struct backbone *b, const struct message_deliver *m, struct buffer *out,
                            size_t *topic, char why[BACKBONE_WHY_SIZE])
{
    if ((m->given & 3) != 3 && !queue_fields_read(&b->fields, m->body)) {
        snprintf(why, BACKBONE_WHY_SIZE, "memory is short: try again");
        return false;
    }
    if (m->given & 1)
        buffer_append_slice(out, m->topic);
    else if (!backbone_expand(b, b->topic, "topic", out, why))
        return false;
    *topic = out->len;
    if (m->given & 2)
        buffer_append_slice(out, m->facet);
    else if (!backbone_expand(b, b->facet, "facet", out, why))
        return false;
    snprintf(why, BACKBONE_WHY_SIZE, "memory is short: try again");
    return buffer_ok(out);
}

static void deliver_take(struct backbone *b, struct backbone_delivery who,
                         const struct message_deliver *m)
{
    struct buffer address = BUFFER_EMPTY;
    char why[BACKBONE_WHY_SIZE] = "";
    size_t topic = 0;
    struct backbone_delivery *d = NULL;
    if (!redis_conn_ready(b->redis.conn))
        snprintf(why, sizeof why, "%s", redis_conn_trouble(b->redis.conn));
    else if (m->body.len > b->message_max)
        snprintf(why, sizeof why, "its body has %zu bytes, more than message_max, %" PRIu64,
                 m->body.len, b->message_max);
    else if (b->waiting_bytes + m->body.len > BACKBONE_WAITING_BYTES)
        snprintf(why, sizeof why, "too many wait for Redis already: try again");
    else if (deliver_address(b, m, &address, &topic, why))
        d = calloc(1, sizeof *d + address.len + m->body.len);
    if (d == NULL) {
        deliver_fail(b, &who, DELIVERY_NOT_QUEUED, why);
        buffer_fini(&address);
        return;
    }
    *d = who;
    d->after_ms = m->after_ms;
    if (address.len > 0)
        memcpy(d->bytes, address.data, address.len);
    memcpy(d->bytes + address.len, m->body.ptr, m->body.len);
    d->topic = slice_make(d->bytes, topic);
    d->facet = slice_make(d->bytes + topic, address.len - topic);
    d->body = slice_make(d->bytes + address.len, m->body.len);
    buffer_fini(&address);
    b->waiting_bytes += m->body.len;
    *b->last = d;
    b->last = &d->next;
    backbone_deliver_send(b);
}

void backbone_deliver_message(struct backbone *b, const struct worker_peer *from,
                              const struct message_deliver *m)
{
    struct backbone_delivery who = {.generation = from->generation, .token = m->token};
    memcpy(who.from, from->name, sizeof who.from);
    deliver_take(b, who, m);
}

void backbone_deliver_request(struct backbone *b, uint64_t request, const struct message_deliver *m)
{
    deliver_take(b, (struct backbone_delivery){.request = request}, m);
}
