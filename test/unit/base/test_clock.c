/* test_clock.c: times as text (common/clock.h). */
#include "common/clock.h"
#include "test/unit/suite.h"

#include <stdlib.h>

START_TEST(moments)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {1795236225459, "2026-11-21T04:43:45.459Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX / 2, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = malloc(CLOCK_TEXT_SIZE);
        clock_format(cases[i].ms, text);
        ck_assert_str_eq(text, cases[i].text);
        free(text);
    }
}
END_TEST

START_TEST(spans)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "0ms"},
        {999, "999ms"},
        {1000, "1s"},
        {59999, "59s"},
        {60000, "1m00s"},
        {185000, "3m05s"},
        {3599999, "59m59s"},
        {3600000, "1h00m"},
        {7440000, "2h04m"},
        {86399999, "23h59m"},
        {86400000, "1d00h"},
        {439200000, "5d02h"},
        {UINT64_MAX, "213503982334d14h"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        ck_assert_str_eq(clock_format_span(cases[i].ms, text, sizeof text), cases[i].text);
    }
    char small[4];
    ck_assert_str_eq(clock_format_span(86400000, small, sizeof small),
                     "1d0"); /* cut, never beyond */
}
END_TEST

START_TEST(clocks_go_forward)
{
    uint64_t before = clock_mono_ms();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock_mono_ms();
        ck_assert_uint_ge(now, before);
        before = now;
    }
    ck_assert_uint_gt(clock_wall_ms(), UINT64_C(1700000000000));
}
END_TEST

/* The other clock of intervals stands still while the machine sleeps: this one is never behind it. */
START_TEST(the_boot_clock_counts_sleep)
{
    int64_t before = clock_boot_us();
    for (int i = 0; i < 100000; i++) {
        uint64_t mono = clock_mono_ms();
        int64_t now = clock_boot_us();
        ck_assert_int_ge(now, before);
        ck_assert_int_ge(now / 1000, (int64_t)mono);
        before = now;
    }
}
END_TEST

SUITE_MAIN("clock", moments, spans, clocks_go_forward, the_boot_clock_counts_sleep)
