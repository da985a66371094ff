/*
 * watcher_verbs.c: drain-status and the dead letters, for the tool (DRAIN.md, What the workers of a drain answer).
 * See watcher.h.
 */
#include "workers/drain/watcher.h"

#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCHER_LIST_DEFAULT 100
#define WATCHER_LETTERS_MAX  1000 /* of one request */

/* Of `all`, so many in one script, which stops Redis for some 50 ms; and so many scripts, should they die again. */
#define WATCHER_ALL_LETTERS 10000
#define WATCHER_ALL_SCRIPTS 10000

struct verbs_row;

/* A request whose script is under way. */
struct watcher_call {
    struct watcher *t;
    uint64_t id;
    const struct verbs_row *row;
    bool all;
    uint64_t scripts; /* that have answered, of `all` */
    uint64_t count;   /* letters that they took */
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

/* A name or value of which Redis told a part, with its whole length behind it when it is only that. */
static bool verbs_is_whole(struct slice part, int64_t len)
{
    return len >= 0 && part.len == (uint64_t)len;
}

static void verbs_letter(struct buffer *body, const redisReply *letter, uint32_t more)
{
    struct slice member = drain_reply_text(letter, 1);
    int64_t len = drain_reply_int(letter, 6);
    bool whole = verbs_is_whole(member, len);
    pack_map(body, 5 + more + !whole);
    verbs_pair(body, "seq", (uint64_t)drain_reply_int(letter, 0));
    pack_text(body, "member");
    pack_bin(body, member);
    if (!whole)
        verbs_pair(body, "member_bytes", (uint64_t)len);
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

static void verbs_value(struct buffer *body, struct slice value, bool whole)
{
    if (value.len == 0 && !whole)
        pack_nil(body);
    else
        pack_bin(body, value);
}

static const redisReply *verbs_fields(const redisReply *letter)
{
    const redisReply *data = letter->elements > 8 ? letter->element[8] : NULL;
    return data != NULL && data->type == REDIS_REPLY_ARRAY ? data : NULL;
}

/* Whether all of a letter's data is there. */
static bool verbs_data_is_whole(const redisReply *letter)
{
    const redisReply *fields = verbs_fields(letter);
    int64_t total = drain_reply_int(letter, 9);
    if (fields != NULL)
        return total >= 0 && fields->elements / 3 == (uint64_t)total;
    return verbs_is_whole(drain_reply_text(letter, 8), total);
}

/* A hash's fields as pairs; anything else as `value`. */
static void verbs_data(struct buffer *body, const redisReply *letter)
{
    const redisReply *fields = verbs_fields(letter);
    bool whole = verbs_data_is_whole(letter);
    int64_t total = drain_reply_int(letter, 9);
    pack_text(body, fields != NULL ? "fields" : "value");
    if (fields == NULL)
        verbs_value(body, drain_reply_text(letter, 8), whole);
    else
        pack_array(body, (uint32_t)(fields->elements / 3));
    for (size_t i = 0; fields != NULL && i + 2 < fields->elements; i += 3) {
        struct slice value = drain_reply_text(fields, i + 1);
        int64_t len = drain_reply_int(fields, i + 2);
        bool all = verbs_is_whole(value, len);
        pack_array(body, all ? 2 : 3);
        pack_bin(body, drain_reply_text(fields, i));
        verbs_value(body, value, all);
        if (!all)
            pack_u64(body, (uint64_t)len);
    }
    if (!whole)
        verbs_pair(body, fields != NULL ? "fields_total" : "value_bytes",
                   total < 0 ? 0 : (uint64_t)total);
}

static void verbs_answer_show(struct watcher *t, const redisReply *reply, struct buffer *body)
{
    (void)t;
    pack_array(body, (uint32_t)reply->elements);
    for (size_t i = 0; i < reply->elements; i++) {
        verbs_letter(body, reply->element[i], verbs_data_is_whole(reply->element[i]) ? 1 : 2);
        verbs_data(body, reply->element[i]);
    }
}

/* ---- requests ---- */

enum verbs_limit { VERBS_NONE, VERBS_FIRST, VERBS_ALL };

static const struct verbs_row {
    const char *verb;
    enum ledger_script script;
    enum verbs_limit limit; /* whether the script's first argument is a limit */
    /* NULL: the script says of how many letters it was done. */
    void (*answer)(struct watcher *t, const redisReply *reply, struct buffer *body);
} verbs_rows[] = {
    {"drain-status", LEDGER_STATUS, VERBS_NONE, verbs_answer_status},
    {"dead-list", LEDGER_DEAD_LIST, VERBS_FIRST, verbs_answer_list},
    {"dead-show", LEDGER_DEAD_SHOW, VERBS_NONE, verbs_answer_show},
    {"dead-retry", LEDGER_DEAD_RETRY, VERBS_ALL, NULL},
    {"dead-drop", LEDGER_DEAD_DROP, VERBS_ALL, NULL},
};

/* ---- their answers ---- */

static void verbs_reply(const struct watcher_call *call, struct buffer *body)
{
    if (buffer_ok(body))
        worker_reply(call->t->w, call->id, CONTROL_OK, buffer_slice(body));
    else
        worker_reply_text(call->t->w, call->id, CONTROL_ERROR,
                          "memory is short for this answer: ask for fewer letters");
}

static void verbs_refuse(const struct watcher_call *call, const redisReply *reply)
{
    char text[384], done[64] = "";
    drain_ledger_explain(reply, text, sizeof text);
    if (call->count > 0)
        snprintf(done, sizeof done, "after %" PRIu64 " letters: ", call->count);
    worker_reply_text(call->t->w, call->id, CONTROL_ERROR, "%s%s", done, text);
}

static bool verbs_take_more(struct watcher_call *call);

/* Of so many letters it was done. True: there may be more, and a script is under way for them. */
static bool verbs_on_count(struct watcher_call *call, const redisReply *reply)
{
    struct buffer body = BUFFER_EMPTY;
    uint64_t count = reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0;
    call->count += count;
    watcher_poll(call->t); /* what is retried is due now */
    if (call->all && count == WATCHER_ALL_LETTERS && ++call->scripts < WATCHER_ALL_SCRIPTS &&
        verbs_take_more(call))
        return true;
    pack_map(&body, 1);
    verbs_pair(&body, "count", call->count);
    verbs_reply(call, &body);
    buffer_fini(&body);
    return false;
}

static void verbs_on_reply(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher_call *call = ctx;
    struct buffer body = BUFFER_EMPTY;
    if (drain_reply_is_error(reply)) {
        verbs_refuse(call, reply);
    } else if (call->row->answer == NULL) {
        if (verbs_on_count(call, reply))
            return;
    } else {
        call->row->answer(call->t, reply, &body);
        verbs_reply(call, &body);
    }
    buffer_fini(&body);
    free(call);
}

/* The next ones, when not all are in one script. False: not connected, or memory is short. */
static bool verbs_take_more(struct watcher_call *call)
{
    struct drain_ledger *l = &call->t->ledger;
    if (drain_ledger_begin(l, 2) != 0)
        return false;
    drain_ledger_add_u64(l, WATCHER_ALL_LETTERS);
    return drain_ledger_send(l, call->row->script, verbs_on_reply, call) == 0;
}

/* ---- asking ---- */

/*
 * Adds the arguments as the script wants them. False when one of them is no number (or `all`, where that is allowed:
 * *every).
 */
static bool verbs_add_args(struct drain_ledger *l, const struct verbs_row *row, struct slice args,
                           bool *every)
{
    struct unpack u = unpack_start(args);
    uint32_t count = unpack_array(&u);
    if (!unpack_ok(&u) || count > WATCHER_LETTERS_MAX || drain_ledger_begin(l, count + 2) != 0)
        return false;
    if (row->limit == VERBS_ALL)
        drain_ledger_add_u64(l, WATCHER_ALL_LETTERS);
    if (row->limit == VERBS_FIRST && count == 0)
        drain_ledger_add_u64(l, WATCHER_LIST_DEFAULT);
    if (row->limit == VERBS_ALL && count == 0)
        return false; /* everything must be said, not forgotten */
    for (uint32_t i = 0; i < count; i++) {
        struct slice arg = unpack_bytes(&u);
        uint64_t number;
        bool all = row->limit == VERBS_ALL && count == 1 && slice_is(arg, "all");
        *every = all;
        if (!all && text_parse_u64(arg, &number) != 0)
            return false;
        if (!all)
            drain_ledger_add_u64(l, row->limit == VERBS_FIRST && number > WATCHER_LETTERS_MAX
                                        ? WATCHER_LETTERS_MAX
                                        : number);
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
    bool all = false;
    if (row == NULL || !verbs_add_args(&t->ledger, row, request->args, &all)) {
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "the watcher takes: drain-status, dead-list [LIMIT], dead-show SEQ..., "
                          "dead-retry|dead-drop SEQ...|all");
        return;
    }
    if (t->status.foreign[0] != '\0' && row->limit == VERBS_ALL) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s", t->status.foreign);
        return;
    }
    struct watcher_call *call = calloc(1, sizeof *call);
    if (call != NULL)
        *call = (struct watcher_call){.t = t, .id = request->id, .row = row, .all = all};
    if (call != NULL && drain_ledger_send(&t->ledger, row->script, verbs_on_reply, call) == 0)
        return;
    free(call);
    const char *why = redis_conn_trouble(t->ledger.conn);
    worker_reply_text(w, request->id, CONTROL_ERROR, "%s",
                      why != NULL && why[0] != '\0' ? why : "not connected to Redis");
}
