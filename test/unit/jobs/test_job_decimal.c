/* test_job_decimal.c: decimal numbers as text, and their sums. */
#include "workers/jobs/store/job_decimal.h"

#include "test/unit/suite.h"

START_TEST(sums)
{
    static const struct {
        const char *a, *b, *sum;
    } cases[] = {
        {"0.1", "0.2", "0.3"},
        {"1", "2", "3"},
        {"999", "1", "1000"},
        {"1.50", "1.5", "3.00"},
        {"-1", "1", "0"},
        {"-1", "0.5", "-0.5"},
        {"-999.99", "-0.01", "-1000.00"},
        {"5", "-7.25", "-2.25"},
        {"-7.25", "5", "-2.25"},
        {"1e3", ".5", "1000.5"},
        {"+1", "1.", "2"},
        {"1.5e-3", "1E+2", "100.0015"},
        {"000012", "0", "12"},
        {"9007199254740993", "1", "9007199254740994"},
        {"123456789012345678901234567890.123456789", "0.000000001",
         "123456789012345678901234567890.123456790"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sum[JOB_DECIMAL_TEXT];
        ck_assert_msg(job_decimal_add(slice_of(cases[i].a), slice_of(cases[i].b), sum), "%s + %s",
                      cases[i].a, cases[i].b);
        ck_assert_str_eq(sum, cases[i].sum);
        ck_assert(job_decimal_add(slice_of(cases[i].b), slice_of(cases[i].a), sum));
        ck_assert_str_eq(sum, cases[i].sum);
    }
}
END_TEST

START_TEST(what_is_none)
{
    static const char *const cases[] = {"",    "-",     ".",     "e5",  "1e",    "1e+",
                                        "1 ",  " 1",    "abc",   "0x1", "1,5",   "nan",
                                        "inf", "1e401", "1.2.3", "--1", "1e399", "1e-399"};
    char sum[JOB_DECIMAL_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(!job_decimal_add(slice_of("1"), slice_of(cases[i]), sum), "%s", cases[i]);
    ck_assert(!job_decimal_add(slice_make("1\0", 2), slice_of("1"), sum));
}
END_TEST

/* All that a double can be has a place, and its opposite takes it away again. */
START_TEST(ends_of_the_range)
{
    static const char *const cases[] = {"1.7976931348623157e308", "5e-324",
                                        "2.2250738585072014e-308"};
    char sum[JOB_DECIMAL_TEXT], minus[64], none[JOB_DECIMAL_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(minus, sizeof minus, "-%s", cases[i]);
        ck_assert(job_decimal_add(slice_of(cases[i]), slice_of("1"), sum));
        ck_assert(job_decimal_add(slice_of(sum), slice_of(minus), none));
        ck_assert_int_eq(none[0], '1');
        ck_assert_uint_eq(strspn(none + 1, ".0"), strlen(none + 1));
    }
}
END_TEST

SUITE_MAIN("job_decimal", sums, what_is_none, ends_of_the_range)
