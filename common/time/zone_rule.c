/* zone_rule.c: see zone_rule.h. */
#include "common/time/zone_rule.h"

#include "common/time/civil.h"

#include <ctype.h>
#include <errno.h>

#define HOURS_MAX 167 /* RFC 8536, 3.3.1 */

/* ---- reading ---- */

struct cursor {
    const char *at, *end;
    bool wrong;
};

static char peek(const struct cursor *c)
{
    return c->at < c->end ? *c->at : '\0';
}

static bool take(struct cursor *c, char want)
{
    bool is = c->at < c->end && *c->at == want;
    c->at += is;
    return is;
}

static int take_number(struct cursor *c, int min, int max)
{
    int value = 0, digits = 0;
    for (; isdigit((unsigned char)peek(c)) && value <= max; c->at++, digits++)
        value = value * 10 + (*c->at - '0');
    if (digits == 0 || value < min || value > max)
        c->wrong = true;
    return value;
}

/* A name is only stepped over: nobody is shown it. */
static void take_name(struct cursor *c)
{
    const char *start = c->at;
    bool quoted = take(c, '<');
    while (c->at < c->end &&
           (isalpha((unsigned char)*c->at) ||
            (quoted && (isdigit((unsigned char)*c->at) || *c->at == '+' || *c->at == '-'))))
        c->at++;
    if (c->at - start < 3 || (quoted && !take(c, '>')))
        c->wrong = true;
}

/* [+-]HH[:MM[:SS]] */
static int32_t take_time(struct cursor *c, int hours_max)
{
    bool negative = take(c, '-');
    if (!negative)
        take(c, '+');
    int32_t seconds = take_number(c, 0, hours_max) * 3600;
    if (take(c, ':')) {
        seconds += take_number(c, 0, 59) * 60;
        if (take(c, ':'))
            seconds += take_number(c, 0, 59);
    }
    return negative ? -seconds : seconds;
}

static void take_day(struct cursor *c, struct zone_rule_day *day)
{
    if (!take(c, ','))
        c->wrong = true;
    if (take(c, 'M')) {
        day->kind = ZONE_RULE_WEEKDAY;
        day->month = take_number(c, 1, 12);
        c->wrong = !take(c, '.') || c->wrong;
        day->week = take_number(c, 1, 5);
        c->wrong = !take(c, '.') || c->wrong;
        day->day = take_number(c, 0, 6);
    } else if (take(c, 'J')) {
        day->kind = ZONE_RULE_JULIAN;
        day->day = take_number(c, 1, 365);
    } else {
        day->kind = ZONE_RULE_ORDINAL;
        day->day = take_number(c, 0, 365);
    }
    day->time = take(c, '/') ? take_time(c, HOURS_MAX) : 2 * 3600;
}

int zone_rule_parse(struct slice text, struct zone_rule *out)
{
    struct cursor c = {text.ptr, text.ptr + text.len, false};
    struct zone_rule rule = {0};
    take_name(&c);
    rule.standard = rule.summer = -take_time(&c, 24); /* POSIX counts westwards */
    if (c.at < c.end) {
        rule.changes = true;
        take_name(&c);
        rule.summer = peek(&c) == ',' ? rule.standard + 3600 : -take_time(&c, 24);
        take_day(&c, &rule.start);
        take_day(&c, &rule.end);
    }
    if (c.wrong || c.at != c.end)
        return -EINVAL;
    *out = rule;
    return 0;
}

/* ---- asking ---- */

static int64_t rule_day(const struct zone_rule_day *day, int64_t year)
{
    int64_t first = civil_days(year, 1, 1);
    if (day->kind == ZONE_RULE_ORDINAL)
        return first + day->day;
    if (day->kind == ZONE_RULE_JULIAN) /* 29 February is not counted */
        return first + day->day - 1 + (day->day >= 60 && civil_month_days(year, 2) == 29);
    int64_t month = civil_days(year, day->month, 1);
    int into = (day->day - civil_weekday(month) + 7) % 7 + (day->week - 1) * 7;
    return month + (into < civil_month_days(year, day->month) ? into : into - 7);
}

struct change {
    int64_t utc;
    int32_t offset;
};

#define CHANGES 6

/* Of three years around: a change may lie up to a week outside of its own. In order of time, but for odd rules. */
static void rule_changes(const struct zone_rule *r, int64_t utc, struct change out[CHANGES])
{
    struct civil now;
    civil_of(utc, &now);
    for (int i = 0; i < CHANGES; i += 2) {
        int64_t year = (int64_t)now.year - 1 + i / 2;
        struct change start = {rule_day(&r->start, year) * CIVIL_DAY + r->start.time - r->standard,
                               r->summer};
        struct change end = {rule_day(&r->end, year) * CIVIL_DAY + r->end.time - r->summer,
                             r->standard};
        bool ordered = start.utc <= end.utc;
        out[i] = ordered ? start : end;
        out[i + 1] = ordered ? end : start;
    }
}

int32_t zone_rule_offset(const struct zone_rule *r, int64_t utc)
{
    if (!r->changes)
        return r->standard;
    struct change changes[CHANGES];
    rule_changes(r, utc, changes);
    const struct change *last = NULL;
    for (int i = 0; i < CHANGES; i++)
        if (changes[i].utc <= utc && (last == NULL || changes[i].utc >= last->utc))
            last = &changes[i];
    return last != NULL ? last->offset : r->standard;
}

int64_t zone_rule_next(const struct zone_rule *r, int64_t utc)
{
    int64_t next = INT64_MAX;
    if (!r->changes)
        return next;
    struct change changes[CHANGES];
    rule_changes(r, utc, changes);
    for (int i = 0; i < CHANGES; i++)
        if (changes[i].utc > utc && changes[i].utc < next)
            next = changes[i].utc;
    return next;
}
