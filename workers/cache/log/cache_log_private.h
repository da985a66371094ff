/*
 * cache_log_private.h: what the files of cache_log share, and nobody else sees.
 *
 *      cache_log.c           opens, closes, tells how it is
 *      cache_log_segments.c  which segments there are, how much of each is alive
 *      cache_log_write.c     the turn's buffer and its one write
 *      cache_log_durable.c   when to sync, and what follows from it
 *      cache_log_clean.c     the oldest segment's live records are appended anew
 *      cache_log_replay.c    what is on the disk when it is opened
 *      cache_log_store.c     of which store its records speak
 *      cache_log_rewrite.c   all of it anew, when the disk has lost something
 * Below them, and without this header: _record (bytes), _segment (files), _read (records of a file), _sync (the
 * thread).
 */
#ifndef WORKERS_CACHE_LOG_PRIVATE_H
#define WORKERS_CACHE_LOG_PRIVATE_H

#include "common/buffer.h"
#include "workers/cache/log/cache_log_read.h"
#include "workers/cache/log/cache_log_segment.h"
#include "workers/cache/log/cache_log_sync.h"

#define CACHE_LOG_TROUBLE_SIZE 512

/* Of one turn, and of what waits for a disk that is full. Above all the largest record. */
#define CACHE_LOG_TURN_MAX (256u << 20)

struct cache_log_part {
    uint32_t number;
    uint32_t base; /* of its checksums' seeds */
    int fd;        /* -1: not open */
    uint64_t size; /* of the file, with what of it is in the buffer */
    uint64_t alive;
    bool unsynced; /* something was written since the last job that has it */
    bool full;     /* nothing is appended any more */
    bool passed;   /* never made: what was meant for it has gone to a later one */
    bool cleaned;  /* to be removed, as soon as `cleaned_at` is synced */
    uint64_t cleaned_at;
};

/* A run of the turn's buffer that goes to one segment. */
struct cache_log_piece {
    uint32_t number;
    uint64_t offset; /* in the file */
    size_t from;     /* in the buffer, up to the next piece's */
};

struct cache_log {
    char *path;
    int dir;
    struct cache_log_options options;
    struct cache_log_events events;
    void *ctx;
    uint64_t instance;
    uint32_t since; /* the first segment that speaks of the store that is behind */

    struct cache_log_part *parts; /* by number; the last is appended to */
    size_t part_count, part_capacity;
    uint64_t bytes, alive, cleaned_bytes; /* sums */

    struct buffer turn;
    struct cache_log_piece *pieces;
    size_t piece_count, piece_capacity;
    size_t piece_next; /* the first that is not written */
    size_t last;       /* where in the buffer the last record starts */
    uint32_t last_seed;

    uint64_t added, written, synced;
    bool refused;      /* the last flush failed */
    bool dir_unsynced; /* a name is new */
    struct cache_log_syncer *syncer;

    /* Cleaning: of parts[i] with this number, when it is not 0. */
    uint64_t clean_seen; /* `added` when it was last cleaned: what came since is others' */
    uint32_t cleaning;
    struct cache_log_reader reader;

    bool sync_failed;         /* `synced` stays until a rewrite is through */
    bool wants_rewrite;       /* and none has begun since */
    uint32_t rewrite;         /* its first segment; 0: none is on */
    uint64_t rewrite_end;     /* all that is alive ends before this position; UINT64_MAX: not yet */
    unsigned rewrites_failed; /* in a row */
    unsigned rewrite_pause;   /* ticks before the next */

    char write_trouble[CACHE_LOG_TROUBLE_SIZE];
    char sync_trouble[CACHE_LOG_TROUBLE_SIZE];
    char remove_trouble[CACHE_LOG_TROUBLE_SIZE];
};

/* ---- segments ---- */

struct cache_log_name cache_log_name_of(const struct cache_log *l, uint32_t number);

/* NULL: there is none of that number. Valid until one is added or removed. */
struct cache_log_part *cache_log_part(const struct cache_log *l, uint32_t number);

/* One more, `number` above all others. NULL: memory is short. */
struct cache_log_part *cache_log_part_add(struct cache_log *l, uint32_t number);

/* Forgets the i-th; closes its file. */
void cache_log_part_drop(struct cache_log *l, size_t i);

void cache_log_part_close(struct cache_log_part *p);

/* The one that is appended to; NULL: none is. */
struct cache_log_part *cache_log_part_current(const struct cache_log *l);

/* A new one to append to. NULL: memory is short, or the numbers are used up. */
struct cache_log_part *cache_log_part_next(struct cache_log *l);

/* ---- the others ---- */

/* cut_bytes, damaged…; then the records. 0 or a negative errno with `why`. */
int cache_log_replay(struct cache_log *l, void (*alive)(void *ctx), struct cache_log_found *found,
                     char *why, size_t why_size);

/*
 * Before anything is replayed or appended: `since` is known, and what is appended goes there or later. 0 or a negative
 * errno with `why`.
 */
int cache_log_store_open(struct cache_log *l, char *why, size_t why_size);

/* The turn's records go to fresh segments, with their heads. 0 or -ENOMEM, and nothing has changed. */
int cache_log_move_turn(struct cache_log *l);

/* Gives the thread what is to be synced and removed, if it has nothing to do. */
void cache_log_sync_start(struct cache_log *l);
void cache_log_sync_done(void *log);

/* The sync failed, or live records cannot be read any more: only a rewrite helps. `n`: NULL, or the segment. */
void cache_log_lost(struct cache_log *l, const char *what, const struct cache_log_name *n, int rc);

/* Whether a segment has something of the turn that is not written yet. */
bool cache_log_is_in_turn(const struct cache_log *l, uint32_t number);

/* Stops cleaning, wherever it is. */
void cache_log_clean_end(struct cache_log *l);

/* All up to `position` is synced: the rewrite may be through with it. */
void cache_log_rewrite_synced(struct cache_log *l, uint64_t position);

#endif
