/* systems_config.c: see systems_config.h. */
#include "master/systems_config.h"

void systems_config_register(void)
{
    static const struct config_check_entry checks[] = {
#define X(KIND, name) {CONFIG_##KIND, config_check_##name},
        SYSTEMS(CHECKS, X)
#undef X
    };
    static const struct config_tell tells[] = {
#define X(KIND, key, name) {CONFIG_##KIND, key, config_tell_##name},
        SYSTEMS(TELLS, X)
#undef X
    };
    config_check_register(checks, sizeof checks / sizeof checks[0]);
    config_settings_register(tells, sizeof tells / sizeof tells[0]);
}
