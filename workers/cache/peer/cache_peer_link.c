/* cache_peer_link.c: one other node: connected to, waited for, asked, left. See cache_peers_private.h. */
#include "workers/cache/peer/cache_peers_private.h"

#include "common/redis/redis_codec.h"
#include "workers/cache/peer/cache_peer_words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PEER_TIMEOUT_MAX (UINT64_C(1) << 40)
#define PEER_WORD_BYTES  16 /* what a word takes beside its bytes, at least as much as on the wire */

/* ---- time ---- */

void cache_peer_arm(struct cache_peers *p, uint64_t at)
{
    uint64_t now = uv_now(p->loop);
    if (at >= p->armed || p->closed)
        return;
    p->armed = at;
    uv_timer_start(&p->timer, p->on_timer, at > now ? at - now : 0, 0);
}

/* Its connection is closed and it has left: out of the list of those, memory by and by. */
static void peer_bury(struct cache_peers *p, struct cache_peer *peer)
{
    struct cache_peer **at = &p->leaving;
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    peer->next = p->dead;
    p->dead = peer;
    cache_peer_arm(p, uv_now(p->loop));
}

/* ---- who wants to know ---- */

static void peer_call_free(struct cache_peer_call *call)
{
    call->peer->bytes -= call->size;
    free(call->words);
    spares_give(&call->peer->all->spares, call);
}

static void peer_unlink(struct cache_peer_call *call)
{
    *call->prev = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    else
        call->peer->last = call->prev;
}

/* What is left of a call whose `fn` is to be called: the call itself is gone by then, or goes nowhere. */
struct peer_teller {
    cache_peer_fn fn;
    void *ctx;
};

static struct peer_teller peer_take(struct cache_peer_call *call)
{
    struct peer_teller teller = {call->fn, call->ctx};
    cache_peer_dues_remove(&call->peer->all->dues, &call->due);
    call->fn = NULL;
    return teller;
}

static void __attribute__((format(printf, 4, 5)))
peer_tell(const struct cache_peer *peer, struct peer_teller teller, enum cache_peer_result result,
          const char *format, ...)
{
    char why[CACHE_PEER_WHY_SIZE];
    va_list args;
    int len = snprintf(why, sizeof why, "cache node %s at %s: ", peer->name, peer->address);
    va_start(args, format);
    vsnprintf(why + len, sizeof why - (size_t)len, format, args);
    va_end(args);
    teller.fn(result, slice_of(""), why, teller.ctx);
}

/* One that waits, and will not be sent. */
static struct peer_teller peer_take_waiting(struct cache_peer_call *call)
{
    struct peer_teller teller = peer_take(call);
    peer_unlink(call);
    peer_call_free(call);
    return teller;
}

void cache_peer_expire(struct cache_peer_call *call)
{
    struct cache_peer *peer = call->peer;
    unsigned long long limit = call->timeout_ms;
    if (call->words == NULL) {
        peer->in_flight--;
        peer_tell(peer, peer_take(call), CACHE_PEER_UNKNOWN,
                  "no answer within %llu ms: is it overloaded or stopped?", limit);
    } else if (peer->leaving) {
        peer_tell(peer, peer_take_waiting(call), CACHE_PEER_AWAY,
                  "it has left the ring: ask the ring anew who has the object");
    } else if (peer->trouble[0] != '\0') {
        peer_tell(peer, peer_take_waiting(call), CACHE_PEER_AWAY, "%s", peer->trouble);
    } else {
        peer_tell(peer, peer_take_waiting(call), CACHE_PEER_AWAY,
                  "not connected within %llu ms: is it overloaded or stopped?", limit);
    }
    cache_peer_settle(peer);
}

/* ---- answers ---- */

/* The connection's own word for it: an answer begins with its kind. The node did something, nobody will know what. */
static bool peer_is_too_large(struct slice answer)
{
    static const char word[] = REDIS_CONN_TOO_LARGE " ";
    return answer.len >= sizeof word - 1 && memcmp(answer.ptr, word, sizeof word - 1) == 0;
}

static void peer_tell_answer(const struct cache_peer *peer, struct peer_teller teller,
                             struct slice answer)
{
    if (peer_is_too_large(answer))
        peer_tell(peer, teller, CACHE_PEER_UNKNOWN,
                  "its answer is larger than %zu bytes: ask for fewer objects at a time",
                  peer->all->options.reply_max);
    else
        teller.fn(CACHE_PEER_ANSWERED, answer, "", teller.ctx);
}

/* The connection's words for why it is not there. */
static void peer_say(const struct redis_conn *c, char *text, size_t size)
{
    char server[REDIS_NAME_SIZE];
    redis_conn_name(c, server);
    cache_peer_words(text, size, redis_conn_trouble(c), server);
}

static void peer_tell_lost(struct cache_peer *peer, struct peer_teller teller,
                           const struct redis_conn *c)
{
    char cause[sizeof peer->trouble];
    bool unsent = redis_conn_unsent(c);
    peer_say(c, cause, sizeof cause);
    if (peer->all->closed)
        peer_tell(peer, teller, unsent ? CACHE_PEER_AWAY : CACHE_PEER_UNKNOWN,
                  "this node (%s) is stopping", peer->all->name);
    else
        peer_tell(peer, teller, unsent ? CACHE_PEER_AWAY : CACHE_PEER_UNKNOWN, "%s", cause);
}

/*
 * Lost, they are told in the order in which they were sent, whichever of them were answered: so far as the connection
 * counts what has left, what has not is behind all that has.
 */
static void peer_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct cache_peer *peer = ctx;
    struct slice answer = reply != NULL ? slice_make(reply->str, reply->len) : slice_of("");
    struct cache_peer_call *call = cache_peer_sent_find(&peer->sent, &answer);
    bool late = call->fn == NULL;
    struct peer_teller teller = peer_take(call);
    cache_peer_sent_remove(&peer->sent, call);
    peer_call_free(call);
    if (late)
        return;
    peer->in_flight--;
    if (reply != NULL)
        peer_tell_answer(peer, teller, answer);
    else
        peer_tell_lost(peer, teller, c);
    cache_peer_settle(peer);
}

/* ---- the connection ---- */

/* Where commands go to, and may go now. */
static bool peer_is_there(const struct cache_peer *peer)
{
    return !peer->leaving && !peer->moving && redis_conn_ready(peer->conn);
}

/* What has waited goes first. */
static void peer_flush(struct cache_peer *peer)
{
    struct cache_peer_call *call;
    while ((call = peer->first) != NULL && peer_is_there(peer)) {
        int rc = redis_conn_command(peer->conn, call->count, call->words, peer_on_reply, peer);
        if (rc != 0) {
            peer_tell(peer, peer_take_waiting(call), CACHE_PEER_AWAY, "cannot be sent to it: %s",
                      rc == -ENOMEM ? "memory is short here" : strerror(-rc));
            continue;
        }
        peer_unlink(call);
        cache_peer_sent_add(&peer->sent, call);
        free(call->words);
        call->words = NULL;
        /* Hurried, and sent before it was told: else a command that may take seconds is unknown after 1 ms. */
        cache_peer_dues_put(&peer->all->dues, &call->due, call->deadline);
        peer->in_flight++;
    }
}

static void peer_on_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    struct cache_peer *peer = ctx;
    if (!peer->moving)
        peer->trouble[0] = '\0';
    peer_flush(peer);
}

static void peer_on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)why;
    struct cache_peer *peer = ctx;
    if (!redis_conn_was_idle(c) && !peer->moving)
        peer_say(c, peer->trouble, sizeof peer->trouble);
    cache_peer_settle(peer);
}

static void peer_open(struct cache_peer *peer)
{
    static const struct redis_conn_events events = {.on_ready = peer_on_ready,
                                                    .on_lost = peer_on_lost};
    struct cache_peers *p = peer->all;
    bool local = peer->at.path[0] != '\0';
    if (peer->conn != NULL || !peer->valid)
        return;
    struct redis_options o = p->options;
    o.unix_path = local ? peer->at.path : NULL;
    o.host = local ? NULL : peer->at.host;
    o.port = peer->at.port;
    o.tls = p->tls && !local;
    peer->conn = redis_conn_new(p->loop, &o, &events, peer, peer->trouble, sizeof peer->trouble);
}

static void peer_drop(struct cache_peer *peer)
{
    struct redis_conn *c = peer->conn;
    peer->conn = NULL; /* what it tells of now is late */
    redis_conn_free(c);
}

void cache_peer_settle(struct cache_peer *peer)
{
    if (peer->in_flight > 0 || peer->all->closed || !(peer->leaving || peer->moving))
        return;
    bool there = peer->conn != NULL;
    peer_drop(peer);
    peer->moving = false;
    if (peer->leaving) {
        if (peer->first == NULL)
            peer_bury(peer->all, peer);
    } else if (peer->first != NULL && there) {
        peer_open(peer);
    }
}

void cache_peer_close(struct cache_peer *peer)
{
    peer_drop(peer);
    while (peer->first != NULL)
        peer_tell(peer, peer_take_waiting(peer->first), CACHE_PEER_AWAY,
                  "this node (%s) is stopping", peer->all->name);
}

/* ---- which node, where ---- */

struct cache_peer *cache_peer_new(struct cache_peers *p, uint32_t incarnation)
{
    struct cache_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->all = p;
    peer->incarnation = incarnation;
    peer->last = &peer->first;
    return peer;
}

/* What others have registered is shown on terminals. */
static void peer_show(char *to, size_t size, struct slice from)
{
    size_t len = from.len < size ? from.len : size - 1;
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)from.ptr[i] < ' ' || from.ptr[i] == 0x7f ? '?' : from.ptr[i];
    to[len] = '\0';
}

/* Who waits is told at the next turn of the loop. */
static void peer_hurry(struct cache_peer *peer, struct cache_peer_call *call)
{
    uint64_t soon = uv_now(peer->all->loop) + 1;
    if (call->due.at > soon)
        cache_peer_dues_put(&peer->all->dues, &call->due, soon);
    cache_peer_arm(peer->all, soon);
}

static void peer_hurry_all(struct cache_peer *peer)
{
    for (struct cache_peer_call *call = peer->first; call != NULL; call = call->next)
        peer_hurry(peer, call);
}

void cache_peer_aim(struct cache_peer *peer, const struct cache_peer_node *node)
{
    struct peer_address at;
    bool valid = peer_address_parse(node->address, &at) == 0;
    bool same = valid && peer->valid && memcmp(&at, &peer->at, sizeof at) == 0;
    peer_show(peer->name, sizeof peer->name, node->name);
    if (same)
        return;
    peer_show(peer->address, sizeof peer->address, node->address);
    peer->at = at;
    peer->valid = valid;
    peer->trouble[0] = '\0';
    if (!valid) {
        snprintf(peer->trouble, sizeof peer->trouble,
                 "that is no address: set advertise of that node to HOST:PORT or unix:/PATH");
        peer_hurry_all(peer);
    }
    peer->moving = peer->conn != NULL;
    cache_peer_settle(peer);
}

void cache_peer_leave(struct cache_peer *peer)
{
    peer->leaving = true;
    peer_hurry_all(peer);
    cache_peer_settle(peer);
}

/* ---- a command ---- */

static size_t peer_size(const struct slice *words, size_t count)
{
    size_t size = sizeof(struct cache_peer_call);
    for (size_t i = 0; i < count; i++)
        size += words[i].len + PEER_WORD_BYTES;
    return size;
}

/* Keeps the words until there is a connection. */
static int peer_wait(struct cache_peer_call *call, const struct slice *words, size_t count)
{
    struct cache_peer *peer = call->peer;
    call->words = malloc(call->size);
    if (call->words == NULL)
        return -ENOMEM;
    char *at = (char *)(call->words + count);
    for (size_t i = 0; i < count; i++) {
        if (words[i].len > 0)
            memcpy(at, words[i].ptr, words[i].len);
        call->words[i] = slice_make(at, words[i].len);
        at += words[i].len;
    }
    call->count = count;
    call->prev = peer->last;
    *peer->last = call;
    peer->last = &call->next;
    if (!peer->moving)
        peer_open(peer);
    return 0;
}

static int peer_give(struct cache_peer_call *call, const struct slice *words, size_t count)
{
    struct cache_peer *peer = call->peer;
    if (peer->first != NULL || !peer_is_there(peer))
        return count > 0 && count <= REDIS_ARGC_MAX ? peer_wait(call, words, count) : -EINVAL;
    int rc = redis_conn_command(peer->conn, count, words, peer_on_reply, peer);
    if (rc != 0)
        return rc;
    cache_peer_sent_add(&peer->sent, call);
    peer->in_flight++;
    return 0;
}

int cache_peer_send(struct cache_peer *peer, uint64_t number, const struct slice *words,
                    size_t count, uint64_t timeout_ms, cache_peer_fn fn, void *ctx)
{
    struct cache_peers *p = peer->all;
    size_t size = peer_size(words, count);
    if (size > p->queue_max)
        return -EMSGSIZE;
    if (size > p->queue_max - peer->bytes)
        return -ENOBUFS;
    struct cache_peer_call *call = spares_take(&p->spares);
    if (call == NULL || !cache_peer_dues_reserve(&p->dues)) {
        spares_give(&p->spares, call);
        return -ENOMEM;
    }
    *call = (struct cache_peer_call){.peer = peer,
                                     .fn = fn,
                                     .ctx = ctx,
                                     .number = number,
                                     .timeout_ms = timeout_ms,
                                     .size = size};
    int rc = peer_give(call, words, count);
    if (rc != 0) {
        spares_give(&p->spares, call);
        return rc;
    }
    peer->bytes += size;
    uint64_t limit = timeout_ms < PEER_TIMEOUT_MAX ? timeout_ms : PEER_TIMEOUT_MAX;
    call->deadline = uv_now(p->loop) + (limit > 0 ? limit : 1);
    cache_peer_dues_put(&p->dues, &call->due, call->deadline);
    cache_peer_arm(p, call->due.at);
    if (call->words != NULL && peer->conn == NULL)
        peer_hurry(peer, call); /* no address, or no memory */
    return 0;
}
