/* queue_deliveries.c: messages that a worker delivers to backbones. See queue_deliveries.h. */
#include "workers/queue/queue_deliveries.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define DELIVERIES_MAX       10000u
#define DELIVERIES_BYTES_MAX (64u * 1024 * 1024) /* that wait for a worker */
#define DELIVERY_MS          30000u

struct delivery_backbone {
    struct delivery_backbone *next;
    struct queue_reach_backbone *reach;
    uint64_t turn[QUEUE_REACH_SERVERS_MAX]; /* of each server: which of its workers */
};

struct delivery {
    struct delivery *next;
    uint64_t token;
    uint64_t deadline_ms; /* clock_mono_ms */
    struct delivery_backbone *backbone;
    uint64_t sent_to;    /* number of that worker; 0: not sent */
    uint32_t refused_by; /* servers, a bit each: there it is surely not queued */
    struct buffer
        message; /* until it is sent; where there are several servers, until it is answered */
};

struct queue_deliveries {
    struct worker *w;
    struct worker_task_events events;
    struct queue_reach *reach;
    struct delivery_backbone *backbones;
    uint64_t random;
    struct delivery *first, **last;
    size_t count, waiting, waiting_bytes;
    uint64_t last_token;
};

struct queue_deliveries *queue_deliveries_new(struct worker *w,
                                              const struct worker_task_events *events,
                                              struct queue_reach *reach)
{
    struct queue_deliveries *q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    *q = (struct queue_deliveries){.w = w, .events = *events, .reach = reach};
    q->last = &q->first;
    if (getrandom(&q->random, sizeof q->random, GRND_NONBLOCK) != (ssize_t)sizeof q->random)
        q->random = clock_mono_ms();
    return q;
}

/* Takes what `at` points to out of the list. */
static struct delivery *delivery_unlink(struct queue_deliveries *q, struct delivery **at)
{
    struct delivery *d = *at;
    *at = d->next;
    if (q->last == &d->next)
        q->last = at;
    q->count--;
    q->waiting -= d->sent_to == 0;
    q->waiting_bytes -= d->message.len;
    return d;
}

static void delivery_free(struct delivery *d)
{
    buffer_fini(&d->message);
    free(d);
}

void queue_deliveries_free(struct queue_deliveries *q)
{
    while (q != NULL && q->first != NULL)
        delivery_free(delivery_unlink(q, &q->first));
    while (q != NULL && q->backbones != NULL) {
        struct delivery_backbone *b = q->backbones;
        q->backbones = b->next;
        free(b);
    }
    free(q);
}

/* ---- answers ---- */

/* Its end; what the type does about it may be to deliver more. */
static void delivery_end(struct queue_deliveries *q, struct delivery *d,
                         struct worker_delivered answer)
{
    answer.token = d->token;
    delivery_free(d);
    q->events.on_delivered(q->w, &answer);
}

static void delivery_fail(struct queue_deliveries *q, struct delivery *d, const char *why)
{
    char text[256];
    struct buffer none = BUFFER_EMPTY;
    bool sent = d->sent_to != 0;
    snprintf(text, sizeof text, sent ? "%s: %s" : DELIVERY_NOT_QUEUED ": %s", why,
             DELIVERY_UNKNOWN);
    pack_array(&none, 0);
    delivery_end(q, d,
                 (struct worker_delivered){.error = slice_of(text),
                                           .id = slice_of(""),
                                           .queues = unpack_start(buffer_slice(&none))});
    buffer_fini(&none);
}

/* ---- sending ---- */

/* The process' number is the last that its name says: each begins with another. */
static void backbone_choose(struct queue_deliveries *q, struct delivery_backbone *b)
{
    uint64_t turn = 0;
    for (const char *c = worker_name(q->w); *c != '\0'; c++)
        turn += (unsigned char)*c;
    for (size_t s = 0; s < QUEUE_REACH_SERVERS_MAX; s++)
        b->turn[s] = turn;
}

/* A worker of that server: the same one as long as it is up, so that deliveries arrive in order. NULL: none is up. */
static struct worker_peer *backbone_worker(struct queue_deliveries *q, struct delivery_backbone *b,
                                           uint64_t server, uint64_t *number)
{
    return queue_reach_worker(q->reach, b->reach, server, b->turn[server], number);
}

/* xorshift64: which server is nobody's secret. */
static uint64_t deliveries_random(struct queue_deliveries *q)
{
    q->random ^= q->random == 0;
    q->random ^= q->random << 13;
    q->random ^= q->random >> 7;
    q->random ^= q->random << 17;
    return q->random;
}

/* Of the servers that have not refused it, and have a worker that is up, any. NULL: there is none. */
static struct worker_peer *delivery_worker(struct queue_deliveries *q, const struct delivery *d,
                                           uint64_t *number)
{
    uint64_t servers[QUEUE_REACH_SERVERS_MAX], count = 0;
    for (uint64_t s = 0; s < d->backbone->reach->servers; s++)
        if ((d->refused_by & 1u << s) == 0 && backbone_worker(q, d->backbone, s, number) != NULL)
            servers[count++] = s;
    if (count == 0)
        return NULL;
    uint64_t server = servers[count == 1 ? 0 : deliveries_random(q) % count];
    struct worker_peer *peer = backbone_worker(q, d->backbone, server, number);
    d->backbone->turn[server] = (*number - 1) / d->backbone->reach->servers;
    return peer;
}

/* False: nobody is up. */
static bool delivery_send(struct queue_deliveries *q, struct delivery *d)
{
    uint64_t number;
    struct worker_peer *peer = delivery_worker(q, d, &number);
    if (peer == NULL || worker_send(q->w, peer, &d->message) != 0)
        return false; /* it does not keep up: tried again with the next tick */
    d->sent_to = number;
    q->waiting--;
    if (d->backbone->reach->servers > 1)
        return true;
    q->waiting_bytes -= d->message.len;
    buffer_fini(&d->message);
    return true;
}

static void deliveries_send(struct queue_deliveries *q)
{
    for (struct delivery *d = q->first; d != NULL && q->waiting > 0; d = d->next)
        if (d->sent_to == 0)
            delivery_send(q, d);
}

/* It is surely not queued there, and another server may take it. False: none that is up is left. */
static bool delivery_elsewhere(struct queue_deliveries *q, struct delivery *d, struct slice error)
{
    uint64_t number;
    size_t len = strlen(DELIVERY_NOT_QUEUED);
    if (d->backbone->reach->servers == 1 || error.len < len ||
        memcmp(error.ptr, DELIVERY_NOT_QUEUED, len) != 0)
        return false;
    d->refused_by |= 1u << queue_reach_server(d->backbone->reach, d->sent_to);
    if (delivery_worker(q, d, &number) == NULL)
        return false;
    d->sent_to = 0;
    q->waiting++;
    delivery_send(q, d);
    return true;
}

bool queue_deliveries_message(struct queue_deliveries *q, uint64_t type, struct unpack *u)
{
    struct message_delivered m;
    struct delivery **at = &q->first;
    if (type != MESSAGE_DELIVERED || !message_delivered_unpack(u, &m))
        return false;
    while (*at != NULL && ((*at)->token != m.token || (*at)->sent_to == 0))
        at = &(*at)->next;
    /* Else it is late, and was told that its time is up. */
    if (*at != NULL && !delivery_elsewhere(q, *at, m.error))
        delivery_end(q, delivery_unlink(q, at),
                     (struct worker_delivered){
                         .error = m.error, .id = m.id, .queues = unpack_start(m.queues)});
    return true;
}

/* ---- backbones ---- */

/* That of the title, or of what the worker takes from. NULL: there is none such. */
static struct delivery_backbone *backbone_named(struct queue_deliveries *q, const char *title)
{
    const char *takes = worker_setting(q->w, "takes.0.path"); /* queue/shop/google */
    size_t len = title != NULL ? strlen(title) : 0;
    if (title == NULL && takes != NULL && strchr(takes, '/') != NULL) {
        title = strchr(takes, '/') + 1;
        len = strcspn(title, "/");
    }
    struct queue_reach_backbone *reach = queue_reach_find(q->reach, title, len);
    struct delivery_backbone *b = q->backbones;
    while (b != NULL && b->reach != reach)
        b = b->next;
    if (b != NULL || reach == NULL)
        return b;
    b = worker_must_alloc(q->w, sizeof *b);
    *b = (struct delivery_backbone){.next = q->backbones, .reach = reach};
    backbone_choose(q, b);
    q->backbones = b;
    return b;
}

/* ---- coming and going ---- */

void queue_deliveries_up(struct queue_deliveries *q)
{
    deliveries_send(q);
}

/* Those of this backbone that were sent to this worker, 0: that wait. */
static void deliveries_fail(struct queue_deliveries *q, const struct delivery_backbone *b,
                            uint64_t number, const char *why)
{
    struct delivery *failed = NULL, **tail = &failed;
    for (struct delivery **at = &q->first; *at != NULL;) {
        if ((*at)->backbone != b || (*at)->sent_to != number) {
            at = &(*at)->next;
            continue;
        }
        struct delivery *d = delivery_unlink(q, at);
        d->next = NULL;
        *tail = d;
        tail = &d->next;
    }
    while (failed != NULL) {
        struct delivery *d = failed;
        failed = d->next;
        delivery_fail(q, d, why);
    }
}

void queue_deliveries_down(struct queue_deliveries *q, const struct queue_reach_backbone *reach,
                           uint64_t number, bool absent)
{
    struct delivery_backbone *b = q->backbones;
    while (b != NULL && b->reach != reach)
        b = b->next;
    if (b == NULL)
        return;
    if (!absent)
        deliveries_fail(q, b, number, "its backbone worker is gone");
    else
        backbone_choose(q, b);
    if (reach->known == 0)
        deliveries_fail(q, b, 0, "there is no such backbone");
}

void queue_deliveries_tick(struct queue_deliveries *q)
{
    uint64_t now = clock_mono_ms();
    while (q->first != NULL && q->first->deadline_ms <= now)
        delivery_fail(q, delivery_unlink(q, &q->first), "it was not answered within 30 s");
    deliveries_send(q);
}

/* ---- delivering ---- */

static void delivery_pack(struct delivery *d, const struct worker_delivery *from)
{
    message_deliver_pack(
        &d->message, &(struct message_deliver){
                         .token = d->token,
                         .given = (from->topic != NULL ? 1u : 0) | (from->facet != NULL ? 2u : 0),
                         .topic = from->topic != NULL ? *from->topic : slice_of(""),
                         .facet = from->facet != NULL ? *from->facet : slice_of(""),
                         .after_ms = from->after_ms,
                         .body = from->body});
}

int queue_deliveries_add(struct queue_deliveries *q, const struct worker_delivery *d,
                         uint64_t *token)
{
    if (q->count == DELIVERIES_MAX || q->waiting_bytes > DELIVERIES_BYTES_MAX)
        return -ENOBUFS;
    if (d->body.len > MESSAGE_FRAME_MAX)
        return -EMSGSIZE;
    struct delivery_backbone *b = backbone_named(q, d->backbone);
    if (b == NULL)
        return -EINVAL;
    struct delivery *one = worker_must_alloc(q->w, sizeof *one);
    one->token = *token = ++q->last_token;
    one->backbone = b;
    one->deadline_ms = clock_mono_ms() + DELIVERY_MS;
    delivery_pack(one, d);
    if (!buffer_ok(&one->message))
        worker_exit_for(q->w, ENOMEM, NULL, "cannot deliver a message");
    if (one->message.len > MESSAGE_FRAME_MAX - MESSAGE_ENVELOPE_MAX) {
        delivery_free(one);
        return -EMSGSIZE;
    }
    *q->last = one;
    q->last = &one->next;
    q->count++;
    q->waiting++;
    q->waiting_bytes += one->message.len;
    delivery_send(q, one);
    return 0;
}
