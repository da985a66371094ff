/*
 * port_queue.c: what the program takes from queues, delivers to them, and hears of them. See port.h.
 *
 * Events task, lost, delivered, published; actions done, again, bury, deliver (PROTOCOL.md, Actors in any language).
 */
#include "workers/program/port.h"

#include "common/base64.h"
#include "common/json/json_check.h"
#include "common/json/json_short.h"
#include "common/json/json_write.h"
#include "common/utf8.h"
#include "proto/delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

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

/* A line has no other line in it: between values these are blanks, and nowhere else may they stand. */
static void queue_write_as_it_is(struct buffer *out, struct slice json)
{
    static const char breaks[] = "\n\r";
    size_t from = out->len;
    buffer_append_slice(out, json);
    for (const char *at = breaks; buffer_ok(out) && *at != '\0'; at++) {
        char *end = out->data + out->len, *found = out->data + from;
        while ((found = memchr(found, *at, (size_t)(end - found))) != NULL)
            *found = ' ';
    }
}

/* The member of a body in a line: JSON as it was written, so that no number changes. */
static void queue_write_body(const struct port *p, struct buffer *out, struct slice body)
{
    if (json_check_value(body)) {
        buffer_append_text(out, "\"body\":");
        queue_write_as_it_is(out, body);
        return;
    }
    json_t *deep = json_loadb(body.ptr, body.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (deep != NULL) {
        buffer_append_text(out, "\"body\":");
        port_encode(p, deep, out);
        json_decref(deep);
    } else if (utf8_valid(body)) {
        buffer_append_text(out, "\"text\":");
        json_write_string(out, body);
    } else {
        buffer_append_text(out, "\"base64\":\"");
        base64_append(out, body);
        buffer_append_char(out, '"');
    }
}

static void queue_write_name(struct buffer *out, const char *key, struct slice value)
{
    buffer_printf(out, "\"%s\":", key);
    if (utf8_valid(value))
        json_write_string(out, value);
    else
        buffer_append_text(out, "null");
    buffer_append_char(out, ',');
}

static void queue_write_task(const struct port *p, struct buffer *out,
                             const struct worker_task *task)
{
    buffer_append_text(out, "{\"event\":\"task\",");
    queue_write_name(out, "queue", slice_of(task->queue));
    queue_write_name(out, "id", slice_of(task->id));
    buffer_printf(out, "\"attempt\":%" PRIu64 ",", task->attempt);
    queue_write_name(out, "facet", task->facet);
    if (task->at_ms >= 0)
        buffer_printf(out, "\"at_ms\":%" PRId64 ",", task->at_ms);
    else
        buffer_append_text(out, "\"at_ms\":null,");
    queue_write_body(p, out, task->body);
    buffer_append_char(out, '}');
}

static void queue_pack_task(const struct port *p, struct buffer *out,
                            const struct worker_task *task)
{
    json_t *facet = json_stringn(task->facet.ptr, task->facet.len);
    json_t *at = task->at_ms >= 0 ? json_integer(task->at_ms) : json_null();
    json_t *event = json_pack("{s:s,s:s,s:s,s:I,s:o,s:o}", "event", "task", "queue", task->queue,
                              "id", task->id, "attempt", (json_int_t)task->attempt, "facet",
                              facet != NULL ? facet : json_null(), "at_ms", at);
    if (event != NULL) {
        queue_put_body(event, task->body);
        port_encode(p, event, out);
    }
    json_decref(event);
}

/* A body for which memory is short is not told as another one: what it has goes back (json_short.h). */
void port_on_task(struct worker *w, void *state, const struct worker_task *task)
{
    struct port *p = state;
    char why[128];
    struct buffer *out = port_tell_begin(p);
    json_short_begin();
    (p->msgpack ? queue_pack_task : queue_write_task)(p, out, task);
    if (json_short_end())
        worker_exit_for(w, ENOMEM, NULL, "cannot tell the program of a task");
    size_t len = port_tell_end(p, true);
    if (len <= PORT_TASK_MAX)
        return;
    snprintf(why, sizeof why, "its event has %zu bytes, more than a port's line may have, %u", len,
             PORT_TASK_MAX);
    worker_task_bury(w, task->id, why); /* no consumer of that kind can be told of it */
}

void port_on_lost(struct worker *w, void *state, const struct worker_task *task)
{
    (void)w;
    port_tell(state, json_pack("{s:s,s:s}", "event", "lost", "id", task->id));
}

/* Nobody keeps it for who does not read. */
bool port_on_published(struct worker *w, void *state, struct slice topic, struct slice body)
{
    struct port *p = state;
    if (port_is_behind(p))
        return false;
    struct buffer *out = port_tell_begin(p);
    if (p->msgpack) {
        json_t *named = json_stringn(topic.ptr, topic.len);
        json_t *event = json_pack("{s:s,s:o}", "event", "published", "topic",
                                  named != NULL ? named : json_null());
        if (event == NULL)
            worker_exit_for(w, ENOMEM, NULL, "cannot tell the program of a message");
        queue_put_body(event, body);
        port_encode(p, event, out);
        json_decref(event);
    } else {
        buffer_append_text(out, "{\"event\":\"published\",");
        queue_write_name(out, "topic", topic);
        queue_write_body(p, out, body);
        buffer_append_char(out, '}');
    }
    port_tell_end(p, false);
    return true;
}

/* ---- what it has done ---- */

static void queue_settled(struct port *p, const json_t *said, bool counts)
{
    if (!counts)
        port_undone(p, "%s: it has no task '%s' in its hands", queue_string(said, "do"),
                    queue_string(said, "id"));
}

void port_act_done(struct port *p, const json_t *said)
{
    queue_settled(p, said, worker_task_done(p->w, queue_string(said, "id")));
}

void port_act_again(struct port *p, const json_t *said)
{
    const json_t *after = json_object_get(said, "after_ms");
    int64_t after_ms = json_is_integer(after) ? json_integer_value(after) : -1;
    queue_settled(
        p, said,
        worker_task_again(p->w, queue_string(said, "id"), after_ms, queue_string(said, "error")));
}

void port_act_bury(struct port *p, const json_t *said)
{
    queue_settled(p, said,
                  worker_task_bury(p->w, queue_string(said, "id"), queue_string(said, "error")));
}

/* ---- what it delivers ---- */

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

static int delivery_deliver(struct port *p, const json_t *said, uint64_t *token)
{
    const json_t *topic = json_object_get(said, "topic"), *facet = json_object_get(said, "facet");
    const char *backbone = queue_string(said, "backbone");
    json_int_t after = json_integer_value(json_object_get(said, "after_ms"));
    struct slice topic_text = slice_make(json_string_value(topic), json_string_length(topic));
    struct slice facet_text = slice_make(json_string_value(facet), json_string_length(facet));
    size_t len;
    char *body = delivery_body(said, &len);
    if (body == NULL)
        worker_exit_for(p->w, ENOMEM, NULL, "cannot deliver a message of the program's");
    const struct worker_delivery d = {.backbone = backbone[0] != '\0' ? backbone : NULL,
                                      .topic = json_is_string(topic) ? &topic_text : NULL,
                                      .facet = json_is_string(facet) ? &facet_text : NULL,
                                      .after_ms = after > 0 ? (uint64_t)after : 0,
                                      .body = slice_make(body, len)};
    int rc = worker_deliver(p->w, &d, token);
    free(body);
    return rc;
}

static void delivery_refused(struct port *p, const char *id, int rc)
{
    const char *why = rc == -ENOBUFS ? "too many wait for their answers" : "it is too long";
    char text[128];
    snprintf(text, sizeof text, DELIVERY_NOT_QUEUED ": %s", why);
    port_tell(p, json_pack("{s:s,s:s,s:s}", "event", "delivered", "id", id, "error", text));
}

void port_act_deliver(struct port *p, const json_t *said)
{
    const char *id = queue_string(said, "id");
    uint64_t token;
    if (strlen(id) >= PORT_ID_MAX) {
        port_complain(p, "deliver: an id has at most %d letters", PORT_ID_MAX - 1);
        return;
    }
    int rc = p->delivery_count < PORT_CALLS_MAX ? delivery_deliver(p, said, &token) : -ENOBUFS;
    if (rc == -EINVAL) {
        port_complain(p, "deliver: needs the name of a backbone");
    } else if (rc != 0) {
        delivery_refused(p, id, rc);
    } else {
        struct port_delivery *d = worker_must_alloc(p->w, sizeof *d);
        d->token = token;
        slice_copy(slice_of(id), d->id, sizeof d->id);
        d->next = p->deliveries;
        p->deliveries = d;
        p->delivery_count++;
    }
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

void port_on_delivered(struct worker *w, void *state, const struct worker_delivered *m)
{
    struct port *p = state;
    struct port_delivery **at = &p->deliveries, *d;
    (void)w;
    while ((d = *at)->token != m->token) /* each is answered once */
        at = &d->next;
    *at = d->next;
    p->delivery_count--;
    if (m->error.len > 0)
        port_tell(p, json_pack("{s:s,s:s,s:s%}", "event", "delivered", "id", d->id, "error",
                               m->error.ptr, m->error.len));
    else
        port_tell(p, json_pack("{s:s,s:s,s:s%,s:o}", "event", "delivered", "id", d->id, "message",
                               m->id.ptr, m->id.len, "queues", delivered_queues(m->queues)));
    free(d);
}

void port_queue_close(struct port *p)
{
    while (p->deliveries != NULL) {
        struct port_delivery *d = p->deliveries;
        p->deliveries = d->next;
        free(d);
    }
}
