/*
 * redis_look.h: does this Redis keep what it is told? What its INFO says of evictions, persistence, role and memory,
 * as gauges that warn.
 *
 * Runs in one worker of each that needs a promise of the server's: a drain's watcher. From INFO, since CONFIG may be
 * forbidden; what only CONFIG could tell (is anything ever saved?) is asked for and done without. Where INFO itself is
 * refused, that is what the gauges say, and nothing of the server before.
 */
#ifndef WORKERS_REDIS_LOOK_H
#define WORKERS_REDIS_LOOK_H

#include "workers/redis/redis_settings.h"

/* What an INFO says. What it does not say is no fault. */
struct redis_look_info {
    bool evicts;  /* maxmemory_policy is another than noeviction */
    bool aof_off; /* no append-only file */
    bool forgets; /* nor a snapshot since the server's start: a guess, until CONFIG has answered */
    bool replica; /* role:slave */
    bool memory_short; /* used_memory is nine tenths of maxmemory, or more */
};

/* Pure. */
struct redis_look_info redis_look_read(struct slice info);

/*
 * Whether nothing is kept: without an append-only file, when CONFIG GET save names no rule. A snapshot that was made
 * proves nothing, for the first replica has the server make one. Where CONFIG is refused it is the guess. Pure.
 */
bool redis_look_forgets(const struct redis_look_info *info, const redisReply *config);

struct redis_look {
    struct redis_link *link;
    struct redis_look_info info;
    uint64_t asked_ms; /* clock_mono_ms */
    bool asking;
    bool primary; /* the last look on this connection has found one */
};

/*
 * Asks, when the link is READY. Call it in on_ready. The answers set the gauges; a server that has become a replica
 * loses its connection.
 */
void redis_look_at(struct redis_look *look, struct redis_link *link);

/* Asks again when the last look is old: for on_tick. */
void redis_look_tick(struct redis_look *look);

/* The connection is gone, or was refused because its server is a replica: for on_lost. */
void redis_look_lost(struct redis_look *look, struct worker *w, const char *why);

#endif
