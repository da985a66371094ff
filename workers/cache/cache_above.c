/* cache_above.c: see cache_above.h. */
#include "workers/cache/cache_above.h"

#include "workers/cache/cache_client.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_owner.h"
#include "workers/cache/cache_turn.h"

#define ABOVE_PLACES   8 /* and one for each node of the ring */
#define ABOVE_SHOWS_MS 10000

/*
 * Ordinary clients, however many, do not keep the ring's nodes out. Who is one is only known by what it says: places
 * above clients_max are given to anybody, and taken back.
 */
size_t cache_above_places(const struct cache_node *n)
{
    return n->member != NULL ? cache_member_node_count(n->member) + ABOVE_PLACES : 0;
}

bool cache_above_is(const struct cache_node *n)
{
    return n->member != NULL && n->client_count >= n->options.clients_max;
}

/* What a node says before it sends a command, and that. */
bool cache_above_keeps(struct cache_client *c, struct slice word)
{
    if (!c->above || c->linked || command_is(word, "auth") || command_is(word, "ping") ||
        command_is(word, CACHE_OWNER_FOR))
        return true;
    c->node->counts.rejected++;
    resp_error(&c->reply, CACHE_ABOVE_REFUSED);
    cache_turn_end(c, false);
    return false;
}

/* Who has not shown in time that it is a node. There may be a place for it as for others by now. */
void cache_above_tick(struct cache_node *n)
{
    if (n->member == NULL)
        return;
    uint64_t now = uv_now(n->loop);
    bool room = n->client_count <= n->options.clients_max;
    for (struct cache_client *c = n->clients; c != NULL; c = c->next) {
        c->above = c->above && !room && !c->linked;
        if (c->above && now >= c->born_ms + ABOVE_SHOWS_MS)
            cache_turn_end(c, true);
    }
}
