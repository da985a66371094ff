/*
 * cache_log_sync.h: the thread that waits for the disk, so that the loop does not.
 *
 * Runs in a cache node. One thread, one job at a time: syncs files, then their directory, then removes other files, one
 * by one, the directory synced after each. In that order, because a segment may go only when what was moved out of it
 * is durable, and a deletion's segment only when that of what was deleted is surely gone. Which files those are, and
 * what follows from a job's end, is the log's business (cache_log_durable.c).
 */
#ifndef WORKERS_CACHE_LOG_SYNC_H
#define WORKERS_CACHE_LOG_SYNC_H

#include "workers/cache/log/cache_log_segment.h"

#define CACHE_LOG_JOB_FILES    64
#define CACHE_LOG_JOB_REMOVALS 64

struct cache_log_job {
    int files[CACHE_LOG_JOB_FILES]; /* descriptors; to stay open while it runs */
    size_t file_count;
    bool dir; /* a name is new */
    struct cache_log_name removals[CACHE_LOG_JOB_REMOVALS];
    size_t removal_count;
    uint64_t position; /* up to which all is synced then; the thread does not look at it */
    /* What came of it. */
    int rc;         /* of the syncing: 0 or a negative errno; then nothing has been removed */
    size_t removed; /* of the removals, the first */
    int remove_rc;
};

struct cache_log_syncer;

/* `done` is called from the loop after each job. `dir` is the caller's, and stays open. 0 or a negative errno. */
int cache_log_syncer_new(struct uv_loop_s *loop, int dir, void (*done)(void *ctx), void *ctx,
                         struct cache_log_syncer **out);

/*
 * Waits for the job at hand and ends the thread; the rest of the memory goes with the loop's next turn. Accepts NULL.
 */
void cache_log_syncer_free(struct cache_log_syncer *s);

/* The job, empty, to be filled and given; NULL while there is one. */
struct cache_log_job *cache_log_syncer_job(struct cache_log_syncer *s);
void cache_log_syncer_give(struct cache_log_syncer *s);

/* The finished job, once; it lives until the next is asked for. NULL: there is none. */
const struct cache_log_job *cache_log_syncer_take(struct cache_log_syncer *s);

/* Blocks until none runs. */
void cache_log_syncer_wait(struct cache_log_syncer *s);

#endif
