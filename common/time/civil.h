/*
 * civil.h: days and times as calendars have them, without any zone.
 *
 * Runs in every process that reads dates or schedules. Pure: the Gregorian calendar, also before 1582; no libc, whose
 * functions know one zone a process and take locks. A local second is a second since 1970 as if the clock were UTC's.
 */
#ifndef COMMON_TIME_CIVIL_H
#define COMMON_TIME_CIVIL_H

#include <stdint.h>

#define CIVIL_DAY 86400

#define CIVIL_YEAR_MIN 1
#define CIVIL_YEAR_MAX 9999

struct civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
};

/* Days since 1970-01-01 of a day; the month is 1 to 12, the day may be any. */
int64_t civil_days(int64_t year, int month, int day);

/* The local second of a time, and back. The year of the latter may lie outside of CIVIL_YEAR_MIN and _MAX. */
int64_t civil_seconds(const struct civil *c);
void civil_of(int64_t seconds, struct civil *out);

/* 28 to 31. */
int civil_month_days(int64_t year, int month);

/* 0 is Sunday. */
int civil_weekday(int64_t days);

/* The day that a second lies in: rounds down, below zero too. */
int64_t civil_day_of(int64_t seconds);

#endif
