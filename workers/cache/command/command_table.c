/* command_table.c: finds commands by their names, and walks them. See command.h. */
#include "workers/cache/command/command.h"

#include <strings.h>

#define COMMAND_SLOTS (sizeof((struct command_table){0}.slots) / sizeof(struct cache_command *))

const struct cache_command *command_next(const struct command_table *t,
                                         const struct cache_command *after)
{
    const struct cache_command *next = after != NULL ? after + 1 : t->list;
    return next < t->list + t->count ? next : NULL;
}

static bool command_is_sub(const struct cache_command *sub, const struct cache_command *container)
{
    return strncmp(sub->name, container->name, container->name_len) == 0 &&
           sub->name[container->name_len] == '|';
}

const struct cache_command *command_next_sub(const struct command_table *t,
                                             const struct cache_command *container,
                                             const struct cache_command *after)
{
    const struct cache_command *next = after != NULL ? after + 1 : t->subs;
    while (next < t->subs + t->sub_count && !command_is_sub(next, container))
        next++;
    return next < t->subs + t->sub_count ? next : NULL;
}

/* ---- finding ---- */

/* Bit 5 is what upper and lower case differ in; what else it joins is told apart by the comparison. */
static unsigned command_slot(const char *name, size_t len)
{
    unsigned hash = (unsigned)len;
    for (size_t i = 0; i < len; i++)
        hash = hash * 31 + ((unsigned char)name[i] | 0x20u);
    return (hash ^ hash >> 9) % COMMAND_SLOTS;
}

void command_table_fill(struct command_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        unsigned slot = command_slot(t->list[i].name, t->list[i].name_len);
        while (t->slots[slot] != NULL)
            slot = (slot + 1) % COMMAND_SLOTS;
        t->slots[slot] = &t->list[i];
    }
    t->filled = true;
}

bool command_has_name(const struct cache_command *command, struct slice name)
{
    return command->name_len == name.len && strncasecmp(command->name, name.ptr, name.len) == 0;
}

const struct cache_command *command_find(const struct command_table *t, struct slice name)
{
    if (name.len > COMMAND_NAME_MAX)
        return NULL;
    for (unsigned slot = command_slot(name.ptr, name.len); t->slots[slot] != NULL;
         slot = (slot + 1) % COMMAND_SLOTS)
        if (command_has_name(t->slots[slot], name))
            return t->slots[slot];
    return NULL;
}

const struct cache_command *command_find_sub(const struct command_table *t,
                                             const struct cache_command *container,
                                             const struct slice *words, size_t count)
{
    if (count < 2)
        return container;
    const struct cache_command *sub = command_next_sub(t, container, NULL);
    while (sub != NULL && !command_is(words[1], sub->name + container->name_len + 1))
        sub = command_next_sub(t, container, sub);
    return sub;
}

const struct cache_command *command_named(const struct command_table *t, const struct slice *words,
                                          size_t count, const struct cache_command **container)
{
    const struct cache_command *command = command_find(t, words[0]);
    bool holds = command != NULL && (command->flags & COMMAND_CONTAINER) != 0;
    *container = holds ? command : NULL;
    return holds ? command_find_sub(t, command, words, count) : command;
}
