/*
 * config_check_health.c: what is wrong with platoon's key `health`. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/listen_address.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"

/* Whoever may connect may read names and numbers of all workers: so only this machine may. */
void config_check_health(const struct config *c, const struct config_section *s,
                         struct config_errors *errors)
{
    (void)c;
    struct listen_address address;
    const char *text = config_check_broken(s, "health") ? "" : config_get(s, "health");
    if (text[0] == '\0')
        return;
    if (listen_address_parse(text, &address) != 0)
        config_errors_add(errors, config_check_line(s, "health"),
                          "health: '%s' is no address: 127.0.0.1:9100, [::1]:9100 or "
                          "unix:/run/platoon/health.sock",
                          text);
    else if (!address.loopback)
        config_errors_add(errors, config_check_line(s, "health"),
                          "health: %s can be reached from other machines: listen on 127.0.0.1 or "
                          "[::1], and let a proxy decide who else may ask",
                          text);
}
