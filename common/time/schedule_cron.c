/* schedule_cron.c: see schedule_cron.h. */
#include "common/time/schedule_cron.h"

#include "common/time/civil.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

struct field {
    const char *name;
    int min, max;
    const char *names; /* of three letters each, the first is that of `min` */
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of the month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    [WEEKDAY] = {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

static bool read_digits(struct slice *text, int *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < text->len && isdigit((unsigned char)text->ptr[n]) && *out < 1000; n++)
        *out = *out * 10 + (text->ptr[n] - '0');
    *text = slice_make(text->ptr + n, text->len - n);
    return n > 0;
}

static bool read_value(const struct field *f, struct slice *text, int *out)
{
    size_t names = f->names != NULL ? strlen(f->names) / 3 : 0;
    for (size_t i = 0; i < names && text->len >= 3; i++)
        if (strncasecmp(text->ptr, f->names + 3 * i, 3) == 0) {
            *out = f->min + (int)i;
            *text = slice_make(text->ptr + 3, text->len - 3);
            return true;
        }
    return read_digits(text, out) && *out >= f->min && *out <= f->max;
}

static bool take(struct slice *text, char want)
{
    if (text->len == 0 || text->ptr[0] != want)
        return false;
    *text = slice_make(text->ptr + 1, text->len - 1);
    return true;
}

/* *, N or N-M, the first and last with /STEP */
static bool read_part(const struct field *f, struct slice part, uint64_t *bits)
{
    int low = f->min, high = f->max, step = 1;
    bool range = take(&part, '*');
    if (!range) {
        if (!read_value(f, &part, &low))
            return false;
        range = take(&part, '-');
        high = low;
        if (range && !read_value(f, &part, &high))
            return false;
        if (range && f == &fields[WEEKDAY] && high == 0 && low > 0)
            high = 7; /* fri-sun */
    }
    if (take(&part, '/') && (!range || !read_digits(&part, &step) || step == 0))
        return false;
    if (part.len > 0 || low > high)
        return false;
    for (int i = low; i <= high; i += step)
        *bits |= UINT64_C(1) << i;
    return true;
}

static bool read_field(const struct field *f, struct slice text, uint64_t *bits)
{
    const char *comma;
    *bits = 0;
    while ((comma = memchr(text.ptr, ',', text.len)) != NULL) {
        size_t n = (size_t)(comma - text.ptr);
        if (!read_part(f, slice_make(text.ptr, n), bits))
            return false;
        text = slice_make(comma + 1, text.len - n - 1);
    }
    return read_part(f, text, bits);
}

static const char *find_nickname(const char *text)
{
    static const char *const names[][2] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(text, names[i][0]) == 0)
            return names[i][1];
    return text;
}

/* 30 February never comes: who waits for it waits for ever. */
static bool ever_comes(const struct schedule *s)
{
    if (s->either_day)
        return true;
    for (int month = 1; month <= 12; month++)
        for (int day = 1; (s->months >> month & 1) != 0 && day <= civil_month_days(2000, month);
             day++)
            if ((s->days >> day & 1) != 0)
                return true;
    return false;
}

#define BLANKS " \t"

int schedule_cron_read(const char *text, struct schedule *out, char *why)
{
    struct schedule s = {0};
    uint64_t *const bits[FIELDS] = {&s.minutes, &s.hours, &s.days, &s.months, &s.weekdays};
    bool starred[FIELDS];
    const char *at = find_nickname(text);
    at += strspn(at, BLANKS);
    for (int i = 0; i < FIELDS; i++) {
        struct slice word = slice_make(at, strcspn(at, BLANKS));
        if (word.len == 0) {
            snprintf(
                why, SCHEDULE_WHY_SIZE,
                "cron has five fields: minute hour day month weekday, or is @daily and the like");
            return -EINVAL;
        }
        if (!read_field(&fields[i], word, bits[i])) {
            snprintf(why, SCHEDULE_WHY_SIZE, "cron: %.*s is no %s: *, %d-%d, lists, ranges, steps",
                     word.len > 32 ? 32 : (int)word.len, word.ptr, fields[i].name, fields[i].min,
                     fields[i].max);
            return -EINVAL;
        }
        starred[i] = word.ptr[0] == '*';
        at += word.len + strspn(at + word.len, BLANKS);
    }
    s.weekdays = (s.weekdays | s.weekdays >> 7) & 0x7f;
    s.either_day = !starred[DAY] && !starred[WEEKDAY];
    if (at[0] != '\0' || !ever_comes(&s)) {
        snprintf(why, SCHEDULE_WHY_SIZE, "%s",
                 at[0] != '\0' ? "cron has five fields: there are more"
                               : "cron: that month has no such day");
        return -EINVAL;
    }
    *out = s;
    return 0;
}
