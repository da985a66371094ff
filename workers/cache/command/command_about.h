/*
 * command_about.h: what COMMAND's subcommands share, who tell of commands by their names.
 *
 * Runs in a cache node.
 */
#ifndef WORKERS_CACHE_COMMAND_COMMAND_ABOUT_H
#define WORKERS_CACHE_COMMAND_COMMAND_ABOUT_H

#include "workers/cache/command/command.h"

/* The next of words that blanks part, behind which *text stands then; empty at the end. */
struct slice command_about_next(const char **text);

/* "get", or "client|list"; NULL: there is no such command. */
const struct cache_command *command_about_find(const struct cache_client *c, struct slice name);

/* How many subcommands it has; 0 of one that is no container. */
size_t command_about_subs(const struct cache_client *c, const struct cache_command *command);

/* Writes what a command does with its keys (cache_command.key) as a set of words, without the notes there. */
void command_about_flags(struct cache_client *c, const char *key);

#endif
