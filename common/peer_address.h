/*
 * peer_address.h: where another node is reached: what it has registered, taken apart.
 *
 * Runs in nodes of a ring, and in the master and the tool, which check what they are to register. Pure: no name is
 * looked up. What is read may come from another machine, by way of Redis.
 */
#ifndef COMMON_PEER_ADDRESS_H
#define COMMON_PEER_ADDRESS_H

#include "common/buffer.h"

#define PEER_ADDRESS_HOST_SIZE 254 /* a name of the DNS has 253 letters */
#define PEER_ADDRESS_PATH_SIZE 108 /* of a unix socket */

/* Longest address that is one: unix:/…, or HOST:PORT. */
#define PEER_ADDRESS_MAX (PEER_ADDRESS_HOST_SIZE + 8)

struct peer_address {
    char path[PEER_ADDRESS_PATH_SIZE]; /* "": by TCP */
    char host[PEER_ADDRESS_HOST_SIZE]; /* a name, or an address without brackets */
    int port;
};

/*
 * unix:/PATH, 127.0.0.1:PORT, NAME:PORT, [::1]:PORT; a NAME is of letters, digits, '-', '_' and '.', a PATH of bytes
 * that can be shown. 0, or -EINVAL.
 */
int peer_address_parse(struct slice text, struct peer_address *a);

/*
 * Which of a node's own addresses others are told of: the first by TCP, since other machines cannot reach a unix
 * socket, else the first. `words`: as words_split filled it from its beginning on; it owns what is returned. NULL:
 * there is none.
 */
const char *peer_address_choose(const struct buffer *words);

#endif
