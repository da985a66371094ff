/* control_ask.c: the verbs that a worker answers: ask, send, signal. */
#include "master/control/control_private.h"

#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "master/config/config_key.h"
#include "master/process/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

/* ---- handing on to workers ---- */

/* A worker is not believed: what it says becomes a status there is, one whole value, and on failure a text. */
static void verb_on_answer(uint64_t status, struct slice body, void *ctx)
{
    struct control_pending *p = ctx;
    enum control_status known = CONTROL_ERROR;
#define X(NAME, code, meaning)                                                                     \
    if (status == code)                                                                            \
        known = CONTROL_##NAME;
    CONTROL_STATUS_LIST(X)
#undef X
    struct unpack u = unpack_start(body);
    bool text = unpack_peek(&u) == UNPACK_STR;
    unpack_raw(&u);
    if (unpack_end(&u) && (known == CONTROL_OK || text))
        control_answer(p->client, p->id, known, body);
    else if (body.len == 0)
        control_answer(p->client, p->id, known, body);
    else
        control_answer_text(p->client, p->id, CONTROL_ERROR,
                            "the answer of %s cannot be read: look for its warnings in the log, or "
                            "platoonctl restart %s",
                            p->worker->name, p->worker->name);
    control_pending_free(p);
}

/* The request to the worker has a deadline of its own. */
static void verb_cancel_request(struct control_pending *p)
{
    process_cancel(p->worker, p);
}

static const struct control_pending_ops verb_request_ops = {.cancel = verb_cancel_request};

static const char *verb_request_error(int rc)
{
    switch (rc) {
    case -ENOTCONN:
        return "it is not ready: see platoonctl status";
    case -EMSGSIZE:
        return "it is too large";
    case -ENOBUFS:
        return "it has too many waiting already: try again";
    default:
        return strerror(rc < 0 ? -rc : rc);
    }
}

static void verb_hand_on(const struct verb_call *v, struct node *n, struct slice verb,
                         const struct slice *list, size_t count)
{
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_bin(&args, list[i]);
    struct control_pending *p = control_wait(v->client, v->request, &verb_request_ops);
    if (p != NULL) {
        p->worker = n;
        int rc = buffer_ok(&args) ? process_request(n, verb, buffer_slice(&args),
                                                    v->request->deadline_ms, verb_on_answer, p)
                                  : -ENOMEM;
        if (rc != 0) {
            control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                                "%s cannot take the request: %s", n->name, verb_request_error(rc));
            control_pending_free(p);
        }
    }
    buffer_fini(&args);
}

/* What a type's workers belong to, in the words of the configuration. */
static const char *verb_belongs_to(enum worker_type type)
{
    static char text[CONFIG_KEY_NAME_MAX];
    enum config_kind kind = worker_type_record(type)->kind;
    snprintf(text, sizeof text, "%s%s", config_kind_name(kind),
             config_kind_heads(kind) == CONFIG_GROUP ? "" : " section");
    return text;
}

struct verb_sections {
    struct buffer text;
    struct text_nearest nearest;
    enum worker_type type;
    const char *last;
};

/* Workers of one section stand together in the tree, so its name is listed once. */
static void verb_add_section(struct node *n, void *ctx)
{
    struct verb_sections *s = ctx;
    if (n->type != s->type || n->section[0] == '\0' ||
        (s->last != NULL && strcmp(s->last, n->section) == 0))
        return;
    buffer_printf(&s->text, "%s%s", s->last != NULL ? ", " : "", n->section);
    text_nearest_offer(&s->nearest, n->section);
    s->last = n->section;
}

static void verb_no_section(const struct verb_call *v, enum worker_type type, struct slice section)
{
    char word[VERB_WORD_SIZE];
    struct verb_sections s = {.nearest = text_nearest_start(section), .type = type};
    tree_each_worker(verb_root(), verb_add_section, &s);
    const char *known = buffer_text(&s.text);
    bool near = s.nearest.best != NULL;
    control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                        "no %s named '%s'%s%s%s There %s: %s", verb_belongs_to(type),
                        verb_word(section, word), near ? ": did you mean '" : ".",
                        near ? s.nearest.best : "", near ? "'?" : "",
                        known != NULL && strchr(known, ',') != NULL ? "are" : "is",
                        known != NULL && known[0] != '\0' ? known : "none");
    buffer_fini(&s.text);
}

/* Why there is nobody to ask: nobody is ready, or there is no such worker at all. */
static void verb_nobody(const struct verb_call *v, struct slice type, struct slice section)
{
    char word[VERB_WORD_SIZE];
    struct node *n = tree_first(verb_root(), type, section);
    if (n != NULL) {
        const char *why = n->trouble[0] != '\0' ? n->trouble : n->last_exit;
        control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                            "%s is %s%s%s. See: platoonctl status %s", n->name,
                            node_state_name(n->state), why[0] != '\0' ? ": " : "", why, n->name);
        return;
    }
    for (size_t i = 0; i < WORKER_TYPE_COUNT; i++) {
        bool titled =
            config_kind_heads(worker_type_record((enum worker_type)i)->kind) != CONFIG_SINGLE;
        if (slice_is(type, worker_type_name((enum worker_type)i)) && titled && section.len > 0) {
            verb_no_section(v, (enum worker_type)i, section);
            return;
        }
    }
    control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                        "the configuration makes no %s worker. See: platoonctl tree",
                        verb_word(type, word));
}

void verb_ask(const struct verb_call *v)
{
    if (v->args->count < 3) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "ask takes: TYPE DRAIN VERB [ARG...]");
        return;
    }
    const struct slice *list = v->args->list;
    struct node *n = tree_first_ready(verb_root(), list[0], list[1]);
    if (n == NULL)
        verb_nobody(v, list[0], list[1]);
    else
        verb_hand_on(v, n, list[2], list + 3, v->args->count - 3);
}

void verb_send(const struct verb_call *v)
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

void verb_trace(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    if (n == NULL)
        return;
    if (n->kind != NODE_WORKER || v->args->count != 4)
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "trace takes: the name of a worker, AFTER, SAMPLE and BYTES");
    else
        verb_hand_on(v, n, slice_of("trace"), v->args->list + 1, 3);
}

/* ---- signals ---- */

/* A command worker hands it on to its program; any other worker is its own program. */
void verb_signal(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    uint64_t number = 0;
    if (n == NULL)
        return;
    bool good = n->kind == NODE_WORKER && v->args->count == 2 &&
                text_parse_u64(v->args->list[1], &number) == 0 && number >= 1 && number <= 64;
    if (!good) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "signal takes: the name of a worker, and a number from 1 to 64");
        return;
    }
    if (worker_type_record(n->type)->runs == WORKER_RUNS_PROGRAM) {
        verb_hand_on(v, n, slice_of("signal"), v->args->list + 1, 1);
        return;
    }
    if (n->process == NULL || kill(process_pid(n->process), (int)number) != 0) {
        control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                            "%s has no process now: see platoonctl status %s", n->name, n->name);
        return;
    }
    log_info("worker-signalled", "name=%s signal=%d", n->name, (int)number);
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 2);
    pack_text(&body, "name");
    pack_text(&body, n->name);
    pack_text(&body, "pid");
    pack_u64(&body, (uint64_t)process_pid(n->process));
    verb_answer_buffer(v, &body);
}
