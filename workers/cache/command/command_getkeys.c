/*
 * command_getkeys.c: COMMAND GETKEYS and GETKEYSANDFLAGS: which words of a command are keys, and what it does with
 * them.
 *
 * Runs in a cache node. All of it follows from command_list.h.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_about.h"
#include "workers/cache/command/command_list.h"

/* The command that those words are; NULL: the error is written. */
static const struct cache_command *getkeys_of(struct cache_client *c, const struct slice *words,
                                              size_t count)
{
    const struct cache_command *container = NULL;
    const struct cache_command *command =
        command_named(c->node->commands->table, words, count, &container);
    if (command == NULL)
        resp_error(&c->reply, "ERR Invalid command specified");
    else if (command->first == 0)
        resp_error(&c->reply, "ERR The command has no key arguments");
    else if (!command_takes(command, count))
        resp_error(&c->reply, "ERR Invalid number of arguments specified for command");
    else
        return command;
    return NULL;
}

/* SET's differ: with its option GET it reads, too. */
static const char *getkeys_flags(const struct cache_command *command, const struct slice *words,
                                 size_t count)
{
    if (strstr(command->key, "variable_flags") == NULL)
        return command->key;
    for (size_t i = 3; i < count; i++)
        if (command_is(words[i], "get"))
            return "RW access update";
    return "OW update";
}

static void getkeys_answer(struct cache_client *c, const struct slice *words, size_t count,
                           bool flags)
{
    const struct cache_command *command = getkeys_of(c, words, count);
    if (command == NULL)
        return;
    size_t first = (size_t)command->first, step = (size_t)command->step;
    size_t last = command->last < 0 ? count - (size_t)-command->last : (size_t)command->last;
    resp_array(&c->reply, (last - first) / step + 1);
    for (size_t i = first; i <= last; i += step) {
        if (flags)
            resp_array(&c->reply, 2);
        resp_bulk(&c->reply, words[i]);
        if (flags)
            command_about_flags(c, getkeys_flags(command, words, count));
    }
}

void command_command_getkeys(struct cache_client *c, const struct slice *words, size_t count)
{
    getkeys_answer(c, words + 2, count - 2, false);
}

void command_command_getkeysandflags(struct cache_client *c, const struct slice *words,
                                     size_t count)
{
    getkeys_answer(c, words + 2, count - 2, true);
}
