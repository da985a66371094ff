/*
 * command_client.h: a client's name.
 *
 * Runs in a cache node, for CLIENT SETNAME and HELLO.
 */
#ifndef WORKERS_CACHE_COMMAND_CLIENT_H
#define WORKERS_CACHE_COMMAND_CLIENT_H

#include "workers/cache/cache_client.h"

/* Whether a client may be called so; false: the error is written. */
bool command_client_may_be(struct cache_client *c, struct slice name);

/* Calls it so; empty: nothing. False: memory is short, and the error is written. */
bool command_client_name(struct cache_client *c, struct slice name);

#endif
