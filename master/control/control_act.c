/*
 * control_act.c: the verbs that change what is wanted, and wait until it is so: start, stop, restart, wait,
 * reload, scale, shutdown.
 */
#include "master/control/control_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "master/logs/logs.h"
#include "master/reload.h"
#include "master/tree/tree_match.h"
#include "master/shutdown.h"
#include "master/upgrade/upgrade.h"
#include "master/process/process.h"
#include "master/process/tree_picture.h"

#include <stdio.h>

/* ---- conditions ---- */

static bool verb_is_up(const struct node *n)
{
    return node_is_ready(n) && !supervisor_is_restarting(n);
}

static bool verb_is_down(const struct node *n)
{
    return node_is_stopped(n);
}

static bool verb_is_merged(const struct node *n)
{
    return !supervisor_is_merging(n);
}

/* ---- whom it is about: a node with all below it, or the workers a pattern matches ---- */

struct verb_target {
    struct node *node;   /* the root for a pattern */
    const char *pattern; /* "" for none */
};

struct verb_matches {
    const char *pattern;
    void (*fn)(struct node *n);
    bool (*done)(const struct node *n);
    size_t count, undone;
};

static void verb_look_match(struct node *worker, void *ctx)
{
    struct verb_matches *m = ctx;
    if (!tree_name_matches(worker->name, m->pattern))
        return;
    m->count++;
    m->undone += m->done != NULL && !m->done(worker);
    if (m->fn != NULL)
        m->fn(worker);
}

static bool verb_is_done(const struct control_pending *p)
{
    if (p->pattern[0] == '\0')
        return p->done(p->node);
    struct verb_matches m = {.pattern = p->pattern, .done = p->done};
    tree_each_worker(p->node, verb_look_match, &m);
    return m.undone == 0;
}

/* The target argument `at` names; false, the client having been told. `text` holds a pattern. */
static bool verb_find_target(const struct verb_call *v, struct verb_target *t,
                             char text[CONTRACT_NAME_MAX])
{
    struct slice name = v->args->count > 0 ? v->args->list[0] : slice_make(NULL, 0);
    *t = (struct verb_target){.node = verb_root(), .pattern = ""};
    if (!verb_is_pattern(name)) {
        t->node = verb_node(v);
        return t->node != NULL;
    }
    struct verb_matches m = {.pattern = text};
    if (slice_copy(name, text, CONTRACT_NAME_MAX))
        tree_each_worker(t->node, verb_look_match, &m);
    t->pattern = text;
    if (m.count == 0) {
        char word[VERB_WORD_SIZE];
        control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                            "no worker matches '%s'. See: platoonctl tree", verb_word(name, word));
    }
    return m.count > 0;
}

static void verb_order(const struct verb_target *t, void (*order)(struct node *n))
{
    struct verb_matches m = {.pattern = t->pattern, .fn = order};
    if (t->pattern[0] == '\0')
        order(t->node);
    else
        tree_each_worker(t->node, verb_look_match, &m);
}

/* ---- waiting ---- */

struct verb_hopeless {
    const char *pattern;
    bool merged; /* of what the last reload has changed */
    const struct node *first;
};

static void verb_look_hopeless(struct node *worker, void *ctx)
{
    struct verb_hopeless *h = ctx;
    bool ours =
        h->merged ? worker->change != NODE_UNCHANGED : tree_name_matches(worker->name, h->pattern);
    if (h->first == NULL && ours)
        h->first = node_hopeless(worker);
}

/* Who waits for READY is told at once that it cannot come true any more. True: it has been. */
static bool verb_give_up(struct control_pending *p)
{
    struct verb_hopeless h = {.pattern = p->pattern, .merged = p->done == verb_is_merged};
    char text[1024];
    if (p->done == verb_is_up || h.merged)
        tree_each_worker(p->node, verb_look_hopeless, &h);
    if (h.first == NULL || !node_problem(h.first, clock_mono_ms(), text, sizeof text))
        return false;
    control_answer_text(p->client, p->id, CONTROL_ERROR, "%sit will not be ready: %s",
                        h.merged ? "it is applied, but " : "", text);
    control_pending_free(p);
    return true;
}

static void verb_condition_look(struct control_pending *p)
{
    if (verb_give_up(p) || !verb_is_done(p))
        return;
    if (p->body.len == 0) {
        pack_map(&p->body, 2);
        pack_text(&p->body, "name");
        pack_text(&p->body, p->pattern[0] != '\0' ? p->pattern : p->node->name);
        pack_text(&p->body, "ready");
        pack_bool(&p->body, p->done != verb_is_down);
    }
    control_answer_buffer(p->client, p->id, CONTROL_OK, &p->body);
    control_pending_free(p);
}

static void verb_condition_gone(struct control_pending *p)
{
    if (p->done == verb_is_down) {
        verb_condition_look(p);
        return;
    }
    control_answer_text(p->client, p->id, CONTROL_NO_NAME, "%s is no longer in the configuration",
                        p->node->name);
    control_pending_free(p);
}

#define VERB_LATE_MAX 8 /* workers named in the answer */

struct verb_late {
    struct buffer text;
    const char *pattern;
    bool (*done)(const struct node *n);
    size_t count;
};

/*
 * What keeps it from being READY (`up`) or gone, and why. Its state alone can be the one that is waited for: of one
 * that is READY again and again, or has yet to be stopped for its restart.
 */
static void verb_say_late(struct buffer *out, const struct node *n, bool up)
{
    bool ready = up && n->state == NODE_READY, dies = up && n->unstable;
    const char *why = n->trouble;
    char what[32];
    snprintf(what, sizeof what, "is %s", node_state_name(n->state));
    if (dies)
        strcpy(what, "is unstable");
    else if (ready && n->cycle != NULL)
        strcpy(what, "has yet to be stopped");
    else if (ready && why[0] != '\0')
        strcpy(what, "has trouble");
    if (dies || (why[0] == '\0' && up && !ready && n->state != NODE_DRAINING))
        why = n->last_exit;
    buffer_printf(out, why[0] != '\0' ? "%s %s (%s)" : "%s %s", n->name, what, why);
}

static void verb_add_late(struct node *worker, void *ctx)
{
    struct verb_late *late = ctx;
    if (!tree_name_matches(worker->name, late->pattern) || late->done(worker) ||
        ++late->count > VERB_LATE_MAX)
        return;
    if (late->count > 1)
        buffer_append_text(&late->text, ", ");
    verb_say_late(&late->text, worker, late->done != verb_is_down);
}

static void verb_condition_late(struct control_pending *p)
{
    struct verb_late late = {.done = p->done, .pattern = p->pattern};
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

static const struct control_pending_ops verb_condition_ops = {
    .look = verb_condition_look, .gone = verb_condition_gone, .late = verb_condition_late};

static void verb_wait_for(const struct verb_call *v, const struct verb_target *t,
                          bool (*done)(const struct node *n))
{
    struct control_pending *p = control_wait(v->client, v->request, &verb_condition_ops);
    if (p == NULL)
        return;
    p->node = t->node;
    strcpy(p->pattern, t->pattern);
    p->done = done;
    verb_condition_look(p);
}

/* ---- orders ---- */

/* True, the client having been told, when nothing may be started any more. */
static bool verb_too_late(const struct verb_call *v)
{
    if (control_master()->stopping)
        control_answer_text(v->client, v->request->id, CONTROL_ERROR,
                            "the master is stopping: it starts nothing any more");
    return control_master()->stopping;
}

static void verb_act(const struct verb_call *v, void (*order)(struct node *n),
                     bool (*done)(const struct node *n))
{
    struct verb_target t;
    char pattern[CONTRACT_NAME_MAX];
    if (!verb_find_target(v, &t, pattern) || (done == verb_is_up && verb_too_late(v)))
        return;
    verb_order(&t, order);
    verb_wait_for(v, &t, done);
}

void verb_start(const struct verb_call *v)
{
    verb_act(v, supervisor_start, verb_is_up);
}

void verb_stop(const struct verb_call *v)
{
    verb_act(v, supervisor_stop, verb_is_down);
}

void verb_restart(const struct verb_call *v)
{
    verb_act(v, supervisor_restart, verb_is_up);
}

void verb_wait(const struct verb_call *v)
{
    const struct slice *what = v->args->count > 0 ? &v->args->list[v->args->count - 1] : NULL;
    bool ready = what != NULL && slice_is(*what, "ready");
    if (v->args->count > 2 || (!ready && (what == NULL || !slice_is(*what, "stopped")))) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "wait takes: [NAME] ready, or [NAME] stopped");
        return;
    }
    struct verb_target t = {.node = verb_root(), .pattern = ""};
    char pattern[CONTRACT_NAME_MAX];
    if (v->args->count == 1 || verb_find_target(v, &t, pattern))
        verb_wait_for(v, &t, ready ? verb_is_up : verb_is_down);
}

void verb_shutdown(const struct verb_call *v)
{
    struct verb_target all = {.node = verb_root(), .pattern = ""};
    master_shutdown(control_master());
    verb_wait_for(v, &all, verb_is_down);
}

/* ---- another binary ---- */

static void verb_on_upgrade(const char *why, void *ctx)
{
    struct control_pending *p = ctx;
    struct buffer body = BUFFER_EMPTY;
    if (why != NULL) {
        control_answer_text(p->client, p->id, CONTROL_ERROR, "%s", why);
    } else {
        pack_map(&body, 2);
        pack_text(&body, "version");
        pack_text(&body, PLATOON_VERSION);
        pack_text(&body, "upgrades");
        pack_u64(&body, control_master()->upgrades);
        control_answer_buffer(p->client, p->id, CONTROL_OK, &body);
    }
    control_pending_free(p);
}

/* The new binary has a deadline of its own. */
static void verb_cancel_upgrade(struct control_pending *p)
{
    upgrade_forget(p);
}

static const struct control_pending_ops verb_upgrade_ops = {.cancel = verb_cancel_upgrade};

void verb_upgrade(const struct verb_call *v)
{
    struct buffer error = BUFFER_EMPTY;
    struct control_pending *p = control_wait(v->client, v->request, &verb_upgrade_ops);
    if (p == NULL)
        return;
    int code = upgrade_begin(control_master(), verb_on_upgrade, p, &error);
    if (code != 0) {
        const char *why = buffer_text(&error);
        control_answer_text(v->client, v->request->id, (enum control_status)code, "%s",
                            why != NULL ? why : "memory is short: try again");
        control_pending_free(p);
    }
    buffer_fini(&error);
}

/* ---- how much they log ---- */

static enum log_level verb_new_level;

static void verb_set_level(struct node *n)
{
    n->log_level = verb_new_level;
    if (n->parent == NULL)
        log_set_level(verb_new_level);
    if (n->kind == NODE_WORKER)
        process_set_level(n);
    for (size_t i = 0; i < n->child_count; i++)
        verb_set_level(n->children[i]);
}

void verb_level(const struct verb_call *v)
{
    char level[16], pattern[CONTRACT_NAME_MAX];
    struct verb_target t;
    if (v->args->count != 2 || !slice_copy(v->args->list[1], level, sizeof level) ||
        !log_level_parse(level, &verb_new_level)) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "level takes: NAME, and error, warn, info or debug");
        return;
    }
    if (!verb_find_target(v, &t, pattern))
        return;
    verb_order(&t, verb_set_level);
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 2);
    pack_text(&body, "name");
    pack_text(&body, t.pattern[0] != '\0' ? t.pattern : t.node->name);
    pack_text(&body, "level");
    pack_text(&body, level);
    verb_answer_buffer(v, &body);
}

/* ---- another configuration ---- */

/* Answers with the list of changes: at once for a dry run, else when they have come about. */
static void verb_reloaded(const struct verb_call *v, int code, bool dry_run,
                          const struct buffer *changes, struct buffer *errors)
{
    struct buffer body = BUFFER_EMPTY;
    if (code != 0) {
        const char *text = buffer_text(errors);
        pack_text(&body, text != NULL ? text : "memory is short: try again");
        control_answer_buffer(v->client, v->request->id, (enum control_status)code, &body);
        return;
    }
    pack_map(&body, 2);
    pack_text(&body, "applied");
    pack_bool(&body, !dry_run);
    pack_text(&body, "changes");
    pack_raw(&body, buffer_slice(changes));
    struct control_pending *p =
        dry_run ? NULL : control_wait(v->client, v->request, &verb_condition_ops);
    if (p == NULL) {
        if (dry_run)
            control_answer_buffer(v->client, v->request->id, CONTROL_OK, &body);
        buffer_fini(&body);
        return;
    }
    p->body = body;
    p->node = verb_root();
    p->done = verb_is_merged;
    verb_condition_look(p);
}

static bool verb_is_dry(const struct verb_call *v, size_t at)
{
    return v->args->count == at + 1 && slice_is(v->args->list[at], "dry-run");
}

void verb_reload(const struct verb_call *v)
{
    struct buffer changes = BUFFER_EMPTY, errors = BUFFER_EMPTY;
    bool dry_run = verb_is_dry(v, 0);
    if (v->args->count > 0 && !dry_run)
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "reload takes: nothing, or dry-run");
    else if (!verb_too_late(v))
        verb_reloaded(v, reload_file(control_master(), dry_run, &changes, &errors), dry_run,
                      &changes, &errors);
    buffer_fini(&changes);
    buffer_fini(&errors);
}

void verb_scale(const struct verb_call *v)
{
    struct buffer changes = BUFFER_EMPTY, errors = BUFFER_EMPTY;
    bool dry_run = verb_is_dry(v, 2);
    uint64_t count = 0;
    bool good = (v->args->count == 2 || dry_run) && text_parse_u64(v->args->list[1], &count) == 0;
    if (!good) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "scale takes: NAME and a number, or those and dry-run");
    } else if (!verb_too_late(v)) {
        int code =
            reload_scale(control_master(), v->args->list[0], count, dry_run, &changes, &errors);
        if (code == CONTROL_NO_NAME && errors.len == 0)
            verb_unknown_name(v, v->args->list[0]);
        else
            verb_reloaded(v, code, dry_run, &changes, &errors);
    }
    buffer_fini(&changes);
    buffer_fini(&errors);
}
