/*
 * port_actions.c: what the program says, one handler an action. See port.h.
 *
 * Whoever is addressed is monitored first, because a mailbox takes no message from a stranger; what is meant for
 * somebody who is not up waits for him, bounded, and is told as an error when nobody has that name.
 */
#include "workers/program/port.h"

#include "common/clock.h"
#include "common/json/json_value.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define PORT_CALL_MS     5000
#define PORT_CALL_MAX_MS 3600000

static const char *port_string(const json_t *said, const char *key)
{
    const char *text = json_string_value(json_object_get(said, key));
    return text != NULL ? text : "";
}

/* ---- messages, now or when the other is up ---- */

static int port_send_now(struct port *p, struct worker_peer *to, const struct port_waiting *m)
{
    if (m->link)
        return worker_link(p->w, to);
    struct buffer *message = worker_compose(p->w);
    struct message_call call = {.token = m->token, .text = slice_of(m->text)};
    struct message_json json = {.text = slice_of(m->text)};
    if (m->token != 0)
        message_call_pack(message, &call);
    else
        message_json_pack(message, &json);
    return worker_send(p->w, to, message);
}

static void port_wait(struct port *p, struct port_waiting *m)
{
    struct port_waiting **at = &p->waiting;
    while (*at != NULL)
        at = &(*at)->next;
    *at = m;
    p->waiting_count++;
    p->waiting_bytes += strlen(m->text);
    worker_monitor(p->w, slice_of(m->to));
}

static void port_wait_no_more(struct port *p, struct port_waiting **at)
{
    p->waiting_count--;
    p->waiting_bytes -= strlen((*at)->text);
    *at = (*at)->next;
}

static void port_tell_answer(struct port *p, const struct port_call *call, const char *key,
                             json_t *value)
{
    port_tell(p, json_pack("{s:s,s:s,s:s,s:o}", "event", "answer", "id", call->id, "from", call->to,
                           key, value));
}

/* Takes the call out of the open ones; NULL when it is none of them. Freed by the caller. */
static struct port_call *port_call_take(struct port *p, uint64_t token)
{
    struct port_call **at = &p->calls;
    while (*at != NULL && (*at)->token != token)
        at = &(*at)->next;
    struct port_call *call = *at;
    if (call != NULL) {
        *at = call->next;
        p->call_count--;
    }
    return call;
}

/* A call has its answer at once; its caller would wait for one that cannot come. */
static void port_undelivered(struct port *p, const struct port_waiting *m, const char *why)
{
    struct port_call *call = m->token != 0 ? port_call_take(p, m->token) : NULL;
    if (call != NULL)
        port_tell_answer(p, call, "error", json_string(why));
    else
        port_undone(p, "cannot send to %s: %s", m->to, why);
    free(call);
}

/* Sends, or keeps it for the other's UP. Takes the memory. */
static void port_deliver(struct port *p, struct port_waiting *m)
{
    struct worker_peer *to = worker_peer_find(p->w, m->to);
    if (to == NULL && p->waiting_count < PORT_WAITING_MAX &&
        p->waiting_bytes + strlen(m->text) <= PORT_WAITING_BYTES) {
        port_wait(p, m);
        return;
    }
    int rc = to != NULL ? port_send_now(p, to, m) : 0;
    if (to == NULL)
        port_undelivered(p, m, "it is not up, and too much waits already for those who are not");
    else if (rc == -ENOBUFS)
        port_undelivered(p, m, "it has not read what it was sent before");
    else if (rc != 0)
        port_undelivered(p, m, uv_strerror(rc));
    free(m);
}

static struct port_waiting *port_message(struct port *p, const char *to, const char *text)
{
    struct port_waiting *m = worker_must_alloc(p->w, sizeof *m + strlen(text) + 1);
    slice_copy(slice_of(to), m->to, sizeof m->to);
    strcpy(m->text, text);
    return m;
}

/* The name in `key`; NULL, the program having been told, when it is none. */
static const char *port_name(struct port *p, const json_t *said, const char *key)
{
    const char *name = port_string(said, key);
    if (name[0] != '\0' && strlen(name) < CONTRACT_NAME_MAX)
        return name;
    port_complain(p, "%s: '%s' must be the name of a worker", key, name);
    return NULL;
}

static char *port_body(struct port *p, const json_t *said)
{
    const json_t *body = json_object_get(said, "body");
    char *text = port_text(body != NULL ? body : json_null());
    if (text == NULL)
        worker_exit_for(p->w, ENOMEM, NULL, "cannot send a message of the program's");
    return text;
}

static void port_act_send(struct port *p, const json_t *said)
{
    const char *to = port_name(p, said, "to");
    if (to == NULL)
        return;
    char *text = port_body(p, said);
    port_deliver(p, port_message(p, to, text));
    free(text);
}

static void port_act_monitor(struct port *p, const json_t *said)
{
    const char *name = port_name(p, said, "name");
    struct worker_peer *peer = name != NULL ? worker_peer_find(p->w, name) : NULL;
    if (name == NULL)
        return;
    worker_monitor(p->w, slice_of(name));
    if (peer != NULL) /* known already: no UP will come */
        port_tell(p, json_pack("{s:s,s:s,s:s,s:I}", "event", "up", "name", peer->name, "type",
                               peer->type, "generation", (json_int_t)peer->generation));
}

static void port_act_link(struct port *p, const json_t *said)
{
    const char *name = port_name(p, said, "name");
    if (name == NULL)
        return;
    struct port_waiting *m = port_message(p, name, "");
    m->link = true;
    port_deliver(p, m);
}

void port_actions_up(struct port *p, struct worker_peer *peer)
{
    for (struct port_waiting **at = &p->waiting, *m; (m = *at) != NULL;) {
        if (strcmp(m->to, peer->name) != 0) {
            at = &m->next;
            continue;
        }
        port_wait_no_more(p, at);
        port_deliver(p, m);
    }
}

/* ---- calls ---- */

/* Ends the calls for which `match` says so, each with this reason. */
static void port_fail_calls(struct port *p, const char *to, uint64_t until_ms, const char *reason)
{
    for (struct port_call **at = &p->calls, *call; (call = *at) != NULL;) {
        bool over = to != NULL ? strcmp(call->to, to) == 0 : call->deadline_ms <= until_ms;
        if (!over) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        p->call_count--;
        json_t *text = json_string(reason);
        port_tell_answer(p, call, "error", text != NULL ? text : json_string("it died"));
        free(call);
    }
}

static void port_act_call(struct port *p, const json_t *said)
{
    const char *to = port_name(p, said, "to"), *id = port_string(said, "id");
    json_int_t wait = json_integer_value(json_object_get(said, "timeout_ms"));
    if (to == NULL)
        return;
    if (id[0] == '\0' || strlen(id) >= PORT_ID_MAX) {
        port_complain(p, "call: needs an id of at most %d letters", PORT_ID_MAX - 1);
        return;
    }
    if (p->call_count == PORT_CALLS_MAX) {
        port_tell(p, json_pack("{s:s,s:s,s:s,s:s}", "event", "answer", "id", id, "from", to,
                               "error", "too many calls wait already for their answers"));
        return;
    }
    struct port_call *call = worker_must_alloc(p->w, sizeof *call);
    call->token = ++p->last_token;
    call->deadline_ms =
        clock_mono_ms() + (uint64_t)(wait > 0 && wait <= PORT_CALL_MAX_MS ? wait : PORT_CALL_MS);
    slice_copy(slice_of(to), call->to, sizeof call->to);
    slice_copy(slice_of(id), call->id, sizeof call->id);
    call->next = p->calls;
    p->calls = call;
    p->call_count++;
    char *text = port_body(p, said);
    struct port_waiting *m = port_message(p, to, text);
    free(text);
    m->token = call->token;
    port_deliver(p, m);
}

void port_actions_answer(struct port *p, const struct message_answer *m)
{
    struct port_call *call = port_call_take(p, m->token);
    if (call != NULL) /* else it is late: the program has been told that it timed out */
        port_tell_answer(p, call, m->failed ? "error" : "body", port_value(m->text));
    free(call);
}

void port_actions_down(struct port *p, const char *name, struct slice reason)
{
    char text[256];
    bool unknown = slice_is(reason, "unknown name");
    slice_copy(slice_make(reason.ptr, reason.len < sizeof text ? reason.len : sizeof text - 1),
               text, sizeof text);
    port_fail_calls(p, name, 0, text);
    for (struct port_waiting **at = &p->waiting, *m; unknown && (m = *at) != NULL;) {
        if (strcmp(m->to, name) != 0) {
            at = &m->next;
            continue;
        }
        port_wait_no_more(p, at);
        port_undone(p, "there is no worker named %s", name);
        free(m);
    }
}

void port_actions_tick(struct port *p)
{
    port_fail_calls(p, NULL, clock_mono_ms(), "timed out");
}

/* ---- answers: to a control client ("id" is a number), or to another actor ("id" is from:token) ---- */

/* Both hear of it: the program, whose fault it is, and who waits for the answer. */
static void port_reply_too_deep(struct port *p, uint64_t id)
{
    port_complain(p, "reply: the body may be nested at most %d levels deep", UNPACK_DEPTH_MAX);
    worker_reply_text(p->w, id, CONTROL_ERROR,
                      "its answer is nested deeper than %d levels: look for its errors in the log",
                      UNPACK_DEPTH_MAX);
}

static void port_reply_client(struct port *p, uint64_t id, const json_t *said, const char *error)
{
    struct buffer body = BUFFER_EMPTY;
    const json_t *value = json_object_get(said, "body");
    if (error != NULL)
        worker_reply_text(p->w, id, CONTROL_ERROR, "%s", error);
    else {
        json_value_pack(&body, value != NULL ? value : json_null());
        if (!buffer_ok(&body))
            worker_reply_text(p->w, id, CONTROL_ERROR, "memory is short");
        else if (!unpack_is_value(buffer_slice(&body)))
            port_reply_too_deep(p, id);
        else
            worker_reply(p->w, id, CONTROL_OK, buffer_slice(&body));
    }
    buffer_fini(&body);
}

static void port_reply_peer(struct port *p, struct worker_peer *to, uint64_t token,
                            const json_t *said, const char *error)
{
    json_t *reason = error != NULL ? json_string(error) : NULL;
    const json_t *body = json_object_get(said, "body");
    char *text = port_text(reason != NULL ? reason : body != NULL ? body : json_null());
    json_decref(reason);
    if (text == NULL)
        worker_exit_for(p->w, ENOMEM, NULL, "cannot send an answer of the program's");
    struct message_answer m = {.token = token, .failed = error != NULL, .text = slice_of(text)};
    struct buffer *message = worker_compose(p->w);
    message_answer_pack(message, &m);
    int rc = worker_send(p->w, to, message);
    if (rc != 0)
        port_undone(p, "cannot answer %s: %s", to->name, uv_strerror(rc));
    free(text);
}

static void port_act_reply(struct port *p, const json_t *said)
{
    const json_t *id = json_object_get(said, "id");
    const char *error = json_string_value(json_object_get(said, "error"));
    const char *text = json_string_value(id);
    const char *colon = text != NULL ? strrchr(text, ':') : NULL;
    if (json_is_integer(id)) {
        port_reply_client(p, (uint64_t)json_integer_value(id), said, error);
        return;
    }
    char name[CONTRACT_NAME_MAX];
    if (colon == NULL || !slice_copy(slice_make(text, (size_t)(colon - text)), name, sizeof name)) {
        port_complain(p, "reply: needs the id of a request");
        return;
    }
    struct worker_peer *to = worker_peer_find(p->w, name);
    if (to != NULL) /* else it is gone, and waits for nothing any more */
        port_reply_peer(p, to, strtoull(colon + 1, NULL, 10), said, error);
}

/* ---- temporary children ---- */

static void port_act_start(struct port *p, const json_t *said)
{
    const char *program = port_string(said, "program"), *id = port_string(said, "id");
    const json_t *argument = json_object_get(said, "argument");
    if (program[0] == '\0' || strlen(program) >= CONTRACT_NAME_MAX || id[0] == '\0' ||
        strlen(id) >= PORT_ID_MAX || (argument != NULL && !json_is_string(argument)) ||
        json_string_length(argument) > CONTRACT_ARGUMENT_MAX) {
        port_complain(p,
                      "start: needs a program, an id of at most %d letters, and, if any, an "
                      "argument that is a text of at most %d bytes",
                      PORT_ID_MAX - 1, CONTRACT_ARGUMENT_MAX);
        return;
    }
    if (p->start_count == PORT_CALLS_MAX) {
        port_tell(p, json_pack("{s:s,s:s,s:s}", "event", "started", "id", id, "error",
                               "too many starts wait already for their answers"));
        return;
    }
    struct port_start *start = worker_must_alloc(p->w, sizeof *start);
    start->token = ++p->last_token;
    slice_copy(slice_of(id), start->id, sizeof start->id);
    start->next = p->starts;
    p->starts = start;
    p->start_count++;
    worker_child_start(p->w, start->token, slice_of(program),
                       slice_make(json_string_value(argument), json_string_length(argument)));
}

void port_actions_started(struct port *p, const struct link_started *m)
{
    for (struct port_start **at = &p->starts, *start; (start = *at) != NULL; at = &start->next) {
        if (start->token != m->id)
            continue;
        *at = start->next;
        p->start_count--;
        if (m->error.len > 0)
            port_tell(p, json_pack("{s:s,s:s,s:s%}", "event", "started", "id", start->id, "error",
                                   m->error.ptr, m->error.len));
        else
            port_tell(p,
                      json_pack("{s:s,s:s,s:s%,s:I}", "event", "started", "id", start->id, "name",
                                m->name.ptr, m->name.len, "generation", (json_int_t)m->generation));
        free(start);
        return;
    }
}

static void port_act_stop(struct port *p, const json_t *said)
{
    const char *name = port_name(p, said, "name");
    if (name != NULL)
        worker_child_stop(p->w, slice_of(name));
}

/* ---- timers ---- */

static void port_timer_on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void port_timer_end(struct port *p, struct port_timer *t)
{
    struct port_timer **at = &p->timers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    p->timer_count--;
    uv_close((uv_handle_t *)&t->timer, port_timer_on_closed);
}

static void port_on_timer(uv_timer_t *timer)
{
    struct port_timer *t = timer->data;
    struct port *p = t->port;
    port_tell(p, json_pack("{s:s,s:s}", "event", "timer", "id", t->id));
    port_timer_end(p, t);
}

static struct port_timer *port_timer_find(struct port *p, const char *id)
{
    struct port_timer *t = p->timers;
    while (t != NULL && strcmp(t->id, id) != 0)
        t = t->next;
    return t;
}

/* {"do":"timer","id":…,"after_ms":…}: once; again with the same id: instead; without after_ms: not at all. */
static void port_act_timer(struct port *p, const json_t *said)
{
    const char *id = port_string(said, "id");
    const json_t *after = json_object_get(said, "after_ms");
    struct port_timer *t = port_timer_find(p, id);
    if (id[0] == '\0' || strlen(id) >= PORT_ID_MAX ||
        (after != NULL && json_integer_value(after) < 0)) {
        port_complain(p, "timer: needs an id of at most %d letters, and after_ms", PORT_ID_MAX - 1);
        return;
    }
    if (after == NULL) {
        if (t != NULL)
            port_timer_end(p, t);
        return;
    }
    if (t == NULL && p->timer_count == PORT_TIMERS_MAX) {
        port_undone(p, "timer: at most %d may run", PORT_TIMERS_MAX);
        return;
    }
    if (t == NULL) {
        t = worker_must_alloc(p->w, sizeof *t);
        t->port = p;
        slice_copy(slice_of(id), t->id, sizeof t->id);
        uv_timer_init(worker_loop(p->w), &t->timer);
        t->timer.data = t;
        t->next = p->timers;
        p->timers = t;
        p->timer_count++;
    }
    uv_timer_start(&t->timer, port_on_timer, (uint64_t)json_integer_value(after), 0);
}

/* ---- telling the tree ---- */

static void port_act_ready(struct port *p, const json_t *said)
{
    (void)said;
    worker_ready(p->w);
}

static void port_act_doing(struct port *p, const json_t *said)
{
    worker_doing(p->w, "%s", port_string(said, "text"));
}

static void port_act_trouble(struct port *p, const json_t *said)
{
    worker_trouble(p->w, "%s", port_string(said, "text"));
}

/* ---- all ---- */

static const struct {
    const char *name;
    void (*act)(struct port *p, const json_t *said);
} port_actions[] = {
    {"send", port_act_send},   {"monitor", port_act_monitor}, {"link", port_act_link},
    {"call", port_act_call},   {"reply", port_act_reply},     {"timer", port_act_timer},
    {"ready", port_act_ready}, {"doing", port_act_doing},     {"trouble", port_act_trouble},
    {"start", port_act_start}, {"stop", port_act_stop},       {"done", port_act_done},
    {"again", port_act_again}, {"bury", port_act_bury},       {"deliver", port_act_deliver},
};

void port_act(struct port *p, const json_t *said)
{
    const char *what = port_string(said, "do");
    for (size_t i = 0; i < sizeof port_actions / sizeof port_actions[0]; i++) {
        if (strcmp(port_actions[i].name, what) == 0) {
            unsigned errors = p->errors;
            port_actions[i].act(p, said);
            if (p->errors == errors)
                p->errors = 0;
            return;
        }
    }
    port_complain(p,
                  "do: '%s' is none of send, monitor, link, call, reply, timer, ready, doing, "
                  "trouble, start, stop, done, again, bury, deliver",
                  what);
}

void port_actions_close(struct port *p)
{
    while (p->timers != NULL)
        port_timer_end(p, p->timers);
    while (p->waiting != NULL) {
        struct port_waiting *m = p->waiting;
        p->waiting = m->next;
        free(m);
    }
    while (p->starts != NULL) {
        struct port_start *start = p->starts;
        p->starts = start->next;
        free(start);
    }
    while (p->calls != NULL) {
        struct port_call *call = p->calls;
        p->calls = call->next;
        free(call);
    }
}
