/* cache_log_sync.c: see cache_log_sync.h. */
#include "workers/cache/log/cache_log_sync.h"
#include "common/fault.h"

#include <errno.h>
#include <uv.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum sync_state { SYNC_IDLE, SYNC_GIVEN, SYNC_DONE };

struct cache_log_syncer {
    uv_async_t async;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed;
    int dir;
    void (*done)(void *ctx);
    void *ctx;
    /* Under the lock; the job is the thread's while it is SYNC_GIVEN, and the loop's else. */
    enum sync_state state;
    bool stop;
    struct cache_log_job job;
};

/* Of a segment its bytes and length, not when it was written: that would be a journal's commit more each time. */
static int sync_file(int fd)
{
    if (FAULT_POINT("cache-log.sync", slice_of("")))
        return -EIO;
    while (fdatasync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int sync_dir(int fd)
{
    if (FAULT_POINT("cache-log.sync", slice_of("")))
        return -EIO;
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int sync_remove(int dir, const struct cache_log_name *n)
{
    char name[CACHE_LOG_NAME_SIZE];
    if (FAULT_POINT("cache-log.remove", slice_of("")))
        return -EIO;
    if (unlinkat(dir, cache_log_name_write(n, name), 0) != 0 && errno != ENOENT)
        return -errno;
    if (FAULT_POINT("cache-log.removed", slice_of("")))
        return -EIO;
    return sync_dir(dir);
}

static void sync_run(int dir, struct cache_log_job *job)
{
    for (size_t i = 0; i < job->file_count && job->rc == 0; i++)
        job->rc = sync_file(job->files[i]);
    if (job->rc == 0 && FAULT_POINT("cache-log.sync-dir", slice_of("")))
        job->rc = -EIO;
    if (job->rc == 0 && job->dir)
        job->rc = sync_dir(dir);
    if (job->rc == 0 && FAULT_POINT("cache-log.synced", slice_of("")))
        job->rc = -EIO;
    while (job->rc == 0 && job->remove_rc == 0 && job->removed < job->removal_count) {
        job->remove_rc = sync_remove(dir, &job->removals[job->removed]);
        job->removed += job->remove_rc == 0;
    }
}

static void sync_thread(void *arg)
{
    struct cache_log_syncer *s = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL); /* they are the loop's */
    uv_mutex_lock(&s->lock);
    while (!s->stop || s->state == SYNC_GIVEN) {
        if (s->state != SYNC_GIVEN) {
            uv_cond_wait(&s->changed, &s->lock);
            continue;
        }
        uv_mutex_unlock(&s->lock);
        sync_run(s->dir, &s->job);
        uv_mutex_lock(&s->lock);
        s->state = SYNC_DONE;
        uv_cond_broadcast(&s->changed);
        uv_async_send(&s->async);
    }
    uv_mutex_unlock(&s->lock);
}

static void sync_on_async(uv_async_t *async)
{
    struct cache_log_syncer *s = async->data;
    s->done(s->ctx);
}

static void sync_on_closed(uv_handle_t *async)
{
    free(async->data);
}

static int sync_start_thread(struct cache_log_syncer *s)
{
    int rc = uv_mutex_init(&s->lock);
    if (rc != 0)
        return rc;
    rc = uv_cond_init(&s->changed);
    if (rc == 0) {
        rc = uv_thread_create(&s->thread, sync_thread, s);
        if (rc == 0)
            return 0;
        uv_cond_destroy(&s->changed);
    }
    uv_mutex_destroy(&s->lock);
    return rc;
}

int cache_log_syncer_new(uv_loop_t *loop, int dir, void (*done)(void *ctx), void *ctx,
                         struct cache_log_syncer **out)
{
    struct cache_log_syncer *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    s->dir = dir;
    s->done = done;
    s->ctx = ctx;
    int rc = uv_async_init(loop, &s->async, sync_on_async);
    if (rc != 0) {
        free(s);
        return rc;
    }
    s->async.data = s;
    rc = sync_start_thread(s);
    if (rc != 0)
        uv_close((uv_handle_t *)&s->async, sync_on_closed);
    else
        *out = s;
    return rc;
}

void cache_log_syncer_free(struct cache_log_syncer *s)
{
    if (s == NULL)
        return;
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_broadcast(&s->changed);
    uv_mutex_unlock(&s->lock);
    uv_thread_join(&s->thread);
    uv_cond_destroy(&s->changed);
    uv_mutex_destroy(&s->lock);
    uv_close((uv_handle_t *)&s->async, sync_on_closed);
}

static enum sync_state sync_state(struct cache_log_syncer *s)
{
    uv_mutex_lock(&s->lock);
    enum sync_state state = s->state;
    uv_mutex_unlock(&s->lock);
    return state;
}

static void sync_become(struct cache_log_syncer *s, enum sync_state state)
{
    uv_mutex_lock(&s->lock);
    s->state = state;
    uv_mutex_unlock(&s->lock);
}

struct cache_log_job *cache_log_syncer_job(struct cache_log_syncer *s)
{
    if (sync_state(s) != SYNC_IDLE)
        return NULL;
    s->job = (struct cache_log_job){0};
    return &s->job;
}

void cache_log_syncer_give(struct cache_log_syncer *s)
{
    sync_become(s, SYNC_GIVEN);
    uv_cond_signal(
        &s->changed); /* not under the lock, at which the thread would only wait once more */
}

const struct cache_log_job *cache_log_syncer_take(struct cache_log_syncer *s)
{
    if (sync_state(s) != SYNC_DONE)
        return NULL;
    sync_become(s, SYNC_IDLE);
    return &s->job;
}

void cache_log_syncer_wait(struct cache_log_syncer *s)
{
    uv_mutex_lock(&s->lock);
    while (s->state == SYNC_GIVEN)
        uv_cond_wait(&s->changed, &s->lock);
    uv_mutex_unlock(&s->lock);
}
