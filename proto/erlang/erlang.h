/*
 * erlang.h: the lists of the Erlang gates: nodes of Erlang's distribution, in front of a cache and a Redis.
 *
 * What the columns of each list mean: proto/systems.h.
 */
#ifndef PROTO_ERLANG_ERLANG_H
#define PROTO_ERLANG_ERLANG_H

#include "proto/cache/cache_calls.h"

/* clang-format off */
#define ERLANG_SECTIONS(X) \
    X(ERLANG, "erlang", TITLED, \
      "erlang gate { node = \"manager@front1\"  cookie_file = /etc/platoon/cookie  cache = sessions  redis = main }", \
      "an Erlang node in front of a cache and a Redis")

#define ERLANG_KEYS(X) \
    X(ERLANG, "node", STRING, "!", 0, 0, RESTART, \
      "its name among Erlang nodes, NAME@HOST: HOST is what leads others to the address of listen") \
    X(ERLANG, "cookie_file", PATH, "!", 0, 0, RESTART, \
      "file that holds the cookie, one line, which every node that connects must have; nobody else may read it " \
      "(0600)") \
    X(ERLANG, "listen", STRING, "127.0.0.1", 0, 0, RESTART, \
      "where nodes connect: an IPv4 address, or ADDRESS:PORT; without a port any free one, which epmd tells them") \
    X(ERLANG, "plain", BOOL, "false", 0, 0, RESTART, \
      "an address that other machines reach may be listened on, though nothing said there is encrypted") \
    X(ERLANG, "cache", SECTION, "", CACHE_CALLS_SECTION, 0, RESTART, \
      "the cache section whose objects clients set and get; empty: none") \
    X(ERLANG, "redis", SECTION, "", CONFIG_REDIS, 0, RESTART, \
      "the redis section that one-off commands go to; empty: none") \
    X(ERLANG, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that it logs; empty: as in platoon (error|warn|info|debug)")

#define ERLANG_CHECKS(X) \
    X(ERLANG, erlang)

#define ERLANG_PREFLIGHTS(X) \
    X(ERLANG, erlang)

#define ERLANG_TYPES(X) \
    X(ERLANG, "erlang", ERLANG, ALWAYS, ITSELF, "erlang/%s", "", \
      "is a node of Erlang's distribution, for clients of a cache and a Redis")

#define ERLANG_COUNTERS(X) \
    X(ERLANG_NODES, "erlang_nodes", GAUGE, "Erlang nodes connected") \
    X(ERLANG_MESSAGES, "erlang_messages_total", COUNTER, "messages of Erlang processes") \
    X(ERLANG_IGNORED, "erlang_ignored_total", COUNTER, "those that ask for nothing that is understood, or served") \
    X(ERLANG_UNANSWERED, "erlang_unanswered_total", COUNTER, \
      "sets, gets and persists that the cache did not do, or gave no answer to; the log says why") \
    X(ERLANG_LOST, "erlang_lost_total", COUNTER, "answers for a process whose node was not connected any more") \
    X(ERLANG_REFUSED, "erlang_refused_total", COUNTER, "connections that had another cookie, or spoke something else") \
    X(ERLANG_DROPPED, "erlang_dropped_total", COUNTER, "connections ended because they did not read their answers")

#define ERLANG_RIGHTS(X) \
    X(ERLANG, "PING", OPTIONAL, "") \
    X(ERLANG, "SELECT", NEEDED, "-")
/* clang-format on */

#endif
