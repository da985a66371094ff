/*
 * backbone_listen.c: who listens to what is delivered hears it, as Redis publishes it: consumers (LISTEN), and people
 * (backbone_verbs_listen.c). See backbone.h.
 *
 * At most once: nothing is kept for who is away, and who does not keep up loses messages, which are counted. So
 * nobody's slowness holds a delivery up. Redis publishes what everybody delivers, the original's clients too; one
 * subscription serves all who have the same glob, on a connection of its own, which there is only while somebody
 * listens.
 */
#include "workers/queue/backbone.h"

#include "common/glob.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>

/* What may wait for one that listens. */
#define LISTEN_QUEUE_MAX (1024u * 1024)

/* Subscriptions that nobody needs any more go with the connection: when there are so many, or nobody listens at all. */
#define LISTEN_PATTERNS_MAX 1024

/* Between tries for patterns that Redis refuses: as for rights, each is in ACL LOG. */
#define LISTEN_AGAIN_MS 300000u

/* ---- globs ---- */

bool backbone_listen_pattern(const struct backbone *b, struct slice glob, struct buffer *out)
{
    size_t before = out->len;
    for (const char *c = b->redis.space; *c != '\0'; c++) {
        if (strchr("*?[]\\", *c) != NULL)
            buffer_append_char(out, '\\');
        buffer_append_char(out, *c);
    }
    buffer_append_slice(out, glob);
    buffer_append_char(out, '\0');
    return buffer_ok(out) && glob.len > 0 && glob.len <= BACKBONE_GLOB_MAX &&
           memchr(out->data + before, '\0', out->len - before) == out->data + out->len - 1;
}

bool backbone_listen_matches(const char *patterns, size_t size, struct slice channel)
{
    for (size_t at = 0; at < size; at += strlen(patterns + at) + 1)
        if (glob_matches(slice_of(patterns + at), channel, false))
            return true;
    return false;
}

/* A message comes once for each pattern that it matches: the first of ours is the one that counts. */
static bool listen_is_first(const struct backbone *b, struct slice pattern, struct slice channel)
{
    for (size_t i = 0; i < b->pattern_count; i++)
        if (glob_matches(slice_of(b->patterns[i]), channel, false))
            return slice_is(pattern, b->patterns[i]);
    return false;
}

/* ---- what is heard ---- */

static void listen_tell(struct backbone *b, struct worker_peer *to, struct slice topic,
                        struct slice body)
{
    struct buffer *message = worker_compose(b->w);
    message_published_pack(message, &(struct message_published){.topic = topic, .body = body});
    if (worker_queued(b->w, to) > LISTEN_QUEUE_MAX || worker_send(b->w, to, message) != 0)
        worker_count(b->w, COUNTER_QUEUE_UNHEARD, 1);
}

static void listen_on_matched(struct redis_conn *c, struct slice pattern, struct slice channel,
                              struct slice payload, void *ctx)
{
    struct backbone *b = ctx;
    size_t space = strlen(b->redis.space);
    (void)c;
    if (channel.len < space || !listen_is_first(b, pattern, channel))
        return;
    struct slice topic = slice_make(channel.ptr + space, channel.len - space);
    for (struct worker_peer *p = worker_peer_next(b->w, NULL); p != NULL;
         p = worker_peer_next(b->w, p)) {
        const struct backbone_peer *peer = p->user;
        if (peer != NULL && backbone_listen_matches(peer->globs, peer->globs_size, channel))
            listen_tell(b, p, topic, payload);
    }
    backbone_sessions_tell(b, channel, topic, payload);
}

/* ---- the connection ---- */

/* What keeps it away keeps the other connection away too, and that one says so. */
static void listen_on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    (void)ctx;
    log_debug("listening-lost", "why=%s", log_quote_text(why));
}

static void listen_close(struct backbone *b)
{
    struct redis_conn *hears = b->hears;
    b->hears = NULL;
    redis_conn_free(hears);
    for (size_t i = 0; i < b->pattern_count; i++)
        free(b->patterns[i]);
    free(b->patterns);
    b->patterns = NULL;
    b->pattern_count = 0;
}

static bool listen_open(struct backbone *b)
{
    static const struct redis_conn_events events = {.on_lost = listen_on_lost,
                                                    .on_matched = listen_on_matched};
    struct redis_options options = {0};
    char why[256];
    redis_settings_read(b->w, &options);
    options.primary = true;
    b->hears = redis_conn_new(worker_loop(b->w), &options, &events, b, why, sizeof why);
    redis_options_fini(&options);
    return b->hears != NULL;
}

static bool listen_has(const struct backbone *b, const char *pattern)
{
    for (size_t i = 0; i < b->pattern_count; i++)
        if (strcmp(b->patterns[i], pattern) == 0)
            return true;
    return false;
}

/* In front of the connection's own list: what is not subscribed to is not taken for somebody's first pattern. */
static bool listen_subscribe(struct backbone *b, const char *pattern)
{
    char **more = realloc(b->patterns, (b->pattern_count + 1) * sizeof *more);
    char *kept = strdup(pattern);
    if (more != NULL)
        b->patterns = more;
    if (more == NULL || kept == NULL || redis_conn_psubscribe(b->hears, pattern) != 0) {
        free(kept);
        return false;
    }
    b->patterns[b->pattern_count++] = kept;
    return true;
}

bool backbone_listen_add(struct backbone *b, const char *patterns, size_t size)
{
    bool good = true;
    for (size_t at = 0; good && at < size; at += strlen(patterns + at) + 1)
        if (!listen_has(b, patterns + at))
            good = (b->hears != NULL || listen_open(b)) && listen_subscribe(b, patterns + at);
    return good;
}

/* ---- who listens ---- */

struct backbone_peer *backbone_peer_of(struct backbone *b, struct worker_peer *peer, size_t globs)
{
    struct backbone_peer *old = peer->user;
    if (old != NULL && old->globs_size >= globs)
        return old;
    struct backbone_peer *p = worker_must_alloc(b->w, sizeof *p + globs);
    if (old != NULL)
        p->waits = old->waits;
    free(old);
    peer->user = p;
    return p;
}

bool backbone_on_listen(struct backbone *b, struct worker_peer *from, struct unpack *u)
{
    struct message_listen m;
    struct buffer patterns = BUFFER_EMPTY;
    if (!message_listen_unpack(u, &m))
        return false;
    struct unpack list = unpack_start(m.globs);
    uint32_t count = unpack_array(&list);
    bool good = unpack_ok(&list) && count <= BACKBONE_GLOBS_MAX;
    for (uint32_t i = 0; i < count && good; i++) {
        struct slice glob = unpack_str(&list);
        good = unpack_ok(&list) && backbone_listen_pattern(b, glob, &patterns);
    }
    if (good) {
        struct backbone_peer *peer = backbone_peer_of(b, from, patterns.len);
        if (patterns.len > 0)
            memcpy(peer->globs, patterns.data, patterns.len);
        peer->globs_size = patterns.len;
        if (!backbone_listen_add(b, peer->globs, peer->globs_size))
            worker_exit_for(b->w, ENOMEM, NULL, "cannot listen for %s", from->name);
    }
    buffer_fini(&patterns);
    return good;
}

/* ---- once a second, and the end ---- */

static bool listen_is_wanted(struct backbone *b)
{
    for (struct worker_peer *p = worker_peer_next(b->w, NULL); p != NULL;
         p = worker_peer_next(b->w, p))
        if (p->user != NULL && ((const struct backbone_peer *)p->user)->globs_size > 0)
            return true;
    return b->sessions != NULL;
}

/* All that is wanted is subscribed to anew. */
static void listen_again(struct backbone *b)
{
    bool good = true;
    listen_close(b);
    for (struct worker_peer *p = worker_peer_next(b->w, NULL); p != NULL && good;
         p = worker_peer_next(b->w, p)) {
        const struct backbone_peer *peer = p->user;
        good = peer == NULL || backbone_listen_add(b, peer->globs, peer->globs_size);
    }
    if (!good || !backbone_sessions_listen(b))
        worker_exit_for(b->w, ENOMEM, NULL, "cannot listen");
}

void backbone_listen_tick(struct backbone *b)
{
    if (b->hears == NULL)
        return;
    if (!listen_is_wanted(b)) {
        listen_close(b);
        return;
    }
    if (b->pattern_count > LISTEN_PATTERNS_MAX)
        listen_again(b);
    bool refused = redis_conn_ready(b->hears) && !redis_conn_subscribed(b->hears);
    uint64_t now = uv_now(worker_loop(b->w));
    if (refused && (b->rights.given || now - b->subscribed_ms >= LISTEN_AGAIN_MS)) {
        redis_conn_subscribe_again(b->hears);
        b->subscribed_ms = now;
    }
    snprintf(b->listen_error, sizeof b->listen_error, "%s",
             refused
                 ? "Redis' access rules refuse PSUBSCRIBE, or these channels: who listens hears "
                   "nothing. Give the user +psubscribe and &PATTERN of the topics"
                 : "");
}

void backbone_listen_fini(struct backbone *b)
{
    backbone_sessions_fini(b);
    listen_close(b);
}
