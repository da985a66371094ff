/*
 * cache_turn.h: what all clients of a cache node share of one turn of the loop.
 *
 * Runs in a cache node. A turn is one round of the loop: clients that have sent something execute it (cache_client.c),
 * and at its end, after the poll phase, the log is written with one write, and then each client's replies with one: no
 * acknowledgement leaves before what it acknowledges is in the log. With fsync = always the replies of those who wrote
 * wait until the log's thread has come so far. When the log cannot be written, what the turn's writes would have
 * acknowledged becomes an error; reads go on. In a ring the answers of a turn, reads too, go only while the node's
 * lease runs: else they become errors. With copies = 2 who has written, or read what has no second copy yet, waits for
 * that, at most the cache's timeout (cache_second.h).
 */
#ifndef WORKERS_CACHE_TURN_H
#define WORKERS_CACHE_TURN_H

#include "workers/cache/cache_client.h"

#define CACHE_TURN_COMMANDS 1024               /* of one client: then it goes on in the next turn */
#define CACHE_TURN_REPLIES  ((size_t)1 << 20)  /* bytes, the same */
#define CACHE_TURN_LOG      ((size_t)16 << 20) /* bytes, of all clients */
#define CACHE_TURN_SPARES   64

/* Where in a client's reply the answer to a write stands; in a ring to a read, too. */
struct cache_turn_write {
    struct cache_client *client;
    size_t from, to;
    uint64_t end;   /* cache_log_added behind it; 0: it has written nothing */
    uint64_t copy;  /* so far second copies must be (cache_second_end); 0: it needs none */
    uint64_t at_ms; /* uv_now */
};

/*
 * What somebody is told who is no client: a worker that called, the tool that asked. The first member of what is
 * allocated by malloc; freed here only when the node ends before it is told.
 */
struct cache_turn_answer {
    struct cache_turn_answer *next;
    uint64_t log_end; /* cache_log_added after what it acknowledges; 0: nothing */
    uint64_t copy;    /* as cache_turn_write's */
    uint64_t at_ms;
    /* Once. NULL: the log has it; else why it is not acknowledged, a line with its code. */
    void (*go)(struct cache_turn_answer *a, const char *refused);
};

struct cache_turn {
    struct cache_node *node;
    uv_check_t check;
    uv_idle_t idle; /* active while a client has more to execute, so that the loop does not wait */
    struct cache_client *ready;   /* have something to write */
    struct cache_client *more;    /* have something to execute in the next turn */
    struct cache_client *syncing; /* replies wait for the log's thread */
    struct cache_turn_answer *answers, *last_answer; /* wait as replies do, in order */
    size_t answer_count;
    struct cache_turn_write *writes;
    size_t write_count, write_capacity;
    struct buffer spares
        [CACHE_TURN_SPARES]; /* for replies: a client has one only while it has something to say */
    size_t spare_count;
    uint64_t dropped,
        dropped_before;  /* clients that did not read; of them those the log knows of */
    uint64_t late_round; /* of those who have waited too long for second copies */
    bool failed;         /* the log cannot be written: writes are refused */
    bool began;          /* cache_db knows this turn's time */
};

/* 0, or a negative libuv error. */
int cache_turn_start(struct cache_turn *t, struct cache_node *n);

/* Ends the turn now: the log is written, and what is answered goes, as at any turn's end. */
void cache_turn_finish(struct cache_turn *t);

/* It ends for good, and is in no list any more. */
void cache_turn_remove(struct cache_client *c);

/* No more turns; closes its handles. cache_turn_free when they are closed. */
void cache_turn_stop(struct cache_turn *t);
void cache_turn_free(struct cache_turn *t);

/* Before the first command of a turn: what time it is. */
void cache_turn_begin(struct cache_turn *t);

/* It has something to write, or to end, at the end of the turn. */
void cache_turn_ready(struct cache_client *c);

/* It ends with this turn. `now`: what it has not read is lost. */
void cache_turn_end(struct cache_client *c, bool now);

/* It has something to execute in the next turn. */
void cache_turn_more(struct cache_client *c);

/*
 * What is to be written at its end is so much that the rest waits for the next turn: also a byte appended to a large
 * object is all of it once more. Never while the log cannot be written, for reads go on.
 */
bool cache_turn_is_full(const struct cache_turn *t);

/*
 * It has written to the log, up to there: its reply's bytes from `from` on must not go before. 0: it has not; they must
 * not go when the lease is over. `copy`: nor before second copies are that far.
 */
void cache_turn_wrote(struct cache_client *c, size_t from, uint64_t end, uint64_t copy);

/* Whether second copies are that far; without them always. */
bool cache_turn_is_copied(const struct cache_turn *t, uint64_t copy);

/* To be told when a client's reply of this turn could go. Takes it. `go` gives no further one. */
void cache_turn_answer(struct cache_turn *t, struct cache_turn_answer *a);

/* The log's thread has come further (cache_log_events.on_synced). */
void cache_turn_synced(struct cache_turn *t);

/* A buffer for a client's replies of this turn; and back, when they are written. */
void cache_turn_lend(struct cache_turn *t, struct buffer *b);
void cache_turn_return(struct cache_turn *t, struct buffer *b);

/* Once a second: says how many were dropped. */
void cache_turn_tick(struct cache_turn *t);

#endif
