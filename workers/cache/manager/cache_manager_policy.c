/* cache_manager_policy.c: whose beats stand still. See cache_manager_policy.h. */
#include "workers/cache/manager/cache_manager_policy.h"

#include <errno.h>
#include <stdlib.h>

#define WATCH_LEAST 16

void cache_watch_init(struct cache_watch *w, uint64_t lease_ms)
{
    *w = (struct cache_watch){.gap_us = (int64_t)cache_manager_beat_ms(lease_ms) * 2000};
}

void cache_watch_fini(struct cache_watch *w)
{
    free(w->list);
    *w = (struct cache_watch){0};
}

void cache_watch_anew(struct cache_watch *w)
{
    w->now_us = 0;
}

void cache_watch_begin(struct cache_watch *w, int64_t now_us, bool closed)
{
    w->anew = closed || w->now_us == 0 || now_us - w->now_us > w->gap_us;
    w->now_us = now_us;
    w->next = 0;
    w->round++;
}

/* From `from` on, around the end. */
static size_t watch_index(const struct cache_watch *w, struct slice who, size_t from)
{
    for (size_t i = 0; i < w->count; i++) {
        size_t at = (from + i) % w->count;
        if (slice_is(who, w->list[at].who))
            return at;
    }
    return w->count;
}

static int watch_grow(struct cache_watch *w)
{
    if (w->count < w->cap)
        return 0;
    if (w->cap >= CACHE_WATCH_MAX)
        return -E2BIG;
    size_t cap = w->cap == 0 ? WATCH_LEAST : w->cap * 2;
    struct cache_watched *list = realloc(w->list, cap * sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    w->list = list;
    w->cap = cap;
    return 0;
}

int cache_watch_see(struct cache_watch *w, struct slice who, uint64_t beats)
{
    size_t at = watch_index(w, who, w->next);
    if (who.len == 0 || who.len >= sizeof w->list[0].who)
        return -EINVAL;
    if (at == w->count) {
        int rc = watch_grow(w);
        if (rc != 0)
            return rc;
        w->list[w->count++] = (struct cache_watched){.beats = beats, .since_us = w->now_us};
        slice_copy(who, w->list[at].who, sizeof w->list[at].who);
    }
    struct cache_watched *one = &w->list[at];
    if (w->anew || one->beats != beats)
        one->since_us = w->now_us;
    one->beats = beats;
    one->round = w->round;
    w->next = at + 1;
    return 0;
}

void cache_watch_end(struct cache_watch *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i].round == w->round)
            w->list[kept++] = w->list[i];
    w->count = kept;
}

const struct cache_watched *cache_watch_find(const struct cache_watch *w, struct slice who)
{
    size_t at = watch_index(w, who, 0);
    return at < w->count ? &w->list[at] : NULL;
}
