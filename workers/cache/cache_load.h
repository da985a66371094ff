/*
 * cache_load.h: what a cache node fetches from its store: one load a key, whoever asks for it and however many do.
 *
 * Runs in a cache node; one thread, whose loop is never blocked. What comes goes into memory (cache_db_learn,
 * cache_db_learn_absent), and then who waits is told to look again. A load that the store could not answer is tried
 * again for as long as somebody waits for it, and else forgotten: who looks ahead waits for nothing. The last one is
 * tried on for a while, so that the trouble is over when the store is back, though nobody asks. It knows neither
 * clients nor deadlines: whoever waits leaves when it has waited long enough (cache_park.h).
 *
 * Bounds: so many loads at once (`parallel`), the rest waits in order, what nobody waits for behind the others and no
 * longer than anybody waits; CACHE_LOADS_MAX altogether. While the store
 * fails again and again it is asked one at a time, with pauses, and nothing is loaded that nobody waits for; the first
 * answer lets all go.
 */
#ifndef WORKERS_CACHE_LOAD_H
#define WORKERS_CACHE_LOAD_H

#include "workers/cache/backing/backing.h"
#include "workers/cache/cache_db.h"

#define CACHE_LOADS_MAX 65536
#define CACHE_LOADS_AHEAD_MAX                                                                      \
    32768 /* of them those that nobody waits for, and that have not begun */

struct cache_loads;
struct cache_load;

/*
 * Where what comes is kept, if not in cache_db. Whoever writes a key of which nothing is to be kept that was asked for
 * before says so (cache_load_overtake): of cache_db that is known.
 */
struct cache_load_place {
    bool (*knows)(void *ctx, struct slice key);
    /* `a`: DONE or ABSENT. A fault: it is not kept, and asked for again. */
    enum cache_fault (*learn)(void *ctx, struct slice key, const struct backing_answer *a);
};

struct cache_load_options {
    struct cache_db *db;
    const struct cache_load_place *place; /* NULL: `db`; else that counts for nothing */
    struct backing *backing;
    uv_loop_t *loop;
    const uint8_t *hash_key;      /* SIPHASH_KEY_SIZE bytes, copied */
    unsigned parallel;            /* loads at once */
    uint64_t timeout_ms;          /* of one call of the store */
    uint64_t retry_max_ms;        /* longest pause between two tries */
    const char *who;              /* in errors: the node's name; lives as long as this */
    void (*on_answer)(void *ctx); /* before anything is learned: a turn begins */
    /*
     * In a ring: a number that says whose the key is; 0: not ours, and nothing is loaded. What comes when it is another
     * than when it was asked for counts for nothing. NULL: all is ours.
     */
    uint64_t (*claim)(void *ctx, struct slice key);
    void *ctx;
};

/* Somebody who waits for one key; the caller's memory, zeroed before its first use. */
struct cache_load_wait {
    struct cache_load_wait *next, *prev;
    struct cache_load *load; /* NULL: it waits for none */
    /*
     * Once, unless it left: from the loop, or from cache_loads_refuse. It may start and leave others. NULL: the key is
     * known now, look again. Else it never will be: the error, one line with its code.
     */
    void (*go)(struct cache_load_wait *w, const char *refused);
};

struct cache_load_stats {
    uint64_t loads, failed; /* answers of the store: what was there or not; why not */
};

/* NULL: memory is short. */
struct cache_loads *cache_loads_new(const struct cache_load_options *options);

/* Nobody is told. Its timer closes while the loop goes on, and with it goes the memory. */
void cache_loads_free(struct cache_loads *loads);

/* Nobody waits for it: looking ahead. Not while the store fails, and not above the bound. */
void cache_load_ahead(struct cache_loads *loads, struct slice key);

/* Waits for this key's load, which is begun unless it is under way. False: too many, or memory is short. */
bool cache_load_wait(struct cache_loads *loads, struct slice key, struct cache_load_wait *w);
void cache_load_leave(struct cache_load_wait *w);

/* Of a place of its own: the key is written now. What is under way of it counts for nothing, and is asked for anew. */
void cache_load_overtake(struct cache_loads *loads, struct slice key);

/* At the end of each turn: who waits for what has been written meanwhile is told. */
void cache_loads_turn(struct cache_loads *loads);

/* Of one that waits: why what came could not be kept in memory; CACHE_OK: nothing has come. */
enum cache_fault cache_load_fault(const struct cache_load_wait *w);

/* Its load was begun longer ago than anybody waits, and has no answer: whoever asks for it now may be told at once. */
bool cache_load_is_slow(struct cache_loads *loads, struct slice key);

/* Why the store gives nothing; "": it does, or nobody has asked lately. */
const char *cache_loads_trouble(const struct cache_loads *loads);

/* Somebody has waited in vain: unless there is an answer, that is the trouble. */
void cache_loads_overdue(struct cache_loads *loads);

const struct cache_load_stats *cache_loads_stats(const struct cache_loads *loads);
size_t cache_loads_count(const struct cache_loads *loads);

#endif
