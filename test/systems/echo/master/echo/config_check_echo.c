/*
 * config_check_echo.c: what is wrong with echo sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "master/config/config_check_key.h"
#include "master/systems_config.h"

void config_check_echo(const struct config *c, const struct config_section *s,
                       struct config_errors *errors)
{
    (void)c;
    if (!config_check_broken(s, "suffix") && strchr(config_get(s, "suffix"), '\n') != NULL)
        config_errors_add(errors, config_check_line(s, "suffix"),
                          "suffix: holds the end of a line: an echo is one line");
}
