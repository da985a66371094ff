/*
 * gate_notify.c: each change without its content, PUBLISHed in Redis. See gate_private.h.
 *
 * prev is what was published last of that resource, so a reader who has missed something sees it. What could not be
 * published while Redis was away is one change of each resource when it is back: nothing is queued. A PUBLISH of
 * unknown outcome is made again: the same seq twice is one change.
 */
#include "workers/snapshot/gate/gate_private.h"

#include "common/json/json_write.h"
#include "workers/snapshot/snapshot_version.h"

#include <inttypes.h>
#include <stdio.h>

static void notify_member(struct buffer *b, const char *name, const char *value)
{
    buffer_printf(b, ",\"%s\":", name);
    json_write_string(b, slice_of(value));
}

static void notify_write(const struct gate *g, const struct gate_resource *r, struct buffer *b)
{
    char time[SNAPSHOT_TIME_SIZE];
    snapshot_time_write(r->time_s, time);
    buffer_append_text(b, "{\"event\":\"change\"");
    notify_member(b, "store", g->title);
    notify_member(b, "resource", r->name);
    buffer_printf(b, ",\"seq\":%" PRIu64 ",\"prev\":%" PRIu64, r->seq, r->told_seq);
    notify_member(b, "commit", r->commit);
    notify_member(b, "blob", r->blob);
    notify_member(b, "time", time);
    buffer_append_char(b, '}');
}

static void notify_refused(struct gate *g, const redisReply *reply)
{
    char why[512];
    redis_error_explain(reply->str, reply->len, why, sizeof why);
    g->refused = true;
    worker_trouble(g->w, "changes cannot be published: %s", why);
}

/* Without an answer it is told again, when the connection is back; refused, at the next tick. */
static void notify_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct gate_resource *r = ctx;
    struct gate *g = r->gate;
    uint64_t seq = r->telling;
    (void)c;
    r->telling = 0;
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        notify_refused(g, reply);
        return;
    }
    if (g->refused)
        worker_trouble(g->w, "%s", "");
    g->refused = false;
    r->told_seq = seq;
    gate_notify_tell(g);
}

/* False: not now. */
static bool notify_one(struct gate *g, struct gate_resource *r)
{
    struct buffer text = BUFFER_EMPTY;
    notify_write(g, r, &text);
    const struct slice words[] = {slice_of("PUBLISH"), slice_of(g->channel), buffer_slice(&text)};
    bool sent =
        buffer_ok(&text) && redis_conn_command(g->link.conn, 3, words, notify_on_reply, r) == 0;
    buffer_fini(&text);
    if (sent)
        r->telling = r->seq;
    return sent;
}

void gate_notify_tell(struct gate *g)
{
    bool goes = g->notifies && g->knows && redis_conn_ready(g->link.conn);
    for (size_t i = 0; goes && i < g->count; i++) {
        struct gate_resource *r = &g->list[i];
        if (r->telling == 0 && r->seq != r->told_seq)
            goes = notify_one(g, r);
    }
}

static void notify_on_ready(struct worker *w, void *state)
{
    (void)w;
    gate_notify_tell(state);
}

int gate_notify_open(struct gate *g)
{
    static const struct redis_link_events events = {.on_ready = notify_on_ready};
    snprintf(g->channel, sizeof g->channel, "platoon:{%s}:changes", g->title);
    g->notifies = true;
    return redis_link_open(&g->link, g->w, g, REDIS_LINK_PRIMARY, &events);
}

void gate_notify_tick(struct gate *g)
{
    if (!g->notifies)
        return;
    redis_link_tick(&g->link);
    gate_notify_tell(g);
}

void gate_notify_close(struct gate *g)
{
    redis_link_close(&g->link);
}
