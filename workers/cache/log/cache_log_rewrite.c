/*
 * cache_log_rewrite.c: all of it anew, when the disk has lost something. See cache_log.h.
 *
 * The old segments stay until the new ones are complete and synced, and then go from the oldest on: whenever the
 * process dies meanwhile, old ones and new ones together, in their order, give the state it had.
 */
#include "common/fault.h"
#include "workers/cache/log/cache_log_private.h"

#include <errno.h>
#include <stdio.h>

#define REWRITE_DOUBLINGS 6 /* of the pause: at most a minute */

/*
 * A rewrite that was in vain leaves all of memory on the disk once more, and what it was to replace: the next one waits
 * for a while, and for twice as long each time, so that a disk that goes on failing is not filled within seconds.
 */
static void rewrite_failed(struct cache_log *l)
{
    l->rewrites_failed += l->rewrites_failed < REWRITE_DOUBLINGS;
    l->rewrite_pause = (1u << l->rewrites_failed) - 1;
}

void cache_log_lost(struct cache_log *l, const char *what, const struct cache_log_name *n, int rc)
{
    cache_log_explain(l->sync_trouble, sizeof l->sync_trouble, what, l->path, n, rc);
    size_t len = strlen(l->sync_trouble);
    snprintf(l->sync_trouble + len, sizeof l->sync_trouble - len,
             " (all that is in memory is written anew)");
    if (l->rewrite != 0)
        rewrite_failed(l);
    l->wants_rewrite = true;
    l->rewrite = 0;
}

bool cache_log_wants_rewrite(const struct cache_log *l)
{
    return l->wants_rewrite && l->rewrite_pause == 0;
}

uint32_t cache_log_rewrite_begin(struct cache_log *l)
{
    uint32_t first = l->part_count > 0 ? l->parts[l->part_count - 1].number + 1 : 1;
    if (first == 0 || FAULT_POINT("cache-log.rewrite", slice_of("")) || cache_log_move_turn(l) != 0)
        return 0;
    cache_log_clean_end(l);
    l->wants_rewrite = false;
    l->rewrite = first;
    l->rewrite_end = UINT64_MAX;
    return first;
}

void cache_log_rewrite_end(struct cache_log *l)
{
    if (l->rewrite != 0)
        l->rewrite_end = l->added;
}

void cache_log_rewrite_synced(struct cache_log *l, uint64_t position)
{
    if (l->rewrite == 0 || position < l->rewrite_end)
        return;
    (void)FAULT_POINT("cache-log.rewritten", slice_of(""));
    for (size_t i = 0; i < l->part_count && l->parts[i].number < l->rewrite; i++) {
        struct cache_log_part *p = &l->parts[i];
        l->cleaned_bytes += p->cleaned ? 0 : p->size;
        p->cleaned = true;
        p->cleaned_at = position;
    }
    l->rewrite = 0;
    l->rewrites_failed = 0;
    l->sync_failed = false;
    l->sync_trouble[0] = '\0';
    l->synced = position;
}
