/*
 * cache_manager_look.c: whose a cell is, for a node that was asked so (PLATOON.OWNER), and how many cells each node
 * has. See cache_manager_private.h.
 *
 * Nothing is claimed, and nothing remembered: who asks gets what Redis says now.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include <errno.h>
#include <stdlib.h>

/* A question that a node waits for. */
struct manager_look {
    struct manager *m;
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
};

static void manager_send_seen(struct manager *m, struct worker_peer *peer,
                              const struct message_ring_seen *message)
{
    struct buffer *out = worker_compose(m->w);
    message_ring_seen_pack(out, message);
    worker_must_send(m->w, peer, out);
}

static void manager_take_looked(const struct manager_look *l, struct worker_peer *peer,
                                struct slice bytes)
{
    struct cache_ring_answer a;
    struct cache_ring_owner owner = {0};
    struct message_ring_seen message = {.token = l->token, .result = MANAGER_AWAY};
    if (!cache_ring_read_owners(bytes, &a, &owner, 1)) {
        manager_is_garbled(l->m, CACHE_RING_LOOK);
    } else {
        message.result = a.status;
        message.state = a.status == CACHE_RING_OK ? owner.state : 0;
        message.incarnation = a.status == CACHE_RING_OK ? owner.value : 0;
    }
    manager_send_seen(l->m, peer, &message);
}

static void manager_on_node_looked(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_look *l = ctx;
    struct slice bytes;
    struct worker_peer *peer;
    bool there = manager_find(l->m, l->name, l->generation, &peer) != NULL;
    bool told = manager_bytes(l->m, CACHE_RING_LOOK, reply, &bytes);
    if (there && told)
        manager_take_looked(l, peer, bytes);
    else if (there)
        manager_send_seen(l->m, peer,
                          &(struct message_ring_seen){.token = l->token, .result = MANAGER_AWAY});
    free(l);
}

static int manager_send_look(struct manager *m, struct worker_peer *from,
                             const struct message_ring_look *message)
{
    struct manager_look *l = calloc(1, sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    *l = (struct manager_look){.m = m, .generation = from->generation, .token = message->token};
    slice_copy(slice_of(from->name), l->name, sizeof l->name);
    int rc = manager_send(m, cache_ring_look(&m->call, manager_run(m), &message->cell, 1),
                          manager_on_node_looked, l);
    if (rc != 0)
        free(l);
    return rc;
}

bool manager_on_look(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_look message;
    if (!message_ring_look_unpack(u, &message))
        return false;
    if (from->user != NULL)
        manager_flush(m, from); /* what it has given back or claimed before is so by then */
    if (m->run[0] == '\0' || manager_send_look(m, from, &message) != 0)
        manager_send_seen(
            m, from, &(struct message_ring_seen){.token = message.token, .result = MANAGER_AWAY});
    return true;
}

/* ---- how many there are ---- */

bool manager_on_cells(struct worker_peer *from, struct unpack *u)
{
    struct message_ring_cells message;
    if (!message_ring_cells_unpack(u, &message))
        return false;
    struct manager_node *n = from->user;
    if (n != NULL)
        n->cells = message.cells;
    return true;
}

bool manager_cells_of(const struct manager *m, uint64_t incarnation, uint64_t *cells)
{
    for (struct worker_peer *p = NULL; (p = worker_peer_next(m->w, p)) != NULL;) {
        const struct manager_node *n = p->user;
        if (n != NULL && n->state == MANAGER_JOINED && n->who.incarnation == incarnation) {
            *cells = n->cells;
            return true;
        }
    }
    return false;
}
