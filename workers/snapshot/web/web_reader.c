/* web_reader.c: see web_reader.h. */
#include "workers/snapshot/web/web_reader.h"

#include "common/http/websocket.h"
#include "common/json/json_write.h"
#include "workers/snapshot/snapshot_version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct web_reader {
    struct web_reader_options o;
    size_t *resources;
    uint64_t *held; /* seq of the version of each that it holds; 0: none */
    bool greeted;
    uint64_t next;    /* number in the journal */
    uint64_t history; /* of the store, in which that counts */

    /* Bringing it up to the newest: */
    const char *reason; /* NULL: it is not */
    size_t at;          /* the resource it has come to */
    char id[WEB_ID_SIZE];

    /* The message it is in the midst of: `head`, or one that others are told as well, in front of the rest. */
    struct buffer head;
    struct web_text *shared;
    struct web_text *text;
    const char *end;
    size_t sent;    /* of all three */
    size_t telling; /* the resource that it is of, in its own list */
    uint64_t events, resyncs;
};

/* ---- framing ---- */

static void sse_begin(struct buffer *out, const char *event, const char *id, size_t len)
{
    (void)len;
    buffer_printf(out, "event: %s\n", event);
    if (id[0] != '\0')
        buffer_printf(out, "id: %s\n", id);
    buffer_append_text(out, "data: ");
}

const struct web_framing web_framing_sse = {
    .begin = sse_begin, .end = "\n\n", .ping = ": ping\n\n", .ping_len = 8, .last = ""};

static void chunks_begin(struct buffer *out, const char *event, const char *id, size_t len)
{
    struct buffer fields = BUFFER_EMPTY;
    sse_begin(&fields, event, id, len);
    buffer_printf(out, "%zx\r\n", fields.len + len + strlen(web_framing_sse.end));
    buffer_append_slice(out, buffer_slice(&fields));
    out->failed = out->failed || fields.failed;
    buffer_fini(&fields);
}

const struct web_framing web_framing_chunks = {.begin = chunks_begin,
                                               .end = "\n\n\r\n",
                                               .ping = "8\r\n: ping\n\n\r\n",
                                               .ping_len = 13,
                                               .last = "0\r\n\r\n",
                                               .number = 1};

/* Event and id stand in the message itself. */
static void websocket_begin(struct buffer *out, const char *event, const char *id, size_t len)
{
    char head[WEBSOCKET_HEAD_MAX];
    (void)event;
    (void)id;
    buffer_append(out, head, websocket_head(len, head));
}

const struct web_framing web_framing_websocket = {.begin = websocket_begin,
                                                  .end = "",
                                                  .ping = WEBSOCKET_PING,
                                                  .ping_len = WEBSOCKET_PING_LEN,
                                                  .last = WEBSOCKET_AWAY,
                                                  .number = 2};

/* ---- messages ---- */

static void reader_member(struct buffer *b, const char *name, const char *value)
{
    buffer_printf(b, ",\"%s\":", name);
    json_write_string(b, slice_of(value));
}

static void reader_time(struct buffer *b, int64_t time_s)
{
    char text[SNAPSHOT_TIME_SIZE];
    snapshot_time_write(time_s, text);
    reader_member(b, "time", text);
}

/* The message's head is there: its closing brace comes behind `text`. */
static void reader_go(struct web_reader *r, struct web_text *text)
{
    r->text = web_text_read(text);
    r->end = "}";
    r->sent = 0;
    r->events++;
}

static void reader_encode(const struct web_reader *r, const char *event, const char *id,
                          struct buffer *json, const struct web_text *text, struct buffer *head)
{
    if (id[0] != '\0')
        reader_member(json, "id", id);
    buffer_clear(head);
    r->o.framing->begin(head, event, id, json->len + web_text_slice(text).len + 1);
    buffer_append_slice(head, buffer_slice(json));
    head->failed = head->failed || json->failed;
    buffer_fini(json);
}

/* The message begins: `json` lacks its closing brace. */
static void reader_say(struct web_reader *r, const char *event, const char *id, struct buffer *json,
                       struct web_text *text)
{
    reader_encode(r, event, id, json, text, &r->head);
    reader_go(r, text);
}

static void reader_begin(struct buffer *b, const struct web_reader *r, const char *event,
                         size_t resource, const struct web_version *v)
{
    buffer_printf(b, "{\"event\":\"%s\"", event);
    reader_member(b, "resource", r->o.store->list[resource].name);
    buffer_printf(b, ",\"seq\":%" PRIu64, v->seq);
    reader_member(b, "commit", v->commit);
    reader_member(b, "blob", v->blob);
    reader_time(b, v->time_s);
}

static void reader_hello(struct web_reader *r)
{
    const struct web_store *s = r->o.store;
    struct buffer b = BUFFER_EMPTY;
    const char *comma = "";
    buffer_append_text(&b, "{\"event\":\"hello\"");
    reader_member(&b, "store", s->name);
    buffer_printf(&b, ",\"seq\":%" PRIu64, s->head.seq);
    reader_member(&b, "commit", s->head.commit);
    buffer_append_text(&b, ",\"resources\":[");
    for (size_t i = 0; i < r->o.count; i++) {
        buffer_append_text(&b, i > 0 ? "," : "");
        json_write_string(&b, slice_of(s->list[r->resources[i]].name));
    }
    buffer_append_text(&b, "],\"versions\":[");
    for (size_t i = 0; i < r->o.count; i++) {
        const struct web_resource *of = &s->list[r->resources[i]];
        if (!of->has)
            continue;
        buffer_printf(&b, "%s{\"resource\":", comma);
        json_write_string(&b, slice_of(of->name));
        buffer_printf(&b, ",\"seq\":%" PRIu64, of->v.seq);
        reader_member(&b, "commit", of->v.commit);
        reader_member(&b, "blob", of->v.blob);
        buffer_append_char(&b, '}');
        comma = ",";
    }
    buffer_append_char(&b, ']');
    reader_say(r, "hello", "", &b, NULL);
    r->greeted = true;
}

static void reader_snapshot(struct web_reader *r, size_t i, const char *reason, const char *id)
{
    const struct web_resource *of = &r->o.store->list[r->resources[i]];
    struct buffer b = BUFFER_EMPTY;
    reader_begin(&b, r, "snapshot", r->resources[i], &of->v);
    reader_member(&b, "reason", reason);
    r->held[i] = of->v.seq;
    r->telling = i;
    reader_say(r, "snapshot", id, &b, r->o.content != WEB_CONTENT_NONE ? of->text : NULL);
}

/* The change as those are told it who want as much, and hold what it is a change of. */
static void change_encode(const struct web_reader *r, const struct web_change *c, bool whole,
                          const struct web_text *text, struct buffer *head)
{
    struct web_version v = {.seq = c->seq, .time_s = c->time_s};
    char id[WEB_ID_SIZE];
    struct buffer b = BUFFER_EMPTY;
    const char *event = whole ? "snapshot" : "change";
    memcpy(v.commit, c->commit, sizeof v.commit);
    memcpy(v.blob, c->blob, sizeof v.blob);
    web_id_write(c->seq, c->commit, id);
    reader_begin(&b, r, event, c->resource, &v);
    if (whole)
        reader_member(&b, "reason", c->whole);
    else
        buffer_printf(&b, ",\"prev\":%" PRIu64, c->prev);
    reader_encode(r, event, id, &b, text, head);
}

/* Most are told the newest, one behind the other: the heads of one change are kept, and made anew for another. */
static void reader_change(struct web_reader *r, size_t i, const struct web_change *c,
                          uint64_t number)
{
    struct web_heads *heads = r->o.store->heads;
    struct web_text **kept = &heads->list[r->o.framing->number][r->o.content];
    bool whole = c->whole != NULL && r->o.content != WEB_CONTENT_NONE &&
                 (r->o.content == WEB_CONTENT_DELTA || c->prev == 0);
    struct web_text *text = r->o.content == WEB_CONTENT_NONE            ? NULL
                            : whole || r->o.content == WEB_CONTENT_FULL ? c->text
                                                                        : c->splices;
    web_heads_of(heads, number);
    if (*kept == NULL) {
        change_encode(r, c, whole, text, &r->head);
        *kept =
            buffer_ok(&r->head) ? web_text_new(r->o.store->texts, buffer_slice(&r->head)) : NULL;
    }
    if (*kept != NULL) { /* else it has a head of its own */
        buffer_fini(&r->head);
        r->shared = web_text_read(*kept);
    }
    r->held[i] = c->seq;
    r->telling = i;
    reader_go(r, text);
}

/* ---- what comes next ---- */

static void reader_bring(struct web_reader *r, const char *reason)
{
    const struct web_store *s = r->o.store;
    r->reason = reason;
    r->at = 0;
    r->next = web_journal_end(&s->journal);
    r->history = s->history;
    web_id_write(s->head.seq, s->head.commit, r->id);
}

/* The place in its own list of the resource at that place of the store's. */
static bool reader_wants(const struct web_reader *r, size_t resource, size_t *i)
{
    for (*i = 0; *i < r->o.count; ++*i)
        if (r->resources[*i] == resource)
            return true;
    return false;
}

/* It is brought to the newest, from where it has come to. False: it is there. */
static bool reader_go_on(struct web_reader *r)
{
    const struct web_store *s = r->o.store;
    for (; r->at < r->o.count; r->at++) {
        const struct web_resource *of = &s->list[r->resources[r->at]];
        size_t later = r->at + 1;
        if (!of->has || of->v.seq == r->held[r->at])
            continue;
        while (later < r->o.count && (!s->list[r->resources[later]].has ||
                                      s->list[r->resources[later]].v.seq == r->held[later]))
            later++;
        reader_snapshot(r, r->at++, r->reason, later == r->o.count ? r->id : "");
        return true;
    }
    r->reason = NULL;
    return false;
}

/* The next change that concerns it. False: there is none. */
static bool reader_follow(struct web_reader *r)
{
    const struct web_journal *j = &r->o.store->journal;
    const struct web_change *c;
    size_t i;
    while ((c = web_journal_at(j, r->next)) != NULL) {
        r->next++;
        if (!reader_wants(r, c->resource, &i) || c->seq <= r->held[i])
            continue;
        if (c->prev == r->held[i]) {
            reader_change(r, i, c, r->next - 1);
            return true;
        }
        r->next--;
        return false; /* it holds another: it is brought to the newest */
    }
    return false;
}

static bool reader_is_behind(const struct web_reader *r)
{
    const struct web_journal *j = &r->o.store->journal;
    return r->history != r->o.store->history || r->next < j->first || r->next < web_journal_end(j);
}

/* Something to say next. False: there is nothing. */
static bool reader_next(struct web_reader *r)
{
    const struct web_store *s = r->o.store;
    if (!s->known && !r->greeted)
        return false;
    if (!r->greeted) {
        reader_hello(r);
        return true;
    }
    if (r->reason != NULL && r->history == s->history && reader_go_on(r))
        return true;
    if (r->history == s->history && r->next >= s->journal.first && reader_follow(r))
        return true;
    if (!reader_is_behind(r) || !s->known)
        return false;
    if (r->history != s->history)
        memset(r->held, 0, r->o.count * sizeof *r->held);
    reader_bring(r, r->history != s->history ? "gap" : "slow");
    r->resyncs++;
    return reader_go_on(r);
}

/* ---- bytes ---- */

static int reader_left(const struct web_reader *r, struct iovec parts[WEB_READER_PARTS])
{
    const struct slice all[WEB_READER_PARTS] = {
        r->shared != NULL ? web_text_slice(r->shared) : buffer_slice(&r->head),
        web_text_slice(r->text), slice_of(r->end),
        slice_of(r->end[0] != '\0' ? r->o.framing->end : "")};
    size_t skip = r->sent;
    int count = 0;
    for (size_t i = 0; i < WEB_READER_PARTS; i++) {
        size_t passed = skip < all[i].len ? skip : all[i].len;
        skip -= passed;
        if (passed < all[i].len)
            parts[count++] =
                (struct iovec){(void *)(uintptr_t)(all[i].ptr + passed), all[i].len - passed};
    }
    return count;
}

static void reader_over(struct web_reader *r)
{
    buffer_fini(&r->head);
    web_text_unread(r->shared);
    web_text_unread(r->text);
    r->shared = r->text = NULL;
    r->end = "";
    r->sent = 0;
}

int web_reader_parts(struct web_reader *r, struct iovec parts[WEB_READER_PARTS])
{
    int count;
    while ((count = reader_left(r, parts)) == 0) {
        reader_over(r);
        if (!reader_next(r))
            return 0;
        if (!buffer_ok(&r->head))
            return -ENOMEM;
    }
    return count;
}

void web_reader_took(struct web_reader *r, size_t len)
{
    r->sent += len;
}

bool web_reader_is_within(const struct web_reader *r)
{
    struct iovec parts[WEB_READER_PARTS];
    return r->sent > 0 && reader_left(r, parts) > 0;
}

void web_reader_ping(struct web_reader *r)
{
    if (r->head.len == 0 && r->shared == NULL)
        buffer_append(&r->head, r->o.framing->ping, r->o.framing->ping_len);
}

uint64_t web_reader_resyncs(const struct web_reader *r)
{
    return r->resyncs;
}

uint64_t web_reader_events(const struct web_reader *r)
{
    return r->events;
}

bool web_reader_has(const struct web_reader *r, const struct web_text *text)
{
    return r->text == text || r->shared == text;
}

bool web_reader_fall(struct web_reader *r)
{
    if (r->sent > 0)
        return false;
    reader_over(r);
    r->events--;
    r->held[r->telling] = 0; /* whatever it held of it: it is told the newest whole */
    if (r->history == r->o.store->history) {
        reader_bring(r, "slow");
        r->resyncs++;
    }
    return true;
}

/* ---- life ---- */

/* What it held when it had read all before `next`: what the next change of each is a change of. */
static void reader_remember(struct web_reader *r)
{
    const struct web_store *s = r->o.store;
    size_t at;
    for (size_t i = 0; i < r->o.count; i++)
        r->held[i] = s->list[r->resources[i]].v.seq;
    for (uint64_t n = web_journal_end(&s->journal); n-- > r->next;) {
        const struct web_change *c = web_journal_at(&s->journal, n);
        if (c != NULL && reader_wants(r, c->resource, &at))
            r->held[at] = c->prev;
    }
}

struct web_reader *web_reader_new(const struct web_reader_options *o)
{
    struct web_reader *r = calloc(1, sizeof *r);
    size_t count = o->resources != NULL ? o->count : o->store->count;
    if (r == NULL)
        return NULL;
    r->o = *o;
    r->o.count = count;
    r->o.since = NULL;
    r->end = "";
    r->resources = calloc(count + 1, sizeof *r->resources);
    r->held = calloc(count + 1, sizeof *r->held);
    if (r->resources == NULL || r->held == NULL) {
        web_reader_free(r);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        r->resources[i] = o->resources != NULL ? o->resources[i] : i;
    if (o->since != NULL && web_journal_behind(&o->store->journal, o->since, &r->next)) {
        r->history = o->store->history;
        reader_remember(r);
    } else {
        reader_bring(r, o->since != NULL ? "gap" : "start");
    }
    return r;
}

void web_reader_free(struct web_reader *r)
{
    if (r == NULL)
        return;
    reader_over(r);
    free(r->resources);
    free(r->held);
    free(r);
}
