/*
 * port_queue.c: what the program takes from queues, delivers to them, and hears of them. See port.h.
 *
 * Events task, lost, delivered, published; actions done, again, bury, deliver (PROTOCOL.md, Actors in any language).
 */
#include "workers/program/port.h"

#include "common/base64.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdlib.h>

#define PORT_DELIVER_MS 30000

/* What was said that a backbone shall queue, and that is not answered yet. */
struct port_delivery {
    struct port_delivery *next;
    uint64_t token;
    uint64_t deadline_ms; /* clock_mono_ms */
    uint64_t after_ms;
    bool has_topic, has_facet, sent;
    char to[CONTRACT_NAME_MAX];
    char id[PORT_ID_MAX];
    char *topic, *facet, *body;
    size_t body_len;
};

static const char *queue_string(const json_t *said, const char *key)
{
    const char *text = json_string_value(json_object_get(said, key));
    return text != NULL ? text : "";
}

/* ---- what it is told ---- */

/* As JSON where it is some, as text where it is that, else as {"base64":…}'s text. */
static void queue_put_body(json_t *event, struct slice body)
{
    json_t *value = json_loadb(body.ptr, body.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *text = value == NULL ? json_stringn(body.ptr, body.len) : NULL;
    if (value != NULL) {
        json_object_set_new(event, "body", value);
        return;
    }
    if (text != NULL) {
        json_object_set_new(event, "text", text);
        return;
    }
    struct buffer coded = BUFFER_EMPTY;
    base64_append(&coded, body);
    const char *shown = buffer_text(&coded);
    json_object_set_new(event, "base64", shown != NULL ? json_string(shown) : NULL);
    buffer_fini(&coded);
}

static void queue_on_task(void *ctx, const struct queue_client_task *task)
{
    json_t *facet = json_stringn(task->facet.ptr, task->facet.len);
    json_t *at = task->at_ms >= 0 ? json_integer(task->at_ms) : json_null();
    json_t *event = json_pack("{s:s,s:s,s:s,s:I,s:o,s:o}", "event", "task", "queue", task->queue,
                              "id", task->id, "attempt", (json_int_t)task->attempt, "facet",
                              facet != NULL ? facet : json_null(), "at_ms", at);
    if (event != NULL)
        queue_put_body(event, task->body);
    port_tell(ctx, event);
}

static void queue_on_lost(void *ctx, const char *id)
{
    port_tell(ctx, json_pack("{s:s,s:s}", "event", "lost", "id", id));
}

/* Nobody keeps it for who does not read. */
static void queue_on_published(struct port *p, struct slice topic, struct slice body)
{
    json_t *named = json_stringn(topic.ptr, topic.len);
    if (port_is_behind(p)) {
        queue_client_unheard(p->w);
        json_decref(named);
        return;
    }
    json_t *event =
        json_pack("{s:s,s:o}", "event", "published", "topic", named != NULL ? named : json_null());
    if (event != NULL)
        queue_put_body(event, body);
    port_tell(p, event);
}

/* ---- what it has done ---- */

static void queue_settle(struct port *p, const json_t *said, enum queue_client_outcome outcome)
{
    const char *id = queue_string(said, "id");
    const json_t *after = json_object_get(said, "after_ms");
    int64_t after_ms = json_is_integer(after) ? json_integer_value(after) : -1;
    if (!queue_client_settle(p->takes, id, outcome, after_ms < 0 ? -1 : after_ms,
                             queue_string(said, "error")))
        port_undone(p, "%s: it has no task '%s' in its hands", queue_string(said, "do"), id);
}

void port_act_done(struct port *p, const json_t *said)
{
    queue_settle(p, said, QUEUE_CLIENT_DONE);
}

void port_act_again(struct port *p, const json_t *said)
{
    queue_settle(p, said, QUEUE_CLIENT_AGAIN);
}

void port_act_bury(struct port *p, const json_t *said)
{
    queue_settle(p, said, QUEUE_CLIENT_BURY);
}

/* ---- what it delivers ---- */

static void delivery_free(struct port_delivery *d)
{
    if (d != NULL) {
        free(d->topic);
        free(d->facet);
        free(d->body);
    }
    free(d);
}

static void delivery_tell_error(struct port *p, const struct port_delivery *d, const char *why)
{
    port_tell(p, json_pack("{s:s,s:s,s:s}", "event", "delivered", "id", d->id, "error", why));
}

static struct port_delivery *delivery_unlink(struct port *p, struct port_delivery **at)
{
    struct port_delivery *d = *at;
    *at = d->next;
    p->delivery_count--;
    return d;
}

static void delivery_send(struct port *p, struct port_delivery *d, struct worker_peer *to)
{
    const struct queue_client_delivery delivery = {.token = d->token,
                                                   .has_topic = d->has_topic,
                                                   .has_facet = d->has_facet,
                                                   .topic = slice_of(d->topic),
                                                   .facet = slice_of(d->facet),
                                                   .after_ms = d->after_ms,
                                                   .body = slice_make(d->body, d->body_len)};
    d->sent = true;
    queue_client_deliver(p->w, to, &delivery);
}

/* The backbone it names, or that of the queues that it takes from; "queue/NAME/backbone.1". */
static bool delivery_address(struct port *p, const json_t *said, char to[CONTRACT_NAME_MAX])
{
    const char *backbone = queue_string(said, "backbone");
    const char *path = worker_setting(p->w, "takes.0.path");
    int len;
    if (backbone[0] != '\0') {
        len = snprintf(to, CONTRACT_NAME_MAX, "queue/%s/backbone.1", backbone);
    } else if (path != NULL) {
        const char *slash = strrchr(path, '/');
        len = snprintf(to, CONTRACT_NAME_MAX, "%.*s/backbone.1", (int)(slash - path), path);
    } else {
        port_complain(p, "deliver: needs the name of a backbone");
        return false;
    }
    if (len < CONTRACT_NAME_MAX)
        return true;
    port_complain(p, "deliver: there is no backbone of so long a name");
    return false;
}

static char *delivery_body(const json_t *said, size_t *len)
{
    const json_t *text = json_object_get(said, "text"), *body = json_object_get(said, "body");
    if (json_is_string(text)) {
        *len = json_string_length(text);
        return slice_dup(slice_make(json_string_value(text), *len));
    }
    char *json = port_text(body != NULL ? body : json_null());
    *len = json != NULL ? strlen(json) : 0;
    return json;
}

static struct port_delivery *delivery_new(struct port *p, const json_t *said)
{
    const json_t *topic = json_object_get(said, "topic"), *facet = json_object_get(said, "facet");
    json_int_t after = json_integer_value(json_object_get(said, "after_ms"));
    struct port_delivery *d = worker_must_alloc(p->w, sizeof *d);
    d->token = ++p->last_token;
    d->deadline_ms = clock_mono_ms() + PORT_DELIVER_MS;
    d->has_topic = json_is_string(topic);
    d->has_facet = json_is_string(facet);
    d->after_ms = after > 0 ? (uint64_t)after : 0;
    d->topic = strdup(queue_string(said, "topic"));
    d->facet = strdup(queue_string(said, "facet"));
    d->body = delivery_body(said, &d->body_len);
    slice_copy(slice_of(queue_string(said, "id")), d->id, sizeof d->id);
    if (d->topic == NULL || d->facet == NULL || d->body == NULL)
        worker_exit_for(p->w, ENOMEM, NULL, "cannot deliver a message of the program's");
    return d;
}

void port_act_deliver(struct port *p, const json_t *said)
{
    char to[CONTRACT_NAME_MAX];
    const char *id = queue_string(said, "id");
    if (strlen(id) >= PORT_ID_MAX) {
        port_complain(p, "deliver: an id has at most %d letters", PORT_ID_MAX - 1);
        return;
    }
    if (!delivery_address(p, said, to))
        return;
    struct port_delivery *d = delivery_new(p, said);
    memcpy(d->to, to, sizeof d->to);
    if (p->delivery_count == PORT_CALLS_MAX) {
        delivery_tell_error(p, d, "the message is not queued: too many wait for their answers");
        delivery_free(d);
        return;
    }
    d->next = p->deliveries;
    p->deliveries = d;
    p->delivery_count++;
    struct worker_peer *peer = worker_peer_find(p->w, to);
    if (peer != NULL)
        delivery_send(p, d, peer);
    else
        worker_monitor(p->w, slice_of(to));
}

static json_t *delivered_queues(struct unpack names)
{
    json_t *queues = json_array();
    for (uint32_t left = unpack_array(&names); left > 0; left--) {
        struct slice name = unpack_str(&names);
        json_array_append_new(queues, json_stringn(name.ptr, name.len));
    }
    return queues;
}

static void queue_on_delivered(struct port *p, const struct queue_client_delivered *m)
{
    struct port_delivery **at = &p->deliveries;
    while (*at != NULL && (*at)->token != m->token)
        at = &(*at)->next;
    if (*at == NULL)
        return; /* late: the program has been told that it timed out */
    struct port_delivery *d = delivery_unlink(p, at);
    if (m->error.len > 0)
        port_tell(p, json_pack("{s:s,s:s,s:s%}", "event", "delivered", "id", d->id, "error",
                               m->error.ptr, m->error.len));
    else
        port_tell(p, json_pack("{s:s,s:s,s:s%,s:o}", "event", "delivered", "id", d->id, "message",
                               m->id.ptr, m->id.len, "queues", delivered_queues(m->queues)));
    delivery_free(d);
}

/* Those for which `over` says so, each with this reason. */
static void delivery_fail(struct port *p, const char *to, uint64_t now_ms, const char *why)
{
    for (struct port_delivery **at = &p->deliveries; *at != NULL;) {
        bool over = to != NULL ? strcmp((*at)->to, to) == 0 : (*at)->deadline_ms <= now_ms;
        if (!over) {
            at = &(*at)->next;
            continue;
        }
        struct port_delivery *d = delivery_unlink(p, at);
        delivery_tell_error(p, d, why);
        delivery_free(d);
    }
}

/* ---- from port.c ---- */

static const struct queue_client_events queue_events = {.on_task = queue_on_task,
                                                        .on_lost = queue_on_lost};

void port_queue_open(struct port *p)
{
    if (queue_client_open(p->w, &queue_events, p, &p->takes) != 0)
        worker_exit_for(p->w, ENOMEM, NULL, "cannot take from queues");
    queue_client_listen(p->w);
}

void port_queue_close(struct port *p)
{
    while (p->deliveries != NULL)
        delivery_free(delivery_unlink(p, &p->deliveries));
    queue_client_free(p->takes);
    p->takes = NULL;
}

void port_queue_up(struct port *p, struct worker_peer *peer)
{
    queue_client_up(p->takes, peer);
    queue_client_listen_up(p->w, peer);
    for (struct port_delivery *d = p->deliveries; d != NULL; d = d->next)
        if (!d->sent && strcmp(d->to, peer->name) == 0)
            delivery_send(p, d, peer);
}

void port_queue_down(struct port *p, const struct worker_peer *peer, struct slice reason)
{
    queue_client_down(p->takes, peer);
    delivery_fail(p, peer->name, 0,
                  slice_is(reason, "unknown name")
                      ? "the message is not queued: there is no such backbone"
                      : "its backbone worker died: whether the message is queued is unknown");
}

bool port_queue_message(struct port *p, struct worker_peer *from, uint64_t type, struct unpack *u)
{
    struct queue_client_delivered m;
    struct slice topic, body;
    bool ok;
    if (queue_client_published(type, u, &topic, &body, &ok)) {
        if (ok)
            queue_on_published(p, topic, body);
        return ok;
    }
    if (queue_client_delivered(type, u, &m, &ok)) {
        if (ok)
            queue_on_delivered(p, &m);
        return ok;
    }
    return queue_client_message(p->takes, from, type, u);
}

void port_queue_tick(struct port *p)
{
    delivery_fail(p, NULL, clock_mono_ms(), "timed out: whether the message is queued is unknown");
}
