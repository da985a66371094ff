/*
 * backbone_sessions.c: people who listen (`queue listen`): what they have not fetched yet. See backbone.h.
 *
 * A control request has one answer, so who listens asks again and again (queue-listen), and is one session meanwhile:
 * it is answered when there is something, or after half of the time it has. What comes between two questions is kept
 * for it, within bounds; what is beyond is dropped and counted. Who does not ask for a while is gone.
 */
#include "workers/queue/backbone.h"

#include "common/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SESSIONS_MAX       16
#define SESSION_BYTES_MAX  (1024u * 1024)
#define SESSION_GONE_MS    15000u
#define SESSION_HEAD_BYTES 64u /* of a message, beside topic and body */

struct backbone_heard {
    struct backbone_heard *next;
    struct slice topic, body;
    char bytes[];
};

struct backbone_session {
    struct backbone_session *next;
    struct backbone *b;
    uint64_t id;
    uint64_t request; /* that waits for its answer; 0: none does */
    uv_timer_t timer; /* a request is answered without anything; or nobody has asked for too long */
    struct backbone_heard *first, **last;
    size_t bytes;
    uint64_t lost; /* since the last answer */
    size_t pattern_size;
    char pattern[];
};

static void session_on_timer(uv_timer_t *timer);

/* ---- what it has heard ---- */

static void session_drop(struct backbone_session *s)
{
    while (s->first != NULL) {
        struct backbone_heard *h = s->first;
        s->first = h->next;
        free(h);
    }
    s->last = &s->first;
    s->bytes = 0;
}

static void session_keep(struct backbone_session *s, struct slice topic, struct slice body)
{
    size_t bytes = SESSION_HEAD_BYTES + topic.len + body.len;
    struct backbone_heard *h =
        s->bytes + bytes <= SESSION_BYTES_MAX ? malloc(sizeof *h + topic.len + body.len) : NULL;
    if (h == NULL) {
        s->lost++;
        worker_count(s->b->w, COUNTER_QUEUE_UNHEARD, 1);
        return;
    }
    h->next = NULL;
    memcpy(h->bytes, topic.ptr, topic.len);
    memcpy(h->bytes + topic.len, body.ptr, body.len);
    h->topic = slice_make(h->bytes, topic.len);
    h->body = slice_make(h->bytes + topic.len, body.len);
    *s->last = h;
    s->last = &h->next;
    s->bytes += bytes;
}

/* ---- answers ---- */

static void session_answer(struct backbone_session *s)
{
    struct buffer body = BUFFER_EMPTY;
    char id[24];
    uint32_t count = 0;
    for (const struct backbone_heard *h = s->first; h != NULL; h = h->next)
        count++;
    snprintf(id, sizeof id, "%" PRIu64, s->id);
    pack_map(&body, 3);
    pack_text(&body, "session");
    pack_text(&body, id);
    pack_text(&body, "lost");
    pack_u64(&body, s->lost);
    pack_text(&body, "messages");
    pack_array(&body, count);
    for (const struct backbone_heard *h = s->first; h != NULL; h = h->next) {
        pack_map(&body, 2);
        pack_text(&body, "topic");
        pack_str(&body, h->topic);
        pack_text(&body, "body");
        pack_bin(&body, h->body);
    }
    if (buffer_ok(&body))
        worker_reply(s->b->w, s->request, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(s->b->w, s->request, CONTROL_ERROR, "memory is short for the answer");
    buffer_fini(&body);
    session_drop(s);
    s->lost = 0;
    s->request = 0;
    s->b->asked--;
    uv_timer_start(&s->timer, session_on_timer, SESSION_GONE_MS, 0);
}

void backbone_sessions_tell(struct backbone *b, struct slice channel, struct slice topic,
                            struct slice body)
{
    for (struct backbone_session *s = b->sessions; s != NULL; s = s->next) {
        if (!backbone_listen_matches(s->pattern, s->pattern_size, channel))
            continue;
        session_keep(s, topic, body);
        if (s->request != 0)
            session_answer(s);
    }
}

bool backbone_sessions_listen(struct backbone *b)
{
    bool good = true;
    for (const struct backbone_session *s = b->sessions; s != NULL && good; s = s->next)
        good = backbone_listen_add(b, s->pattern, s->pattern_size);
    return good;
}

void backbone_sessions_drain(struct backbone *b)
{
    for (struct backbone_session *s = b->sessions; s != NULL; s = s->next)
        if (s->request != 0)
            session_answer(s);
}

/* ---- coming and going ---- */

static void session_on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void session_end(struct backbone_session *s)
{
    struct backbone_session **at = &s->b->sessions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    session_drop(s);
    uv_close((uv_handle_t *)&s->timer, session_on_closed);
}

static void session_on_timer(uv_timer_t *timer)
{
    struct backbone_session *s = timer->data;
    if (s->request != 0)
        session_answer(s);
    else
        session_end(s);
}

static struct backbone_session *session_new(struct backbone *b, struct slice glob, char *why,
                                            size_t why_size)
{
    struct buffer pattern = BUFFER_EMPTY;
    struct backbone_session *s = NULL;
    size_t count = 0;
    for (const struct backbone_session *other = b->sessions; other != NULL; other = other->next)
        count++;
    snprintf(why, why_size, "memory is short: try again");
    if (count == SESSIONS_MAX)
        snprintf(why, why_size, "%d people listen already: try again when one has ended",
                 SESSIONS_MAX);
    else if (!backbone_listen_pattern(b, glob, &pattern))
        snprintf(why, why_size, "a glob has 1 to %d letters", BACKBONE_GLOB_MAX);
    else if ((s = calloc(1, sizeof *s + pattern.len)) != NULL) {
        *s = (struct backbone_session){
            .next = b->sessions, .b = b, .id = ++b->last_session, .pattern_size = pattern.len};
        s->last = &s->first;
        memcpy(s->pattern, pattern.data, pattern.len);
        uv_timer_init(worker_loop(b->w), &s->timer);
        s->timer.data = s;
        b->sessions = s;
        if (!backbone_listen_add(b, s->pattern, s->pattern_size)) {
            session_end(s);
            s = NULL;
        }
    }
    buffer_fini(&pattern);
    return s;
}

/* A session of a worker that is no more is a new one: nobody says what was meanwhile. */
static struct backbone_session *session_of(struct backbone *b, struct slice glob, struct slice id,
                                           char *why, size_t why_size)
{
    char text[24];
    for (struct backbone_session *s = b->sessions; s != NULL; s = s->next) {
        snprintf(text, sizeof text, "%" PRIu64, s->id);
        if (slice_is(id, text))
            return s;
    }
    return session_new(b, glob, why, why_size);
}

void backbone_session_ask(struct backbone *b, const struct link_request *request, struct slice glob,
                          struct slice id)
{
    char why[128];
    struct backbone_session *s = session_of(b, glob, id, why, sizeof why);
    if (s == NULL || worker_stopping(b->w)) {
        worker_reply_text(b->w, request->id, CONTROL_ERROR, "%s",
                          s == NULL ? why : "this backbone worker ends: try again");
        return;
    }
    if (s->request != 0) /* its earlier one has been given up */
        session_answer(s);
    b->asked++;
    s->request = request->id;
    if (s->first != NULL)
        session_answer(s);
    else
        uv_timer_start(&s->timer, session_on_timer, request->deadline_ms / 2, 0);
}

void backbone_sessions_fini(struct backbone *b)
{
    while (b->sessions != NULL)
        session_end(b->sessions);
}
