/*
 * job_platform.h: the platforms of a jobs section: files of one folder, and what each says of itself.
 *
 * Runs in collector and sanjers. A platform's id is the name of its file up to the first dot. Files that begin with
 * base_, _ or a dot are none. Reads the folder at each call, so that changes need no restart; blocks for that.
 *
 * An executable file is a program; NAME.py is a Python class, unless it is executable and begins with #!
 * (python/platoon_class.py has the same rule).
 */
#ifndef WORKERS_JOBS_JOB_PLATFORM_H
#define WORKERS_JOBS_JOB_PLATFORM_H

#include "workers/jobs/job_settings.h"

#define JOB_PLATFORM_MAX 128

/*
 * What a platform says of itself: a program's answer to `FILE --spec`, and what an interpreter says of a class, both as
 *
 *   {"display_name": "CoinIs", "settings": {NAME: {"type", "default", "required", "secret"}},
 *    "timeout": 90, "retries": 2, "rerun": true, "secrets": ["key"]}
 *
 * Each may be absent, or null. timeout: seconds, or text with a unit ("3m"). secrets: names of settings that are
 * secret, as if they said so themselves. What else stands there is left alone.
 */
struct job_platform_spec {
    char *display_name; /* NULL: none is said; valid UTF-8, at most JOB_PLATFORM_MAX bytes */
    struct job_settings *settings; /* never NULL */
    uint64_t timeout_ms;           /* 0: the section's */
    int64_t retries;               /* below 0: the section's */
    bool rerun; /* whether it may run again when its sanjer has died; true unless it says false */
};

#define JOB_PLATFORM_TIMEOUT_MIN_MS 1000u
#define JOB_PLATFORM_TIMEOUT_MAX_MS (30u * 86400u * 1000u)
#define JOB_PLATFORM_RETRIES_MAX    1000

/*
 * Reads it, borrowed. 0: *out is the caller's, for job_platform_spec_fini. -EINVAL: `why` gets one line that names the
 * member and the fault; -ENOMEM. *out is as before then. Pure.
 */
int job_platform_read_spec(const json_t *spec, struct job_platform_spec *out, struct buffer *why);

/* Harmless on a zeroed one. */
void job_platform_spec_fini(struct job_platform_spec *spec);

enum job_platform_kind { JOB_PLATFORM_NONE, JOB_PLATFORM_PROGRAM, JOB_PLATFORM_CLASS };

/* What a file is, by itself; its name is looked at for its end only. Blocks for the file. */
enum job_platform_kind job_platform_kind(const char *file);

/*
 * The folder of what we run in Python (share/platoon/python), beside the libexec/platoon of the running program. False:
 * it is not there, or too long.
 */
bool job_platform_python(char *folder, size_t size);

/* Calls fn for each, in no order. False: the folder cannot be read, errno says why. */
bool job_platform_each(const char *folder, void (*fn)(struct slice id, const char *file, void *ctx),
                       void *ctx);

/*
 * The file of a platform. 0; else what is wrong with it in `why`: -ENOENT: there is none; -EEXIST: there are two; the
 * folder's own errno.
 */
int job_platform_find(const char *folder, struct slice id, char *file, size_t size, char *why,
                      size_t why_size);

#endif
