/*
 * command_info.h: INFO's sections that are about amounts.
 *
 * Runs in a cache node. Each writes its lines in Redis' order. What Redis counts and a node does not have (scripts,
 * replicas, forks, snapshots) is none, and said to be none.
 */
#ifndef WORKERS_CACHE_COMMAND_COMMAND_INFO_H
#define WORKERS_CACHE_COMMAND_COMMAND_INFO_H

#include "common/buffer.h"

struct cache_node;

void command_info_memory(const struct cache_node *n, struct buffer *out);
void command_info_persistence(const struct cache_node *n, struct buffer *out);
void command_info_stats(const struct cache_node *n, struct buffer *out);

#endif
