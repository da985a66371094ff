/*
 * cache_above.h: connections of a cache node above clients_max.
 *
 * Runs in a cache node of a ring; elsewhere there are none. Without them ordinary clients, when they are too many,
 * would keep out the ring's other nodes, and all objects that are here with them. Who comes above clients_max may say
 * what a node says before it sends a command (AUTH, PING), and PLATOON.FOR, and stays then; whoever says anything else,
 * or nothing for 10 seconds, is ended. It never opens a connection, and knows nothing of addresses.
 */
#ifndef WORKERS_CACHE_ABOVE_H
#define WORKERS_CACHE_ABOVE_H

#include "common/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define CACHE_ABOVE_REFUSED "ERR max number of clients reached"

struct cache_client;
struct cache_node;

/* How many there may be. */
size_t cache_above_places(const struct cache_node *n);

/* Whether the next connection is one. */
bool cache_above_is(const struct cache_node *n);

/* A client's next command begins with that word. False: it is no node; the error is written, and it ends. */
bool cache_above_keeps(struct cache_client *c, struct slice word);

/* Once a second: ends who has not shown in time that it is a node. */
void cache_above_tick(struct cache_node *n);

#endif
