/* cache_park.c: see cache_park.h. */
#include "workers/cache/cache_park_private.h"

#include "workers/cache/cache_access.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_reads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PARK_NEVER UINT64_MAX

/* ---- lists ---- */

/* Who waits for a cell, or for a load of something in it, keeps it here. */
static void park_count(struct cache_parked *p, enum cache_parked_for what)
{
    struct cache_member *member = p->park->options.node->member;
    bool waits = what == CACHE_PARKED_CELL || what == CACHE_PARKED_LOAD;
    p->counted = waits && member != NULL && cache_member_wait(member, p->cell);
}

static void park_uncount(struct cache_parked *p)
{
    struct cache_member *member = p->park->options.node->member;
    if (p->counted && member != NULL)
        cache_member_wait_end(member, p->cell);
    p->counted = false;
}

static void park_link(struct cache_parked *p, enum cache_parked_for what)
{
    park_count(p, what);
    struct park_list *list = &p->park->lists[what];
    p->what = what;
    p->waits = true;
    p->next = NULL;
    p->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = p;
    list->last = p;
    list->count++;
}

static void park_unlink(struct cache_parked *p)
{
    struct park_list *list = &p->park->lists[p->what];
    if (p->park->cursor == p)
        p->park->cursor = p->next;
    *(p->prev != NULL ? &p->prev->next : &list->first) = p->next;
    *(p->next != NULL ? &p->next->prev : &list->last) = p->prev;
    list->count--;
    p->waits = false;
    park_uncount(p);
}

void cache_park_leave(struct cache_parked *p)
{
    if (!p->waits)
        return;
    cache_load_leave(&p->load);
    park_unlink(p);
}

static void park_go(struct cache_parked *p, const char *refused)
{
    cache_park_leave(p);
    p->go(p, refused);
}

size_t cache_park_count(const struct cache_park *park)
{
    size_t count = 0;
    for (unsigned i = 0; i < CACHE_PARKED; i++)
        count += park->lists[i].count;
    return count;
}

/* ---- why it was in vain ---- */

static void park_stopped(const struct cache_park *park, char why[CACHE_PARK_WHY_SIZE])
{
    snprintf(why, CACHE_PARK_WHY_SIZE, "TRYAGAIN %s stops: ask again when it is back",
             park->options.node->options.name);
}

static void park_not_stored(const struct cache_parked *p, char why[CACHE_PARK_WHY_SIZE])
{
    const char *trouble = cache_park_trouble(p->park);
    snprintf(why, CACHE_PARK_WHY_SIZE,
             "TRYAGAIN the store of %s has not taken the object within %" PRIu64 " ms: %s",
             p->park->options.node->options.name, p->deadline_ms - p->since_ms,
             trouble[0] != '\0' ? trouble : "it is slower than that; it is tried on");
}

/* The store answers others meanwhile. */
static bool park_is_answered(const struct cache_parked *p)
{
    return cache_park_load_stats(p->park).loads > p->answers;
}

static bool park_is_lost(const struct cache_parked *p)
{
    return p->lost && cache_park_trouble(p->park)[0] == '\0';
}

/* Its time is over. */
static void park_overdue(const struct cache_parked *p, char why[CACHE_PARK_WHY_SIZE])
{
    enum cache_fault fault =
        p->what == CACHE_PARKED_ROOM ? CACHE_FAULT_OOM : cache_load_fault(&p->load);
    if (p->what == CACHE_PARKED_CELL || p->what == CACHE_PARKED_OWNER ||
        p->what == CACHE_PARKED_PAUSE) {
        cache_park_refuse_ring(p->park, why);
    } else if (fault != CACHE_OK) {
        char text[CACHE_ACCESS_WHY_SIZE];
        cache_access_fault(p->park->options.node, fault, text);
        snprintf(why, CACHE_PARK_WHY_SIZE, "%s", text);
    } else if (p->what == CACHE_PARKED_STORED) {
        park_not_stored(p, why);
    } else if (park_is_lost(p)) {
        cache_park_too_much(p->park, why);
    } else {
        if (!park_is_answered(p))
            cache_loads_overdue(p->what == CACHE_PARKED_COPY ? cache_park_copies(p->park)
                                                             : p->park->loads);
        cache_park_refuse(p->park, why);
    }
}

/* ---- time ---- */

static uint64_t park_now(const struct cache_park *park)
{
    return uv_now(park->options.node->loop);
}

static void park_on_timer(uv_timer_t *timer);

static void park_wake_at(struct cache_park *park, uint64_t at_ms)
{
    uint64_t now = park_now(park);
    if (at_ms >= park->wake_ms)
        return;
    park->wake_ms = at_ms;
    uv_timer_start(&park->timer, park_on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static uint64_t park_due(const struct cache_parked *p)
{
    return p->what == CACHE_PARKED_PAUSE ? p->due_ms : p->deadline_ms;
}

/* The first of them whose time is over, or NULL; what is left sets the timer. */
static struct cache_parked *park_first_due(struct cache_park *park, uint64_t now)
{
    for (unsigned i = 0; i < CACHE_PARKED; i++)
        for (struct cache_parked *p = park->lists[i].first; p != NULL; p = p->next)
            if (park_due(p) <= now)
                return p;
    return NULL;
}

static void park_set_timer(struct cache_park *park)
{
    for (unsigned i = 0; i < CACHE_PARKED; i++)
        for (const struct cache_parked *p = park->lists[i].first; p != NULL; p = p->next)
            park_wake_at(park, park_due(p));
}

static void park_tell_changed(struct cache_park *park);

static void park_on_timer(uv_timer_t *timer)
{
    struct cache_park *park = timer->data;
    uint64_t now = park_now(park);
    char why[CACHE_PARK_WHY_SIZE];
    park->wake_ms = PARK_NEVER;
    park_tell_changed(park);
    for (struct cache_parked *p; (p = park_first_due(park, now)) != NULL;) {
        bool pauses = p->what == CACHE_PARKED_PAUSE;
        if (!pauses)
            park_overdue(p, why);
        park_go(p, pauses ? NULL : why);
    }
    park_set_timer(park);
}

/* ---- waiting ---- */

void cache_park_begin(struct cache_park *park, struct cache_parked *p, uint64_t timeout_ms,
                      void (*go)(struct cache_parked *p, const char *refused))
{
    bool given = timeout_ms > 0 && timeout_ms < park->options.timeout_ms;
    p->park = park;
    p->go = go;
    p->since_ms = park_now(park);
    p->deadline_ms = p->since_ms + (given ? timeout_ms : park->options.timeout_ms);
    p->answers = cache_park_load_stats(park).loads;
    p->lost = false;
}

bool cache_park_is_over(const struct cache_parked *p)
{
    return park_now(p->park) - p->since_ms >= p->park->options.timeout_ms;
}

/* False: it must not wait (any more). */
static bool park_may(struct cache_parked *p, enum cache_parked_for what,
                     char why[CACHE_PARK_WHY_SIZE])
{
    p->what = what;
    if (p->park->stopping)
        park_stopped(p->park, why);
    else if (park_now(p->park) >= p->deadline_ms)
        park_overdue(p, why);
    else
        return true;
    return false;
}

static void park_on_load(struct cache_load_wait *w, const char *refused)
{
    park_go((struct cache_parked *)w, refused);
}

static bool park_load(struct cache_parked *p, enum cache_parked_for what, struct cache_loads *loads,
                      struct slice key, char why[CACHE_PARK_WHY_SIZE])
{
    if (!park_may(p, what, why))
        return false;
    p->load.go = park_on_load;
    if (!cache_load_wait(loads, key, &p->load)) {
        snprintf(why, CACHE_PARK_WHY_SIZE,
                 "TRYAGAIN %s loads too many objects at a time, or has no memory for one more",
                 p->park->options.node->options.name);
        return false;
    }
    if (what == CACHE_PARKED_LOAD && p->park->options.node->member != NULL)
        p->cell = cache_member_cell(p->park->options.node->member, key);
    park_link(p, what);
    park_wake_at(p->park, p->deadline_ms);
    return true;
}

/*
 * What is to be an object of this node is newer than a copy from before, which must not be seen again when the object
 * has left memory, or the node has lost its lease.
 */
static void park_drop_copy(const struct cache_park *park, struct slice key)
{
    struct cache_reads *reads = park->options.node->reads;
    if (reads != NULL)
        cache_reads_drop(reads, key);
}

bool cache_park_load(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE])
{
    park_drop_copy(p->park, key);
    return park_load(p, CACHE_PARKED_LOAD, p->park->loads, key, why);
}

bool cache_park_copy(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE])
{
    return park_load(p, CACHE_PARKED_COPY, cache_park_copies(p->park), key, why);
}

bool cache_park_room(struct cache_parked *p, char why[CACHE_PARK_WHY_SIZE])
{
    if (!park_may(p, CACHE_PARKED_ROOM, why))
        return false;
    park_link(p, CACHE_PARKED_ROOM);
    park_wake_at(p->park, p->deadline_ms);
    return true;
}

bool cache_park_stored(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE])
{
    if (!park_may(p, CACHE_PARKED_STORED, why))
        return false;
    p->key = key;
    p->version = cache_db_dirty_version(p->park->options.node->db, key);
    p->stored = false;
    park_link(p, CACHE_PARKED_STORED);
    park_wake_at(p->park, p->deadline_ms);
    return true;
}

bool cache_park_cell(struct cache_parked *p, uint64_t cell, char why[CACHE_PARK_WHY_SIZE])
{
    if (!park_may(p, CACHE_PARKED_CELL, why))
        return false;
    p->cell = cell;
    park_link(p, CACHE_PARKED_CELL);
    park_wake_at(p->park, p->deadline_ms);
    return true;
}

bool cache_park_owner(struct cache_parked *p, struct slice key, char why[CACHE_PARK_WHY_SIZE])
{
    struct cache_member *member = p->park->options.node->member;
    if (!park_may(p, CACHE_PARKED_OWNER, why))
        return false;
    p->owner = (struct cache_member_owner){0};
    if (!cache_member_ask_owner(member, key, &p->owner.token)) {
        cache_park_refuse_ring(p->park, why);
        return false;
    }
    park_link(p, CACHE_PARKED_OWNER);
    park_wake_at(p->park, p->deadline_ms);
    return true;
}

bool cache_park_pause(struct cache_parked *p, uint64_t pause_ms, char why[CACHE_PARK_WHY_SIZE])
{
    uint64_t due = park_now(p->park) + pause_ms;
    if (!park_may(p, CACHE_PARKED_PAUSE, why))
        return false;
    p->due_ms = due < p->deadline_ms ? due : p->deadline_ms;
    park_link(p, CACHE_PARKED_PAUSE);
    park_wake_at(p->park, p->due_ms);
    return true;
}

/* ---- what they wait for ---- */

/* One whose time was over is not there any more. */
void cache_park_told_owner(struct cache_park *park, const struct cache_member_owner *owner)
{
    char why[CACHE_PARK_WHY_SIZE];
    struct cache_parked *p = park->lists[CACHE_PARKED_OWNER].first;
    while (p != NULL && p->owner.token != owner->token)
        p = p->next;
    if (p == NULL)
        return;
    p->owner = *owner;
    cache_turn_begin(&park->options.node->turn);
    if (!owner->known)
        cache_park_refuse_ring(park, why);
    park_go(p, owner->known ? NULL : why);
}

bool cache_park_has_room(const struct cache_park *park, bool takes, bool dirties)
{
    struct cache_db *db = park->options.node->db;
    return (!dirties || cache_db_dirtiness(db) != CACHE_DIRTY_TOO_MUCH) &&
           (!takes || cache_db_room(db) == CACHE_OK);
}

/* Each looks for itself, and what it does may take the room of the next; who finds none waits on, behind the others. */
static void park_tell_room(struct cache_park *park)
{
    for (size_t left = park->lists[CACHE_PARKED_ROOM].count;
         left > 0 && park->lists[CACHE_PARKED_ROOM].first != NULL &&
         cache_park_has_room(park, true, true);
         left--)
        park_go(park->lists[CACHE_PARKED_ROOM].first, NULL);
}

/* It is no longer to be stored, as it was when that began: it is, or it never will be. `dead`: the letter's key. */
static void park_tell_clean(struct cache_parked *p, const struct slice *dead)
{
    const struct cache_node *n = p->park->options.node;
    char why[CACHE_PARK_WHY_SIZE];
    if (dead != NULL)
        snprintf(why, sizeof why, "ERR the store of %s does not take this object: %s",
                 n->options.name, cache_behind_why(n->behind, *dead));
    park_go(p, dead != NULL ? why : NULL);
}

/* What has left with its cell is stored when its stray is: who waits for it waits for that one then. */
static void park_look_stored(struct cache_parked *p)
{
    const struct cache_node *n = p->park->options.node;
    const struct cache_object *stray =
        n->member != NULL ? cache_member_stray(n->member, p->key, p->version) : NULL;
    struct slice name = stray != NULL ? cache_object_key(stray) : p->key;
    if (stray != NULL ? stray->dead : cache_db_is_dead(n->db, name))
        park_tell_clean(p, &name);
    else if (stray == NULL && !cache_db_is_dirty(n->db, p->key))
        park_tell_clean(p, NULL);
}

static void park_tell_stored(struct cache_park *park)
{
    park->cursor = park->lists[CACHE_PARKED_STORED].first;
    for (struct cache_parked *p; (p = park->cursor) != NULL;) {
        park->cursor = p->next;
        if (p->stored)
            park_tell_clean(p, NULL);
        else
            park_look_stored(p);
    }
}

/* All that has changed by now is looked at once, for each looks at all who wait. */
static void park_tell_changed(struct cache_park *park)
{
    if (!park->changed)
        return;
    park->changed = false;
    cache_turn_begin(&park->options.node->turn);
    park_tell_stored(park);
}

/* Those that wait now; who looks again and waits on is behind them. */
static void park_tell_cells(struct cache_park *park)
{
    struct park_list *list = &park->lists[CACHE_PARKED_CELL];
    const struct cache_parked *last = list->last;
    bool end = last == NULL;
    park->cursor = list->first;
    for (struct cache_parked *p; !end && (p = park->cursor) != NULL;) {
        park->cursor = p->next;
        end = p == last;
        if (cache_member_is_settled(park->options.node->member, p->cell))
            park_go(p, NULL);
    }
    park->cursor = NULL;
}

void cache_park_turn(struct cache_park *park)
{
    struct cache_member *member = park->options.node->member;
    if (member != NULL && cache_member_take_look(member))
        park_tell_cells(park);
    park_tell_changed(park);
    if (park->lists[CACHE_PARKED_LOAD].first != NULL)
        cache_loads_turn(park->loads);
    if (park->lists[CACHE_PARKED_ROOM].first != NULL)
        park_tell_room(park);
    if (park->options.node->reads != NULL)
        cache_reads_turn(park->options.node->reads);
}

void cache_park_changed(void *ctx)
{
    struct cache_park *park = ctx;
    if (cache_park_count(park) == 0)
        return;
    cache_turn_begin(&park->options.node->turn);
    park_tell_room(park);
    if (park->lists[CACHE_PARKED_STORED].first == NULL)
        return;
    park->changed = true;
    park_wake_at(park,
                 park_now(park)); /* the turn's end may be far, where this comes from a timer */
}

/*
 * What is written all the time is never clean: who waits for it has waited for what it was, not for what others write
 * since.
 */
void cache_park_passed(void *ctx, struct slice key, uint64_t version)
{
    const struct cache_park *park = ctx;
    for (struct cache_parked *p = park->lists[CACHE_PARKED_STORED].first; p != NULL; p = p->next)
        p->stored = p->stored || (p->version <= version && slice_equal(p->key, key));
}

/* ---- life ---- */

void cache_park_ahead(struct cache_park *park, struct slice key)
{
    const struct cache_node *n = park->options.node;
    bool may =
        !cache_stray_may_be(key) && (n->member == NULL || cache_member_look_ahead(n->member, key));
    if (!may || cache_db_knows(n->db, key))
        return;
    park_drop_copy(park, key);
    cache_load_ahead(park->loads, key);
}

void cache_park_ahead_copy(struct cache_park *park, struct slice key)
{
    struct cache_reads *reads = park->options.node->reads;
    if (cache_stray_may_be(key) || cache_reads_owns(reads, key))
        cache_park_ahead(park, key);
    else
        cache_reads_ahead(reads, key);
}

struct cache_loads *cache_park_loads(const struct cache_park *park)
{
    return park->loads;
}

bool cache_park_is_stopping(const struct cache_park *park)
{
    return park->stopping;
}

void cache_park_stop(struct cache_park *park)
{
    char why[CACHE_PARK_WHY_SIZE];
    park->stopping = true;
    park_stopped(park, why);
    for (unsigned i = 0; i < CACHE_PARKED; i++)
        while (park->lists[i].first != NULL)
            park_go(park->lists[i].first, why);
}

static uint64_t park_claim(void *ctx, struct slice key)
{
    const struct cache_park *park = ctx;
    struct cache_member *member = park->options.node->member;
    return member != NULL ? cache_member_claim(member, key) : 1;
}

static void park_on_answer(void *ctx)
{
    struct cache_park *park = ctx;
    cache_turn_begin(&park->options.node->turn);
}

struct cache_park *cache_park_new(const struct cache_park_options *options)
{
    struct cache_park *park = calloc(1, sizeof *park);
    if (park == NULL)
        return NULL;
    struct cache_load_options loads = {.db = options->node->db,
                                       .backing = options->backing,
                                       .loop = options->node->loop,
                                       .hash_key = options->hash_key,
                                       .parallel = options->parallel,
                                       .timeout_ms = options->timeout_ms,
                                       .retry_max_ms = options->retry_max_ms,
                                       .who = options->node->options.name,
                                       .on_answer = park_on_answer,
                                       .claim = park_claim,
                                       .ctx = park};
    park->options = *options;
    park->wake_ms = PARK_NEVER;
    park->loads = cache_loads_new(&loads);
    if (park->loads == NULL) {
        free(park);
        return NULL;
    }
    park->timer.data = park;
    uv_timer_init(options->node->loop, &park->timer);
    return park;
}

static void park_on_close(uv_handle_t *handle)
{
    free(handle->data);
}

void cache_park_free(struct cache_park *park)
{
    if (park == NULL)
        return;
    for (unsigned i = 0; i < CACHE_PARKED; i++)
        while (park->lists[i].first != NULL)
            cache_park_leave(park->lists[i].first);
    cache_loads_free(park->loads);
    uv_close((uv_handle_t *)&park->timer, park_on_close);
}
