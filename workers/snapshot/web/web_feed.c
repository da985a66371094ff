/*
 * web_feed.c: each store's newest versions and changes, as they come. See web_private.h.
 *
 * When a store comes, it is asked to tell each change; it says when its repository is open, and is asked then what
 * there is (a change of no resource: look anew). Versions are taken over one by one, in the
 * order of their numbers; small ones come with their bytes, those of others are asked for. So what readers are told is
 * in order, and what was missed while a store was away becomes one change of each resource.
 */
#include "workers/snapshot/web/web_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/snapshot/snapshot_version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FEED_WHOLE_MAX 65536 /* versions of so many bytes come with their change */
#define FEED_ITEMS_MAX 1000  /* more are not waited for: what there is is asked anew */
#define FEED_AGAIN_MS  5000u /* what could not be read is asked for again */

struct web_item {
    struct web_item *next;
    struct web_resource *of;
    struct web_version v;
    uint64_t size;
    bool whole; /* `bytes` are all */
    struct buffer bytes;
};

static void feed_list(struct web_served *s);
static void feed_go_on(struct web_served *s);

static void item_free(struct web_item *item)
{
    buffer_fini(&item->bytes);
    free(item);
}

static void feed_pop(struct web_served *s)
{
    struct web_item *item = s->first;
    s->first = item->next;
    if (s->first == NULL)
        s->last = NULL;
    s->items--;
    buffer_fini(&s->piece);
    item_free(item);
}

static void feed_clear(struct web_served *s)
{
    web_ask_forget(s->web, s);
    s->listing = s->fetching = false;
    while (s->first != NULL)
        feed_pop(s);
}

/* All of it anew. */
static void feed_again(struct web_served *s)
{
    feed_clear(s);
    if (s->peer != NULL)
        feed_list(s);
}

/* In order of seq. False: memory is short. */
static bool feed_push(struct web_served *s, const struct web_item *of)
{
    struct web_item *item = malloc(sizeof *item), **at = &s->first;
    if (item == NULL)
        return false;
    *item = *of;
    if (s->last != NULL && s->last->v.seq < item->v.seq)
        at = &s->last->next;
    while (*at != NULL && (*at)->v.seq < item->v.seq)
        at = &(*at)->next;
    item->next = *at;
    *at = item;
    if (item->next == NULL)
        s->last = item;
    s->items++;
    return true;
}

/* ---- taking over ---- */

static bool feed_is_new(const struct web_resource *of, const struct web_version *v)
{
    return !of->has || v->seq > of->v.seq;
}

static void feed_take(struct web_served *s, struct buffer *bytes)
{
    struct web_item *item = s->first;
    bool good = buffer_ok(bytes);
    if (good && feed_is_new(item->of, &item->v))
        good = web_store_take(&s->data, item->of, &item->v, bytes);
    buffer_fini(bytes);
    if (!good)
        worker_exit_for(s->web->w, ENOMEM, NULL, "%s: a version of %s", s->data.name,
                        item->of->name);
    feed_pop(s);
}

static bool feed_member(struct unpack *u, uint32_t count, const char *name, struct unpack *out)
{
    for (uint32_t i = 0; i < count && unpack_ok(u); i++) {
        struct slice key = unpack_bytes(u);
        *out = *u;
        unpack_raw(u);
        if (slice_is(key, name))
            return unpack_ok(u);
    }
    return false;
}

static struct slice feed_bytes(struct slice body)
{
    struct unpack u = unpack_start(body), value;
    uint32_t count = unpack_map(&u);
    if (!feed_member(&u, count, "bytes", &value))
        return slice_make("", 0);
    return unpack_bytes(&value);
}

/* Told once: it is asked for until it can be read. */
static bool feed_unread(struct web_served *s)
{
    bool first = !s->unread;
    s->unread = true;
    s->again_ms = clock_mono_ms() + FEED_AGAIN_MS;
    return first;
}

static void feed_on_piece(void *ctx, enum control_status status, struct slice body)
{
    struct web_served *s = ctx;
    struct web_item *item = s->first;
    struct slice bytes = status == CONTROL_OK ? feed_bytes(body) : slice_make("", 0);
    s->fetching = false;
    buffer_append_slice(&s->piece, bytes);
    if (status != CONTROL_OK || (bytes.len == 0 && s->piece.len < item->size)) {
        if (feed_unread(s))
            log_warn("web-version-unread", "store=%s resource=%s commit=%s", s->data.name,
                     item->of->name, item->v.commit);
        feed_pop(s); /* others do not wait for it */
    } else if (s->piece.len >= item->size) {
        struct buffer all = s->piece;
        s->piece = BUFFER_EMPTY;
        feed_take(s, &all);
    }
    feed_go_on(s);
}

static void feed_fetch(struct web_served *s)
{
    char offset[24];
    snprintf(offset, sizeof offset, "%zu", s->piece.len);
    const struct slice words[] = {slice_of(s->first->of->name), slice_of(s->first->v.commit),
                                  slice_of(offset)};
    s->fetching = web_ask(s, "snapshot-get", 3, words, feed_on_piece, s);
}

/* What comes next is taken over, or asked for. */
static void feed_go_on(struct web_served *s)
{
    while (s->first != NULL && !s->fetching) {
        if (s->first->whole || !feed_is_new(s->first->of, &s->first->v)) {
            struct buffer bytes = s->first->bytes;
            s->first->bytes = BUFFER_EMPTY;
            feed_take(s, &bytes);
        } else {
            feed_fetch(s);
            if (!s->fetching)
                break; /* the store has just gone */
        }
    }
    if (s->first == NULL && !s->listing && s->peer != NULL) {
        s->unread = s->again_ms != 0;
        web_store_know(&s->data);
    }
    web_stream_wake(s);
}

/* ---- what there is ---- */

static bool feed_copy(struct slice text, char to[WEB_COMMIT_SIZE])
{
    return text.len == WEB_COMMIT_SIZE - 1 && slice_copy(text, to, WEB_COMMIT_SIZE);
}

/* One row of the list. False: it is none. */
static bool feed_row(struct web_served *s, struct unpack *u, struct web_item *item)
{
    uint32_t count = unpack_map(u);
    *item = (struct web_item){.next = NULL};
    struct snapshot_version when = {.time_s = 0};
    bool good = true;
    for (uint32_t i = 0; i < count && unpack_ok(u); i++) {
        struct slice key = unpack_bytes(u);
        if (slice_is(key, "resource"))
            item->of = web_store_find(&s->data, unpack_bytes(u));
        else if (slice_is(key, "seq"))
            item->v.seq = unpack_u64(u);
        else if (slice_is(key, "size"))
            item->size = unpack_u64(u);
        else if (slice_is(key, "commit"))
            good = good && feed_copy(unpack_bytes(u), item->v.commit);
        else if (slice_is(key, "blob"))
            good = good && feed_copy(unpack_bytes(u), item->v.blob);
        else if (slice_is(key, "time"))
            good = good && snapshot_version_read(unpack_bytes(u), 0, &when);
        else
            unpack_raw(u);
    }
    item->v.time_s = when.time_s;
    return good && unpack_ok(u);
}

/* The store's number went back, or is another commit's: it is another repository. */
static bool feed_is_other(const struct web_item *item)
{
    const struct web_resource *of = item->of;
    return of != NULL && of->has &&
           (item->v.seq < of->v.seq ||
            (item->v.seq == of->v.seq && strcmp(item->v.commit, of->v.commit) != 0));
}

static bool feed_rows(struct web_served *s, struct slice body, bool *other)
{
    struct unpack u = unpack_start(body);
    uint32_t count = unpack_array(&u);
    *other = false;
    for (uint32_t i = 0; i < count; i++) {
        struct web_item item;
        if (!feed_row(s, &u, &item))
            return false;
        *other = *other || feed_is_other(&item);
        if (item.of != NULL && item.v.seq > 0 && feed_is_new(item.of, &item.v) &&
            !feed_push(s, &item))
            worker_exit_for(s->web->w, ENOMEM, NULL, "%s: its list", s->data.name);
    }
    return true;
}

static void feed_on_list(void *ctx, enum control_status status, struct slice body)
{
    struct web_served *s = ctx;
    bool other = false;
    s->listing = false;
    if (status != CONTROL_OK || !feed_rows(s, body, &other)) {
        if (feed_unread(s))
            log_warn("web-list-unread", "store=%s status=%d", s->data.name, (int)status);
        return;
    }
    if (other) {
        log_warn("web-other-history", "store=%s", s->data.name);
        web_store_forget(&s->data);
        feed_again(s);
        return;
    }
    feed_go_on(s);
}

static void feed_list(struct web_served *s)
{
    s->again_ms = 0;
    s->listing = web_ask(s, "snapshot-list", 0, NULL, feed_on_list, s);
}

/* ---- what is told ---- */

/* Before the list is here nothing is kept of it: that one is newer. */
static void feed_changed(struct web_served *s, const struct message_changed *m)
{
    struct web_item item = {.of = web_store_find(&s->data, m->resource),
                            .v = {.seq = m->seq, .time_s = m->time_s},
                            .size = m->size,
                            .whole = m->whole != 0};
    if (s->listing && m->resource.len > 0)
        return;
    bool good = item.of != NULL && feed_copy(m->commit, item.v.commit) &&
                feed_copy(m->blob, item.v.blob) && s->items < FEED_ITEMS_MAX;
    if (good && item.whole)
        buffer_append_slice(&item.bytes, m->bytes);
    if (!good || !buffer_ok(&item.bytes) || !feed_push(s, &item)) {
        buffer_fini(&item.bytes);
        if (item.of != NULL || m->resource.len == 0)
            feed_again(s);
        return;
    }
    feed_go_on(s);
}

bool web_feed_message(struct web_served *s, uint64_t type, struct unpack *u)
{
    struct message_changed m;
    if (type != MESSAGE_CHANGED || !message_changed_unpack(u, &m))
        return false;
    feed_changed(s, &m);
    return true;
}

/* ---- its coming and going ---- */

void web_feed_up(struct web_served *s)
{
    struct buffer *message = worker_compose(s->web->w);
    message_follow_pack(message, &(struct message_follow){.whole_max = FEED_WHOLE_MAX});
    worker_must_send(s->web->w, s->peer, message);
}

void web_feed_tick(struct web_served *s)
{
    if (s->again_ms != 0 && clock_mono_ms() >= s->again_ms && s->peer != NULL && !s->listing &&
        s->first == NULL)
        feed_list(s);
}

void web_feed_down(struct web_served *s)
{
    s->again_ms = 0; /* all is asked for when it comes again */
    feed_clear(s);
}

void web_feed_fini(struct web_served *s)
{
    while (s->first != NULL)
        feed_pop(s);
}
