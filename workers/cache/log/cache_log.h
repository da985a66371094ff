/*
 * cache_log.h: the log on disk of what a cache node has in memory.
 *
 * Runs in a cache node. Segments of at most `segment_max` bytes in a directory of its own; records with a checksum,
 * only ever appended; one write(2) a turn. What is superseded is not written over: the oldest segment is cleaned (what
 * is still alive of it is appended anew, from memory) a little at a time, and then removed. Always the oldest: then a
 * deletion may go with its segment, because nothing older is left that it could be needed against. Never a fork.
 * fsync is a thread's, so that no turn waits for a disk; how far it is, is asked (cache_log_synced).
 *
 * A turn is whole or not there: its last record is marked, and what has no mark behind it is cut off at the next start.
 * Only a turn that does not fit into its segment takes one write(2) for each that it goes to.
 *
 * Positions are bytes ever appended, from 1 on; they order writes within one incarnation. 0: nothing.
 *
 * Each record counts as alive until cache_log_dead, whatever its kind: the caller says so at once of one that nothing
 * in memory came with (FORGET, STORED, a deletion that nobody has to hear of), also of those that were replayed.
 *
 * When a sync has failed, or live records cannot be read any more for cleaning, what is on the disk is not what was
 * written, and no later sync makes it so. Memory has it all; so it is written anew (cache_log_wants_rewrite). So it is
 * when some of it could not be read as it was opened, with all that could: the next start does not find that again.
 */
#ifndef WORKERS_CACHE_LOG_H
#define WORKERS_CACHE_LOG_H

#include "common/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s; /* uv_loop_t: libuv's header is not needed to use this one */

enum cache_log_fsync { CACHE_LOG_EVERYSEC, CACHE_LOG_ALWAYS, CACHE_LOG_NO };

enum cache_log_kind {
    CACHE_LOG_SET,    /* key has value, expiry, version, form; dirty: the store does not have it */
    CACHE_LOG_DELETE, /* key is gone, as of version; dirty: the store has not heard of it */
    CACHE_LOG_STORED, /* the store has this version of key: it is clean, if it is still this one */
    CACHE_LOG_FORGET, /* key is not ours any more, or evicted: as if it had never been here */
    CACHE_LOG_CLEAR,  /* so are all keys; its own is empty */
};

struct cache_log_record {
    enum cache_log_kind kind;
    struct slice key, value;
    uint64_t version;
    int64_t expiry_ms; /* INT64_MAX: never */
    unsigned form;
    bool dirty;
    bool
        behind; /* the store has a version of key, or may have: not only the one that is this record's */
    bool blind;   /* dirty, and written without asking what the store has */
    bool adopted; /* dirty, and older than the store that is behind */
    bool
        strange; /* of a replay: from before that store was there; what it says of a store is another's */
};

struct cache_log_options {
    const char *dir;    /* made when it is not there (0700); ours alone (the caller holds it) */
    size_t segment_max; /* bytes; a record above that has a segment of its own */
    enum cache_log_fsync fsync;
    const char *
        store; /* of which `dirty`, `behind` and STORED speak from now on; NULL, "": of none. For the call */
};

struct cache_log_events {
    /*
     * Before the first record: so many objects may come, by what the newest segment has and how long all are. More or
     * less: to make room at once. Not called when that says nothing. May be NULL.
     */
    void (*on_expected)(size_t count, void *ctx);
    /*
     * While it is opened: some records, in the order of the log, of `segment`. They live for the call. 0, or a negative
     * errno, with which opening ends. More than one at a time, so that whoever takes them can have fetched what the
     * next will need while one is seen to: memory is far away.
     */
    int (*on_records)(const struct cache_log_record *r, size_t count, uint32_t segment, void *ctx);
    /* The thread has synced further (cache_log_synced), or failed to: from the loop. May be NULL. */
    void (*on_synced)(void *ctx);
    /*
     * While cleaning: a record of the segment being cleaned. True, and *r filled from memory (living until the next
     * call), when it is alive, that is: what memory has came with this record. It is then appended anew, and on_moved
     * says where.
     */
    bool (*is_alive)(struct cache_log_record *r, uint32_t segment, void *ctx);
    void (*on_moved)(const struct cache_log_record *r, uint32_t segment, void *ctx);
};

/* What was found when it was opened. */
struct cache_log_found {
    uint64_t records;
    uint64_t
        cut_bytes; /* a torn tail of the newest segment: cut off, no loss of what was acknowledged */
    uint64_t damaged_bytes; /* elsewhere: skipped up to the next good record */
    uint64_t damaged;       /* places where that happened */
};

struct cache_log;

/*
 * Opens (and makes) the log and replays it. Blocks on the disk; calls `alive` every so many records, for a beat. 0; or
 * a negative errno with one line in `why`: path, cause, remedy.
 */
int cache_log_open(struct uv_loop_s *loop, const struct cache_log_options *options,
                   const struct cache_log_events *events, void *ctx, void (*alive)(void *ctx),
                   struct cache_log_found *found, struct cache_log **out, char *why,
                   size_t why_size);

/*
 * Writes and syncs what is left, waits for the thread, frees. Accepts NULL. 0 or a negative errno: what of it is not on
 * the disk. The loop has to turn once more for the last of the memory.
 */
int cache_log_close(struct cache_log *l);

/*
 * Appends to this turn's buffer. The segment it will be in (never 0), or 0: memory is short, or the turn would be above
 * 256 MB, or a key or value above 2^25 - 1 bytes; and nothing was appended.
 */
uint32_t cache_log_add(struct cache_log *l, const struct cache_log_record *r);

/* Bytes that record takes in the log. */
size_t cache_log_size(const struct cache_log_record *r);

/* A record of that segment has been superseded: so many bytes of it are dead. */
void cache_log_dead(struct cache_log *l, uint32_t segment, size_t bytes);

/*
 * Writes this turn's records with one write(2). 0; or a negative errno: nothing of the turn counts as written, and it
 * stays in the buffer: try again next turn, and refuse writes meanwhile (cache_log_trouble says why).
 */
int cache_log_flush(struct cache_log *l);

/* The last flush failed: what is added gathers in memory, so what need not be there is not to be added. */
bool cache_log_is_refused(const struct cache_log *l);

/* Where the last record that was added ends; how far is written; how far is synced. */
uint64_t cache_log_added(const struct cache_log *l);
uint64_t cache_log_written(const struct cache_log *l);
uint64_t cache_log_synced(const struct cache_log *l);

/*
 * Cleans, when so much is dead that it is worth it: for `bytes` of the oldest segments, and for four times what has
 * been added since the last call where that is more, so that the log is bounded by what is alive, however much is
 * written.
 * To be called once a turn. Returns true while there is more to do now.
 */
bool cache_log_clean(struct cache_log *l, size_t bytes);

/* What is written is synced now, whatever fsync says, unless it is under way; on_synced tells. */
void cache_log_sync_soon(struct cache_log *l);

/* Once a second: starts the everysec sync, and what is needed before a cleaned segment may go. */
void cache_log_tick(struct cache_log *l);

/*
 * ---- written anew ----
 * To be asked once a turn. When it is true: cache_log_rewrite_begin, then cache_log_add for every object whose segment
 * is below what that returned, some in each turn, whatever else is written meanwhile (it goes behind them and is
 * newer); at the end cache_log_rewrite_end. When all that is synced, the old segments go, trouble ends, and
 * cache_log_synced goes on, past everything. It may become true again meanwhile, when a sync fails again: then from the
 * start. Nothing is cleaned meanwhile. What is added but not flushed when it begins (its file may be what cannot be
 * written) is moved to the new segment; its objects are below all the same.
 */
bool cache_log_wants_rewrite(const struct cache_log *l);

/* The first of the new segments. 0: memory is short; try again later. May also be called when nothing wants it. */
uint32_t cache_log_rewrite_begin(struct cache_log *l);
void cache_log_rewrite_end(struct cache_log *l);

/* Bytes of all segments, with those of the turn; of them of records that are alive. */
uint64_t cache_log_bytes(const struct cache_log *l);
uint64_t cache_log_alive(const struct cache_log *l);

/* What is wrong (path, cause, remedy), or "". */
const char *cache_log_trouble(const struct cache_log *l);

#endif
