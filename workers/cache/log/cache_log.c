/* cache_log.c: opens, closes, tells how it is. See cache_log.h. */
#include "workers/cache/log/cache_log_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void log_free(struct cache_log *l)
{
    cache_log_syncer_free(l->syncer);
    cache_log_clean_end(l);
    for (size_t i = 0; i < l->part_count; i++)
        cache_log_part_close(&l->parts[i]);
    if (l->dir >= 0)
        close(l->dir);
    buffer_fini(&l->turn);
    free(l->pieces);
    free(l->parts);
    free(l->path);
    free(l);
}

static struct cache_log *log_new(const struct cache_log_options *options,
                                 const struct cache_log_events *events, void *ctx)
{
    struct cache_log *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->dir = -1;
    l->options = *options;
    l->events = *events;
    l->ctx = ctx;
    l->path = strdup(options->dir);
    l->options.dir = l->path;
    if (l->path != NULL)
        return l;
    free(l);
    return NULL;
}

static int log_open(struct uv_loop_s *loop, struct cache_log *l, void (*alive)(void *ctx),
                    struct cache_log_found *found, char *why, size_t why_size)
{
    l->dir = cache_log_dir_open(l->path);
    int rc = l->dir < 0 ? l->dir : 0;
    if (rc != 0) {
        cache_log_explain(why, why_size, "open", l->path, NULL, rc);
        return rc;
    }
    rc = cache_log_replay(l, alive, found, why, why_size);
    if (rc != 0)
        return rc;
    rc = cache_log_syncer_new(loop, l->dir, cache_log_sync_done, l, &l->syncer);
    if (rc != 0)
        cache_log_explain(why, why_size, "start the thread that syncs", l->path, NULL, rc);
    return rc;
}

int cache_log_open(struct uv_loop_s *loop, const struct cache_log_options *options,
                   const struct cache_log_events *events, void *ctx, void (*alive)(void *ctx),
                   struct cache_log_found *found, struct cache_log **out, char *why,
                   size_t why_size)
{
    struct cache_log *l = log_new(options, events, ctx);
    if (l == NULL) {
        cache_log_explain(why, why_size, "open", options->dir, NULL, -ENOMEM);
        return -ENOMEM;
    }
    int rc = log_open(loop, l, alive, found, why, why_size);
    l->options.store = NULL;
    if (rc == 0)
        *out = l;
    else
        log_free(l);
    return rc;
}

/* One job may be on its way without the last turn; the second has all. */
static void log_sync_all(struct cache_log *l)
{
    do {
        cache_log_syncer_wait(l->syncer);
        cache_log_sync_done(l);
        if (l->synced < l->written)
            cache_log_sync_start(l);
    } while (l->synced < l->written && !l->sync_failed);
}

int cache_log_close(struct cache_log *l)
{
    if (l == NULL)
        return 0;
    l->events.on_synced = NULL;
    int rc = cache_log_flush(l);
    log_sync_all(l);
    if (rc == 0 && l->sync_failed)
        rc = -EIO;
    log_free(l);
    return rc;
}

const char *cache_log_trouble(const struct cache_log *l)
{
    return l->write_trouble[0] != '\0'  ? l->write_trouble
           : l->sync_trouble[0] != '\0' ? l->sync_trouble
                                        : l->remove_trouble;
}
