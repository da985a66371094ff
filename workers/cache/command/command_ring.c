/*
 * command_ring.c: what a cache node is asked of its ring: PLATOON.OWNER, PLATOON.RING; and PLATOON.FOR where it is
 * none.
 *
 * Runs in a cache node. Nothing is claimed, and nothing counts as a use: who asks changes nothing. A node without a
 * ring has all, and is alone.
 */
#include "workers/cache/cache_hold.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"

static void ring_write_node(struct resp_reply *reply, const struct cache_member_peer *peer)
{
    resp_bulk(reply, peer->name);
    resp_bulk(reply, peer->address);
    resp_i64(reply, peer->incarnation);
    resp_text(reply, peer->lost ? "lost" : "live");
}

/* As the ring knows it, also before it was told of it. */
static struct cache_member_peer ring_itself(const struct cache_node *n)
{
    return (struct cache_member_peer){
        .incarnation = n->member != NULL ? cache_member_incarnation(n->member) : 0,
        .name = slice_of(n->options.name),
        .address = slice_of(n->options.address)};
}

/* ---- PLATOON.OWNER ---- */

static void ring_tell_owner(struct cache_client *c, const struct cache_member_owner *owner)
{
    if (owner->incarnation == 0) {
        resp_nil_array(&c->reply);
        return;
    }
    struct cache_member_peer peer = cache_member_node_of(c->node->member, owner->incarnation);
    peer.lost = owner->lost;
    resp_array(&c->reply, 4);
    ring_write_node(&c->reply, &peer);
}

void command_platoon_owner(struct cache_client *c, const struct slice *words, size_t count)
{
    struct cache_member *member = c->node->member;
    if (member != NULL && !cache_member_has(member, words[1])) {
        cache_hold_owner(c, c->last, words, count, ring_tell_owner);
        return;
    }
    struct cache_member_peer peer = ring_itself(c->node);
    resp_array(&c->reply, 4);
    ring_write_node(&c->reply, &peer);
}

/* ---- PLATOON.RING ---- */

/* How many cells a node has only that node knows. */
static void ring_write_row(struct cache_client *c, const struct cache_member_peer *peer,
                           bool itself)
{
    struct cache_member *member = c->node->member;
    resp_array(&c->reply, 5);
    ring_write_node(&c->reply, peer);
    if (itself && member != NULL)
        resp_i64(&c->reply, (int64_t)cache_member_tell(member).cells);
    else
        resp_nil(&c->reply);
}

void command_platoon_ring(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    struct cache_member *member = c->node->member;
    struct cache_member_peer itself = ring_itself(c->node);
    if (member == NULL) {
        resp_array(&c->reply, 1);
        ring_write_row(c, &itself, true);
        return;
    }
    size_t nodes = cache_member_node_count(member);
    resp_array(&c->reply, nodes);
    for (size_t i = 0; i < nodes; i++) {
        struct cache_member_peer peer = cache_member_node(member, i);
        ring_write_row(c, &peer, peer.incarnation == itself.incarnation);
    }
}

/* ---- PLATOON.FOR ---- */

/* The dispatcher has taken the command out of one that is right (command_dispatch.c). */
void command_platoon_for(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_error(&c->reply,
               c->node->member == NULL
                   ? "ERR PLATOON.FOR is for the nodes of a ring, and this one is in none"
                   : "ERR PLATOON.FOR carries a command, and no further PLATOON.FOR");
}
