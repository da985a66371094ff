/*
 * jobs.pml: jobs in RQ's keys (proto/jobs/JOBS.md) as a model for spin; `make check-model-jobs` checks it.
 *
 * JOBS jobs of one queue, two sanjers, a keeper, and a client of RQ's who cancels, deletes, requeues and makes again. Each step is what is atomic in reality:
 * one script, one transaction of RQ's, one answer that is heard. A sanjer may die between any two steps (CRASHES times in all), the keeper too (KEEPERS), and
 * one with its host, of which nobody hears (HOSTS). A lease may run out while its holder works on (EXPIRIES); of a call the answer may be lost, or the call itself (CUTS). Attempts fail and go again (AGAINS), or
 * are handed back (BACKS); we cancel (CANCELS), and RQ does (RQ_CANCELS, DELETES, REQUEUES, MADE).
 *
 * What must hold, in every order of steps:
 *   kept     when nothing moves any more, each job has ended, or RQ has deleted it: nothing of it waits, is in flight, or runs
 *   alone    an attempt begins while no other of that job runs; one whose lease is over, or that RQ has taken away, hears of that with its next beat
 *   begun    what is told of an attempt is of one that has run, and has the job still
 *   once     a job ends once, until somebody has it run again
 *   bounded  attempts whose owner died are at most LOST_MAX and one, from the beginning or from when somebody had it run again
 *
 * Where a step is in the code:
 *   claim, heard           jobs_take.lua; sanjer.c: the answer, or a lost one, after which is handed back what is in its name (adopt)
 *   beat                   jobs_beat.lua; sanjer.c: what it hears ends the process
 *   over, tell             sanjer_end.c, jobs_finish.lua, which claims too where it counts; told again until an answer has come, but then without a claim
 *   adopt, down, late      jobs_orphans.lua: by a successor, by the keeper at DOWN, by the keeper when a lease is over
 *   due                    jobs_due.lua
 *   look, act              RQ's Job.cancel, Job.delete: the status is read first, and says what the transaction takes the job out of
 *
 * Left out: turns (their suites are exact), scripts that Redis refuses in the middle (tests of the Nth write), functions of RQ's.
 *
 * -DBROKEN=n takes one rule away; check-model demands that each is caught:
 *   1 an end counts whoever tells it                 2 an end counts of whichever attempt
 *   3 the keeper takes what has a lease still         4 a death hands on what others have
 *   5 a claim does not look whether it is in flight   6 a claim does not look whether it waits
 *   7 whose end does not count claims with it         8 nobody looks at leases
 */
#ifndef JOBS
#define JOBS 1
#endif
#define SANJERS 2
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef KEEPERS
#define KEEPERS 0
#endif
#ifndef HOSTS
#define HOSTS 0
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
#ifndef BACKS
#define BACKS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef RQ_CANCELS
#define RQ_CANCELS 0
#endif
#ifndef DELETES
#define DELETES 0
#endif
#ifndef REQUEUES
#define REQUEUES 0
#endif
#ifndef MADE
#define MADE 0
#endif
#ifndef LOST_MAX
#define LOST_MAX 1
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#define NOBODY SANJERS

mtype = {QUEUED, STARTED, SCHEDULED, FINISHED, FAILED, STOPPED, CANCELED, DELETED};
mtype = {END_WELL, END_ILL, END_STOPPED, AGAIN, AGAIN_LATER, BACK}; /* how an attempt ends */
mtype = {IDLE, CLAIMS, RUNS, OVER, TELLS};                     /* of a sanjer */
mtype = {NONE, CANCEL, DELETE};                                /* what RQ's client is about to do */

/* ---- Redis ---- */

typedef job {
    mtype status = QUEUED;
    byte list = 1;  /* how often its id waits */
    bool wip;
    bool late;      /* its lease is over */
    bool scheduled;
    byte attempt;
    byte owner = NOBODY;
    byte generation; /* of its owner */
    byte ended;
    byte lost;
    bool stop;
    bool over;      /* it has had its end: who claims it again begins anew */
    bool has_ended; /* not in Redis, as all below: since it was made, or made to run again */
    byte ran;       /* attempts that have begun, one bit each */
}
job redis[JOBS];

/* ---- sanjers; all but `generation` dies with them ---- */

bool up[SANJERS] = true;
bool host = true;           /* of sanjer 0 */
byte generation[SANJERS] = 1;
mtype at[SANJERS] = IDLE;
bool adopted[SANJERS] = true;
byte has[SANJERS];          /* the job */
byte attempt[SANJERS];
mtype how[SANJERS] = END_WELL;
bool retold[SANJERS];
bool counts[SANJERS];       /* its end has */
bool next[SANJERS];         /* its call has claimed a job */
byte next_has[SANJERS];
byte next_attempt[SANJERS];
bool excused[SANJERS];      /* not known to it: its lease is over, or RQ has taken the job away */

/* ---- the keeper; what it has heard dies with it ---- */

bool keeper = true;
bool down[SANJERS];         /* the incarnation before this one has died */

byte crashes = CRASHES, keepers = KEEPERS, hosts = HOSTS, expiries = EXPIRIES, cuts = CUTS, agains = AGAINS, backs = BACKS;
byte cancels = CANCELS, rq_cancels = RQ_CANCELS, deletes = DELETES, requeues = REQUEUES, made = MADE;

#define R          redis[j]
#define FINAL(j)   (redis[j].status == FINISHED || redis[j].status == FAILED || redis[j].status == STOPPED || redis[j].status == CANCELED)
#define RUNNING(s, j) ((at[s] == RUNS) && has[s] == (j))
#define FREE(j)    ((R.status == QUEUED || BROKEN == 6) && R.list > 0 && (!R.wip || BROKEN == 5) && R.status != DELETED)
#define MINE(s, j) ((R.owner == (s) && R.generation == generation[s] || BROKEN == 1) && (R.attempt == attempt[s] || BROKEN == 2))
/* Somebody is at it, or has heard that he is to be, or will tell of it. */
#define HELD_BY(s, j) (up[s] && (at[s] == RUNS || at[s] == OVER || at[s] == TELLS) && has[s] == (j) && R.owner == (s) && R.attempt == attempt[s] && \
                       R.generation == generation[s])
#define HELD(j)    (HELD_BY(0, j) || HELD_BY(1, j))

inline end_job(what)
{
    assert(!R.has_ended);
    R.has_ended = true;
    R.over = true;
    R.status = what
}

inline to_queue()
{
    R.list++;
    R.status = QUEUED
}

/* hold() of jobs_take.lua. */
inline claim(s)
{
    /* alone */
    assert(!RUNNING(1 - (s), j) || excused[1 - (s)]);
    if
    :: R.over -> R.over = false; R.lost = 0
    :: else
    fi;
    R.attempt++;
    R.owner = s;
    R.generation = generation[s];
    R.status = STARTED;
    R.wip = true;
    R.late = false;
    R.stop = false;
    R.list--;
    next[s] = true;
    next_has[s] = j;
    next_attempt[s] = R.attempt
}

/* Of the first ids in the list: those that do not wait are dropped, one that does is claimed; or, when it stands in a queue that has no turn, nothing. */
inline claim_some(s)
{
    j = 0;
    do
    :: j < JOBS && R.list > 0 && !FREE(j) && R.status != QUEUED -> R.list--; j++
    :: j < JOBS && FREE(j) && !next[s] -> claim(s); j++
    :: j < JOBS -> j++
    :: j >= JOBS -> break
    od;
    j = 0
}

/* jobs_orphans.lua, of one job that is in wip. */
inline lose()
{
    if
    :: R.status == DELETED
    :: R.status == STARTED && R.ended != R.attempt ->
        if
        :: R.stop -> end_job(STOPPED)
        :: !R.stop && R.lost < LOST_MAX -> R.lost++; to_queue()
        :: else -> R.lost++; end_job(FAILED)
        fi;
        assert(R.lost <= LOST_MAX + 1)
    :: else
    fi;
    R.ended = R.attempt;
    R.wip = false;
    R.late = false
}

inline orphans(whose, before)
{
    j = 0;
    do
    :: j < JOBS ->
        if
        :: R.wip && (R.status == DELETED || BROKEN == 4 || R.owner == (whose) && R.generation < (before)) -> lose()
        :: else
        fi;
        j++
    :: else -> break
    od;
    j = 0
}

/* Its process has ended, or there is none. */
inline clear(s)
{
    at[s] = IDLE;
    has[s] = 0;
    attempt[s] = 0;
    how[s] = END_WELL;
    retold[s] = false;
    excused[s] = false
}

inline clear_next(s)
{
    next[s] = false;
    next_has[s] = 0;
    next_attempt[s] = 0
}

/* An answer: what was claimed with it is run. */
inline heard(s)
{
    clear(s);
    if
    :: next[s] ->
        at[s] = RUNS;
        has[s] = next_has[s];
        attempt[s] = next_attempt[s];
        redis[next_has[s]].ran = redis[next_has[s]].ran | (1 << next_attempt[s]);
        /* It may be another's by the time when it hears of it: a lease that was over before. */
        excused[s] = (redis[has[s]].owner != s || redis[has[s]].attempt != attempt[s] || redis[has[s]].status != STARTED || redis[has[s]].late);
        assert(excused[s] || !RUNNING(1 - s, has[s]) || excused[1 - s])
    :: else
    fi;
    clear_next(s)
}

/* jobs_finish.lua, of its own job. */
inline finish(s)
{
    j = has[s];
    counts[s] = false;
    if
    :: R.status == DELETED -> R.wip = false; R.late = false
    :: R.status != DELETED && !MINE(s, j)
    :: R.status != DELETED && MINE(s, j) && R.ended == R.attempt -> counts[s] = true
    :: else ->
        counts[s] = true;
        if
        :: R.status == STARTED ->
            /* begun */
            assert(R.ran & (1 << R.attempt));
            assert(!RUNNING(1 - s, j) || excused[1 - s]);
            if
            :: how[s] == END_WELL -> end_job(FINISHED)
            :: how[s] == END_ILL -> end_job(FAILED)
            :: how[s] == END_STOPPED || (how[s] != END_WELL && how[s] != END_ILL && R.stop) -> end_job(STOPPED)
            :: how[s] == AGAIN_LATER && !R.stop -> R.scheduled = true; R.status = SCHEDULED
            :: (how[s] == AGAIN || how[s] == BACK) && !R.stop -> to_queue()
            fi
        :: else
        fi;
        R.ended = R.attempt;
        R.wip = false;
        R.late = false
    fi;
    j = 0
}

active [SANJERS] proctype sanjer()
{
    byte s = _pid;
    byte j;
end:
    do
    :: atomic { if
    /* it is woken, and claims */
    :: up[s] && at[s] == IDLE && adopted[s] && (redis[0].list > 0 || redis[JOBS - 1].list > 0) -> claim_some(s); at[s] = CLAIMS
    :: at[s] == CLAIMS -> heard(s)
    :: at[s] == CLAIMS && cuts > 0 -> cuts--; clear(s); clear_next(s); adopted[s] = false
    /* what is in its name goes back: that of incarnations before it, and what it has not heard of */
    :: up[s] && at[s] == IDLE && !adopted[s] -> orphans(s, generation[s] + 1); adopted[s] = true
    /* a beat; one that changes nothing is left out */
    :: at[s] == RUNS && redis[has[s]].status == DELETED -> at[s] = OVER; how[s] = END_WELL
    :: at[s] == RUNS && redis[has[s]].status != DELETED &&
       (redis[has[s]].owner != s || redis[has[s]].generation != generation[s] || redis[has[s]].attempt != attempt[s] || redis[has[s]].status != STARTED) ->
        at[s] = OVER;
        how[s] = END_WELL
    :: at[s] == RUNS && redis[has[s]].stop && redis[has[s]].owner == s && redis[has[s]].attempt == attempt[s] -> at[s] = OVER; how[s] = END_STOPPED
    :: at[s] == RUNS && redis[has[s]].late && redis[has[s]].wip && redis[has[s]].owner == s && redis[has[s]].attempt == attempt[s] ->
        redis[has[s]].late = false;
        excused[s] = false
    /* its process ends */
    :: at[s] == RUNS -> at[s] = OVER; how[s] = END_WELL
    :: at[s] == RUNS -> at[s] = OVER; how[s] = END_ILL
    :: at[s] == RUNS && agains > 0 -> agains--; at[s] = OVER; how[s] = AGAIN
    :: at[s] == RUNS && agains > 0 -> agains--; at[s] = OVER; how[s] = AGAIN_LATER
    :: at[s] == RUNS && backs > 0 -> backs--; at[s] = OVER; how[s] = BACK
    /* that is told, and the same call claims the next; whoever is being stopped does not */
    :: at[s] == OVER ->
        finish(s);
        if
        :: how[s] != BACK && (counts[s] && !retold[s] || BROKEN == 7) -> claim_some(s)
        :: else
        fi;
        counts[s] = false;
        at[s] = TELLS
    :: at[s] == OVER && cuts > 0 -> cuts--; retold[s] = true; adopted[s] = false
    :: at[s] == TELLS -> heard(s)
    :: at[s] == TELLS && cuts > 0 -> cuts--; clear_next(s); retold[s] = true; adopted[s] = false; at[s] = OVER
    /* it dies, and with it its process */
    :: up[s] && crashes > 0 -> crashes--; up[s] = false; clear(s); clear_next(s); adopted[s] = true; down[s] = keeper
    :: up[s] && s == 0 && hosts > 0 -> hosts--; host = false; up[s] = false; clear(s); clear_next(s); adopted[s] = true
    :: !up[s] && (host || s != 0) -> up[s] = true; generation[s]++; adopted[s] = false
    fi }
    od
}

inline due()
{
    R.scheduled = false;
    if
    :: R.status == SCHEDULED -> to_queue()
    :: else
    fi;
    j = 0
}

active proctype the_keeper()
{
    byte s, j;
end:
    do
    :: atomic { if
    :: keeper && down[0] -> orphans(0, generation[0] + !up[0]); down[0] = false
    :: keeper && down[1] -> orphans(1, generation[1] + !up[1]); down[1] = false
    :: keeper && (down[0] || down[1]) && cuts > 0 -> cuts--; down[0] = false; down[1] = false
    :: keeper && keepers > 0 -> keepers--; keeper = false; down[0] = false; down[1] = false
    :: !keeper -> keeper = true
    :: keeper && redis[0].scheduled -> j = 0; due()
    :: keeper && JOBS > 1 && redis[JOBS - 1].scheduled -> j = JOBS - 1; due()
#if BROKEN == 3
    :: keeper && redis[0].wip -> j = 0; lose()
#elif BROKEN != 8
    :: keeper && redis[0].wip && redis[0].late -> j = 0; lose()
    :: keeper && JOBS > 1 && redis[JOBS - 1].wip && redis[JOBS - 1].late -> j = JOBS - 1; lose(); j = 0
#endif
    fi }
    od
}

/* A lease runs out; by itself where nobody renews it. */
active [JOBS] proctype lease()
{
    byte j = _pid - SANJERS - 1;
end:
    do
    :: atomic { if
    :: R.wip && !R.late && !HELD(j) -> R.late = true
    :: R.wip && !R.late && HELD(j) && expiries > 0 ->
        expiries--;
        R.late = true;
        if
        :: at[R.owner] == RUNS -> excused[R.owner] = true
        :: else
        fi
    fi }
    od
}

/* RQ took it from whoever runs it, who hears of that with his next beat. */
inline taken_away()
{
    if
    :: RUNNING(0, j) -> excused[0] = true
    :: else
    fi;
    if
    :: RUNNING(1, j) -> excused[1] = true
    :: else
    fi
}

inline out_of(looked)
{
    R.list = 0;
    if
    :: looked == STARTED -> R.wip = false; R.late = false
    :: looked == SCHEDULED -> R.scheduled = false
    :: else
    fi
}

active proctype client()
{
    byte j;
    mtype wants = NONE, looked = QUEUED;
end:
    do
    :: atomic { if
    /* ours: jobs_cancel.lua */
    :: cancels > 0 && redis[0].status != DELETED && !FINAL(0) ->
        cancels--;
        if
        :: R.status == STARTED -> R.stop = true
        :: else -> R.list = 0; R.scheduled = false; end_job(CANCELED)
        fi
    /* RQ's */
    :: wants == NONE && rq_cancels > 0 && R.status != DELETED && !FINAL(0) -> rq_cancels--; wants = CANCEL; looked = R.status
    :: wants == NONE && deletes > 0 && R.status != DELETED -> deletes--; wants = DELETE; looked = R.status
    :: wants == CANCEL ->
        wants = NONE;
        taken_away();
        out_of(looked);
        R.status = CANCELED;
        R.has_ended = true; /* should it have ended since the look, RQ makes that a cancellation */
        looked = QUEUED
    :: wants == DELETE ->
        wants = NONE;
        taken_away();
        out_of(looked);
        R.status = DELETED;
        R.attempt = 0;
        R.owner = NOBODY;
        R.generation = 0;
        R.ended = 0;
        R.lost = 0;
        R.stop = false;
        R.over = false;
        looked = QUEUED
    /* Queue.enqueue_job does not ask whether it waits already */
    :: wants == NONE && requeues > 0 && R.status == QUEUED -> requeues--; R.list++
    /* Job.requeue; of what is canceled, Queue.enqueue_job */
    :: wants == NONE && requeues > 0 && (R.status == FAILED || R.status == STOPPED || R.status == CANCELED) ->
        requeues--;
        R.has_ended = false;
        to_queue()
    /* one of the same name is made */
    :: wants == NONE && made > 0 && R.status == DELETED -> made--; R.has_ended = false; R.ran = 0; to_queue()
    fi }
    od
}

#define ENDED(j) ((FINAL(j) || redis[j].status == DELETED) && redis[j].list == 0 && !redis[j].wip && !redis[j].scheduled)

active proctype judge()
{
    timeout -> assert(ENDED(0) && ENDED(JOBS - 1));
    assert(at[0] == IDLE && at[1] == IDLE)
}
