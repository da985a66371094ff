/*
 * test_cache_own_property.c: random histories of two nodes, a Redis and a store, all of them fakes but for the table
 * (workers/cache/ring/cache_own.h): never do two nodes run commands of one cell at the same time, never is given up
 * what is dirty or waited for, and each INCR sees the one before it. A history in which one rule is missing must be
 * found out.
 *
 * Time is in ticks that all clocks agree on: how far they may differ is the lease's business (test_cache_lease.c). What
 * the header of cache_own.h says that caller and scripts warrant is what this caller and this Redis do.
 */
#include "test/unit/cache/own_node.h"

#define STEPS     3000
#define HISTORIES 1500

/* ---- steps ---- */

static void step_time(void)
{
    w.now++;
    if (w.now == w.closed_until && !w.forgetful && !may_open())
        w.closed_until++;
}

static void step_stop(struct node *n)
{
    n->stopping = true;
    tell_all(n, CACHE_ON_STOP);
    for (unsigned at = 0; at < CELLS; at++) {
        enum cache_cell_state s = n->cells[at].state;
        if (s != CACHE_CELL_UNKNOWN && s != CACHE_CELL_THEIRS && s != CACHE_CELL_LOST)
            return;
    }
    if (is_closed() || n->run != w.run)
        return;
    forget(n->inc);
    join(n);
    tell_all(n, CACHE_ON_OUTLIVED);
    n->stopping = false;
}

static void step_lease(struct node *n)
{
    if (serves(n) == n->served)
        return;
    n->served = serves(n);
    tell_all(n, n->served ? CACHE_ON_LEASE_BACK : CACHE_ON_LEASE_OVER);
}

static void step_load(struct node *n, unsigned at)
{
    struct cell *c = &n->cells[at];
    if (!c->loading)
        return;
    c->loading = false;
    c->value = w.store[at];
    look(n, at);
}

static void step_told(struct node *n, unsigned at)
{
    struct cell *c = &n->cells[at];
    if (c->untold) {
        c->untold = false;
        tell(n, at, CACHE_ON_NEW_RUN);
    } else if (c->later) {
        c->later = false;
        tell(n, at, CACHE_ON_AGAIN);
    } else if (c->state == CACHE_CELL_UNKNOWN && c->value >= 0) {
        tell(n, at, CACHE_ON_RECLAIM);
    } else if (c->state == CACHE_CELL_LOST || !w.redis.live[c->owner]) {
        tell(n, at, CACHE_ON_OWNER_GONE);
    }
}

static void step_of_cell(struct node *n, unsigned at)
{
    struct cell *c = &n->cells[at];
    uint32_t r = cache_random(20);
    if (r < 8 && !n->stopping && c->parked < 4)
        command(n, at, CACHE_ON_COMMAND);
    else if (r < 11)
        step_told(n, at);
    else if (r < 14)
        step_load(n, at);
    else if (r < 16 && serves(n) && c->state == CACHE_CELL_OURS)
        put(c, at);
    else if (r == 16)
        tell(n, at, cache_random(2) == 0 ? CACHE_ON_IDLE : CACHE_ON_ELSEWHERE);
    else if (r == 17)
        c->parked = c->sent = 0; /* their time is over */
}

static void step_of_node(struct node *n)
{
    uint32_t r = cache_random(100);
    if (r < 2)
        n->stalled = cache_random(4) == 0;
    else if (r < 3)
        cut(n);
    else if (r == 3 && cache_random(4) == 0)
        restart(n, cache_random(2) == 0);
    else if (n->stopping ? r < 20 : r == 4)
        step_stop(n);
    else if (r < 60 && !n->stalled)
        deliver(n);
    else if (r < 80 && !n->stalled)
        beat(n);
    else
        step_lease(n);
}

static void step_of_all(void)
{
    switch (cache_random(40)) {
    case 0:
        w.replica = w.redis;
        w.replicated = true;
        break;
    case 1:
        if (cache_random(3) == 0)
            fail_over();
        break;
    case 2:
        if (cache_random(4) == 0)
            forget_lost();
        break;
    case 3:
    case 4:
        late();
        break;
    default:
        master();
    }
}

static void check(void)
{
    for (unsigned at = 0; at < CELLS; at++) {
        unsigned owners = 0;
        for (unsigned i = 0; i < NODES; i++) {
            const struct cell *c = &w.nodes[i].cells[at];
            owners += c->state == CACHE_CELL_OURS && serves(&w.nodes[i]);
            bool of_log = c->state == CACHE_CELL_UNKNOWN || c->state == CACHE_CELL_ASKED;
            if (c->value >= 0 && !is_held(c) && !of_log && w.broken != DROPPED_IS_READ)
                found("in memory, and not ours");
        }
        if (owners > 1)
            found("two nodes that would run a command of one cell");
    }
}

static const char *history(enum broken broken, bool forgetful)
{
    memset(&w, 0, sizeof w);
    w.broken = broken;
    w.forgetful = forgetful;
    w.now = 100;
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned at = 0; at < CELLS; at++)
            w.nodes[i].cells[at].value = w.nodes[i].cells[at].left = -1;
        join(&w.nodes[i]);
    }
    for (unsigned i = 0; i < STEPS && w.found == NULL && w.seq < INCS - NODES; i++) {
        struct node *n = &w.nodes[cache_random(NODES)];
        uint32_t r = cache_random(10);
        if (r < 1)
            step_time();
        else if (r < 6)
            step_of_cell(n, cache_random(CELLS));
        else if (r < 9)
            step_of_node(n);
        else
            step_of_all();
        check();
    }
    return w.found;
}

START_TEST(no_two_nodes_ever_own_a_cell)
{
    for (unsigned i = 0; i < HISTORIES; i++)
        ck_assert_msg(history(NOTHING, false) == NULL, "history %u: %s", i, w.found);
    for (unsigned i = 0; i < CACHE_CELL_ACTION_COUNT; i++)
        ck_assert_msg(actions_seen[i] > 0, "never %s",
                      cache_cell_action_name((enum cache_cell_action)i));
    for (unsigned i = 0; i < CACHE_CELL_EVENT_COUNT; i++)
        ck_assert_msg(events_seen[i] > 0, "never %s",
                      cache_cell_event_name((enum cache_cell_event)i));
    ck_assert_uint_gt(runs, HISTORIES * 100);
}
END_TEST

/* Though acknowledged INCRs are not seen then, there are never two owners. */
START_TEST(nor_when_redis_forgets_who_owned_it)
{
    for (unsigned i = 0; i < HISTORIES; i++)
        ck_assert_msg(history(NOTHING, true) == NULL, "history %u: %s", i, w.found);
}
END_TEST

/* Or these histories would not show it if the table did it. */
START_TEST(a_rule_that_is_missing_is_found_out)
{
    for (unsigned b = NOTHING + 1; b < BROKEN_COUNT; b++) {
        bool is_found = false;
        for (unsigned i = 0; i < 10 * HISTORIES && !is_found; i++)
            is_found = history((enum broken)b, b == LEASE_BEFORE_HELD) != NULL;
        ck_assert_msg(is_found, "rule %u", b);
    }
}
END_TEST

SUITE_MAIN("cache_own_property", no_two_nodes_ever_own_a_cell, nor_when_redis_forgets_who_owned_it,
           a_rule_that_is_missing_is_found_out)
