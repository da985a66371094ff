/*
 * config_check_redis.c: what is wrong with redis sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/redis_url.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"

/* What it names is found out by connecting: in the workers. */
static void redis_check_url(const struct config_section *s, struct config_errors *errors)
{
    const char *url = config_get(s, "url");
    if (config_check_broken(s, "url") || strcmp(url, "embedded") == 0)
        return;
    char why[256];
    struct redis_url u;
    if (redis_url_parse(&u, url, why, sizeof why) != 0)
        config_errors_add(errors, config_check_line(s, "url"), "url: %s", why);
    redis_url_fini(&u);
}

/* It would be left unused, in silence. */
static void redis_check_sentinel(const struct config_section *s, struct config_errors *errors)
{
    const char *url = config_get(s, "url");
    if (config_get(s, "sentinel_password_file")[0] != '\0' && !config_check_broken(s, "url") &&
        !config_check_starts(url, "sentinel://") && !config_check_starts(url, "sentinels://"))
        config_errors_add(errors, config_check_line(s, "sentinel_password_file"),
                          "sentinel_password_file: is for sentinel:// and sentinels:// urls");
}

void config_check_redis(const struct config *c, const struct config_section *s,
                        struct config_errors *errors)
{
    (void)c;
    redis_check_url(s, errors);
    redis_check_sentinel(s, errors);
    config_check_together(s, "tls_cert_file", "tls_key_file", errors);
    config_check_together(s, "tls_key_file", "tls_cert_file", errors);
}
