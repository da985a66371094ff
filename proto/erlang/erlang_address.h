/*
 * erlang_address.h: the texts that name an Erlang node and where it listens.
 *
 * Runs in the master, which checks them, and in erlang workers. Pure.
 */
#ifndef PROTO_ERLANG_ADDRESS_H
#define PROTO_ERLANG_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#define ERLANG_NODE_MAX    255 /* characters of an atom, as a cookie is one too */
#define ERLANG_COOKIE_SIZE 257 /* its line's end may stand behind it */

/* NAME@HOST: letters, digits, _ and - ; in HOST dots too. */
bool erlang_node_is_name(const char *text);

/* ADDRESS or ADDRESS:PORT, of IPv4, which is all that libei listens on. Without a port it is 0: whichever is free. */
bool erlang_address_parse(const char *text, struct sockaddr_in *address);

/* Whether only this machine can connect. */
bool erlang_address_is_loopback(const struct sockaddr_in *address);

#endif
