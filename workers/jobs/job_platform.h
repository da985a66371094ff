/*
 * job_platform.h: the platforms of a jobs section: executable files of one folder.
 *
 * Runs in collector and sanjers. A platform's id is the name of its file up to the first dot. Files that begin with
 * base_, _ or a dot are none. Reads the folder at each call, so that changes need no restart; blocks for that.
 */
#ifndef WORKERS_JOBS_JOB_PLATFORM_H
#define WORKERS_JOBS_JOB_PLATFORM_H

#include "common/slice.h"

#define JOB_PLATFORM_MAX 128

/* Calls fn for each, in no order. False: the folder cannot be read, errno says why. */
bool job_platform_each(const char *folder, void (*fn)(struct slice id, const char *file, void *ctx),
                       void *ctx);

/*
 * The file of a platform. True; else what is wrong with it in `why`: there is none, or there are two.
 */
bool job_platform_find(const char *folder, struct slice id, char *file, size_t size, char *why,
                       size_t why_size);

#endif
