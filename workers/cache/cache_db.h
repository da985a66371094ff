/*
 * cache_db.h: what a cache node holds: objects by key, their versions, expiry, log, eviction, and who watches.
 *
 * Runs in a cache node; one thread. The one place where table, policy and log meet: whoever changes an object does it
 * here, and it is in the log's buffer before the call returns. Commands (command_*.c) know keys and values, and nothing
 * of those three. Knows neither clients nor the protocol. The clocks come from the caller (cache_db_begin), once a
 * turn, so that a command sees one time.
 *
 * Not found is NULL: what is expired, deleted (and not yet stored so), or known to be absent is not found.
 */
#ifndef WORKERS_CACHE_DB_H
#define WORKERS_CACHE_DB_H

#include "workers/cache/cache_form.h"
#include "workers/cache/log/cache_log.h"
#include "workers/cache/memory/cache_policy.h"
#include "workers/cache/memory/cache_table.h"

#define CACHE_NEVER INT64_MAX

/* Keys of strays begin so; behind it stand 8 bytes of version, the most significant first, and the real key. */
#define CACHE_STRAY_PREFIX     "\xffplatoon:stray" /* with its NUL */
#define CACHE_STRAY_PREFIX_LEN sizeof CACHE_STRAY_PREFIX
#define CACHE_STRAY_HEAD       (CACHE_STRAY_PREFIX_LEN + sizeof(uint64_t))

/* Above what any clock says: a version that says so is none, or nothing could ever be written over it. */
#define CACHE_VERSION_MAX (UINT64_C(1) << 62)

/* Why a write was not done. Each has its error text (cache_access_fault). */
enum cache_fault {
    CACHE_OK,
    CACHE_FAULT_OOM,    /* full of what cannot be evicted */
    CACHE_FAULT_MEMORY, /* the system has none */
    CACHE_FAULT_LOG,    /* the log cannot be written: reads go on */
    CACHE_FAULT_LARGE,  /* above object_max */
};

struct cache_db_options {
    size_t memory_max; /* bytes: table, policy and what clients hold */
    size_t object_max; /* key and value together */
    size_t dirty_max;  /* bytes of dirty keys and values; only with a store */
    bool evict;        /* a full node evicts clean objects; false: OOM */
    bool stored;       /* there is a store behind: what is written is dirty until it is stored */
    bool copied;       /* what is dirty gets a second copy elsewhere (cache_db_copy.c) */
    const char *
        volatiles; /* globs with blanks between, of keys that it never hears of; NULL: none. Lives on */
};

struct cache_stats {
    uint64_t hits, misses, evicted, expired;
};

struct cache_db;

/* NULL when memory is short. The log is attached when it is open (cache_db_attach); until then nothing is logged. */
struct cache_db *cache_db_new(const struct cache_db_options *options, const uint8_t hash_key[16]);
void cache_db_free(struct cache_db *db);
void cache_db_attach(struct cache_db *db, struct cache_log *log);

/*
 * Events of the log (cache_log_events): how many objects are to come, about; records replayed; whether one is alive;
 * where it has moved.
 */
void cache_db_expect(size_t count, void *db);
int cache_db_replay(const struct cache_log_record *r, size_t count, uint32_t segment, void *db);
bool cache_db_is_alive(struct cache_log_record *r, uint32_t segment, void *db);
void cache_db_moved(const struct cache_log_record *r, uint32_t segment, void *db);

/*
 * Before a command that may take memory: evicts what is over memory_max, a little at a time (of much the rest goes with
 * the next calls and cache_db_work). CACHE_OK, or CACHE_FAULT_OOM: nothing more can be evicted (or shall be).
 */
enum cache_fault cache_db_room(struct cache_db *db);
bool cache_db_is_full(const struct cache_db *db);

/*
 * A turn begins: what time it is, in microseconds since 1970, for versions and expiry; and in milliseconds by a clock
 * that does not jump, for how long something was not used. Both are kept until the next.
 */
void cache_db_begin(struct cache_db *db, int64_t wall_us, uint64_t mono_ms);
int64_t cache_db_now_ms(const struct cache_db *db);

/* Versions begin with that clock, in a ring Redis', from now on; 0: with the wall clock. */
void cache_db_version_clock(struct cache_db *db, int64_t version_us);

/* ---- reading ---- */

/* For a command that reads: counts a hit or a miss, and that it was used. */
const struct cache_object *cache_db_read(struct cache_db *db, struct slice key);

/* The same without any trace of it (TTL, OBJECT, SCAN's filters, WATCH). */
const struct cache_object *cache_db_peek(struct cache_db *db, struct slice key);

/*
 * What is there, a deletion too, as a number that no other value has; 0: nothing is known of it. For who asks
 * later if it is still so. It is not the version alone: what has expired goes with the version that it had, so that the
 * store may have it still, and is another than it was all the same.
 */
uint64_t cache_db_seen(struct cache_db *db, struct slice key);

/* What was read of something that is not in here, a copy, is a hit or a miss as well. */
void cache_db_count_read(struct cache_db *db, bool found);

/* ---- writing; each gives the object a new version, and tells who watches ---- */

/* The value may be a slice of anything but the object itself. */
enum cache_fault cache_db_set(struct cache_db *db, struct slice key, struct slice value,
                              int64_t expiry_ms, enum cache_form form);

/* Adds bytes to the end of one that is there; *len: the value's length then. `tail` is no slice of the object. */
enum cache_fault cache_db_append(struct cache_db *db, struct slice key, struct slice tail,
                                 size_t *len);

/* False when there was nothing. A fault leaves it as it was. */
enum cache_fault cache_db_delete(struct cache_db *db, struct slice key, bool *was);

/* All of it is gone, at once: for as long as freeing it takes. Only without a store. */
enum cache_fault cache_db_clear(struct cache_db *db);

/* CACHE_NEVER: none any more. Of one that is there. */
enum cache_fault cache_db_expire(struct cache_db *db, struct slice key, int64_t expiry_ms);

/* ---- the store behind (options.stored) ---- */

/*
 * A record of the store: clean, in memory and in the log. It replaces nothing that is newer or dirty; what is dirty and
 * not newer gets a version above it. Evicts for it. CACHE_FAULT_OOM: nothing could be evicted, and it is not known.
 * A version of 0 or above CACHE_VERSION_MAX is the oldest there is.
 */
enum cache_fault cache_db_learn(struct cache_db *db, struct slice key, struct slice value,
                                uint64_t version, int64_t expiry_ms, enum cache_form form);

/* The store has none; `version`: of the deletion it knows of, 0: there was never one. Remembered until evicted. */
enum cache_fault cache_db_learn_absent(struct cache_db *db, struct slice key, uint64_t version);

/*
 * Whether what is asked of this key can be answered from memory: an object, a deletion, a known absence; or it is
 * volatile, or there is no store.
 */
bool cache_db_knows(struct cache_db *db, struct slice key);

/* Whether the store shall hear of what is written to this key: false: it is volatile, or there is no store. */
bool cache_db_is_kept(const struct cache_db *db, struct slice key);

/* What the store does not have yet. */
struct cache_dirt {
    size_t keys, bytes; /* without dead letters; of keys and values */
    int64_t oldest_ms;  /* wall clock: dirty since then, or a little later; 0: none is */
    size_t dead;        /* dead letters */
};
struct cache_dirt cache_db_dirt(const struct cache_db *db);

/*
 * How much of it there is beside what there may be: dirty_max, and half of memory, with what objects take there beside
 * keys and values, so that the other half is for what is loaded. Without what was there before the store that is
 * behind. For who asks at each write.
 */
enum cache_dirtiness {
    CACHE_DIRTY_LITTLE, /* at most half as much */
    CACHE_DIRTY_SOME,
    CACHE_DIRTY_TOO_MUCH,
};
enum cache_dirtiness cache_db_dirtiness(const struct cache_db *db);

/* The version that the store does not have yet, a deletion's too; 0: it is not dirty. */
uint64_t cache_db_dirty_version(struct cache_db *db, struct slice key);
bool cache_db_is_dirty(struct cache_db *db, struct slice key);

/*
 * ---- storing it (cache_behind.c) ----
 * Whether all of it is in the log: what is not must not be stored, for a crash would leave the store ahead of the log.
 */
bool cache_db_is_written(const struct cache_db *db);

/* It is due now. False: it is not dirty. */
bool cache_db_ask(struct cache_db *db, struct slice key);

/*
 * The next that is asked for, else that got dirty until then (wall clock): a value, or gone, a deletion. It is busy
 * from now on, and not given again, until one of the three behind. NULL: none.
 */
const struct cache_object *cache_db_take(struct cache_db *db, int64_t until_ms);

/* The same of the one that got dirty last, whenever that was: where those before it fail, it may not. */
const struct cache_object *cache_db_take_last(struct cache_db *db);

/* What it is now, while it is busy; NULL: it is not. */
const struct cache_object *cache_db_taken(const struct cache_db *db, struct slice key);

/* It was not stored: dirty since now; `now`: due now. */
void cache_db_give_back(struct cache_db *db, struct slice key, bool now);

/* The store has that version. True: it is clean. False: it was written meanwhile, and is dirty since now, or due. */
bool cache_db_stored(struct cache_db *db, struct slice key, uint64_t version, bool now);

/*
 * The store will not take that version: it is a dead letter, until it is written again. `above`: the version that the
 * store has, 0: none that were newer. False: it was written meanwhile, or without asking what the store has, and is
 * dirty, with a version above; or it was there before this store, which has a newer one: it is forgotten. `key` is no
 * slice of the object.
 */
bool cache_db_give_up(struct cache_db *db, struct slice key, uint64_t version, uint64_t above);

/* The dead letters, in the order in which they became so: the first one, or that behind it; NULL: no more. */
const struct cache_object *cache_db_dead(const struct cache_db *db,
                                         const struct cache_object *after);
bool cache_db_is_dead(const struct cache_db *db, struct slice key);

/* A dead letter is tried again, now; is given up, as if it had never been written here. False: it is none. */
bool cache_db_dead_retry(struct cache_db *db, struct slice key);
enum cache_fault cache_db_dead_drop(struct cache_db *db, struct slice key, bool *was);

/*
 * For at most some 500 µs: what is clean and was not used for so long leaves memory, if it may, what is dirty is due
 * now. To be called some ten times a second. The key of one that might not; an empty slice: there was none.
 */
struct slice cache_db_idle(struct cache_db *db, uint64_t idle_ms, bool may_forget);

/* Whether that has just seen all of them, and is at its beginning. */
bool cache_db_idle_is_over(const struct cache_db *db);

/*
 * ---- strays (cache_db_stray.c) ----
 * What was written here, is not stored yet, and is not ours any more: its cell of the ring is another node's now, or
 * was meanwhile. It is kept, in memory and log, as an object whose key nobody asks for, until the store has taken it or
 * has shown that somebody has written the object since. Two of one key may exist, each of its own version.
 *
 * - It is put under its real key, always with the version that it was written with: the store takes it when what it has
 *   is older, or that very one. Never above the store's: what is there is of who had the object after us.
 * - Stored, it leaves memory at once. When the store has a newer one it is a dead letter; but it is forgotten when
 *   nobody would miss it: it was adopted (cache_db_adopt.c), or its time is over.
 * - When its time is over before it is stored, it becomes a deletion of the same version: what it wrote over must not
 *   come back. If the store surely has nothing older, it goes without a word, as others do.
 * - When its real key has become volatile it goes with the next start: the store shall not hear of that key any more.
 *   Without a store (the configuration has none any more) it stays until there is one again, or memory is full.
 *
 * No command finds it: SCAN, RANDOMKEY and the numbers of keys pass over it, and no client can name it: whoever asks
 * for such a key is refused (CACHE_ACCESS_HIDDEN), by a cache that is in no ring as well: it may have been in one, or
 * be in one later, with the same log. What is dirty includes it.
 */
static inline bool cache_stray_is(struct slice key)
{
    return key.len >= CACHE_STRAY_HEAD &&
           memcmp(key.ptr, CACHE_STRAY_PREFIX, CACHE_STRAY_PREFIX_LEN) == 0;
}

/* A key that nobody may ask for, nor give to an object: it would be taken for a stray's. In a ring, and without one. */
static inline bool cache_stray_may_be(struct slice key)
{
    return key.len >= CACHE_STRAY_PREFIX_LEN &&
           memcmp(key.ptr, CACHE_STRAY_PREFIX, CACHE_STRAY_PREFIX_LEN) == 0;
}

/* The real key of a stray's; of any other it is the key itself. */
static inline struct slice cache_stray_key(struct slice key)
{
    return cache_stray_is(key) ? slice_make(key.ptr + CACHE_STRAY_HEAD, key.len - CACHE_STRAY_HEAD)
                               : key;
}

/*
 * An object that is not ours any more: what is dirty becomes a stray, due at once, or a dead letter as before; what is
 * clean is forgotten; a stray stays as it is. Who watches its key is told. It may be under way to the store: that
 * answer does nothing then. In the log it is the stray first and then the end of the object, in one turn: both or
 * neither. CACHE_OK: the object and its handle are gone, unless it was a stray. CACHE_FAULT_MEMORY: the object is as it
 * was, and there may be a stray of it, which says the same: to be called again, later.
 */
enum cache_fault cache_db_estrange(struct cache_db *db, uint32_t handle);

struct cache_strays {
    size_t count;
    size_t alive; /* of them dirty and no dead letters: to be stored */
};
struct cache_strays cache_db_strays(const struct cache_db *db);

/*
 * ---- second copies (cache_db_copy.c; options.copied) ----
 * What is dirty is to be copied elsewhere until the store has it. Each change that is has a number, one above that of
 * the change before; who copies takes what is to be copied in the order of these, and says what has been. Deletions
 * are such changes, also of what the store surely does not have: there may be a copy of it, which must not come back.
 * Not copied are strays, dead letters, and what was there before the store that is behind. What is stored needs no
 * copy.
 */

/*
 * The number of the last change, 0: there was none; of the last one of this key, or of another that shares its place.
 */
uint64_t cache_db_copy_end(const struct cache_db *db);

/*
 * How many objects the store has got before they had a copy, which they need no more then. But of a host that loses its
 * power the log may have lost them, and nothing would say so: they are as good as copied once that is synced.
 */
uint64_t cache_db_copy_skips(const struct cache_db *db);
uint64_t cache_db_copy_of(const struct cache_db *db, struct slice key);

/* The next to be copied, with the number of its first change that was not taken; it is taken. NULL: none. */
const struct cache_object *cache_db_copy_take(struct cache_db *db, uint64_t *number);

/* The number that would come with that; 0: none. */
uint64_t cache_db_copy_next(const struct cache_db *db);

/* What of this key is to be copied, or was taken and is not copied yet, as it is now; NULL: nothing. */
const struct cache_object *cache_db_copy_find(const struct cache_db *db, struct slice key);

/*
 * There is a copy of this version, which this node wrote and may have lost (its log lost its end). *newer: what is here
 * is older, or nothing: that is forgotten, and the copy becomes a stray (below), which nobody misses if the store has a
 * newer one. `key` is no slice of an object. CACHE_FAULT_MEMORY: to be told again.
 */
struct cache_db_copy {
    struct slice key, value;
    uint64_t version;
    int64_t expiry_ms;
    enum cache_form form;
    bool deleted;
};
enum cache_fault cache_db_restore(struct cache_db *db, const struct cache_db_copy *copy,
                                  bool *newer);

/* This version has a copy. Nothing, if it is another by now. */
void cache_db_copied(struct cache_db *db, struct slice key, uint64_t version);

/* Bytes of keys and values that are dirty, no dead letters, and have one. */
size_t cache_db_copied_bytes(const struct cache_db *db);

/* The copies there were are none: all that is dirty is to be copied. A part at a time, by cache_db_copy_work. */
void cache_db_copy_anew(struct cache_db *db);

/* Goes on with that, for at most some 500 us. True while not all has been seen, and numbers say nothing. */
bool cache_db_copy_work(struct cache_db *db);

/* ---- all of them, without strays ---- */

size_t cache_db_count(const struct cache_db *db);
size_t cache_db_expiring(const struct cache_db *db); /* objects that have an expiry */
size_t cache_db_bytes(const struct cache_db *db);
const struct cache_stats *cache_db_stats(const struct cache_db *db);

/* As cache_table_scan, for what is found. fn must change nothing. */
uint64_t cache_db_scan(struct cache_db *db, uint64_t cursor,
                       void (*fn)(const struct cache_object *o, void *ctx), void *ctx);

/* Some object that is found, evenly; NULL when there is none. `random`: any number, evenly spread. */
const struct cache_object *cache_db_random(struct cache_db *db, uint64_t random);

/* What a client holds for itself, counted against memory_max. */
void cache_db_charge(struct cache_db *db, ptrdiff_t bytes);

/*
 * Who has something that goes before any object does: asked for so many bytes when memory is full; `all`: no object can
 * go, so all of it must. It charges what it has given up. NULL: nobody.
 */
void cache_db_spare(struct cache_db *db, void (*shrink)(void *ctx, size_t bytes, bool all),
                    void *ctx);

/* ---- watching (WATCH) ---- */

/* One key of one client. `touched` becomes true when the key's object is changed, made, deleted or expires. */
struct cache_watch {
    struct cache_watch *next_of_key, *next_of_client;
    struct slice key; /* the caller's own copy */
    uint64_t claim; /* the caller's: by which the key's cell was this node's (cache_member_claim) */
    bool touched;
};

/* False: memory is short. */
bool cache_db_watch(struct cache_db *db, struct cache_watch *w);
void cache_db_unwatch(struct cache_db *db, struct cache_watch *w);

/*
 * ---- where there is a ring: which objects are of which cell, and cells that leave (cache_db_place.c) ----
 * Who is told of each object that comes and goes, found or not, so that it can find what is in memory of a cell. It is
 * told by key and handle; both stay until `gone`, the key's memory does not. It must not call cache_db.
 */
struct cache_db_places {
    /*
     * There is one more; maybe of a handle that it knows already, while cache_db_place runs. now_s: of the clock that
     * does not jump. False: memory is short; there will be no object, and nothing may have changed.
     */
    bool (*made)(void *ctx, struct slice key, uint32_t handle, uint32_t now_s);
    void (*gone)(void *ctx, struct slice key,
                 uint32_t handle); /* this one is about to leave memory */
    void (*emptied)(void *ctx);    /* all are gone, at once; also when there were none */
    void *ctx;
};

/*
 * From now on it is told, at first that it is empty, and of all that is there: for as long as that takes, so best
 * before the log is replayed. Once more when what it told of keys has changed (the ring is another). NULL: nobody is
 * told any more. `places` lives on. False: memory is short, it has been told that it is empty, and is told no more.
 */
bool cache_db_place(struct cache_db *db, const struct cache_db_places *places);

/*
 * A mark of who keeps objects by cell: the key's object is ours to use, and nothing else is to be looked at for that.
 * With the object it goes. The handle's may be set from within `made`.
 */
bool cache_db_is_owned(struct cache_db *db, struct slice key);
void cache_db_own_object(struct cache_db *db, uint32_t handle, bool owned);

/* The object of a handle that was made and is not gone. */
const struct cache_object *cache_db_object(const struct cache_db *db, uint32_t handle);

/*
 * It leaves memory, and the log: what is clean, or an absence; what is volatile is lost. Who watches its key is told:
 * EXEC must not succeed when the key has been another node's in between. *left: whether it has; false and CACHE_OK: it
 * is dirty, a dead letter too, or being stored. CACHE_FAULT_MEMORY: it stays.
 */
enum cache_fault cache_db_leave(struct cache_db *db, uint32_t handle, bool *left);

/* ---- time ---- */

/*
 * A little of what is due: expires some, evicts while too full, goes on with growing; for at most some 500 µs. To be
 * called each turn and each tick. True while there is more to do now.
 */
bool cache_db_work(struct cache_db *db);

/*
 * All of it goes into the log anew: begun where the log wants it (cache_log_wants_rewrite; once a second is enough, the
 * disk may go on refusing), then some `bytes` of it in each turn. True while there is more to do now.
 */
void cache_db_rewrite_begin(struct cache_db *db);
bool cache_db_rewrite(struct cache_db *db, size_t bytes);

#endif
