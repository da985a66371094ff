/*
 * cache_owner.h: which node of the ring runs a command.
 *
 * Runs in a cache node of a ring. The dispatcher (command_dispatch.c) asks here before it looks at anything that a
 * command needs: a command whose keys are all ours runs here; one of whose keys nobody has said whose they are waits;
 * one of another node's goes there (cache_forward.h), one of several nodes' in parts (ring/cache_split.h), or is
 * Redis' CROSSSLOT. A read that need not be strong (cache_reads.h) runs here, whosever its keys are. What another node
 * has sent (PLATOON.FOR) runs here or is refused, and goes nowhere else.
 */
#ifndef WORKERS_CACHE_OWNER_H
#define WORKERS_CACHE_OWNER_H

#include "workers/cache/cache_hold.h"

/* What stands before a command that another node has sent: this, and to, from, again, number, lane, ms. */
#define CACHE_OWNER_FOR       "PLATOON.FOR"
#define CACHE_OWNER_FOR_WORDS 7

/* Most bytes before its answer: an array of two, and the number. */
#define CACHE_OWNER_NUMBER_MAX 32

/* How the error begins that a command of another node is answered which surely has not run: it was not ours. */
#define CACHE_OWNER_MOVED "PLATOONMOVED "

/* So too, and it is to be asked again later: the cell is just given up, or too much waits. Why follows, no code. */
#define CACHE_OWNER_WAITS CACHE_OWNER_MOVED "WAITS "

enum cache_hold cache_owner_look(struct cache_client *c, const struct cache_command *command,
                                 const struct slice *words, size_t count);

#endif
