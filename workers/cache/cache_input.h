/*
 * cache_input.h: how much of commands that are not whole yet all clients of a cache node may hold together.
 *
 * Runs in a cache node. A command is kept until its last byte has come, and may have a word as large as an object: many
 * clients that send such ones at once would hold far more than `memory`, and push out all objects, before any of them
 * is refused. Above a share of memory who has a part of a large one is not read until others are done, but one of them,
 * the one that has waited longest: so each comes to its end, whatever the others do. One that stops, or is slow, in the
 * middle of its command while others wait is ended after some seconds. What is small neither counts nor waits.
 *
 * redis-server has no such bound by itself (client-query-buffer-limit is 1 GB for each); with maxmemory-clients it ends
 * the clients that hold most. Rejected: to do that at once, for a client that is only one of many has done nothing
 * wrong; and an error, for what has come of the command would have to be read to its end all the same.
 *
 * It neither reads nor knows commands; who reads asks here (cache_client.c).
 */
#ifndef WORKERS_CACHE_INPUT_H
#define WORKERS_CACHE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_INPUT_SMALL   ((size_t)256 << 10) /* of one client: it neither counts nor waits */
#define CACHE_INPUT_LEAST   ((size_t)1 << 20)
#define CACHE_INPUT_SLOW_MS 10000

struct cache_client;
struct cache_node;

/* Of a node; zeroed: nobody holds anything. */
struct cache_input {
    size_t bytes;                      /* of all clients' */
    struct cache_client *first, *last; /* who waits, the longest first */
    struct cache_client *one;          /* may read whatever there is; NULL: nobody needs to */
    uint64_t one_ms;                   /* since when, and others wait: uv_now */
    uint64_t tickets;                  /* given */
};

/* Of a client; zeroed: it holds nothing. */
struct cache_input_part {
    size_t bytes;    /* that count */
    uint64_t ticket; /* for its place among who waits, until its command is whole; 0: none */
    struct cache_client *next, *prev; /* of who waits */
    bool waits;                       /* it is not read */
};

/*
 * So much may be held: an eighth of memory, for it counts as that, and what comes must find room in it besides. Where
 * an object may be larger, large commands come one by one.
 */
size_t cache_input_max(const struct cache_node *n);

/*
 * Whether it may read so much more into its own buffer now. False: it waits, and goes on in a later turn
 * (cache_turn_more).
 */
bool cache_input_may(struct cache_client *c, size_t more);

/* Its buffer has that size now; 0 where it is not one of who is read: what waits for the store counts there. */
void cache_input_count(struct cache_client *c, size_t bytes);

/* A command of its was whole: the next one has its own turn. */
void cache_input_passed(struct cache_client *c);

/* It is not read for another reason: it is not the one any more. */
void cache_input_rests(struct cache_client *c);

/* It ends. */
void cache_input_forget(struct cache_client *c);

/* Once a second: ends who is too slow while others wait. */
void cache_input_tick(struct cache_node *n);

#endif
