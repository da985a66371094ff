/*
 * command_for.h: commands that another node of the ring has sent: PLATOON.FOR to from again number lane ms command…
 *
 * Runs in a cache node of a ring. Another node's client has sent the command, and that node took this one for the owner
 * of its keys (cache_forward.h). `to` and `from` are incarnations; `again`: it was refused before, and Redis has been
 * asked since; `number` stands before the answer, for answers come in any order; commands of one `lane` run in theirs
 * (0: it has none); `ms`: how long it may wait, 0: its client has waited already. Of a stranger it is a command as any
 * other, which is refused and tells nothing.
 */
#ifndef WORKERS_CACHE_COMMAND_FOR_H
#define WORKERS_CACHE_COMMAND_FOR_H

#include "workers/cache/command/command.h"

/* The command itself, if another node has sent it; cache_client has what else there is. False: the error is written. */
bool command_unwrap(struct cache_client *c, const struct slice **words, size_t *count);

/* Before its answer: that is one of two things then, the number is the other. Of others nothing. */
void command_number(struct cache_client *c);

/* True: it runs behind others of its lane, which wait, or is refused. `words`: all of them, as they came. */
bool command_is_behind(struct cache_client *c, const struct slice *words, size_t count);

/*
 * If it waits: beside its connection (cache_guest.h), so that what comes by that goes on. Its answer has not begun
 * then; it would from there on.
 */
void command_beside(struct cache_client *c, size_t from);

#endif
