/* queue_deliveries.c: messages that a worker delivers to backbones. See queue_deliveries.h. */
#include "workers/queue/queue_deliveries.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DELIVERIES_MAX       10000u
#define DELIVERIES_BYTES_MAX (64u * 1024 * 1024) /* that wait for a worker */
#define DELIVERY_MS          30000u
#define BACKBONE_WORKERS_MAX 64u
#define BACKBONE_PATH_SIZE   (CONTRACT_NAME_MAX - 24)

static const char deliveries_broken[] = "whether the message is queued is unknown";

struct delivery_backbone {
    struct delivery_backbone *next;
    char path[BACKBONE_PATH_SIZE]; /* "queue/shop/backbone" */
    uint64_t known;                /* workers that there are, as far as was asked */
    uint64_t turn;                 /* its workers are 0 and up here */
    bool asking;                   /* whether there is one more */
};

struct delivery {
    struct delivery *next;
    uint64_t token;
    uint64_t deadline_ms; /* clock_mono_ms */
    struct delivery_backbone *backbone;
    uint64_t sent_to;      /* number of that worker; 0: not sent */
    struct buffer message; /* until it is sent */
};

struct queue_deliveries {
    struct worker *w;
    struct worker_task_events events;
    struct delivery_backbone *backbones;
    struct delivery *first, **last;
    size_t count, waiting, waiting_bytes;
    uint64_t last_token;
};

struct queue_deliveries *queue_deliveries_new(struct worker *w,
                                              const struct worker_task_events *events)
{
    struct queue_deliveries *q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    *q = (struct queue_deliveries){.w = w, .events = *events};
    q->last = &q->first;
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
    if (d->sent_to == 0) {
        q->waiting--;
        q->waiting_bytes -= d->message.len;
    }
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
    snprintf(text, sizeof text, sent ? "%s: %s" : "the message is not queued: %s", why,
             deliveries_broken);
    pack_array(&none, 0);
    delivery_end(q, d,
                 (struct worker_delivered){.error = slice_of(text),
                                           .id = slice_of(""),
                                           .queues = unpack_start(buffer_slice(&none))});
    buffer_fini(&none);
}

bool queue_deliveries_message(struct queue_deliveries *q, uint64_t type, struct unpack *u)
{
    struct message_delivered m;
    struct delivery **at = &q->first;
    if (type != MESSAGE_DELIVERED || !message_delivered_unpack(u, &m))
        return false;
    while (*at != NULL && ((*at)->token != m.token || (*at)->sent_to == 0))
        at = &(*at)->next;
    if (*at != NULL) /* else it is late, and was told that its time is up */
        delivery_end(q, delivery_unlink(q, at),
                     (struct worker_delivered){
                         .error = m.error, .id = m.id, .queues = unpack_start(m.queues)});
    return true;
}

/* ---- sending ---- */

/*
 * The same one as long as it is up, so that deliveries arrive in order; each process begins with another. NULL: none is
 * up.
 */
static struct worker_peer *backbone_worker(struct queue_deliveries *q, struct delivery_backbone *b)
{
    char name[CONTRACT_NAME_MAX];
    for (uint64_t i = 0; i < b->known; i++) {
        uint64_t number = (b->turn + i) % b->known;
        snprintf(name, sizeof name, "%s.%" PRIu64, b->path, number + 1);
        struct worker_peer *peer = worker_peer_find(q->w, name);
        if (peer != NULL) {
            b->turn = number;
            return peer;
        }
    }
    return NULL;
}

/* The process' number is the last that its name says. */
static void backbone_choose(struct queue_deliveries *q, struct delivery_backbone *b)
{
    b->turn = 0;
    for (const char *c = worker_name(q->w); *c != '\0'; c++)
        b->turn += (unsigned char)*c;
}

/* False: nobody is up. */
static bool delivery_send(struct queue_deliveries *q, struct delivery *d)
{
    struct worker_peer *peer = backbone_worker(q, d->backbone);
    if (peer == NULL || worker_send(q->w, peer, &d->message) != 0)
        return false; /* it does not keep up: tried again with the next tick */
    d->sent_to = d->backbone->turn + 1;
    q->waiting--;
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

/* ---- backbones ---- */

static void backbone_ask(struct queue_deliveries *q, struct delivery_backbone *b)
{
    char name[CONTRACT_NAME_MAX];
    if (b->asking || b->known == BACKBONE_WORKERS_MAX)
        return;
    b->asking = true;
    b->known++; /* until the answer says that there is none */
    snprintf(name, sizeof name, "%s.%" PRIu64, b->path, b->known);
    worker_monitor(q->w, slice_of(name));
}

/* Of a worker's name; NULL: it is none of a backbone's that something was delivered to. */
static struct delivery_backbone *backbone_of(struct queue_deliveries *q, const char *name,
                                             uint64_t *number)
{
    for (struct delivery_backbone *b = q->backbones; b != NULL; b = b->next) {
        size_t len = strlen(b->path);
        if (strncmp(name, b->path, len) == 0 && name[len] == '.' &&
            text_parse_u64(slice_of(name + len + 1), number) == 0)
            return b;
    }
    return NULL;
}

/* That of the title, or of what the worker takes from. NULL: there is none such. */
static struct delivery_backbone *backbone_named(struct queue_deliveries *q, const char *title)
{
    char path[BACKBONE_PATH_SIZE];
    const char *takes = worker_setting(q->w, "takes.0.path"); /* queue/shop/google */
    int len = -1;
    if (title != NULL && title[0] != '\0' && strchr(title, '/') == NULL)
        len = snprintf(path, sizeof path, "queue/%s/backbone", title);
    else if (title == NULL && takes != NULL)
        len = snprintf(path, sizeof path, "%.*sbackbone", (int)(strrchr(takes, '/') + 1 - takes),
                       takes);
    if (len < 0 || len >= (int)sizeof path)
        return NULL;
    struct delivery_backbone *b = q->backbones;
    while (b != NULL && strcmp(b->path, path) != 0)
        b = b->next;
    if (b == NULL) {
        b = worker_must_alloc(q->w, sizeof *b);
        memcpy(b->path, path, sizeof path);
        b->next = q->backbones;
        q->backbones = b;
    }
    if (b->known == 0)
        backbone_ask(q, b);
    return b;
}

/* ---- coming and going ---- */

void queue_deliveries_up(struct queue_deliveries *q, const struct worker_peer *peer)
{
    uint64_t number;
    struct delivery_backbone *b = backbone_of(q, peer->name, &number);
    if (b == NULL)
        return;
    if (number == b->known)
        b->asking = false;
    if (number > b->known) /* somebody else has asked, or it was scaled up */
        b->known = number < BACKBONE_WORKERS_MAX ? number : BACKBONE_WORKERS_MAX;
    backbone_ask(q, b);
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

bool queue_deliveries_down(struct queue_deliveries *q, const struct worker_peer *peer,
                           struct slice reason)
{
    uint64_t number;
    struct delivery_backbone *b = backbone_of(q, peer->name, &number);
    if (b == NULL)
        return false;
    if (!slice_is(reason, "unknown name")) {
        deliveries_fail(q, b, number, "its backbone worker is gone");
        return false;
    }
    if (!b->asking || number != b->known)
        return false;
    b->asking = false;
    b->known--;
    backbone_choose(q, b);
    if (b->known == 0)
        deliveries_fail(q, b, 0, "there is no such backbone");
    return true;
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
