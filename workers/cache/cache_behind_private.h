/*
 * cache_behind_private.h: the write-behind as the files that make it up know it: cache_behind.c, what is put and when;
 * cache_behind_answer.c, which judges what comes of it; cache_behind_letter.c, dead letters; cache_behind_idle.c, what
 * leaves memory. Nobody else includes it.
 *
 * Runs in a cache node.
 */
#ifndef WORKERS_CACHE_BEHIND_PRIVATE_H
#define WORKERS_CACHE_BEHIND_PRIVATE_H

#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_pace.h"

#define BEHIND_LETTERS 256u /* dead letters of which the reason is known */
#define BEHIND_SHORT_MS                                                                            \
    100u /* memory was, or an older one of that key goes first: try again then */
#define BEHIND_LOOK_MS                                                                             \
    1000u                  /* to the next look at what another node has, twice as long each time, */
#define BEHIND_LOOK_MAX 5u /* so many times */

/* Objects that wait for another try; others join the dirty again. */
#define BEHIND_FAILED_MAX 1024u

/* One object that is being stored, or waits for another try. The value is a copy: it may be written meanwhile. */
struct behind_put {
    struct behind_put *next;
    struct cache_behind *b;
    struct backing_call *call; /* NULL: it waits */
    char *value;
    size_t value_len, key_len;
    struct backing_meta meta;
    unsigned failures;     /* in a row */
    unsigned looks;        /* at the store, which had nothing newer, though another node has it */
    uint64_t others_taken; /* by the store before the first of them */
    uint64_t others_away;  /* calls that were AWAY before that */
    uint64_t at_ms;        /* when it is tried again */
    bool asked;            /* what was written meanwhile is due at once */
    bool lost;             /* what it was of is a stray, and another object has its key */
    char key[];
};

struct behind_list {
    struct behind_put *first, **end;
    unsigned count;
};

/* Why one is a dead letter. */
struct behind_letter {
    char *text; /* its key, and behind that the reason with a NUL */
    size_t key_len;
};

/* Whether the store could be asked for what leaves memory: it is, for one that would. */
struct behind_sure {
    struct backing_call *call; /* NULL: none is under way */
    uint64_t until_ms;         /* it is sure */
    uint64_t at_ms;            /* not asked before that, */
    unsigned failures;         /* for so many have failed in a row */
};

struct cache_behind {
    struct cache_db *db;
    struct backing *store;
    struct cache_behind_options options;
    struct cache_behind_counts counts;
    uv_timer_t timer;
    bool timed;
    bool quiet;  /* the timer goes slowly */
    bool leaves; /* something is to leave memory, or not all has been looked at */
    uint64_t mono_ms;
    struct behind_list flying, failed;
    size_t flying_bytes;
    struct cache_pace pace;
    uint64_t probes, random;
    uint64_t aways; /* calls that were AWAY */
    int64_t all_ms; /* what got dirty until then is due */
    bool hurry;
    bool pressed; /* there was more than may be: until half of that is left */
    struct behind_sure sure;
    char why[BACKING_WHY_SIZE];
    struct behind_letter letters[BEHIND_LETTERS];
    unsigned letter_next;
    uint64_t logged_ms; /* the second that is counted */
    unsigned logged;
};

static inline struct slice cache_behind_key(const struct behind_put *p)
{
    return slice_make(p->key, p->key_len);
}

/*
 * ---- cache_behind.c ----
 * What time it is: clock_mono_ms, or, without a timer, what cache_behind_work was told last; microseconds since 1970.
 */
uint64_t cache_behind_now(struct cache_behind *b);
int64_t cache_behind_wall_us(void);

/* Spreads pauses, no more; without a clock always the same. */
uint32_t cache_behind_random(struct cache_behind *b);

/* Its work is done in the next round of the loop: what this one has written is in the log then. */
void cache_behind_soon(struct cache_behind *b);

/* To the end of a list that owns it then, and out of the one it is in: it is the caller's. */
void cache_behind_push(struct behind_list *list, struct behind_put *p);
void cache_behind_pull(struct behind_list *list, struct behind_put *p);

/* Not now: it waits so long for another try; of more than may wait it joins the dirty again. */
void cache_behind_wait(struct cache_behind *b, struct behind_put *p, uint64_t pause_ms);

/* Freed; it is in no list. */
void cache_behind_end(struct behind_put *p);

/*
 * ---- cache_behind_answer.c ----
 * As backing_answer_fn, of a put; ctx is its behind_put, in `flying` until then.
 */
void cache_behind_on_answer(const struct backing_answer *answer, void *ctx);

/* So too, of a get of what another node has. */
void cache_behind_on_look(const struct backing_answer *answer, void *ctx);

/*
 * ---- cache_behind_letter.c ----
 * This one is a dead letter, and why: noted and logged. And, when a second is over, how many more there were than the
 * log has named.
 */
void cache_behind_note_letter(struct cache_behind *b, struct slice key, const char *why);
void cache_behind_log_more(struct cache_behind *b);

/*
 * ---- cache_behind_idle.c ----
 * What nobody uses leaves memory, a little of it. And: the store has answered just now, so that it may.
 */
void cache_behind_idle(struct cache_behind *b);
void cache_behind_is_sure(struct cache_behind *b);

#endif
