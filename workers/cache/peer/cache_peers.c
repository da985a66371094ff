/* cache_peers.c: the nodes there are, the one timer, and the interface. See cache_peers_private.h. */
#include "workers/cache/peer/cache_peers_private.h"

#include "common/redis/redis_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PEERS_SPARES_MAX 2048 /* commands whose memory is kept for the next: 300 KB */

/* ---- time ---- */

static void peers_sweep(struct cache_peers *p)
{
    for (struct cache_peer *peer; (peer = p->dead) != NULL; free(peer))
        p->dead = peer->next;
}

static void peers_on_timer(uv_timer_t *timer)
{
    struct cache_peers *p = timer->data;
    uint64_t now = uv_now(p->loop);
    struct cache_peer_due *due;
    p->armed = UINT64_MAX;
    peers_sweep(p);
    while (!p->closed && (due = cache_peer_dues_first(&p->dues)) != NULL && due->at <= now)
        cache_peer_expire((struct cache_peer_call *)due);
    if (!p->closed && (due = cache_peer_dues_first(&p->dues)) != NULL)
        cache_peer_arm(p, due->at);
}

/* ---- beginning and end ---- */

static int peers_take_options(struct cache_peers *p, const struct cache_peers_options *o)
{
    struct redis_options theirs = {
        .password_file = (char *)(uintptr_t)o->secret_file,
        .tls_ca_file = (char *)(uintptr_t)o->tls_ca_file,
        .tls_cert_file = (char *)(uintptr_t)o->tls_cert_file,
        .tls_key_file = (char *)(uintptr_t)o->tls_key_file,
        .connect_timeout_ms = o->connect_timeout_ms,
        .timeout_ms = o->silence_ms,
        .retry_max_ms = o->retry_max_ms,
        .reply_max = o->reply_max,
        .relays = true,
    };
    p->loop = o->loop;
    p->tls = o->tls;
    p->queue_max = o->queue_max < CACHE_PEERS_QUEUE_MAX ? o->queue_max : CACHE_PEERS_QUEUE_MAX;
    p->armed = UINT64_MAX;
    snprintf(p->name, sizeof p->name, "%s", o->name);
    return redis_options_copy(&p->options, &theirs);
}

/* The first command for a node must not be what finds out. */
static bool peers_files_ok(struct cache_peers *p, char *why, size_t why_size)
{
    if (!p->tls)
        return true;
    struct redis_tls *tls = redis_tls_new(&p->options, why, why_size);
    redis_tls_free(tls);
    return tls != NULL;
}

struct cache_peers *cache_peers_new(const struct cache_peers_options *o, char *why, size_t why_size)
{
    struct cache_peers *p = calloc(1, sizeof *p);
    if (p == NULL || peers_take_options(p, o) != 0)
        snprintf(why, why_size, "out of memory");
    else if (peers_files_ok(p, why, why_size)) {
        uv_timer_init(p->loop, &p->timer);
        p->on_timer = peers_on_timer;
        p->spares = SPARES(sizeof(struct cache_peer_call), PEERS_SPARES_MAX);
        p->timer.data = p;
        return p;
    }
    if (p != NULL)
        redis_options_fini(&p->options);
    free(p);
    return NULL;
}

static void peers_on_closed(uv_handle_t *handle)
{
    struct cache_peers *p = handle->data;
    for (struct cache_peer *peer; (peer = p->leaving) != NULL; free(peer))
        p->leaving = peer->next;
    for (size_t i = 0; i < p->count; i++)
        free(p->peers[i]);
    peers_sweep(p);
    free(p->peers);
    cache_peer_dues_fini(&p->dues);
    redis_options_fini(&p->options);
    spares_fini(&p->spares);
    free(p);
}

void cache_peers_free(struct cache_peers *p)
{
    if (p == NULL || p->closed)
        return;
    p->closed = true;
    for (struct cache_peer *peer = p->leaving; peer != NULL; peer = peer->next)
        cache_peer_close(peer);
    for (size_t i = 0; i < p->count; i++)
        cache_peer_close(p->peers[i]);
    uv_close((uv_handle_t *)&p->timer, peers_on_closed);
}

/* ---- nodes ---- */

static int peers_compare(const void *a, const void *b)
{
    const struct cache_peer *x = *(struct cache_peer *const *)a;
    const struct cache_peer *y = *(struct cache_peer *const *)b;
    return (x->incarnation > y->incarnation) - (x->incarnation < y->incarnation);
}

static struct cache_peer *peers_find(struct cache_peer *const *peers, size_t count,
                                     uint32_t incarnation)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (peers[middle]->incarnation < incarnation)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && peers[low]->incarnation == incarnation ? peers[low] : NULL;
}

/*
 * One that there is, or a new one, in no list. NULL: memory is short. One that has left comes back with its connection,
 * but not while there still are some to be told that it has left.
 */
static struct cache_peer *peers_take(struct cache_peers *p, uint32_t incarnation)
{
    struct cache_peer *peer = peers_find(p->peers, p->count, incarnation);
    for (struct cache_peer *it = p->leaving; peer == NULL && it != NULL; it = it->next)
        if (it->incarnation == incarnation && it->first == NULL)
            peer = it;
    return peer != NULL ? peer : cache_peer_new(p, incarnation);
}

static bool peers_is_new(const struct cache_peers *p, const struct cache_peer *peer)
{
    return !peer->leaving && peers_find(p->peers, p->count, peer->incarnation) != peer;
}

/* The new list, in order. NULL: *rc says why, and nothing has changed. */
static struct cache_peer **peers_gather(struct cache_peers *p, const struct cache_peer_node *nodes,
                                        size_t count, int *rc)
{
    struct cache_peer **list = calloc(count + 1, sizeof *list);
    size_t got = 0;
    *rc = list == NULL ? -ENOMEM : 0;
    for (; *rc == 0 && got < count; got++)
        if ((list[got] = peers_take(p, nodes[got].incarnation)) == NULL) {
            *rc = -ENOMEM;
            break;
        }
    if (*rc == 0)
        qsort(list, count, sizeof *list, peers_compare);
    for (size_t i = 1; *rc == 0 && i < count; i++)
        if (list[i]->incarnation == list[i - 1]->incarnation)
            *rc = -EINVAL;
    if (*rc == 0)
        return list;
    for (size_t i = 0; i < got; i++)
        if (peers_is_new(p, list[i]))
            free(list[i]);
    free(list);
    return NULL;
}

static void peers_return(struct cache_peers *p, struct cache_peer *peer)
{
    struct cache_peer **at = &p->leaving;
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    peer->leaving = false;
}

int cache_peers_set(struct cache_peers *p, const struct cache_peer_node *nodes, size_t count)
{
    int rc = -ECANCELED;
    struct cache_peer **list = p->closed ? NULL : peers_gather(p, nodes, count, &rc);
    if (list == NULL)
        return rc;
    struct cache_peer **before = p->peers;
    size_t had = p->count;
    p->peers = list;
    p->count = count;
    for (size_t i = 0; i < had; i++)
        if (peers_find(list, count, before[i]->incarnation) == NULL) {
            before[i]->next = p->leaving;
            p->leaving = before[i];
            cache_peer_leave(before[i]);
        }
    free(before);
    for (size_t i = 0; i < count; i++)
        if (list[i]->leaving)
            peers_return(p, list[i]);
    for (size_t i = 0; i < count; i++)
        cache_peer_aim(peers_find(list, count, nodes[i].incarnation), &nodes[i]);
    return 0;
}

/* ---- commands ---- */

int cache_peers_send(struct cache_peers *p, uint32_t incarnation, uint64_t number,
                     const struct slice *words, size_t count, uint64_t timeout_ms, cache_peer_fn fn,
                     void *ctx)
{
    struct cache_peer *peer = p->closed ? NULL : peers_find(p->peers, p->count, incarnation);
    return peer != NULL ? cache_peer_send(peer, number, words, count, timeout_ms, fn, ctx)
                        : -ENOENT;
}

const char *cache_peers_trouble(struct cache_peers *p)
{
    const struct cache_peer *first = NULL;
    size_t more = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->peers[i]->trouble[0] != '\0') {
            more += first != NULL;
            first = first != NULL ? first : p->peers[i];
        }
    p->trouble[0] = '\0';
    if (first == NULL)
        return p->trouble;
    int len = snprintf(p->trouble, sizeof p->trouble, "%s cannot reach cache node %s at %s: %s",
                       p->name, first->name, first->address, first->trouble);
    if (more > 0)
        snprintf(p->trouble + len, sizeof p->trouble - (size_t)len, " (and %zu more)", more);
    return p->trouble;
}
