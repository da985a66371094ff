/* command_for.c: see command_for.h. */
#include "workers/cache/command/command_for.h"

#include "workers/cache/cache_guest.h"
#include "workers/cache/cache_hold.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_owner.h"

#define FOR_FOREVER_MS INT64_C(1000000000000) /* longer than that nothing waits */
#define FOR_TOO_MANY                                                                               \
    CACHE_OWNER_WAITS "more waits at its owner than that one keeps: ask for less at a time"

void command_number(struct cache_client *c)
{
    if (c->number == 0)
        return;
    resp_array(&c->reply, 2);
    resp_i64(&c->reply, (int64_t)c->number);
}

/* A number of that range. */
static bool for_number(struct slice word, int64_t least, int64_t most, uint64_t *out)
{
    int64_t number;
    bool right = command_read_i64(word, &number) && number >= least && number <= most;
    *out = right ? (uint64_t)number : 0;
    return right;
}

/* What stands before the command. A guest's time has begun when it came. */
static bool for_read(struct cache_client *c, const struct slice *w)
{
    uint64_t from, again, ms;
    bool numbered = for_number(w[4], 1, INT64_MAX, &c->number);
    bool right = for_number(w[2], 1, UINT32_MAX, &from) &&
                 for_number(w[3], INT64_MIN, INT64_MAX, &again) && numbered &&
                 for_number(w[5], 0, INT64_MAX, &c->lane) && for_number(w[6], 0, INT64_MAX, &ms);
    if (!right)
        return false;
    c->from = (uint32_t)from;
    c->again = again != 0;
    c->late = ms == 0;
    if (!c->guest)
        c->until_ms = ms > 0 && ms < FOR_FOREVER_MS ? uv_now(c->node->loop) + ms : 0;
    return true;
}

bool command_unwrap(struct cache_client *c, const struct slice **words, size_t *count)
{
    const struct slice *w = *words;
    int64_t to;
    c->from = 0;
    c->number = 0;
    c->until_ms = c->guest ? c->until_ms : 0;
    c->again = false;
    if (c->node->member == NULL || !c->trusted || !command_is(w[0], CACHE_OWNER_FOR) ||
        *count < CACHE_OWNER_FOR_WORDS + 1)
        return true;
    bool right = for_read(c, w) && command_read_i64(w[1], &to);
    if (right && to == cache_member_incarnation(c->node->member)) {
        *words += CACHE_OWNER_FOR_WORDS;
        *count -= CACHE_OWNER_FOR_WORDS;
        return true;
    }
    c->from = 0;
    command_number(c);
    resp_error(&c->reply,
               right ? CACHE_OWNER_MOVED "this is another node by now" : "ERR syntax error");
    return false;
}

/* Surely it has not run, and is asked again later. */
static void for_refuse(struct cache_client *c)
{
    command_number(c);
    resp_error(&c->reply, FOR_TOO_MANY);
}

bool command_is_behind(struct cache_client *c, const struct slice *words, size_t count)
{
    if (c->guest || c->number == 0 || !cache_guest_is_behind(c))
        return false;
    if (cache_guest_queue(c, words, count))
        cache_hold_ahead(c, words, count);
    else
        for_refuse(c);
    return true;
}

void command_beside(struct cache_client *c, size_t from)
{
    if (c->number == 0 || c->parked == 0)
        return;
    c->reply.out.len = from;
    if (c->guest)
        return;
    struct cache_client *guest = cache_guest_begin(c);
    if (guest != NULL) {
        cache_hold_move(c, guest);
        return;
    }
    cache_hold_forget(c);
    c->parked = 0;
    for_refuse(c);
}
