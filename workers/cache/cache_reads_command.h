/*
 * cache_reads_command.h: what a command of a client is for reads that ask no other node: how it reads, what it writes.
 *
 * Runs in a cache node of a ring. Above cache_reads.h, which knows keys and no commands.
 */
#ifndef WORKERS_CACHE_READS_COMMAND_H
#define WORKERS_CACHE_READS_COMMAND_H

#include "workers/cache/cache_reads.h"
#include "workers/cache/command/command.h"

/*
 * How a client's command asks to be read (command_consistency.h, with what a command must be for it), *ms of BOUNDED;
 * strong without a ring, and whatever another node has sent.
 */
enum cache_consistency cache_reads_asked(const struct cache_client *c,
                                         const struct cache_command *command,
                                         const struct slice *words, size_t count, uint64_t *ms);

/* cache_reads_drop of all its keys, if it writes; `c`: whose EXEC it may be, or NULL. Free without copies. */
void cache_reads_wrote(struct cache_reads *r, const struct cache_client *c,
                       const struct cache_command *command, const struct slice *words,
                       size_t count);

#endif
