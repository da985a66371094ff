/*
 * command_stats.h: how often each command was called, failed and was rejected, and how long it took: INFO's
 * commandstats and latencystats.
 *
 * Runs in a cache node; one thread. All calls are counted. The first COMMAND_STATS_EACH of a command are timed, and
 * then one in COMMAND_STATS_EACH, which stands for those up to the next: to look at the clock twice would cost a GET
 * of a pipeline a tenth of its time. What is neither fast nor has keys (KEYS, INFO, EXEC) is timed each time. What
 * another node of a ring did is counted there.
 */
#ifndef WORKERS_CACHE_COMMAND_COMMAND_STATS_H
#define WORKERS_CACHE_COMMAND_COMMAND_STATS_H

#include "workers/cache/command/command.h"

#define COMMAND_STATS_EACH 16

struct cache_node;

/* Of that table's commands, which outlives it. NULL: out of memory. */
struct command_stats *command_stats_new(const struct command_table *table);
void command_stats_free(struct command_stats *s);

/* Runs it, and counts that (cache_node.stats; NULL: nothing is counted). */
void command_call(struct cache_client *c, const struct cache_command *command,
                  const struct slice *words, size_t count);

/* It was refused before it ran. */
void command_stats_reject(struct cache_client *c, const struct cache_command *command);

/* INFO's sections. */
void command_stats_calls(const struct cache_node *n, struct buffer *out);
void command_stats_latencies(const struct cache_node *n, struct buffer *out);

#endif
