/*
 * control_verbs.c: what each of the master's verbs does. See proto/control.h, CONTROL_MASTER_VERB_LIST.
 *
 * One handler a verb, found through the list: a verb without a handler does not compile.
 */
#include "master/control_private.h"

#include "common/clock.h"
#include "common/pack.h"
#include "master/worker_process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct verb_call {
    struct control_client *client;
    const struct control_request *request;
    const struct control_args *args;
};

static struct node *verb_root(void)
{
    return control_master()->root;
}

static void verb_answer_buffer(const struct verb_call *v, struct buffer *body)
{
    if (buffer_ok(body))
        control_answer(v->client, v->request->id, CONTROL_OK, buffer_slice(body));
    else
        control_answer_text(v->client, v->request->id, CONTROL_ERROR, "memory is short");
    buffer_fini(body);
}

/* ---- names ---- */

static void verb_unknown_name(const struct verb_call *v, struct slice name)
{
    const char *nearest = tree_nearest(verb_root(), name);
    if (nearest != NULL)
        control_answer_text(
            v->client, v->request->id, CONTROL_NO_NAME,
            "no worker or branch named '%.*s': did you mean '%s'? See: platoonctl tree",
            (int)name.len, name.ptr, nearest);
    else
        control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                            "no worker or branch named '%.*s': see: platoonctl tree", (int)name.len,
                            name.ptr);
}

/* The node the first argument names; NULL, the client having been told. */
static struct node *verb_node(const struct verb_call *v)
{
    if (v->args->count < 1) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "%.*s needs the name of a worker or branch", (int)v->request->verb.len,
                            v->request->verb.ptr);
        return NULL;
    }
    struct node *n = tree_find(verb_root(), v->args->list[0]);
    if (n == NULL)
        verb_unknown_name(v, v->args->list[0]);
    return n;
}

/* ---- looking ---- */

static void verb_tree(const struct verb_call *v)
{
    struct buffer body = BUFFER_EMPTY;
    node_pack(&body, verb_root(), clock_mono_ms(), 0);
    verb_answer_buffer(v, &body);
}

static void verb_status(const struct verb_call *v)
{
    struct node *n = v->args->count == 0 ? verb_root() : verb_node(v);
    if (n == NULL)
        return;
    struct buffer body = BUFFER_EMPTY, problems = BUFFER_EMPTY;
    uint64_t now = clock_mono_ms();
    node_pack_problems(&problems, n, now);
    struct unpack u = unpack_start(buffer_slice(&problems));
    node_pack(&body, n, now, 2);
    pack_text(&body, "ready");
    pack_bool(&body, unpack_array(&u) == 0);
    pack_text(&body, "problems");
    pack_raw(&body, buffer_slice(&problems));
    body.failed = body.failed || problems.failed;
    buffer_fini(&problems);
    verb_answer_buffer(v, &body);
}

static void verb_version(const struct verb_call *v)
{
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 4);
    pack_text(&body, "version");
    pack_text(&body, PLATOON_VERSION);
    pack_text(&body, "control_version");
    pack_u64(&body, CONTROL_VERSION);
    pack_text(&body, "pid");
    pack_u64(&body, (uint64_t)getpid());
    pack_text(&body, "uptime_ms");
    pack_u64(&body, clock_mono_ms() - control_master()->started_ms);
    verb_answer_buffer(v, &body);
}

/* ---- acting, and waiting for it ---- */

static bool verb_is_up(const struct node *n)
{
    return node_is_ready(n) && !supervisor_is_restarting(n);
}

static bool verb_is_down(const struct node *n)
{
    return node_is_stopped(n);
}

static bool verb_never(const struct node *n)
{
    (void)n;
    return false;
}

static void verb_wait_for(const struct verb_call *v, struct node *n,
                          bool (*done)(const struct node *n))
{
    struct control_pending *p = control_wait(v->client, v->request);
    if (p == NULL)
        return;
    p->node = n;
    p->done = done;
    control_pending_look(p);
}

void control_pending_look(struct control_pending *p)
{
    if (p->done == NULL || !p->done(p->node))
        return;
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 2);
    pack_text(&body, "name");
    pack_text(&body, p->node->name);
    pack_text(&body, "ready");
    pack_bool(&body, node_is_ready(p->node));
    if (buffer_ok(&body))
        control_answer(p->client, p->id, CONTROL_OK, buffer_slice(&body));
    buffer_fini(&body);
    control_pending_free(p);
}

/* The first problem names what holds it up. */
void control_pending_late(struct control_pending *p)
{
    if (p->worker != NULL)
        return; /* the request to the worker has a deadline of its own */
    struct buffer problems = BUFFER_EMPTY;
    node_pack_problems(&problems, p->node, clock_mono_ms());
    struct unpack u = unpack_start(buffer_slice(&problems));
    uint32_t count = unpack_array(&u);
    struct slice first = count > 0 ? unpack_str(&u) : slice_of("it is still stopping");
    control_answer_text(p->client, p->id, CONTROL_TIMEOUT, "timed out: %.*s", (int)first.len,
                        first.ptr);
    buffer_fini(&problems);
    control_pending_free(p);
}

static void verb_start(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    if (n == NULL)
        return;
    supervisor_start(n);
    verb_wait_for(v, n, verb_is_up);
}

static void verb_stop(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    if (n == NULL)
        return;
    supervisor_stop(n);
    verb_wait_for(v, n, verb_is_down);
}

static void verb_restart(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    if (n == NULL)
        return;
    supervisor_restart(n);
    verb_wait_for(v, n, verb_is_up);
}

static void verb_wait(const struct verb_call *v)
{
    if (v->args->count != 1 || !slice_is(v->args->list[0], "ready")) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE, "wait takes: ready");
        return;
    }
    verb_wait_for(v, verb_root(), verb_is_up);
}

static void verb_shutdown(const struct verb_call *v)
{
    master_shutdown(control_master());
    verb_wait_for(v, verb_root(), verb_is_down);
}

/* ---- handing on to workers ---- */

static void verb_on_answer(uint64_t status, struct slice body, void *ctx)
{
    struct control_pending *p = ctx;
    struct unpack u = unpack_start(body);
    unpack_raw(&u);
    if (unpack_end(&u) || body.len == 0)
        control_answer(p->client, p->id, (enum control_status)status, body);
    else
        control_answer_text(p->client, p->id, CONTROL_ERROR,
                            "the worker's answer cannot be read: see platoonctl status");
    control_pending_free(p);
}

static void verb_hand_on(const struct verb_call *v, struct node *n, struct slice verb,
                         const struct slice *list, size_t count)
{
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_bin(&args, list[i]);
    struct control_pending *p = buffer_ok(&args) ? control_wait(v->client, v->request) : NULL;
    if (p != NULL) {
        p->worker = n;
        p->done = verb_never;
        int rc = worker_process_request(n, verb, buffer_slice(&args), v->request->deadline_ms,
                                        verb_on_answer, p);
        if (rc != 0) {
            control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                                "%s cannot take the request: %s", n->name,
                                rc == -ENOTCONN ? "it is not ready: see platoonctl status"
                                                : strerror(rc < 0 ? -rc : rc));
            control_pending_free(p);
        }
    }
    buffer_fini(&args);
}

struct verb_names {
    struct buffer text;
    struct slice type;
};

static const char *const verb_types[] = {
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = type,
    WORKER_TYPE_LIST(X)
#undef X
};

static void verb_add_section(struct node *n, void *ctx)
{
    struct verb_names *names = ctx;
    if (slice_is(names->type, verb_types[n->type]))
        buffer_printf(&names->text, "%s%s", names->text.len > 0 ? ", " : "", n->section);
}

/* Why there is nobody to ask: no such name, or nobody ready. */
static void verb_nobody(const struct verb_call *v, struct slice type, struct slice section)
{
    struct node *n = tree_first(verb_root(), type, section);
    if (n != NULL) {
        control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                            "%s is %s%s%s: see platoonctl status %s", n->name,
                            node_state_name(n->state), n->last_exit[0] != '\0' ? ": " : "",
                            n->last_exit, n->name);
        return;
    }
    struct verb_names names = {.type = type};
    tree_each_worker(verb_root(), verb_add_section, &names);
    const char *known = buffer_text(&names.text);
    control_answer_text(v->client, v->request->id, CONTROL_NO_NAME, "there is no '%.*s'%s%s",
                        (int)section.len, section.ptr,
                        known != NULL && known[0] != '\0' ? "; did you mean: " : "",
                        known != NULL ? known : "");
    buffer_fini(&names.text);
}

static void verb_ask(const struct verb_call *v)
{
    if (v->args->count < 3) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "ask takes: TYPE SECTION VERB [ARG...]");
        return;
    }
    const struct slice *list = v->args->list;
    struct node *n = tree_first_ready(verb_root(), list[0], list[1]);
    if (n == NULL)
        verb_nobody(v, list[0], list[1]);
    else
        verb_hand_on(v, n, list[2], list + 3, v->args->count - 3);
}

static void verb_send(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    if (n == NULL)
        return;
    if (n->kind != NODE_WORKER || v->args->count != 2)
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "send takes: the name of a worker, and one JSON value");
    else
        verb_hand_on(v, n, slice_of("json"), v->args->list + 1, 1);
}

/* ---- dispatch ---- */

#define X_HANDLER_TREE     verb_tree
#define X_HANDLER_STATUS   verb_status
#define X_HANDLER_START    verb_start
#define X_HANDLER_STOP     verb_stop
#define X_HANDLER_RESTART  verb_restart
#define X_HANDLER_ASK      verb_ask
#define X_HANDLER_SEND     verb_send
#define X_HANDLER_WAIT     verb_wait
#define X_HANDLER_SHUTDOWN verb_shutdown
#define X_HANDLER_VERSION  verb_version

static const struct {
    const char *name;
    void (*handle)(const struct verb_call *v);
} verbs[] = {
#define X(NAME, verb, args, answer) {verb, X_HANDLER_##NAME},
    CONTROL_MASTER_VERB_LIST(X)
#undef X
};

void control_verb(struct control_client *client, const struct control_request *request,
                  const struct control_args *args)
{
    struct verb_call v = {client, request, args};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (slice_is(request->verb, verbs[i].name)) {
            verbs[i].handle(&v);
            return;
        }
    }
    control_answer_text(client, request->id, CONTROL_USAGE,
                        "the master does not know the verb '%.*s': see platoonctl --help",
                        (int)(request->verb.len < 64 ? request->verb.len : 64), request->verb.ptr);
}
