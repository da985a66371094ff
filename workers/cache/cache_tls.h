/*
 * cache_tls.h: the socket of a cache node's client, with TLS or without.
 *
 * Runs in a cache node, under cache_client.c. Without TLS the bytes are the socket's. With it what comes is decrypted
 * at once, so that nothing waits in here that the loop does not know of; and what goes is encrypted into the client's
 * `unsent`, from which it is sent like what a socket did not take.
 */
#ifndef WORKERS_CACHE_TLS_H
#define WORKERS_CACHE_TLS_H

#include "workers/cache/cache_client.h"

#include <sys/types.h>

/* Of room that is needed at least: with less some could be left behind. */
#define CACHE_TLS_ROOM ((size_t)64 << 10)

/* So long may a client take until it has shown that it speaks TLS: meanwhile it has a place of clients_max. */
#define CACHE_TLS_HANDSHAKE_MS 10000

/* Once a second: ends who has taken longer. */
void cache_tls_tick(struct cache_node *n);

/* As recv(2): bytes, 0: the end, -1 with errno (EAGAIN: nothing yet). `size`: at least CACHE_TLS_ROOM. */
ssize_t cache_tls_recv(struct cache_client *c, char *to, size_t size);

/* Its replies of this turn, encrypted, go behind what it has not been sent. False: it is over. No TLS: nothing. */
bool cache_tls_seal(struct cache_client *c);

#endif
