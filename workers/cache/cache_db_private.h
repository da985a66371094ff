/*
 * cache_db_private.h: what the files of cache_db share, and nobody else sees.
 */
#ifndef WORKERS_CACHE_DB_PRIVATE_H
#define WORKERS_CACHE_DB_PRIVATE_H

#include "common/siphash.h"
#include "workers/cache/cache_db.h"
#include "workers/cache/memory/cache_due.h"

#define CACHE_DB_HASHED_MAX 64

/* What is done a little at a time takes so long, at most. */
#define CACHE_DB_WORK_NS 500000

/* Bytes of a segment that a replay found superseded, until there is a log to be told. */
struct cache_db_dead {
    uint32_t segment;
    size_t bytes;
};

struct cache_db {
    struct cache_db_options options;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    struct cache_table *table;
    struct cache_policy *policy;
    struct cache_log *log;
    const struct cache_db_places *places; /* NULL: there is no ring */
    struct cache_stats stats;
    int64_t wall_us;
    int64_t version_us; /* 0: versions begin with wall_us */
    uint64_t mono_ms;
    uint64_t newest; /* version that this node has given, or had in its log */
    size_t gone;     /* objects that are not found, and kept all the same */
    size_t expiring; /* objects with an expiry */
    struct {
        size_t count, gone, expiring, dead;
    } strays;                                          /* of all those */
    size_t charged;                                    /* what clients hold */
    void (*shrink)(void *ctx, size_t bytes, bool all); /* NULL: there is nothing to spare */
    void *shrink_ctx;
    struct cache_due
        due; /* what the store shall hear of; of a dead letter's mark: the version it has, or 0 */
    size_t dirty_bytes; /* without dead letters, and what is adopted */
    size_t adopted_keys, adopted_bytes;
    size_t adopted_left;     /* of them in no list of `due` yet */
    uint64_t adopted_at;     /* cursor of the search for those */
    uint64_t adopted_ns;     /* it has found none: not again before that */
    int64_t adopted_ms;      /* since when they are dirty */
    unsigned takes;          /* turns of what is adopted and what is not */
    struct cache_due copies; /* what is to be copied; of a mark: the number of its first change */
    uint64_t copy_end;       /* the last number */
    uint64_t copy_skips;     /* what was stored before it had a copy */
    uint64_t *copy_seen;     /* by hash of the key: the last number; NULL: nothing is copied */
    size_t copied_bytes;
    uint64_t copy_at; /* cursor of the search for what has no copy */
    bool copy_search; /* it goes on, or is to begin */
    bool copy_short;  /* and once more from its start, for memory was */
    bool copy_all;    /* what has one has none */
    size_t room;      /* bytes that the last search for room has left; SIZE_MAX: there was none */
    uint64_t sweep;   /* cursor of the search for what has expired */
    int64_t sweep_ms; /* when it goes on: cache_db_now_ms */
    bool sweep_more;  /* the last has found much */
    uint64_t idle;    /* cursor of the search for what nobody uses */
    uint32_t idle_since_s,
        idle_lap_s;   /* used longest ago: of what the last has left, of this one */
    uint32_t anew;    /* the first segment of a log that is being written anew; 0: it is not */
    uint64_t anew_at; /* cursor of that */
    bool anew_short;  /* memory was, for one of its records */
    struct cache_db_dead *dead;
    size_t dead_count, dead_capacity;
    uint64_t
        hash; /* of the key that cache_db_knows was last asked for, when it is not longer than that: */
    size_t hashed_len; /* 0: none */
    char hashed[CACHE_DB_HASHED_MAX];
    struct cache_watch **watches; /* by hash of the key; a power of two */
    size_t watch_count, watch_buckets;
};

/* With a store each command's key is looked for twice: whether it is known, and by the command; it is hashed once. */
static inline uint64_t cache_db_hash(const struct cache_db *db, struct slice key)
{
    if (key.len > 0 && key.len == db->hashed_len && memcmp(key.ptr, db->hashed, key.len) == 0)
        return db->hash;
    return siphash(key, db->hash_key);
}

/* What an object counts for in those numbers: out (-1) before its end, expiry or death changes, in (1) behind it. */
static inline void cache_db_tally(struct cache_db *db, const struct cache_object *o, int sign)
{
    size_t one = (size_t)sign;
    db->gone += o->gone * one;
    db->expiring += o->expires * one;
    if (!cache_stray_is(cache_object_key(o)))
        return;
    db->strays.gone += o->gone * one;
    db->strays.expiring += o->expires * one;
    db->strays.dead += o->dead * one;
}

/* The object's record, as the log has it or shall have it. */
struct cache_log_record cache_db_record(const struct cache_object *o);

/* The record of the object is superseded. */
void cache_db_supersede(struct cache_db *db, const struct cache_object *o);

/* The object goes: out of queues and table; its record is dead. Its key must not be used any more. */
void cache_db_drop(struct cache_db *db, uint32_t handle, uint64_t hash);

/* The same, noted. False: memory is short, and it stays. */
bool cache_db_forget(struct cache_db *db, uint32_t handle, uint64_t hash);

/* An object leaves memory: who is told of those is. Before its key goes. */
static inline void cache_db_gone(const struct cache_db *db, uint32_t handle)
{
    const struct cache_db_places *p = db->places;
    if (p != NULL)
        p->gone(p->ctx, cache_object_key(cache_table_at(db->table, handle)), handle);
}

/*
 * It has expired: not found any more; a store that has an older version is still to be told. `sought`: somebody wants
 * to know, so that it is remembered that there is none.
 */
void cache_db_expired(struct cache_db *db, uint32_t handle, uint64_t hash, bool sought);

bool cache_db_is_expired(const struct cache_db *db, const struct cache_object *o);

/* When it is full, what can be spared goes (cache_db_spare). */
void cache_db_shrink(struct cache_db *db, bool all);

/* As objects note when they were used: in seconds of the clock that does not jump, or a jump makes all of them idle. */
uint32_t cache_db_second(const struct cache_db *db);

/* The handle of an object that is there, found or not, or 0; one that has expired is seen to before. */
uint32_t cache_db_handle(struct cache_db *db, struct slice key, uint64_t hash);

/* At least the clock, and more than its last; of a dead letter, more than the store's. 0: of a new one. */
uint64_t cache_db_version(struct cache_db *db, uint32_t handle);

/*
 * The object of this handle (0: a new one) becomes what the record says, in the log too; but what is adopted there is
 * so in the log alone (cache_db_adopt). `tail`: the record's value is the object's own, which may move, with this
 * behind it; NULL: it comes from elsewhere. The record's key never is.
 */
enum cache_fault cache_db_write(struct cache_db *db, uint32_t handle, uint64_t hash,
                                struct cache_log_record *r, const struct slice *tail);

/* Becomes a deletion that the store shall hear of. False: memory is short, and the object is as it was. */
bool cache_db_bury(struct cache_db *db, uint32_t handle, uint64_t version);

/* A new object, in table and queue, with room for that value and expiry. 0: memory is short. */
uint32_t cache_db_make(struct cache_db *db, struct slice key, uint64_t hash, size_t len,
                       int64_t expiry_ms);

/*
 * ---- cache_db_dirty.c ----
 * What changes an object that the store may have to hear of: bytes = cache_db_dirt_of before, and cache_db_dirtied with
 * that behind. A change to dirty needs cache_due_reserve before it.
 */
size_t cache_db_dirt_of(const struct cache_object *o);
size_t cache_db_size_of(const struct cache_object *o); /* key and value */
void cache_db_dirtied(struct cache_db *db, uint32_t handle, size_t before);

/*
 * ---- cache_db_copy.c ----
 * After each change of what is dirty, and before an object goes; before: as of cache_db_dirtied. False: memory is
 * short.
 */
bool cache_db_copy_open(struct cache_db *db);
void cache_db_copy_close(struct cache_db *db);
void cache_db_copy_changed(struct cache_db *db, uint32_t handle, size_t before);
void cache_db_copy_over(struct cache_db *db, uint32_t handle, size_t before);
void cache_db_copy_stored(struct cache_db *db, uint32_t handle, size_t before);
void cache_db_copy_emptied(struct cache_db *db);

/*
 * ---- cache_db_adopt.c ----
 * An object that is older than the store that is behind: it is dirty, and in no list until its turn comes, so that a
 * million of them take no memory. No dirt in the sense of cache_db_dirt_of.
 */
void cache_db_adopt(struct cache_db *db, uint32_t handle);

/* It is an object like others, before it leaves a list of `due` or goes; of so many bytes until now. Of any. */
void cache_db_own(struct cache_db *db, uint32_t handle, size_t bytes);

/* The next one joins those that are due. False: none was found within the time of one call. */
bool cache_db_adopted_next(struct cache_db *db);

/* The same for this one. False: it is in a list, or none of them, or memory is short. */
bool cache_db_adopted_due(struct cache_db *db, uint32_t handle);

/* ---- cache_db_stray.c: its key, to be freed; NULL: memory is short. ---- */
char *cache_db_stray_name(struct slice key, uint64_t version);

/* ---- cache_db_stray.c: a stray of a key that is volatile by now, which the store shall not hear of. ---- */
bool cache_db_is_stray_in_vain(const struct cache_db *db, struct slice key);

/*
 * The store has that version of what is dirty here: this one's goes above it, so that it is taken. `key` is no slice of
 * the object.
 */
enum cache_fault cache_db_rise(struct cache_db *db, uint32_t handle, uint64_t hash,
                               struct slice key, uint64_t version);

/* It is known that there is none, as of that version; nobody has to hear of it. Needs no memory. */
void cache_db_vanish(struct cache_db *db, uint32_t handle, uint64_t version);

/* Notes what needs no copying when its segment is cleaned. False: memory is short, and nothing has changed. */
bool cache_db_note_passing(struct cache_db *db, const struct cache_log_record *r);

/* Table and queues anew, empty; who watches what was there is told. False: memory is short, nothing has changed. */
bool cache_db_empty(struct cache_db *db);

/* Tells who watches the key. */
void cache_db_touch(struct cache_db *db, struct slice key, uint64_t hash);

#endif
