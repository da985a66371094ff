/* embedded_redis.c: command line of the private redis-server. See embedded_redis.h. */
#include "master/redis/embedded_redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

static void embedded_arg(struct embedded_redis *e, const char *value)
{
    char *name = e->names[e->count];
    snprintf(name, sizeof e->names[0], "command.argv.%zu", e->count);
    e->pairs[e->count++] = (struct config_pair){name, value};
}

static void embedded_option(struct embedded_redis *e, const char *name, const char *value)
{
    embedded_arg(e, name);
    embedded_arg(e, value);
}

static void embedded_setting(struct embedded_redis *e, const char *name, const char *value)
{
    e->pairs[e->count++] = (struct config_pair){name, value};
}

int embedded_redis_settings(struct embedded_redis *e, const struct config *c,
                            const struct config_section *redis, const char *state_dir)
{
    *e = (struct embedded_redis){0};
    bool first = redis == config_section_at(c, CONFIG_REDIS, 0);
    config_redis_socket(c, redis, &e->socket);
    buffer_printf(&e->dir, "%s/redis%s%s", state_dir, first ? "" : "-",
                  first ? "" : config_title(redis));
    buffer_printf(&e->port, "%" PRIu64, config_get_u64(redis, "server_port"));
    buffer_printf(&e->maxmemory, "%" PRIu64, config_get_u64(redis, "server_maxmemory"));
    const char *socket = buffer_text(&e->socket), *dir = buffer_text(&e->dir),
               *port = buffer_text(&e->port), *maxmemory = buffer_text(&e->maxmemory);
    if (socket == NULL || dir == NULL || port == NULL || maxmemory == NULL)
        return -ENOMEM;
    buffer_printf(&e->ready, "unix:%s", socket);
    if (buffer_text(&e->ready) == NULL)
        return -ENOMEM;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return -errno;

    embedded_arg(e, config_get(redis, "server_program"));
    embedded_option(e, "--unixsocket", socket);
    embedded_option(e, "--unixsocketperm", "700");
    embedded_option(e, "--port", port);
    embedded_option(e, "--bind", "127.0.0.1");
    embedded_option(e, "--dir", dir);
    embedded_option(e, "--appendonly", "yes");
    embedded_option(e, "--appendfsync", config_get(redis, "server_appendfsync"));
    embedded_option(e, "--save", "");
    embedded_option(e, "--maxmemory", maxmemory);
    embedded_option(e, "--maxmemory-policy", "noeviction");
    embedded_option(e, "--notify-keyspace-events",
                    "Ks"); /* the watcher is woken instead of polling */
    embedded_option(e, "--daemonize", "no");
    embedded_option(e, "--loglevel", "notice");

    embedded_setting(e, "command.ready", e->ready.data);
    embedded_setting(e, "command.dir", "");
    embedded_setting(e, "command.stop_signal", "15");
    return 0;
}

void embedded_redis_fini(struct embedded_redis *e)
{
    buffer_fini(&e->socket);
    buffer_fini(&e->ready);
    buffer_fini(&e->dir);
    buffer_fini(&e->port);
    buffer_fini(&e->maxmemory);
}
