/*
 * cache_behind.h: the write-behind: what is dirty in a cache node's memory goes to the store.
 *
 * Runs in a cache node. cache_db knows what is dirty and since when; this decides what of it is put now and judges the
 * answers. It knows the store as a struct backing, whatever that is, and neither clients nor messages. An object is
 * stored write_delay after it got dirty, its newest value only; before, when somebody asks for it, when it was not used
 * for `idle`, while there is more than may be (cache_db_dirtiness) or memory is full, or everything is in a hurry. One
 * put a key at a time. Nothing is stored that is not in the log. A stray (cache_db.h) is put under its real key, and of
 * one key what is older goes first.
 *
 * What the store cannot take yet (AWAY, FORBIDDEN) is put again, each object by its own pauses; when calls fail
 * in a row there is one probe at a time, with pauses between (cache_pace.h). What it will never take (NEWER, REFUSED,
 * or others go and this does not) is a dead letter: it stays in memory and in the log, and stops nothing.
 */
#ifndef WORKERS_CACHE_BEHIND_H
#define WORKERS_CACHE_BEHIND_H

#include "workers/cache/backing/backing.h"
#include "workers/cache/cache_db.h"

enum cache_may_put {
    CACHE_MAY_PUT,
    CACHE_MAY_WAIT, /* not now */
    CACHE_MAY_LOOK, /* not now; but another node has it: with a newer version in the store it is a dead letter */
};

struct cache_behind_options {
    uint64_t write_delay_ms;
    uint64_t idle_ms;      /* 0: never */
    uint64_t retry_max_ms; /* longest pause between two tries */
    uint64_t timeout_ms;   /* of one put */
    unsigned parallel;     /* puts at once */
    /*
     * Whether the store may be written, and memory be left: NULL: always. While it says no, nothing is begun, nor tried
     * again; it is asked at each tick. What is under way is judged all the same: versions make it harmless.
     */
    bool (*may)(void *ctx);
    /*
     * The same of one stray, by its real key (it lives for the call); NULL: yes. One that may not waits, and is asked
     * about now and then; at once when it is asked for (cache_behind_ask).
     */
    enum cache_may_put (*may_put)(void *ctx, struct slice key);
    /* From the loop; each may be NULL. Something has become clean, or dead. */
    void (*on_change)(void *ctx);
    /* Before that: the store has this version, and it is dirty all the same, for it was written meanwhile. */
    void (*on_stored)(void *ctx, struct slice key, uint64_t version);
    /* Before those: the store has this version of that real key, or a newer one. */
    void (*on_kept)(void *ctx, struct slice key, uint64_t version);
    void *ctx;
};

struct cache_behind_counts {
    uint64_t stores; /* objects and deletions that the store has taken */
    uint64_t errors; /* puts that it has not */
};

struct cache_behind;

/*
 * NULL when memory is short. Owns neither the store nor db, which live until it is freed. `loop` NULL: it has no timer,
 * no clock but that of cache_behind_work, which is called by whoever tests it.
 */
struct cache_behind *cache_behind_new(uv_loop_t *loop, struct cache_db *db, struct backing *store,
                                      const struct cache_behind_options *options);

/* Cancels what is under way: it stays dirty. Its timer closes while the loop goes on. Accepts NULL. */
void cache_behind_free(struct cache_behind *b);

/* Store it now. True: it was dirty; when it no longer is, on_change has been called. */
bool cache_behind_ask(struct cache_behind *b, struct slice key);

/* Store all that is dirty by now; `on`: and whatever gets so, until it is said to be off (the node ends). */
void cache_behind_all(struct cache_behind *b);
void cache_behind_hurry(struct cache_behind *b, bool on);

/* A dead letter is tried again. False: it is none. */
bool cache_behind_retry(struct cache_behind *b, struct slice key);

/* What the store has said of a dead letter; "" when that is not known any more. Lives until the next answer. */
const char *cache_behind_why(const struct cache_behind *b, struct slice key);

/* What the store says while it takes nothing: one line, or "". Lives until the next answer. */
const char *cache_behind_trouble(const struct cache_behind *b);

const struct cache_behind_counts *cache_behind_counts(const struct cache_behind *b);

/* At the end of each turn: something may have got dirty. And once a second, when its node is awake anyway. */
void cache_behind_turn(struct cache_behind *b);
void cache_behind_tick(struct cache_behind *b);

/* What is due, by those clocks (microseconds since 1970, clock_mono_ms): its timer's work. */
void cache_behind_work(struct cache_behind *b, int64_t wall_us, uint64_t mono_ms);

#endif
