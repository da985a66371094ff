/*
 * port.c: the port worker: a program in any language as an actor (Erlang/OTP calls it a port). It hears events on its
 * stdin and says actions on its stdout. See port.h.
 *
 * The program is supervised as any other (program_life.c); what it prints on stderr is its log. It is not trusted: what
 * it says wrongly is told to it as an error, what it says too much ends it.
 */
#include "workers/program/port.h"

#include "common/log.h"

static int port_prepare(struct worker *w, void *state)
{
    struct port *p = state;
    p->w = w;
    p->msgpack = strcmp(worker_setting_text(w, "command.port"), "msgpack") == 0;
    program_life_begin(&p->life, w, &p->streams);
    return 0;
}

static void port_add_setting(const char *name, const char *value, void *ctx)
{
    json_t *text = json_string(value);
    json_object_set_new(ctx, name + strlen("own."), text != NULL ? text : json_null());
}

/* The last two are a temporary child's. */
static int port_init(struct worker *w, void *state)
{
    struct port *p = state;
    json_t *settings = json_object();
    worker_setting_each(w, "own.", port_add_setting, settings);
    port_wire_open(p);
    port_tell(p, json_pack("{s:s,s:s,s:I,s:o,s:s*,s:s*}", "event", "hello", "name", worker_name(w),
                           "generation", (json_int_t)worker_generation(w), "settings", settings,
                           "owner", worker_setting(w, "child.owner"), "argument",
                           worker_setting(w, "child.argument")));
    return 0;
}

/* ---- what the tree tells it ---- */

static void port_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    struct port *p = state;
    port_tell(p, json_pack("{s:s,s:s,s:s,s:I}", "event", "up", "name", peer->name, "type",
                           peer->type, "generation", (json_int_t)peer->generation));
    port_actions_up(p, peer);
}

static void port_on_down(struct worker *w, void *state, struct worker_peer *peer,
                         struct slice reason)
{
    (void)w;
    struct port *p = state;
    port_tell(p, json_pack("{s:s,s:s,s:I,s:s%,s:b}", "event", "down", "name", peer->name,
                           "generation", (json_int_t)peer->generation, "reason", reason.ptr,
                           reason.len, "orderly", peer->orderly));
    port_actions_down(p, peer->name, reason);
}

/* It may answer with a link of its own: then both end with each other. */
static void port_on_link(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    port_tell(state, json_pack("{s:s,s:s,s:I}", "event", "link", "name", peer->name, "generation",
                               (json_int_t)peer->generation));
}

/* "from:token" is the id under which the program answers. */
static bool port_on_call(struct port *p, struct worker_peer *from, struct unpack *u)
{
    struct message_call m;
    char id[CONTRACT_NAME_MAX + 24];
    if (!message_call_unpack(u, &m))
        return false;
    snprintf(id, sizeof id, "%s:%llu", from->name, (unsigned long long)m.token);
    port_tell(p, json_pack("{s:s,s:s,s:s,s:o}", "event", "request", "id", id, "from", from->name,
                           "body", port_value(m.text)));
    return true;
}

static bool port_on_json(struct port *p, struct worker_peer *from, struct unpack *u)
{
    struct message_json m;
    if (!message_json_unpack(u, &m))
        return false;
    port_tell(p, json_pack("{s:s,s:s,s:o}", "event", "message", "from", from->name, "body",
                           port_value(m.text)));
    return true;
}

static bool port_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                            struct unpack *u)
{
    (void)w;
    struct port *p = state;
    struct message_answer answer;
    switch (type) {
    case MESSAGE_JSON:
        return port_on_json(p, from, u);
    case MESSAGE_CALL:
        return port_on_call(p, from, u);
    case MESSAGE_ANSWER:
        if (!message_answer_unpack(u, &answer))
            return false;
        port_actions_answer(p, &answer);
        return true;
    default:
        return false;
    }
}

/* `platoonctl send NAME JSON`; the id is a number. */
static void port_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct port *p = state;
    struct unpack u = unpack_start(request->args);
    if (program_life_answer(&p->life, request))
        return;
    bool one = slice_is(request->verb, "json") && unpack_array(&u) == 1;
    struct slice text = unpack_bytes(&u);
    if (!one || !unpack_end(&u)) {
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "it understands: send JSON, signal NUMBER");
        return;
    }
    port_tell(p,
              json_pack("{s:s,s:I,s:I,s:o}", "event", "request", "id", (json_int_t)request->id,
                        "deadline_ms", (json_int_t)request->deadline_ms, "body", port_value(text)));
}

static void port_on_started(struct worker *w, void *state, const struct link_started *m)
{
    (void)w;
    port_actions_started(state, m);
}

/* ---- life ---- */

static void port_on_tick(struct worker *w, void *state)
{
    (void)w;
    struct port *p = state;
    program_life_tick(&p->life);
    port_actions_tick(p);
    port_wire_tick(p);
}

/* It is told, and then sent its stop signal: one that reads may finish before it looks at signals. */
static void port_drain(struct worker *w, void *state)
{
    (void)w;
    struct port *p = state;
    port_tell(p, json_pack("{s:s}", "event", "stop"));
    port_flush(p);
    program_life_stop(&p->life);
}

static void port_fini(struct worker *w, void *state)
{
    (void)w;
    struct port *p = state;
    port_actions_close(p);
    port_queue_close(p);
    port_wire_close(p);
    program_life_end(&p->life);
}

const struct worker_ops worker_ops = {
    .type = "port",
    .mailbox = &worker_mailbox,
    .tasks = &worker_tasks,
    .state_size = sizeof(struct port),
    .prepare = port_prepare,
    .init = port_init,
    .on_up = port_on_up,
    .on_down = port_on_down,
    .on_link = port_on_link,
    .on_message = port_on_message,
    .on_task = port_on_task,
    .on_lost = port_on_lost,
    .on_delivered = port_on_delivered,
    .on_published = port_on_published,
    .on_request = port_on_request,
    .on_started = port_on_started,
    .on_tick = port_on_tick,
    .drain = port_drain,
    .fini = port_fini,
};
