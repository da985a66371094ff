/*
 * queue_worker.h: what the files of the queue worker share.
 *
 * queue.c         its life, and what consumers say
 * queue_hands.c   which consumer has what in its hands
 * queue_taking.c  messages are taken from Redis, and handed to consumers; what to do while there are none
 * queue_backbones.c  who answers for the queue is told how long messages wait
 * queue_ending.c  what becomes of them is told to Redis, until it has heard; leases
 */
#ifndef WORKERS_QUEUE_QUEUE_WORKER_H
#define WORKERS_QUEUE_QUEUE_WORKER_H

#include "proto/queue/queue_answer.h"
#include "workers/queue/queue_redis.h"
#include "workers/queue/queue_waits.h"

/* Most messages of one call that takes, settles or renews. */
#define QUEUE_BATCH 256

#define QUEUE_REASON_SIZE 256
#define QUEUE_ERROR_SIZE  512

/* A message in a consumer's hands. */
struct queue_hand {
    struct queue_hand *next;
    char id[QUEUE_ID_MAX + 1];
    uint64_t attempt;
    uint64_t
        since_ms; /* that the consumer is at it, clock_mono_ms; 0: it is not, as far as it tells */
    bool alone;
};

/* Of a consumer: its peer's `user`. */
struct queue_consumer {
    uint64_t allowed; /* messages that it may have been handed in all (TAKE) */
    uint64_t handed;
    struct queue_hand *first, **last; /* oldest first */
    size_t count;
    bool alone; /* has one that must be by itself: is handed nothing else */
};

struct queue_ending;

struct queue_worker {
    struct worker *w;
    struct queue_redis redis;
    struct queue_call call; /* being put together */
    struct slice name;
    char turns[QUEUE_SPACE_SIZE + CONTRACT_NAME_MAX + 16];
    uint64_t lease_ms, work_max_ms, wait_max_ms;
    size_t in_hands;

    /* What files below call of those above: queue_take, and queue_note of queue.c. */
    void (*take)(struct queue_worker *q);
    /* A call was refused: the trouble of this worker; a queue that is not there is registered again. */
    void (*note)(struct queue_worker *q, const redisReply *reply, const char *why);

    /* queue_taking.c */
    bool taking;
    uint64_t wanted; /* of the call that is under way */
    uint64_t waits_begun;
    bool put_off;     /* the take behind the wait is to find nothing */
    unsigned in_vain; /* looks in a row that found turns and no message */
    bool lost_answer; /* of a take: what was in it is still ours in Redis */
    uv_timer_t timer; /* something falls due, or is looked at again */
    struct queue_waits waits;
    uint64_t told_p50_ms, told_p99_ms;

    /* queue_ending.c */
    struct queue_ending *acks;              /* of this turn; NULL: none */
    struct queue_ending *kept, **kept_last; /* that Redis has not heard */
    size_t ending;                          /* under way */
    uv_timer_t flush;
    uint64_t renewed_ms;

    /* queue.c */
    bool looking; /* at the queue's numbers */
    uint64_t looked_ms;
    struct queue_status status; /* numbers only */
    uv_timer_t orphans;         /* what earlier incarnations had goes back */
    bool disowned;
    char error[QUEUE_ERROR_SIZE];
};

/* ---- queue_hands.c ---- */

/* Of a peer; made when it has none. */
struct queue_consumer *queue_consumer_of(struct queue_worker *q, struct worker_peer *peer);
void queue_hand_add(struct queue_worker *q, struct queue_consumer *c, struct slice id,
                    uint64_t attempt, bool alone);
/* The consumer is at it now. What it does not have is none of its. */
void queue_hand_begin(struct queue_consumer *c, struct slice id, uint64_t attempt);
/* The first that it has been at for longer than that; NULL: none. */
const struct queue_hand *queue_hand_late(const struct queue_consumer *c, uint64_t most_ms);
/* Takes it out of the consumer's hands; freed by the caller. NULL: it has none such. */
struct queue_hand *queue_hand_take(struct queue_worker *q, struct queue_consumer *c,
                                   struct slice id, uint64_t attempt);
/* The first of all; then the oldest, and NULL. */
struct queue_hand *queue_hand_pop(struct queue_worker *q, struct queue_consumer *c);
/* Messages that the consumer may be handed now. */
uint64_t queue_consumer_room(const struct queue_consumer *c);

/* ---- queue_taking.c ---- */

/* Takes messages when somebody may be handed some and nobody is at it; else sees to it that it is woken. */
void queue_take(struct queue_worker *q);
/*
 * A consumer is gone: what stands behind the wait was for it too, and is to take nothing. Before what it had goes back,
 * which would be taken for nobody, and be another hand-out.
 */
void queue_put_off(struct queue_worker *q);
void queue_on_list(void *state, bool seen);
void queue_on_timer(uv_timer_t *timer);
/* Puts on `queue_call` each receipt that is in hands, or not told to Redis yet. */
void queue_add_known(struct queue_worker *q);

/* ---- queue_backbones.c ---- */

/* Asks for that worker of the backbone; when it is up it is told, and the next asked for. */
void queue_backbones_monitor(struct queue_worker *q, uint64_t number);
void queue_backbones_up(struct queue_worker *q, const struct worker_peer *peer);
/* Once a second. */
void queue_backbones_tell(struct queue_worker *q);

/* ---- queue_ending.c ---- */

enum queue_outcome { QUEUE_DONE, QUEUE_AGAIN, QUEUE_BURY, QUEUE_GIVE_BACK };

/*
 * Redis is told what has become of it; `to` hears LOST when it has, and need not keep it in mind any more. NULL: nobody
 * hears.
 */
void queue_end(struct queue_worker *q, const struct worker_peer *to, struct slice id,
               uint64_t attempt, enum queue_outcome outcome, int64_t after_ms, bool blame,
               struct slice reason);
/* A consumer is gone: all that it had goes back. */
void queue_end_consumer(struct queue_worker *q, struct queue_consumer *c, bool orderly,
                        struct slice reason);
/* What Redis has not heard is told again. */
void queue_end_again(struct queue_worker *q);
void queue_flush(uv_timer_t *timer);
void queue_ending_known(struct queue_worker *q);
void queue_ending_fini(struct queue_worker *q);
/* Leases are renewed when it is time. */
void queue_renew(struct queue_worker *q);
void queue_tell_lost(struct queue_worker *q, struct worker_peer *to, struct slice id,
                     uint64_t attempt);

#endif
