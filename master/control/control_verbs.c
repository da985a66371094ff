/*
 * control_verbs.c: the table above all verbs of the master, and those that only look. See proto/control.h,
 * CONTROL_MASTER_VERB_LIST.
 *
 * One handler a verb, found through the list: a verb without a handler does not compile.
 */
#include "master/control/control_private.h"

#include "common/clock.h"
#include "common/pack.h"
#include "master/process/tree_picture.h"

#include <unistd.h>

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
    node_pack(&body, n, now, 2);
    pack_text(&body, "ready");
    pack_bool(&body, node_is_ready(n));
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
