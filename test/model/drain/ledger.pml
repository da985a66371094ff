/*
 * ledger.pml: the drain's ledger (proto/drain/DRAIN.md, The ledger) as a model for spin; `make check-model` checks it.
 *
 * One record that the application writes VERSIONS times; one get-set, HASHES get-hash workers, one transfer, the watcher. Each step is
 * what is atomic in reality: one Lua script, one command, one commit, one message. Anybody may die between any two steps (CRASHES times
 * in all; MASTER times all at once), a lease may run out while its holder works on (EXPIRIES), the answer of a claim script may
 * be lost with its connection (CUTS), a dead letter may be retried by hand (RETRIES).
 *
 * What must hold, in every order of steps:
 *   kept      the newest version is always somewhere: at its key, in the ledger, in the store, or a dead letter
 *   newest    the store never goes back to an older version
 *   acked     a claim is acknowledged only when its member is durable, and is never handed out again
 *   reasons   "no hash" is said of no record whose hash was written
 *   drained   when nothing moves any more, set and ledger are empty and the newest version is stored or a dead letter
 *
 * Left out: claims of several members (split makes claims of one of them), back-off times, the end of the memory of what was taken (5 to
 * 10 s in claim.lua, for ever here), a Redis that loses its data.
 *
 * -DKEEP is consume = keep. -DBROKEN=n takes one rule away; test/model/drain/check-model demands that each of these is caught:
 *   1 ack before STORED                          2 the store keeps what comes last
 *   3 a hash found late keeps the old number     4 SPOP in one script, the claim in the next
 *   5 no memory of what was taken                6 nobody looks for orphans, leases have no end
 */
#ifndef VERSIONS
#define VERSIONS 2
#endif
#ifndef HASHES
#define HASHES 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef MASTER
#define MASTER 0
#endif
#ifndef EXPIRIES
#define EXPIRIES 1
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef RETRIES
#define RETRIES 0
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#define MAX_ATTEMPTS 2
#define NUMBERS (2 * VERSIONS + 1) /* a member has a second number when its hash was found late */
#define NONE 255

mtype = {ASIDE, MISSING, IN_PLACE, FOLLOWS};
mtype = {IDLE, TAKE, FETCH, SEND, WAIT, ACK};

/* ---- Redis ---- */

typedef ledger_claim {
    bool used;
    bool due;
    bool waits;      /* for its hash */
    bool dead;       /* a dead letter; its data is still under its number */
    bool acked;      /* a ghost, for the checks */
    bool unheard;    /* the answer with it was lost */
    byte owner;      /* a get-hash, or NONE */
    byte owner_gen;
    bool via;        /* its get-hash has not taken it yet */
    byte via_gen;
    byte attempts;
    byte seq;
    mtype state
}

byte key;                      /* the version at the record's key; 0: no hash */
bool in_set;
bool popped;                   /* BROKEN 4 only: out of the set, not yet in a claim */
bool taken;                    /* the memory behind FOLLOWS */
byte last_seq;
byte aside[NUMBERS];           /* the version under aside:<seq>; 0: none */
ledger_claim claims[VERSIONS]; /* one for each time the record was in the set; 4 at most, see the macros below */
byte made;

/* ---- the store ---- */

byte stored_seq;
byte stored;

/* ---- the workers; a generation each, so that nobody speaks for the dead ---- */

byte written;
byte named;

byte set_gen = 1;
byte set_claim = NONE;

byte hash_gen[HASHES] = 1;
mtype hash_state[HASHES] = IDLE;
byte hash_claim[HASHES];
byte hash_seq[HASHES];
mtype hash_where[HASHES];
byte hash_version[HASHES];
byte hash_transfer[HASHES];    /* the transfer its records went to */

byte transfer_gen = 1;
byte box_from = NONE;          /* the transfer's mailbox: one message */
byte box_gen;
byte box_seq;
byte box_version;
bool box_done;                 /* committed, STORED not yet sent */

byte crashes = CRASHES;
byte masters = MASTER;
byte expiries = EXPIRIES;
byte cuts = CUTS;
byte retries = RETRIES;

/* ---- the scripts ---- */

inline drop(c)
{
    claims[c].used = false;
    claims[c].due = false;
    claims[c].unheard = false;
    claims[c].via = false;
    claims[c].owner = NONE;
    claims[c].owner_gen = 0;
    claims[c].via_gen = 0
}

inline give_back(c)
{
    claims[c].due = true;
    claims[c].unheard = false;
    claims[c].via = false;
    claims[c].owner = NONE;
    claims[c].owner_gen = 0;
    claims[c].via_gen = 0
}

inline move_aside(c)
{
    last_seq++;
    claims[c].seq = last_seq;
    aside[last_seq] = key;
    key = 0;
    taken = true;
    claims[c].state = ASIDE
}

inline lend(c, h)
{
    claims[c].attempts++;
    claims[c].due = false;
    claims[c].unheard = false;
    claims[c].owner = h;
    claims[c].owner_gen = hash_gen[h];
    claims[c].via = true;
    claims[c].via_gen = set_gen;
    set_claim = c
}

/* The watcher's look at what waits for its hash: nobody is handed it before the hash is there. */
inline look(c)
{
    assert(!claims[c].acked);
    if
    :: key != 0 ->
#if BROKEN == 3
        aside[claims[c].seq] = key;
        key = 0;
        claims[c].state = ASIDE;
#else
        move_aside(c);
#endif
        claims[c].attempts = 0;
        claims[c].waits = false;
        claims[c].due = true
    :: key == 0 && claims[c].attempts < MAX_ATTEMPTS -> claims[c].attempts++
    :: key == 0 && claims[c].attempts >= MAX_ATTEMPTS && claims[c].state == FOLLOWS -> claims[c].waits = false; drop(c)
    :: key == 0 && claims[c].attempts >= MAX_ATTEMPTS && claims[c].state != FOLLOWS ->
        assert(claims[c].state != MISSING);
        claims[c].waits = false;
        drop(c);
        claims[c].dead = true
    fi
}

inline hand_out(c, h)
{
    assert(!claims[c].acked);
    if
    :: claims[c].attempts < MAX_ATTEMPTS -> lend(c, h)
    :: else ->
        drop(c);
        claims[c].dead = true
    fi
}

inline new_claim(h)
{
    claims[made].used = true;
    if
#ifdef KEEP
    :: true -> last_seq++; claims[made].seq = last_seq; claims[made].state = IN_PLACE
#else
    :: key != 0 -> move_aside(made)
    :: key == 0 && taken && BROKEN != 5 -> last_seq++; claims[made].seq = last_seq; claims[made].state = FOLLOWS
    :: key == 0 && !(taken && BROKEN != 5) -> last_seq++; claims[made].seq = last_seq; claims[made].state = MISSING
#endif
    fi;
    if
    :: claims[made].state == MISSING || claims[made].state == FOLLOWS -> claims[made].waits = true; claims[made].attempts = 1
    :: else -> lend(made, h)
    fi;
    made++
}

#define HELD(h) (claims[hash_claim[h]].used && claims[hash_claim[h]].owner == h && claims[hash_claim[h]].owner_gen == hash_gen[h])

/* Durable is: this number or a newer one is in the store. */
inline ack(c)
{
    if
    :: claims[c].used ->
        assert(claims[c].seq <= stored_seq);
        aside[claims[c].seq] = 0;
        drop(c);
        claims[c].acked = true
    :: else
    fi
}

inline release(h)
{
    if
    :: HELD(h) -> give_back(hash_claim[h])
    :: else
    fi
}

/* ---- deaths ---- */

inline set_dies()
{
    set_gen++;
    set_claim = NONE
}

inline hash_dies(h)
{
    hash_gen[h]++;
    hash_state[h] = IDLE;
    hash_claim[h] = 0;
    hash_seq[h] = 0;
    hash_version[h] = 0
}

inline transfer_dies()
{
    transfer_gen++;
    box_from = NONE;
    box_done = false
}

/* ---- the parties ---- */

active proctype application()
{
    do
    :: written < VERSIONS -> atomic { written++; key = written }
        atomic { in_set = true; named++ }
    :: else -> break
    od
}

#define DUE(c) (c < VERSIONS && claims[c].used && claims[c].due)

active proctype get_set()
{
    byte c, h;
end:
    do
    :: atomic { set_claim == NONE && (DUE(0) || DUE(1) || DUE(2) || DUE(3) || (in_set && BROKEN != 4)) ->
        if
        :: h = 0
        :: HASHES > 1 -> h = 1
        fi;
        c = 0;
        do
        :: DUE(c) -> hand_out(c, h); break
        :: c < VERSIONS && !DUE(c) -> c++
        :: c == VERSIONS && in_set && BROKEN != 4 -> in_set = false; new_claim(h); break
        :: c == VERSIONS && !(in_set && BROKEN != 4) -> break
        od;
        c = 0;
        h = 0 }
    :: BROKEN == 4 -> atomic { set_claim == NONE && in_set && !popped -> in_set = false; popped = true }
    :: BROKEN == 4 -> atomic { popped -> popped = false; h = 0; new_claim(h) }
    :: atomic { set_claim != NONE && hash_state[claims[set_claim].owner % HASHES] == IDLE && !claims[set_claim].unheard ->
        /* CLAIM goes to the incarnation it was made for, or nowhere. */
        h = claims[set_claim].owner;
        if
        :: h != NONE && claims[set_claim].owner_gen == hash_gen[h] ->
            hash_state[h] = TAKE;
            hash_claim[h] = set_claim;
            hash_seq[h] = claims[set_claim].seq;
            hash_where[h] = claims[set_claim].state
        :: else
        fi;
        h = 0;
        set_claim = NONE }
    :: atomic { set_claim != NONE && cuts > 0 -> cuts--; claims[set_claim].unheard = true; set_claim = NONE }
    :: atomic { crashes > 0 -> crashes--; popped = false; set_dies() }
    od
}

active [HASHES] proctype get_hash()
{
    byte h = _pid - 2;
end:
    do
    :: atomic { hash_state[h] == TAKE ->
        if
        :: HELD(h) -> claims[hash_claim[h]].via = false; claims[hash_claim[h]].due = false; hash_state[h] = FETCH
        :: else -> hash_state[h] = IDLE
        fi }
    :: atomic { hash_state[h] == FETCH ->
        if
        :: hash_where[h] == ASIDE -> hash_version[h] = aside[hash_seq[h]]
        :: hash_where[h] == IN_PLACE -> hash_version[h] = key
        :: else -> hash_version[h] = 0
        fi;
        if
        :: hash_version[h] == 0 -> release(h); hash_state[h] = IDLE
        :: else -> hash_state[h] = SEND
        fi }
    :: atomic { hash_state[h] == SEND && box_from == NONE ->
        box_from = h;
        box_gen = hash_gen[h];
        box_seq = hash_seq[h];
        box_version = hash_version[h];
        hash_version[h] = 0;
        hash_transfer[h] = transfer_gen;
        hash_state[h] = (BROKEN == 1 -> ACK : WAIT) }
    :: atomic { hash_state[h] == WAIT && hash_transfer[h] != transfer_gen -> release(h); hash_state[h] = IDLE }
    :: atomic { hash_state[h] == ACK -> ack(hash_claim[h]); hash_state[h] = IDLE }
    :: atomic { hash_state[h] != IDLE && crashes > 0 -> crashes--; hash_dies(h) }
    od
}

active proctype transfer()
{
end:
    do
    :: atomic { box_from != NONE && !box_done ->
        if
        :: box_seq > stored_seq || BROKEN == 2 ->
            assert(box_version >= stored);
            stored_seq = box_seq;
            stored = box_version
        :: else
        fi;
        box_done = true }
    :: atomic { box_done ->
        if
        :: box_gen == hash_gen[box_from] && hash_state[box_from] == WAIT -> hash_state[box_from] = ACK
        :: else
        fi;
        box_from = NONE;
        box_done = false }
    :: atomic { box_from != NONE && crashes > 0 -> crashes--; transfer_dies() }
    od
}

#define OWNER_GONE(c) (claims[c].owner != NONE && claims[c].owner_gen != hash_gen[claims[c].owner % HASHES])
#define VIA_GONE(c)   (claims[c].via && (claims[c].via_gen != set_gen || claims[c].unheard))

#define ORPHAN(c)     (c < VERSIONS && claims[c].used && !claims[c].due && (OWNER_GONE(c) || VIA_GONE(c)))
#define RUNNING(c)    (c < VERSIONS && claims[c].used && !claims[c].due && !claims[c].waits)
#define WAITS(c)      (c < VERSIONS && claims[c].used && claims[c].waits)
#define USED(c)       (c < VERSIONS && claims[c].used)
#define DEAD(c)       (c < VERSIONS && claims[c].dead)
#define DEAD_HAS(c)   (DEAD(c) && (aside[claims[c].seq] == VERSIONS || claims[c].state == IN_PLACE))
#define RUNS_OUT(c)   expiries > 0 && RUNNING(c) -> expiries--; claims[c].due = true
#define RETRIED(c)    retries > 0 && DEAD(c) -> \
                      retries--; claims[c].dead = false; claims[c].used = true; claims[c].due = true; claims[c].attempts = 0

/* The watcher's scripts (orphans, look; recover, which is get-set's), the clock, the operator, and the end. */
active proctype watcher()
{
    byte h;
end:
    do
    :: atomic { BROKEN != 6 && ORPHAN(0) -> give_back(0) }
    :: atomic { BROKEN != 6 && ORPHAN(1) -> give_back(1) }
    :: atomic { BROKEN != 6 && ORPHAN(2) -> give_back(2) }
    :: atomic { BROKEN != 6 && ORPHAN(3) -> give_back(3) }
    :: atomic { WAITS(0) -> look(0) }
    :: atomic { WAITS(1) -> look(1) }
    :: atomic { WAITS(2) -> look(2) }
    :: atomic { WAITS(3) -> look(3) }
    :: atomic { RUNS_OUT(0) }
    :: atomic { RUNS_OUT(1) }
    :: atomic { RUNS_OUT(2) }
    :: atomic { RUNS_OUT(3) }
    :: atomic { RETRIED(0) }
    :: atomic { RETRIED(1) }
    :: atomic { RETRIED(2) }
    :: atomic { RETRIED(3) }
    :: atomic { masters > 0 ->
        masters--;
        set_dies();
        h = 0;
        do
        :: h < HASHES -> hash_dies(h); h++
        :: else -> break
        od;
        h = 0;
        transfer_dies() }
    :: atomic { timeout -> /* nothing else can move: all is done, or something waits for ever */
        assert(named == VERSIONS && !in_set && !popped);
        assert(!USED(0) && !USED(1) && !USED(2) && !USED(3));
        assert(stored == VERSIONS || DEAD_HAS(0) || DEAD_HAS(1) || DEAD_HAS(2) || DEAD_HAS(3));
        break }
    od
}

#define IN_LEDGER(n) (n < NUMBERS && aside[n] == written)

/* kept, in every state. */
active proctype monitor()
{
end:
    atomic { !(written == 0 || key == written || stored == written || IN_LEDGER(1) || IN_LEDGER(2) || IN_LEDGER(3) || IN_LEDGER(4) ||
               IN_LEDGER(5) || IN_LEDGER(6) || IN_LEDGER(7) || IN_LEDGER(8)) -> assert(false) }
}
