/*
 * test_zone.c: zones against libc, which reads the same files; calendars against their own rules; files that are none.
 */
#include "common/time/civil.h"
#include "common/time/zone.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static const char *const names[] = {
    "Europe/Berlin",    "America/New_York",    "America/Sao_Paulo",
    "Europe/Dublin",    "Australia/Lord_Howe", "Africa/Casablanca",
    "Asia/Kolkata",     "Pacific/Apia",        "America/Havana",
    "Antarctica/Troll", "Asia/Gaza",           "Asia/Tehran",
    "America/Santiago", "Etc/GMT+5",           "UTC",
};
#define NAMES (sizeof names / sizeof names[0])

static struct zone *load(const char *name)
{
    struct zone *z = NULL;
    ck_assert_int_eq(zone_load(name, &z), 0);
    setenv("TZ", name, 1);
    tzset();
    return z;
}

static int64_t random_second(unsigned *seed, int64_t from, int64_t to)
{
    uint64_t wide = (uint64_t)rand_r(seed) << 31 ^ (uint64_t)rand_r(seed);
    return from + (int64_t)(wide % (uint64_t)(to - from));
}

/* ---- calendars ---- */

START_TEST(days_follow_each_other)
{
    struct civil c = {1, 1, 1, 0, 0, 0}, back;
    int64_t days = civil_days(1, 1, 1), weekday = 1; /* 1 January of the year 1: a Monday */
    ck_assert_int_eq(civil_days(1970, 1, 1), 0);
    for (; c.year < 10000; days++, weekday = (weekday + 1) % 7) {
        civil_of(days * CIVIL_DAY + 86399, &back);
        bool same = back.year == c.year && back.month == c.month && back.day == c.day &&
                    back.hour == 23 && back.minute == 59 && back.second == 59;
        ck_assert_msg(same && civil_days(c.year, c.month, c.day) == days &&
                          civil_weekday(days) == weekday &&
                          civil_day_of(days * CIVIL_DAY) == days &&
                          civil_day_of(days * CIVIL_DAY - 1) == days - 1,
                      "%d-%d-%d is not day %lld", c.year, c.month, c.day, (long long)days);
        if (++c.day > civil_month_days(c.year, c.month)) {
            c.day = 1;
            c.year += c.month == 12;
            c.month = c.month % 12 + 1;
        }
    }
}
END_TEST

/* ---- zones ---- */

START_TEST(offsets_are_those_of_libc)
{
    unsigned seed = 7;
    for (size_t n = 0; n < NAMES; n++) {
        struct zone *z = load(names[n]);
        for (int i = 0; i < 20000; i++) {
            time_t at = (time_t)random_second(&seed, -3000000000, 6000000000); /* 1874 to 2160 */
            struct tm tm;
            localtime_r(&at, &tm);
            ck_assert_msg(zone_offset(z, at) == tm.tm_gmtoff, "%s at %lld: %d, libc says %ld",
                          names[n], (long long)at, zone_offset(z, at), tm.tm_gmtoff);
        }
        zone_free(z);
    }
}
END_TEST

/* The first second at which clocks show `local` or more, by looking at each: from two days before on, by halves. */
static int64_t walk(int64_t local, bool *shown, int *times)
{
    int64_t found = INT64_MAX;
    *times = 0;
    for (time_t at = (time_t)(local - 2 * CIVIL_DAY); at <= local + 2 * CIVIL_DAY; at += 60) {
        struct tm tm;
        localtime_r(&at, &tm);
        if (at + tm.tm_gmtoff == local)
            ++*times;
        if (at + tm.tm_gmtoff >= local && found == INT64_MAX)
            found = at;
    }
    *shown = *times > 0;
    return found;
}

/* Changes of clocks are on whole minutes in these years. Half of the times are near one. */
START_TEST(local_times_are_found)
{
    unsigned seed = 8;
    int skipped = 0, twice = 0;
    for (size_t n = 0; n < NAMES; n++) {
        struct zone *z = load(names[n]);
        for (int i = 0; i < 60; i++) {
            int64_t utc = random_second(&seed, 1262304000, 4102444800) / 60 * 60; /* 2010 to 2100 */
            if (i % 2 == 0) {
                int32_t offset = zone_offset(z, utc);
                int64_t end = utc + 366 * CIVIL_DAY;
                while (utc < end && zone_offset(z, utc) == offset)
                    utc += 900;
                utc += (int64_t)(rand_r(&seed) % 240 - 120) * 60;
            }
            int64_t local = utc + zone_offset(z, utc - 7200);
            bool shown;
            int times;
            enum zone_local how;
            int64_t want = walk(local, &shown, &times), got = zone_utc(z, local, &how);
            ck_assert_msg(got == want, "%s, local %lld: %lld, not %lld", names[n], (long long)local,
                          (long long)got, (long long)want);
            ck_assert_int_eq(how, times == 0 ? ZONE_SKIPPED : times == 1 ? ZONE_ONCE : ZONE_TWICE);
            skipped += times == 0;
            twice += times == 2;
        }
        zone_free(z);
    }
    ck_assert_msg(skipped > 20 && twice > 20, "%d skipped, %d twice: too few", skipped, twice);
}
END_TEST

START_TEST(known_changes)
{
    struct zone *z = load("Europe/Berlin");
    enum zone_local how;
    struct civil skipped = {2026, 3, 29, 2, 30, 0}, twice = {2026, 10, 25, 2, 30, 0};
    ck_assert_int_eq(zone_utc(z, civil_seconds(&skipped), &how), 1774746000); /* 01:00 UTC */
    ck_assert_int_eq(how, ZONE_SKIPPED);
    ck_assert_int_eq(zone_utc(z, civil_seconds(&twice), &how), 1792888200); /* 00:30 UTC */
    ck_assert_int_eq(how, ZONE_TWICE);
    zone_free(z);
    z = load("Pacific/Apia"); /* 30 December 2011 never was */
    struct civil never = {2011, 12, 30, 12, 0, 0};
    ck_assert_int_eq(zone_utc(z, civil_seconds(&never), &how), 1325239200);
    ck_assert_int_eq(how, ZONE_SKIPPED);
    zone_free(z);
    ck_assert_int_eq(zone_utc(NULL, 5, &how), 5);
    ck_assert_int_eq(zone_offset(NULL, 5), 0);
}
END_TEST

START_TEST(no_zones)
{
    struct zone *z = NULL;
    static const char *const bad[] = {"/etc/passwd", "../../etc/localtime", "a b", "Europe/Berlin.",
                                      "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(zone_load(bad[i], &z), -EINVAL);
    ck_assert_int_eq(zone_load("Europe/Nowhere", &z), -ENOENT);
    ck_assert_int_eq(zone_load("Europe", &z), -EBADMSG);
    ck_assert_int_eq(zone_load("tzdata", &z), -ENOENT);
    char longer[ZONE_NAME_MAX + 2];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(zone_load(longer, &z), -EINVAL);
    ck_assert_ptr_null(z);
    ck_assert_int_eq(zone_load("", &z), 0);
    zone_free(z);
    zone_free(NULL);
}
END_TEST

/* No prefix of a file is a zone, and no byte of it that is another one reads beyond it (ASan). */
START_TEST(broken_files)
{
    char file[8192];
    FILE *in = fopen("/usr/share/zoneinfo/America/New_York", "r");
    ck_assert_ptr_nonnull(in);
    size_t len = fread(file, 1, sizeof file, in);
    fclose(in);
    for (size_t cut = 0; cut < len; cut++) {
        struct zone *z = NULL;
        char *part = malloc(cut + 1);
        memcpy(part, file, cut);
        ck_assert_int_eq(zone_parse(slice_make(part, cut), &z), -EBADMSG);
        free(part);
    }
    unsigned seed = 9;
    for (int i = 0; i < 20000; i++) {
        struct zone *z = NULL;
        size_t at = (size_t)rand_r(&seed) % len;
        char was = file[at];
        file[at] = (char)rand_r(&seed);
        if (zone_parse(slice_make(file, len), &z) == 0) {
            enum zone_local how;
            zone_utc(z, 1800000000, &how);
            zone_free(z);
        }
        file[at] = was;
    }
}
END_TEST

SUITE_MAIN("zone", days_follow_each_other, offsets_are_those_of_libc, local_times_are_found,
           known_changes, no_zones, broken_files)
