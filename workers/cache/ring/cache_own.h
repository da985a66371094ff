/*
 * cache_own.h: whose a cell is, as one node sees it, and what becomes of a command that needs it: one table.
 *
 * Runs in a cache node of a ring. Pure: it keeps nothing, sends nothing, knows no time; the caller keeps the state
 * (cache_cells.h), tells what happened, and does what is asked. Redis says whose a cell is; this never says "ours"
 * before Redis has, and not after it may have said so to another.
 *
 * Two rules stand above the table, on what is to be done, so that no line of it can break them:
 *   nothing runs, and nothing is given up, without a lease (cache_lease_serves);
 *   nothing is given up that is dirty, or that a command waits for here.
 * A third: in Redis' new run a node claims again what it held only if its lease runs. Redis may have forgotten that
 * others took over; but whoever has a lease has not been lost. Without one all of it leaves memory, and is claimed as
 * if it had never been here.
 *
 * What the log had of a cell when the node started is in memory, though nobody has said yet whose the cell is. It is
 * served if the cell was never anybody else's since (SAID_OURS); in all other cases it is dropped.
 *
 * What the caller and the scripts warrant:
 *   - Claims and releases are answered in the order in which they were made, each once. What was asked in another
 *     incarnation, before the manager came back, or before a new run, is not told when that has been told.
 *   - A call of an earlier connection of the manager is refused by Redis, however late it arrives: RELEASED means that
 *     no release of this cell is under way any more.
 *   - A claim again (HOLD) is taken only while nothing is granted to others: REFUSED when it comes later.
 *   - After NEW_RUN no lease is taken (cache_lease_take) until all that was held is confirmed or dropped: else, in one
 *     more new run, a lease would not mean that nobody has taken over since.
 *   - A node that starts in another run than its log's, or as another incarnation, tells that first, of all cells.
 *     A log's run is one in which all that it has was granted or confirmed: a record in its order, as a log may lose
 *     its end, and have again what had left memory.
 */
#ifndef WORKERS_CACHE_OWN_H
#define WORKERS_CACHE_OWN_H

#include <stdbool.h>

/* clang-format off */

/* X(NAME, what it means): of one cell, in one node. */
#define CACHE_CELL_STATES(X) \
    X(UNKNOWN, "nobody has said whose it is") \
    X(ASKED, "claimed; the answer is to come, or it is to be claimed once more") \
    X(OURS, "Redis has said that it is this incarnation's") \
    X(HELD, "ours in Redis' former run, and claimed again in this one; not confirmed") \
    X(LEAVING, "given up and out of memory; Redis has not confirmed it") \
    X(THEIRS, "another incarnation's") \
    X(LOST, "of a node that is lost, and not free")

/* X(NAME, what has happened). */
#define CACHE_CELL_EVENTS(X) \
    X(COMMAND, "a command of a client of this node needs it") \
    X(SENT, "a command needs it that another node has sent, which took it for ours") \
    X(SENT_AGAIN, "so too, and since we said it is not, Redis has said to that node that it is") \
    X(RECLAIM, "the node has started, and its log had something of it") \
    X(SAID_OURS, "its claim's answer: ours, by the very claim under which all that is in memory of it was loaded") \
    X(GRANTED, "its claim's answer: ours, by another claim than that: what is in memory is of an earlier time") \
    X(SAID_THEIRS, "its claim's answer: another incarnation's") \
    X(SAID_LOST, "its claim's answer: of a lost node") \
    X(SAID_LATER, "its claim's or release's answer: not now; how long is told with it") \
    X(REFUSED, "no claim was made: too many wait, Redis is away; or a claim again came too late") \
    X(AGAIN, "that time is over; or the manager is back, and what was asked before is not answered") \
    X(MOVED, "whom we took for its owner, and still do, says that it is not") \
    X(OWNER_GONE, "the ring's nodes changed: its owner is not among the live, or, lost, may be back") \
    X(LEASE_OVER, "this node's lease is over") \
    X(LEASE_BACK, "it has one again") \
    X(IDLE, "not used for long") \
    X(ELSEWHERE, "its last commands all came from one other node") \
    X(RELEASED, "its release's answer: it is free, or another's") \
    X(NEW_RUN, "Redis began anew, or is another: it may have forgotten its last moments") \
    X(OUTLIVED, "this node was told to be lost, and goes on as another incarnation") \
    X(STOP, "the node stops: it stores and gives up all that it has, the log's too; to be told until it has")

/*
 * X(NAME, what the caller does). But for RUN and LOOK nothing of the cell may be loaded or read; "looks again": COMMAND
 * (or SENT) is told for it anew.
 */
#define CACHE_CELL_ACTIONS(X) \
    X(NONE, "nothing") \
    X(RUN, "the command is run, here and now; what it needs is loaded") \
    X(WAIT, "the command is parked until LOOK, or until its time is over") \
    X(ASK, "the cell is claimed; a command that needs it is parked") \
    X(ASK_LATER, "AGAIN is told after the time that the answer told; who waits goes on waiting") \
    X(FORWARD, "the command goes to the owner") \
    X(REFUSE, "the command, or all that wait for the cell, are refused: TRYAGAIN; they have not run") \
    X(LOOK, "all that wait for the cell look again") \
    X(STORE, "what is dirty of it is stored now; the event is told once more when it is") \
    X(RELEASE, "what is in memory of it leaves, then the cell is released") \
    X(HOLD, "the cell is claimed again, as held") \
    X(DROP, "what is in memory of it is not read any more: it leaves, what is dirty is put as it is (the store takes " \
            "no older version); who waits looks again")
/* clang-format on */

enum cache_cell_state {
#define X(NAME, doc) CACHE_CELL_##NAME,
    CACHE_CELL_STATES(X)
#undef X
        CACHE_CELL_STATE_COUNT
};

enum cache_cell_event {
#define X(NAME, doc) CACHE_ON_##NAME,
    CACHE_CELL_EVENTS(X)
#undef X
        CACHE_CELL_EVENT_COUNT
};

enum cache_cell_action {
#define X(NAME, doc) CACHE_DO_##NAME,
    CACHE_CELL_ACTIONS(X)
#undef X
        CACHE_CELL_ACTION_COUNT
};

/*
 * How things are with this node, and with this cell in it, at the moment of the event. Dirty: something in it is not in
 * the store as it is here, or under way there; a dead letter too, but when the node stops: it stays in the log then.
 */
struct cache_own_facts {
    bool serves; /* cache_lease_serves, by a clock read now */
    bool parked; /* a command waits for the cell, or for something in it */
    bool dirty;
};

struct cache_own_move {
    enum cache_cell_state state; /* from now on */
    enum cache_cell_action action;
};

/* What an event makes of a cell. Total: what cannot come changes nothing. */
struct cache_own_move cache_own(enum cache_cell_state state, enum cache_cell_event event,
                                struct cache_own_facts facts);

/* "OURS": for `platoonctl cache owner`, and for tests. */
const char *cache_cell_state_name(enum cache_cell_state state);
const char *cache_cell_event_name(enum cache_cell_event event);
const char *cache_cell_action_name(enum cache_cell_action action);

#endif
