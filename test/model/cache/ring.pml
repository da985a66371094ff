/*
 * ring.pml: the cache ring's protocol as a model for spin; `make check-model-cache` checks it (test/model/cache/check-model).
 *
 * In words. Objects are kept in cells; a cell has one owner, a node, and Redis says which. A node CLAIMS a free cell, LOADS its object from the
 * store, and then answers commands from memory, as long as its lease runs: 0.8 lease from the sending of the last beat that Redis confirmed. It
 * looks at the lease before a command and once more before the acknowledgement leaves. What it writes goes into its log first, with
 * copies = 2 also into Redis, and later to the store, which takes a higher version only. A cell that is given up is stored, then forgotten in
 * the log, which is synced, then RELEASED. A node whose beat has not moved for 1.2 lease is LOST: its cells are refused to all until it JOINS
 * again with its log; or, copies = 2, until the copies are stored and the cells free; or until somebody FORGETS it. After a fail-over of Redis
 * the ring is CLOSED for 1.2 lease: nothing is granted, and holders claim again.
 *
 * Each INCR is a bit of `ops`: an object is the set of the INCRs in it, and an INCR's number is how many these are. What must hold:
 *   current    what is acknowledged saw all that was acknowledged before it came (strong reads and writes are linearizable)
 *   once       no number is acknowledged twice
 *   kept       what is acknowledged is in the store, in a log as dirty, in a copy, or a dead letter (in every state)
 *   taken      what is acknowledged is no dead letter
 * With -DWEAK only `kept`: somebody forgot a node that had not stored all, or a holder did not claim again while the ring was closed.
 *
 * Where a step will be in the code (issue 13; proto/cache's scripts, the manager, the node):
 *   tick, "beat"        the manager's beat; its answer to the nodes; what a node thinks of its lease
 *   join, take_joined   the manager's start and reconnection; what the node makes of the answer, after its log was replayed
 *   fetch               RING_FETCH: a process that has just begun asks for its copies
 *   gone                RING_DROP: a copy of what the store has is taken away, and that is confirmed
 *   sync, drop          the node's log; a crash of the host leaves of it what was synced
 *   claim, load         claim script; the node's load
 *   execute, acknowledge  a turn of the node, and its end
 *   put, stored         the backing worker; what the node makes of its answer
 *   release             release script, node
 *   master              lost, store of the copies, cells_free (also `cache forget`, when_lost = backing)
 *   claim_again, open   manager and master, when run_id is another
 *
 * The scripts. All calls have the incarnation and the session (the number of its last join); a call of another session is refused.
 *   join(inc)               unless closed: state = LIVE, beat++, session++; answers the session, run_id, seq, the incarnation (another, when it
 *                           was FORGOTTEN)
 *   beat(inc)               if LIVE and claimed again since the fail-over: beat++; else "join"
 *   claim(inc, cell)        unless closed, if LIVE: free -> owner = inc, number = ++seq; its own already -> the same number; answers it, and TIME
 *   release(inc, cell, number)  if owner and number are these: free
 *   copy(inc, cell, version, bytes)  if LIVE
 *   lost(inc, beat seen)    unless closed, if LIVE and the beat is still that one: LOST, loss++; answers loss
 *   free(inc, loss)         unless closed, if still LOST with that loss: cells free, copies deleted, incarnation forgotten (also `forget`)
 *   again(inc, cells with numbers, copies)  only while closed: LIVE; a cell goes to the higher number, seq is at least that
 *   open(run_id)            by who has waited 1.2 lease since Redis first answered with this run_id: closed ends
 * What the node adds. What the log has of a cell is of the claim that Redis still knows, because nothing is released before the log has forgotten
 * it. So a claim's answer "yours" with a number that was given before the last join is served from the log; with a later one the cell is loaded.
 * After a join as another incarnation, or in another run of Redis (unless the lease still runs: then what is held goes on), nothing of the log is
 * served: what is clean is dropped, what is dirty is a STRAY, and that is synced before the node says anywhere which incarnation and run it is
 * of. Copies = 2: a process that goes on as who it was asks for its copies before it claims anything; one that is newer than what the log has, as
 * after a crash of the host, is a stray. A copy of what is stored is dropped when that is synced, and a cell is released when the drops of its
 * copies are confirmed: else a later loss would have an old copy stored when the store knows of no newer version any more (a tombstone is ERASED).
 * A stray is put only under a claim of its cell, and before the cell is loaded: the higher version stays, the other is a dead letter. A
 * version is never ahead of Redis' clock by more than the lease runs: the clock of versions stands still when the lease is over. An `again`
 * gives back the lease only to a node whose lease still runs; others join after open.
 *
 * Left out. Who is master: lost, free and open compare what their caller saw, so two masters do no harm. A request is done when it is sent
 * and only its answer, a PUT or a release may come late. One object a cell; a forwarded command is a client's. Beats are one step a tick while
 * nothing is wrong; a manager that is stopped or cut off (STALLS) has none, and its last answer may come late. Taken for granted: an old
 * primary confirms nothing any more once the new one answers; Redis' clock does not go back by more than 1.2 lease at a
 * fail-over; no version is ahead of Redis' clock but by "more than the object's last"; an acknowledgement is synced (fsync = always: else a crash may take what was acknowledged; with
 * -DLAZY it is not, and copies = 2 must do without it); a tombstone is erased, 16 minutes later, when no older put is under way, its own node's copy is dropped, and no other node has a stray of it, or takes it for its own.
 * Time is in ticks by the master's clock, with a node's up to 10 % slower: a node serves up to the tick that ends 0.88 lease.
 *
 * -DBROKEN=n takes one rule away; check-model demands that each is caught:
 *   1 the store takes what comes last            2 no look at the lease before the acknowledgement
 *   3 release before stored                      4 take-over after 0.8 lease
 *   5 versions do not begin at Redis' clock      6 the lease counts from the answer
 *   7 a late release is done in any case         8 a release is sent before what the log forgot is synced
 *   9 a stray is put without a claim             10 what was stored for one loss frees the next one's cells
 *  11 cells are free before copies are stored   12 beats count after a fail-over without claiming again
 *  13 lost does not compare the beat            14 a release of an earlier session is done
 *  15 no time is closed after a fail-over       16 what a join drops is not synced before the node is another
 *  17 versions go on with Redis' clock when the lease is over
 *  18 a process that begins does not ask for its copies
 *  19 a cell is released before its copies are gone
 *  20 a copy is dropped before the log is synced
 * -DPAUSE: a process may stop between its last look at the lease and write(2). -DKEEPS: the Redis of a fail-over has forgotten nothing.
 */
#ifndef CELLS
#define CELLS 1
#endif
#ifndef LEASE
#define LEASE 5
#endif
#ifndef COPIES
#define COPIES 1
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef CLAIMS
#define CLAIMS 3
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef BURNS
#define BURNS 0
#endif
#ifndef STALLS
#define STALLS 0
#endif
#ifndef VICTIMS
#define VICTIMS 1 /* nodes that die and are cut off: the first of them, or each */
#endif
#ifndef LATES
#define LATES 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef ERASES
#define ERASES 0
#endif
#ifndef FAILOVERS
#define FAILOVERS 0
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#ifdef WEAK
#define STRICT false
#else
#define STRICT true
#endif
#define NODES 2
#define NOBODY NODES
#define OLD (12 * LEASE / 10)
#define SERVE ((88 * LEASE + 99) / 100) /* the last tick of 0.8 lease, by a clock that is 10 % slow */
#define GONE_BY (SERVE + 1)
#if BROKEN == 4
#define LOSE (8 * LEASE / 10)
#else
#define LOSE (12 * LEASE / 10)
#endif
#define I(n, c) ((n) * CELLS + (c))
#define COUNT(m) (((m) & 1) + (((m) >> 1) & 1) + (((m) >> 2) & 1) + (((m) >> 3) & 1))

mtype = {LIVE, LOST, FORGOTTEN};
mtype = {NONE, CLAIMED, HELD, RELEASING};
mtype = {IDLE, CHECKED, DONE, COPIED, LEAVING};

/* ---- Redis ---- */

typedef ring {
    byte owner[CELLS] = NOBODY;
    byte number[CELLS];            /* of the claim */
    byte copy_ops[NODES * CELLS];
    byte copy_version[NODES * CELLS];
    byte seq;
    byte clock;                    /* no version is ahead of it */
    mtype state[NODES] = LIVE
}

ring redis;
ring replica;                      /* what a fail-over will leave */
bool replicated;
bool closed;                       /* after a fail-over: nothing is granted */
byte since;                        /* ticks since then */
bool said[NODES];                  /* who claimed again, meanwhile */
byte server;                          /* run_id */
byte unmoved[NODES];               /* ticks since the beat moved */

/* ---- the store ---- */

byte store_ops[CELLS];
byte store_version[CELLS];
byte dead[CELLS];                  /* ops in dead letters */
byte late_version;                 /* a PUT under way; 0: none */
byte late_ops;
byte late_cell;

/* ---- the master ---- */

bool rescued[NODES];               /* the copies of this loss are stored */
#if BROKEN == 13
bool decided[NODES];
#endif

/* ---- nodes: what is in the log ---- */

byte ops[NODES * CELLS];           /* the object: which INCRs are in it */
byte version[NODES * CELLS];
bool dirty[NODES * CELLS];
bool has[NODES * CELLS];           /* false, but dirty: a stray */
#if CRASHES
byte synced_ops[NODES * CELLS];    /* what a crash of the host leaves */
byte synced_version[NODES * CELLS];
bool synced_dirty[NODES * CELLS];
bool synced_has[NODES * CELLS];
#endif

/* ---- and what is not ---- */

bool owes[NODES * CELLS];          /* copies = 2: the store has it, and its copy may be there */
bool fetching[NODES];              /* a process that has not asked for its copies yet */

bool up[NODES] = true;
bool burnt[NODES];
bool stalled[NODES];               /* its manager is stopped, or cut off from Redis */
bool joined[NODES] = true;
byte joined_at[NODES];
byte given[NODES];                 /* the highest number before the last join */
bool anew[NODES];                  /* that join was of another incarnation, or another run, than the log */
byte lease[NODES];      /* ticks since the sending of the last confirmed beat */
bool beating[NODES];               /* a beat's answer is under way; it was sent `unmoved` ticks ago */
bool joining[NODES];               /* that answer is a join's */
byte floor[NODES];                 /* Redis' clock, as last heard */
mtype mode[NODES * CELLS] = NONE;
byte num[NODES * CELLS];           /* the number of its claim */
byte asked[NODES * CELLS];         /* the number in a claim's answer under way; 0: none */
mtype turn[NODES] = IDLE;
byte turn_cell[NODES];
byte turn_op[NODES];
byte turn_count[NODES];
bool turn_stale[NODES];
byte free_node = NOBODY;           /* a release under way on a connection that is gone */
byte free_cell;
byte free_number;

/* ---- ghosts ---- */

byte newest;                       /* the highest version so far */
byte acked[CELLS];
byte counts[CELLS];                /* the numbers in acknowledgements */

byte ops_left = OPS;
byte claims = CLAIMS;
byte kills = KILLS;
byte crashes = CRASHES;
byte burns = BURNS;
byte stalls = STALLS;
byte lates = LATES;
byte cuts = CUTS;
byte failovers = FAILOVERS;
byte erases = ERASES;

#define VALID(n)    (up[n] && joined[n] && lease[n] <= SERVE)
#define SERVES(n, c) (VALID(n) && mode[I(n, c)] == HELD)
#define CONNECTED(n) (up[n] && joined[n] && joined_at[n] == server && redis.state[n] == LIVE && !stalled[n])
#define WANTED(n, c) (ops_left > 0 || dirty[I(n, c)])
#define STRAY(n, c)  (dirty[I(n, c)] && !has[I(n, c)])
#define FREE_LOOP(n) (up[n] && turn[n] != CHECKED)

#define IN_LOG(n, c) ((dirty[I(n, c)] -> ops[I(n, c)] : 0))
#define KEPT(c)     ((acked[c] & ~(store_ops[c] | dead[c] | IN_LOG(0, c) | IN_LOG(1, c) | redis.copy_ops[I(0, c)] | redis.copy_ops[I(1, c)])) == 0)

/* ---- store ---- */

inline put(c, v, o)
{
    if
    :: v > store_version[c] || BROKEN == 1 ->
        store_version[c] = v;
        store_ops[c] = o
    :: else
    fi
}

/* ---- the log ---- */

inline sync(n)
{
#if CRASHES
    s = 0;
    do
    :: s < CELLS ->
        synced_ops[I(n, s)] = ops[I(n, s)];
        synced_version[I(n, s)] = version[I(n, s)];
        synced_dirty[I(n, s)] = dirty[I(n, s)];
        synced_has[I(n, s)] = has[I(n, s)];
        s++
    :: else -> break
    od;
    s = 0
#else
    skip
#endif
}

/* ---- turns ---- */

inline end_turn(n)
{
    turn[n] = IDLE;
    turn_cell[n] = 0;
    turn_op[n] = 0;
    turn_count[n] = 0;
    turn_stale[n] = false
}

inline execute(n, c)
{
    turn_op[n] = 1 << (OPS - ops_left);
    ops_left--;
    turn_stale[n] = (acked[c] & ~ops[I(n, c)]) != 0;
    ops[I(n, c)] = ops[I(n, c)] | turn_op[n];
    turn_count[n] = COUNT(ops[I(n, c)]);
    version[I(n, c)]++;
#if BROKEN != 5
    if
    :: VALID(n) || BROKEN == 17 -> floor[n] = redis.clock + 1
    :: true
    fi;
    if
    :: version[I(n, c)] < floor[n] -> version[I(n, c)] = floor[n]
    :: else
    fi;
#endif
    if
    :: redis.clock < version[I(n, c)] -> redis.clock = version[I(n, c)]
    :: else
    fi;
    if
    :: newest < version[I(n, c)] -> newest = version[I(n, c)]
    :: else
    fi;
    dirty[I(n, c)] = true;
    owes[I(n, c)] = false;
    turn[n] = (COPIES == 2 -> DONE : COPIED)
}

inline acknowledge(n, c)
{
    assert(!STRICT || !turn_stale[n]);
    assert(!STRICT || (counts[c] & (1 << turn_count[n])) == 0);
    counts[c] = counts[c] | (1 << turn_count[n]);
    acked[c] = acked[c] | turn_op[n];
    end_turn(n)
}

/* What is clean leaves the log, what is dirty stays in it as a stray, which nobody finds. */
inline drop(n, c)
{
    has[I(n, c)] = false;
    if
    :: !dirty[I(n, c)] -> ops[I(n, c)] = 0; version[I(n, c)] = 0
    :: else
    fi;
    if
    :: turn[n] != IDLE && turn_cell[n] == c -> end_turn(n)
    :: else
    fi
}

inline load(n, c)
{
    ops[I(n, c)] = store_ops[c];
    version[I(n, c)] = store_version[c];
    has[I(n, c)] = true;
    mode[I(n, c)] = HELD
}

inline gone(n, c)
{
#if defined(LAZY) && BROKEN != 20
    sync(n);
#endif
    redis.copy_ops[I(n, c)] = 0;
    redis.copy_version[I(n, c)] = 0;
    owes[I(n, c)] = false
}

inline stored(n, c)
{
    if
    :: version[I(n, c)] < store_version[c] -> dead[c] = dead[c] | (ops[I(n, c)] & ~store_ops[c])
    :: else
    fi;
    dirty[I(n, c)] = false;
    if
    :: COPIES == 2 && CONNECTED(n) -> gone(n, c)
    :: COPIES == 2 && CONNECTED(n) && cuts > 0 -> cuts--; owes[I(n, c)] = true
    :: COPIES == 2 && !CONNECTED(n) -> owes[I(n, c)] = true
    :: else
    fi
}

/* ---- a node and one of its cells ---- */

active [NODES * CELLS] proctype holder()
{
    byte n = _pid / CELLS;
    byte c = _pid % CELLS;
#if CRASHES
    byte s;
#endif
end:
    do
    :: atomic { if

    /* claim */
    :: CONNECTED(n) && !closed && !fetching[n] && FREE_LOOP(n) && mode[I(n, c)] == NONE && asked[I(n, c)] == 0 &&
       redis.owner[c] == NOBODY && claims > 0 && WANTED(n, c) ->
        claims--;
        redis.seq++;
        redis.owner[c] = n;
        redis.number[c] = redis.seq;
        asked[I(n, c)] = redis.seq;
        floor[n] = redis.clock + 1
    :: CONNECTED(n) && !closed && !fetching[n] && FREE_LOOP(n) && mode[I(n, c)] == NONE && asked[I(n, c)] == 0 && redis.owner[c] == n && WANTED(n, c) ->
        asked[I(n, c)] = redis.number[c];
        floor[n] = redis.clock + 1
    :: FREE_LOOP(n) && joined[n] && asked[I(n, c)] != 0 ->
        num[I(n, c)] = asked[I(n, c)];
        if
        :: has[I(n, c)] && num[I(n, c)] <= given[n] -> mode[I(n, c)] = HELD
        :: else -> drop(n, c); mode[I(n, c)] = CLAIMED
        fi;
        asked[I(n, c)] = 0
    :: joined[n] && asked[I(n, c)] != 0 && cuts > 0 -> cuts--; asked[I(n, c)] = 0
    :: FREE_LOOP(n) && mode[I(n, c)] == CLAIMED && !dirty[I(n, c)] -> load(n, c)
    :: FREE_LOOP(n) && VALID(n) && (mode[I(n, c)] == CLAIMED || BROKEN == 9 && mode[I(n, c)] == NONE) && STRAY(n, c) ->
        put(c, version[I(n, c)], ops[I(n, c)]);
        stored(n, c);
        ops[I(n, c)] = 0;
        version[I(n, c)] = 0

    /* a command */
    :: SERVES(n, c) && turn[n] == IDLE && ops_left > 0 -> turn[n] = CHECKED; turn_cell[n] = c
    :: up[n] && turn[n] == CHECKED && turn_cell[n] == c && ops_left > 0 -> execute(n, c)
    :: up[n] && turn[n] == CHECKED && turn_cell[n] == c && ops_left == 0 -> end_turn(n)
    :: up[n] && turn[n] == DONE && turn_cell[n] == c ->
        if
        :: CONNECTED(n) && dirty[I(n, c)] ->
            redis.copy_ops[I(n, c)] = ops[I(n, c)];
            redis.copy_version[I(n, c)] = version[I(n, c)];
            turn[n] = COPIED
        :: CONNECTED(n) && !dirty[I(n, c)] -> sync(n); turn[n] = COPIED /* the store has it already */
        :: else -> end_turn(n)
        fi
    :: up[n] && turn[n] == COPIED && turn_cell[n] == c ->
        if
        :: SERVES(n, c) || BROKEN == 2 ->
#ifndef LAZY
            sync(n);
#endif
#ifdef PAUSE
            turn[n] = LEAVING
#else
            acknowledge(n, c)
#endif
        :: else -> end_turn(n)
        fi
    :: up[n] && turn[n] == LEAVING && turn_cell[n] == c -> acknowledge(n, c)
    :: up[n] && turn[n] == COPIED && turn_cell[n] == c && cuts > 0 -> cuts--; end_turn(n)

    /* write-behind */
    :: FREE_LOOP(n) && SERVES(n, c) && dirty[I(n, c)] ->
        put(c, version[I(n, c)], ops[I(n, c)]);
        stored(n, c)
    :: FREE_LOOP(n) && SERVES(n, c) && dirty[I(n, c)] && lates > 0 && late_version == 0 ->
        lates--;
        late_version = version[I(n, c)];
        late_ops = ops[I(n, c)];
        late_cell = c

#if COPIES == 2
    :: FREE_LOOP(n) && CONNECTED(n) && !closed && owes[I(n, c)] && !dirty[I(n, c)] -> gone(n, c)
#endif
#if ERASES
    :: FREE_LOOP(n) && SERVES(n, c) && !dirty[I(n, c)] && !dirty[I(1 - n, c)] && late_version == 0 && store_version[c] != 0 &&
       version[I(n, c)] == store_version[c] && redis.copy_version[I(n, c)] == 0 && mode[I(1 - n, c)] == NONE && erases > 0 ->
        erases--;
        store_version[c] = 0
#endif

    /* release */
    :: FREE_LOOP(n) && CONNECTED(n) && mode[I(n, c)] == HELD && (!dirty[I(n, c)] || BROKEN == 3) &&
       (turn[n] == IDLE || turn_cell[n] != c) && claims > 0 && ops_left > 0 ->
        mode[I(n, c)] = RELEASING;
        drop(n, c);
#if BROKEN != 8
        sync(n)
#endif
    :: FREE_LOOP(n) && mode[I(n, c)] == RELEASING && CONNECTED(n) && !closed && (!owes[I(n, c)] || BROKEN == 19) ->
        if
        :: redis.owner[c] == n && redis.number[c] == num[I(n, c)] -> redis.owner[c] = NOBODY; redis.number[c] = 0
        :: else
        fi;
        mode[I(n, c)] = NONE;
        num[I(n, c)] = 0
    :: FREE_LOOP(n) && mode[I(n, c)] == RELEASING && CONNECTED(n) && !closed && (!owes[I(n, c)] || BROKEN == 19) && lates > 0 && free_node == NOBODY ->
        lates--;
        free_node = n;
        free_cell = c;
        free_number = num[I(n, c)]
#if CRASHES
    :: has[I(n, c)] != synced_has[I(n, c)] || version[I(n, c)] != synced_version[I(n, c)] || dirty[I(n, c)] != synced_dirty[I(n, c)] -> sync(n)
#endif
    fi; assert(KEPT(c)); assert(!STRICT || (dead[c] & acked[c]) == 0) }
    od
}

/* ---- manager ---- */

inline forget_release(n)
{
#if BROKEN != 7 && BROKEN != 14
    if
    :: free_node == n -> free_node = NOBODY; free_cell = 0; free_number = 0
    :: else
    fi
#else
    skip
#endif
}

inline go_down(n)
{
    up[n] = false;
    joined[n] = false;
    beating[n] = false;
    joining[n] = false;
    stalled[n] = false;
    lease[n] = GONE_BY;
    floor[n] = 0;
    fetching[n] = (COPIES == 2 && BROKEN != 18);
    end_turn(n);
    c = 0;
    do
    :: c < CELLS -> mode[I(n, c)] = NONE; num[I(n, c)] = 0; asked[I(n, c)] = 0; owes[I(n, c)] = false; c++
    :: else -> break
    od;
    c = 0
}

/* The answer of a join: all cells are asked for again. */
inline take_joined(n)
{
    c = 0;
    do
    :: c < CELLS ->
        mode[I(n, c)] = NONE;
        num[I(n, c)] = 0;
        asked[I(n, c)] = 0;
        if
        :: anew[n] -> drop(n, c)
        :: else
        fi;
        c++
    :: else -> break
    od;
    c = 0;
    if
    :: anew[n] && BROKEN != 16 -> sync(n)
    :: else
    fi;
    if
    :: anew[n] -> fetching[n] = false /* there are none of this incarnation */
    :: else
    fi;
    anew[n] = false
}

/* Of what the log has lost, or the store has and this process does not know that a copy is left. */
inline fetch(n)
{
    c = 0;
    do
    :: c < CELLS ->
        if
        :: redis.copy_version[I(n, c)] > version[I(n, c)] ->
            ops[I(n, c)] = redis.copy_ops[I(n, c)];
            version[I(n, c)] = redis.copy_version[I(n, c)];
            dirty[I(n, c)] = true;
            has[I(n, c)] = false
        :: redis.copy_version[I(n, c)] <= version[I(n, c)] && redis.copy_version[I(n, c)] != 0 && !dirty[I(n, c)] -> owes[I(n, c)] = true
        :: else
        fi;
        c++
    :: else -> break
    od;
    c = 0;
    fetching[n] = false
}

/* The log has what is held only: what was not asked for since a start is of the earlier run. */
inline go_on(n)
{
    joined_at[n] = server;
    c = 0;
    do
    :: c < CELLS ->
        if
        :: mode[I(n, c)] != HELD || redis.owner[c] != n || redis.number[c] != num[I(n, c)] ->
            drop(n, c);
            mode[I(n, c)] = NONE;
            num[I(n, c)] = 0
        :: else
        fi;
        c++
    :: else -> break
    od;
    c = 0;
    sync(n)
}

inline claim_again(n)
{
    redis.state[n] = LIVE;
    unmoved[n] = 0;
    beating[n] = false;
    joining[n] = false;
    c = 0;
    do
    :: c < CELLS ->
        asked[I(n, c)] = 0;
        if
        :: num[I(n, c)] != 0 && (redis.owner[c] == NOBODY || redis.number[c] < num[I(n, c)]) ->
            redis.owner[c] = n;
            redis.number[c] = num[I(n, c)];
            if
            :: redis.seq < num[I(n, c)] -> redis.seq = num[I(n, c)]
            :: else
            fi
        :: else
        fi;
        if
        :: COPIES == 2 && dirty[I(n, c)] ->
            redis.copy_ops[I(n, c)] = ops[I(n, c)];
            redis.copy_version[I(n, c)] = version[I(n, c)]
        :: else
        fi;
        c++
    :: else -> break
    od;
    c = 0
}

active [NODES] proctype manager()
{
    byte n = _pid - NODES * CELLS;
    byte c;
#if CRASHES
    byte s;
#endif
end:
    do
    :: atomic { if
    /* beat */
    :: CONNECTED(n) && stalls > 0 && n < VICTIMS ->
        stalls--;
        stalled[n] = true;
        if
        :: true
        :: lease[n] == 0 -> lease[n] = 1; beating[n] = true
        fi
    :: stalled[n] -> stalled[n] = false
    :: FREE_LOOP(n) && beating[n] ->
        beating[n] = false;
        lease[n] = (BROKEN == 6 -> 0 : unmoved[n]);
        if
        :: lease[n] > SERVE -> lease[n] = GONE_BY
        :: else
        fi;
        if
        :: joining[n] -> joining[n] = false; joined[n] = true; take_joined(n)
        :: else
        fi
    :: beating[n] && cuts > 0 -> 
        cuts--;
        beating[n] = false;
        joining[n] = false
    :: FREE_LOOP(n) && !stalled[n] && joined[n] && joined_at[n] == server && redis.state[n] != LIVE -> joined[n] = false
    /* join */
    :: FREE_LOOP(n) && !stalled[n] && !joined[n] && !beating[n] && !closed ->
        if
        :: redis.state[n] == FORGOTTEN || joined_at[n] != server -> anew[n] = true
        :: else
        fi;
        redis.state[n] = LIVE;
        unmoved[n] = 0;
#if BROKEN != 10
        rescued[n] = false;
#endif
        forget_release(n);
        beating[n] = true;
        joining[n] = true;
        given[n] = redis.seq;
        joined_at[n] = server
#if COPIES == 2
    :: FREE_LOOP(n) && CONNECTED(n) && !closed && fetching[n] -> fetch(n)
#endif
    /* after a fail-over */
    :: FREE_LOOP(n) && !stalled[n] && closed && joined_at[n] != server && !said[n] && BROKEN != 12 ->
        claim_again(n);
        said[n] = true;
        if
        :: joined[n] && lease[n] <= SERVE -> go_on(n)
        :: else -> joined[n] = false
        fi
    :: FREE_LOOP(n) && !stalled[n] && joined[n] && joined_at[n] != server && BROKEN == 12 -> joined_at[n] = server
    :: FREE_LOOP(n) && !stalled[n] && !closed && joined[n] && joined_at[n] != server -> joined[n] = false
    /* deaths */
    :: up[n] && kills > 0 && n < VICTIMS -> kills--; go_down(n)
#if CRASHES
    :: crashes > 0 && n < VICTIMS ->
        crashes--;
        go_down(n);
        c = 0;
        do
        :: c < CELLS ->
            ops[I(n, c)] = synced_ops[I(n, c)];
            version[I(n, c)] = synced_version[I(n, c)];
            dirty[I(n, c)] = synced_dirty[I(n, c)];
            has[I(n, c)] = synced_has[I(n, c)];
            c++
        :: else -> break
        od;
        c = 0
#endif
    :: !up[n] && !burnt[n] -> up[n] = true
    :: COPIES == 2 && !burnt[n] && burns > 0 && n < VICTIMS ->
        burns--;
        go_down(n);
        burnt[n] = true;
        c = 0;
        do
        :: c < CELLS ->
            ops[I(n, c)] = 0;
            version[I(n, c)] = 0;
            dirty[I(n, c)] = false;
            has[I(n, c)] = false;
            c++
        :: else -> break
        od;
        c = 0
    fi; assert(KEPT(0)); assert(KEPT(CELLS - 1)) }
    od
}

/* ---- whoever is master ---- */

#define HOLDS(n) (num[I(n, 0)] != 0 || num[I(n, CELLS - 1)] != 0)
#define CLEAN(n, c) (redis.owner[c] != n || (acked[c] & ~store_ops[c]) == 0)

inline cells_free(n)
{
    redis.state[n] = FORGOTTEN;
    c = 0;
    do
    :: c < CELLS ->
        if
        :: redis.owner[c] == n -> redis.owner[c] = NOBODY; redis.number[c] = 0
        :: else
        fi;
        redis.copy_ops[I(n, c)] = 0;
        redis.copy_version[I(n, c)] = 0;
        c++
    :: else -> break
    od;
    c = 0
}

active [NODES] proctype master()
{
    byte n = _pid - NODES * CELLS - NODES;
    byte c;
end:
    do
    :: atomic { if
#if BROKEN == 13
    :: redis.state[n] == LIVE && unmoved[n] >= LOSE && !decided[n] -> decided[n] = true
    :: !closed && redis.state[n] == LIVE && decided[n] -> decided[n] = false; redis.state[n] = LOST; rescued[n] = false
#endif
    :: !closed && redis.state[n] == LIVE && unmoved[n] >= LOSE -> redis.state[n] = LOST
    :: !closed && redis.state[n] == LOST && COPIES == 2 && !rescued[n] ->
        c = 0;
        do
        :: c < CELLS ->
            if
            :: redis.copy_version[I(n, c)] != 0 -> put(c, redis.copy_version[I(n, c)], redis.copy_ops[I(n, c)])
            :: else
            fi;
            c++
        :: else -> break
        od;
        c = 0;
        rescued[n] = true
    :: !closed && redis.state[n] == LOST && COPIES == 2 && (rescued[n] || BROKEN == 11) -> cells_free(n)
#ifdef FORGET
    :: !closed && redis.state[n] == LOST && COPIES == 1 && (!STRICT || CLEAN(n, 0) && CLEAN(n, CELLS - 1)) -> cells_free(n)
#endif
    fi; assert(KEPT(0)); assert(KEPT(CELLS - 1)) }
    od
}

/* ---- time, the network, Redis' replica ---- */

inline copy_ring(to, from)
{
    n = 0;
    do
    :: n < NODES ->
        to.state[n] = from.state[n];
        c = 0;
        do
        :: c < CELLS ->
            to.copy_ops[I(n, c)] = from.copy_ops[I(n, c)];
            to.copy_version[I(n, c)] = from.copy_version[I(n, c)];
            to.owner[c] = from.owner[c];
            to.number[c] = from.number[c];
            c++
        :: else -> break
        od;
        n++
    :: else -> break
    od;
    c = 0;
    n = 0;
    to.seq = from.seq;
    to.clock = from.clock
}

inline clear_replica()
{
    n = 0;
    do
    :: n < NODES ->
        replica.state[n] = LIVE;
        c = 0;
        do
        :: c < CELLS ->
            replica.copy_ops[I(n, c)] = 0;
            replica.copy_version[I(n, c)] = 0;
            replica.owner[c] = NOBODY;
            replica.number[c] = 0;
            c++
        :: else -> break
        od;
        n++
    :: else -> break
    od;
    c = 0;
    n = 0;
    replica.seq = 0;
    replica.clock = 0
}

#define OLDER(age, most) age = (age < most -> age + 1 : age)
#define TOLD(n)          (said[n] || joined_at[n] == server || !HOLDS(n))

#if defined(WEAK) || defined(KEEPS)
#define MAY_OPEN true
#else
#define MAY_OPEN TOLD(0) && TOLD(1)
#endif

active proctype world()
{
    byte n, c;
end:
    do
    :: atomic { if
    :: true ->
        n = 0;
        do
        :: n < NODES ->
            if
            :: CONNECTED(n) && !beating[n] -> lease[n] = 0; unmoved[n] = 0
            :: else -> OLDER(lease[n], GONE_BY); OLDER(unmoved[n], OLD)
            fi;
            n++
        :: else -> break
        od;
        n = 0;
        if
        :: closed -> OLDER(since, LOSE)
        :: else
        fi
    :: late_version != 0 ->
        put(late_cell, late_version, late_ops);
        late_cell = 0;
        late_ops = 0;
        late_version = 0
    :: free_node != NOBODY ->
        if
        :: redis.owner[free_cell] == free_node && (redis.number[free_cell] == free_number || BROKEN == 7) ->
            redis.owner[free_cell] = NOBODY;
            redis.number[free_cell] = 0
        :: else
        fi;
        free_node = NOBODY;
        free_cell = 0;
        free_number = 0
    #ifdef KEEPS
    :: failovers > 0 && !replicated -> replicated = true
#else
    :: failovers > 0 && !replicated -> replicated = true; copy_ring(replica, redis)
#endif
    :: failovers > 0 && replicated ->
        failovers--;
        replicated = false;
#ifndef KEEPS
        copy_ring(redis, replica);
        clear_replica();
#endif
        server++;
        since = 0;
        closed = (BROKEN != 15);
        free_node = NOBODY;
        free_cell = 0;
        free_number = 0
    :: closed && since >= LOSE && MAY_OPEN ->
        closed = false;
        since = 0;
        said[0] = false;
        said[1] = false;
        if
        :: redis.clock < newest -> redis.clock = newest
        :: else
        fi
    fi; assert(KEPT(0)); assert(KEPT(CELLS - 1)) }
    od
}
