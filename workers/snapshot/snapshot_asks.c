/*
 * snapshot_asks.c: run, wait, show: who waits for a run or for rest, and what people see of how a resource is made. See
 * snapshot_runs.h.
 *
 * Who waits is answered by what happens, never by a clock: a client that gives up is told what it waits for
 * (snapshot_late), and its answer is dropped.
 */
#include "workers/snapshot/snapshot_runs.h"

#include "common/pack.h"
#include "workers/snapshot/snapshot_version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ASKS_MAX 256

struct snapshot_ask {
    struct snapshot_ask *next;
    uint64_t request;
    struct snapshot_resource *r; /* NULL: for rest */
    uint64_t starts;             /* the run that counts is this one, or a later one */
};

static void ask_text(struct buffer *body, const char *key, const char *value)
{
    pack_text(body, key);
    pack_text(body, value);
}

static void ask_number(struct buffer *body, const char *key, uint64_t value)
{
    pack_text(body, key);
    pack_u64(body, value);
}

static void ask_add(struct snapshot_store *s, uint64_t request, struct snapshot_resource *r)
{
    struct snapshot_ask *ask = s->runs->ask_count < ASKS_MAX ? calloc(1, sizeof *ask) : NULL;
    if (ask == NULL) {
        worker_reply_text(s->w, request, CONTROL_ERROR, "too many wait already: try again");
        return;
    }
    ask->request = request;
    ask->r = r;
    ask->starts = r != NULL ? r->make->starts + 1 : 0;
    ask->next = s->runs->asks;
    s->runs->asks = ask;
    s->runs->ask_count++;
}

/* ---- run ---- */

static void run_answer(struct snapshot_store *s, const struct snapshot_ask *ask)
{
    static const char *const words[] = {"changed", "unchanged"};
    const struct snapshot_resource *r = ask->r;
    struct buffer body = BUFFER_EMPTY;
    if (r->make->result == SNAPSHOT_RUN_FAILED) {
        worker_reply_text(s->w, ask->request, CONTROL_ERROR, "%s: %s", r->name, r->make->error);
        return;
    }
    pack_map(&body, 4);
    ask_text(&body, "result", words[r->make->result]);
    ask_number(&body, "seq", r->seq);
    ask_text(&body, "commit", r->commit);
    ask_text(&body, "blob", r->blob);
    snapshot_answer(s, ask->request, &body);
}

/* It has no version to be made from, nor will have by itself. NULL: none such. */
static const char *run_lacks(const struct snapshot_store *s, const struct snapshot_resource *r)
{
    for (size_t k = 0; k < r->make->input_count; k++) {
        const struct snapshot_resource *in = &s->resources[r->make->inputs[k]];
        if (!in->has && snapshot_runs_state(s, in) == POLICY_EMPTY)
            return in->name;
    }
    return NULL;
}

/* False: it still waits. */
static bool run_look(struct snapshot_store *s, const struct snapshot_ask *ask)
{
    const struct snapshot_make *m = ask->r->make;
    char why[SNAPSHOT_ERROR_SIZE];
    const char *lacks;
    if (m->ended >= ask->starts) {
        run_answer(s, ask);
        return true;
    }
    if (m->token != 0)
        return false;
    if (snapshot_runs_state(s, ask->r) == POLICY_HELD) {
        snapshot_runs_why(s, ask->r, why);
        worker_reply_text(s->w, ask->request, CONTROL_ERROR, "%s: %s", ask->r->name, why);
        return true;
    }
    lacks = run_lacks(s, ask->r);
    if (lacks != NULL)
        worker_reply_text(s->w, ask->request, CONTROL_ERROR,
                          "%s: %s, which it is made from, has no version yet", ask->r->name, lacks);
    return lacks != NULL;
}

bool snapshot_run(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct slice name = unpack_bytes(u);
    if (count != 1 || !unpack_end(u))
        return false;
    struct snapshot_resource *r = snapshot_resource_of(s, request, name);
    if (r == NULL)
        return true;
    if (r->make == NULL) {
        worker_reply_text(s->w, request, CONTROL_ERROR,
                          "%s: nobody makes it: platoonctl snapshot put %s FILE", r->name, r->name);
        return true;
    }
    ask_add(s, request, r);
    policy_asked(&s->runs->policy, (size_t)(snapshot_policy_of(s, r) - s->runs->policy.list));
    snapshot_runs_go(s);
    return true;
}

/* ---- wait ---- */

static bool asks_is_busy(enum policy_state state)
{
    return state == POLICY_DUE || state == POLICY_RUNNING;
}

static bool wait_look(struct snapshot_store *s, uint64_t request)
{
    struct buffer rows = BUFFER_EMPTY, body = BUFFER_EMPTY;
    char why[SNAPSHOT_ERROR_SIZE];
    uint32_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        if (asks_is_busy(snapshot_runs_state(s, &s->resources[i])))
            return false;
    for (size_t i = 0; i < s->count; i++) {
        enum policy_state state = snapshot_runs_state(s, &s->resources[i]);
        if (state != POLICY_FAILED && state != POLICY_HELD)
            continue;
        count++;
        snapshot_runs_why(s, &s->resources[i], why);
        pack_map(&rows, 3);
        ask_text(&rows, "resource", s->resources[i].name);
        ask_text(&rows, "state", policy_state_name(state));
        ask_text(&rows, "error", why);
    }
    pack_array(&body, count);
    buffer_append_slice(&body, buffer_slice(&rows));
    body.failed = body.failed || rows.failed;
    snapshot_answer(s, request, &body);
    buffer_fini(&rows);
    return true;
}

bool snapshot_wait(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    if (count != 0 || !unpack_end(u))
        return false;
    ask_add(s, request, NULL);
    snapshot_runs_go(s);
    return true;
}

/* ---- all of them ---- */

void snapshot_asks_look(struct snapshot_store *s)
{
    for (struct snapshot_ask **at = &s->runs->asks; *at != NULL;) {
        struct snapshot_ask *ask = *at;
        bool answered = ask->r != NULL ? run_look(s, ask) : wait_look(s, ask->request);
        if (!answered) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        s->runs->ask_count--;
        free(ask);
    }
}

void snapshot_asks_free(struct snapshot_store *s)
{
    while (s->runs != NULL && s->runs->asks != NULL) {
        struct snapshot_ask *next = s->runs->asks->next;
        free(s->runs->asks);
        s->runs->asks = next;
    }
}

bool snapshot_late(struct worker *w, void *state, char *why, size_t size)
{
    const struct snapshot_store *s = state;
    (void)w;
    for (size_t i = 0; s->runs != NULL && i < s->count; i++) {
        enum policy_state now = snapshot_runs_state(s, &s->resources[i]);
        if (!asks_is_busy(now))
            continue;
        snprintf(why, size, "%s is %s: platoonctl snapshot show %s", s->resources[i].name,
                 policy_state_name(now), s->resources[i].name);
        return true;
    }
    return snapshot_whatif_late(s, why, size);
}

/* ---- show ---- */

static void show_inputs(const struct snapshot_store *s, const struct snapshot_resource *r,
                        struct buffer *body)
{
    const struct snapshot_make *m = r->make;
    pack_text(body, "inputs");
    pack_array(body, m != NULL ? (uint32_t)m->input_count : 0);
    for (size_t k = 0; m != NULL && k < m->input_count; k++) {
        pack_map(body, 3);
        ask_text(body, "resource", s->resources[m->inputs[k]].name);
        ask_text(body, "commit", r->has ? m->from[k].commit : "");
        ask_text(body, "blob", r->has ? m->from[k].blob : "");
    }
}

static void show_last(const struct snapshot_resource *r, struct buffer *body)
{
    static const char *const words[] = {"changed", "unchanged", "failed"};
    const struct snapshot_make *m = r->make;
    char at[SNAPSHOT_TIME_SIZE];
    pack_text(body, "last_run");
    if (m == NULL || m->last_s == 0) {
        pack_nil(body);
        return;
    }
    snapshot_time_write(m->last_s, at);
    pack_map(body, 5);
    ask_text(body, "at", at);
    ask_text(body, "result", words[m->result]);
    ask_text(body, "error", m->error);
    ask_number(body, "duration_ms", m->duration_ms);
    pack_text(body, "stderr");
    pack_bin(body, buffer_slice(&m->said));
}

bool snapshot_show(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct buffer body = BUFFER_EMPTY;
    struct slice name = unpack_bytes(u);
    if (count != 1 || !unpack_end(u))
        return false;
    const struct snapshot_resource *r = snapshot_resource_of(s, request, name);
    if (r == NULL)
        return true;
    snapshot_row(s, r, 2, &body);
    show_inputs(s, r, &body);
    show_last(r, &body);
    snapshot_answer(s, request, &body);
    return true;
}
