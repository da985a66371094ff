/*
 * test_schedule.c: cron and every. What is due next is compared with a walk over every minute, with the clocks of
 * libc and a reading of the fields of its own, over the changes of clocks of many zones.
 */
#include "common/time/civil.h"
#include "common/time/schedule.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static struct schedule cron(const char *text)
{
    struct schedule s;
    char why[SCHEDULE_WHY_SIZE] = "";
    int rc = schedule_read(text, 0, &s, why);
    ck_assert_msg(rc == 0, "%s: %s", text, why);
    return s;
}

static struct zone *load(const char *name)
{
    struct zone *z = NULL;
    ck_assert_int_eq(zone_load(name, &z), 0);
    setenv("TZ", name, 1);
    tzset();
    return z;
}

/* ---- the walker ---- */

/* Does a field, made of numbers, commas, dashes, stars and steps alone, name n? */
static bool field_has(const char *field, int n, int min, int max)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", field);
    for (char *save, *part = strtok_r(copy, ",", &save); part != NULL;
         part = strtok_r(NULL, ",", &save)) {
        int low = min, high = max, step = 1;
        char *slash = strchr(part, '/'), *dash = strchr(part, '-');
        if (slash != NULL)
            step = atoi(slash + 1);
        if (part[0] != '*') {
            low = high = atoi(part);
            if (dash != NULL)
                high = atoi(dash + 1);
        }
        if (n >= low && n <= high && (n - low) % step == 0)
            return true;
    }
    return false;
}

struct fields {
    char minute[32], hour[32], day[32], month[32], weekday[32];
};

static bool fields_match(const struct fields *f, int64_t local)
{
    time_t at = (time_t)local;
    struct tm tm;
    gmtime_r(&at, &tm);
    bool day = field_has(f->day, tm.tm_mday, 1, 31);
    bool weekday = field_has(f->weekday, tm.tm_wday, 0, 6) ||
                   (tm.tm_wday == 0 && f->weekday[0] != '*' && field_has(f->weekday, 7, 0, 7));
    bool days = f->day[0] != '*' && f->weekday[0] != '*' ? day || weekday : day && weekday;
    return tm.tm_sec == 0 && days && field_has(f->minute, tm.tm_min, 0, 59) &&
           field_has(f->hour, tm.tm_hour, 0, 23) && field_has(f->month, tm.tm_mon + 1, 1, 12);
}

/* Due: the first minute at which clocks show a matching time, or have just passed one over. */
static int64_t walk(const struct fields *f, int64_t after, int64_t until)
{
    time_t at = (time_t)(after - 2 * CIVIL_DAY);
    int64_t most = INT64_MIN; /* that clocks have shown */
    for (at -= at % 60; at <= until; at += 60) {
        struct tm tm;
        localtime_r(&at, &tm);
        int64_t local = at + tm.tm_gmtoff;
        for (int64_t l = most == INT64_MIN ? local : most + 60; l <= local; l += 60)
            if (at > after && fields_match(f, l))
                return at;
        if (local > most)
            most = local;
    }
    return INT64_MAX;
}

static void random_field(unsigned *seed, int min, int max, int stars, char out[32])
{
    int low = min + rand_r(seed) % (max - min + 1), high = low + rand_r(seed) % (max - low + 1);
    if (rand_r(seed) % 10 < stars) {
        snprintf(out, 32, "*");
        return;
    }
    switch (rand_r(seed) % 5) {
    case 0:
        snprintf(out, 32, "%d-%d", low, high);
        break;
    case 1:
        snprintf(out, 32, "%d-%d/%d", low, high, 1 + rand_r(seed) % 7);
        break;
    case 2:
        snprintf(out, 32, "*/%d", 1 + rand_r(seed) % (max - min));
        break;
    case 3:
        snprintf(out, 32, "%d,%d", low, high);
        break;
    default:
        snprintf(out, 32, "%d", low);
    }
}

static const char *const zones[] = {
    "Europe/Berlin",       "America/New_York",
    "Australia/Lord_Howe", "America/Sao_Paulo",
    "Africa/Casablanca",   "Pacific/Apia",
    "Europe/Dublin",       "Antarctica/Troll",
    "America/Havana",      "UTC",
};

#define WALK_DAYS 20

/* Each from shortly before a change of clocks on, and from where the last was due. */
START_TEST(next_is_what_a_walk_finds)
{
    unsigned seed = 11;
    int found = 0;
    for (size_t n = 0; n < sizeof zones / sizeof zones[0]; n++) {
        struct zone *z = load(zones[n]);
        for (int i = 0; i < 25; i++) {
            struct fields f;
            char text[200];
            random_field(&seed, 0, 59, 2, f.minute);
            random_field(&seed, 0, 23, 4, f.hour);
            random_field(&seed, 1, 28, 6, f.day);
            random_field(&seed, 1, 12, 9, f.month);
            random_field(&seed, 0, 7, 6, f.weekday);
            snprintf(text, sizeof text, "%s %s %s %s %s", f.minute, f.hour, f.day, f.month,
                     f.weekday);
            struct schedule s = cron(text);
            int64_t at = 1230768000 + (int64_t)(rand_r(&seed) % 25) * 366 * CIVIL_DAY,
                    limit = at + 366 * CIVIL_DAY;
            int32_t offset = zone_offset(z, at);
            while (at < limit && zone_offset(z, at) == offset)
                at += 1800;
            at -= rand_r(&seed) % 10800;
            for (int turn = 0; turn < 4; turn++) {
                int64_t want = walk(&f, at, at + WALK_DAYS * CIVIL_DAY),
                        got = schedule_next(&s, z, at);
                if (want == INT64_MAX) {
                    ck_assert_msg(got > at + WALK_DAYS * CIVIL_DAY,
                                  "%s, `%s` after %lld: %lld is too early", zones[n], text,
                                  (long long)at, (long long)got);
                    break;
                }
                ck_assert_msg(got == want, "%s, `%s` after %lld: %lld, not %lld", zones[n], text,
                              (long long)at, (long long)got, (long long)want);
                found++;
                at = got;
            }
        }
        zone_free(z);
    }
    ck_assert_int_gt(found, 400);
}
END_TEST

/* ---- by hand ---- */

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    struct civil c = {year, month, day, hour, minute, 0};
    return civil_seconds(&c);
}

START_TEST(changes_of_clocks)
{
    struct zone *z = load("Europe/Berlin");
    struct schedule s = cron("30 2 * * *");
    int64_t at = schedule_next(&s, z, utc(2026, 3, 28, 12, 0));
    ck_assert_int_eq(at, utc(2026, 3, 29, 1, 0)); /* 02:30 is skipped: 03:00 */
    ck_assert_int_eq(schedule_next(&s, z, at), utc(2026, 3, 30, 0, 30));
    at = schedule_next(&s, z, utc(2026, 10, 24, 12, 0));
    ck_assert_int_eq(at, utc(2026, 10, 25, 0, 30)); /* and not at 01:30 UTC again */
    ck_assert_int_eq(schedule_next(&s, z, at), utc(2026, 10, 26, 1, 30));
    s = cron("*/20 2 * * *"); /* three skipped times are due once */
    at = schedule_next(&s, z, utc(2026, 3, 28, 12, 0));
    ck_assert_int_eq(at, utc(2026, 3, 29, 1, 0));
    ck_assert_int_eq(schedule_next(&s, z, at), utc(2026, 3, 30, 0, 0));
    zone_free(z);
}
END_TEST

START_TEST(names_and_nicknames)
{
    static const struct {
        const char *text, *same;
    } pairs[] = {
        {"@daily", "0 0 * * *"},
        {"@MIDNIGHT", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
        {"@weekly", "0 0 * * 0"},
        {"@monthly", "0 0 1 * *"},
        {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 jan *"},
        {"15 3 * * mon-fri", "15 3 * * 1-5"},
        {"0 0 * JAN,Mar *", "0 0 * 1,3 *"},
        {"0 0 * * 7", "0 0 * * 0"},
        {"0 0 * * fri-sun", "0 0 * * 0,5,6"},
        {" 0\t0  * * 5-7 ", "0 0 * * 0,5,6"},
        {"*/15 * * * *", "0,15,30,45 * * * *"},
        {"0 8-18/5 * * *", "0 8,13,18 * * *"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct schedule a = cron(pairs[i].text), b = cron(pairs[i].same);
        ck_assert_msg(a.minutes == b.minutes && a.hours == b.hours && a.days == b.days &&
                          a.months == b.months && a.weekdays == b.weekdays &&
                          a.either_day == b.either_day,
                      "%s is not %s", pairs[i].text, pairs[i].same);
    }
}
END_TEST

/* Either of the days, when neither begins with a star; both else. */
START_TEST(days_of_month_and_week)
{
    struct schedule s = cron("0 0 13 * 5");
    ck_assert_int_eq(schedule_next(&s, NULL, utc(2026, 11, 1, 0, 0)),
                     utc(2026, 11, 6, 0, 0)); /* a Friday */
    s = cron("0 0 */1 * 5");
    ck_assert_int_eq(schedule_next(&s, NULL, utc(2026, 11, 7, 0, 0)), utc(2026, 11, 13, 0, 0));
    s = cron("0 0 29 2 *");
    ck_assert_int_eq(schedule_next(&s, NULL, utc(2096, 3, 1, 0, 0)), utc(2104, 2, 29, 0, 0));
    s = cron("* * * * *");
    ck_assert_int_eq(schedule_next(&s, NULL, utc(9999, 12, 31, 0, 0)), INT64_MAX);
}
END_TEST

START_TEST(what_is_no_schedule)
{
    static const char *const bad[] = {
        "* * * *",        "* * * * * *",        "60 * * * *",
        "* 24 * * *",     "* * 0 * *",          "* * 32 * *",
        "* * * 13 *",     "* * * * 8",          "*/0 * * * *",
        "5/10 * * * *",   "5-1 * * * *",        ", * * * *",
        "1, * * * *",     "1- * * * *",         "a * * * *",
        "* * * foo *",    "* * mon * *",        "-1 * * * *",
        "@reboot",        "@daily 1",           "0 0 30 2 *",
        "0 0 31 4,6,9 *", "1.5 * * * *",        "* * * * mo",
        "** * * * *",     "*5 * * * *",         "*-5 * * * *",
        "1//2 * * * *",   "9999999999 * * * *", " ",
    };
    struct schedule s;
    char why[SCHEDULE_WHY_SIZE];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = '\0';
        ck_assert_msg(schedule_read(bad[i], 0, &s, why) == -EINVAL, "%s is taken", bad[i]);
        ck_assert_msg(strncmp(why, "cron", 4) == 0, "%s: %s", bad[i], why);
    }
    ck_assert_int_eq(schedule_read("", 0, &s, why), -EINVAL);
    ck_assert_str_eq(why, "none of cron and every: give one of them");
    ck_assert_int_eq(schedule_read("@daily", 1000, &s, why), -EINVAL);
    ck_assert_str_eq(why, "both of cron and every: give one of them");
    ck_assert_int_eq(schedule_read("", 1500, &s, why), -EINVAL);
    ck_assert_int_eq(schedule_read("", UINT64_C(367) * 86400000, &s, why), -EINVAL);
}
END_TEST

/* ---- every, and what was missed ---- */

START_TEST(every)
{
    struct schedule s;
    char why[SCHEDULE_WHY_SIZE];
    ck_assert_int_eq(schedule_read("", 900000, &s, why), 0);
    ck_assert_int_eq(schedule_next(&s, NULL, 0), 900);
    ck_assert_int_eq(schedule_next(&s, NULL, 899), 900);
    ck_assert_int_eq(schedule_next(&s, NULL, 900), 1800);
    ck_assert_int_eq(schedule_next(&s, NULL, -1), 0);
    ck_assert_int_eq(schedule_next(&s, NULL, -900), 0);
    ck_assert_int_eq(schedule_next(&s, NULL, -901), -900);
}
END_TEST

START_TEST(missed)
{
    struct schedule s = cron("0 * * * *");
    int64_t due[SCHEDULE_ALL_MAX], noon = utc(2026, 11, 28, 12, 0);
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon + 3599, SCHEDULE_ONCE, 60, due), 0);
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon - 7200, SCHEDULE_ALL, 60, due),
                      0); /* set back */
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon + 3600, SCHEDULE_ONCE, 60, due), 1);
    ck_assert_int_eq(due[0], noon + 3600);
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon + 5 * 3600 + 61, SCHEDULE_ONCE, 60, due),
                      1);
    ck_assert_int_eq(due[0], noon + 5 * 3600);
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon + 5 * 3600 + 61, SCHEDULE_SKIP, 60, due),
                      0);
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon + 5 * 3600 + 60, SCHEDULE_SKIP, 60, due),
                      1);
    ck_assert_int_eq(due[0], noon + 5 * 3600);
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, noon + 5 * 3600 + 61, SCHEDULE_ALL, 60, due), 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(due[i], noon + (i + 1) * 3600);
    /* A hundred at most, the newest of them. */
    int64_t now = noon + 1000 * 3600;
    ck_assert_uint_eq(schedule_due(&s, NULL, noon, now, SCHEDULE_ALL, 60, due), SCHEDULE_ALL_MAX);
    for (int i = 0; i < SCHEDULE_ALL_MAX; i++)
        ck_assert_int_eq(due[i], now - (SCHEDULE_ALL_MAX - 1 - i) * 3600);
    /* Fifty years of seconds are not walked through, and a day of the year is found whose last was long ago. */
    char why[SCHEDULE_WHY_SIZE];
    ck_assert_int_eq(schedule_read("", 1000, &s, why), 0);
    ck_assert_uint_eq(schedule_due(&s, NULL, 0, noon, SCHEDULE_ALL, 60, due), SCHEDULE_ALL_MAX);
    ck_assert_int_eq(due[0], noon - SCHEDULE_ALL_MAX + 1);
    s = cron("0 0 29 2 *");
    ck_assert_uint_eq(schedule_due(&s, NULL, 0, noon, SCHEDULE_ALL, 60, due),
                      14); /* 1972 to 2024 */
    ck_assert_int_eq(due[0], utc(1972, 2, 29, 0, 0));
    ck_assert_int_eq(due[13], utc(2024, 2, 29, 0, 0));
}
END_TEST

SUITE_MAIN("schedule", next_is_what_a_walk_finds, changes_of_clocks, names_and_nicknames,
           days_of_month_and_week, what_is_no_schedule, every, missed)
