/* date_words.c: see date_words.h. */
#include "common/time/date_words.h"

#include "common/time/date_iso.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define WORDS_MAX 8
#define COUNT_MAX 10000000000 /* seconds of all years there are, and some */

struct reading {
    const struct zone *zone;
    int64_t now;
    struct civil today; /* what clocks show now */
    struct slice words[WORDS_MAX];
    size_t count;
    struct civil at; /* what is being said, as clocks show it */
    int64_t utc;     /* or, when `absolute`, as it is */
    bool absolute;
    bool timed; /* a time has been said */
    bool far;   /* outside of the years that there are */
};

/* ---- words ---- */

/* The number, from 1, of the word's place in a list that NULL ends; 0: it is not there. */
static int find_word(struct slice word, const char *const *list)
{
    for (int i = 0; list[i] != NULL; i++)
        if (slice_is(word, list[i]))
            return i + 1;
    return 0;
}

/* Whole or its first three letters. */
static int find_name(struct slice word, const char *const *list)
{
    for (int i = 0; list[i] != NULL; i++)
        if (slice_is(word, list[i]) || (word.len == 3 && memcmp(word.ptr, list[i], 3) == 0))
            return i + 1;
    return 0;
}

static const char *const weekdays[] = {"sunday",   "monday", "tuesday",  "wednesday",
                                       "thursday", "friday", "saturday", NULL};
static const char *const months[] = {"january",  "february", "march",  "april",     "may",
                                     "june",     "july",     "august", "september", "october",
                                     "november", "december", NULL};

static bool read_number(struct slice word, int64_t max, int64_t *out)
{
    int64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (!isdigit((unsigned char)word.ptr[i]) || value > max)
            return false;
        value = value * 10 + (word.ptr[i] - '0');
    }
    *out = value;
    return word.len > 0 && value <= max;
}

static bool read_count(struct slice word, int64_t *out)
{
    static const char *const names[] = {"one",    "two",    "three", "four", "five",
                                        "six",    "seven",  "eight", "nine", "ten",
                                        "eleven", "twelve", NULL};
    *out = slice_is(word, "a") || slice_is(word, "an") ? 1 : find_word(word, names);
    return *out > 0 || read_number(word, COUNT_MAX, out);
}

enum unit {
    UNIT_NONE,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR
};

static enum unit read_unit(struct slice word)
{
    static const char *const names[] = {"second", "minute", "hour", "day",
                                        "week",   "month",  "year", NULL};
    int one = find_word(word, names);
    if (one == 0 && word.len > 0 && word.ptr[word.len - 1] == 's')
        one = find_word(slice_make(word.ptr, word.len - 1), names);
    return (enum unit)one;
}

/* ---- days ---- */

static void set_day(struct reading *r, int64_t days)
{
    civil_of(days * CIVIL_DAY, &r->at);
}

static int64_t today(const struct reading *r)
{
    return civil_days(r->today.year, r->today.month, r->today.day);
}

static bool set_date(struct reading *r, int64_t year, int64_t month, int64_t day)
{
    if (month < 1 || month > 12 || day < 1 || day > civil_month_days(year, (int)month))
        return false;
    r->far = year < CIVIL_YEAR_MIN || year > CIVIL_YEAR_MAX;
    if (!r->far)
        r->at = (struct civil){.year = (int)year, .month = (int)month, .day = (int)day};
    return true;
}

/* The last of its days stands for one that the month has not. */
static bool add_months(struct reading *r, int64_t count)
{
    int64_t month = (int64_t)r->today.year * 12 + r->today.month - 1 + count;
    int64_t year = month >= 0 ? month / 12 : -1;
    int of_year = month >= 0 ? (int)(month % 12) + 1 : 1;
    int days = civil_month_days(year, of_year);
    return set_date(r, year, of_year, r->today.day < days ? r->today.day : days);
}

static bool add_units(struct reading *r, enum unit unit, int64_t count)
{
    static const int seconds[] = {[UNIT_SECOND] = 1, [UNIT_MINUTE] = 60, [UNIT_HOUR] = 3600};
    r->far = count > COUNT_MAX / 60 || count < -COUNT_MAX / 60;
    switch (unit) {
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        r->absolute = r->timed = true;
        r->far = false;
        r->utc = r->now + count * seconds[unit];
        return true;
    case UNIT_DAY:
    case UNIT_WEEK:
        if (!r->far)
            set_day(r, today(r) + count * (unit == UNIT_WEEK ? 7 : 1));
        return true;
    case UNIT_MONTH:
    case UNIT_YEAR:
        return r->far || add_months(r, unit == UNIT_YEAR ? count * 12 : count);
    case UNIT_NONE:
        break;
    }
    return false;
}

/* N UNIT ago|back · in N UNIT · N UNIT from now. How many words it took; 0: it is none. */
static size_t read_relative(struct reading *r, const struct slice *w, size_t left)
{
    bool in = left > 0 && slice_is(w[0], "in");
    int64_t count;
    if (left < 3 || !read_count(w[in], &count))
        return 0;
    enum unit unit = read_unit(w[in + 1]);
    bool ago = !in && (slice_is(w[2], "ago") || slice_is(w[2], "back"));
    bool from = !in && left > 3 && slice_is(w[2], "from") && slice_is(w[3], "now");
    if (unit == UNIT_NONE || (!in && !ago && !from))
        return 0;
    return add_units(r, unit, ago ? -count : count) ? 3 + (size_t)from : 0;
}

/* [last|next] WEEKDAY · last|next week|month|year */
static size_t read_named(struct reading *r, const struct slice *w, size_t left)
{
    bool last = slice_is(w[0], "last"), said = last || slice_is(w[0], "next");
    if (left < 1 + (size_t)said)
        return 0;
    int weekday = find_name(w[said], weekdays), away = civil_weekday(today(r));
    int sign = last ? -1 : 1;
    if (weekday > 0) {
        int ahead = (weekday - 1 - away + 7) % 7;
        set_day(r, today(r) + (last ? (ahead == 0 ? -7 : ahead - 7) : (ahead == 0 ? 7 : ahead)));
        return 1 + (size_t)said;
    }
    if (!said)
        return 0;
    struct civil t = r->today;
    if (slice_is(w[1], "week"))
        set_day(r, today(r) - (away + 6) % 7 + 7 * sign);
    else if (slice_is(w[1], "month"))
        t.month += sign;
    else if (slice_is(w[1], "year"))
        t = (struct civil){.year = t.year + sign, .month = 1};
    else
        return 0;
    if (slice_is(w[1], "week"))
        return 2;
    int64_t year = t.year + (t.month > 12) - (t.month < 1);
    return set_date(r, year, (t.month + 11) % 12 + 1, 1) ? 2 : 0;
}

static size_t read_word(struct reading *r, const struct slice *w)
{
    static const char *const names[] = {"yesterday", "today", "tomorrow", "midnight",
                                        "noon",      "now",   NULL};
    int name = find_word(w[0], names);
    if (name == 0)
        return 0;
    set_day(r, today(r) + (name <= 3 ? name - 2 : 0));
    r->timed = name > 3;
    if (name == 5)
        r->at.hour = 12;
    if (name == 6) {
        r->absolute = true;
        r->utc = r->now;
    }
    return 1;
}

/* 20 Nov 2026 · Nov 20 2026 */
static size_t read_month(struct reading *r, const struct slice *w, size_t left)
{
    int64_t day, year;
    if (left < 3)
        return 0;
    int first = find_name(w[0], months), month = first > 0 ? first : find_name(w[1], months);
    if (month == 0 || w[2].len != 4 || !read_number(w[first > 0], 31, &day) ||
        !read_number(w[2], CIVIL_YEAR_MAX, &year))
        return 0;
    return set_date(r, year, month, day) ? 3 : 0;
}

/* 11/20/2026 */
static size_t read_slashes(struct reading *r, struct slice w)
{
    const char *first = memchr(w.ptr, '/', w.len), *end = w.ptr + w.len;
    const char *second = first != NULL ? memchr(first + 1, '/', (size_t)(end - first - 1)) : NULL;
    int64_t month, day, year;
    if (second == NULL || end - second != 5 ||
        !read_number(slice_make(w.ptr, (size_t)(first - w.ptr)), 12, &month) ||
        !read_number(slice_make(first + 1, (size_t)(second - first - 1)), 31, &day) ||
        !read_number(slice_make(second + 1, 4), CIVIL_YEAR_MAX, &year))
        return 0;
    return set_date(r, year, month, day) ? 1 : 0;
}

static size_t read_dashes(struct reading *r, struct slice w)
{
    struct date_iso iso;
    if (w.len != 10 || !date_iso_read(w, &iso))
        return 0;
    return set_date(r, iso.local.year, iso.local.month, iso.local.day) ? 1 : 0;
}

/* ---- times ---- */

static bool set_time(struct reading *r, int64_t hour, int64_t minute, int64_t second)
{
    if (hour > 23 || minute > 59 || second > 59 || r->timed)
        return false;
    r->at.hour = (int)hour;
    r->at.minute = (int)minute;
    r->at.second = (int)second;
    r->timed = true;
    return true;
}

/* HH:MM[:SS] · 2pm · 2:30pm. After the day has been set: it lies in r->at. */
static bool read_time(struct reading *r, struct slice w)
{
    int64_t part[3] = {0};
    size_t parts = 0;
    char half = w.len > 2 && w.ptr[w.len - 1] == 'm' ? w.ptr[w.len - 2] : '\0';
    bool halved = half == 'a' || half == 'p';
    if (halved)
        w.len -= 2;
    for (size_t start = 0, i = 0; i <= w.len; i++) {
        if (i < w.len && w.ptr[i] != ':')
            continue;
        size_t digits = i - start;
        if (parts == 3 || digits > 2 || (parts > 0 && digits != 2) ||
            !read_number(slice_make(w.ptr + start, digits), 59, &part[parts]))
            return false;
        parts++;
        start = i + 1;
    }
    if (!halved)
        return parts > 1 && set_time(r, part[0], part[1], part[2]);
    if (part[0] < 1 || part[0] > 12)
        return false;
    return set_time(r, part[0] % 12 + (half == 'p' ? 12 : 0), part[1], part[2]);
}

/* ---- all of it ---- */

static size_t read_day(struct reading *r, const struct slice *w, size_t left)
{
    size_t took = left > 0 ? read_word(r, w) : 0;
    if (took == 0 && left > 0)
        took = read_relative(r, w, left);
    if (took == 0 && left > 0)
        took = read_named(r, w, left);
    if (took == 0)
        took = read_month(r, w, left);
    if (took == 0 && left > 0)
        took = read_slashes(r, w[0]);
    if (took == 0 && left > 0)
        took = read_dashes(r, w[0]);
    return took;
}

static bool read_phrase(struct reading *r)
{
    size_t took = read_day(r, r->words, r->count);
    if (took == r->count && took > 0)
        return true;
    if (took > 0) {
        took += slice_is(r->words[took], "at") && took + 1 < r->count;
        return took + 1 == r->count && read_time(r, r->words[took]);
    }
    if (r->count < 2)
        return false;
    took = read_day(r, r->words + 1, r->count - 1);
    return took > 0 && took + 1 == r->count && read_time(r, r->words[0]);
}

/* Lower case, cut at blanks and commas. */
static bool cut_words(struct slice text, char copy[DATE_WORDS_MAX], struct reading *r)
{
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        copy[i] = (char)tolower((unsigned char)text.ptr[i]);
        bool blank = strchr(" \t\r\n,", copy[i]) != NULL && copy[i] != '\0';
        if (!blank && !inside) {
            if (r->count == WORDS_MAX)
                return false;
            r->words[r->count++] = slice_make(copy + i, 0);
        }
        inside = !blank;
        if (inside)
            r->words[r->count - 1].len++;
    }
    return r->count > 0;
}

static int finish(const struct reading *r, int32_t micro, struct date_time *out)
{
    enum zone_local how;
    struct date_time date = {.micro = micro};
    if (r->far || (!r->absolute && (r->at.year < CIVIL_YEAR_MIN || r->at.year > CIVIL_YEAR_MAX)))
        return -ERANGE;
    date.utc = r->absolute ? r->utc : zone_utc(r->zone, civil_seconds(&r->at), &how);
    date.offset = zone_offset(r->zone, date.utc);
    civil_of(date.utc + date.offset, &date.local);
    if (date.local.year < CIVIL_YEAR_MIN || date.local.year > CIVIL_YEAR_MAX)
        return -ERANGE;
    *out = date;
    return 0;
}

int date_words_read(struct slice text, const struct zone *zone, int64_t now, struct date_time *out)
{
    struct reading r = {.zone = zone, .now = now};
    struct date_iso iso;
    char copy[DATE_WORDS_MAX];
    if (text.len > DATE_WORDS_MAX)
        return -EINVAL;
    civil_of(now + zone_offset(zone, now), &r.today);
    if (date_iso_read(text, &iso)) {
        r.at = iso.local;
        r.absolute = iso.absolute;
        r.utc = civil_seconds(&iso.local) - iso.offset;
        return finish(&r, iso.micro, out);
    }
    if (!cut_words(text, copy, &r) || !read_phrase(&r))
        return -EINVAL;
    return finish(&r, 0, out);
}

char *date_format(const struct date_time *date, bool naive, char text[DATE_TEXT_SIZE])
{
    const struct civil *c = &date->local;
    int n = snprintf(text, DATE_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", c->year, c->month,
                     c->day, c->hour, c->minute, c->second);
    if (date->micro > 0)
        n += snprintf(text + n, DATE_TEXT_SIZE - (size_t)n, ".%06d", (int)date->micro);
    if (naive)
        return text;
    int32_t away = date->offset < 0 ? -date->offset : date->offset;
    n += snprintf(text + n, DATE_TEXT_SIZE - (size_t)n, "%c%02d:%02d", date->offset < 0 ? '-' : '+',
                  (int)(away / 3600), (int)(away / 60 % 60));
    if (away % 60 != 0)
        snprintf(text + n, DATE_TEXT_SIZE - (size_t)n, ":%02d", (int)(away % 60));
    return text;
}
