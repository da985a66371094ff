/*
 * control_verbs.c: what each of the master's verbs does. See proto/control.h, CONTROL_MASTER_VERB_LIST.
 *
 * One handler a verb, found through the list: a verb without a handler does not compile.
 */
#include "master/control/control_private.h"

#include "common/clock.h"
#include "common/pack.h"

#include <unistd.h>

struct node *verb_root(void)
{
    return control_master()->root;
}

void verb_answer_buffer(const struct verb_call *v, struct buffer *body)
{
    control_answer_buffer(v->client, v->request->id, CONTROL_OK, body);
}

const char *verb_word(struct slice word, char text[VERB_WORD_SIZE])
{
    size_t len = word.len < CONTRACT_NAME_MAX ? word.len : CONTRACT_NAME_MAX;
    for (size_t i = 0; i < len; i++)
        text[i] = word.ptr[i] >= ' ' && word.ptr[i] <= '~' ? word.ptr[i] : '?';
    strcpy(text + len, len < word.len ? "..." : "");
    return text;
}

/* ---- names ---- */

void verb_unknown_name(const struct verb_call *v, struct slice name)
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

struct node *verb_node(const struct verb_call *v)
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

bool verb_is_pattern(struct slice name)
{
    return memchr(name.ptr, '*', name.len) != NULL || memchr(name.ptr, '?', name.len) != NULL;
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
    pack_map(&body, 5);
    pack_text(&body, "upgrades");
    pack_u64(&body, control_master()->upgrades);
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

/* ---- dispatch ---- */

#define X_HANDLER_TREE     verb_tree
#define X_HANDLER_STATUS   verb_status
#define X_HANDLER_START    verb_start
#define X_HANDLER_STOP     verb_stop
#define X_HANDLER_RESTART  verb_restart
#define X_HANDLER_RELOAD   verb_reload
#define X_HANDLER_SCALE    verb_scale
#define X_HANDLER_LEVEL    verb_level
#define X_HANDLER_UPGRADE  verb_upgrade
#define X_HANDLER_ASK      verb_ask
#define X_HANDLER_SEND     verb_send
#define X_HANDLER_WAIT     verb_wait
#define X_HANDLER_SHUTDOWN verb_shutdown
#define X_HANDLER_TRACE    verb_trace
#define X_HANDLER_SIGNAL   verb_signal
#define X_HANDLER_CRASHES  verb_crashes
#define X_HANDLER_EVENTS   verb_events
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
