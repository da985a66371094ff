/* snapshot_version.c: see snapshot_version.h. */
#include "workers/snapshot/snapshot_version.h"

#include "common/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VERSION_DIGITS_MIN 7
#define VERSION_DIGITS_MAX 40
#define VERSION_TEXT_MAX   40

static bool version_commit(struct slice text, struct snapshot_version *v)
{
    if (text.len < VERSION_DIGITS_MIN || text.len > VERSION_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!isxdigit((unsigned char)text.ptr[i]))
            return false;
        v->commit[i] = (char)tolower((unsigned char)text.ptr[i]);
    }
    v->commit[text.len] = '\0';
    return true;
}

/* So many digits, and no others behind them; *at goes on. */
static bool version_digits(const char **at, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

/* Nothing, Z, +hh:mm or -hh:mm, and then the end. */
static bool version_zone(const char *at, int64_t *offset_s)
{
    int hours, minutes;
    *offset_s = 0;
    if (strcmp(at, "") == 0 || strcmp(at, "Z") == 0)
        return true;
    int sign = *at == '+' ? 1 : -1;
    if (*at != '+' && *at != '-')
        return false;
    at++;
    if (!version_digits(&at, 2, &hours) || *at++ != ':' || !version_digits(&at, 2, &minutes) ||
        *at != '\0' || hours > 14 || minutes > 59)
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* Of the clock: hh:mm or hh:mm:ss. */
static bool version_clock(const char **at, struct tm *tm)
{
    if (!version_digits(at, 2, &tm->tm_hour) || *(*at)++ != ':' ||
        !version_digits(at, 2, &tm->tm_min))
        return false;
    if (**at != ':')
        return true;
    (*at)++;
    return version_digits(at, 2, &tm->tm_sec);
}

static bool version_time(struct slice slice, struct snapshot_version *v)
{
    char text[VERSION_TEXT_MAX];
    struct tm tm = {0};
    int64_t offset_s = 0;
    const char *at = text;
    if (!slice_copy(slice, text, sizeof text) || strlen(text) != slice.len)
        return false;
    if (!version_digits(&at, 4, &tm.tm_year) || *at++ != '-' ||
        !version_digits(&at, 2, &tm.tm_mon) || *at++ != '-' || !version_digits(&at, 2, &tm.tm_mday))
        return false;
    if (*at == 'T' || *at == ' ') {
        at++;
        if (!version_clock(&at, &tm) || !version_zone(at, &offset_s))
            return false;
    } else if (*at != '\0') {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm said = tm;
    v->time_s = (int64_t)timegm(&tm) - offset_s;
    return tm.tm_mon == said.tm_mon && tm.tm_mday == said.tm_mday && tm.tm_hour == said.tm_hour &&
           tm.tm_min == said.tm_min && tm.tm_sec == said.tm_sec;
}

bool snapshot_version_read(struct slice text, int64_t now_s, struct snapshot_version *v)
{
    uint64_t age_ms;
    *v = (struct snapshot_version){.kind = SNAPSHOT_NEWEST};
    if (text.len == 0)
        return true;
    v->kind = SNAPSHOT_COMMIT;
    if (version_commit(text, v))
        return true;
    v->kind = SNAPSHOT_TIME;
    if (version_time(text, v))
        return true;
    if (text_parse_span(text, &age_ms) != 0 || age_ms / 1000 > (uint64_t)now_s)
        return false;
    v->time_s = now_s - (int64_t)(age_ms / 1000);
    return true;
}

void snapshot_time_write(int64_t time_s, char text[SNAPSHOT_TIME_SIZE])
{
    time_t t = (time_t)time_s;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL ||
        strftime(text, SNAPSHOT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
}
