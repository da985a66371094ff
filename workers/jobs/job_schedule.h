/*
 * job_schedule.h: a schedule as it stands in Redis: what is made when, in one text.
 *
 * Runs in the keeper, which looks after them, and in the collector, which takes and shows them. Pure.
 */
#ifndef WORKERS_JOBS_JOB_SCHEDULE_H
#define WORKERS_JOBS_JOB_SCHEDULE_H

#include "common/buffer.h"
#include "common/time/schedule.h"

#include <jansson.h>

#define JOB_SCHEDULE_NAME_MAX 64
#define JOB_SCHEDULE_WHY_SIZE 200

/* Late by more than that it was missed. */
#define JOB_SCHEDULE_GRACE_S 60

struct job_schedule {
    json_t *json; /* owns the texts */
    const char *platform, *settings, *cron, *missed, *overlap;
    uint64_t every_ms;
    bool of_file;
    struct schedule when;
    enum schedule_missed policy;
};

/* Letters, digits, - and _, 1 to 64. */
bool job_schedule_is_name(struct slice name);

/*
 * Writes a definition from texts as the configuration has them (every: ms). 0; -EINVAL: `why` says what is wrong;
 * -ENOMEM.
 */
int job_schedule_write(struct buffer *out, bool of_file, const char *platform, const char *settings,
                       const char *cron, const char *every, const char *missed, const char *overlap,
                       char why[JOB_SCHEDULE_WHY_SIZE]);

/* Reads one. 0: for job_schedule_fini; -EINVAL: it is none. */
int job_schedule_read(struct slice text, struct job_schedule *out);
void job_schedule_fini(struct job_schedule *s);

#endif
