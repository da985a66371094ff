/*
 * embedded_redis.h: how the private redis-server is run: the settings of its command worker.
 *
 * Runs in the master, which knows Redis only as a program with arguments.
 */
#ifndef MASTER_EMBEDDED_REDIS_H
#define MASTER_EMBEDDED_REDIS_H

#include "master/build/config_settings.h"

#define EMBEDDED_REDIS_PAIRS 40

/* Strings of the pairs; valid as long as the struct and the configuration. */
struct embedded_redis {
    struct config_pair pairs[EMBEDDED_REDIS_PAIRS];
    size_t count;
    char names[EMBEDDED_REDIS_PAIRS][24];
    struct buffer socket, ready, dir, port, maxmemory;
};

/*
 * Fills *e for a redis section whose url is "embedded", and makes the server's directory under `state_dir`. Returns 0 or a
 * negative errno. Free with embedded_redis_fini in either case.
 */
int embedded_redis_settings(struct embedded_redis *e, const struct config *c,
                            const struct config_section *redis, const char *state_dir);
void embedded_redis_fini(struct embedded_redis *e);

#endif
