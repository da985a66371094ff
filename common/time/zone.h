/*
 * zone.h: what clocks show elsewhere: time zones from tzdata's files.
 *
 * Runs in every process that reads dates or schedules. zone_load reads one file, the rest is pure. tzset and
 * localtime_r were rejected: they know one zone a process, and mktime guesses in silence what it makes of a local
 * time that a change of clocks skips or brings twice. Format: RFC 8536 (TZif, versions 2 to 4), with the rule at
 * its end (POSIX TZ) for all years to come. Files that count leap seconds (right/…) are refused.
 */
#ifndef COMMON_TIME_ZONE_H
#define COMMON_TIME_ZONE_H

#include "common/slice.h"

#include <stdint.h>

struct zone;

#define ZONE_NAME_MAX 64

/*
 * Reads a zone by its name ("Europe/Berlin", "UTC"); "" is the machine's, /etc/localtime, and UTC where there is
 * none. Reads a file: not for a loop's hot paths. On 0 *out is the caller's, for zone_free. -EINVAL: no name of a
 * zone; -ENOENT: there is none such, or tzdata is not installed; -EBADMSG: its file is none; -ENOMEM; another of
 * open's.
 */
int zone_load(const char *name, struct zone **out);

/* The same from a file's bytes. -EBADMSG, -ENOMEM. */
int zone_parse(struct slice file, struct zone **out);

void zone_free(struct zone *z);

/* Seconds to add to `utc` for what clocks there show; within a day and two hours. NULL is UTC, here and below. */
int32_t zone_offset(const struct zone *z, int64_t utc);

enum zone_local {
    ZONE_ONCE,
    ZONE_TWICE,   /* clocks are set back: the first of both is meant */
    ZONE_SKIPPED, /* clocks are set forward: the first second after the gap is meant */
};

/* The first second at which clocks there show `local` (civil.h), or more: never goes back while `local` grows. */
int64_t zone_utc(const struct zone *z, int64_t local, enum zone_local *how);

#endif
