/* test_words.c: words in quotes, escapes, what does not end, bounds. */
#include "common/words.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words with a '|' behind each, or the error's number. */
static const char *split(const char *text, size_t max)
{
    static char shown[256];
    struct buffer out = BUFFER_EMPTY;
    buffer_append_text(&out, "before");
    size_t start = out.len;
    int n = words_split(slice_of(text), max, &out);
    shown[0] = '\0';
    if (n < 0) {
        snprintf(shown, sizeof shown, "%s", n == -EINVAL ? "EINVAL" : n == -E2BIG ? "E2BIG" : "?");
        ck_assert_uint_eq(out.len, start);
    }
    int seen = 0;
    for (const char *w = n < 0 ? NULL : words_next(&out, start, NULL); w != NULL;
         w = words_next(&out, start, w), seen++) {
        strcat(shown, w);
        strcat(shown, "|");
    }
    if (n >= 0)
        ck_assert_int_eq(seen, n);
    buffer_fini(&out);
    return shown;
}

START_TEST(test_words)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", ""},
        {"  \t ", ""},
        {"a", "a|"},
        {" a  bc\td ", "a|bc|d|"},
        {"'a b' \"c d\"", "a b|c d|"},
        {"x'a b'y", "xa by|"},
        {"'' \"\"", "||"},
        {"a\\ b \\'", "a b|'|"},
        {"'a\\b'", "a\\b|"},
        {"\"a\\\"b\"", "a\"b|"},
        {"--json '{\"k\":\"v w\"}'", "--json|{\"k\":\"v w\"}|"},
        {"{n} $HOME *", "{n}|$HOME|*|"},
        {"'open", "EINVAL"},
        {"\"open", "EINVAL"},
        {"end\\", "EINVAL"},
        {"a b c d e", "E2BIG"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_str_eq(split(rows[i].text, 4), rows[i].words);
}
END_TEST

START_TEST(test_a_nul_is_no_text)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert_int_eq(words_split(slice_make("a\0b", 3), 4, &out), -EINVAL);
    buffer_fini(&out);
}
END_TEST

static void expect_number(const char *value, const char *said, bool any)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert(words_expand_number(value, 12, &out) == any);
    ck_assert_str_eq(buffer_text(&out), said);
    buffer_fini(&out);
}

START_TEST(numbers)
{
    expect_number("", "", false);
    expect_number("unix:/run/{n}.sock 10.0.0.5:63{n}", "unix:/run/12.sock 10.0.0.5:6312", true);
    expect_number("{{n}} {n", "{n} {n", false);
    expect_number("{n}{n}", "1212", true);
}
END_TEST

SUITE_MAIN("words", test_words, test_a_nul_is_no_text, numbers)
