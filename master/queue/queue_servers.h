/*
 * queue_servers.h: the Redis servers of a backbone: the words of its `redis`.
 *
 * Runs in the master and in the tool. Pure. Each server has `workers` backbone workers, and each queue `workers` queue
 * workers there; they are numbered in turn, so that a change of `workers` moves nobody to another server.
 */
#ifndef MASTER_QUEUE_QUEUE_SERVERS_H
#define MASTER_QUEUE_QUEUE_SERVERS_H

#include "common/slice.h"
#include "master/config/config.h"

/* Most servers of one backbone (QUEUE_SERVERS_MAX in workers/queue/queue_reach.h). */
#define QUEUE_SERVERS_MAX 16

/* The word that begins at or behind `at`, into *word; where the next may begin. NULL: there is none. */
const char *queue_servers_word(const char *at, struct slice *word);

/* How many there are: 1 at least, in a configuration that is right. */
uint64_t queue_servers_count(const struct config_section *backbone);

/* The redis section of its worker of that number, from 1 on. NULL: there is no such section (config_check refuses). */
const struct config_section *
queue_servers_of(const struct config *c, const struct config_section *backbone, uint64_t number);

#endif
