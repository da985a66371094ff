/*
 * queue_reach.h: which workers of backbones are there, and of which server each is: for who delivers and who listens.
 *
 * Runs in every worker that does either (queue_client.c). Nobody is told how many a backbone has, for that changes
 * while we run: they are found by their names, one behind the other (queue/shop/backbone.1, .2, ...). Of a backbone of
 * several servers they take turns: .1, .3, .5 are of the first of two (settings backbones.*).
 */
#ifndef WORKERS_QUEUE_QUEUE_REACH_H
#define WORKERS_QUEUE_QUEUE_REACH_H

#include "workers/skeleton/worker.h"

/* Most servers of a backbone (master/queue/queue_servers.h), and so most workers: 64 of each. */
#define QUEUE_REACH_SERVERS_MAX 16

struct queue_reach_backbone {
    struct queue_reach_backbone *next;
    char path[CONTRACT_NAME_MAX - 24]; /* "queue/shop/backbone" */
    uint64_t servers;
    uint64_t known; /* workers that there are, as far as was asked; 0: none at all */
    bool asking;    /* whether there is one more */
};

struct queue_reach {
    struct worker *w;
    struct queue_reach_backbone *first;
};

void queue_reach_fini(struct queue_reach *r);

/* The backbone of that title, whose workers are asked for when none is known. NULL: no backbone can have that name. */
struct queue_reach_backbone *queue_reach_find(struct queue_reach *r, const char *title, size_t len);

/*
 * A worker is up: the backbone whose it is, and its number, from 1 on. NULL: it is none of a backbone that was asked
 * for.
 */
struct queue_reach_backbone *queue_reach_up(struct queue_reach *r, const struct worker_peer *peer,
                                            uint64_t *number);

/* The same of one that is gone; *absent: it is none, and that was the answer to our own question. */
struct queue_reach_backbone *queue_reach_down(struct queue_reach *r, const struct worker_peer *peer,
                                              struct slice reason, uint64_t *number, bool *absent);

/* Of which server, from 0 on, the worker of that number is. */
static inline uint64_t queue_reach_server(const struct queue_reach_backbone *b, uint64_t number)
{
    return (number - 1) % b->servers;
}

/*
 * A worker of that server that is up: the first from number `from` on, and around. NULL: none is. *number is whose it
 * is.
 */
struct worker_peer *queue_reach_worker(struct queue_reach *r, const struct queue_reach_backbone *b,
                                       uint64_t server, uint64_t from, uint64_t *number);

#endif
