/* date_iso.c: see date_iso.h. */
#include "common/time/date_iso.h"

#include <ctype.h>

struct cursor {
    const char *at, *end;
    bool wrong;
};

static bool take(struct cursor *c, const char *any)
{
    bool is = c->at < c->end && *c->at != '\0' && strchr(any, *c->at) != NULL;
    c->at += is;
    return is;
}

static int take_digits(struct cursor *c, int digits, int min, int max)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (c->at == c->end || !isdigit((unsigned char)*c->at)) {
            c->wrong = true;
            return min;
        }
        value = value * 10 + (*c->at++ - '0');
    }
    c->wrong = c->wrong || value < min || value > max;
    return value;
}

static void take_fraction(struct cursor *c, struct date_iso *d)
{
    int32_t worth = 100000;
    if (c->at == c->end || !isdigit((unsigned char)*c->at))
        c->wrong = true;
    for (; c->at < c->end && isdigit((unsigned char)*c->at); c->at++, worth /= 10)
        d->micro += (*c->at - '0') * worth;
}

static void take_offset(struct cursor *c, struct date_iso *d)
{
    if (take(c, "Zz")) {
        d->absolute = true;
        return;
    }
    bool west = c->at < c->end && *c->at == '-';
    if (!take(c, "+-"))
        return;
    d->absolute = true;
    d->offset = take_digits(c, 2, 0, 23) * 3600;
    if (take(c, ":") || c->at < c->end)
        d->offset += take_digits(c, 2, 0, 59) * 60;
    if (west)
        d->offset = -d->offset;
}

static void take_time(struct cursor *c, struct date_iso *d)
{
    if (!take(c, "Tt \t"))
        c->wrong = true;
    while (take(c, " \t"))
        ;
    d->local.hour = take_digits(c, 2, 0, 23);
    c->wrong = !take(c, ":") || c->wrong;
    d->local.minute = take_digits(c, 2, 0, 59);
    if (take(c, ":")) {
        d->local.second = take_digits(c, 2, 0, 59);
        if (take(c, ".,"))
            take_fraction(c, d);
    }
    take_offset(c, d);
}

bool date_iso_read(struct slice text, struct date_iso *out)
{
    struct cursor c = {text.ptr, text.ptr + text.len, false};
    struct date_iso d = {0};
    while (take(&c, " \t\r\n"))
        ;
    while (c.end > c.at && isspace((unsigned char)c.end[-1]))
        c.end--;
    d.local.year = take_digits(&c, 4, CIVIL_YEAR_MIN, CIVIL_YEAR_MAX);
    c.wrong = !take(&c, "-") || c.wrong;
    d.local.month = take_digits(&c, 2, 1, 12);
    c.wrong = !take(&c, "-") || c.wrong;
    d.local.day = take_digits(&c, 2, 1, 31);
    if (!c.wrong && c.at < c.end)
        take_time(&c, &d);
    if (c.wrong || c.at != c.end || d.local.day > civil_month_days(d.local.year, d.local.month))
        return false;
    *out = d;
    return true;
}
