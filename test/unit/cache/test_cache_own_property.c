/*
 * test_cache_own_property.c: random histories of two nodes, a Redis and a store, all of them fakes but for the table
 * (workers/cache/ring/cache_own.h): never do two nodes run commands of one cell at the same time, never is given up
 * what is dirty or waited for, and each INCR sees the one before it. A history in which one rule is missing must be
 * found out.
 *
 * Time is in ticks that all clocks agree on: how far they may differ is the lease's business (test_cache_lease.c). What
 * the header of cache_own.h says that caller and scripts warrant is what this caller and this Redis do.
 */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/ring/cache_own.h"

#define NODES     2
#define CELLS     3
#define SERVE     8  /* ticks that a lease lasts from the sending of its beat */
#define LOSE      12 /* until who does not beat is lost; and after a fail-over nothing is granted */
#define CALLS     512
#define LATES     16
#define INCS      512 /* of one history */
#define STEPS     3000
#define HISTORIES 1500

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

static struct node *node_of(uint32_t inc)
{
    for (unsigned i = 0; i < NODES; i++)
        if (w.nodes[i].inc == inc)
            return &w.nodes[i];
    return NULL;
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
