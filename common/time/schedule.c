/* schedule.c: see schedule.h. */
#include "common/time/schedule.h"

#include "common/time/civil.h"
#include "common/time/schedule_cron.h"

#include <errno.h>
#include <stdio.h>

#define FIRST_WINDOW 3600

int schedule_read(const char *cron, uint64_t every_ms, struct schedule *out,
                  char why[SCHEDULE_WHY_SIZE])
{
    if ((cron[0] != '\0') == (every_ms > 0)) {
        snprintf(why, SCHEDULE_WHY_SIZE, "%s of cron and every: give one of them",
                 every_ms > 0 ? "both" : "none");
        return -EINVAL;
    }
    if (every_ms == 0)
        return schedule_cron_read(cron, out, why);
    if (every_ms % 1000 != 0 || every_ms / 1000 > SCHEDULE_EVERY_MAX) {
        snprintf(why, SCHEDULE_WHY_SIZE, "every is whole seconds, up to 366d");
        return -EINVAL;
    }
    *out = (struct schedule){.every = (int64_t)(every_ms / 1000)};
    return 0;
}

/* ---- fields ---- */

static bool has(uint64_t bits, int n)
{
    return (bits >> n & 1) != 0;
}

static bool matches_day(const struct schedule *s, const struct civil *c, int64_t day)
{
    if (!has(s->months, c->month))
        return false;
    bool of_month = has(s->days, c->day), of_week = has(s->weekdays, civil_weekday(day));
    return s->either_day ? of_month || of_week : of_month && of_week;
}

/* The first minute of a day, at `minute` or later, that matches; -1: none. */
static int find_minute(const struct schedule *s, int minute)
{
    for (int hour = minute / 60; hour < 24; hour++) {
        if (!has(s->hours, hour))
            continue;
        for (int m = hour == minute / 60 ? minute % 60 : 0; m < 60; m++)
            if (has(s->minutes, m))
                return hour * 60 + m;
    }
    return -1;
}

/* The first local second at `from` or later that is a minute that matches; INT64_MAX: there is none any more. */
static int64_t find_local(const struct schedule *s, int64_t from)
{
    int64_t day = civil_day_of(from + 59);
    int minute = (int)((from + 59 - day * CIVIL_DAY) / 60);
    struct civil c;
    for (;; day++, minute = 0) {
        civil_of(day * CIVIL_DAY, &c);
        if (c.year > CIVIL_YEAR_MAX)
            return INT64_MAX;
        int found = matches_day(s, &c, day) ? find_minute(s, minute) : -1;
        if (found >= 0)
            return day * CIVIL_DAY + found * 60;
    }
}

/*
 * A local time is due at the first second at which clocks show it or more (zone_utc), which never goes back while local
 * times grow: so the first that is due after `after` is the answer. Those that come twice may have been due before.
 */
static int64_t next_cron(const struct schedule *s, const struct zone *zone, int64_t after)
{
    enum zone_local how;
    int64_t local = after + zone_offset(zone, after);
    for (;;) {
        local = find_local(s, local + 1);
        if (local == INT64_MAX)
            return INT64_MAX;
        int64_t utc = zone_utc(zone, local, &how);
        if (utc > after)
            return utc;
    }
}

int64_t schedule_next(const struct schedule *s, const struct zone *zone, int64_t after)
{
    static const struct civil end = {CIVIL_YEAR_MAX, 12, 31, 0, 0, 0};
    if (after >= civil_seconds(&end))
        return INT64_MAX;
    if (s->every == 0)
        return next_cron(s, zone, after);
    int64_t turns = after / s->every - (after % s->every < 0);
    return (turns + 1) * s->every;
}

/* ---- what was missed ---- */

/* Those in (from, now], at most `max`, the newest, in a ring: *count is how many there were in all. */
static void collect(const struct schedule *s, const struct zone *zone, int64_t from, int64_t now,
                    size_t max, int64_t *ring, size_t *count)
{
    *count = 0;
    for (int64_t at = schedule_next(s, zone, from); at <= now; at = schedule_next(s, zone, at))
        ring[(*count)++ % max] = at;
}

static void unroll(const int64_t *ring, size_t max, size_t count, int64_t *due)
{
    for (size_t i = 0; i < max; i++)
        due[i] = ring[(count + i) % max];
}

/*
 * It looks back from `now`, each time four times as far, until there are enough or all: a schedule of every second that
 * has rested for a year is not walked through.
 */
size_t schedule_due(const struct schedule *s, const struct zone *zone, int64_t last, int64_t now,
                    enum schedule_missed missed, int64_t grace, int64_t due[SCHEDULE_ALL_MAX])
{
    int64_t ring[SCHEDULE_ALL_MAX], window = FIRST_WINDOW, from;
    size_t max = missed == SCHEDULE_ALL ? SCHEDULE_ALL_MAX : 1, count;
    if (now <= last)
        return 0;
    do {
        from = now - last > window ? now - window : last;
        collect(s, zone, from, now, max, ring, &count);
        window *= 4;
    } while (count < max && from > last);
    if (count < max)
        memcpy(due, ring, count * sizeof *ring);
    else
        unroll(ring, max, count, due);
    if (count > max)
        count = max;
    return missed == SCHEDULE_SKIP && count > 0 && now - due[0] > grace ? 0 : count;
}
