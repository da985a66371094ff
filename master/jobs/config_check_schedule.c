/*
 * config_check_schedule.c: what is wrong with schedule sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/json/json_check.h"
#include "common/time/schedule.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"

#include <ctype.h>

#define SCHEDULE_NAME_MAX 64
#define SCHEDULE_MAX      500 /* the keeper's TIMETABLE_MAX */

/* It stands in the names of its jobs, where RQ takes nothing else. */
static bool schedule_is_name(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return false;
    return len > 0 && len <= SCHEDULE_NAME_MAX;
}

void config_check_schedule(const struct config *c, const struct config_section *s,
                           struct config_errors *errors)
{
    struct schedule when;
    char why[SCHEDULE_WHY_SIZE];
    unsigned line = config_check_line(s, config_get(s, "cron")[0] != '\0' ? "cron" : "every");
    config_check_reference(c, s, "jobs", CONFIG_JOBS, errors);
    if (!schedule_is_name(config_title(s)))
        config_errors_add(errors, config_check_line(s, "jobs"),
                          "schedule %s: a name is 1 to 64 letters, digits, - and _",
                          config_title(s));
    if (!config_check_broken(s, "every") && !config_check_broken(s, "cron") &&
        schedule_read(config_get(s, "cron"), config_get_u64(s, "every"), &when, why) != 0)
        config_errors_add(errors, line, "schedule %s: %s", config_title(s), why);
    if (!config_check_broken(s, "settings") &&
        !json_check_object(slice_of(config_get(s, "settings"))))
        config_errors_add(errors, config_check_line(s, "settings"),
                          "settings: a JSON object is wanted, such as '{\"date\":\"yesterday\"}'");
    if (config_section_at(c, CONFIG_SCHEDULE, SCHEDULE_MAX) != NULL &&
        config_section_at(c, CONFIG_SCHEDULE, 0) == s)
        config_errors_add(errors, config_check_line(s, "jobs"),
                          "there are more than %d schedules: add others by platoonctl job schedule",
                          SCHEDULE_MAX);
}
