/*
 * own_node.h: what a node and its manager do in random histories of a ring: all by the table (cache_own.h).
 *
 * Included by one suite (test_cache_own_property.c).
 */
#ifndef TEST_UNIT_CACHE_OWN_NODE_H
#define TEST_UNIT_CACHE_OWN_NODE_H

#include "test/unit/cache/own_world.h"

/* ---- what a node does ---- */

static enum cache_cell_action command(struct node *n, unsigned at, enum cache_cell_event event);

static void call(struct node *n, enum ask ask, unsigned at)
{
    MUST(n->call_count < CALLS);
    n->calls[n->call_count++] = (struct call){ask, at, n->session, n->inc, n->cells[at].number};
}

static void look(struct node *n, unsigned at)
{
    struct cell *c = &n->cells[at];
    unsigned parked = c->parked, sent = c->sent;
    c->parked = c->sent = 0;
    for (unsigned i = 0; i < parked; i++)
        command(n, at, CACHE_ON_COMMAND);
    for (unsigned i = 0; i < sent; i++)
        command(n, at, CACHE_ON_SENT);
}

static void put(struct cell *c, unsigned at)
{
    if (c->dirty)
        w.store[at] = c->value;
    c->dirty = false;
}

static void drop(struct node *n, unsigned at)
{
    struct cell *c = &n->cells[at];
    if (!c->dead)
        put(c, at);
    c->dirty = c->dead = c->loading = false;
    if (w.broken != DROPPED_IS_READ)
        c->value = -1;
    look(n, at);
}

static void give_up(struct node *n, unsigned at, enum cache_cell_state was)
{
    struct cell *c = &n->cells[at];
    if (c->dirty)
        found("given up dirty");
    if (was == CACHE_CELL_OURS && (c->parked > 0 || c->sent > 0))
        found("given up while a command waits");
    if (c->value >= 0) {
        c->left = c->value;
        c->left_number = c->number;
        c->left_run = n->log_run;
    }
    c->value = -1;
    c->loading = false;
    call(n, RELEASE, at);
}

static void act(struct node *n, unsigned at, enum cache_cell_action action,
                enum cache_cell_state was)
{
    struct cell *c = &n->cells[at];
    switch (action) {
    case CACHE_DO_ASK:
        call(n, CLAIM, at);
        break;
    case CACHE_DO_ASK_LATER:
        c->later = true;
        break;
    case CACHE_DO_REFUSE:
        c->parked = c->sent = 0;
        break;
    case CACHE_DO_LOOK:
        look(n, at);
        break;
    case CACHE_DO_STORE:
        put(c, at);
        break;
    case CACHE_DO_RELEASE:
        give_up(n, at, was);
        break;
    case CACHE_DO_HOLD:
        call(n, HOLD, at);
        break;
    case CACHE_DO_DROP:
        drop(n, at);
        break;
    default: /* NONE; WAIT, RUN and FORWARD are a command's */
        break;
    }
}

static struct cache_own_facts facts_of(const struct node *n, unsigned at,
                                       enum cache_cell_event event)
{
    const struct cell *c = &n->cells[at];
    struct cache_own_facts facts = {serves(n), c->parked > 0 || c->sent > 0, c->dirty};
    if (w.broken == LEASE_NOT_ASKED)
        facts.serves = true;
    if (w.broken == DIRTY_NOT_ASKED)
        facts.dirty = false;
    if (w.broken == PARKED_NOT_ASKED)
        facts.parked = false;
    if (w.broken == HELD_WITHOUT_LEASE && event == CACHE_ON_NEW_RUN)
        facts.serves = true;
    return facts;
}

static enum cache_cell_action move(struct node *n, unsigned at, enum cache_cell_event event)
{
    struct cell *c = &n->cells[at];
    struct cache_own_move m = cache_own(c->state, event, facts_of(n, at, event));
    events_seen[event]++;
    actions_seen[m.action]++;
    c->state = m.state;
    if (w.broken == OURS_UNTIL_RELEASED && c->state == CACHE_CELL_LEAVING)
        c->state = CACHE_CELL_OURS;
    return m.action;
}

static void tell(struct node *n, unsigned at, enum cache_cell_event event)
{
    enum cache_cell_state was = n->cells[at].state;
    act(n, at, move(n, at, event), was);
}

static void tell_all(struct node *n, enum cache_cell_event event)
{
    for (unsigned at = 0; at < CELLS; at++)
        tell(n, at, event);
}

/* ---- commands ---- */

/* An INCR. It waits for its object first, as any command whose key only the store knows. */
static void run(struct node *n, unsigned at, bool sent)
{
    struct cell *c = &n->cells[at];
    if (c->value < 0) {
        c->loading = true;
        *(sent ? &c->sent : &c->parked) += 1;
        return;
    }
    if (!serves(n))
        found("run without a lease");
    if (++c->value != w.truth[at] + 1 && !w.forgetful)
        found("an INCR that does not see the one before it");
    c->dirty = true;
    w.truth[at] = c->value;
    runs++;
}

static void forward(struct node *n, unsigned at)
{
    struct cell *c = &n->cells[at];
    struct node *owner = node_of(c->owner);
    enum cache_cell_event event = c->sent_again ? CACHE_ON_SENT_AGAIN : CACHE_ON_SENT;
    if (owner == NULL || owner == n || owner->stalled || cache_random(8) == 0)
        return; /* its time is over before anybody answers */
    c->sent_again = false;
    if (!owner->stopping && command(owner, at, event) != CACHE_DO_REFUSE)
        return;
    bool same = c->state == CACHE_CELL_THEIRS && c->owner == owner->inc;
    if (command(n, at, same ? CACHE_ON_MOVED : CACHE_ON_COMMAND) == CACHE_DO_ASK)
        c->sent_again = true;
}

static enum cache_cell_action command(struct node *n, unsigned at, enum cache_cell_event event)
{
    struct cell *c = &n->cells[at];
    bool sent = event == CACHE_ON_SENT || event == CACHE_ON_SENT_AGAIN;
    enum cache_cell_action action = move(n, at, event);
    if (action == CACHE_DO_ASK)
        call(n, CLAIM, at);
    if (action == CACHE_DO_ASK || action == CACHE_DO_WAIT)
        *(sent ? &c->sent : &c->parked) += 1;
    else if (action == CACHE_DO_RUN)
        run(n, at, sent);
    else if (action == CACHE_DO_FORWARD)
        forward(n, at);
    return action;
}

/* ---- manager and node ---- */

static void connect(struct node *n)
{
    n->call_count = n->answer_count = 0;
    n->session = ++w.sessions;
    w.session_of[n->inc] = n->session;
    for (unsigned at = 0; at < CELLS; at++)
        n->cells[at].later = false;
}

static void join(struct node *n)
{
    n->inc = ++w.seq;
    MUST(n->inc < INCS);
    n->until = 0;
    n->run = n->log_run = w.run;
    w.redis.known[n->inc] = w.redis.live[n->inc] = true;
    w.redis.beat[n->inc] = w.now;
    connect(n);
}

static void outlive(struct node *n)
{
    uint32_t old = n->inc;
    join(n);
    for (unsigned at = 0; at < CELLS; at++) {
        n->cells[at].untold = false;
        tell(n, at, CACHE_ON_OUTLIVED);
    }
    if (!is_closed())
        forget(old);
}

static bool in_new_run(const struct node *n)
{
    for (unsigned at = 0; at < CELLS; at++)
        if (n->cells[at].untold || n->cells[at].state == CACHE_CELL_HELD)
            return true;
    return false;
}

/* What it confirms was sent some time ago. */
static void beat(struct node *n)
{
    if (n->run != w.run) {
        n->run = w.run;
        connect(n);
        for (unsigned at = 0; at < CELLS; at++)
            n->cells[at].untold = true;
    } else if (!w.redis.live[n->inc] && !(in_new_run(n) && is_closed())) {
        outlive(n);
    } else if (!in_new_run(n) || w.broken == LEASE_BEFORE_HELD) {
        n->log_run = n->run;
        long sent = w.now - (long)cache_random(3);
        w.redis.beat[n->inc] = w.redis.beat[n->inc] > sent ? w.redis.beat[n->inc] : sent;
        n->until = n->until > sent + SERVE ? n->until : sent + SERVE;
    }
}

/* Its manager died, or the connection broke: what was sent may come late, what was answered does not. */
static void cut(struct node *n)
{
    for (size_t i = 0; i < n->call_count && w.late_count < LATES; i++)
        if (cache_random(2) == 0)
            w.late[w.late_count++] = n->calls[i];
    connect(n);
    tell_all(n, CACHE_ON_AGAIN);
}

static void late(void)
{
    struct answer unheard;
    if (w.late_count == 0)
        return;
    size_t at = cache_random((uint32_t)w.late_count);
    struct call c = w.late[at];
    w.late[at] = w.late[--w.late_count];
    redis_do(c, &unheard);
}

static void hear(struct node *n, struct answer answer)
{
    struct cell *c = &n->cells[answer.cell];
    if (answer.event == CACHE_ON_SAID_THEIRS)
        c->owner = answer.owner;
    if (answer.event == CACHE_ON_GRANTED &&
        (answer.number == c->number || w.broken == LOG_IS_SERVED))
        answer.event = CACHE_ON_SAID_OURS;
    if (answer.event == CACHE_ON_GRANTED)
        c->number = answer.number;
    tell(n, answer.cell, answer.event);
}

static void deliver(struct node *n)
{
    struct answer answer;
    if (n->call_count > 0 && cache_random(2) == 0) {
        struct call c = n->calls[0];
        memmove(n->calls, n->calls + 1, --n->call_count * sizeof c);
        if (redis_do(c, &answer))
            n->answers[n->answer_count++] = answer;
    } else if (n->answer_count > 0) {
        answer = n->answers[0];
        memmove(n->answers, n->answers + 1, --n->answer_count * sizeof answer);
        hear(n, answer);
    }
}

/* All that was held, and Redis has forgotten, is claimed again: else something acknowledged is not seen. */
static bool may_open(void)
{
    for (unsigned i = 0; i < NODES; i++)
        for (unsigned at = 0; at < CELLS; at++) {
            const struct node *n = &w.nodes[i];
            const struct cell *c = &n->cells[at];
            bool told = n->run == w.run && !c->untold && c->state != CACHE_CELL_HELD;
            if ((is_held(c) || c->dirty) && !told && w.redis.owner[at] != n->inc)
                return false;
        }
    return true;
}

static void fail_over(void)
{
    if (!w.replicated || is_closed())
        return;
    w.redis = w.replica;
    w.replicated = false;
    w.run++;
    w.closed_until = w.now + LOSE;
    w.late_count = 0;
    for (uint32_t inc = 1; inc <= w.seq; inc++)
        w.redis.beat[inc] = w.now;
    for (unsigned i = 0; i < NODES; i++)
        w.nodes[i].call_count = w.nodes[i].answer_count = 0;
}

/* Its process was killed, or its host: then the log has lost its end, and has what had left memory. */
static void restart(struct node *n, bool host)
{
    for (unsigned at = 0; at < CELLS; at++) {
        struct cell *c = &n->cells[at], had = *c;
        *c = (struct cell){.value = had.value, .number = had.number, .left = -1};
        c->dirty = had.dirty;
        c->dead = had.dead;
        if (host && had.value < 0 && had.left >= 0) {
            c->value = had.left;
            c->number = had.left_number;
            n->log_run = had.left_run < n->log_run ? had.left_run : n->log_run;
        }
    }
    n->until = 0;
    connect(n);
    n->run = w.run;
    if (n->log_run != w.run)
        tell_all(n, CACHE_ON_NEW_RUN);
    n->log_run = w.run;
}

#endif
