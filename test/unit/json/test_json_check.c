/* test_json_check.c: which texts are JSON objects (RFC 8259), and which only look like one. */
#include "common/json/json_check.h"

#include "test/unit/suite.h"

#include <stdlib.h>

static bool is(const char *text)
{
    return json_check_object(slice_of(text));
}

START_TEST(objects)
{
    static const char *const good[] = {
        "{}",
        " { } ",
        "{\"a\":1}",
        "{\"a\":[1,-2.5e+10,0,0.1E-3,true,false,null,{\"b\":{}}], \"c\" : \"\\u00e9\\n\\\"\"}",
        "{\"\":\"\"}",
        "{\"a\":[]}",
        "{\"ü\":\"漢\"}",
        "{\"a\":\"\\ud83d\\uDE00\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(is(good[i]), "%s", good[i]);
}
END_TEST

START_TEST(no_objects)
{
    static const char *const bad[] = {
        "",
        "[]",
        "1",
        "{",
        "}",
        "{}}",
        "{} {}",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":tru}",
        "{\"a\":\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\ud83dx\"}",
        "{\"a\":\"\\ud83d\\n\"}",
        "{\"a\":\"\\ud83d\\ud83d\"}",
        "{\"a\":\"\\ude00\"}",
        "{\"a\":[1 2]}",
        "{\"a\":[1,]}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":1}x",
        "{'a':1}",
        "{\"a\":[}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!is(bad[i]), "%s", bad[i]);
    ck_assert(!json_check_object(slice_make("{\"a\":\"\0\"}", 9)));
    ck_assert(!json_check_object(slice_make("{\"a\":\"\\\0\"}", 10)));
    ck_assert(!json_check_object(slice_make("{}\0", 3)));
}
END_TEST

START_TEST(values)
{
    static const char *const good[] = {"1", " [1] ", "\"a\"", "null", "-0.50e2", "{}", "[{}]"};
    static const char *const bad[] = {"",   " ", "01",  "1 2", "nul", "[",
                                      "\"", "a", "'a'", "+1",  "{}x"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(json_check_value(slice_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!json_check_value(slice_of(bad[i])), "%s", bad[i]);
    ck_assert(!json_check_value(slice_make("true\0", 5)));
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[8 + 2 * JSON_CHECK_DEPTH];
    for (int depth = JSON_CHECK_DEPTH - 2; depth <= JSON_CHECK_DEPTH + 1; depth++) {
        size_t n = (size_t)depth - 1; /* arrays within the object */
        strcpy(text, "{\"a\":");
        memset(text + 5, '[', n);
        memset(text + 5 + n, ']', n);
        strcpy(text + 5 + 2 * n, "}");
        ck_assert_msg(is(text) == (depth <= JSON_CHECK_DEPTH), "depth %d", depth);
    }
}
END_TEST

/* Every prefix of an object is none, and reads nothing behind its end (ASan sees it). */
START_TEST(prefixes)
{
    static const char whole[] = "{\"k\":[\"\\u0041\",-1.5e3,{\"x\":null}]}";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *copy = slice_dup(slice_make(whole, len));
        ck_assert(!json_check_object(slice_make(copy, len)));
        ck_assert(!json_check_value(slice_make(copy, len)));
        free(copy);
    }
    ck_assert(is(whole));
}
END_TEST

SUITE_MAIN("json_check", objects, no_objects, values, depth_is_bounded, prefixes)
