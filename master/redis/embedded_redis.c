/* embedded_redis.c: see embedded_redis.h. */
#include "master/redis/embedded_redis.h"

#include "master/systems_config.h"

bool embedded_redis_is(const struct config_section *redis)
{
    return strcmp(config_get(redis, "url"), "embedded") == 0;
}

void embedded_redis_socket(const struct config *c, const struct config_section *redis,
                           struct buffer *out)
{
    buffer_printf(out, "%s/redis", config_get(config_platoon(c), "runtime_dir"));
    if (redis != config_section_at(c, CONFIG_REDIS, 0))
        buffer_printf(out, "-%s", config_title(redis));
    buffer_append_text(out, ".sock");
}

void embedded_redis_dir(const struct config *c, const struct config_section *redis,
                        struct buffer *out)
{
    buffer_printf(out, "%s/redis", config_get(config_platoon(c), "state_dir"));
    if (redis != config_section_at(c, CONFIG_REDIS, 0))
        buffer_printf(out, "-%s", config_title(redis));
}

void embedded_redis_password_file(const struct config *c, const struct config_section *redis,
                                  struct buffer *out)
{
    const char *named = config_get(redis, "password_file");
    if (named[0] != '\0') {
        buffer_append_text(out, named);
    } else if (embedded_redis_is(redis) && config_get_u64(redis, "server_port") != 0) {
        embedded_redis_dir(c, redis, out);
        buffer_append_text(out, "/password");
    }
}

void config_tell_redis_password_file(const struct config *c, const struct config_section *s,
                                     struct buffer *out)
{
    embedded_redis_password_file(c, s, out);
}

/* The url under which workers reach that section's Redis. */
void config_tell_redis_url(const struct config *c, const struct config_section *s,
                           struct buffer *out)
{
    if (!embedded_redis_is(s)) {
        buffer_append_text(out, config_get(s, "url"));
        return;
    }
    buffer_append_text(out, "unix://");
    embedded_redis_socket(c, s, out);
}
