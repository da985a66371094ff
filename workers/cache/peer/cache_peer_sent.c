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

/* Behind "*2\r\n:7\r\n" stands the answer to number 7: how long that is; 0: it has none. */
static size_t peer_sent_number(struct slice answer, uint64_t *number)
{
    static const char head[] = "*2\r\n:";
    size_t at = sizeof head - 1;
    if (answer.len < at || memcmp(answer.ptr, head, at) != 0)
        return 0;
    *number = 0;
    for (; at < answer.len && answer.ptr[at] >= '0' && answer.ptr[at] <= '9'; at++)
        *number = 10 * *number + (uint64_t)(answer.ptr[at] - '0');
    return *number > 0 && answer.len - at > 2 && answer.ptr[at] == '\r' ? at + 2 : 0;
}

struct cache_peer_call *cache_peer_sent_find(const struct cache_peer_sent *s, struct slice *answer)
{
    uint64_t number;
    size_t head = peer_sent_number(*answer, &number);
    if (head == 0)
        return s->first;
    struct cache_peer_call *call = s->slots[number % CACHE_PEER_SENT_SLOTS];
    while (call != NULL && call->number != number)
        call = call->same;
    if (call == NULL)
        return s->first;
    *answer = slice_make(answer->ptr + head, answer->len - head);
    return call;
}
