/*
 * cache_guest.h: a command of another node that waits, beside the connection it came by.
 *
 * Runs in a cache node of a ring. All that the clients of another node ask of this one comes by one connection. What of
 * it must wait (for the store, for Redis' word, for room) would hold all that is behind it; so it becomes a guest: a
 * client without a socket, for this one command, that waits and runs as any client does. Its answer, with the number by
 * which the other node knows it, goes out by the connection when it may, whatever has gone before.
 *
 * Commands of one lane (a client of that node) run in their order: while one of them is a guest, those that come become
 * guests behind it; what they will need is loaded meanwhile. Nothing else had an order. Rejected: to send back what
 * would wait, and to be asked again: it would cost a pause for each, and what a client has sent behind it would
 * overtake it.
 *
 * Bounds: CACHE_GUESTS_MAX of one connection; their words count as what waits (cache_node_may_wait). None runs while
 * that node has not read what it was answered (CACHE_CLIENT_LINK_MAX), what guests wait to say counted. Who waits has
 * the time that the sender has given it (cache_client.until_ms), from its coming on, also behind others.
 */
#ifndef WORKERS_CACHE_GUEST_H
#define WORKERS_CACHE_GUEST_H

#include "common/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define CACHE_GUESTS_MAX 4096

struct cache_client;
struct cache_node;

/* ---- of the connection ---- */

/* The command at hand is of a lane in which some wait. */
bool cache_guest_is_behind(const struct cache_client *c);

/* It waits behind those of its lane: all its words, as they came. False: there are too many, or memory is short. */
bool cache_guest_queue(struct cache_client *c, const struct slice *words, size_t count);

/* A guest for the command at hand, which waits: it is to be moved there (cache_hold_move). NULL: as above. */
struct cache_client *cache_guest_begin(struct cache_client *c);

/* Those that have not run because the other node did not read: they run, as many as may. */
void cache_guest_look(struct cache_client *c);

/* Some of them have not. */
bool cache_guest_stalls(const struct cache_client *c);

/* How many there are; bytes that they have answered, and that wait for the log, or for second copies. */
size_t cache_guest_count(const struct cache_client *c);
size_t cache_guest_owed(const struct cache_client *c);

/* The connection ends: what has not run never does; what has goes its way, and is told to nobody. */
void cache_guest_forget(struct cache_client *c);

/* ---- of a guest (cache_client.guest) ---- */

/* What it waited for has come, or never will. */
void cache_guest_go_on(struct cache_client *c);

/* Its answer may go. It is gone then. */
void cache_guest_write(struct cache_client *c);

/* The node ends: those whose connections have ended. */
void cache_guest_end_all(struct cache_node *n);

#endif
