/* civil.c: see civil.h. Howard Hinnant, chrono-Compatible Low-Level Date Algorithms: eras of 400 years from 1 March. */
#include "common/time/civil.h"

#include <stdbool.h>

#define ERA_DAYS   146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t civil_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = divide_down(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
}

int64_t civil_seconds(const struct civil *c)
{
    return civil_days(c->year, c->month, c->day) * CIVIL_DAY + c->hour * 3600 + c->minute * 60 +
           c->second;
}

int64_t civil_day_of(int64_t seconds)
{
    return divide_down(seconds, CIVIL_DAY);
}

void civil_of(int64_t seconds, struct civil *out)
{
    int64_t days = civil_day_of(seconds);
    int rest = (int)(seconds - days * CIVIL_DAY);
    days += EPOCH_DAYS;
    int64_t era = divide_down(days, ERA_DAYS), of_era = days - era * ERA_DAYS;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = (int)(of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
    int month = (5 * of_year + 2) / 153;
    out->day = of_year - (153 * month + 2) / 5 + 1;
    out->month = month < 10 ? month + 3 : month - 9;
    out->year = (int)(year_of_era + era * 400) + (out->month <= 2);
    out->hour = rest / 3600;
    out->minute = rest / 60 % 60;
    out->second = rest % 60;
}

int civil_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

int civil_weekday(int64_t days)
{
    int64_t rest = (days + 4) % 7; /* 1970-01-01 was a Thursday */
    return (int)(rest < 0 ? rest + 7 : rest);
}
