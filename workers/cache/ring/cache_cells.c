/* cache_cells.c: parts in the order of cells, with open addressing. See cache_cells.h. */
#include "workers/cache/ring/cache_cells.h"
#include "workers/cache/memory/cache_memory.h"

#include <stdlib.h>
#include <string.h>

#define CELLS_PARTS      256
#define CELLS_PART_SHIFT 56
#define CELLS_SPARE      4 /* places that a part has beyond its share */
#define CELLS_SAMPLE     8 /* foreign ones, of which the one used longest ago is forgotten */
#define CELLS_FOREIGN    (CACHE_CELLS_OF(CACHE_CELL_THEIRS) | CACHE_CELLS_OF(CACHE_CELL_LOST))

_Static_assert(sizeof(struct cache_cells_entry) == 32, "what a cell costs");

struct cells_part {
    struct cache_cells_entry *places;
    uint32_t size, count; /* places; taken ones */
};

struct cache_cells {
    struct cells_part parts[CELLS_PARTS];
    size_t counts[CACHE_CELL_STATE_COUNT];
    size_t foreign, foreign_max;
    size_t bytes;
    struct cache_cells_walk hand;
};

/* ---- a part ---- */

static uint32_t part_home(const struct cells_part *p, uint64_t cell)
{
    return (uint32_t)((cell << 8 >> 32) * p->size >> 32);
}

static uint32_t part_next(const struct cells_part *p, uint32_t at)
{
    return at + 1 < p->size ? at + 1 : 0;
}

/* How far behind its home it stands. */
static uint32_t part_distance(const struct cells_part *p, uint32_t at)
{
    uint32_t home = part_home(p, p->places[at].cell);
    return at >= home ? at - home : at + p->size - home;
}

/* True: it stands at *at. False: there it would, pushing on what is there. Homes rise as cells do. */
static bool part_search(const struct cells_part *p, uint64_t cell, uint32_t *at)
{
    *at = p->size > 0 ? part_home(p, cell) : 0;
    for (uint32_t far = 0; far < p->size && p->places[*at].there; far++) {
        const struct cache_cells_entry *e = &p->places[*at];
        if (e->cell == cell)
            return true;
        uint32_t its = part_distance(p, *at);
        if (its < far || (its == far && e->cell > cell))
            break;
        *at = part_next(p, *at);
    }
    return false;
}

/* There is room, and `at` is where part_search has found that it belongs. */
static void part_put(struct cells_part *p, uint32_t at, struct cache_cells_entry entry)
{
    while (entry.there) {
        struct cache_cells_entry moved = p->places[at];
        p->places[at] = entry;
        entry = moved;
        at = part_next(p, at);
    }
    p->count++;
}

static void part_take(struct cells_part *p, uint32_t at)
{
    uint32_t next = part_next(p, at);
    while (p->places[next].there && part_distance(p, next) > 0) {
        p->places[at] = p->places[next];
        at = next;
        next = part_next(p, next);
    }
    p->places[at].there = 0;
    p->count--;
}

/* False: memory is short, and it stays as it is. */
static bool part_resize(struct cache_cells *c, struct cells_part *p, uint32_t size)
{
    struct cells_part made = {.size = size};
    made.places = size > 0 ? calloc(size, sizeof *made.places) : NULL;
    if (size > 0 && made.places == NULL)
        return false;
    for (uint32_t i = 0, at; i < p->size; i++)
        if (p->places[i].there) {
            part_search(&made, p->places[i].cell, &at);
            part_put(&made, at, p->places[i]);
        }
    c->bytes += cache_memory_of(made.places);
    c->bytes -= cache_memory_of(p->places);
    free(p->places);
    *p = made;
    return true;
}

static uint32_t part_size_for(uint32_t count)
{
    return count > 0 ? count + count / 4 + CELLS_SPARE : 0;
}

/* Full at seven of eight places: a search then looks at about four. */
static bool part_make_room(struct cache_cells *c, struct cells_part *p)
{
    return (uint64_t)(p->count + 1) * 8 <= (uint64_t)p->size * 7 ||
           part_resize(c, p, part_size_for(p->count + p->count / 8 + 1));
}

/* What is not given back for want of memory is the next time. */
static void part_give_back(struct cache_cells *c, struct cells_part *p)
{
    if (p->count == 0 || (uint64_t)p->size > 2 * (uint64_t)p->count + 2 * CELLS_SPARE)
        part_resize(c, p, part_size_for(p->count));
}

/* ---- an entry ---- */

struct cells_spot {
    struct cells_part *part;
    uint32_t at;
};

static struct cells_part *cells_part_of(const struct cache_cells *c, uint64_t cell)
{
    return (struct cells_part *)(uintptr_t)&c->parts[cell >> CELLS_PART_SHIFT];
}

static bool cells_search(const struct cache_cells *c, uint64_t cell, struct cells_spot *s)
{
    s->part = cells_part_of(c, cell);
    return part_search(s->part, cell, &s->at);
}

static struct cache_cells_entry *cells_at(const struct cells_spot *s)
{
    return &s->part->places[s->at];
}

/* Finds it, or adds one that is UNKNOWN and has nothing yet. */
static bool cells_make(struct cache_cells *c, uint64_t cell, uint32_t now_s, struct cells_spot *s)
{
    if (cells_search(c, cell, s))
        return true;
    if (!part_make_room(c, s->part))
        return false;
    part_search(s->part, cell, &s->at);
    part_put(s->part, s->at, (struct cache_cells_entry){.cell = cell, .used_s = now_s, .there = 1});
    c->counts[CACHE_CELL_UNKNOWN]++;
    return true;
}

static bool cells_is_foreign(const struct cache_cells_entry *e)
{
    return (CACHE_CELLS_OF(e->state) & CELLS_FOREIGN) != 0 && e->first == 0 && e->waiting == 0;
}

static bool cells_is_nothing(const struct cache_cells_entry *e)
{
    return e->state == CACHE_CELL_UNKNOWN && e->first == 0 && e->waiting == 0;
}

static void cells_remove(struct cache_cells *c, const struct cells_spot *s)
{
    const struct cache_cells_entry *e = cells_at(s);
    c->counts[e->state]--;
    c->foreign -= cells_is_foreign(e);
    part_take(s->part, s->at);
    part_give_back(c, s->part);
}

/* The hand goes on, and round. Returns how many it has passed. */
static size_t cells_hand(struct cache_cells *c, struct cache_cells_entry *seen, size_t max)
{
    if (c->hand.end)
        c->hand = (struct cache_cells_walk){0};
    return cache_cells_page(c, &c->hand, CELLS_FOREIGN, seen, max);
}

/* One foreign cell less; this one where the hand passes none that can go. */
static void cells_forget_one(struct cache_cells *c, uint64_t instead)
{
    struct cache_cells_entry seen[CELLS_SAMPLE];
    const struct cache_cells_entry *oldest = NULL;
    for (unsigned tries = 0; tries < 2 && oldest == NULL; tries++) {
        size_t count = cells_hand(c, seen, CELLS_SAMPLE);
        for (size_t i = 0; i < count; i++)
            if (cells_is_foreign(&seen[i]) && (oldest == NULL || seen[i].used_s < oldest->used_s))
                oldest = &seen[i];
    }
    struct cells_spot s;
    if (cells_search(c, oldest != NULL ? oldest->cell : instead, &s))
        cells_remove(c, &s);
}

/* What was changed is what it was counted as no more, and may have become needless. */
static void cells_settle(struct cache_cells *c, const struct cells_spot *s, bool was_foreign)
{
    const struct cache_cells_entry *e = cells_at(s);
    bool foreign = cells_is_foreign(e);
    c->foreign += foreign;
    c->foreign -= was_foreign;
    if (cells_is_nothing(e))
        cells_remove(c, s);
    else if (foreign && c->foreign > c->foreign_max)
        cells_forget_one(c, e->cell);
}

/* ---- the table ---- */

struct cache_cells *cache_cells_new(size_t foreign_max)
{
    struct cache_cells *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->foreign_max = foreign_max;
    c->bytes = cache_memory_of(c);
    return c;
}

void cache_cells_free(struct cache_cells *c)
{
    for (size_t i = 0; c != NULL && i < CELLS_PARTS; i++)
        free(c->parts[i].places);
    free(c);
}

const struct cache_cells_entry *cache_cells_find(const struct cache_cells *c, uint64_t cell)
{
    struct cells_spot s;
    return cells_search(c, cell, &s) ? cells_at(&s) : NULL;
}

enum cache_cell_state cache_cells_state(const struct cache_cells *c, uint64_t cell)
{
    const struct cache_cells_entry *e = cache_cells_find(c, cell);
    return e != NULL ? (enum cache_cell_state)e->state : CACHE_CELL_UNKNOWN;
}

/* Who has sent its commands is known on while it is ours. */
static bool cells_is_held(enum cache_cell_state state)
{
    return state == CACHE_CELL_OURS || state == CACHE_CELL_HELD;
}

/* A release carries the claim's number. */
static bool cells_is_claimed(enum cache_cell_state state)
{
    return cells_is_held(state) || state == CACHE_CELL_LEAVING;
}

/* Whose it is is known; else who used it is. */
static bool cells_is_others(enum cache_cell_state state)
{
    return (CACHE_CELLS_OF(state) & CELLS_FOREIGN) != 0;
}

bool cache_cells_set(struct cache_cells *c, uint64_t cell, enum cache_cell_state state,
                     uint32_t incarnation, uint32_t now_s)
{
    struct cells_spot s;
    if (!cells_search(c, cell, &s) &&
        (state == CACHE_CELL_UNKNOWN || !cells_make(c, cell, now_s, &s)))
        return state == CACHE_CELL_UNKNOWN;
    struct cache_cells_entry *e = cells_at(&s);
    bool was_foreign = cells_is_foreign(e),
         was_held = cells_is_held((enum cache_cell_state)e->state);
    c->counts[e->state]--;
    c->counts[state]++;
    e->state = state & 7u;
    if (!was_held || !cells_is_held(state)) {
        e->incarnation = cells_is_others(state) ? incarnation : 0;
        e->streak = 0;
    }
    if (!cells_is_claimed(state))
        e->number = 0;
    cells_settle(c, &s, was_foreign);
    return true;
}

const struct cache_cells_entry *cache_cells_use(struct cache_cells *c, uint64_t cell, uint32_t from,
                                                uint32_t now_s)
{
    struct cells_spot s;
    if (!cells_search(c, cell, &s))
        return NULL;
    struct cache_cells_entry *e = cells_at(&s);
    e->used_s = now_s;
    if (cells_is_others((enum cache_cell_state)e->state))
        return e;
    if (e->incarnation != from)
        e->streak = 0;
    e->incarnation = from;
    if (e->streak < CACHE_CELLS_STREAK)
        e->streak++;
    return e;
}

void cache_cells_set_number(struct cache_cells *c, uint64_t cell, uint64_t number)
{
    struct cells_spot s;
    if (cells_search(c, cell, &s) && cells_is_claimed((enum cache_cell_state)cells_at(&s)->state))
        cells_at(&s)->number = number;
}

bool cache_cells_set_first(struct cache_cells *c, uint64_t cell, uint32_t handle, uint32_t now_s)
{
    struct cells_spot s;
    if (!cells_search(c, cell, &s) && (handle == 0 || !cells_make(c, cell, now_s, &s)))
        return handle == 0;
    bool was_foreign = cells_is_foreign(cells_at(&s));
    cells_at(&s)->first = handle;
    cells_settle(c, &s, was_foreign);
    return true;
}

bool cache_cells_wait(struct cache_cells *c, uint64_t cell)
{
    struct cells_spot s;
    if (!cells_search(c, cell, &s) || cells_at(&s)->waiting == CACHE_CELLS_WAITING_MAX)
        return false;
    bool was_foreign = cells_is_foreign(cells_at(&s));
    cells_at(&s)->waiting++;
    cells_settle(c, &s, was_foreign);
    return true;
}

void cache_cells_wait_end(struct cache_cells *c, uint64_t cell)
{
    struct cells_spot s;
    if (!cells_search(c, cell, &s) || cells_at(&s)->waiting == 0)
        return;
    cells_at(&s)->waiting--;
    cells_settle(c, &s, false);
}

size_t cache_cells_count(const struct cache_cells *c, enum cache_cell_state state)
{
    return c->counts[state];
}

size_t cache_cells_foreign(const struct cache_cells *c)
{
    return c->foreign;
}

size_t cache_cells_bytes(const struct cache_cells *c)
{
    return c->bytes;
}

/* ---- all of them ---- */

/* How many stand at the beginning whose home is at the end: the order's last ones. */
static uint32_t part_wrapped(const struct cells_part *p)
{
    uint32_t n = 0;
    while (n < p->size && p->places[n].there && part_home(p, p->places[n].cell) > n)
        n++;
    return n;
}

/* A page that is being filled. */
struct cells_page {
    struct cache_cells_entry *out;
    size_t count, max, seen;
    unsigned states;
};

static bool cells_page_is_full(const struct cells_page *page)
{
    return page->count == page->max || page->seen == CACHE_CELLS_SEEN_MAX;
}

static void cells_walk_behind(struct cache_cells_walk *walk, uint64_t cell)
{
    walk->next = cell + 1;
    walk->end = cell == UINT64_MAX;
}

/* What of a part stands from walk->next on. */
static void cells_page_part(const struct cells_part *p, struct cache_cells_walk *walk,
                            struct cells_page *page)
{
    uint32_t at, wrapped = part_wrapped(p);
    part_search(p, walk->next, &at);
    bool behind = p->size > 0 && part_home(p, walk->next) > at;
    uint32_t rank = behind ? p->size - (wrapped - at) : at - wrapped;
    for (; rank < p->size && !cells_page_is_full(page); rank++) {
        const struct cache_cells_entry *e =
            &p->places[(uint32_t)(((uint64_t)wrapped + rank) % p->size)];
        if (!e->there)
            continue;
        page->seen++;
        cells_walk_behind(walk, e->cell);
        if ((CACHE_CELLS_OF(e->state) & page->states) != 0)
            page->out[page->count++] = *e;
    }
}

size_t cache_cells_page(const struct cache_cells *c, struct cache_cells_walk *walk, unsigned states,
                        struct cache_cells_entry *out, size_t max)
{
    struct cells_page page = {.out = out, .max = max, .states = states};
    while (!walk->end && !cells_page_is_full(&page)) {
        uint64_t part = walk->next >> CELLS_PART_SHIFT;
        cells_page_part(&c->parts[part], walk, &page);
        if (!walk->end && !cells_page_is_full(&page))
            cells_walk_behind(walk, part << CELLS_PART_SHIFT | UINT64_MAX >> 8);
    }
    return page.count;
}

size_t cache_cells_forget(struct cache_cells *c, uint32_t before_s)
{
    struct cache_cells_entry seen[CACHE_CELLS_HAND_MAX];
    size_t count = cells_hand(c, seen, CACHE_CELLS_HAND_MAX), forgotten = 0;
    for (size_t i = 0; i < count; i++) {
        struct cells_spot s;
        if (!cells_is_foreign(&seen[i]) || seen[i].used_s >= before_s ||
            !cells_search(c, seen[i].cell, &s))
            continue;
        cells_remove(c, &s);
        forgotten++;
    }
    return forgotten;
}
