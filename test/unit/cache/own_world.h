/*
 * own_world.h: what random histories of a ring happen in: two nodes' cells, a store, and a Redis with its master.
 *
 * Included by one suite (test_cache_own_property.c), before own_node.h. Fakes of what the header of cache_own.h demands
 * of scripts and manager; `broken` takes one rule away. Time is in ticks that all clocks agree on.
 */
#ifndef TEST_UNIT_CACHE_OWN_WORLD_H
#define TEST_UNIT_CACHE_OWN_WORLD_H

#include "test/unit/cache/cache_property.h"
#include "workers/cache/ring/cache_own.h"

#define NODES 2
#define CELLS 3
#define SERVE 8  /* ticks that a lease lasts from the sending of its beat */
#define LOSE  12 /* until who does not beat is lost; and after a fail-over nothing is granted */
#define CALLS 512
#define LATES 16
#define INCS  512 /* of one history */

enum ask { CLAIM, HOLD, RELEASE };

struct call {
    enum ask ask;
    unsigned cell, session;
    uint32_t inc, number;
};

struct answer {
    enum cache_cell_event event;
    unsigned cell;
    uint32_t owner, number; /* number: of the claim */
};

struct cell {
    enum cache_cell_state state;
    uint32_t owner;  /* of THEIRS */
    uint32_t number; /* of the claim under which value was loaded; in the log, as value and dirty */
    long value;      /* -1: not in memory */
    long left;       /* what a log that has lost its end still has; -1: nothing */
    uint32_t left_number;
    unsigned left_run;
    unsigned parked, sent; /* commands that wait: a client's, another node's */
    bool dirty, loading;
    bool dead;  /* the store has not got it, and will not: others have gone on from what it has */
    bool later; /* AGAIN is to be told */
    bool sent_again; /* its owner has said that it is not */
    bool untold;     /* NEW_RUN is to be told */
};

struct node {
    struct cell cells[CELLS];
    uint32_t inc;
    unsigned run, session;
    unsigned log_run; /* in which all that the log has was confirmed, or is not there */
    long until;
    bool served, stalled, stopping;
    struct call calls[CALLS];
    struct answer answers[CALLS];
    size_t call_count, answer_count;
};

struct ring {
    uint32_t owner[CELLS]; /* 0: free */
    uint32_t number[CELLS];
    bool known[INCS], live[INCS];
    long beat[INCS];
};

enum broken {
    NOTHING,
    LEASE_NOT_ASKED,
    DIRTY_NOT_ASKED,
    PARKED_NOT_ASKED,
    LATE_CALLS_DONE,
    HELD_WITHOUT_LEASE,
    OURS_UNTIL_RELEASED,
    DROPPED_IS_READ,
    HELD_AT_ANY_TIME,
    GRANTED_AT_ONCE,
    LEASE_BEFORE_HELD,
    LOG_IS_SERVED,
    BROKEN_COUNT
};

static struct {
    enum broken broken;
    bool forgetful; /* who holds what Redis has forgotten may come too late: then reads are old */
    const char *found; /* what has gone wrong */
    struct node nodes[NODES];
    struct ring redis, replica;
    bool replicated;
    unsigned run, sessions, session_of[INCS];
    uint32_t seq, numbers;
    long now, closed_until;
    struct call late[LATES];
    size_t late_count;
    long store[CELLS], truth[CELLS];
} w;

static unsigned long events_seen[CACHE_CELL_EVENT_COUNT];
static unsigned long actions_seen[CACHE_CELL_ACTION_COUNT];
static unsigned long runs;

static void found(const char *what)
{
    if (w.found == NULL)
        w.found = what;
}

static bool serves(const struct node *n)
{
    return w.now < n->until;
}

static bool is_closed(void)
{
    return w.now < w.closed_until && w.broken != GRANTED_AT_ONCE;
}

static bool is_held(const struct cell *c)
{
    return c->state == CACHE_CELL_OURS || c->state == CACHE_CELL_HELD;
}

static struct node *node_of(uint32_t inc)
{
    for (unsigned i = 0; i < NODES; i++)
        if (w.nodes[i].inc == inc)
            return &w.nodes[i];
    return NULL;
}

/* ---- Redis ---- */

static enum cache_cell_event claim(struct call c, struct answer *answer)
{
    uint32_t *owner = &w.redis.owner[c.cell];
    if (is_closed())
        return CACHE_ON_SAID_LATER;
    if (!w.redis.live[c.inc] || cache_random(10) == 0)
        return CACHE_ON_REFUSED;
    if (*owner == 0) {
        *owner = c.inc;
        w.redis.number[c.cell] = ++w.numbers;
    }
    answer->owner = *owner;
    answer->number = w.redis.number[c.cell];
    if (*owner == c.inc)
        return CACHE_ON_GRANTED; /* or SAID_OURS: its node will see */
    return w.redis.live[*owner] ? CACHE_ON_SAID_THEIRS : CACHE_ON_SAID_LOST;
}

static enum cache_cell_event hold(struct call c)
{
    if (!is_closed() && w.broken != HELD_AT_ANY_TIME)
        return CACHE_ON_REFUSED;
    if (cache_random(10) == 0)
        return CACHE_ON_SAID_LATER;
    w.redis.known[c.inc] = w.redis.live[c.inc] = true;
    w.redis.beat[c.inc] = w.now;
    w.redis.owner[c.cell] = c.inc;
    w.redis.number[c.cell] = c.number;
    return CACHE_ON_SAID_OURS;
}

static enum cache_cell_event release(unsigned at, uint32_t inc)
{
    if (is_closed())
        return CACHE_ON_SAID_LATER;
    if (w.redis.owner[at] == inc)
        w.redis.owner[at] = 0;
    return CACHE_ON_RELEASED;
}

/* False: of an earlier connection. */
static bool redis_do(struct call c, struct answer *answer)
{
    if (w.session_of[c.inc] != c.session && w.broken != LATE_CALLS_DONE)
        return false;
    *answer = (struct answer){.cell = c.cell};
    answer->event = c.ask == CLAIM  ? claim(c, answer)
                    : c.ask == HOLD ? hold(c)
                                    : release(c.cell, c.inc);
    return true;
}

static void forget(uint32_t inc)
{
    w.redis.known[inc] = w.redis.live[inc] = false;
    for (unsigned at = 0; at < CELLS; at++)
        if (w.redis.owner[at] == inc)
            w.redis.owner[at] = 0;
}

static void master(void)
{
    for (uint32_t inc = 1; inc <= w.seq && !is_closed(); inc++)
        if (w.redis.live[inc] && w.now - w.redis.beat[inc] >= LOSE)
            w.redis.live[inc] = false;
}

/* `cache forget`: what a lost node had not stored is lost on purpose. */
static void forget_lost(void)
{
    for (uint32_t inc = 1; inc <= w.seq && !is_closed(); inc++) {
        struct node *n = node_of(inc);
        if (!w.redis.known[inc] || w.redis.live[inc])
            continue;
        for (unsigned at = 0; at < CELLS; at++) {
            if (w.redis.owner[at] == inc)
                w.truth[at] = w.store[at];
            if (n != NULL)
                n->cells[at].dead = n->cells[at].dirty;
        }
        forget(inc);
    }
}

#endif
