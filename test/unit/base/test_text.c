/* test_text.c: numbers, durations, sizes, edit distance (common/text.h). */
#include "common/text.h"
#include "test/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

typedef int (*parse_fn)(struct slice text, uint64_t *out);

struct parse_case {
    const char *text;
    int rc;
    uint64_t value;
};

#define UNTOUCHED UINT64_C(4711)

static void check_parse(parse_fn parse, const struct parse_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        int rc = parse(slice_of(cases[i].text), &value);
        ck_assert_msg(rc == cases[i].rc, "\"%s\": rc %d, wanted %d", cases[i].text, rc,
                      cases[i].rc);
        uint64_t wanted = cases[i].rc == 0 ? cases[i].value : UNTOUCHED;
        ck_assert_msg(value == wanted, "\"%s\": %llu", cases[i].text, (unsigned long long)value);
    }
}

#define CHECK_PARSE(parse, cases) check_parse(parse, cases, sizeof(cases) / sizeof((cases)[0]))

START_TEST(whole_numbers)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"7", 0, 7},
        {"0009", 0, 9},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551620", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"ten", -EINVAL, 0},
    };
    CHECK_PARSE(text_parse_u64, cases);
    uint64_t value = UNTOUCHED;
    ck_assert_int_eq(text_parse_u64(slice_make("12\0", 3), &value), -EINVAL);
}
END_TEST

START_TEST(spans)
{
    static const struct parse_case cases[] = {
        {"250ms", 0, 250},
        {"5s", 0, 5000},
        {"2m", 0, 120000},
        {"1h", 0, 3600000},
        {"1d", 0, 86400000},
        {"0", 0, 0},
        {"0s", 0, 0},
        {"5", -EINVAL, 0},
        {"ms", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"5 s", -EINVAL, 0},
        {"5S", -EINVAL, 0},
        {"5sec", -EINVAL, 0},
        {"1.5s", -EINVAL, 0},
        {"-5s", -EINVAL, 0},
        {"18446744073709551615ms", 0, UINT64_MAX},
        {"18446744073709551615s", -ERANGE, 0},
        {"213503982335d", -ERANGE, 0},
        {"213503982334d", 0, UINT64_C(213503982334) * 86400000},
    };
    CHECK_PARSE(text_parse_span, cases);
}
END_TEST

START_TEST(sizes)
{
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"1000", 0, 1000},
        {"64KB", 0, 65536},
        {"64kb", 0, 65536},
        {"16MB", 0, 16777216},
        {"1GB", 0, 1073741824},
        {"1TB", 0, UINT64_C(1) << 40},
        {"16777215TB", 0, UINT64_C(16777215) << 40},
        {"16777216TB", -ERANGE, 0},
        {"KB", -EINVAL, 0},
        {"1K", -EINVAL, 0},
        {"1 KB", -EINVAL, 0},
        {"1KBs", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"-1KB", -EINVAL, 0},
    };
    CHECK_PARSE(text_parse_size, cases);
}
END_TEST

START_TEST(exact_text_reads_back)
{
    static const struct {
        uint64_t value;
        const char *span;
        const char *size;
    } cases[] = {
        {0, "0ms", "0"},
        {1, "1ms", "1"},
        {250, "250ms", "250"},
        {1000, "1s", "1000"},
        {1024, "1024ms", "1KB"},
        {1500, "1500ms", "1500"},
        {90000, "90s", "90000"},
        {120000, "2m", "120000"},
        {86400000, "1d", "84375KB"},
        {UINT64_MAX, "18446744073709551615ms", "18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TEXT_NUMBER_SIZE];
        uint64_t back = UNTOUCHED;
        ck_assert_str_eq(text_format_span(cases[i].value, text), cases[i].span);
        ck_assert_int_eq(text_parse_span(slice_of(text), &back), 0);
        ck_assert(back == cases[i].value);
        back = UNTOUCHED;
        ck_assert_str_eq(text_format_size(cases[i].value, text), cases[i].size);
        ck_assert_int_eq(text_parse_size(slice_of(text), &back), 0);
        ck_assert(back == cases[i].value);
    }
}
END_TEST

START_TEST(text_for_people)
{
    char text[TEXT_NUMBER_SIZE];
    ck_assert_str_eq(text_format_size_short(0, text), "0B");
    ck_assert_str_eq(text_format_size_short(1023, text), "1023B");
    ck_assert_str_eq(text_format_size_short(1024, text), "1.0KB");
    ck_assert_str_eq(text_format_size_short(1536 * 1024, text), "1.5MB");
    ck_assert_str_eq(text_format_size_short(10239, text), "10KB");
    ck_assert_str_eq(text_format_size_short(UINT64_C(12) << 30, text), "12GB");
    ck_assert_str_eq(text_format_size_short(UINT64_MAX, text), "16777216TB");
    ck_assert_str_eq(text_format_count(0, text), "0");
    ck_assert_str_eq(text_format_count(999, text), "999");
    ck_assert_str_eq(text_format_count(1000, text), "1,000");
    ck_assert_str_eq(text_format_count(1234567, text), "1,234,567");
    ck_assert_str_eq(text_format_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
}
END_TEST

START_TEST(distances)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},
        {"a", "", 1},
        {"", "abc", 3},
        {"store", "store", 0},
        {"store", "stroe", 1},
        {"store", "stor", 1},
        {"store", "storee", 1},
        {"drain", "brain", 1},
        {"kitten", "sitting", 3},
        {"abc", "xyz", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice a = slice_of(cases[i].a), b = slice_of(cases[i].b);
        ck_assert_msg(text_distance(a, b) == cases[i].distance, "%s %s", cases[i].a, cases[i].b);
        ck_assert_msg(text_distance(b, a) == cases[i].distance, "%s %s", cases[i].b, cases[i].a);
    }
    char longest[TEXT_WORD_MAX + 1];
    memset(longest, 'x', sizeof longest);
    struct slice word = slice_make(longest, TEXT_WORD_MAX);
    ck_assert(text_distance(word, word) == 0);
    ck_assert(text_distance(word, slice_of("")) == TEXT_WORD_MAX);
    ck_assert(text_distance(slice_make(longest, TEXT_WORD_MAX + 1), word) == SIZE_MAX);
}
END_TEST

static const char *nearest(const char *word)
{
    struct text_nearest n = text_nearest_start(slice_of(word));
    text_nearest_offer(&n, "set");
    text_nearest_offer(&n, "store");
    text_nearest_offer(&n, "strategy");
    return n.best;
}

START_TEST(nearest_word)
{
    ck_assert_str_eq(nearest("sotre"), "store");
    ck_assert_str_eq(nearest("stratgy"), "strategy");
    ck_assert_str_eq(nearest("set"), "set");
    ck_assert_ptr_null(nearest("password"));
    ck_assert_ptr_null(nearest(""));
}
END_TEST

SUITE_MAIN("text", whole_numbers, spans, sizes, exact_text_reads_back, text_for_people, distances,
           nearest_word)
