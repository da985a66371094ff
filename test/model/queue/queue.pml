/*
 * queue.pml: hand-outs and leases of a queue (proto/queue/BACKBONE.md) as a model for spin; `make check-model-queue` checks it.
 *
 * MESSAGES messages of one queue, a queue worker, CONSUMERS consumers in the tree. Each step is what is atomic in reality: one script, one message that is
 * read. The queue worker may die between any two steps (CRASHES times in all), a consumer too (DEATHS), and its program may have hung (HANGS: work_max). A
 * lease may run out while its holder works on (EXPIRIES); a call may break off before or after Redis has done it (CUTS); consumers say again (AGAINS) and
 * bury (BURIES).
 *
 * A hand-out is known to Redis by its receipt, ID.ATTEMPT. Beside that the model numbers the hand-outs of each message itself (`hand`), and knows which of these are
 * ended: settled, or given back. What must hold, in every order of steps:
 *   kept      when nothing moves any more, each message was acked, or is a dead letter: none waits for ever, none is in nobody's hands
 *   named     no receipt is given twice
 *   newest    what counts is of the newest hand-out: nobody has had the message since
 *   once      a hand-out ends once: an ack counts once, and what was acked is handed out to nobody
 *   bounded   hand-outs, without those that do not count, are at most max_attempts and one
 *   adopted   what a consumer has told the queue worker that it holds is not given to another because of a queue worker's death
 *   neighbour what is buried for its consumer's death is not what waited beside another that the consumer had been told of
 *   at work   what work_max takes away is what its consumer was at, never what waited for that in its window
 *
 * Where a step is in the code:
 *   take, answered, lost   queue_take.lua; queue_taking.c: the answer, what it lost (queue_disown.lua)
 *   settle, told           queue_taker.c: the consumer keeps it in mind until LOST
 *   begin, begun           taker_begin: BEGUN, of the first that it was told and has not settled; queue.c, queue_hand_begin
 *   read, run, heard       queue.c, queue_ending.c: SETTLE is read, told to Redis (queue_ack, queue_again, queue_bury, queue_back), and heard of
 *   meet, adopt            queue_taker_up: HELD and SETTLE again; queue_adopt.lua
 *   orphans                queue.c, two seconds after a queue worker's start: what nobody has told of (queue_disown.lua)
 *   expire, renew          the queue's clock (leases_run_out); queue_renew.lua
 *
 * Left out: facets and turns (their suites are exact), delays and back-off (a message that waits for its time is one that waits), several queue workers.
 *
 * -DBROKEN=n takes one rule away; check-model demands that each is caught:
 *   1 attempts are raised after the hand-out       2 an ack counts without its attempt
 *   3 adoption after release                       4 a successor does not ask who holds what it gives back
 *   5 what waits to be alone is adopted as if its consumer were at it
 *   6 nobody looks for what a lost answer had      7 a settlement that Redis may not have heard is forgotten
 *   8 a lease that ran out, and was taken up again, is held against the message
 *   9 work_max counts from the hand-out
 */
#ifndef MESSAGES
#define MESSAGES 1
#endif
#define CONSUMERS 2
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef HANGS
#define HANGS 0
#endif
#ifndef EXPIRIES
#define EXPIRIES 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef AGAINS
#define AGAINS 0
#endif
#ifndef BURIES
#define BURIES 0
#endif
#ifdef ONE /* the other consumer never comes */
#define COMES(c) ((c) == 0)
#else
#define COMES(c) true
#endif
#ifndef MAX_ATTEMPTS
#define MAX_ATTEMPTS 2
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#define NOBODY CONSUMERS
#define PAIRS ((CONSUMERS + 1) * MESSAGES) /* the last are nobody's: what nobody was there to take */
#define P(c, m) ((c) * MESSAGES + (m))

mtype = {WAITS, LEASED, LATE, DEAD, DEAD_LATE, GONE};
mtype = {NOTHING, HERE, TOLD, SETTLED};    /* of a message, at a consumer */
mtype = {DONE, AGAIN, BURY, BACK, BLAMED}; /* outcomes; the last two give it back */
mtype = {FREE, SENT, RUN, KEPT};           /* of an ending */

/* ---- Redis ---- */

typedef message {
    mtype where = WAITS;
    byte attempt;
    byte spared;
    byte owner; /* the generation of a queue worker */
    byte alone;    /* 1: it may be handed out only by itself; 2: from its next hand-out on */
    byte hand;     /* not in Redis, as all below: hand-outs there were */
    byte uncounted;
    byte named;    /* the attempt of the newest receipt */
    byte ended;    /* which hand-outs are: one bit each */
}
message redis[MESSAGES];

/* ---- the queue worker; all but `generation` dies with it ---- */

bool up = true;
byte generation = 1;
bool orphans;               /* it has not yet given back what earlier ones had */
bool lost_answer;
/* A take stands behind the wait, for who might have had that message, less one, when it was sent; so does one of a queue worker that is dead, until Redis has noticed. */
byte behind;
bool behind_dead;
byte answer[MESSAGES];      /* of a take, under way: attempts */
byte hands[PAIRS];          /* attempts */
bool hand_alone[PAIRS];
byte hand_number[PAIRS];     /* `hand` of these: not known to it */
bool begun[PAIRS];          /* its consumer is at it */
byte adopting[PAIRS];       /* attempts of a call that is under way */
mtype ending[PAIRS] = FREE;
mtype outcome[PAIRS] = DONE;
byte ending_attempt[PAIRS];
byte ending_hand[PAIRS];
bool innocent[PAIRS];       /* `neighbour` of it: not known to it */
bool met[CONSUMERS];        /* it knows that consumer */

/* ---- consumers ---- */

bool lives[CONSUMERS] = true;
mtype phase[PAIRS] = NOTHING;
byte has[PAIRS];            /* attempts */
byte has_hand[PAIRS];
bool has_alone[PAIRS];
mtype says[PAIRS] = DONE;
bool first[PAIRS];          /* of those that the consumer was told of: it is at this one */
byte mail_begun[PAIRS];     /* attempts of a BEGUN that the queue worker has not read */
bool mail[PAIRS];           /* a SETTLE that the queue worker has not read */
mtype mail_says[PAIRS] = DONE;
byte mail_attempt[PAIRS];
byte mail_hand[PAIRS];
bool neighbour[PAIRS];      /* its consumer died, and had been told of another */

byte crashes = CRASHES, deaths = DEATHS, hangs = HANGS, expiries = EXPIRIES, cuts = CUTS, agains = AGAINS, buries = BURIES;

#define R            redis[m]
#define TRIES(m)     (redis[m].attempt - redis[m].spared)
#define COUNTS(m, a) ((R.attempt == (a) || BROKEN == 2) && (R.where == LEASED || R.where == LATE || R.where == DEAD_LATE))
#define TAKEN(m)     (answer[m] != 0)
#define SAME(p, a)   (phase[p] != NOTHING && has[p] == (a))
/* It is at it, and that is its own still. */
#define AT(c, o)     (phase[P(c, o)] == TOLD && has[P(c, o)] == redis[o].attempt && redis[o].where == LEASED)
#define TOLD_TO(c)   (phase[P(c, 0)] == TOLD || phase[P(c, MESSAGES - 1)] == TOLD)
#define ALONE_AT(c)  (phase[P(c, 0)] == TOLD && has_alone[P(c, 0)] || phase[P(c, MESSAGES - 1)] == TOLD && has_alone[P(c, MESSAGES - 1)])
#define ROOM(c)      (!(hands[P(c, 0)] != 0 && hand_alone[P(c, 0)]) && !(hands[P(c, MESSAGES - 1)] != 0 && hand_alone[P(c, MESSAGES - 1)]))
#define NONE_RUNS(m) (ending[P(0, m)] != SENT && ending[P(1, m)] != SENT && ending[P(NOBODY, m)] != SENT)
#define NOBODY_SENT  (NONE_RUNS(0) && NONE_RUNS(MESSAGES - 1))
#define OTHER(p)     ((p) / MESSAGES * MESSAGES + MESSAGES - 1 - (p) % MESSAGES)
#define READY(p)     (!mail[p] && mail_begun[p] == 0 && ending[p] == FREE && adopting[p] == 0)
#define ADOPTS(c)    (adopting[P(c, 0)] != 0 || adopting[P(c, MESSAGES - 1)] != 0)
#define KNOWN_AT(p, a) (hands[p] == (a) || ending[p] == KEPT && ending_attempt[p] == (a))
#define KNOWN(m, a)  (KNOWN_AT(P(0, m), a) || KNOWN_AT(P(1, m), a) || KNOWN_AT(P(NOBODY, m), a))
/* The consumer may be at it, or will be. */
#define HOLDS(c, m)  (lives[c] && met[c] && SAME(P(c, m), R.attempt) && phase[P(c, m)] != SETTLED)

/* A hand-out ends, and nothing else of it counts. */
inline end_hand(which)
{
    assert(which == R.hand);
    assert((R.ended & (1 << which)) == 0);
    R.ended = R.ended | (1 << which)
}

/* lose() of queue_settle.lua. */
inline lose(late, blame)
{
    if
    :: !(blame) -> R.spared++; R.uncounted++; R.where = WAITS
    :: (blame) && R.alone == 1 && TRIES(m) >= MAX_ATTEMPTS -> R.where = (late -> DEAD_LATE : DEAD)
    :: else ->
        R.alone = (late && R.alone == 0 && BROKEN != 8 -> 2 : 1);
        R.where = (late -> LATE : WAITS)
    fi
}

/* hold_all() of it: a lease that ran out is taken up again. */
inline hold_it()
{
    R.where = LEASED;
    R.alone = (R.alone == 2 -> 0 : R.alone)
}

/* The consumer is at it; where nothing hangs, nobody need hear. */
inline begin_at(p)
{
    first[p] = true;
    if
    :: HANGS > 0 && up && lives[c] && met[c] -> mail_begun[p] = has[p]
    :: else
    fi
}

/* It is at it no longer: at the one that it was told behind it, if there is one. */
inline end_at(p)
{
    if
    :: first[p] && OTHER(p) != p && phase[OTHER(p)] == TOLD -> first[p] = false; begin_at(OTHER(p))
    :: else -> first[p] = false
    fi
}

/* It is not in the consumer's hands any more. */
inline forget_at(p)
{
    end_at(p);
    phase[p] = NOTHING;
    has[p] = 0;
    has_hand[p] = 0;
    has_alone[p] = false;
    says[p] = DONE
}

inline lost_at(c, p, a)
{
    if
    :: c != NOBODY && lives[c] && met[c] && SAME(p, a) -> forget_at(p)
    :: else
    fi
}

inline end_begin(p, what, its_attempt)
{
    ending[p] = SENT;
    outcome[p] = what;
    ending_attempt[p] = its_attempt
}

inline ending_clear(p)
{
    ending[p] = FREE;
    outcome[p] = DONE;
    ending_attempt[p] = 0;
    ending_hand[p] = 0;
    innocent[p] = false
}

inline mail_clear(p)
{
    mail[p] = false;
    mail_says[p] = DONE;
    mail_attempt[p] = 0;
    mail_hand[p] = 0
}

inline settle_at(p, what)
{
    end_at(p);
    phase[p] = SETTLED;
    says[p] = what;
    if
    :: up && met[c] -> mail[p] = true; mail_says[p] = what; mail_attempt[p] = has[p]; mail_hand[p] = has_hand[p]
    :: else
    fi
}

/* ---- what is between a consumer and a message ---- */

active [PAIRS] proctype pair()
{
    byte c = _pid / MESSAGES;
    byte m = _pid % MESSAGES;
    byte p = _pid;
end:
    do
    :: atomic { if
    /* the consumer is told of it, and says what became of it */
    :: c != NOBODY && phase[p] == HERE && !ALONE_AT(c) && (!has_alone[p] || !TOLD_TO(c)) ->
        if
        :: !TOLD_TO(c) -> phase[p] = TOLD; begin_at(p)
        :: else -> phase[p] = TOLD
        fi
    :: phase[p] == TOLD && !mail[p] ->
        if
        :: settle_at(p, DONE)
        :: agains > 0 -> agains--; settle_at(p, AGAIN)
        :: buries > 0 -> buries--; settle_at(p, BURY)
        fi
    /* the queue worker reads it */
    :: up && mail_begun[p] != 0 -> begun[p] = (hands[p] == mail_begun[p]); mail_begun[p] = 0
    :: up && mail[p] && mail_begun[p] == 0 && ending[p] == FREE ->
        if
        :: hands[p] == mail_attempt[p] -> hands[p] = 0; begun[p] = false; hand_alone[p] = false
        :: else
        fi;
        ending_hand[p] = mail_hand[p];
        end_begin(p, mail_says[p], mail_attempt[p]);
        mail_clear(p)
    /* what it has hung over is another's */
    :: up && hangs > 0 && c != NOBODY && hands[p] != 0 && (begun[p] || BROKEN == 9) && phase[p] == TOLD && has[p] == hands[p] && ending[p] == FREE ->
        hangs--;
        assert(first[p]);
        ending_hand[p] = has_hand[p];
        end_begin(p, BLAMED, hands[p]);
        hands[p] = 0; begun[p] = false;
        hand_alone[p] = false
    /* Redis does it */
    :: up && ending[p] == SENT && adopting[p] == 0 ->
        if
        :: outcome[p] == DONE && COUNTS(m, ending_attempt[p]) -> end_hand(ending_hand[p]); R.where = GONE
        :: outcome[p] == BURY && COUNTS(m, ending_attempt[p]) -> end_hand(ending_hand[p]); R.where = DEAD
        :: outcome[p] == AGAIN && COUNTS(m, ending_attempt[p]) && R.where != DEAD_LATE ->
            end_hand(ending_hand[p]);
            R.where = (TRIES(m) < MAX_ATTEMPTS -> WAITS : DEAD);
            R.alone = 0
        :: (outcome[p] == BACK || outcome[p] == BLAMED) && R.attempt == ending_attempt[p] && R.where == LEASED ->
            end_hand(ending_hand[p]);
            lose(false, outcome[p] == BLAMED);
            assert(R.where != DEAD || !innocent[p])
        :: else
        fi;
        ending[p] = RUN
    /* and it hears of that */
    :: up && ending[p] == RUN -> lost_at(c, p, ending_attempt[p]); ending_clear(p)
    :: up && cuts > 0 && (ending[p] == SENT || ending[p] == RUN) -> cuts--; ending[p] = KEPT
#if BROKEN == 7
    :: up && ending[p] == KEPT -> lost_at(c, p, ending_attempt[p]); ending_clear(p)
#else
    :: up && ending[p] == KEPT -> ending[p] = SENT
#endif
    /* a successor takes over what it was told of */
    :: up && adopting[p] != 0 ->
        if
        :: (R.attempt == adopting[p] && (R.where == LEASED || R.where == LATE)) || BROKEN == 3 -> hold_it(); R.owner = generation
        :: else ->
            if
            :: hands[p] == adopting[p] -> hands[p] = 0; begun[p] = false; lost_at(c, p, adopting[p])
            :: else
            fi
        fi;
        adopting[p] = 0
    :: up && adopting[p] != 0 && cuts > 0 -> cuts--; adopting[p] = 0
    /* leases are renewed; only where that changes something */
    :: up && hands[p] != 0 && adopting[p] == 0 && R.attempt == hands[p] && R.where == LATE -> hold_it()
    :: up && hands[p] != 0 && adopting[p] == 0 && !(R.attempt == hands[p] && (R.where == LEASED || R.where == LATE)) ->
        lost_at(c, p, hands[p]);
        hands[p] = 0; begun[p] = false;
        hand_alone[p] = false
    fi }
    od
}

/* ---- of each message ---- */

/* Redis gives it to this generation; or the message is among those that nobody here knows. */
inline hand_out()
{
    assert(R.where == WAITS || R.where == LATE);
    R.hand++;
    assert(R.hand - R.uncounted <= MAX_ATTEMPTS + 1);
#if BROKEN != 1
    R.attempt++;
#endif
    R.where = LEASED;
    R.owner = generation;
    R.alone = (R.alone == 2 -> 1 : R.alone);
    answer[m] = (BROKEN == 1 -> R.attempt + 1 : R.attempt);
    assert(answer[m] > R.named);
    R.named = answer[m]
}

inline disown(whose)
{
    if
    :: R.where == LEASED && (whose) && (!KNOWN(m, R.attempt) || BROKEN == 4) ->
        assert(!HOLDS(0, m) && !HOLDS(1, m));
        end_hand(R.hand);
        lose(false, false)
    :: else
    fi
}

inline each_disowned(whose)
{
    m = 0;
    do
    :: m < MESSAGES -> disown(whose); m++
    :: else -> break
    od;
    m = 0
}

inline hand_to(to)
{
    hands[P(to, m)] = answer[m];
    begun[P(to, m)] = false;
    hand_alone[P(to, m)] = (R.alone == 1);
    hand_number[P(to, m)] = R.hand;
    if
    :: lives[to] && phase[P(to, m)] == NOTHING ->
        phase[P(to, m)] = HERE;
        has[P(to, m)] = answer[m];
        has_hand[P(to, m)] = R.hand;
        has_alone[P(to, m)] = (R.alone == 1)
    :: !lives[to] -> neighbour[P(to, m)] = false /* whether it was told of that nobody knows */
    fi
}

#define MAY_HAVE(c) (met[c] && ROOM(c) && hands[P(c, m)] == 0 && (phase[P(c, m)] == NOTHING || !lives[c]))

active [MESSAGES] proctype course()
{
    byte m = _pid - PAIRS;
end:
    do
    :: atomic { if
    :: up && !lost_answer && !TAKEN(m) && (R.where == WAITS || R.where == LATE) && (MAY_HAVE(0) || MAY_HAVE(1) || behind == m + 1) -> behind = 0; hand_out()
    /* while there is nothing: it is sent for who may have something now */
    :: up && !lost_answer && !TAKEN(m) && behind == 0 && R.where != WAITS && R.where != LATE && (MAY_HAVE(0) || MAY_HAVE(1)) -> behind = m + 1
    :: up && TAKEN(m) ->
        if
        :: MAY_HAVE(0) -> hand_to(0)
        :: MAY_HAVE(1) -> hand_to(1)
        :: !MAY_HAVE(0) && !MAY_HAVE(1) && ending[P(NOBODY, m)] == FREE ->
            ending_hand[P(NOBODY, m)] = R.hand;
            end_begin(P(NOBODY, m), BACK, answer[m])
        fi;
#if BROKEN == 1
        R.attempt++;
#endif
        answer[m] = 0
    :: behind_dead && (R.where == WAITS || R.where == LATE) ->
        behind_dead = false;
        hand_out();
        R.owner = (up -> generation - 1 : generation);
        answer[m] = 0
    :: up && TAKEN(m) && cuts > 0 -> cuts--; answer[m] = 0; behind = 0; lost_answer = (BROKEN != 6)
    :: expiries > 0 && R.where == LEASED -> expiries--; lose(true, true)
    fi }
    od
}

/* ---- consumers ---- */

active [CONSUMERS] proctype consumer()
{
    byte c = _pid - PAIRS - MESSAGES;
    byte m, told;
    d_step { if
    :: !COMES(c) -> lives[c] = false
    :: else
    fi }
end:
    do
    :: atomic { if
    /* it meets a queue worker: HELD, and SETTLE again. What waits to be alone, and is not yet, goes back. */
    :: up && lives[c] && !met[c] ->
        met[c] = true;
        m = 0;
        do
        :: m < MESSAGES ->
            if
            :: phase[P(c, m)] == HERE && has_alone[P(c, m)] && BROKEN != 5 -> settle_at(P(c, m), BACK)
            :: phase[P(c, m)] == NOTHING
            :: else ->
                hands[P(c, m)] = has[P(c, m)];
                hand_number[P(c, m)] = has_hand[P(c, m)];
                adopting[P(c, m)] = has[P(c, m)];
                begun[P(c, m)] = false;
                if
                :: first[P(c, m)] -> begin_at(P(c, m))
                :: else
                fi;
                if
                :: phase[P(c, m)] == SETTLED -> settle_at(P(c, m), says[P(c, m)])
                :: else
                fi
            fi;
            m++
        :: else -> break
        od;
        m = 0
    :: lives[c] && deaths > 0 ->
        deaths--;
        lives[c] = false;
        m = 0;
        do
        :: m < MESSAGES -> neighbour[P(c, m)] = (MESSAGES > 1 && AT(c, MESSAGES - 1 - m)); m++
        :: else -> break
        od;
        m = 0;
        do
        :: m < MESSAGES -> forget_at(P(c, m)); m++
        :: else -> break
        od;
        m = 0
    /* a queue worker that knows it hears of its death, when it has read all that it had said */
    :: up && !lives[c] && met[c] && READY(P(c, 0)) && READY(P(c, MESSAGES - 1)) ->
        met[c] = false;
        told = (hands[P(c, 0)] != 0) + (MESSAGES > 1 && hands[P(c, MESSAGES - 1)] != 0);
        m = 0;
        do
        :: m < MESSAGES ->
            if
            :: hands[P(c, m)] != 0 ->
                ending_hand[P(c, m)] = hand_number[P(c, m)];
                end_begin(P(c, m), (hand_alone[P(c, m)] && told > 1 -> BACK : BLAMED), hands[P(c, m)]);
                innocent[P(c, m)] = neighbour[P(c, m)]
            :: else
            fi;
            hands[P(c, m)] = 0; begun[P(c, m)] = false;
            hand_alone[P(c, m)] = false;
            neighbour[P(c, m)] = false;
            m++
        :: else -> break
        od;
        m = 0;
        told = 0
    :: !lives[c] && !met[c] && COMES(c) ->
        lives[c] = true;
        neighbour[P(c, 0)] = false;
        neighbour[P(c, MESSAGES - 1)] = false
    fi }
    od
}

/* ---- the queue worker's life, and what it looks at as a whole ---- */

active proctype world()
{
    byte m, p;
end:
    do
    :: atomic { if
    :: up && crashes > 0 ->
        crashes--;
        up = false;
        lost_answer = false;
        behind_dead = (behind != 0);
        behind = 0;
        orphans = false;
        p = 0;
        do
        :: p < PAIRS -> hands[p] = 0; begun[p] = false; hand_alone[p] = false; adopting[p] = 0; ending_clear(p); mail_clear(p); mail_begun[p] = 0; p++
        :: else -> break
        od;
        p = 0;
        answer[0] = 0;
        answer[MESSAGES - 1] = 0;
        met[0] = false;
        met[1] = false
    :: !up -> up = true; generation++; orphans = true
    :: up && orphans && NOBODY_SENT && !ADOPTS(0) && !ADOPTS(1) ->
        orphans = false;
        behind_dead = false;
        each_disowned(R.owner != generation)
    :: up && lost_answer && NOBODY_SENT && !ADOPTS(0) && !ADOPTS(1) && !TAKEN(0) && !TAKEN(MESSAGES - 1) ->
        lost_answer = false;
        each_disowned(R.owner == generation)
    fi }
    od
}

#define ENDED(m) (redis[m].where == GONE || redis[m].where == DEAD || redis[m].where == DEAD_LATE)

active proctype judge()
{
    timeout -> assert(ENDED(0) && ENDED(MESSAGES - 1))
}
