/* cache_db.c: reading and writing. See cache_db.h. */
#include "workers/cache/cache_db_private.h"

#include <stdlib.h>
#include <uv.h>

#define CACHE_DB_ROOM_STEPS 64 /* evictions between two looks at the clock */

struct cache_db *cache_db_new(const struct cache_db_options *options, const uint8_t hash_key[16])
{
    struct cache_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return NULL;
    db->options = *options;
    db->room = SIZE_MAX;
    memcpy(db->hash_key, hash_key, sizeof db->hash_key);
    db->table = cache_table_new(hash_key);
    db->policy = db->table != NULL ? cache_policy_new(db->table) : NULL;
    if (db->policy == NULL || !cache_db_copy_open(db)) {
        cache_db_free(db);
        return NULL;
    }
    return db;
}

void cache_db_free(struct cache_db *db)
{
    if (db == NULL)
        return;
    if (db->policy != NULL)
        cache_policy_free(db->policy);
    if (db->table != NULL)
        cache_table_free(db->table);
    cache_due_fini(&db->due);
    cache_db_copy_close(db);
    free(db->watches);
    free(db->dead);
    free(db);
}

void cache_db_begin(struct cache_db *db, int64_t wall_us, uint64_t mono_ms)
{
    db->wall_us = wall_us;
    db->mono_ms = mono_ms;
}

void cache_db_version_clock(struct cache_db *db, int64_t version_us)
{
    db->version_us = version_us;
}

int64_t cache_db_now_ms(const struct cache_db *db)
{
    return db->wall_us / 1000;
}

/* ---- what an object is ---- */

struct cache_log_record cache_db_record(const struct cache_object *o)
{
    return (struct cache_log_record){.kind = o->gone ? CACHE_LOG_DELETE : CACHE_LOG_SET,
                                     .key = cache_object_key(o),
                                     .value = cache_object_value(o),
                                     .version = o->version,
                                     .expiry_ms = cache_object_expiry(o),
                                     .form = o->form,
                                     .dirty = o->dirty,
                                     .behind = o->behind,
                                     .blind = o->blind,
                                     .adopted = o->adopted};
}

bool cache_db_is_expired(const struct cache_db *db, const struct cache_object *o)
{
    return o->expires && cache_object_expiry(o) <= cache_db_now_ms(db);
}

/*
 * At least the clock, and more than its last: whoever compares two of one object knows which is newer. More than any of
 * this node, because what has left memory (evicted, deleted, expired) has no version here to be compared with, and the
 * clock may stand, within a turn, or go back. What another has written to the store, maybe with a clock far ahead,
 * counts for its own object only.
 */
uint64_t cache_db_version(struct cache_db *db, uint32_t handle)
{
    int64_t clock = db->version_us != 0 ? db->version_us : db->wall_us;
    uint64_t now = clock > 0 ? (uint64_t)clock : 0, last = 0;
    int64_t above = 0;
    db->newest = db->newest >= now ? db->newest + 1 : now;
    if (handle != 0) {
        const struct cache_object *o = cache_table_at(db->table, handle);
        if (o->dead)
            cache_due_find(&db->due, handle, &above);
        last = o->version > (uint64_t)above ? o->version : (uint64_t)above;
    }
    return last >= db->newest && last <= CACHE_VERSION_MAX ? last + 1 : db->newest;
}

uint32_t cache_db_second(const struct cache_db *db)
{
    return (uint32_t)(db->mono_ms / 1000);
}

/* ---- the log ---- */

/* In the log's buffer. False: memory is short, and nothing has changed. Without a log all is well. */
static bool cache_db_note(struct cache_db *db, const struct cache_log_record *r, uint32_t *segment)
{
    *segment = 0;
    if (db->log == NULL)
        return true;
    *segment = cache_log_add(db->log, r);
    return *segment != 0;
}

/*
 * The same of an object that becomes what the record says. What was loaded while the log cannot be written is in memory
 * alone, if nothing of it is in the log: it can be loaded again, and its records would gather without a bound.
 */
static bool cache_db_note_object(struct cache_db *db, const struct cache_object *o,
                                 const struct cache_log_record *r, uint32_t *segment)
{
    *segment = 0;
    bool loaded = !r->dirty && r->behind;
    return (loaded && o->segment == 0 && db->log != NULL && cache_log_is_refused(db->log)) ||
           cache_db_note(db, r, segment);
}

/* Deletions that nobody waits for, and the like. */
bool cache_db_note_passing(struct cache_db *db, const struct cache_log_record *r)
{
    uint32_t segment;
    if (!cache_db_note(db, r, &segment))
        return false;
    if (segment != 0)
        cache_log_dead(db->log, segment, cache_log_size(r));
    return true;
}

void cache_db_supersede(struct cache_db *db, const struct cache_object *o)
{
    if (o->segment == 0 || db->log == NULL)
        return;
    struct cache_log_record r = cache_db_record(o);
    cache_log_dead(db->log, o->segment, cache_log_size(&r));
}

/* ---- objects that go ---- */

void cache_db_drop(struct cache_db *db, uint32_t handle, uint64_t hash)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    cache_db_supersede(db, o);
    cache_db_tally(db, o, -1);
    db->strays.count -= cache_stray_is(cache_object_key(o));
    cache_db_copy_over(db, handle, cache_db_dirt_of(o));
    db->dirty_bytes -= cache_db_dirt_of(o);
    cache_db_own(db, handle, cache_db_size_of(o));
    cache_due_remove(&db->due, handle);
    cache_policy_remove(db->policy, handle);
    cache_db_gone(db, handle);
    cache_table_remove(db->table, handle, hash);
}

/* Noted, else a replay would bring it back. False: memory is short. */
static bool cache_db_note_forget(struct cache_db *db, const struct cache_object *o)
{
    struct cache_log_record r = {.kind = CACHE_LOG_FORGET,
                                 .key = cache_object_key(o),
                                 .version = o->version,
                                 .expiry_ms = CACHE_NEVER};
    return o->segment == 0 || cache_db_note_passing(db, &r);
}

bool cache_db_forget(struct cache_db *db, uint32_t handle, uint64_t hash)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    if (!cache_db_note_forget(db, o))
        return false;
    cache_db_touch(db, cache_object_key(o), hash); /* a load that is under way is of before */
    cache_db_drop(db, handle, hash);
    return true;
}

/* What is left of one is its key. Shrinking needs no memory. */
static void cache_db_hollow(struct cache_db *db, uint32_t handle, uint64_t version,
                            uint32_t segment)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    cache_db_supersede(db, o);
    cache_db_own(db, handle, cache_db_size_of(o));
    cache_db_tally(db, o, -1);
    cache_table_resize(db->table, handle, 0, CACHE_NEVER);
    o = cache_table_at(db->table, handle);
    o->gone = true;
    db->idle_since_s = o->dead ? 0 : db->idle_since_s; /* nobody has looked at when that was used */
    o->dead = false;
    o->version = version;
    o->segment = segment;
    cache_db_tally(db, o, 1);
}

bool cache_db_bury(struct cache_db *db, uint32_t handle, uint64_t version)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    size_t before = cache_db_dirt_of(o);
    struct cache_log_record r = {.kind = CACHE_LOG_DELETE,
                                 .key = cache_object_key(o),
                                 .version = version,
                                 .expiry_ms = CACHE_NEVER,
                                 .dirty = true,
                                 .behind = true,
                                 .blind = o->blind};
    uint32_t segment;
    if (!cache_due_reserve(&db->due) || !cache_db_note(db, &r, &segment))
        return false;
    cache_db_hollow(db, handle, version, segment);
    cache_table_at(db->table, handle)->dirty = true;
    cache_db_dirtied(db, handle, before);
    return true;
}

void cache_db_vanish(struct cache_db *db, uint32_t handle, uint64_t version)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    size_t before = cache_db_dirt_of(o);
    cache_db_hollow(db, handle, version, 0);
    o = cache_table_at(db->table, handle);
    o->dirty = o->behind = o->blind = false;
    o->used_s = cache_db_second(db);
    cache_db_dirtied(db, handle, before);
}

/*
 * The deletion's version is the next one and not the clock: it is no new write, and must not go over what somebody else
 * has stored meanwhile; where it is known that somebody has, there is none. Where memory is too short for it the next
 * one to look tries again. A stray's is its own: others may have written the next one. It is marked as blind, which no
 * other stray is: nobody has asked for this deletion, and nobody misses it.
 *
 * What is clean is not noted, as its record says when it ends; but in a ring: there its cell may be another node's and
 * ours again before a start whose clock stands before that time, and what is in the log would be found.
 */
void cache_db_expired(struct cache_db *db, uint32_t handle, uint64_t hash, bool sought)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    int64_t above = 0;
    cache_db_touch(db, cache_object_key(o), hash);
    if (o->dead)
        cache_due_find(&db->due, handle, &above);
    if (o->dirty && o->behind) {
        bool stray = cache_stray_is(cache_object_key(o));
        o->blind = o->blind || stray;
        bool gone = above > 0 ? cache_db_forget(db, handle, hash)
                              : cache_db_bury(db, handle, o->version + !stray);
        db->stats.expired += gone;
        return;
    }
    if (db->places != NULL && !cache_db_note_forget(db, o))
        return;
    db->stats.expired++;
    if (sought && cache_db_is_kept(db, cache_object_key(o)))
        cache_db_vanish(db, handle, o->version);
    else
        cache_db_drop(db, handle, hash);
}

/* ---- reading ---- */

/* The handle of what is found, or 0. */
static uint32_t cache_db_find(struct cache_db *db, struct slice key, uint64_t hash)
{
    uint32_t handle = cache_table_find(db->table, key, hash);
    if (handle == 0)
        return 0;
    const struct cache_object *o = cache_table_at(db->table, handle);
    if (o->gone)
        return 0;
    if (!cache_db_is_expired(db, o))
        return handle;
    cache_db_expired(db, handle, hash, true);
    return 0;
}

uint64_t cache_db_seen(struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_db_handle(db, key, cache_db_hash(db, key));
    const struct cache_object *o = handle != 0 ? cache_table_at(db->table, handle) : NULL;
    return o != NULL ? 2 * o->version + o->gone : 0;
}

const struct cache_object *cache_db_peek(struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_db_find(db, key, cache_db_hash(db, key));
    return handle != 0 ? cache_table_at(db->table, handle) : NULL;
}

const struct cache_object *cache_db_read(struct cache_db *db, struct slice key)
{
    uint32_t handle = cache_db_find(db, key, cache_db_hash(db, key));
    if (handle == 0) {
        db->stats.misses++;
        return NULL;
    }
    struct cache_object *o = cache_table_at(db->table, handle);
    db->stats.hits++;
    o->used_s = cache_db_second(db);
    cache_policy_hit(o);
    return o;
}

/* ---- writing ---- */

uint32_t cache_db_make(struct cache_db *db, struct slice key, uint64_t hash, size_t len,
                       int64_t expiry_ms)
{
    uint32_t handle = cache_table_add_sized(db->table, key, hash, len, expiry_ms);
    const struct cache_db_places *p = db->places;
    if (handle == 0)
        return 0;
    if (p != NULL && !p->made(p->ctx, key, handle, cache_db_second(db))) {
        cache_table_remove(db->table, handle, hash);
        return 0;
    }
    cache_policy_add(db->policy, handle, hash);
    db->strays.count += cache_stray_is(key);
    return handle;
}

/* What it takes beside its key. */
static size_t cache_db_room_of(size_t value_len, int64_t expiry_ms)
{
    return value_len + (expiry_ms != CACHE_NEVER ? sizeof expiry_ms : 0);
}

/*
 * Notes the record and gives the object its room, both or none. What grows gets its room first, because it can be given
 * back; what shrinks is noted first, because shrinking cannot fail, and its end would be lost. `tail`: the value is the
 * object's own, which may move, with this behind it; NULL: it comes from elsewhere.
 */
static bool cache_db_change(struct cache_db *db, uint32_t handle, struct cache_log_record *r,
                            const struct slice *tail, uint32_t *segment)
{
    const struct cache_object *o = cache_table_at(db->table, handle);
    size_t old_len = o->value_len;
    int64_t old_expiry = cache_object_expiry(o);
    bool grows =
        cache_db_room_of(r->value.len, r->expiry_ms) > cache_db_room_of(old_len, old_expiry);
    if (grows) { /* with an expiry, of a shorter value perhaps: none of the old one may be lost yet */
        size_t longest = r->value.len > old_len ? r->value.len : old_len;
        char *value = cache_table_resize(db->table, handle, longest, r->expiry_ms);
        if (value == NULL)
            return false;
        if (tail != NULL) {
            memcpy(value + old_len, tail->ptr, tail->len);
            r->value.ptr = value;
        }
    }
    if (!cache_db_note_object(db, cache_table_at(db->table, handle), r, segment)) {
        if (grows)
            cache_table_resize(db->table, handle, old_len, old_expiry);
        return false;
    }
    if (grows && r->value.len >= old_len)
        return true;
    char *value = cache_table_resize(db->table, handle, r->value.len, r->expiry_ms);
    if (tail != NULL)
        r->value.ptr = value;
    return true;
}

/* The record is the object from now on. */
static void cache_db_become(struct cache_db *db, uint32_t handle, const struct cache_log_record *r,
                            uint32_t segment)
{
    struct cache_object *o = cache_table_at(db->table, handle);
    char *value = (char *)(uintptr_t)cache_object_value(o).ptr;
    if (value != r->value.ptr)
        memcpy(value, r->value.ptr, r->value.len);
    o->gone = r->kind == CACHE_LOG_DELETE;
    o->dead = false;
    o->form = r->form & 3;
    o->dirty = r->dirty;
    o->behind = r->behind;
    o->blind = r->blind;
    o->version = r->version;
    o->segment = segment;
    o->used_s = cache_db_second(db);
    cache_db_tally(db, o, 1);
}

enum cache_fault cache_db_write(struct cache_db *db, uint32_t handle, uint64_t hash,
                                struct cache_log_record *r, const struct slice *tail)
{
    bool made = handle == 0;
    r->behind = r->behind || (r->dirty && db->options.copied); /* there may be a copy of it */
    if (r->dirty && !cache_due_reserve(&db->due))
        return CACHE_FAULT_MEMORY;
    if (made && (handle = cache_db_make(db, r->key, hash, 0, CACHE_NEVER)) == 0)
        return CACHE_FAULT_MEMORY;
    struct cache_object *o = cache_table_at(db->table, handle);
    size_t dirt = cache_db_dirt_of(o), held = cache_db_size_of(o);
    struct cache_log_record old = cache_db_record(o);
    size_t old_size = cache_log_size(&old);
    uint32_t old_segment = o->segment, segment;
    if (!made)
        cache_policy_hit(o);
    cache_db_tally(db, o, -1);
    if (!cache_db_change(db, handle, r, tail, &segment)) {
        cache_db_tally(db, cache_table_at(db->table, handle), 1);
        if (made)
            cache_db_drop(db, handle, hash);
        return CACHE_FAULT_MEMORY;
    }
    if (old_segment != 0 && db->log != NULL)
        cache_log_dead(db->log, old_segment, old_size);
    cache_db_own(db, handle, held);
    cache_db_become(db, handle, r, segment);
    cache_db_dirtied(db, handle, dirt);
    cache_db_touch(db, r->key, hash);
    return CACHE_OK;
}

uint32_t cache_db_handle(struct cache_db *db, struct slice key, uint64_t hash)
{
    uint32_t handle = cache_table_find(db->table, key, hash);
    if (handle == 0 || !cache_db_is_expired(db, cache_table_at(db->table, handle)))
        return handle;
    cache_db_expired(db, handle, hash, true);
    return cache_table_find(db->table, key, hash);
}

enum cache_fault cache_db_set(struct cache_db *db, struct slice key, struct slice value,
                              int64_t expiry_ms, enum cache_form form)
{
    if (key.len + value.len > db->options.object_max)
        return CACHE_FAULT_LARGE;
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = cache_db_handle(db, key, hash);
    bool kept = cache_db_is_kept(db, key);
    struct cache_log_record r = {
        .kind = CACHE_LOG_SET,
        .key = key,
        .value = value,
        .version = cache_db_version(db, handle),
        .expiry_ms = expiry_ms,
        .form = form,
        .dirty = kept,
        .behind = kept && (handle == 0 || cache_table_at(db->table, handle)->behind),
        .blind = kept && (handle == 0 || cache_table_at(db->table, handle)->blind)};
    return cache_db_write(db, handle, hash, &r, NULL);
}

/* The object as it is, with another version. */
static struct cache_log_record cache_db_next(struct cache_db *db, uint32_t handle, struct slice key)
{
    struct cache_log_record r = cache_db_record(cache_table_at(db->table, handle));
    r.key = key;
    r.version = cache_db_version(db, handle);
    r.adopted = false;
    r.dirty = cache_db_is_kept(db, key);
    r.behind = r.dirty && r.behind;
    r.blind = r.dirty && r.blind;
    return r;
}

enum cache_fault cache_db_expire(struct cache_db *db, struct slice key, int64_t expiry_ms)
{
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = cache_db_find(db, key, hash);
    if (handle == 0)
        return CACHE_OK;
    struct cache_log_record r = cache_db_next(db, handle, key);
    r.expiry_ms = expiry_ms;
    return cache_db_write(db, handle, hash, &r, &(struct slice){"", 0});
}

enum cache_fault cache_db_append(struct cache_db *db, struct slice key, struct slice tail,
                                 size_t *len)
{
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = cache_db_find(db, key, hash);
    *len = 0;
    if (handle == 0)
        return CACHE_OK;
    struct cache_log_record r = cache_db_next(db, handle, key);
    if (key.len + r.value.len + tail.len > db->options.object_max)
        return CACHE_FAULT_LARGE;
    *len = r.value.len += tail.len;
    r.form = CACHE_FORM_BYTES; /* of a term it would be no term any more */
    return cache_db_write(db, handle, hash, &r, &tail);
}

/* A store that has nothing of it has nothing to hear. */
static enum cache_fault cache_db_remove(struct cache_db *db, uint32_t handle, struct slice key,
                                        uint64_t hash)
{
    uint64_t version = cache_db_version(db, handle);
    bool kept = cache_db_is_kept(db, key);
    struct cache_log_record r = {
        .kind = CACHE_LOG_DELETE, .key = key, .version = version, .expiry_ms = CACHE_NEVER};
    if (kept && cache_table_at(db->table, handle)->behind)
        return cache_db_bury(db, handle, version) ? CACHE_OK : CACHE_FAULT_MEMORY;
    if (!cache_db_note_passing(db, &r))
        return CACHE_FAULT_MEMORY;
    if (kept)
        cache_db_vanish(db, handle, version);
    else
        cache_db_drop(db, handle, hash);
    return CACHE_OK;
}

enum cache_fault cache_db_delete(struct cache_db *db, struct slice key, bool *was)
{
    uint64_t hash = cache_db_hash(db, key);
    uint32_t handle = cache_db_find(db, key, hash);
    *was = handle != 0;
    if (handle == 0)
        return CACHE_OK;
    enum cache_fault fault = cache_db_remove(db, handle, key, hash);
    if (fault == CACHE_OK)
        cache_db_touch(db, key, hash);
    return fault;
}

/* ---- room ---- */

/* One object leaves memory. Noted: else a replay would bring back what a DEL has found absent since. */
static bool cache_db_evict(struct cache_db *db)
{
    uint32_t handle = cache_policy_victim(db->policy);
    if (handle == 0)
        return false;
    const struct cache_object *o = cache_table_at(db->table, handle);
    uint64_t hash = cache_db_hash(db, cache_object_key(o));
    if (!cache_db_note_forget(db, o))
        return false;
    cache_db_supersede(db, o);
    cache_db_tally(db, o, -1);
    db->strays.count -= cache_stray_is(cache_object_key(o));
    cache_db_touch(db, cache_object_key(o), hash);
    cache_policy_evicted(db->policy, handle, hash);
    cache_db_gone(db, handle);
    cache_table_remove(db->table, handle, hash);
    db->stats.evicted++;
    return true;
}

bool cache_db_is_full(const struct cache_db *db)
{
    return cache_db_bytes(db) > db->options.memory_max;
}

/*
 * For so long at a time, as Redis: what makes room for a large object among small ones is a hundred thousand of them,
 * and after a start with less memory than before it is millions. The rest goes with the next calls, as long as it is
 * less than a sixteenth of memory, or less than it was.
 */
enum cache_fault cache_db_room(struct cache_db *db)
{
    size_t max = db->options.memory_max;
    size_t most = max + max / 16 > db->room ? max + max / 16 : db->room;
    uint64_t until_ns = 0;
    bool may = db->options.evict || db->options.stored;
    cache_db_shrink(db, false);
    for (unsigned n = 1; cache_db_is_full(db); n++) {
        if (!may || !cache_db_evict(db)) {
            cache_db_shrink(db, true);
            return cache_db_is_full(db) ? CACHE_FAULT_OOM : CACHE_OK;
        }
        if (n % CACHE_DB_ROOM_STEPS != 0)
            continue;
        until_ns = until_ns == 0 ? uv_hrtime() + CACHE_DB_WORK_NS : until_ns;
        if (cache_db_bytes(db) <= most && uv_hrtime() >= until_ns)
            break;
    }
    db->room = cache_db_bytes(db);
    return CACHE_OK;
}
