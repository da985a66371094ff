/*
 * config_settings.h: what CONFIG tells a worker: the part of the configuration that concerns it (PROTOCOL.md section 2).
 *
 * Runs in the master. Pure functions over a loaded configuration: no file, no socket, no process is touched.
 */
#ifndef MASTER_CONFIG_SETTINGS_H
#define MASTER_CONFIG_SETTINGS_H

#include "master/config/config.h"
#include "proto/worker_types.h"

/* A setting the configuration does not hold: command.argv.0 and the like. Replaces one of the same name. */
struct config_pair {
    const char *key;
    const char *value;
};

/* What every worker is told besides the configuration. */
struct config_identity {
    const char *instance;
    uint64_t boot;
    const char *cgroup; /* where groups with a limit of memory are made; "": nowhere */
};

/*
 * Appends the settings of a worker: one msgpack map of text to text, ready for link_config_pack. `section` is the one that gives
 * birth to the worker (worker_types.h, PLACE): a redis section, a drain section, a program section, or NULL for a type that exists once. `redis.url`
 * of an embedded server becomes that of its unix socket. Copies everything. Returns 0; -EINVAL when the section is not of the
 * type's kind; -ENOENT when the section refers to one that does not exist (config_load refuses that); -ENOMEM. On failure
 * `out` is as before, except that it may be `failed`.
 */
int config_settings_pack(struct buffer *out, const struct config *c, enum worker_type type,
                         const struct config_section *section,
                         const struct config_identity *identity, const struct config_pair *extra,
                         size_t extra_count);

/* True for a redis section whose url is "embedded". */
bool config_redis_is_embedded(const struct config_section *redis);

/*
 * Appends the path of the embedded server's unix socket: RUNTIME_DIR/redis.sock for the first redis section,
 * RUNTIME_DIR/redis-<name>.sock for any other.
 */
void config_redis_socket(const struct config *c, const struct config_section *redis,
                         struct buffer *out);

/* Appends the url under which workers reach that section's Redis: unix://<socket> when it is embedded, else the url given. */
void config_redis_url(const struct config *c, const struct config_section *redis,
                      struct buffer *out);

#endif
