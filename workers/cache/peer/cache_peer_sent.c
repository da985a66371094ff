/* cache_peer_sent.c: see cache_peer_sent.h. */
#include "workers/cache/peer/cache_peers_private.h"

static struct cache_peer_call **peer_sent_slot(struct cache_peer_sent *s, uint64_t number)
{
    return &s->slots[number % CACHE_PEER_SENT_SLOTS];
}

void cache_peer_sent_add(struct cache_peer_sent *s, struct cache_peer_call *call)
{
    call->after = NULL;
    call->before = s->last;
    *(s->last != NULL ? &s->last->after : &s->first) = call;
    s->last = call;
    if (call->number == 0)
        return;
    struct cache_peer_call **slot = peer_sent_slot(s, call->number);
    call->same = *slot;
    *slot = call;
}

void cache_peer_sent_remove(struct cache_peer_sent *s, struct cache_peer_call *call)
{
    *(call->before != NULL ? &call->before->after : &s->first) = call->after;
    *(call->after != NULL ? &call->after->before : &s->last) = call->before;
    if (call->number == 0)
        return;
    struct cache_peer_call **at = peer_sent_slot(s, call->number);
    while (*at != call)
        at = &(*at)->same;
    *at = call->same;
}

struct cache_peer_call *cache_peer_sent_find(const struct cache_peer_sent *s,
                                             const redisReply **reply)
{
    const redisReply *r = *reply;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
        r->element[0]->type != REDIS_REPLY_INTEGER || r->element[0]->integer <= 0)
        return s->first;
    uint64_t number = (uint64_t)r->element[0]->integer;
    struct cache_peer_call *call = s->slots[number % CACHE_PEER_SENT_SLOTS];
    while (call != NULL && call->number != number)
        call = call->same;
    if (call == NULL)
        return s->first;
    *reply = r->element[1];
    return call;
}
