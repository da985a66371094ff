/*
 * command_ring.h: the reply to PLATOON.OWNER, when it has come (cache_hold.h).
 *
 * Runs in a cache node of a ring.
 */
#ifndef WORKERS_CACHE_COMMAND_RING_H
#define WORKERS_CACHE_COMMAND_RING_H

#include "workers/cache/cache_member.h"
#include "workers/cache/command/command.h"

void command_ring_owner(struct cache_client *c, const struct cache_member_owner *owner);

#endif
