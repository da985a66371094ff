/* ctl_job_schedule.c: the verb job schedule: list, add, remove, pause, resume, now. See ctl_job.h. */
#include "common/text.h"
#include "common/json/json_text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/jobs/ctl_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { OF_CRON, OF_EVERY, OF_SETTINGS, OF_MISSED, OF_OVERLAP, OFS };

static int schedule_list(struct ctl *c, const struct ctl_job_words *words)
{
    static const struct ctl_column columns[] = {{.title = "SCHEDULE"},
                                                {.title = "PLATFORM"},
                                                {.title = "CRON"},
                                                {.title = "EVERY MS", .right = true},
                                                {.title = "STATE"},
                                                {.title = "NEXT"},
                                                {.title = "STATUS"},
                                                {.title = "JOB"},
                                                {.title = "WHY", .cut = true}};
    static const char *const keys[] = {"name", "platform_id", "cron",   "every_ms", "state",
                                       "next", "status",      "job_id", "why"};
    struct ctl_table t;
    json_t *answer = NULL, *row;
    size_t i;
    int status = ctl_job_ask(c, words->section, "job-schedules", 0, NULL, &answer);
    if (status == CONTROL_OK && c->args.json) {
        ctl_print_json(c, answer);
    } else if (status == CONTROL_OK) {
        ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
        json_array_foreach(answer, i, row)
        {
            for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
                ctl_job_cell(&t, row, keys[k]);
        }
        ctl_table_render(&t, c->width, c->color, &c->out);
        ctl_table_fini(&t);
    }
    json_decref(answer);
    return status;
}

static int schedule_done(struct ctl *c, int status, json_t *answer)
{
    if (status == CONTROL_OK && c->args.json) {
        ctl_print_json(c, answer);
    } else if (status == CONTROL_OK) {
        ctl_append_safe(&c->out, slice_of(ctl_value_text(answer, "name")));
        buffer_printf(&c->out, ": %s\n", ctl_value_text(answer, "done"));
    }
    json_decref(answer);
    return status;
}

static int schedule_add(struct ctl *c, const struct ctl_job_words *words, const char *const *values)
{
    json_t *answer = NULL;
    uint64_t every;
    char ms[24];
    if (words->count != 3)
        return ctl_fail_usage(c->args.verb, "add: NAME PLATFORM and --cron or --every are wanted");
    if (text_parse_span(slice_of(values[OF_EVERY]), &every) != 0)
        return ctl_fail_usage(c->args.verb, "--every: '%s' is no span, such as 90s, 1h",
                              values[OF_EVERY]);
    snprintf(ms, sizeof ms, "%" PRIu64, every);
    json_t *settings = ctl_job_settings(c, values[OF_SETTINGS]);
    if (settings == NULL)
        return CONTROL_USAGE;
    char *text = json_text(settings);
    json_decref(settings);
    const struct slice args[] = {slice_of(words->list[1]),
                                 slice_of(words->list[2]),
                                 slice_of(text != NULL ? text : ""),
                                 slice_of(values[OF_CRON]),
                                 slice_of(ms),
                                 slice_of(values[OF_MISSED]),
                                 slice_of(values[OF_OVERLAP])};
    int status = ctl_job_ask(c, words->section, "job-schedule-put", 7, args, &answer);
    free(text);
    return schedule_done(c, status, answer);
}

static int schedule_move(struct ctl *c, const struct ctl_job_words *words)
{
    static const char *const moves[] = {"remove", "pause", "resume", "now"};
    const char *what = words->list[0];
    json_t *answer = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        known = known || strcmp(what, moves[i]) == 0;
    if (!known)
        return ctl_fail_usage(c->args.verb, "'%s' is none of list, add, remove, pause, resume, now",
                              what);
    if (words->count != 2)
        return ctl_fail_usage(c->args.verb, "%s: the name of a schedule is wanted", what);
    const struct slice args[] = {slice_of(words->list[1]), slice_of(what)};
    int status = ctl_job_ask(c, words->section, "job-schedule-move", 2, args, &answer);
    return schedule_done(c, status, answer);
}

int ctl_job_schedule_run(struct ctl *c)
{
    static const char *const options[] = {"--cron",   "--every",   "--settings",
                                          "--missed", "--overlap", NULL};
    const char *values[OFS] = {"", "0", "{}", "once", "skip"};
    struct ctl_job_words words;
    int status = ctl_job_begin(c, &words, 0, 3, options, values);
    if (status != CONTROL_OK)
        return status;
    if (words.count == 0 || strcmp(words.list[0], "list") == 0)
        return schedule_list(c, &words);
    if (strcmp(words.list[0], "add") == 0)
        return schedule_add(c, &words, values);
    return schedule_move(c, &words);
}
