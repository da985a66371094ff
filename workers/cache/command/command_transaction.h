/*
 * command_transaction.h: what a client has queued between MULTI and EXEC.
 *
 * Runs in a cache node. For those who must know before EXEC what it will do: which keys, and whether it writes.
 */
#ifndef WORKERS_CACHE_COMMAND_TRANSACTION_H
#define WORKERS_CACHE_COMMAND_TRANSACTION_H

#include "workers/cache/command/command.h"

/* One allocation: head, words, their bytes. */
struct command_queued {
    struct command_queued *next;
    const struct cache_command *command;
    size_t bytes; /* of all of it: counted against memory_max */
    size_t count;
    struct slice words[];
};

struct cache_queue {
    struct command_queued *first, *last;
    size_t count;
    unsigned flags; /* of all its commands */
};

/* A copy, to be freed by free; its bytes count against the node's memory (cache_db_charge). NULL: memory is short. */
struct command_queued *command_queued_new(const struct cache_command *command,
                                          const struct slice *words, size_t count);

/* The flags of all commands that are queued: whether EXEC writes, or takes memory. 0: there are none. */
unsigned command_queued_flags(const struct cache_client *c);

#endif
