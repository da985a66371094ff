/*
 * cache_far_private.h: what the files of cache_far share: workers, calls, and the lists in which these are.
 *
 * Runs in a cache node. cache_far.c has calls, their answers and whom they are sent to; cache_far_say.c has what is
 * said, and when there is room for it.
 */
#ifndef WORKERS_CACHE_FAR_PRIVATE_H
#define WORKERS_CACHE_FAR_PRIVATE_H

#include "workers/cache/cache_far.h"

enum far_kind { FAR_CHECK, FAR_PUT, FAR_GET, FAR_ERASE };

struct far_list {
    struct backing_call *first, *last;
    size_t count, bytes;
};

/* A live backing worker. */
struct far_worker {
    struct far_worker *next;
    struct worker_peer *peer;
    uint32_t seed;
    struct far_list sent, waiting;
};

struct far_backing {
    struct backing head;
    struct worker *w;
    char none_alive[BACKING_WHY_SIZE];
    size_t sent_max; /* calls at one worker */
    struct far_worker *workers;
    size_t worker_count;
    struct far_list homeless; /* answered in the loop's next turn: see `verdict` */
    uint64_t last_token;
    size_t calls;
    bool closing;
};

/* One call; in a list of its worker's, or homeless. */
struct backing_call {
    struct backing_call *next, *before;
    struct far_backing *far;
    struct far_worker *worker; /* NULL: homeless */
    bool is_sent;
    enum far_kind kind;
    uint64_t token;
    uv_timer_t timer;
    uint64_t timeout_ms, deadline_ms; /* uv_now */
    struct slice value;               /* the caller's */
    struct backing_meta meta;
    backing_answer_fn fn;
    void *ctx;
    enum backing_result verdict; /* of the homeless */
    const char *why;
    size_t key_len;
    char key[];
};

/* A call in and out of the list that it belongs to: of its worker's, or the homeless. */
void cache_far_append(struct backing_call *call);
void cache_far_remove(struct backing_call *call);

/* Answered in one of the loop's next turns. `why` is a text that lasts. */
void cache_far_make_homeless(struct backing_call *call, enum backing_result result,
                             const char *why);

/* Says what waits for this worker, as far as there is room. */
void cache_far_go(struct far_worker *worker);

/* Nobody waits for a call that was sent. */
void cache_far_say_cancel(struct backing_call *call);

#endif
