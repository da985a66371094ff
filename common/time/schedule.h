/*
 * schedule.h: when is something due again? `cron` and `every`, as the sections that have a schedule say it.
 *
 * Runs in the master (configuration check), and in workers that keep schedules. Pure: zone and time are parameters.
 *
 *   cron   five fields: minute hour day-of-month month day-of-week; each *, N, N-M, both of the latter with /STEP, or
 *          several with commas; jan-dec, sun-sat in any case, 7 is sunday too; or @yearly @annually @monthly @weekly
 *          @daily @midnight @hourly. When neither day field begins with *, either of them will do (Vixie's cron).
 *   every  from 1970-01-01T00:00:00Z on, whatever the zone: whoever asks finds the same times
 *
 * A time that a change of clocks skips is due after the gap, once, however many are skipped; one that comes twice
 * is due the first time only. So a cron of every few minutes rests for the hour that clocks are set back by:
 * `every` does not.
 */
#ifndef COMMON_TIME_SCHEDULE_H
#define COMMON_TIME_SCHEDULE_H

#include "common/time/zone.h"

struct schedule {
    uint64_t minutes, hours, days, months, weekdays; /* a bit each */
    bool either_day;                                 /* of month or of week */
    int64_t every;                                   /* seconds; 0: the fields above count */
};

#define SCHEDULE_EVERY_MIN 1
#define SCHEDULE_EVERY_MAX (366 * 86400)

#define SCHEDULE_WHY_SIZE 120

/*
 * Reads what a section has: `cron` ("" for none) or `every_ms` (0 for none), one of them. 0, or -EINVAL and in `why`
 * what is wrong, without a name in front.
 */
int schedule_read(const char *cron, uint64_t every_ms, struct schedule *out,
                  char why[SCHEDULE_WHY_SIZE]);

/* The first second after `after` at which it is due, in seconds since 1970; INT64_MAX: beyond the year 9999. */
int64_t schedule_next(const struct schedule *s, const struct zone *zone, int64_t after);

enum schedule_missed { SCHEDULE_ONCE, SCHEDULE_SKIP, SCHEDULE_ALL };

#define SCHEDULE_ALL_MAX 100

/*
 * What is to be run now: the times at which it was due after `last` up to `now`, ascending, in due[0 …].
 * SCHEDULE_ONCE: the newest of them. SCHEDULE_SKIP: as that, when it is not older than `grace` seconds.
 * SCHEDULE_ALL: the newest SCHEDULE_ALL_MAX. Returns how many; none too when the clock has been set back behind
 * `last`. What it takes is bounded, however long ago `last` is.
 */
size_t schedule_due(const struct schedule *s, const struct zone *zone, int64_t last, int64_t now,
                    enum schedule_missed missed, int64_t grace, int64_t due[SCHEDULE_ALL_MAX]);

#endif
