/* cache_reads_command.c: see cache_reads_command.h. */
#include "workers/cache/cache_reads_command.h"

#include "workers/cache/command/command_consistency.h"
#include "workers/cache/command/command_keys.h"

enum cache_consistency cache_reads_asked(const struct cache_client *c,
                                         const struct cache_command *command,
                                         const struct slice *words, size_t count, uint64_t *ms)
{
    *ms = 0;
    return c->node->reads == NULL || c->from != 0
               ? CACHE_STRONG
               : command_consistency(c, command, words, count, ms);
}

void cache_reads_wrote(struct cache_reads *r, const struct cache_client *c,
                       const struct cache_command *command, const struct slice *words, size_t count)
{
    struct command_keys keys;
    struct slice key;
    if ((command->flags & (COMMAND_WRITE | COMMAND_AT_ONCE)) == 0 || cache_reads_are_none(r))
        return;
    command_keys_start_all(&keys, c, command, words, count);
    while (command_keys_next(&keys, &key))
        cache_reads_drop(r, key);
}
