/*
 * cache_cells.h: what one node knows of the ring's cells: whose each is, what of it is in memory here, who uses it.
 *
 * Runs in a cache node of a ring. Pure: knows no time but what it is told (seconds of the node's monotonic clock). A
 * cell of which nothing is known, none of whose objects is in memory and for which nobody waits has no entry: it is
 * UNKNOWN. All calls name the cell; an entry's pointer holds until the next call that changes the table.
 *
 * Open addressing in 256 parts by the cell's first byte, each of which grows and shrinks on its own, so that no command
 * waits until all of a table is made anew; 32 bytes a place, 36 to 45 a cell, up to 64 when many have gone. A part is
 * in the order of its cells (a cell's place follows from its next 32 bits, and what comes later in the order makes
 * room): who walks needs to remember a cell only, and sees once whatever is there from the first call to the last.
 * Cells are hashes with a seed that clients do not know: nobody can fill one part.
 *
 * Of cells that are not ours, with nothing of them here, no more than foreign_max are kept: for one more another is
 * forgotten, of some that a hand passes the one that was used longest ago. Nothing is lost by it: it is asked for anew.
 */
#ifndef WORKERS_CACHE_CELLS_H
#define WORKERS_CACHE_CELLS_H

#include "workers/cache/ring/cache_own.h"

#include <stddef.h>
#include <stdint.h>

#define CACHE_CELLS_FOREIGN_MAX (1u << 18) /* about 11 MB */
#define CACHE_CELLS_STREAK      32 /* commands that are remembered, by whom they were sent */
#define CACHE_CELLS_WAITING_MAX ((1u << 22) - 1)
#define CACHE_CELLS_SEEN_MAX    4096 /* entries that one call looks at: some 20 us */
#define CACHE_CELLS_HAND_MAX    256

struct cache_cells_entry {
    uint64_t cell;
    uint64_t number;       /* of the claim by which it is ours; 0: not known, or it is not ours */
    uint32_t first;        /* handle of the first of its objects in memory here; 0: there is none */
    uint32_t used_s;       /* when a command needed it last */
    uint32_t incarnation;  /* owner of THEIRS, LOST; else who sent the last `streak` commands */
    unsigned state : 3;    /* enum cache_cell_state */
    unsigned there : 1;    /* the table's own */
    unsigned streak : 6;   /* CACHE_CELLS_STREAK: that many at least */
    unsigned waiting : 22; /* commands here */
};

struct cache_cells;

/* NULL when memory is short. foreign_max: CACHE_CELLS_FOREIGN_MAX, but in tests. */
struct cache_cells *cache_cells_new(size_t foreign_max);
void cache_cells_free(struct cache_cells *c); /* NULL is allowed */

/* NULL: nothing is known of it, it is UNKNOWN. */
const struct cache_cells_entry *cache_cells_find(const struct cache_cells *c, uint64_t cell);
enum cache_cell_state cache_cells_state(const struct cache_cells *c, uint64_t cell);

/*
 * Its state from now on; `incarnation`: whose, of THEIRS and LOST. False: memory is short, and nothing has
 * changed; never of a cell that has an entry, nor of UNKNOWN. A foreign one may be forgotten at once (see above).
 */
bool cache_cells_set(struct cache_cells *c, uint64_t cell, enum cache_cell_state state,
                     uint32_t incarnation, uint32_t now_s);

/*
 * A command needs it that this incarnation's node has sent (0: a client of this node). Its entry, or NULL; one search
 * for what a command asks of the table.
 */
const struct cache_cells_entry *cache_cells_use(struct cache_cells *c, uint64_t cell, uint32_t from,
                                                uint32_t now_s);

/* Whose node all of the last CACHE_CELLS_STREAK commands of a cell of ours came from; 0: several, or clients here. */
static inline uint32_t cache_cells_elsewhere(const struct cache_cells_entry *e)
{
    return e->state == CACHE_CELL_OURS && e->streak == CACHE_CELLS_STREAK ? e->incarnation : 0;
}

/* The claim by which it is ours: known until it is neither OURS, HELD nor LEAVING. Of others nothing changes. */
void cache_cells_set_number(struct cache_cells *c, uint64_t cell, uint64_t number);

/*
 * The first of its objects in memory here (cache_cell_list.h); 0: there is none. False: memory is short, and nothing
 * has changed; never of a cell that has an entry, nor of 0.
 */
bool cache_cells_set_first(struct cache_cells *c, uint64_t cell, uint32_t handle, uint32_t now_s);

/* One command more, or less, that waits. False: the cell has no entry, or CACHE_CELLS_WAITING_MAX wait. */
bool cache_cells_wait(struct cache_cells *c, uint64_t cell);
void cache_cells_wait_end(struct cache_cells *c, uint64_t cell);

/* Entries in this state (UNKNOWN: with objects, or somebody who waits); those that may be forgotten; bytes of all. */
size_t cache_cells_count(const struct cache_cells *c, enum cache_cell_state state);
size_t cache_cells_foreign(const struct cache_cells *c);
size_t cache_cells_bytes(const struct cache_cells *c);

/* ---- all of them, in portions ---- */

/* Where a walk is. Zeroed: at the beginning. */
struct cache_cells_walk {
    uint64_t next;
    bool end; /* all have been seen */
};

#define CACHE_CELLS_OF(state) (1u << (state))

/*
 * Copies up to `max` entries in these states (CACHE_CELLS_OF, or'ed) to *out, in the order of cells, and goes on; looks
 * at CACHE_CELLS_SEEN_MAX at most. Returns how many: 0 is not the end, walk->end is. Between two calls anything may be
 * changed: idle cells given up, held ones claimed again.
 */
size_t cache_cells_page(const struct cache_cells *c, struct cache_cells_walk *walk, unsigned states,
                        struct cache_cells_entry *out, size_t max);

/*
 * The hand goes on over CACHE_CELLS_SEEN_MAX entries at most, and forgets foreign cells that were not used since
 * before_s, CACHE_CELLS_HAND_MAX at most. Returns how many. To be called now and then.
 */
size_t cache_cells_forget(struct cache_cells *c, uint32_t before_s);

#endif
