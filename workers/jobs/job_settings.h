/*
 * job_settings.h: the settings of a platform, and what a request gives for them.
 *
 * Runs in the collector and the keeper (schedules). Pure: jansson in and out. A platform says what it takes, as
 * platforms/get shows it:
 *
 *   {"name": {"type": "str", "default": …, "required": true, "secret": false}, …}
 *
 * type       str int float bool datetime list dict; absent: that of the default, str without one. A str of the name
 *            date, start_date or end_date is a datetime.
 * default    absent or null: none. Read as if it were given: "yesterday" is that of the day on which the job is made
 * required   absent: there is no default
 * secret     absent: whether the name holds password, passwd, secret, token or api_key, which is one whatever it says
 *
 * Text that reads as its type is taken: "7" is an int, "yes" a bool, "[1]" a list. null is as good as not given.
 */
#ifndef WORKERS_JOBS_JOB_SETTINGS_H
#define WORKERS_JOBS_JOB_SETTINGS_H

#include "common/buffer.h"
#include "common/time/zone.h"

#include <jansson.h>

struct job_settings;

#define JOB_SETTINGS_MAX      256 /* settings of a platform */
#define JOB_SETTINGS_NAME_MAX 64  /* bytes: letters, digits and _, no digit first */
#define JOB_SETTINGS_WHY_MAX  1024

/*
 * Reads what a platform says (NULL: it takes none), borrowed. 0: *out is the caller's, for job_settings_free.
 * -EINVAL: `why` gets one line that names the setting and the fault; -ENOMEM.
 */
int job_settings_new(const json_t *spec, struct job_settings **out, struct buffer *why);
void job_settings_free(struct job_settings *s);

/* Makes a setting a secret. False: there is none of that name. */
bool job_settings_hide(struct job_settings *s, const char *name);

/*
 * The same as platforms/get shows it, all members given, in the platform's order; a secret's default is masked. A new
 * reference; NULL: memory is short.
 */
json_t *job_settings_describe(const struct job_settings *s);

/*
 * Makes a job's settings of those that a request gives (NULL: none), as of `now` (seconds since 1970) in `zone`. 0:
 * *out, a new reference, has each setting of the platform in its order, null where nothing is given and there is no
 * default; a datetime is text, ISO 8601 with the zone's offset (date_format; a Python class gets it without).
 * -EINVAL: `why` gets the message of the answer 400, up to JOB_SETTINGS_WHY_MAX bytes, without what a secret was;
 * -ENOMEM.
 *
 *   Missing parameters in request: a, b
 *   Unknown parameters in request: x
 *   Invalid parameters in request: date: no date: "yestrday", n: no int: true
 */
int job_settings_read(const struct job_settings *s, const json_t *given, const struct zone *zone,
                      int64_t now, json_t **out, struct buffer *why);

/*
 * A copy of a job's settings with each secret that is not null masked, for lists and logs; in the others what
 * job_secret.h calls so. NULL: memory is short.
 */
json_t *job_settings_mask(const struct job_settings *s, const json_t *values);

/* What that copy leaves out, for job_secret_join: an object, empty without any. NULL: memory is short. */
json_t *job_settings_secrets(const struct job_settings *s, const json_t *values);

#endif
