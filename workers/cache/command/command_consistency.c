/* command_consistency.c: see command_consistency.h. */
#include "workers/cache/command/command_consistency.h"

const char *command_consistency_read(const struct slice *words, size_t count,
                                     enum cache_consistency *consistency, uint64_t *ms)
{
    int64_t bound;
    if (count == 0)
        return NULL;
    if (count == 1 && command_is(words[0], "strong")) {
        *consistency = CACHE_STRONG;
    } else if (count == 1 && command_is(words[0], "eventual")) {
        *consistency = CACHE_EVENTUAL;
    } else if (count == 2 && command_is(words[0], "bounded")) {
        if (!command_read_i64(words[1], &bound) || bound < 0)
            return "ERR value is not an integer or out of range";
        *consistency = CACHE_BOUNDED;
        *ms = (uint64_t)bound;
    } else {
        return "ERR syntax error";
    }
    return NULL;
}

enum cache_consistency command_consistency(const struct cache_client *c,
                                           const struct cache_command *command,
                                           const struct slice *words, size_t count, uint64_t *ms)
{
    *ms = 0;
    if ((command->flags & COMMAND_GETS) == 0 || c->multi)
        return CACHE_STRONG;
    enum cache_consistency said = c->readonly ? CACHE_EVENTUAL : CACHE_STRONG;
    if ((command->flags & COMMAND_SAYS) != 0 &&
        command_consistency_read(words + 2, count - 2, &said, ms) != NULL)
        return CACHE_EVENTUAL;
    return said;
}
