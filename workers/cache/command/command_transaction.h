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

/* What a client watches of another node's: a key, and the version that it had. One allocation. */
struct cache_seen {
    struct cache_seen *next;
    uint64_t version;
    struct slice key;
};

/*
 * Whether a watched key is another than it was, or was not this node's all the time since; one whose time has come is,
 * though nobody has looked at it since. Not of those that were another node's (command_seen_add): EXEC compares them,
 * where it runs.
 */
bool command_is_touched(struct cache_client *c);

/* False: memory is short. */
bool command_seen_add(struct cache_client *c, struct slice key, uint64_t version);

/*
 * ---- PLATOON.EXEC count key… watched (key version)… (words word…)… (command_exec.c) ----
 * A transaction as one command, for the owner of all its keys. `count` keys stand first, those of all its commands and
 * those that are watched, each as often as it is named there and in that order, so that they are seen to as any
 * command's are; what names others is refused.
 */
#define COMMAND_EXEC_NAME "PLATOON.EXEC"
#define COMMAND_EXEC_KEYS 2  /* the first key's word */
#define EXEC_NUMBER_SIZE  24 /* a number's digits */

/* How many keys; 0: it is not one (command_keys.c). */
size_t command_exec_key_count(const struct slice *words, size_t count);

/* The flags of all its commands, as far as they can be read. */
unsigned command_exec_flags(const struct cache_client *c, const struct slice *words, size_t count);

/* What EXEC would do now, in those words. NULL: memory is short. */
struct command_queued *command_exec_words(const struct cache_client *c);

/* The flags of all commands that are queued: whether EXEC writes, or takes memory. 0: there are none. */
unsigned command_queued_flags(const struct cache_client *c);

#endif
