/*
 * web_stream.c: readers of changes, as long as they stay. See web_subscriber.h, web_reader.h.
 *
 * A reader who has nothing to read hears a ping every 15 s: else nobody would notice that he has gone.
 */
#include "workers/snapshot/web/web_subscriber.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>

#define STREAM_PING_MS 15000

/* ---- what is asked for ---- */

struct stream_wants {
    struct web_served *s;
    struct web_reader_options o;
    size_t *list;
    size_t count, cap;
    bool unknown, is_short;
    struct web_id since;
};

static void wants_add(struct stream_wants *w, const struct web_resource *of)
{
    size_t place = (size_t)(of - w->s->data.list);
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i] == place)
            return;
    w->list[w->count++] = place; /* each at most once: there is room for all */
}

static void wants_on_resource(void *ctx, const char *value)
{
    struct stream_wants *w = ctx;
    struct slice list = slice_of(value), name;
    while (web_names_next(&list, &name)) {
        const struct web_resource *of = web_store_find(&w->s->data, name);
        w->unknown = w->unknown || of == NULL;
        if (of != NULL)
            wants_add(w, of);
    }
}

/* False: the request was answered. */
static bool wants_read(struct stream_wants *w, struct http_request *r)
{
    const char *since = http_request_header(r, "Last-Event-ID");
    if (since == NULL)
        since = http_request_query(r, "since");
    http_request_query_each(r, "resource", wants_on_resource, w);
    if (w->unknown)
        web_fail(r, MHD_HTTP_NOT_FOUND, "resource: one of them is none: /data/%s names them",
                 w->s->data.name);
    else if (!web_content_read(http_request_query(r, "content"), &w->o.content))
        web_fail(r, MHD_HTTP_BAD_REQUEST, "content: must be delta, full or none");
    else if (since != NULL && since[0] != '\0' && !web_id_read(since, &w->since))
        web_fail(r, MHD_HTTP_BAD_REQUEST, "since: is no id of an event: SEQ-COMMIT");
    else if (!w->s->data.known)
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store has not been heard yet: try again");
    else
        w->o.since = since != NULL && since[0] != '\0' ? &w->since : NULL;
    return http_request_is_open(r);
}

static void stream_start(struct web_served *s, struct http_request *r,
                         const struct web_reader_options *o)
{
    struct web_subscriber *b = calloc(1, sizeof *b);
    struct web_reader *reader = b != NULL ? web_reader_new(o) : NULL;
    if (reader == NULL) {
        free(b);
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
        return;
    }
    b->s = s;
    b->reader = reader;
    b->said_ms = clock_mono_ms();
    b->next = s->subscribers;
    if (b->next != NULL)
        b->next->prev = b;
    s->subscribers = b;
    s->web->subscribers++;
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    if (o->framing != &web_framing_websocket)
        http_request_add(r, "X-Accel-Buffering", "no"); /* nginx would keep events back */
    web_socket_answer(b, r, o->framing);
}

void web_stream(struct web_served *s, struct http_request *r)
{
    bool socket = web_socket_is_asked(r);
    struct stream_wants w = {.s = s,
                             .o = {.store = &s->data,
                                   .framing = socket                   ? &web_framing_websocket
                                              : http_request_is_old(r) ? &web_framing_sse
                                                                       : &web_framing_chunks},
                             .list = calloc(s->data.count + 1, sizeof *w.list)};
    if (w.list == NULL)
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
    else if (s->web->subscribers >= s->web->subscribers_max)
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "there are subscribers_max already");
    else if ((!socket || web_socket_admits(r)) && wants_read(&w, r)) {
        w.o.resources = w.count > 0 ? w.list : NULL;
        w.o.count = w.count;
        stream_start(s, r, &w.o);
    }
    free(w.list);
}

/* ---- what they keep ---- */

/* Who has that text lets go of it. Nobody else has it: so it is gone. */
static void stream_let_go(struct web_served *s, const struct web_text *text, size_t *closed)
{
    struct web_subscriber *next;
    for (struct web_subscriber *b = s->subscribers; b != NULL; b = next) {
        next = b->next;
        if (!web_reader_has(b->reader, text) || web_reader_fall(b->reader))
            continue;
        web_socket_break(b->socket);
        ++*closed;
    }
}

/*
 * No more than the journal may have; but one text, of whatever size, so that who is slow can read a large version to
 * its end while there are others. Who is closed comes back, says what he has, and is told what he has missed.
 */
static void stream_bound(struct web_served *s)
{
    struct web_texts *all = s->data.texts;
    size_t closed = 0, before = all->left;
    while (all->left > s->data.journal.most && all->first != all->last)
        stream_let_go(s, all->first, &closed);
    if (all->left != before)
        log_info("web-stalled", "store=%s bytes=%zu closed=%zu", s->data.name, before - all->left,
                 closed);
}

/* ---- what wakes them ---- */

void web_stream_wake(struct web_served *s)
{
    struct web_subscriber *next;
    stream_bound(s);
    for (struct web_subscriber *b = s->subscribers; b != NULL; b = next) {
        next = b->next; /* it may go */
        if (b->socket != NULL)
            web_socket_wake(b->socket);
    }
}

void web_stream_tick(struct web *web)
{
    uint64_t now = clock_mono_ms();
    struct web_subscriber *next;
    for (size_t i = 0; i < web->count; i++)
        for (struct web_subscriber *b = web->stores[i].subscribers; b != NULL; b = next) {
            next = b->next;
            bool silent = now - b->said_ms >= STREAM_PING_MS;
            if (silent)
                web_reader_ping(b->reader);
            if (b->socket != NULL && (silent || web_socket_is_waited_for(b->socket)))
                web_socket_wake(b->socket);
        }
}
