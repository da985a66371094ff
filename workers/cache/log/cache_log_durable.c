/*
 * cache_log_durable.c: when to sync, and what follows from it. See cache_log.h.
 *
 * A sync that has failed is never forgiven by a later one that succeeds: the kernel tells of an error once, and may
 * have dropped the pages. So `synced` stays until all that is alive has been written anew (cache_log_rewrite.c).
 */
#include "workers/cache/log/cache_log_private.h"

/* From which segment on it is of any use: what has failed before a rewrite is not tried again. */
static uint32_t durable_first(const struct cache_log *l)
{
    return l->sync_failed ? l->rewrite : 0;
}

static void durable_collect_files(struct cache_log *l, struct cache_log_job *job)
{
    for (size_t i = 0; i < l->part_count; i++) {
        struct cache_log_part *p = &l->parts[i];
        if (!p->unsynced || p->number < durable_first(l))
            continue;
        if (job->file_count == CACHE_LOG_JOB_FILES) {
            job->position = l->synced; /* the others come with the next job */
            return;
        }
        job->files[job->file_count++] = p->fd;
        p->unsynced = false;
    }
}

/* Always the oldest: a deletion's segment goes after that of what it deletes. */
static void durable_collect_removals(const struct cache_log *l, struct cache_log_job *job)
{
    for (size_t i = 0; i < l->part_count && job->removal_count < CACHE_LOG_JOB_REMOVALS; i++) {
        if (!l->parts[i].cleaned || l->parts[i].cleaned_at > job->position)
            return;
        job->removals[job->removal_count++] = cache_log_name_of(l, l->parts[i].number);
    }
}

void cache_log_sync_start(struct cache_log *l)
{
    if (l->sync_failed && l->rewrite == 0)
        return;
    struct cache_log_job *job = cache_log_syncer_job(l->syncer);
    if (job == NULL)
        return; /* when it is through, it is looked at again */
    job->position = l->written;
    job->dir = l->dir_unsynced;
    l->dir_unsynced = false;
    durable_collect_files(l, job);
    durable_collect_removals(l, job);
    if (job->file_count > 0 || job->dir || job->removal_count > 0)
        cache_log_syncer_give(l->syncer);
}

/* Nothing more will be written there, and what was is synced. */
static void durable_close_files(struct cache_log *l)
{
    for (size_t i = 0; i + 1 < l->part_count; i++)
        if (!l->parts[i].unsynced && l->parts[i].number >= durable_first(l) &&
            !cache_log_is_in_turn(l, l->parts[i].number))
            cache_log_part_close(&l->parts[i]);
}

static void durable_removed(struct cache_log *l, const struct cache_log_job *job)
{
    for (size_t i = 0; i < job->removed; i++)
        cache_log_part_drop(l, 0);
    if (job->remove_rc == 0)
        l->remove_trouble[0] = '\0';
    else
        cache_log_explain(l->remove_trouble, sizeof l->remove_trouble, "remove", l->path,
                          &job->removals[job->removed], job->remove_rc);
}

/* Full segments are open until they are synced: they must not gather, whatever fsync says. */
static bool durable_has_full(const struct cache_log *l)
{
    return l->part_count > 1 && l->parts[l->part_count - 2].fd >= 0;
}

/*
 * What one job had no room for goes on at once: a second is for what is being written, and in one that writes a lot
 * there are more full segments, and more to be removed, than a job takes.
 */
static bool durable_has_more(const struct cache_log *l)
{
    const struct cache_log_part *first = l->part_count > 0 ? &l->parts[0] : NULL;
    bool removes = first != NULL && first->cleaned && first->cleaned_at <= l->synced;
    return removes || (l->part_count > 1 && l->parts[l->part_count - 2].unsynced);
}

void cache_log_sync_done(void *log)
{
    struct cache_log *l = log;
    const struct cache_log_job *job = cache_log_syncer_take(l->syncer);
    if (job == NULL)
        return;
    if (job->rc != 0) {
        l->sync_failed = true;
        cache_log_lost(l, "sync", NULL, job->rc);
    } else {
        durable_close_files(l);
        durable_removed(l, job);
        if (!l->sync_failed && job->position > l->synced)
            l->synced = job->position;
        cache_log_rewrite_synced(l, job->position);
    }
    bool always = l->options.fsync == CACHE_LOG_ALWAYS && l->written > l->synced;
    if (always || (job->rc == 0 && job->remove_rc == 0 && durable_has_more(l)))
        cache_log_sync_start(l);
    if (l->events.on_synced != NULL)
        l->events.on_synced(l->ctx);
}

void cache_log_sync_soon(struct cache_log *l)
{
    if (l->written > l->synced)
        cache_log_sync_start(l);
}

void cache_log_tick(struct cache_log *l)
{
    l->rewrite_pause -= l->rewrite_pause > 0;
    bool waits =
        l->rewrite != 0 || durable_has_full(l) || (l->part_count > 0 && l->parts[0].cleaned);
    if (l->options.fsync != CACHE_LOG_NO || waits)
        cache_log_sync_start(l);
}

bool cache_log_is_refused(const struct cache_log *l)
{
    return l->refused;
}

uint64_t cache_log_added(const struct cache_log *l)
{
    return l->added;
}

uint64_t cache_log_written(const struct cache_log *l)
{
    return l->written;
}

uint64_t cache_log_synced(const struct cache_log *l)
{
    return l->synced;
}
