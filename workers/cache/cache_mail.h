/*
 * cache_mail.h: the mailbox of a cache node: who called or asked, and when the answer goes.
 *
 * Runs in a cache node. What a call or a request means is cache_call.c's and cache_ask.c's. Each has one answer: what
 * was read, or could not be done, at once; a write when the log has it, as a client's reply (cache_turn_answer); what
 * needs the store when it has answered (cache_park.h), and what the same caller calls for meanwhile in that lane behind
 * it. What a caller calls for that has much to read already waits until it has read that. Where this is too much, or an
 * answer does not fit all the same, it is lost, and the log says so: it must not end a node that others use.
 */
#ifndef WORKERS_CACHE_MAIL_H
#define WORKERS_CACHE_MAIL_H

#include "workers/cache/cache_node.h"
#include "workers/skeleton/worker.h"

struct mail_held;

/* What waits for the store, in order: of one lane of a caller's, or all that was asked. */
struct cache_mail_queue {
    struct mail_held *first, *last;
};

/* A caller (its peer's `user`). Which lane a call is of its token says (CACHE.md, Calls). */
#define CACHE_MAIL_LANES 64

struct cache_mail_caller {
    struct cache_mail_queue lanes[CACHE_MAIL_LANES];
};

struct cache_mail {
    struct worker *w;
    struct cache_node *node;
    struct buffer text; /* of the answer at hand */
    struct cache_mail_queue asked;
    uv_timer_t timer; /* until it is looked whether callers have read their answers */
    bool timer_open;
    size_t answered;         /* bytes of answers that wait for second copies */
    size_t held, held_count; /* bytes of what waits for the store; how many */
    uint64_t lost, logged;   /* answers that could not be sent; of them those the log knows of */
};

/* As worker_ops.on_message and on_request. */
bool cache_mail_on_message(struct cache_mail *m, struct worker_peer *from, uint64_t type,
                           struct unpack *u);
void cache_mail_on_request(struct cache_mail *m, const struct link_request *request);

/* As worker_ops.on_down: what it has called for is not done any more. */
void cache_mail_on_down(struct worker_peer *peer);

/* Whether nobody waits for an answer. */
bool cache_mail_is_empty(const struct cache_mail *m);

/* Once a second: says how many answers were lost. */
void cache_mail_tick(struct cache_mail *m);

void cache_mail_fini(struct cache_mail *m);

#endif
