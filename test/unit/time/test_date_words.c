/*
 * test_date_words.c: dates in words. By hand, and thousands against Python's calendar and zones (date_oracle.py).
 */
#include "common/time/date_words.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

#define NOW 1795861440 /* Saturday 2026-11-28 10:24:00 UTC */

static const char *read_in(const struct zone *zone, const char *text, int64_t now)
{
    static char out[DATE_TEXT_SIZE];
    struct date_time date;
    int rc = date_words_read(slice_of(text), zone, now, &date);
    return rc == -EINVAL ? "none" : rc == -ERANGE ? "far" : date_format(&date, false, out);
}

START_TEST(words)
{
    static const char *const pairs[][2] = {
        {"today", "2026-11-28T00:00:00+00:00"},
        {"  Yesterday ", "2026-11-27T00:00:00+00:00"},
        {"tomorrow at 2pm", "2026-11-29T14:00:00+00:00"},
        {"midnight", "2026-11-28T00:00:00+00:00"},
        {"noon", "2026-11-28T12:00:00+00:00"},
        {"now", "2026-11-28T10:24:00+00:00"},
        {"12am today", "2026-11-28T00:00:00+00:00"},
        {"today 12pm", "2026-11-28T12:00:00+00:00"},
        {"two hours ago", "2026-11-28T08:24:00+00:00"},
        {"in 90 seconds", "2026-11-28T10:25:30+00:00"},
        {"a minute from now", "2026-11-28T10:25:00+00:00"},
        {"an hour back", "2026-11-28T09:24:00+00:00"},
        {"a week ago", "2026-11-21T00:00:00+00:00"},
        {"9 months ago", "2026-02-28T00:00:00+00:00"},
        {"saturday", "2026-12-05T00:00:00+00:00"},
        {"last sat", "2026-11-21T00:00:00+00:00"},
        {"next sun", "2026-11-29T00:00:00+00:00"},
        {"last week", "2026-11-16T00:00:00+00:00"},
        {"next week 09:30", "2026-11-30T09:30:00+00:00"},
        {"next month", "2026-12-01T00:00:00+00:00"},
        {"last year", "2025-01-01T00:00:00+00:00"},
        {"20 Nov 2026", "2026-11-20T00:00:00+00:00"},
        {"11/20/2026", "2026-11-20T00:00:00+00:00"},
        {"2026-11-20T10:00:00.5+02:00", "2026-11-20T08:00:00.500000+00:00"},
        {"2024-02-29", "2024-02-29T00:00:00+00:00"},
        /* What is none. */
        {"", "none"},
        {" ", "none"},
        {"at", "none"},
        {"14:00", "none"},
        {"yestrday", "none"},
        {"today today", "none"},
        {"today 24:00", "none"},
        {"today 13pm", "none"},
        {"today 0am", "none"},
        {"today 1:2", "none"},
        {"today at", "none"},
        {"now 10:00", "none"},
        {"noon 10:00", "none"},
        {"2 hours ago 10:00", "none"},
        {"in 3", "none"},
        {"in 3 fortnights", "none"},
        {"3 days from", "none"},
        {"last", "none"},
        {"next fortnight", "none"},
        {"thirteen days ago", "none"},
        {"-3 days ago", "none"},
        {"30 Feb 2026", "none"},
        {"2/29/2026", "none"},
        {"2026-02-29", "none"},
        {"2026-13-01", "none"},
        {"0000-01-01", "none"},
        {"2026-11-20T", "none"},
        {"2026-11-20T25:00", "none"},
        {"2026-11-20T10:00:60", "none"},
        {"2026-11-20T10:00:00+1", "none"},
        {"2026-11-20T10:00:00.", "none"},
        {"11/20/26", "none"},
        {"1 2 3 4 5 6 7 8 9", "none"},
        /* What lies outside of all years. */
        {"8000 years from now", "far"},
        {"3000 years ago", "far"},
        {"9999999999 days ago", "far"},
        {"9999999999 hours from now", "far"},
        {"0001-01-01T00:00:00+01:00", "far"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *got = read_in(NULL, pairs[i][0], NOW);
        ck_assert_msg(strcmp(got, pairs[i][1]) == 0, "`%s` is %s, not %s", pairs[i][0], got,
                      pairs[i][1]);
    }
}
END_TEST

START_TEST(ends_of_months)
{
    ck_assert_str_eq(read_in(NULL, "in 1 month", 1769817600),
                     "2026-02-28T00:00:00+00:00"); /* 31 January */
    ck_assert_str_eq(read_in(NULL, "a month ago", 1774915200),
                     "2026-02-28T00:00:00+00:00"); /* 31 March */
    ck_assert_str_eq(read_in(NULL, "a year ago", 1709164800),
                     "2023-02-28T00:00:00+00:00"); /* 29 February 2024 */
    ck_assert_str_eq(read_in(NULL, "last month", 1767225600),
                     "2025-12-01T00:00:00+00:00"); /* 1 January */
}
END_TEST

START_TEST(in_a_zone)
{
    struct zone *z = NULL;
    struct date_time date;
    char text[DATE_TEXT_SIZE];
    ck_assert_int_eq(zone_load("Europe/Berlin", &z), 0);
    ck_assert_str_eq(read_in(z, "2026-03-29 02:30", NOW),
                     "2026-03-29T03:00:00+02:00"); /* skipped */
    ck_assert_str_eq(read_in(z, "2026-10-25 02:30", NOW),
                     "2026-10-25T02:30:00+02:00");                                  /* the first */
    ck_assert_str_eq(read_in(z, "today", 1795906800), "2026-11-29T00:00:00+01:00"); /* 23:00 UTC */
    ck_assert_str_eq(read_in(z, "1850-01-01", NOW), "1850-01-01T00:00:00+00:53:28");
    ck_assert_int_eq(date_words_read(slice_of("2026-11-20T10:00Z"), z, NOW, &date), 0);
    ck_assert_str_eq(date_format(&date, true, text), "2026-11-20T11:00:00");
    zone_free(z);
    ck_assert_int_eq(zone_load("America/Sao_Paulo", &z), 0); /* midnight is skipped */
    ck_assert_str_eq(read_in(z, "11/4/2018", NOW), "2018-11-04T01:00:00-02:00");
    zone_free(z);
}
END_TEST

START_TEST(a_text_is_bounded)
{
    char text[DATE_WORDS_MAX + 2];
    struct date_time date = {.utc = 42};
    memset(text, ' ', sizeof text);
    memcpy(text, "today", 5);
    ck_assert_int_eq(date_words_read(slice_make(text, DATE_WORDS_MAX), NULL, NOW, &date), 0);
    date.utc = 42;
    ck_assert_int_eq(date_words_read(slice_make(text, DATE_WORDS_MAX + 1), NULL, NOW, &date),
                     -EINVAL);
    ck_assert_int_eq(date_words_read(slice_make("today\0", 6), NULL, NOW, &date), -EINVAL);
    ck_assert_int_eq(date.utc, 42);
}
END_TEST

#define ORACLE "/usr/bin/python3 -B test/unit/time/date_oracle.py 20261128 4000"

START_TEST(python_agrees)
{
    char line[256], known[ZONE_NAME_MAX + 1] = "";
    struct zone *z = NULL;
    int count = 0;
    FILE *in = popen(ORACLE, "r");
    ck_assert_ptr_nonnull(in);
    while (fgets(line, sizeof line, in) != NULL) {
        char *save, *zone = strtok_r(line, "\t", &save), *now = strtok_r(NULL, "\t", &save);
        const char *text = strtok_r(NULL, "\t", &save), *want = strtok_r(NULL, "\n", &save);
        ck_assert_ptr_nonnull(want);
        if (strcmp(zone, known) != 0) {
            zone_free(z);
            ck_assert_int_eq(zone_load(zone, &z), 0);
            snprintf(known, sizeof known, "%s", zone);
        }
        const char *got = read_in(z, text, strtoll(now, NULL, 10));
        ck_assert_msg(strcmp(got, want) == 0, "%s at %s: `%s` is %s, not %s", zone, now, text, got,
                      want);
        count++;
    }
    zone_free(z);
    ck_assert_int_eq(pclose(in), 0);
    ck_assert_int_eq(count, 4000);
}
END_TEST

SUITE_MAIN("date-words", words, ends_of_months, in_a_zone, a_text_is_bounded, python_agrees)
