/*
 * cache_peer_address.h: where another node is reached: what it has registered, taken apart.
 *
 * Runs in a cache node of a ring, and in the master and the tool, which check `advertise`. Pure: no name is looked up.
 * What a node reads comes from another machine, by way of Redis.
 */
#ifndef PROTO_CACHE_CACHE_PEER_ADDRESS_H
#define PROTO_CACHE_CACHE_PEER_ADDRESS_H

#include "common/slice.h"

#define CACHE_PEER_HOST_SIZE 254 /* a name of the DNS has 253 letters */
#define CACHE_PEER_PATH_SIZE 108 /* of a unix socket */

/* Longest address that is one: unix:/…, or HOST:PORT. */
#define CACHE_PEER_ADDRESS_MAX (CACHE_PEER_HOST_SIZE + 8)

struct cache_peer_address {
    char path[CACHE_PEER_PATH_SIZE]; /* "": by TCP */
    char host[CACHE_PEER_HOST_SIZE]; /* a name, or an address without brackets */
    int port;
};

/*
 * unix:/PATH, 127.0.0.1:PORT, NAME:PORT, [::1]:PORT; a NAME is of letters, digits, '-', '_' and '.', a PATH of bytes
 * that can be shown. 0, or -EINVAL.
 */
int cache_peer_address_parse(struct slice text, struct cache_peer_address *a);

#endif
