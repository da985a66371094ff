/*
 * cache_ring_private.h: what the files of cache_ring share: its state.
 *
 * Runs in a cache node of a ring. cache_ring.c is its life and what it tells; cache_ring_event.c what an event makes of
 * a cell, and does with its objects; cache_ring_say.c what it says to the manager; cache_ring_hear.c what it hears from
 * it; cache_ring_walk.c what is done with many cells, a part at a time; cache_ring_identity.c who it was.
 */
#ifndef WORKERS_CACHE_RING_PRIVATE_H
#define WORKERS_CACHE_RING_PRIVATE_H

#include "workers/cache/cache_cell_objects.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_ring.h"
#include "workers/cache/ring/cache_lease.h"

#define RING_MOVES      64  /* cells that are withheld at once, to move */
#define RING_FLIGHTS    16  /* requests to the manager that are not answered */
#define RING_CELLS_MAX  1000 /* of one */
#define RING_LATER_MS   200 /* between two tries of what the manager could not ask Redis */
#define RING_REST_S     10  /* a cell that could not move within its time is left in peace so long */

enum ring_session {
    RING_OUT,     /* to join */
    RING_JOINING, /* has asked to */
    RING_IN,
    RING_LEAVES, /* has asked to leave, or shall */
    RING_GONE,   /* has left */
};

/* What goes through all cells since the last join; until it has, nothing is served. */
enum ring_walk {
    RING_SETTLED,
    RING_REJOINS,  /* the same incarnation, the same run: what was asked is asked again, what is dirty claimed */
    RING_NEW_RUN,  /* Redis may have forgotten its last moments */
    RING_OUTLIVED, /* another incarnation: all is to go */
    RING_RECLAIMS, /* all cells have been seen: those of which the log has something dirty are claimed */
};

/* A cell of ours, and the number of its claim; `log_end`: of one that leaves, when the log has forgotten it. */
struct ring_held {
    uint64_t cell, number, log_end;
};

struct ring_list {
    struct ring_held *at;
    size_t count, capacity;
};

/* A request that is not answered. */
struct ring_flight {
    uint64_t token;
    bool holds;
    size_t count;
    uint64_t cells[RING_CELLS_MAX];
};

struct ring_node {
    uint32_t incarnation;
    bool lost;
};

struct cache_ring {
    struct cache_ring_options options;
    struct cache_node *node;
    struct cache_lease lease;
    struct cache_cells *cells;
    struct cache_cell_objects objects;
    uint8_t seed[SIPHASH_KEY_SIZE], next_seed[SIPHASH_KEY_SIZE];
    bool reseeds; /* next_seed is the ring's from the end of the walk on */
    uint32_t incarnation;
    uint64_t mark, epoch;
    uint64_t number; /* the highest that was given before the last join */
    enum ring_session session;
    enum ring_walk walk;
    struct cache_cells_walk at; /* where that is */
    int64_t now_us;             /* CLOCK_BOOTTIME, as last read */
    struct ring_list asks, holds, laters, leaving;
    int64_t later_us;  /* when those are asked again */
    int64_t closed_us; /* until then nothing is granted */
    struct ring_flight *flights[RING_FLIGHTS];
    size_t flight_count;
    uint64_t last_token;
    uint64_t moves[RING_MOVES]; /* cells that are withheld */
    int64_t moves_us[RING_MOVES];
    size_t move_count;
    struct cache_cells_walk idle;
    struct ring_node *nodes;
    size_t node_count;
    bool manager;   /* it is there */
    bool served;    /* when it was looked at last */
    bool reclaims;  /* this walk has claimed some */
    bool look;      /* who waits for a cell may look again */
    bool short_of;  /* memory was */
    char trouble[CACHE_RING_WHY_SIZE]; /* of the identity's file; "" */
};

static inline uint32_t ring_now_s(const struct cache_ring *r)
{
    return (uint32_t)(uv_now(r->node->loop) / 1000);
}

/* ---- cache_ring_event.c ---- */

/*
 * An event of a cell: its state, and what is done. `owner`: whose it is, of SAID_THEIRS and SAID_LOST. Returns the
 * action, of which all is done but what is the command's own: RUN, WAIT, FORWARD, REFUSE.
 */
enum cache_cell_action ring_event(struct cache_ring *r, uint64_t cell, enum cache_cell_event event,
                                  uint32_t owner);

/* Some of its objects are not in the store as they are here; a stray that never will be does not count. */
bool ring_is_dirty(struct cache_ring *r, const struct cache_cells_entry *e);

/* Something of another time is still to be stored before anything is loaded. */
bool ring_has_stray(struct cache_ring *r, const struct cache_cells_entry *e);

/* False: memory is short. */
bool ring_push(struct ring_list *list, uint64_t cell, uint64_t number, uint64_t log_end);

/* ---- cache_ring_say.c ---- */

void ring_join(struct cache_ring *r);
void ring_leave(struct cache_ring *r);

/* What was asked for, as far as there is room. */
void ring_say(struct cache_ring *r);

/* What the log has forgotten is given back. */
void ring_release(struct cache_ring *r);

/* What is under way is not answered any more. */
void ring_forget_flights(struct cache_ring *r);

/* ---- cache_ring_walk.c ---- */

void ring_walk_begin(struct cache_ring *r, enum ring_walk walk);

/* A part of it. True while there is more. */
bool ring_walk_on(struct cache_ring *r);

/* A cell whose last commands all came from one other node. */
void ring_move(struct cache_ring *r, uint64_t cell);
bool ring_is_moving(const struct cache_ring *r, uint64_t cell);
void ring_move_on(struct cache_ring *r);

/* What nobody uses is given up. */
void ring_idle(struct cache_ring *r);

/* Those of nodes that are lost may be somebody's again. */
void ring_owners_changed(struct cache_ring *r);
bool ring_is_live(const struct cache_ring *r, uint32_t incarnation);

/* ---- cache_ring_identity.c ---- */

/* What the file says; none: nobody. 0, or a negative errno with `why`. */
int ring_identity_read(struct cache_ring *r, char *why, size_t why_size);

/* False, r->trouble says why. */
bool ring_identity_write(struct cache_ring *r);
void ring_identity_remove(struct cache_ring *r);

#endif
