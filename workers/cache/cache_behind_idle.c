/* cache_behind_idle.c: what leaves memory, and whether it may. See cache_behind_private.h. */
#include "workers/cache/cache_behind_private.h"

#include "workers/cache/backing/backing_retry.h"

#define BEHIND_SURE_MS 500u /* what has answered so lately can be asked */

void cache_behind_is_sure(struct cache_behind *b)
{
    b->sure.until_ms = cache_behind_now(b) + BEHIND_SURE_MS;
    b->sure.failures = 0;
    b->sure.at_ms = 0;
}

static void behind_on_sure(const struct backing_answer *answer, void *ctx)
{
    struct cache_behind *b = ctx;
    struct behind_sure *s = &b->sure;
    s->call = NULL;
    if (answer->result == BACKING_AWAY || answer->result == BACKING_FORBIDDEN)
        s->at_ms = cache_behind_now(b) + backing_retry_pause(++s->failures, answer->retry_after_ms,
                                                             b->options.retry_max_ms,
                                                             cache_behind_random(b));
    else
        cache_behind_is_sure(b);
}

/*
 * What is clean leaves memory only while the store answers, or it could not be read: also one that nothing is put into,
 * nor loaded from, may have been away for long.
 */
void cache_behind_idle(struct cache_behind *b)
{
    struct behind_sure *s = &b->sure;
    bool sure = b->pace.failures == 0 && b->mono_ms < s->until_ms;
    struct slice key = cache_db_idle(b->db, b->options.idle_ms, sure);
    b->leaves = key.len > 0 || !cache_db_idle_is_over(b->db);
    if (key.len > 0 && !sure && s->call == NULL && b->mono_ms >= s->at_ms &&
        b->store->ops->get(b->store, key, b->options.timeout_ms, behind_on_sure, b, &s->call) != 0)
        s->at_ms = b->mono_ms + BEHIND_SHORT_MS;
}
