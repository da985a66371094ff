/* program_calls.c: see program_calls.h. */
#include "master/program/program_calls.h"

#include "master/program/config_check_program.h"
#include "master/program/preflight_program.h"
#include "master/program/program_settings.h"

void program_calls_check(const struct config_section *s, struct config_errors *errors)
{
    config_check_program_keys(s, errors);
}

int program_calls_settings(struct config_extras *e, const struct config *c,
                           const struct config_section *s, const char *prefix)
{
    return program_settings_foreign(e, c, s, prefix);
}

void program_calls_preflight(const struct config_section *s, struct preflight_findings *f)
{
    preflight_program_foreign(s, f);
}
