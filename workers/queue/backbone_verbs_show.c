/* backbone_verbs_show.c: what people ask to see of queues. See backbone_verbs.h. */
#include "workers/queue/backbone_verbs.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/queue/queue_pattern.h"

#include <stdio.h>
#include <stdlib.h>

#define VERBS_NAMES_MAX 1000
#define VERBS_MESSAGES  1000 /* most that peek shows */

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
        const struct backbone_peer *peer = p->user;
        const struct backbone_waits *waits = peer != NULL ? &peer->waits : NULL;
        if (waits == NULL || !slice_is(queue, waits->queue))
            continue;
        *p50 = (int64_t)waits->p50_ms > *p50 ? (int64_t)waits->p50_ms : *p50;
        *p99 = (int64_t)waits->p99_ms > *p99 ? (int64_t)waits->p99_ms : *p99;
    }
}

/* So long the oldest of a queue that is in no configuration waits before it is said that nobody takes it. */
#define VERBS_LEFT_MS 60000

static bool verbs_is_configured(struct backbone *b, struct slice queue)
{
    const char *known = "";
    for (size_t i = 0; known != NULL && !slice_is(queue, known); i++)
        known = worker_setting_item(b->w, "queues", i, "name");
    return known != NULL;
}

static bool verbs_is_left(struct backbone *b, const struct queue_status *s)
{
    return s->waiting > 0 && s->in_flight == 0 && s->oldest_ms > VERBS_LEFT_MS &&
           !verbs_is_configured(b, s->queue);
}

/* What keeps it from being served as one would think. */
static void verbs_wrong(struct backbone *b, struct queue_status *s, struct buffer *body)
{
    const char *why = "";
    struct slice key;
    bool malformed = s->registered && !queue_pattern_is_lua(s->pattern, &why);
    bool left = verbs_is_left(b, s);
    pack_text(body, "wrong");
    pack_array(body, s->wrong.left + malformed + left);
    while (queue_next_name(&s->wrong, &key))
        pack_str(body, key);
    if (malformed) {
        char text[256];
        snprintf(text, sizeof text, "its pattern is none, and nothing comes into it: %s", why);
        pack_text(body, text);
    }
    if (left)
        pack_text(body,
                  "it is in no configuration here, and nobody takes what waits: unregister or "
                  "destroy it, or give it a queue section");
    body->failed |= !queue_list_ok(&s->wrong);
}

static void verbs_status(struct backbone *b, struct queue_status *s, struct buffer *body)
{
    int64_t p50, p99;
    verbs_waits(b, s->queue, &p50, &p99);
    pack_map(body, 19);
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
    backbone_verbs_number(body, "waiting", s->waiting);
    backbone_verbs_number(body, "in_flight", s->in_flight);
    backbone_verbs_number(body, "delayed", s->delayed);
    backbone_verbs_number(body, "dead", s->dead);
    backbone_verbs_number(body, "facets", s->facets);
    backbone_verbs_span(body, "oldest_ms", s->oldest_ms);
    backbone_verbs_span(body, "wait_p50_ms", p50);
    backbone_verbs_span(body, "wait_p99_ms", p99);
    backbone_verbs_number(body, "delivered", s->delivered);
    backbone_verbs_number(body, "acked", s->acked);
    backbone_verbs_number(body, "retried", s->retried);
    backbone_verbs_number(body, "expired", s->expired);
    backbone_verbs_number(body, "late", s->late);
    verbs_wrong(b, s, body);
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
            return call->send(call);
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

/* ---- queue-facets: a sweep ---- */

#define SWEEP_PAGE 500
#define SWEEP_MS   4000u /* it is looked at no longer than this, and says so */
#define SWEEP_MAX  1000
#define FACET_MAX  512 /* NAME_MAX in queue_lib.lua; foreign ones may be longer, and are cut */

enum sweep_by { BY_WAITING, BY_IN_FLIGHT, BY_OLDEST };

struct sweep_row {
    char facet[FACET_MAX];
    struct queue_facet f;
};

struct sweep {
    uint64_t start_ms;
    enum sweep_by by;
    uint64_t seen;
    size_t limit, count;
    struct sweep_row rows[];
};

static int64_t sweep_key(const struct sweep *s, const struct queue_facet *f)
{
    if (s->by == BY_OLDEST)
        return f->oldest_ms;
    return (int64_t)(s->by == BY_WAITING ? f->waiting : f->in_flight);
}

/* Its place among the first; what is in it twice is shown as it was seen last. */
static void sweep_add(struct sweep *s, const struct queue_facet *f)
{
    struct sweep_row row = {.f = *f};
    s->seen++;
    if (s->count == s->limit && sweep_key(s, f) <= sweep_key(s, &s->rows[s->count - 1].f))
        return;
    row.f.facet.len = f->facet.len < FACET_MAX ? f->facet.len : FACET_MAX;
    memcpy(row.facet, f->facet.ptr, row.f.facet.len);
    size_t at = 0;
    while (at < s->count && (s->rows[at].f.facet.len != row.f.facet.len ||
                             memcmp(s->rows[at].facet, row.facet, row.f.facet.len) != 0))
        at++;
    if (at == s->limit)
        at--;
    else if (at == s->count)
        s->count++;
    for (; at > 0 && sweep_key(s, &s->rows[at - 1].f) < sweep_key(s, f); at--)
        s->rows[at] = s->rows[at - 1];
    s->rows[at] = row;
}

static bool sweep_by(struct slice word, enum sweep_by *by)
{
    static const char *const words[] = {"waiting", "in_flight", "oldest"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_is(word, words[i])) {
            *by = (enum sweep_by)i;
            return true;
        }
    return false;
}

static bool verbs_ask_facets(struct backbone *b, struct unpack *u, uint32_t count,
                             struct verbs_call *call)
{
    uint64_t limit;
    enum sweep_by by;
    if (count != 3)
        return false;
    struct slice queue = backbone_verbs_queue(call, unpack_bytes(u));
    if (text_parse_u64(unpack_bytes(u), &limit) != 0 || !sweep_by(unpack_bytes(u), &by))
        return false;
    limit = limit < 1 ? 1 : limit < SWEEP_MAX ? limit : SWEEP_MAX;
    struct sweep *s = calloc(1, sizeof *s + limit * sizeof s->rows[0]);
    if (s == NULL) {
        snprintf(call->why, sizeof call->why, "memory is short: ask for less");
        return false;
    }
    s->start_ms = clock_mono_ms();
    s->by = by;
    s->limit = limit;
    call->own = s;
    queue_call_facets(&b->call, queue, slice_of("0"), SWEEP_PAGE);
    return true;
}

static void sweep_pack(struct sweep *s, bool whole, struct buffer *body)
{
    pack_map(body, 4);
    backbone_verbs_number(body, "age_ms", clock_mono_ms() - s->start_ms);
    backbone_verbs_number(body, "seen", s->seen);
    pack_text(body, "whole");
    pack_bool(body, whole);
    pack_text(body, "facets");
    pack_array(body, s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct queue_facet *f = &s->rows[i].f;
        pack_map(body, 5);
        pack_text(body, "facet");
        pack_bin(body, slice_make(s->rows[i].facet, f->facet.len));
        backbone_verbs_number(body, "waiting", f->waiting);
        backbone_verbs_number(body, "in_flight", f->in_flight);
        backbone_verbs_number(body, "weight", f->weight);
        backbone_verbs_span(body, "oldest_ms", f->oldest_ms);
    }
}

static bool verbs_answer_facets(struct verbs_call *call, const redisReply *reply,
                                struct buffer *body)
{
    struct sweep *s = call->own;
    char cursor[QUEUE_CURSOR_SIZE];
    struct queue_list list;
    struct queue_facet f;
    bool more;
    if (!queue_read_facets(queue_reply_bytes(reply), cursor, &more, &list)) {
        body->failed = true;
        return false;
    }
    while (queue_next_facet(&list, &f))
        sweep_add(s, &f);
    body->failed |= !queue_list_ok(&list);
    if (more && !body->failed && clock_mono_ms() - s->start_ms < SWEEP_MS) {
        queue_call_facets(&call->b->call, slice_of(call->queue), slice_of(cursor), SWEEP_PAGE);
        if (call->send(call))
            return true;
    }
    sweep_pack(s, !more, body);
    return false;
}

/* ---- queue-peek ---- */

static bool verbs_ask_peek(struct backbone *b, struct unpack *u, uint32_t count,
                           struct verbs_call *call)
{
    uint64_t messages;
    (void)call;
    if (count != 3)
        return false;
    struct slice queue = unpack_bytes(u), facet = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &messages) != 0)
        return false;
    queue_call_peek(&b->call, queue, facet, messages < VERBS_MESSAGES ? messages : VERBS_MESSAGES);
    return true;
}

static bool verbs_answer_peek(struct verbs_call *call, const redisReply *reply, struct buffer *body)
{
    struct queue_list tasks;
    struct queue_task t;
    (void)call;
    if (!queue_read_peeked(queue_reply_bytes(reply), &tasks)) {
        body->failed = true;
        return false;
    }
    pack_array(body, tasks.left);
    while (queue_next_peeked(&tasks, &t)) {
        pack_map(body, 5);
        pack_text(body, "id");
        if (t.id.len > 0)
            pack_str(body, t.id);
        else
            pack_nil(body);
        backbone_verbs_number(body, "attempt", t.attempt);
        pack_text(body, "facet");
        pack_bin(body, t.facet);
        backbone_verbs_span(body, "at_ms", t.at_ms);
        pack_text(body, "body");
        pack_bin(body, t.body);
    }
    body->failed |= !queue_list_ok(&tasks);
    return false;
}

const struct verbs_row backbone_verbs_show[] = {
    {"queue-status", "[QUEUE]", false, verbs_ask_status, verbs_answer_status},
    {"queue-facets", "QUEUE LIMIT waiting|in_flight|oldest", false, verbs_ask_facets,
     verbs_answer_facets},
    {"queue-peek", "QUEUE FACET COUNT", false, verbs_ask_peek, verbs_answer_peek},
    {0},
};
