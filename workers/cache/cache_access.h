/*
 * cache_access.h: what a cache node does for those who are no clients of Redis' protocol: workers, and the tool.
 *
 * Runs in a cache node. As the commands of the same names, with what comes before each, and with their errors' texts.
 * Who acknowledges what was done here does it by cache_turn_answer. Each call is one of a turn (cache_turn_begin).
 */
#ifndef WORKERS_CACHE_ACCESS_H
#define WORKERS_CACHE_ACCESS_H

#include "workers/cache/cache_consistency.h"
#include "workers/cache/cache_db.h"

struct cache_node;

/* Writes that wait for the log's thread: above that they are refused. */
#define CACHE_ACCESS_WAITING_MAX 65536

/* Of a key that a stray might have (cache_db.h): a client's, a call's. */
#define CACHE_ACCESS_HIDDEN                                                                        \
    "ERR a key must not begin with \\xffplatoon:stray\\x00: so a node keeps what it has to store " \
    "of "                                                                                          \
    "objects that other nodes have by now"

#define CACHE_ACCESS_WHY_SIZE 640 /* a log's trouble with its code */

/* The text of a fault, as an error of Redis' protocol has it: "OOM command not allowed …". Ends of lines in it stay. */
void cache_access_fault(const struct cache_node *n, enum cache_fault fault,
                        char why[CACHE_ACCESS_WHY_SIZE]);

/*
 * As cache_need has come to (cache_need.h, consistency). False: there is none. The value lives until the next call.
 * `form` may be NULL.
 */
bool cache_access_get(struct cache_node *n, struct slice key, enum cache_consistency how,
                      struct slice *value, enum cache_form *form);

/* CACHE_NEVER: it does not expire. False: `why` says it. */
bool cache_access_set(struct cache_node *n, struct slice key, struct slice value, int64_t expiry_ms,
                      enum cache_form form, char why[CACHE_ACCESS_WHY_SIZE]);

/* *was: whether there was one. False: `why` says it. */
bool cache_access_delete(struct cache_node *n, struct slice key, bool *was,
                         char why[CACHE_ACCESS_WHY_SIZE]);

/* How far the log must have come for what has been done in this turn (cache_turn_answer.log_end). */
uint64_t cache_access_end(const struct cache_node *n);

#endif
