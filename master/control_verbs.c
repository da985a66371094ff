/*
 * control_verbs.c: what each of the master's verbs does. See proto/control.h, CONTROL_MASTER_VERB_LIST.
 *
 * One handler a verb, found through the list: a verb without a handler does not compile.
 */
#include "master/control_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "master/crash.h"
#include "master/logs.h"
#include "master/worker_process.h"

#include <errno.h>
#include <signal.h>
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
    control_answer_buffer(v->client, v->request->id, CONTROL_OK, body);
}

#define VERB_WORD_SIZE (CONTRACT_NAME_MAX + 4)

/* A client's word as it may stand in an answer: cut where no name is longer, nothing in it that a terminal obeys. */
static const char *verb_word(struct slice word, char text[VERB_WORD_SIZE])
{
    size_t len = word.len < CONTRACT_NAME_MAX ? word.len : CONTRACT_NAME_MAX;
    for (size_t i = 0; i < len; i++)
        text[i] = word.ptr[i] >= ' ' && word.ptr[i] <= '~' ? word.ptr[i] : '?';
    strcpy(text + len, len < word.len ? "..." : "");
    return text;
}

/* ---- names ---- */

static void verb_unknown_name(const struct verb_call *v, struct slice name)
{
    char word[VERB_WORD_SIZE];
    const char *nearest = tree_nearest(verb_root(), name);
    if (nearest != NULL)
        control_answer_text(
            v->client, v->request->id, CONTROL_NO_NAME,
            "no worker or branch named '%s': did you mean '%s'? See: platoonctl tree",
            verb_word(name, word), nearest);
    else
        control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                            "no worker or branch named '%s'. See: platoonctl tree",
                            verb_word(name, word));
}

/* The node the first argument names; NULL, the client having been told. */
static struct node *verb_node(const struct verb_call *v)
{
    if (v->args->count < 1) {
        char word[VERB_WORD_SIZE];
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "%s needs the name of a worker or branch",
                            verb_word(v->request->verb, word));
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
    control_answer_buffer(p->client, p->id, CONTROL_OK, &body);
    control_pending_free(p);
}

#define VERB_LATE_MAX 8 /* workers named in the answer */

struct verb_late {
    struct buffer text;
    bool (*done)(const struct node *n);
    size_t count;
};

static void verb_add_late(struct node *worker, void *ctx)
{
    struct verb_late *late = ctx;
    if (late->done(worker) || ++late->count > VERB_LATE_MAX)
        return;
    const char *why = worker->trouble[0] != '\0' ? worker->trouble : worker->last_exit;
    buffer_printf(&late->text, "%s%s is %s%s%s%s", late->count > 1 ? ", " : "", worker->name,
                  node_state_name(worker->state), why[0] != '\0' ? " (" : "", why,
                  why[0] != '\0' ? ")" : "");
}

static void verb_logs_answer(struct control_pending *p, bool late);

void control_pending_late(struct control_pending *p)
{
    if (p->worker != NULL)
        return; /* the request to the worker has a deadline of its own */
    if (p->logs) {
        verb_logs_answer(p, true);
        return;
    }
    struct verb_late late = {.done = p->done};
    struct buffer body = BUFFER_EMPTY;
    buffer_append_text(&late.text, "timed out: ");
    tree_each_worker(p->node, verb_add_late, &late);
    if (late.count > VERB_LATE_MAX)
        buffer_printf(&late.text, ", and %zu more", late.count - VERB_LATE_MAX);
    buffer_append_text(&late.text, ". It goes on: platoonctl status");
    pack_str(&body, buffer_slice(&late.text));
    body.failed = body.failed || late.text.failed;
    buffer_fini(&late.text);
    control_answer_buffer(p->client, p->id, CONTROL_TIMEOUT, &body);
    control_pending_free(p);
}

/* True, the client having been told, when nothing may be started any more. */
static bool verb_too_late(const struct verb_call *v)
{
    if (control_master()->stopping)
        control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                            "the master is stopping: it starts nothing any more");
    return control_master()->stopping;
}

static void verb_start(const struct verb_call *v)
{
    struct node *n = verb_node(v);
    if (n == NULL || verb_too_late(v))
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
    if (n == NULL || verb_too_late(v))
        return;
    supervisor_restart(n);
    verb_wait_for(v, n, verb_is_up);
}

static void verb_wait(const struct verb_call *v)
{
    const struct slice *what = v->args->count > 0 ? &v->args->list[v->args->count - 1] : NULL;
    bool ready = what != NULL && slice_is(*what, "ready");
    if (v->args->count > 2 || (!ready && (what == NULL || !slice_is(*what, "stopped")))) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "wait takes: [NAME] ready, or [NAME] stopped");
        return;
    }
    struct node *n = v->args->count == 2 ? verb_node(v) : verb_root();
    if (n != NULL)
        verb_wait_for(v, n, ready ? verb_is_up : verb_is_down);
}

static void verb_shutdown(const struct verb_call *v)
{
    master_shutdown(control_master());
    verb_wait_for(v, verb_root(), verb_is_down);
}

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
    struct control_pending *p = control_wait(v->client, v->request);
    if (p != NULL) {
        p->worker = n;
        p->done = verb_never;
        int rc = buffer_ok(&args)
                     ? worker_process_request(n, verb, buffer_slice(&args), v->request->deadline_ms,
                                              verb_on_answer, p)
                     : -ENOMEM;
        if (rc != 0) {
            control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                                "%s cannot take the request: %s", n->name, verb_request_error(rc));
            control_pending_free(p);
        }
    }
    buffer_fini(&args);
}

/* What a type's workers belong to, in the words of the configuration; NULL when they belong to nothing one could name. */
static const struct {
    const char *type, *section;
} verb_types[] = {
#define VERB_SECTION_EMBEDDED                "redis section"
#define VERB_SECTION_REDIS                   "redis section"
#define VERB_SECTION_DRAIN                   "drain"
#define VERB_SECTION_ONCE                    NULL
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = {type, VERB_SECTION_##PLACE},
    WORKER_TYPE_LIST(X)
#undef X
};

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
                        "no %s named '%s'%s%s%s There %s: %s", verb_types[type].section,
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
        if (slice_is(type, verb_types[i].type) && verb_types[i].section != NULL &&
            section.len > 0) {
            verb_no_section(v, (enum worker_type)i, section);
            return;
        }
    }
    control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                        "the configuration makes no %s worker. See: platoonctl tree",
                        verb_word(type, word));
}

static void verb_ask(const struct verb_call *v)
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

/* ---- signals ---- */

/* A command worker hands it on to its program; any other worker is its own program. */
static void verb_signal(const struct verb_call *v)
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
    if (n->type == WORKER_TYPE_COMMAND) {
        verb_hand_on(v, n, slice_of("signal"), v->args->list + 1, 1);
        return;
    }
    if (n->process == NULL || kill(worker_process_pid(n->process), (int)number) != 0) {
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
    pack_u64(&body, (uint64_t)worker_process_pid(n->process));
    verb_answer_buffer(v, &body);
}

/* ---- logs ---- */

#define VERB_LOGS_MAX 1000 /* lines in one answer: 2 MB at most */

/* Packs the answer; how many lines it has. */
static size_t verb_logs_pack(struct buffer *body, struct slice name, uint64_t limit, uint64_t after)
{
    struct buffer lines = BUFFER_EMPTY;
    uint64_t last;
    size_t count = logs_pack(&lines, name, after, limit, &last);
    pack_map(body, 2);
    pack_text(body, "last");
    pack_u64(body, last);
    pack_text(body, "lines");
    pack_raw(body, buffer_slice(&lines));
    body->failed = body->failed || lines.failed;
    buffer_fini(&lines);
    return count;
}

static void verb_logs_answer(struct control_pending *p, bool late)
{
    struct buffer body = BUFFER_EMPTY;
    if (verb_logs_pack(&body, slice_of(p->logs_name), p->logs_limit, p->logs_after) == 0 && !late) {
        buffer_fini(&body);
        return;
    }
    control_answer_buffer(p->client, p->id, CONTROL_OK, &body);
    control_pending_free(p);
}

void control_pending_look_logs(struct control_pending *p)
{
    if (p->logs)
        verb_logs_answer(p, false);
}

/* A name without * or ? must be one of the tree: else a typing error would look like silence. */
static void verb_logs(const struct verb_call *v)
{
    const struct slice *list = v->args->list;
    uint64_t limit = 0, after = 0;
    bool good = (v->args->count == 2 || v->args->count == 3) && list[0].len < CONTRACT_NAME_MAX &&
                text_parse_u64(list[1], &limit) == 0 && limit >= 1 && limit <= VERB_LOGS_MAX &&
                (v->args->count == 2 || text_parse_u64(list[2], &after) == 0);
    if (!good) {
        control_answer_text(
            v->client, v->request->id, CONTROL_USAGE,
            "logs takes: NAME, a number of lines from 1 to %d, and the number of a line",
            VERB_LOGS_MAX);
        return;
    }
    bool pattern = memchr(list[0].ptr, '*', list[0].len) != NULL ||
                   memchr(list[0].ptr, '?', list[0].len) != NULL;
    if (!pattern && tree_find(verb_root(), list[0]) == NULL) {
        verb_unknown_name(v, list[0]);
        return;
    }
    if (v->args->count == 2) {
        struct buffer body = BUFFER_EMPTY;
        verb_logs_pack(&body, list[0], limit, 0);
        verb_answer_buffer(v, &body);
        return;
    }
    struct control_pending *p = control_wait(v->client, v->request);
    if (p == NULL)
        return;
    p->logs = true;
    p->logs_limit = limit;
    p->logs_after = after;
    slice_copy(list[0], p->logs_name, sizeof p->logs_name);
    verb_logs_answer(p, false);
}

/* ---- crash reports ---- */

#define VERB_CRASHES_MAX 200

static void verb_crashes(const struct verb_call *v)
{
    if (v->args->count != 1) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE, "crashes takes: NAME");
        return;
    }
    struct buffer body = BUFFER_EMPTY, text = BUFFER_EMPTY;
    struct slice name = v->args->list[0];
    pack_map(&body, 2);
    pack_text(&body, "reports");
    size_t count = crash_list(&body, name, VERB_CRASHES_MAX);
    if (count == 0 && name.len > 0 && tree_find(verb_root(), name) == NULL) {
        buffer_fini(&body);
        verb_unknown_name(v, name);
        return;
    }
    pack_text(&body, "newest");
    if (name.len == 0 || !crash_show(&text, name))
        buffer_clear(&text);
    pack_bin(&body, buffer_slice(&text));
    buffer_fini(&text);
    verb_answer_buffer(v, &body);
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
#define X_HANDLER_SIGNAL   verb_signal
#define X_HANDLER_CRASHES  verb_crashes
#define X_HANDLER_LOGS     verb_logs
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
    char word[VERB_WORD_SIZE];
    control_answer_text(client, request->id, CONTROL_USAGE,
                        "the master does not know the verb '%s': see platoonctl --help",
                        verb_word(request->verb, word));
}
