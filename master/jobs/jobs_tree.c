/*
 * jobs_tree.c: what the keeper of a jobs section is told beside its keys: its schedules, and what is
 * said of queues. See systems_tree.h.
 *
 * Runs in the master.
 */
#include "master/systems_tree.h"

int tree_extra_job_keeper(const struct config *c, const struct config_section *s,
                          const struct preflight *p, struct config_extras *extras)
{
    static const char *const keys[] = {"platform", "settings", "cron",
                                       "every",    "missed",   "overlap"};
    const struct config_section *schedule;
    size_t count = 0;
    (void)p;
    /* LIVE: nobody but the keeper is started anew, and what runs goes on. It tells Redis, where claims read it. */
    config_extras_add(extras, "rules.weights", config_get(s, "weights"));
    config_extras_add(extras, "rules.limits", config_get(s, "limits"));
    for (size_t i = 0; (schedule = config_section_at(c, CONFIG_SCHEDULE, i)) != NULL; i++) {
        if (config_section_find(c, CONFIG_JOBS, config_get(schedule, "jobs")) != s)
            continue;
        config_extras_add_item(extras, "schedules", count, "name", config_title(schedule));
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            config_extras_add_item(extras, "schedules", count, keys[k],
                                   config_get(schedule, keys[k]));
        count++;
    }
    return 0;
}
