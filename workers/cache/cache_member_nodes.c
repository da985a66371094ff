/* cache_member_nodes.c: who else is in the ring, and whose something is. See cache_member_private.h. */
#include "workers/cache/cache_member_private.h"

#include "proto/cache/cache_ring_answer.h"
#include "proto/message.h"
#include "workers/cache/ring/cache_cell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER_NODES_MAX 4096 /* of a ring (ring_join.lua) */

/* ---- the nodes ---- */

static bool member_read_node(struct unpack *u, struct cache_member_peer *p)
{
    bool four = unpack_array(u) == 4;
    uint64_t incarnation = unpack_u64(u);
    p->name = unpack_bytes(u);
    p->address = unpack_bytes(u);
    p->lost = unpack_u64(u) != 0;
    p->incarnation = (uint32_t)incarnation;
    return four && !u->failed && incarnation > 0 && incarnation <= UINT32_MAX;
}

/* 0; -EBADMSG: it is none; -ENOMEM. */
static int member_read_nodes(struct slice bytes, struct cache_member_peer **peers, size_t *count)
{
    struct unpack u = unpack_start(bytes);
    *count = unpack_array(&u);
    if (u.failed || *count > MEMBER_NODES_MAX)
        return -EBADMSG;
    *peers = calloc(*count + 1, sizeof **peers);
    if (*peers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < *count; i++)
        if (!member_read_node(&u, &(*peers)[i])) {
            free(*peers);
            *peers = NULL;
            return -EBADMSG;
        }
    return 0;
}

static int member_node_compare(const void *a, const void *b)
{
    uint32_t x = ((const struct member_node *)a)->incarnation,
             y = ((const struct member_node *)b)->incarnation;
    return x < y ? -1 : x > y;
}

static const struct member_node *member_find(const struct cache_member *r, uint32_t incarnation)
{
    struct member_node key = {.incarnation = incarnation};
    return r->node_count > 0
               ? bsearch(&key, r->nodes, r->node_count, sizeof key, member_node_compare)
               : NULL;
}

bool cache_member_is_live(const struct cache_member *r, uint32_t incarnation)
{
    const struct member_node *n = member_find(r, incarnation);
    return n != NULL && !n->lost;
}

static void member_free_nodes(struct member_node *nodes, size_t count)
{
    for (size_t i = 0; nodes != NULL && i < count; i++)
        free(nodes[i].name);
    free(nodes);
}

/* NULL: memory is short. */
static struct member_node *member_copy_nodes(const struct cache_member_peer *peers, size_t count)
{
    struct member_node *nodes = calloc(count + 1, sizeof *nodes);
    for (size_t i = 0; nodes != NULL && i < count; i++) {
        const struct cache_member_peer *p = &peers[i];
        char *text = malloc(p->name.len + p->address.len + 2);
        if (text == NULL) {
            member_free_nodes(nodes, count);
            return NULL;
        }
        nodes[i] = (struct member_node){.incarnation = p->incarnation,
                                        .lost = p->lost,
                                        .name = text,
                                        .address = text + p->name.len + 1};
        slice_copy(p->name, nodes[i].name, p->name.len + 1);
        slice_copy(p->address, nodes[i].address, p->address.len + 1);
    }
    return nodes;
}

/* False: memory is short. */
static bool member_take_nodes(struct cache_member *r, const struct cache_member_peer *peers,
                              size_t count)
{
    struct member_node *nodes = member_copy_nodes(peers, count);
    if (nodes == NULL)
        return false;
    qsort(nodes, count, sizeof *nodes, member_node_compare);
    member_forget_nodes(r);
    r->nodes = nodes;
    r->node_count = count;
    bool told = r->options.on_nodes(r->options.ctx, peers, count);
    member_owners_changed(r);
    return told;
}

/* Nobody says it twice, but to who joins. */
bool member_on_nodes(struct cache_member *r, struct unpack *u)
{
    struct message_ring_nodes m;
    struct cache_member_peer *peers = NULL;
    size_t count;
    if (!message_ring_nodes_unpack(u, &m))
        return false;
    int rc = member_read_nodes(m.nodes, &peers, &count);
    if (rc == -ENOMEM || (rc == 0 && !member_take_nodes(r, peers, count)))
        member_start_over(r);
    free(peers);
    return rc != -EBADMSG;
}

void member_forget_nodes(struct cache_member *r)
{
    member_free_nodes(r->nodes, r->node_count);
    r->nodes = NULL;
    r->node_count = 0;
}

size_t cache_member_node_count(const struct cache_member *r)
{
    return r->node_count;
}

static struct cache_member_peer member_peer(const struct member_node *n)
{
    return (struct cache_member_peer){.incarnation = n->incarnation,
                                      .name = slice_of(n->name),
                                      .address = slice_of(n->address),
                                      .lost = n->lost};
}

struct cache_member_peer cache_member_node(const struct cache_member *r, size_t index)
{
    return member_peer(&r->nodes[index]);
}

struct cache_member_peer cache_member_node_of(const struct cache_member *r, uint32_t incarnation)
{
    const struct member_node *n = member_find(r, incarnation);
    return n != NULL ? member_peer(n)
                     : (struct cache_member_peer){.incarnation = incarnation,
                                                  .name = slice_of(""),
                                                  .address = slice_of("")};
}

/* How many cells are ours, when that is not what the manager knows. */
void member_tell_cells(struct cache_member *r)
{
    struct message_ring_cells m = {.cells = cache_cells_count(r->cells, CACHE_CELL_OURS)};
    if (!r->manager || r->session != MEMBER_IN || (r->told_cells && m.cells == r->cells_told))
        return;
    message_ring_cells_pack(r->options.compose(r->options.ctx), &m);
    r->told_cells = r->options.send(r->options.ctx);
    r->cells_told = m.cells;
}

/* ---- whose something is ---- */

bool cache_member_has(struct cache_member *r, struct slice key)
{
    return cache_cells_state(r->cells, cache_cell(key, r->seed)) == CACHE_CELL_OURS &&
           cache_member_serves(r);
}

bool cache_member_ask_owner(struct cache_member *r, struct slice key, uint64_t *token)
{
    struct message_ring_look m = {.token = ++r->last_look, .cell = cache_cell(key, r->seed)};
    if (!r->manager || r->session != MEMBER_IN || r->walk == MEMBER_OUTLIVED)
        return false; /* with another seed it would be another cell */
    *token = m.token;
    message_ring_look_pack(r->options.compose(r->options.ctx), &m);
    return r->options.send(r->options.ctx);
}

bool member_on_seen(struct cache_member *r, struct unpack *u)
{
    struct message_ring_seen m;
    if (!message_ring_seen_unpack(u, &m) || m.incarnation > UINT32_MAX ||
        m.state > CACHE_RING_LOST_CELL)
        return false;
    struct cache_member_owner owner = {
        .token = m.token,
        .known = m.result == CACHE_RING_OK,
        .incarnation = m.state == CACHE_RING_FREE_CELL ? 0 : (uint32_t)m.incarnation,
        .lost = m.state == CACHE_RING_LOST_CELL};
    r->options.on_owner(r->options.ctx, &owner);
    return true;
}
