/* job_schedule.c: see job_schedule.h. */
#include "workers/jobs/job_schedule.h"

#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool job_schedule_is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '-' && name.ptr[i] != '_')
            return false;
    return name.len > 0 && name.len <= JOB_SCHEDULE_NAME_MAX;
}

static bool schedule_policy(const char *missed, enum schedule_missed *policy)
{
    *policy = strcmp(missed, "all") == 0    ? SCHEDULE_ALL
              : strcmp(missed, "skip") == 0 ? SCHEDULE_SKIP
                                            : SCHEDULE_ONCE;
    return *policy != SCHEDULE_ONCE || strcmp(missed, "once") == 0;
}

int job_schedule_write(struct buffer *out, bool of_file, const char *platform, const char *settings,
                       const char *cron, const char *every, const char *missed, const char *overlap,
                       char why[JOB_SCHEDULE_WHY_SIZE])
{
    struct schedule when;
    enum schedule_missed policy;
    uint64_t every_ms;
    json_t *given = json_loads(settings, JSON_REJECT_DUPLICATES, NULL);
    bool object = json_is_object(given);
    json_decref(given);
    why[0] = '\0';
    if (text_parse_u64(slice_of(every), &every_ms) != 0)
        snprintf(why, JOB_SCHEDULE_WHY_SIZE, "every: '%.40s' is no number of ms", every);
    else if (schedule_read(cron, every_ms, &when, why) != 0)
        return -EINVAL;
    else if (!object)
        snprintf(why, JOB_SCHEDULE_WHY_SIZE, "settings: a JSON object is wanted");
    else if (!schedule_policy(missed, &policy))
        snprintf(why, JOB_SCHEDULE_WHY_SIZE, "missed: once, skip or all is wanted");
    else if (strcmp(overlap, "skip") != 0 && strcmp(overlap, "allow") != 0)
        snprintf(why, JOB_SCHEDULE_WHY_SIZE, "overlap: skip or allow is wanted");
    if (why[0] != '\0')
        return -EINVAL;
    /* jobs_schedule.lua finds cron and every where they stand, side by side. */
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:I,s:s,s:s}", "platform", platform, "settings", settings, "cron",
                  cron, "every", (json_int_t)every_ms, "missed", missed, "overlap", overlap);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    buffer_append_char(out, of_file ? 'f' : 'v');
    buffer_append_text(out, text != NULL ? text : "");
    bool ok = text != NULL && buffer_ok(out);
    free(text);
    json_decref(json);
    return ok ? 0 : -ENOMEM;
}

static const char *schedule_text(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

int job_schedule_read(struct slice text, struct job_schedule *out)
{
    char why[SCHEDULE_WHY_SIZE];
    if (text.len < 2)
        return -EINVAL;
    json_t *json = json_loadb(text.ptr + 1, text.len - 1, 0, NULL);
    json_int_t every = json_integer_value(json_object_get(json, "every"));
    *out = (struct job_schedule){.json = json,
                                 .platform = schedule_text(json, "platform"),
                                 .settings = schedule_text(json, "settings"),
                                 .cron = schedule_text(json, "cron"),
                                 .missed = schedule_text(json, "missed"),
                                 .overlap = schedule_text(json, "overlap"),
                                 .every_ms = every > 0 ? (uint64_t)every : 0,
                                 .of_file = text.ptr[0] == 'f'};
    if (json != NULL && schedule_policy(out->missed, &out->policy) &&
        schedule_read(out->cron, out->every_ms, &out->when, why) == 0)
        return 0;
    job_schedule_fini(out);
    return -EINVAL;
}

void job_schedule_fini(struct job_schedule *s)
{
    json_decref(s->json);
    *s = (struct job_schedule){.json = NULL};
}
