/*
 * cache_member_private.h: what the files of cache_ring share: its state.
 *
 * Runs in a cache node of a ring. cache_member.c is its life and what it tells; cache_member_event.c what an event
 * makes of a cell, and does with its objects; cache_member_say.c what it says to the manager; cache_member_hear.c what
 * it hears from it, and cache_member_nodes.c of that who else is there, and whose something is; cache_member_walk.c
 * what is done with many cells, a part at a time; cache_member_restore.c what the log has lost; cache_member_sweep.c
 * what it has in Redis without knowing; cache_member_identity.c who it was.
 */
#ifndef WORKERS_CACHE_MEMBER_PRIVATE_H
#define WORKERS_CACHE_MEMBER_PRIVATE_H

#include "proto/cache/cache_ring_answer.h"
#include "workers/cache/cache_cell_objects.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/ring/cache_lease.h"

#define MEMBER_MOVES      64      /* cells that are to move at once, or could not */
#define MEMBER_REST_US    5000000 /* one that could not is not to move for so long */
#define MEMBER_FLIGHTS    16      /* requests to the manager that are not answered */
#define MEMBER_CELLS_MAX  1000    /* of one */
#define MEMBER_AWAY       4       /* of RING_CLAIMED and RING_LEFT: nothing may have been done */
#define MEMBER_LATER_MS   200     /* between two tries of what the manager could not ask Redis */
#define MEMBER_TROUBLE_US 2000000 /* it does not serve for so long: that is told to people */
#define MEMBER_EMPTY_S    10 /* where memory is full, one that has nothing in it is kept so long */

enum member_session {
    MEMBER_OUT,     /* to join */
    MEMBER_JOINING, /* has asked to */
    MEMBER_IN,
    MEMBER_GONE, /* has left */
};

/* What goes through all cells since the last join; until it has, nothing is served. The later ones demand more. */
enum member_walk {
    MEMBER_SETTLED,
    MEMBER_REJOINS, /* the same incarnation, the same run: what was asked is asked again, what is dirty claimed */
    MEMBER_NEW_RUN,  /* Redis may have forgotten its last moments */
    MEMBER_OUTLIVED, /* another incarnation: all is to go */
    MEMBER_FORGETS, /* all cells have been seen; what they lost is still to leave the log, on the disk */
    MEMBER_RESTORES, /* copies = 2: what the log has lost is asked for */
    MEMBER_RECLAIMS, /* and those of which the log has something dirty are claimed */
};

/*
 * A cell of ours, and the number of its claim. Of one that leaves, `log_end`: when the log has forgotten it;
 * `drop_end`: when it has no second copies any more (cache_second.h).
 */
struct member_held {
    uint64_t cell, number, log_end, drop_end;
};

struct member_list {
    struct member_held *at;
    size_t count, capacity;
};

/* A request that is not answered. */
struct member_flight {
    uint64_t token;
    bool holds;
    size_t count;
    uint64_t cells[MEMBER_CELLS_MAX];
};

/* A lease that was told before it could be taken. */
struct member_offer {
    int64_t until_us, at_us, redis_us; /* at_us 0: none */
};

/* A cell that is to move, and whether commands wait for that. */
enum member_move_stage {
    MEMBER_STORES,   /* what is dirty of it is stored, and it is served meanwhile */
    MEMBER_WITHHELD, /* it is clean, or only will be when nobody writes it */
    MEMBER_RESTS,    /* the store has not taken it in time */
};

struct member_move {
    uint64_t cell;
    enum member_move_stage stage;
    int64_t until_us;
    uint64_t newest; /* version of what was dirty of it at first */
    uint64_t stores; /* what the store had taken by then */
};

/* What a cell has of what is not in the store. */
struct member_dirt {
    bool stuck;              /* something never will be: a dead letter, or it is volatile */
    uint64_t oldest, newest; /* versions of what is dirty; 0: nothing is */
};

struct member_node {
    uint32_t incarnation;
    bool lost;
    char *name, *address; /* one allocation, the name's */
};

struct cache_member {
    struct cache_member_options options;
    struct cache_node *node;
    struct cache_lease lease;
    struct member_offer offer;
    struct cache_cells *cells;
    struct cache_cell_objects objects;
    uint8_t seed[SIPHASH_KEY_SIZE], next_seed[SIPHASH_KEY_SIZE];
    bool reseeds; /* next_seed is the ring's from the end of the walk on */
    uint32_t incarnation;
    uint64_t mark, epoch;
    uint64_t number; /* the highest that was given before the last join */
    enum member_session session;
    bool leaves; /* it is to leave, and nothing is looked at any more */
    enum member_walk walk;
    enum member_walk owed; /* the walk that was begun and is not at its end; MEMBER_SETTLED: none */
    uint64_t dropped_end;  /* cache_log_added after it */
    struct cache_cells_walk at; /* where that is */
    int64_t now_us;             /* CLOCK_BOOTTIME, as last read */
    struct member_list asks, holds, laters, leaving;
    int64_t later_us;  /* when those are asked again */
    uv_timer_t *wake;  /* for that */
    int64_t closed_us; /* until then nothing is granted, as was said last */
    int64_t
        opens_us; /* nor surely before that, by the join: not from when its answer came, but from its sending */
    struct member_flight *flights[MEMBER_FLIGHTS];
    size_t flight_count;
    uint64_t last_token, last_look;
    struct member_move moves[MEMBER_MOVES];
    size_t move_count, withheld; /* of them those that are */
    bool stirred;                /* some of those may be stored by now, or is new */
    struct cache_cells_walk idle;
    struct cache_cells_walk strays; /* whose cells are claimed */
    uint32_t strays_s;              /* the next time */
    struct member_node *nodes;
    size_t node_count;
    size_t charged;  /* bytes that memory_max counts */
    bool told_cells; /* the manager knows `cells_told` */
    size_t cells_told;
    bool manager;           /* it is there */
    bool reclaims;          /* this walk has claimed some */
    bool restores;          /* this process has not asked yet which copies there are */
    uint64_t restore_token; /* of what it asks for; 0: it does not now */
    int64_t restore_us;     /* not before */
    char restore_cursor[CACHE_RING_CURSOR_SIZE];
    bool sweeps;          /* Redis may have cells of ours that are not known here */
    uint64_t sweep_token; /* of the page that is asked for; 0: none is */
    uint64_t sweep_bucket;
    char sweep_cursor[CACHE_RING_CURSOR_SIZE];
    bool drops;                          /* the cell at hand has lost something */
    bool look;                           /* who waits for a cell may look again */
    bool went_away;                      /* the last command that was looked at, to another node */
    bool short_of;                       /* memory was */
    char trouble[CACHE_MEMBER_WHY_SIZE]; /* of the identity's file; "" */
    int64_t troubled_us;                 /* when it was last known that nothing was wrong */
};

static inline uint32_t member_now_s(const struct cache_member *r)
{
    return (uint32_t)(uv_now(r->node->loop) / 1000);
}

/* How long ago that was. The clock of who made a cell's entry, or an object, may be ahead of the loop's. */
static inline uint32_t member_since_s(const struct cache_member *r, uint32_t used_s)
{
    int32_t since = (int32_t)(member_now_s(r) - used_s);
    return since > 0 ? (uint32_t)since : 0;
}

/* ---- cache_member_event.c ---- */

/*
 * An event of a cell: its state, and what is done. `owner`: whose it is, of SAID_THEIRS and SAID_LOST. Returns the
 * action, of which all is done but what is the command's own: RUN, WAIT, FORWARD, REFUSE.
 */
enum cache_cell_action member_event(struct cache_member *r, uint64_t cell,
                                    enum cache_cell_event event, uint32_t owner);

/*
 * Some of its objects are not in the store as they are here, or never will be, for they are volatile; a stray that
 * never will be does not count.
 */
bool member_is_dirty(struct cache_member *r, const struct cache_cells_entry *e);

/* The same in detail. */
struct member_dirt member_dirt(const struct cache_member *r, const struct cache_cells_entry *e);

/* The same of what is stored as ours only; a dead letter, too: what it is of is claimed at the start. */
bool member_owes(struct cache_member *r, const struct cache_cells_entry *e);

/* Something of another time is still to be stored before anything is loaded. */
bool member_has_stray(struct cache_member *r, const struct cache_cells_entry *e);

/* False: memory is short. */
bool member_push(struct member_list *list, uint64_t cell, uint64_t number, uint64_t log_end);

/* ---- cache_member_say.c ---- */

/* Memory was short where something would be forgotten: it joins again, with the next tick, and all is asked anew. */
void member_start_over(struct cache_member *r);

void member_join(struct cache_member *r);
void member_leave(struct cache_member *r);

/* What was asked for, as far as there is room. */
void member_say(struct cache_member *r);

/* Those that could not be asked for then are, when their time has come. */
void member_say_again(struct cache_member *r);

/* Those whose time comes then, unless others' is later: all are asked for together. False: memory is short. */
bool member_wake_new(struct cache_member *r);
void member_wake_at(struct cache_member *r, int64_t due_us);
void member_wake_free(struct cache_member *r);

/* What the log has forgotten is given back. */
void member_release(struct cache_member *r);

/* What is under way is not answered any more. */
void member_forget_flights(struct cache_member *r);

/* ---- cache_member_hear.c ---- */

/* What was told of the lease is so, when nothing is in the way any more. */
void member_take_offer(struct cache_member *r);

/* ---- cache_member_walk.c ---- */

void member_walk_begin(struct cache_member *r, enum member_walk walk);

/* What has left memory leaves the log, on the disk; nothing is served before that. */
void member_forget(struct cache_member *r);

/* A part of it. True while there is more. */
bool member_walk_on(struct cache_member *r);

/*
 * A cell whose last commands all came from one other node: it is to move, unless it could not; and whether its commands
 * wait for that.
 */
void member_move(struct cache_member *r, const struct cache_cells_entry *e);
bool member_is_withheld(const struct cache_member *r, uint64_t cell);
void member_move_on(struct cache_member *r);

/* What nobody uses is given up. */
void member_idle(struct cache_member *r);

/* What was written here is put first when the cell is ours again. */
void member_store_strays(struct cache_member *r, uint64_t cell);

/* Cells of strays are claimed, for a stray is put by its cell's owner only. */
void member_claim_strays(struct cache_member *r);

/* Those of nodes that are lost may be somebody's again. */
void member_owners_changed(struct cache_member *r);

/* Cells of which something is dirty are claimed, and then it serves. */
void member_reclaim(struct cache_member *r);

/* ---- cache_member_restore.c ---- */

/* Copies of what this node wrote are asked for, and then the walk goes on. */
void member_restore_begin(struct cache_member *r);
void member_restore(struct cache_member *r);

/* RING_FETCHED. False: malformed. */
bool member_on_fetched(struct cache_member *r, struct unpack *u);

/* ---- cache_member_sweep.c ---- */

/* After a join; a page, unless one is asked for, once a second. */
void member_sweep_begin(struct cache_member *r, bool there_may_be);
void member_sweep(struct cache_member *r);

/* RING_SWEPT. False: malformed. */
bool member_on_swept(struct cache_member *r, struct unpack *u);

/* ---- cache_member_nodes.c ---- */

/* RING_NODES, RING_SEEN. False: malformed. */
bool member_on_nodes(struct cache_member *r, struct unpack *u);
bool member_on_seen(struct cache_member *r, struct unpack *u);
void member_forget_nodes(struct cache_member *r);

/* Once a second. */
void member_tell_cells(struct cache_member *r);

/* ---- cache_member_identity.c ---- */

/* What the file says; none: nobody. One that says "old" owes OUTLIVED's walk. 0, or a negative errno with `why`. */
int member_identity_read(struct cache_member *r, char *why, size_t why_size);

/* `old`: the log is not this incarnation's yet. False, r->trouble says why. */
bool member_identity_write(struct cache_member *r, bool old);
void member_identity_remove(struct cache_member *r);

#endif
