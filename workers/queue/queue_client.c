/* queue_client.c: a consumer's side of queues. See queue_client.h. */
#include "workers/queue/queue_client.h"

#include "common/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENT_QUEUES_MAX 64
#define CLIENT_REASON_MAX 200
#define CLIENT_GLOBS_MAX  64
#define CLIENT_GIVE_BACK  3 /* SETTLE's outcome: nobody has looked at it */

enum client_phase {
    CLIENT_WAITS, /* here, and the consumer does not know it yet */
    CLIENT_TOLD,
    CLIENT_SETTLED, /* the queue worker has not said yet that Redis has heard */
};

struct client_source;

struct client_task {
    struct client_task *next;
    struct client_source *source;
    enum client_phase phase;
    bool alone;
    char message[24]; /* its id in Redis */
    uint64_t outcome;
    int64_t after_ms;
    char reason[CLIENT_REASON_MAX + 1];
    struct queue_client_task task;
    char bytes[];
};

/* A queue worker. */
struct client_source {
    const char *queue;
    char name[CONTRACT_NAME_MAX];
    uint64_t weight;
    bool up;
    uint64_t received; /* since its UP */
    uint64_t allowed;  /* as it was told last */
    uint64_t owed;     /* in hands, settled aside */
    uint64_t waiting;  /* of these the consumer does not know */
    int64_t turn;      /* of the weights: who has most goes next */
};

struct queue_client {
    struct worker *w;
    const struct queue_client_events *events;
    void *ctx;
    uint64_t window;
    uint64_t told;
    bool alone; /* of those that it was told of one must be by itself */
    bool stopped;
    struct client_source *sources;
    size_t count;
    struct client_task *first, **last;
};

/* ---- whom it takes from ---- */

static const char *client_setting(struct worker *w, size_t i, const char *what)
{
    char name[48];
    snprintf(name, sizeof name, "takes.%zu.%s", i, what);
    return worker_setting(w, name);
}

static uint64_t client_number(struct worker *w, size_t i, const char *what)
{
    char name[48];
    snprintf(name, sizeof name, "takes.%zu.%s", i, what);
    return worker_setting_u64(w, name);
}

static bool client_add_queue(struct queue_client *c, size_t i)
{
    uint64_t workers = client_number(c->w, i, "workers");
    struct client_source *grown = realloc(c->sources, (c->count + workers) * sizeof *c->sources);
    if (grown == NULL)
        return false;
    c->sources = grown;
    for (uint64_t n = 1; n <= workers; n++) {
        struct client_source *s = &c->sources[c->count++];
        *s = (struct client_source){.queue = client_setting(c->w, i, "name"),
                                    .weight = client_number(c->w, i, "weight")};
        snprintf(s->name, sizeof s->name, "%s.%" PRIu64, client_setting(c->w, i, "path"), n);
    }
    return true;
}

int queue_client_open(struct worker *w, const struct queue_client_events *events, void *ctx,
                      struct queue_client **out)
{
    *out = NULL;
    if (client_setting(w, 0, "name") == NULL)
        return 0;
    struct queue_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    *c = (struct queue_client){.w = w, .events = events, .ctx = ctx};
    c->window = worker_setting_u64(w, "takes.window");
    c->last = &c->first;
    bool good = true;
    for (size_t i = 0; good && i < CLIENT_QUEUES_MAX && client_setting(w, i, "name") != NULL; i++)
        good = client_add_queue(c, i);
    if (!good) {
        queue_client_free(c);
        return -ENOMEM;
    }
    for (size_t i = 0; i < c->count; i++)
        worker_monitor(w, slice_of(c->sources[i].name));
    *out = c;
    return 0;
}

void queue_client_free(struct queue_client *c)
{
    while (c != NULL && c->first != NULL) {
        struct client_task *t = c->first;
        c->first = t->next;
        free(t);
    }
    if (c != NULL)
        free(c->sources);
    free(c);
}

static struct client_source *client_source_of(struct queue_client *c, const char *name)
{
    for (size_t i = 0; c != NULL && i < c->count; i++)
        if (strcmp(c->sources[i].name, name) == 0)
            return &c->sources[i];
    return NULL;
}

/* ---- what is said to a queue worker ---- */

static struct worker_peer *client_peer(struct queue_client *c, const struct client_source *s)
{
    return s->up ? worker_peer_find(c->w, s->name) : NULL;
}

/* It may have handed so many in all that the window is full again. */
static void client_allow(struct queue_client *c, struct client_source *s)
{
    struct worker_peer *to = client_peer(c, s);
    uint64_t room = c->window > s->owed ? c->window - s->owed : 0;
    uint64_t allowed = c->stopped ? s->received : s->received + room;
    if (to == NULL || allowed == s->allowed)
        return;
    s->allowed = allowed;
    struct buffer *message = worker_compose(c->w);
    message_take_pack(message, &(struct message_take){.total = allowed});
    worker_must_send(c->w, to, message);
}

static void client_tell_settled(struct queue_client *c, const struct client_task *t)
{
    struct worker_peer *to = client_peer(c, t->source);
    if (to == NULL)
        return; /* its successor will hear */
    struct buffer *message = worker_compose(c->w);
    message_settle_pack(message, &(struct message_settle){.id = slice_of(t->message),
                                                          .attempt = t->task.attempt,
                                                          .outcome = t->outcome,
                                                          .after_ms = t->after_ms,
                                                          .reason = slice_of(t->reason)});
    worker_must_send(c->w, to, message);
}

/* All that it has of whom was there before. */
static void client_tell_held(struct queue_client *c, struct client_source *s,
                             struct worker_peer *to)
{
    struct buffer list = BUFFER_EMPTY;
    uint32_t count = 0;
    for (const struct client_task *t = c->first; t != NULL; t = t->next)
        count += t->source == s;
    if (count == 0)
        return;
    pack_array(&list, count);
    for (const struct client_task *t = c->first; t != NULL; t = t->next) {
        char receipt[48];
        snprintf(receipt, sizeof receipt, "%s.%" PRIu64, t->message, t->task.attempt);
        if (t->source == s)
            pack_text(&list, receipt);
    }
    if (!buffer_ok(&list))
        worker_exit_for(c->w, ENOMEM, NULL, "cannot tell %s what it has", s->name);
    struct buffer *message = worker_compose(c->w);
    message_held_pack(message, &(struct message_held){.receipts = buffer_slice(&list)});
    worker_must_send(c->w, to, message);
    buffer_fini(&list);
}

/* ---- what the consumer is told ---- */

/* Of the queues that have something here the one whose turn it is (smooth weighted round-robin). */
static struct client_source *client_next_source(struct queue_client *c)
{
    struct client_source *best = NULL;
    int64_t total = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct client_source *s = &c->sources[i];
        if (s->waiting == 0)
            continue;
        s->turn += (int64_t)s->weight;
        total += (int64_t)s->weight;
        if (best == NULL || s->turn > best->turn)
            best = s;
    }
    if (best != NULL)
        best->turn -= total;
    return best;
}

static struct client_task *client_waiting(struct queue_client *c, const struct client_source *s)
{
    struct client_task *t = c->first;
    while (t != NULL && (t->source != s || t->phase != CLIENT_WAITS))
        t = t->next;
    return t;
}

static void client_tell(struct queue_client *c)
{
    struct client_source *s;
    while (!c->stopped && c->told < c->window && !c->alone && (s = client_next_source(c)) != NULL) {
        struct client_task *t = client_waiting(c, s);
        if (t->alone && c->told > 0)
            return; /* until its hands are empty */
        t->phase = CLIENT_TOLD;
        s->waiting--;
        c->told++;
        c->alone = t->alone;
        c->events->on_task(c->ctx, &t->task);
    }
}

/* ---- tasks ---- */

static void client_remove(struct queue_client *c, struct client_task **at)
{
    struct client_task *t = *at;
    *at = t->next;
    if (c->last == &t->next)
        c->last = at;
    free(t);
}

/* Not in the consumer's hands any more. */
static void client_release(struct queue_client *c, const struct client_task *t)
{
    if (t->phase == CLIENT_TOLD) {
        c->told--;
        c->alone = c->alone && !t->alone;
    }
    if (t->phase == CLIENT_WAITS)
        t->source->waiting--;
    if (t->phase != CLIENT_SETTLED)
        t->source->owed--;
}

static bool client_on_task(struct queue_client *c, struct client_source *s, struct unpack *u)
{
    struct message_task m;
    if (!message_task_unpack(u, &m) || m.id.len >= sizeof c->first->message)
        return false;
    struct client_task *t = worker_must_alloc(c->w, sizeof *t + m.facet.len + m.body.len);
    t->source = s;
    t->alone = m.alone != 0;
    slice_copy(m.id, t->message, sizeof t->message);
    memcpy(t->bytes, m.facet.ptr, m.facet.len);
    memcpy(t->bytes + m.facet.len, m.body.ptr, m.body.len);
    t->task = (struct queue_client_task){.queue = s->queue,
                                         .attempt = m.attempt,
                                         .at_ms = m.at_ms,
                                         .facet = slice_make(t->bytes, m.facet.len),
                                         .body = slice_make(t->bytes + m.facet.len, m.body.len)};
    snprintf(t->task.id, sizeof t->task.id, "%s/%s", s->queue, t->message);
    *c->last = t;
    c->last = &t->next;
    s->received++;
    s->owed++;
    s->waiting++;
    client_tell(c);
    return true;
}

/* Redis has heard what became of it; or it is another's. */
static bool client_on_lost(struct queue_client *c, struct client_source *s, struct unpack *u)
{
    struct message_lost m;
    if (!message_lost_unpack(u, &m))
        return false;
    for (struct client_task **at = &c->first; *at != NULL; at = &(*at)->next) {
        struct client_task *t = *at;
        if (t->source != s || t->task.attempt != m.attempt || !slice_is(m.id, t->message))
            continue;
        client_release(c, t);
        if (t->phase == CLIENT_TOLD)
            c->events->on_lost(c->ctx, t->task.id);
        client_remove(c, at);
        break;
    }
    client_allow(c, s);
    client_tell(c);
    return true;
}

bool queue_client_message(struct queue_client *c, struct worker_peer *from, uint64_t type,
                          struct unpack *u)
{
    struct client_source *s = client_source_of(c, from->name);
    if (s != NULL && type == MESSAGE_TASK)
        return client_on_task(c, s, u);
    return s != NULL && type == MESSAGE_LOST && client_on_lost(c, s, u);
}

bool queue_client_settle(struct queue_client *c, const char *id, enum queue_client_outcome outcome,
                         int64_t after_ms, const char *reason)
{
    struct client_task *t = c != NULL ? c->first : NULL;
    while (t != NULL && (t->phase != CLIENT_TOLD || strcmp(t->task.id, id) != 0))
        t = t->next;
    if (t == NULL)
        return false;
    client_release(c, t);
    t->phase = CLIENT_SETTLED;
    t->outcome = outcome;
    t->after_ms = after_ms;
    size_t len = strlen(reason);
    slice_copy(slice_make(reason, len < CLIENT_REASON_MAX ? len : CLIENT_REASON_MAX), t->reason,
               sizeof t->reason);
    client_tell_settled(c, t);
    client_allow(c, t->source);
    client_tell(c);
    return true;
}

/* ---- coming and going ---- */

void queue_client_up(struct queue_client *c, struct worker_peer *peer)
{
    struct client_source *s = client_source_of(c, peer->name);
    if (s == NULL)
        return;
    s->up = true;
    s->received = s->allowed = 0;
    client_tell_held(c, s, peer);
    for (const struct client_task *t = c->first; t != NULL; t = t->next)
        if (t->source == s && t->phase == CLIENT_SETTLED)
            client_tell_settled(c, t);
    client_allow(c, s);
}

void queue_client_down(struct queue_client *c, const struct worker_peer *peer)
{
    struct client_source *s = client_source_of(c, peer->name);
    if (s != NULL)
        s->up = false;
}

void queue_client_stop(struct queue_client *c)
{
    if (c == NULL || c->stopped)
        return;
    c->stopped = true;
    for (size_t i = 0; i < c->count; i++)
        client_allow(c, &c->sources[i]);
    for (struct client_task *t = c->first; t != NULL; t = t->next) {
        if (t->phase != CLIENT_WAITS)
            continue;
        client_release(c, t);
        t->phase = CLIENT_SETTLED;
        t->outcome = CLIENT_GIVE_BACK;
        client_tell_settled(c, t);
    }
}

/* ---- delivering ---- */

void queue_client_deliver(struct worker *w, struct worker_peer *to,
                          const struct queue_client_delivery *d)
{
    struct buffer *message = worker_compose(w);
    message_deliver_pack(message, &(struct message_deliver){.token = d->token,
                                                            .given = (d->has_topic ? 1u : 0) |
                                                                     (d->has_facet ? 2u : 0),
                                                            .topic = d->topic,
                                                            .facet = d->facet,
                                                            .after_ms = d->after_ms,
                                                            .body = d->body});
    worker_must_send(w, to, message);
}

bool queue_client_delivered(uint64_t type, struct unpack *u, struct queue_client_delivered *d,
                            bool *ok)
{
    struct message_delivered m;
    if (type != MESSAGE_DELIVERED)
        return false;
    *ok = message_delivered_unpack(u, &m);
    if (*ok)
        *d = (struct queue_client_delivered){
            .token = m.token, .error = m.error, .id = m.id, .queues = unpack_start(m.queues)};
    return true;
}

/* ---- listening ---- */

static const char *client_listen_setting(const struct worker *w, size_t i, const char *what)
{
    char name[48];
    snprintf(name, sizeof name, "listens.%zu.%s", i, what);
    return i < CLIENT_GLOBS_MAX ? worker_setting(w, name) : NULL;
}

void queue_client_listen(struct worker *w)
{
    const char *path;
    for (size_t i = 0; (path = client_listen_setting(w, i, "path")) != NULL; i++)
        worker_monitor(w, slice_of(path));
}

void queue_client_listen_up(struct worker *w, struct worker_peer *peer)
{
    struct buffer globs = BUFFER_EMPTY;
    uint32_t count = 0;
    const char *path;
    for (size_t i = 0; (path = client_listen_setting(w, i, "path")) != NULL; i++)
        count += strcmp(path, peer->name) == 0;
    if (count == 0)
        return;
    pack_array(&globs, count);
    for (size_t i = 0; (path = client_listen_setting(w, i, "path")) != NULL; i++)
        if (strcmp(path, peer->name) == 0)
            pack_text(&globs, client_listen_setting(w, i, "glob"));
    if (!buffer_ok(&globs))
        worker_exit_for(w, ENOMEM, NULL, "cannot tell %s what it listens to", peer->name);
    struct buffer *message = worker_compose(w);
    message_listen_pack(message, &(struct message_listen){.globs = buffer_slice(&globs)});
    worker_must_send(w, peer, message);
    buffer_fini(&globs);
}

bool queue_client_published(uint64_t type, struct unpack *u, struct slice *topic,
                            struct slice *body, bool *ok)
{
    struct message_published m;
    if (type != MESSAGE_PUBLISHED)
        return false;
    *ok = message_published_unpack(u, &m);
    *topic = *ok ? m.topic : slice_of("");
    *body = *ok ? m.body : slice_of("");
    return true;
}

void queue_client_unheard(struct worker *w)
{
    worker_count(w, COUNTER_QUEUE_UNHEARD, 1);
}
