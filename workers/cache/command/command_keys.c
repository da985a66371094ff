/* command_keys.c: see command_keys.h. */
#include "workers/cache/command/command_keys.h"

#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_options.h"
#include "workers/cache/command/command_transaction.h"

/* SET's options that ask for what was there. */
static bool command_asks_for_old(const struct slice *words, size_t count)
{
    static const char *const options[] = {"nx", "xx", "get", "keepttl"};
    for (size_t i = 3; i < count; i++)
        for (size_t j = 0; j < sizeof options / sizeof options[0]; j++)
            if (command_option_is(words[i], options[j]))
                return true;
    return false;
}

static bool command_is_blind(const struct cache_command *command, const struct slice *words,
                             size_t count)
{
    return (command->flags & COMMAND_BLIND) != 0 ||
           ((command->flags & COMMAND_BLIND_UNLESS) != 0 && !command_asks_for_old(words, count));
}

size_t command_exec_key_count(const struct slice *words, size_t count)
{
    int64_t n = 0;
    bool right = count > 2 && command_read_i64(words[1], &n) && n >= 0 && (uint64_t)n <= count - 2;
    return right ? (size_t)n : 0;
}

static void command_keys_of(struct command_keys *k, const struct cache_command *command,
                            const struct slice *words, size_t count)
{
    if ((command->flags & COMMAND_COUNTS) != 0) {
        k->words = words;
        k->at = COMMAND_EXEC_KEYS;
        k->end = k->at + command_exec_key_count(words, count);
        k->step = 1;
        return;
    }
    size_t last = command->last >= 0 ? (size_t)command->last : count - (size_t)-command->last;
    bool none = command->first == 0 || (!k->all && command_is_blind(command, words, count));
    k->words = words;
    k->at = (size_t)command->first;
    k->step = (size_t)command->step;
    k->end = none ? 0 : last + 1 < count ? last + 1 : count;
}

static void command_keys_begin(struct command_keys *k, const struct cache_client *c,
                               const struct cache_command *command, const struct slice *words,
                               size_t count)
{
    if (command->run != command_exec)
        command_keys_of(k, command, words, count);
    else if (c != NULL) {
        k->queued = c->queued != NULL ? c->queued->first : NULL;
        k->seen = c->seen;
    }
}

void command_keys_start(struct command_keys *k, const struct cache_client *c,
                        const struct cache_command *command, const struct slice *words,
                        size_t count)
{
    *k = (struct command_keys){0};
    command_keys_begin(k, c, command, words, count);
}

void command_keys_start_all(struct command_keys *k, const struct cache_client *c,
                            const struct cache_command *command, const struct slice *words,
                            size_t count)
{
    *k = (struct command_keys){.all = true};
    command_keys_begin(k, c, command, words, count);
}

static bool command_keys_seen(struct command_keys *k, struct slice *key)
{
    if (k->seen == NULL)
        return false;
    *key = k->seen->key;
    k->seen = k->seen->next;
    return true;
}

bool command_keys_next(struct command_keys *k, struct slice *key)
{
    while (k->at >= k->end) {
        const struct command_queued *q = k->queued;
        if (q == NULL)
            return command_keys_seen(k, key);
        command_keys_of(k, q->command, q->words, q->count);
        k->queued = q->next;
    }
    *key = k->words[k->at];
    k->at += k->step;
    return true;
}
