/*
 * cache_park.h: who waits in a cache node, for what, and how long at most.
 *
 * Runs in a cache node that has a store; one thread. Waited for are a key that only the store knows, room for a write
 * while too much is not yet stored, that an object is stored, and, in a ring, whose a key is, a moment before another
 * node is asked again, or a copy of what is another's (cache_reads.h). Whoever waits is told to look again, in the
 * order in which they came, or, when its time is over, why it was in vain; it never waits for ever. It knows neither
 * clients nor calls: cache_hold.h and cache_mail.h do.
 */
#ifndef WORKERS_CACHE_PARK_H
#define WORKERS_CACHE_PARK_H

#include "workers/cache/cache_load.h"
#include "workers/cache/cache_member.h"

#define CACHE_PARK_AHEAD    128 /* keys of one who waits, loaded before they are needed */
#define CACHE_PARK_WHY_SIZE 1024

struct cache_node;
struct cache_park;

struct cache_park_options {
    struct cache_node *node;
    struct backing *backing;
    const uint8_t *hash_key;
    uint64_t timeout_ms;   /* longest that anybody waits */
    uint64_t retry_max_ms; /* longest pause between two tries at the store */
    unsigned parallel;     /* loads at once */
};

enum cache_parked_for {
    CACHE_PARKED_LOAD,
    CACHE_PARKED_ROOM,
    CACHE_PARKED_STORED,
    CACHE_PARKED_CELL,
    CACHE_PARKED_OWNER,
    CACHE_PARKED_PAUSE,
    CACHE_PARKED_COPY,
    CACHE_PARKED, /* so many */
    CACHE_PARKED_AWAY =
        CACHE_PARKED, /* another node does it: not waited for here (cache_parts.h) */
};

/* Somebody who waits; the caller's memory, zeroed before cache_park_begin. */
struct cache_parked {
    struct cache_load_wait load; /* the first: cache_park.c */
    struct cache_parked *next, *prev;
    struct cache_park *park;
    enum cache_parked_for what;
    bool waits;
    bool lost; /* what was loaded for it has left memory again before it was done */
    uint64_t since_ms, deadline_ms;
    uint64_t answers; /* that the store had given before */
    struct slice key; /* CACHE_PARKED_STORED: that object's; the caller's copy */
    uint64_t version; /* and what it was when that began */
    bool stored;      /* the store has that, or a newer one, though it was written again since */
    uint64_t
        cell; /* in a ring: what it waits for, or of what it waits for something (cache_member.h) */
    bool counted;                    /* the ring knows that it waits for that */
    uint64_t due_ms;                 /* CACHE_PARKED_PAUSE: its end */
    struct cache_member_owner owner; /* CACHE_PARKED_OWNER: as it was told */
    /* From the loop: NULL: look again; else it was in vain: an error, one line with its code. */
    void (*go)(struct cache_parked *p, const char *refused);
};

/* NULL: memory is short. */
struct cache_park *cache_park_new(const struct cache_park_options *options);

/* Nobody is told, and nobody waits any more. Its handles close while the loop goes on. */
void cache_park_free(struct cache_park *park);

/* The node ends: who waits is refused, and from now on nobody waits. */
void cache_park_stop(struct cache_park *park);
bool cache_park_is_stopping(const struct cache_park *park);

/* Something has become stored, dead, or room (cache_behind.h, on_change); this version is stored (on_stored). */
void cache_park_changed(void *park);
void cache_park_passed(void *park, struct slice key, uint64_t version);

/* At the end of each turn: there may be room because something was deleted or has expired. */
void cache_park_turn(struct cache_park *park);

/* A key that will be needed is loaded ahead, if it is not known; in a ring, if it is ours: else it is asked whose. */
void cache_park_ahead(struct cache_park *park, struct slice key);

/* The same of what an eventual read will need (cache_reads.h). */
void cache_park_ahead_copy(struct cache_park *park, struct slice key);

struct cache_loads *cache_park_loads(const struct cache_park *park);

/* Why the store gives nothing, "": it does; and what it has given, for objects and for copies (cache_reads.h). */
const char *cache_park_loads_trouble(const struct cache_park *park);
struct cache_load_stats cache_park_load_stats(const struct cache_park *park);
size_t cache_park_count(const struct cache_park *park);

/* Whether a write may be done now; `dirties`: it makes something dirty. */
bool cache_park_has_room(const struct cache_park *park, bool takes, bool dirties);

/* Its time begins. timeout_ms: at most the park's; 0: that. */
void cache_park_begin(struct cache_park *park, struct cache_parked *p, uint64_t timeout_ms,
                      void (*go)(struct cache_parked *p, const char *refused));

/*
 * Waits; again and again within its time. False: `why` is an error: its time is over, the node ends, or there are too
 * many.
 */
bool cache_park_load(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE]);
bool cache_park_copy(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE]);
bool cache_park_room(struct cache_parked *p, char why[CACHE_PARK_WHY_SIZE]);
bool cache_park_stored(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE]);
bool cache_park_cell(struct cache_parked *p, uint64_t cell, char why[CACHE_PARK_WHY_SIZE]);
void cache_park_leave(struct cache_parked *p);

/* Until the manager has said whose a key is (cache_member_ask_owner): p->owner. */
bool cache_park_owner(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE]);
void cache_park_told_owner(struct cache_park *park, const struct cache_member_owner *owner);

/* For so long, and not longer than its time; then it looks again. */
bool cache_park_pause(struct cache_parked *p, uint64_t pause_ms, char why[CACHE_PARK_WHY_SIZE]);

/* It has waited as long as anybody does. */
bool cache_park_is_over(const struct cache_parked *p);

/* The error of somebody who waits in vain to be told whose a key is. */
void cache_park_refuse_ring(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE]);

/* Whose owner, an incarnation, is lost; by its name, when that is known. */
void cache_park_refuse_lost(const struct cache_park *park, uint32_t owner,
                            char why[CACHE_PARK_WHY_SIZE]);

/* The error of somebody who waits in vain for what the store does not give. */
void cache_park_refuse(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE]);

/* What does not fit into memory at once. */
void cache_park_too_much(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE]);

#endif
