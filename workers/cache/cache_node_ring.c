/*
 * cache_node_ring.c: what puts a cache node into its ring: its place there, its manager, the other nodes. See
 * cache_node_worker.h.
 */
#include "workers/cache/cache_node_worker.h"

#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_owner.h"
#include "workers/cache/peer/cache_peers.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/peer_address.h"
#include "common/words.h"

#include <stdio.h>
#include <stdlib.h>

#define NODE_MANAGER_TYPE    "cache-manager"
#define NODE_MOVE_MS         1000 /* a cell that is to move is withheld so long at most */
#define NODE_PEER_RETRY_MS   1000
#define NODE_PEER_CONNECT_MS 5000
#define NODE_ADDRESSES_MAX   64

/* ---- its manager ---- */

static struct buffer *node_compose(void *ctx)
{
    struct node *n = ctx;
    n->message = worker_compose(n->w);
    return n->message;
}

static bool node_send(void *ctx)
{
    struct node *n = ctx;
    return n->manager != NULL && worker_send(n->w, n->manager, n->message) == 0;
}

/* ---- the other nodes ---- */

/* Nobody waits for one that is lost: whose its objects are is asked again, and when it is back this comes anew. */
static bool node_on_nodes(void *ctx, const struct cache_member_peer *peers, size_t count)
{
    struct node *n = ctx;
    struct cache_peer_node *nodes = calloc(count + 1, sizeof *nodes);
    size_t live = 0;
    for (size_t i = 0; nodes != NULL && i < count; i++)
        if (!peers[i].lost)
            nodes[live++] = (struct cache_peer_node){.incarnation = peers[i].incarnation,
                                                     .name = peers[i].name,
                                                     .address = peers[i].address};
    int rc = nodes != NULL ? cache_peers_set(n->peers, nodes, live) : -ENOMEM;
    if (rc != 0)
        log_warn("nodes-unknown", "count=%zu reason=%s", count, log_quote_text(strerror(-rc)));
    free(nodes);
    return rc != -ENOMEM; /* an incarnation that is there twice is so the next time, too */
}

static void node_on_owner(void *ctx, const struct cache_member_owner *owner)
{
    struct node *n = ctx;
    cache_park_told_owner(n->cache.park, owner);
}

static void node_open_peers(struct node *n)
{
    struct worker *w = n->w;
    char why[512];
    uint64_t timeout = worker_setting_u64(w, "cache.timeout");
    struct cache_peers_options options = {.loop = n->cache.loop,
                                          .name = n->cache.options.name,
                                          .secret_file = node_setting(n, "cache.secret_file"),
                                          .tls = n->cache.tls != NULL,
                                          .tls_ca_file = node_setting(n, "cache.tls_ca_file"),
                                          .tls_cert_file = node_setting(n, "cache.tls_cert_file"),
                                          .tls_key_file = node_setting(n, "cache.tls_key_file"),
                                          .connect_timeout_ms = NODE_PEER_CONNECT_MS,
                                          .retry_max_ms = NODE_PEER_RETRY_MS,
                                          .silence_ms = 3 * timeout,
                                          .queue_max = CACHE_PEERS_QUEUE_MAX,
                                          .reply_max =
                                              CACHE_CLIENT_UNSENT_MAX + CACHE_OWNER_NUMBER_MAX};
    n->peers = cache_peers_new(&options, why, sizeof why);
    if (n->peers == NULL)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s", why);
    n->cache.forward = cache_forward_new(&n->cache, n->peers, timeout);
    if (n->cache.forward == NULL)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "out of memory");
}

/* ---- its place ---- */

/*
 * Where others reach it: as it was told, else one of its addresses (peer_address_choose). NULL: memory is short, or
 * there is none, which cache_listen.h says better.
 */
static char *node_advertised(struct node *n)
{
    struct buffer text = BUFFER_EMPTY, words = BUFFER_EMPTY;
    const char *given = node_setting(n, "cache.advertise");
    const char *listen = worker_setting_text(n->w, "cache.listen"), *chosen = NULL;
    words_expand_number(given != NULL ? given : listen, node_number(n), &text);
    if (buffer_text(&text) != NULL &&
        words_split(buffer_slice(&text), NODE_ADDRESSES_MAX, &words) > 0)
        chosen = peer_address_choose(&words);
    char *address = chosen != NULL ? strdup(chosen) : NULL;
    buffer_fini(&text);
    buffer_fini(&words);
    return address;
}

static void node_on_left(void *ctx, bool left)
{
    struct node *n = ctx;
    n->left = true;
    log_info("ring-left", "left=%s", left ? "yes" : "no");
    n->finish(n);
}

bool node_copies(const struct node *n)
{
    return node_setting(n, "cache.redis") != NULL && worker_setting_u64(n->w, "cache.copies") > 1;
}

static uint64_t node_log_end(void *ctx)
{
    return cache_log_added(((struct node *)ctx)->cache.log);
}

static bool node_log_synced(void *ctx, uint64_t end)
{
    struct node *n = ctx;
    bool synced = cache_log_synced(n->cache.log) >= end;
    if (!synced)
        cache_log_sync_soon(n->cache.log);
    return synced;
}

static void node_open_second(struct node *n)
{
    struct cache_second_options options = {.loop = n->cache.loop,
                                           .db = n->cache.db,
                                           .timeout_ms = n->cache.options.timeout_ms,
                                           .log_end = node_log_end,
                                           .log_synced = node_log_synced,
                                           .compose = node_compose,
                                           .send = node_send,
                                           .ctx = n};
    if (!node_copies(n))
        return;
    n->cache.second = cache_second_new(&options);
    if (n->cache.second == NULL)
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "out of memory");
}

void node_open_ring(struct node *n)
{
    char why[PATH_MAX + 512];
    n->address = node_advertised(n);
    n->cache.options.address = n->address;
    if (node_setting(n, "cache.redis") == NULL)
        return;
    if (n->address == NULL)
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "out of memory");
    snprintf(n->identity, sizeof n->identity, "%s/ring", n->dir);
    uint64_t timeout = worker_setting_u64(n->w, "cache.timeout");
    struct cache_member_options options = {
        .node = &n->cache,
        .address = n->address,
        .path = n->identity,
        .copied = node_copies(n),
        .idle_ms = worker_setting_u64(n->w, "cache.idle"),
        .write_wait_ms = timeout / 4 < NODE_MOVE_MS ? timeout / 4 : NODE_MOVE_MS,
        .compose = node_compose,
        .send = node_send,
        .on_nodes = node_on_nodes,
        .on_owner = node_on_owner,
        .on_left = node_on_left,
        .ctx = n};
    n->cache.member = cache_member_new(&options, why, sizeof why);
    if (n->cache.member == NULL)
        worker_exit(n->w, CONTRACT_EXIT_CONFIG, "%s", why);
    node_open_second(n);
    node_open_peers(n);
}

void node_close_ring(struct node *n)
{
    cache_second_free(n->cache.second);
    n->cache.second = NULL;
    cache_forward_free(n->cache.forward);
    cache_peers_free(n->peers);
    cache_member_free(n->cache.member);
    n->cache.forward = NULL;
    n->cache.member = NULL;
    n->peers = NULL;
    free(n->address);
    n->address = NULL;
}

void node_ring_on_up(struct node *n, struct worker_peer *peer)
{
    if (n->cache.member == NULL || strcmp(peer->type, NODE_MANAGER_TYPE) != 0)
        return;
    n->manager = peer;
    cache_member_on_up(n->cache.member);
}

void node_ring_on_down(struct node *n, const struct worker_peer *peer)
{
    if (n->manager != peer)
        return;
    n->manager = NULL;
    cache_member_on_down(n->cache.member);
}

bool node_ring_on_message(struct node *n, const struct worker_peer *from, uint64_t type,
                          struct unpack *u)
{
    if (n->manager != from)
        return false;
    if (type == MESSAGE_RING_COPIED && n->cache.second != NULL)
        return cache_second_on_message(n->cache.second, type, u);
    return cache_member_on_message(n->cache.member, type, u);
}

/* Whether it may end: it has left, or has something that the store does not, and does not leave. */
bool node_has_left(struct node *n)
{
    if (n->cache.member == NULL || n->left || cache_db_dirt(n->cache.db).keys > 0)
        return true;
    if (!n->leaves && n->cache.second != NULL)
        cache_second_turn(n->cache.second); /* what it drops goes before */
    if (!n->leaves)
        cache_member_leave(n->cache.member);
    n->leaves = true;
    return clock_mono_ms() - n->drain_ms > worker_setting_u64(n->w, "cache.timeout");
}
