/* test_json_text.c: JSON as text whose numbers read as they were written. */
#include "common/json/json_text.h"

#include "test/unit/suite.h"

#include <stdlib.h>

START_TEST(as_it_was_written)
{
    static const char *const cases[] = {
        "0.1",
        "-0.0",
        "1.0",
        "0.30000000000000004",
        "1234567890.1234567",
        "12345678901234567",
        "-9223372036854775808",
        "9007199254740993",
        "1000000000000000.0",
        "123456789012345.6",
        "1e+16",
        "1e-05",
        "1.7976931348623157e+308",
        "5e-324",
        "2.5e+20",
        "null",
        "[]",
        "{}",
        "[true,false,null,\"\"]",
        "{\"z\":[1,2.5,{\"a\":\"ä\\\"\\n\"}],\"a\":{}}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = json_loads(cases[i], JSON_DECODE_ANY, NULL);
        char *text = json_text(value);
        ck_assert_str_eq(text, cases[i]);
        free(text);
        json_decref(value);
    }
}
END_TEST

START_TEST(in_lines)
{
    static const char *const cases[] = {"{}", "[]", "[1,[],{}]",
                                        "{\"a\":{\"b\":[true,\"c\"]},\"d\":null}"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_EMPTY;
        json_t *value = json_loads(cases[i], 0, NULL);
        char *theirs = json_dumps(value, JSON_INDENT(2));
        json_text_append_lines(&out, value);
        ck_assert_str_eq(buffer_text(&out), theirs);
        buffer_fini(&out);
        free(theirs);
        json_decref(value);
    }
}
END_TEST

/* What it says is what jansson reads. */
START_TEST(every_bit_comes_back)
{
    uint64_t state = 1;
    for (int i = 0; i < 20000; i++) {
        char text[JSON_TEXT_REAL];
        double value;
        state = state * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &state, sizeof value);
        if (value - value != 0)
            continue; /* no number */
        ck_assert(strtod(json_text_real(value, text), NULL) == value);
    }
}
END_TEST

/* Where and why a text is none, and nothing of what stands there. */
START_TEST(why_it_cannot_be_read)
{
    static const char *const cases[][2] = {
        {"{", "line 1, column 1: string or '}' expected near end of file"},
        {"{\"a\": hush}", "line 1, column 10: invalid token"},
        {"{\"a\":\n \"hush\" \"hush\"}", "line 2, column 14: '}' expected"},
        {"{\"hush\":1,\"hush\":2}", "line 1, column 16: duplicate object key"},
        {"{\"a\":\"hush", "line 1, column 10: premature end of input"},
        {"{\"a\":\"hush\n\"}", "line 1, column 10: unexpected newline"},
    };
    char why[JSON_TEXT_WHY];
    json_error_t error;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_ptr_null(json_loads(cases[i][0], JSON_REJECT_DUPLICATES, &error));
        ck_assert_str_eq(json_text_why(&error, why), cases[i][1]);
    }
    ck_assert_ptr_null(json_load_file("/nowhere", 0, &error));
    ck_assert_str_eq(json_text_why(&error, why),
                     "unable to open /nowhere: No such file or directory");
}
END_TEST

SUITE_MAIN("json_text", as_it_was_written, in_lines, every_bit_comes_back, why_it_cannot_be_read)
