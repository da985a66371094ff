/*
 * watcher_verbs.c: drain-status and the dead letters, for the tool (PROTOCOL.md section 6). See watcher.h.
 */
#include "workers/drain/watcher.h"

#include "common/clock.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>

#define WATCHER_LIST_DEFAULT 100
#define WATCHER_LETTERS_MAX  1000 /* of one request */

/* A request whose script is under way. */
struct watcher_call {
    struct watcher *t;
    uint64_t id;
    void (*answer)(struct watcher *t, const redisReply *reply, struct buffer *body);
};

static void verbs_pair(struct buffer *body, const char *key, uint64_t value)
{
    pack_text(body, key);
    pack_u64(body, value);
}

/* ---- answers ---- */

static void verbs_answer_status(struct watcher *t, const redisReply *reply, struct buffer *body)
{
    struct watcher_status s = t->status;
    watcher_read_status(&s, reply);
    bool moving = s.pending > 0 || s.claims > 0;
    pack_map(body, 9);
    pack_text(body, "name");
    pack_text(body, worker_setting_text(t->w, "drain.name"));
    verbs_pair(body, "pending", s.pending);
    verbs_pair(body, "claimed", s.claimed);
    verbs_pair(body, "stored", s.stored);
    verbs_pair(body, "redelivered", s.redelivered);
    verbs_pair(body, "dead", s.dead);
    verbs_pair(body, "oldest_claim_ms", s.claims > 0 ? s.oldest_ms : 0);
    pack_text(body, "rate_per_s");
    pack_double(body, moving || clock_mono_ms() - t->before_at_ms < 3000 ? t->rate : 0);
    verbs_pair(body, "claims", s.claims);
}

static void verbs_letter(struct buffer *body, const redisReply *letter, uint32_t more)
{
    pack_map(body, 5 + more);
    verbs_pair(body, "seq", (uint64_t)drain_reply_int(letter, 0));
    pack_text(body, "member");
    pack_bin(body, drain_reply_text(letter, 1));
    pack_text(body, "reason");
    pack_str(body, drain_reply_text(letter, 2));
    verbs_pair(body, "attempts", (uint64_t)drain_reply_int(letter, 3));
    verbs_pair(body, "at_ms", (uint64_t)drain_reply_int(letter, 4));
}

static void verbs_answer_list(struct watcher *t, const redisReply *reply, struct buffer *body)
{
    (void)t;
    pack_array(body, (uint32_t)reply->elements);
    for (size_t i = 0; i < reply->elements; i++)
        verbs_letter(body, reply->element[i], 0);
}

/* A hash's fields as pairs; anything else as `value`. */
static void verbs_data(struct buffer *body, const redisReply *letter)
{
    const redisReply *data = letter->elements > 7 ? letter->element[7] : NULL;
    if (data == NULL || data->type != REDIS_REPLY_ARRAY) {
        pack_text(body, "value");
        pack_bin(body, drain_reply_text(letter, 7));
        return;
    }
    pack_text(body, "fields");
    pack_array(body, (uint32_t)(data->elements / 2));
    for (size_t i = 0; i + 1 < data->elements; i += 2) {
        pack_array(body, 2);
        pack_bin(body, drain_reply_text(data, i));
        pack_bin(body, drain_reply_text(data, i + 1));
    }
}

static void verbs_answer_show(struct watcher *t, const redisReply *reply, struct buffer *body)
{
    (void)t;
    pack_array(body, (uint32_t)reply->elements);
    for (size_t i = 0; i < reply->elements; i++) {
        verbs_letter(body, reply->element[i], 1);
        verbs_data(body, reply->element[i]);
    }
}

static void verbs_answer_count(struct watcher *t, const redisReply *reply, struct buffer *body)
{
    pack_map(body, 1);
    verbs_pair(body, "count", reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0);
    watcher_poll(t); /* what is retried is due now */
}

static void verbs_on_reply(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher_call *call = ctx;
    struct buffer body = BUFFER_EMPTY;
    char text[384];
    if (drain_reply_is_error(reply)) {
        drain_ledger_explain(reply, text, sizeof text);
        worker_reply_text(call->t->w, call->id, CONTROL_ERROR, "%s", text);
    } else {
        call->answer(call->t, reply, &body);
        if (buffer_ok(&body))
            worker_reply(call->t->w, call->id, CONTROL_OK, buffer_slice(&body));
        else
            worker_reply_text(call->t->w, call->id, CONTROL_ERROR,
                              "memory is short for this answer: ask for fewer letters");
    }
    buffer_fini(&body);
    free(call);
}

/* ---- requests ---- */

enum verbs_limit { VERBS_NONE, VERBS_FIRST, VERBS_ALL };

static const struct verbs_row {
    const char *verb;
    enum ledger_script script;
    enum verbs_limit limit; /* whether the script's first argument is a limit */
    void (*answer)(struct watcher *t, const redisReply *reply, struct buffer *body);
} verbs_rows[] = {
    {"drain-status", LEDGER_STATUS, VERBS_NONE, verbs_answer_status},
    {"dead-list", LEDGER_DEAD_LIST, VERBS_FIRST, verbs_answer_list},
    {"dead-show", LEDGER_DEAD_SHOW, VERBS_NONE, verbs_answer_show},
    {"dead-retry", LEDGER_DEAD_RETRY, VERBS_ALL, verbs_answer_count},
    {"dead-drop", LEDGER_DEAD_DROP, VERBS_ALL, verbs_answer_count},
};

/* Adds the arguments as the script wants them. False when one of them is no number (or `all`, where that is allowed). */
static bool verbs_add_args(struct drain_ledger *l, const struct verbs_row *row, struct slice args)
{
    struct unpack u = unpack_start(args);
    uint32_t count = unpack_array(&u);
    if (!unpack_ok(&u) || count > WATCHER_LETTERS_MAX || drain_ledger_begin(l, count + 2) != 0)
        return false;
    if (row->limit == VERBS_ALL)
        drain_ledger_add_u64(l, WATCHER_LETTERS_MAX * 10);
    if (row->limit == VERBS_FIRST && count == 0)
        drain_ledger_add_u64(l, WATCHER_LIST_DEFAULT);
    if (row->limit == VERBS_ALL && count == 0)
        return false; /* everything must be said, not forgotten */
    for (uint32_t i = 0; i < count; i++) {
        struct slice arg = unpack_bytes(&u);
        uint64_t number;
        bool all = row->limit == VERBS_ALL && count == 1 && slice_is(arg, "all");
        if (!all && text_parse_u64(arg, &number) != 0)
            return false;
        if (!all)
            drain_ledger_add_u64(l, number);
    }
    return unpack_end(&u);
}

/* `send NAME JSON`: the one message a person may give the watcher. */
static void verbs_json(struct watcher *t, const struct link_request *request)
{
    struct unpack u = unpack_start(request->args);
    bool one = unpack_array(&u) == 1;
    struct slice text = unpack_bytes(&u);
    if (!one || !unpack_end(&u) || !slice_is(text, "{\"poll\":true}")) {
        worker_reply_text(
            t->w, request->id, CONTROL_ERROR,
            "the watcher understands {\"poll\":true} and {\"log_level\":\"debug\"} only");
        return;
    }
    watcher_poll(t);
    worker_reply_text(t->w, request->id, CONTROL_OK, "polled");
}

void watcher_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct watcher *t = state;
    const struct verbs_row *row = NULL;
    for (size_t i = 0; i < sizeof verbs_rows / sizeof verbs_rows[0]; i++)
        if (slice_is(request->verb, verbs_rows[i].verb))
            row = &verbs_rows[i];
    if (slice_is(request->verb, "json")) {
        verbs_json(t, request);
        return;
    }
    if (row == NULL || !verbs_add_args(&t->ledger, row, request->args)) {
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "the watcher takes: drain-status, dead-list [LIMIT], dead-show SEQ..., "
                          "dead-retry|dead-drop SEQ...|all");
        return;
    }
    struct watcher_call *call = calloc(1, sizeof *call);
    if (call != NULL)
        *call = (struct watcher_call){.t = t, .id = request->id, .answer = row->answer};
    if (call != NULL && drain_ledger_send(&t->ledger, row->script, verbs_on_reply, call) == 0) {
        worker_count(w, COUNTER_REQUESTS, 1);
        return;
    }
    free(call);
    const char *why = redis_conn_trouble(t->ledger.conn);
    worker_reply_text(w, request->id, CONTROL_ERROR, "%s",
                      why != NULL && why[0] != '\0' ? why : "not connected to Redis");
}
