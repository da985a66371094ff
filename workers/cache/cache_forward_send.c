/* cache_forward_send.c: how a command goes to another node, and what says that it did not run. See cache_forward.h. */
#include "workers/cache/cache_forward_private.h"

#include "workers/cache/cache_owner.h"

#include <errno.h>

#define FORWARD_NUMBER_SIZE 20 /* digits of 64 bits */
#define FORWARD_NEVER       "-ERR "
#define FORWARD_MARGIN_MAX  1000u /* ms: as long as a busy machine lets a process stand still */

static const char *forward_why(int rc)
{
    switch (rc) {
    case 0:
        return NULL;
    case -ENOENT:
        return "it is no node of the ring any more";
    case -ENOBUFS:
        return "more waits for it than it takes";
    case -EMSGSIZE:
        return FORWARD_NEVER
            "the command is larger than the 64 MB that another node is sent at once: ask "
            "for less at a time\r\n";
    case -EINVAL:
        return FORWARD_NEVER
            "the command has more than the million words that another node is sent at "
            "once: ask for less at a time\r\n";
    default:
        return "the system has no more memory for this node";
    }
}

/* Several times for each command: printf would take more time than all else here. */
static struct slice forward_number(char text[FORWARD_NUMBER_SIZE], uint64_t number)
{
    char *at = text + FORWARD_NUMBER_SIZE;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return slice_make(at, (size_t)(text + FORWARD_NUMBER_SIZE - at));
}

uint64_t cache_forward_margin(uint64_t timeout_ms)
{
    uint64_t margin = timeout_ms / 8;
    return margin < FORWARD_MARGIN_MAX ? margin : FORWARD_MARGIN_MAX;
}

/* How long its owner may let it wait; 0: not at all while it is in trouble. */
static uint64_t forward_patience(const struct cache_forward_way *way)
{
    uint64_t ms = way->timeout_ms - cache_forward_margin(way->timeout_ms);
    return way->late ? 0 : ms > 0 ? ms : 1;
}

const char *cache_forward_send(struct cache_forward *f, const struct cache_forward_way *way,
                               const struct slice *words, size_t count, cache_peer_fn fn, void *ctx)
{
    char text[5][FORWARD_NUMBER_SIZE];
    struct slice *all =
        (struct slice *)buffer_reserve(&f->scratch, (count + CACHE_OWNER_FOR_WORDS) * sizeof *all);
    if (all == NULL)
        return forward_why(-ENOMEM);
    uint64_t number = ++f->count;
    all[0] = slice_of(CACHE_OWNER_FOR);
    all[1] = forward_number(text[0], way->owner);
    all[2] = forward_number(text[1], cache_member_incarnation(f->node->member));
    all[3] = slice_of(way->again ? "1" : "0");
    all[4] = forward_number(text[2], number);
    all[5] = forward_number(text[3], way->lane);
    all[6] = forward_number(text[4], forward_patience(way));
    memcpy(all + CACHE_OWNER_FOR_WORDS, words, count * sizeof *words);
    if (command_is(words[0], "watch"))
        all[CACHE_OWNER_FOR_WORDS] = slice_of(CACHE_FORWARD_WATCH);
    return forward_why(cache_peers_send(f->peers, way->owner, number, all,
                                        count + CACHE_OWNER_FOR_WORDS, way->timeout_ms, fn, ctx));
}

bool cache_forward_is_moved(struct slice answer)
{
    return answer.len > sizeof CACHE_OWNER_MOVED &&
           memcmp(answer.ptr, "-" CACHE_OWNER_MOVED, sizeof CACHE_OWNER_MOVED) == 0;
}

struct slice cache_forward_moved_why(struct slice answer, bool *waits)
{
    static const char text[] = "-" CACHE_OWNER_WAITS;
    size_t head = sizeof text - 1;
    *waits = answer.len >= head + 2 && memcmp(answer.ptr, text, head) == 0;
    if (!*waits)
        return slice_of("the object's owner changes: ask again");
    return slice_make(answer.ptr + head, answer.len - head - 2);
}
