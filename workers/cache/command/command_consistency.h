/*
 * command_consistency.h: how fresh what a command reads must be: strong, eventual or bounded.
 *
 * Runs in a cache node. Pure: neither runs a command nor looks whose a key is. For the dispatcher, which decides by it
 * whether the owner of a foreign object is asked, and for PLATOON.GET and `ask`, which have the same words.
 *
 * After READONLY GET and MGET are eventual, and PLATOON.GET without a word is. MGET, because it is as many GETs:
 * clients make one of several on their own (ioredis' pipelining, a cache's get_many), and an application must not get
 * other values for it. Nothing else: by what EXISTS, TTL, TYPE, STRLEN or SCAN say programs decide what to do next, and
 * GETRANGE reads one part of what another command reads the next one of. Between MULTI and EXEC all reads are strong:
 * a transaction is done as a whole where its objects are, and what it reads it may have written.
 */
#ifndef WORKERS_CACHE_COMMAND_CONSISTENCY_H
#define WORKERS_CACHE_COMMAND_CONSISTENCY_H

#include "workers/cache/cache_consistency.h"
#include "workers/cache/command/command.h"

/*
 * Of a command whose number of words is right (command_takes), and that is no container. *ms: of BOUNDED; else 0. What
 * PLATOON.GET will refuse for its words is EVENTUAL: no other node is asked for an error.
 */
enum cache_consistency command_consistency(const struct cache_client *c,
                                           const struct cache_command *command,
                                           const struct slice *words, size_t count, uint64_t *ms);

/*
 * The words behind a key: none (then *consistency stays), STRONG, EVENTUAL, BOUNDED ms. NULL; or what is wrong with
 * them, as a client is told it, and nothing is set.
 */
const char *command_consistency_read(const struct slice *words, size_t count,
                                     enum cache_consistency *consistency, uint64_t *ms);

#endif
