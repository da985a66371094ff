/* backbone_verbs.c: what people ask of a backbone (BACKBONE.md, What its workers answer). See backbone.h. */
#include "workers/queue/backbone.h"

#include "common/pack.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdlib.h>

#define VERBS_NAMES_MAX 1000
#define VERBS_LIMIT     100  /* of a list, unless it is said */
#define VERBS_LETTERS   1000 /* of one script */

struct verbs_row;

/* A request whose script is under way. */
struct verbs_call {
    struct backbone *b;
    uint64_t id;
    const struct verbs_row *row;
    bool all;       /* of the letters: until there are none */
    uint64_t count; /* that were retried or dropped */
    char queue[];
};

struct verbs_row {
    const char *verb;
    /* Puts the call together. False: the words are none. */
    bool (*ask)(struct backbone *b, struct unpack *u, uint32_t count, struct verbs_call *call);
    /* True: another script is under way for it. */
    bool (*answer)(struct verbs_call *call, const redisReply *reply, struct buffer *body);
};

static bool verbs_send(struct verbs_call *call);

static void verbs_pair(struct buffer *body, const char *key, uint64_t value)
{
    pack_text(body, key);
    pack_u64(body, value);
}

static void verbs_span(struct buffer *body, const char *key, int64_t value)
{
    pack_text(body, key);
    if (value < 0)
        pack_nil(body);
    else
        pack_i64(body, value);
}

/* ---- queue-status ---- */

static bool verbs_ask_status(struct backbone *b, struct unpack *u, uint32_t count,
                             struct verbs_call *call)
{
    (void)call;
    queue_call_status(&b->call);
    for (uint32_t i = 0; i < count; i++)
        queue_call_add(&b->call, unpack_bytes(u));
    return count <= 1;
}

/* The longest of its workers'; -1: none has told. */
static void verbs_waits(struct backbone *b, struct slice queue, int64_t *p50, int64_t *p99)
{
    *p50 = *p99 = -1;
    for (struct worker_peer *p = worker_peer_next(b->w, NULL); p != NULL;
         p = worker_peer_next(b->w, p)) {
        const struct backbone_waits *waits = p->user;
        if (waits == NULL || !slice_is(queue, waits->queue))
            continue;
        *p50 = (int64_t)waits->p50_ms > *p50 ? (int64_t)waits->p50_ms : *p50;
        *p99 = (int64_t)waits->p99_ms > *p99 ? (int64_t)waits->p99_ms : *p99;
    }
}

static void verbs_status(struct backbone *b, const struct queue_status *s, struct buffer *body)
{
    int64_t p50, p99;
    verbs_waits(b, s->queue, &p50, &p99);
    pack_map(body, 18);
    pack_text(body, "queue");
    pack_str(body, s->queue);
    pack_text(body, "backbone");
    pack_text(body, worker_setting_text(b->w, "backbone.name"));
    pack_text(body, "pattern");
    if (s->registered)
        pack_str(body, s->pattern);
    else
        pack_nil(body);
    pack_text(body, "raw");
    pack_bool(body, s->raw);
    pack_text(body, "paused");
    pack_bool(body, s->paused);
    verbs_pair(body, "waiting", s->waiting);
    verbs_pair(body, "in_flight", s->in_flight);
    verbs_pair(body, "delayed", s->delayed);
    verbs_pair(body, "dead", s->dead);
    verbs_pair(body, "facets", s->facets);
    verbs_span(body, "oldest_ms", s->oldest_ms);
    verbs_span(body, "wait_p50_ms", p50);
    verbs_span(body, "wait_p99_ms", p99);
    verbs_pair(body, "delivered", s->delivered);
    verbs_pair(body, "acked", s->acked);
    verbs_pair(body, "retried", s->retried);
    verbs_pair(body, "expired", s->expired);
    verbs_pair(body, "late", s->late);
}

/* Without a name the first answer is the names: the second is asked for these. */
static bool verbs_answer_status(struct verbs_call *call, const redisReply *reply,
                                struct buffer *body)
{
    struct queue_list all, names;
    struct queue_status s;
    struct slice name;
    struct slice bytes = queue_reply_bytes(reply);
    if (queue_read_names(bytes, &names) && names.left > 0) {
        uint32_t left = VERBS_NAMES_MAX;
        queue_call_status(&call->b->call);
        while (left-- > 0 && queue_next_name(&names, &name))
            queue_call_add(&call->b->call, name);
        if (unpack_ok(&names.u) && call->b->call.count > 0)
            return verbs_send(call);
    }
    if (!queue_read_status(bytes, &all)) {
        body->failed = true;
        return false;
    }
    pack_array(body, all.left);
    while (queue_next_status(&all, &s))
        verbs_status(call->b, &s, body);
    body->failed |= !queue_list_ok(&all);
    return false;
}

/* ---- dead letters ---- */

static bool verbs_ask_list(struct backbone *b, struct unpack *u, uint32_t count,
                           struct verbs_call *call)
{
    uint64_t limit = VERBS_LIMIT;
    if (count < 1 || count > 2)
        return false;
    struct slice queue = unpack_bytes(u);
    (void)call;
    if (count == 2 && text_parse_u64(unpack_bytes(u), &limit) != 0)
        return false;
    queue_call_dead_list(&b->call, queue, limit < VERBS_LETTERS ? limit : VERBS_LETTERS);
    return true;
}

static bool verbs_ask_show(struct backbone *b, struct unpack *u, uint32_t count,
                           struct verbs_call *call)
{
    (void)call;
    if (count < 2)
        return false;
    queue_call_dead_show(&b->call, unpack_bytes(u));
    for (uint32_t i = 1; i < count; i++)
        queue_call_add(&b->call, unpack_bytes(u));
    return true;
}

static void verbs_begin_letters(struct verbs_call *call, struct slice queue)
{
    if (strcmp(call->row->verb, "queue-dead-retry") == 0)
        queue_call_dead_retry(&call->b->call, queue, VERBS_LETTERS);
    else
        queue_call_dead_drop(&call->b->call, queue, VERBS_LETTERS);
}

static bool verbs_ask_letters(struct backbone *b, struct unpack *u, uint32_t count,
                              struct verbs_call *call)
{
    if (count < 2) /* everything must be said, not forgotten */
        return false;
    struct slice queue = unpack_bytes(u), first = unpack_bytes(u);
    call->all = count == 2 && slice_is(first, "all");
    verbs_begin_letters(call, queue);
    memcpy(call->queue, queue.ptr, queue.len);
    if (!call->all)
        queue_call_add(&b->call, first);
    for (uint32_t i = 2; i < count; i++)
        queue_call_add(&b->call, unpack_bytes(u));
    return true;
}

static bool verbs_answer_letters(struct verbs_call *call, const redisReply *reply,
                                 struct buffer *body)
{
    uint64_t count = reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0;
    call->count += count;
    if (call->all && count == VERBS_LETTERS) {
        verbs_begin_letters(call, slice_of(call->queue));
        if (verbs_send(call))
            return true;
    }
    pack_map(body, 1);
    verbs_pair(body, "count", call->count);
    return false;
}

static bool verbs_answer_list(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    bool shown = strcmp(call->row->verb, "queue-dead-show") == 0;
    struct queue_list letters;
    struct queue_letter l;
    if (!queue_read_letters(queue_reply_bytes(reply), &letters)) {
        body->failed = true;
        return false;
    }
    pack_array(body, letters.left);
    while (queue_next_letter(&letters, shown, &l)) {
        pack_map(body, shown ? 7 : 6);
        pack_text(body, "id");
        pack_str(body, l.id);
        pack_text(body, "facet");
        pack_bin(body, l.facet);
        verbs_pair(body, "attempts", l.attempts);
        pack_text(body, "reason");
        pack_str(body, l.reason);
        verbs_pair(body, "at_ms", (uint64_t)l.at_ms);
        verbs_pair(body, "bytes", l.bytes);
        if (shown) {
            pack_text(body, "body");
            pack_bin(body, l.body);
        }
    }
    body->failed |= !queue_list_ok(&letters);
    return false;
}

/* ---- all ---- */

static const struct verbs_row verbs_rows[] = {
    {"queue-status", verbs_ask_status, verbs_answer_status},
    {"queue-dead-list", verbs_ask_list, verbs_answer_list},
    {"queue-dead-show", verbs_ask_show, verbs_answer_list},
    {"queue-dead-retry", verbs_ask_letters, verbs_answer_letters},
    {"queue-dead-drop", verbs_ask_letters, verbs_answer_letters},
};

static void verbs_end(struct verbs_call *call)
{
    struct backbone *b = call->b;
    free(call);
    b->asked--;
    if (worker_stopping(b->w) && b->asked == 0 && backbone_deliver_is_idle(b))
        worker_finished(b->w);
}

static void verbs_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct verbs_call *call = ctx;
    struct backbone *b = call->b;
    struct buffer body = BUFFER_EMPTY;
    char why[384];
    (void)c;
    queue_redis_failed(&b->redis, reply, why, sizeof why);
    bool unknown =
        why[0] != '\0' && reply != NULL && redis_error_says(reply->str, reply->len, "NOQUEUE ");
    if (unknown)
        worker_reply_text(b->w, call->id, CONTROL_NO_NAME, "%s: platoonctl queue status lists them",
                          reply->str + strlen("NOQUEUE "));
    else if (why[0] != '\0')
        worker_reply_text(b->w, call->id, CONTROL_ERROR, "%s", why);
    else if (call->row->answer(call, reply, &body))
        return;
    else if (buffer_ok(&body))
        worker_reply(b->w, call->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(b->w, call->id, CONTROL_ERROR,
                          "memory is short for this answer, or Redis gave none: ask for less");
    buffer_fini(&body);
    verbs_end(call);
}

static bool verbs_send(struct verbs_call *call)
{
    return queue_redis_call(&call->b->redis, &call->b->call, verbs_on_reply, call) == 0;
}

/* GIVEN TOPIC FACET AFTER_MS BODY */
static bool verbs_deliver(struct backbone *b, const struct link_request *request, struct unpack *u,
                          uint32_t count)
{
    struct message_deliver m = {.token = 0};
    if (count != 5 || text_parse_u64(unpack_bytes(u), &m.given) != 0)
        return false;
    m.topic = unpack_bytes(u);
    m.facet = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &m.after_ms) != 0)
        return false;
    m.body = unpack_bytes(u);
    if (!unpack_end(u))
        return false;
    backbone_deliver_request(b, request->id, &m);
    return true;
}

static void verbs_usage(struct worker *w, uint64_t id)
{
    worker_reply_text(w, id, CONTROL_USAGE,
                      "a backbone understands: queue-status [QUEUE], queue-deliver GIVEN TOPIC "
                      "FACET AFTER_MS BODY, queue-dead-list QUEUE [LIMIT], queue-dead-show QUEUE "
                      "ID..., queue-dead-retry|queue-dead-drop QUEUE ID...|all");
}

static const struct verbs_row *verbs_row_of(struct slice verb)
{
    for (size_t i = 0; i < sizeof verbs_rows / sizeof verbs_rows[0]; i++)
        if (slice_is(verb, verbs_rows[i].verb))
            return &verbs_rows[i];
    return NULL;
}

void backbone_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct backbone *b = state;
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    if (slice_is(request->verb, "queue-deliver") && unpack_ok(&u)) {
        if (!verbs_deliver(b, request, &u, count))
            verbs_usage(w, request->id);
        return;
    }
    const struct verbs_row *row = verbs_row_of(request->verb);
    struct verbs_call *call = row != NULL ? calloc(1, sizeof *call + request->args.len + 1) : NULL;
    if (row != NULL && call == NULL) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "memory is short: try again");
        return;
    }
    if (row == NULL || !unpack_ok(&u)) {
        free(call);
        verbs_usage(w, request->id);
        return;
    }
    *call = (struct verbs_call){.b = b, .id = request->id, .row = row};
    if (!row->ask(b, &u, count, call) || !unpack_end(&u)) {
        free(call);
        verbs_usage(w, request->id);
        return;
    }
    b->asked++;
    if (verbs_send(call))
        return;
    const char *why = redis_conn_trouble(b->redis.conn);
    worker_reply_text(w, request->id, CONTROL_ERROR, "%s",
                      why[0] != '\0' ? why : "not connected to Redis");
    verbs_end(call);
}
