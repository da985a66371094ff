/*
 * command_keys.h: which keys a command has, and which of them it must know the values of before it runs.
 *
 * Runs in a cache node. From the list's first, last and step, and COMMAND_BLIND; EXEC's are those of what is queued,
 * and behind them those that were watched while they were another node's, for EXEC compares them.
 * Pure: it neither looks whether a key is known, nor loads one.
 */
#ifndef WORKERS_CACHE_COMMAND_KEYS_H
#define WORKERS_CACHE_COMMAND_KEYS_H

#include "workers/cache/command/command.h"

struct cache_seen;
struct command_queued;

/* A walk over them. What it walks over stays as it is meanwhile. */
struct command_keys {
    const struct command_queued *queued; /* of EXEC: the one that follows */
    const struct cache_seen *seen;       /* so too, behind all of those */
    const struct slice *words;
    size_t at, end; /* the next key's word; behind the last one */
    size_t step;
    bool all; /* those that need not be known, too */
};

/* Whether there can be any. */
static inline bool command_has_keys(const struct cache_client *c,
                                    const struct cache_command *command)
{
    return command->first > 0 || ((command->flags & COMMAND_AT_ONCE) != 0 && c->multi);
}

/* Of a command whose number of words is right (command_takes). `c`: whose queue EXEC executes; NULL: none. */
void command_keys_start(struct command_keys *k, const struct cache_client *c,
                        const struct cache_command *command, const struct slice *words,
                        size_t count);

/* The same for all keys that it names. */
void command_keys_start_all(struct command_keys *k, const struct cache_client *c,
                            const struct cache_command *command, const struct slice *words,
                            size_t count);

/* False at the end. A key may come twice. */
bool command_keys_next(struct command_keys *k, struct slice *key);

#endif
