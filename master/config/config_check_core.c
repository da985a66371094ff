/*
 * config_check_core.c: what is wrong with the runtime's own section. See config_check.h. Stores: config_check_store.c.
 *
 * Runs in the master and in the tool.
 */
#include "master/config/config_check_key.h"
#include "master/systems_config.h"

void config_check_platoon(const struct config *c, const struct config_section *s,
                          struct config_errors *errors)
{
    (void)c;
    config_check_order(s, "backoff_min", "backoff_max", errors);
}
