/* test_json_write.c: JSON straight into a buffer (common/json/json_write.h; RFC 8259), read back by jansson. */
#include "common/json/json_write.h"
#include "common/utf8.h"
#include "test/unit/suite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *read_back(struct buffer *out)
{
    json_error_t error;
    json_t *value = json_loadb(out->data, out->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    ck_assert_msg(value != NULL, "%.*s: %s", (int)out->len, out->data, error.text);
    return value;
}

static void check_string(const char *bytes, size_t len)
{
    struct buffer out = BUFFER_EMPTY;
    json_write_string(&out, slice_make(bytes, len));
    json_t *value = read_back(&out);
    ck_assert(json_is_string(value));
    ck_assert_uint_eq(json_string_length(value), len);
    ck_assert_mem_eq(json_string_value(value), bytes, len);
    json_decref(value);
    buffer_fini(&out);
}

START_TEST(every_ascii_byte)
{
    char text[130];
    for (int c = 0; c < 128; c++) {
        text[0] = (char)c;
        check_string(text, 1);
        memset(text, 'x', sizeof text);
        for (size_t at = 0; at < 20; at++) {
            text[at] = (char)c;
            check_string(text, 20);
            text[at] = 'x';
        }
    }
    for (int c = 0; c < 128; c++)
        text[c] = (char)c;
    check_string(text, 128);
    check_string("", 0);
    check_string("ä€😀", 9);
}
END_TEST

START_TEST(exact_text)
{
    struct buffer out = BUFFER_EMPTY;
    json_write_string(&out, slice_make("a\"b\\c/\n\t\x01\0ä", 12));
    ck_assert_str_eq(buffer_text(&out), "\"a\\\"b\\\\c/\\n\\t\\u0001\\u0000ä\"");
    buffer_fini(&out);
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
    struct buffer out = BUFFER_EMPTY;
    json_write_bytes(&out, slice_make("\xff\xfe", 2));
    ck_assert_str_eq(buffer_text(&out), "{\"base64\":\"//4=\"}");
    buffer_clear(&out);
    json_write_bytes(&out, slice_make("a\0b", 3));
    ck_assert_str_eq(buffer_text(&out), "\"a\\u0000b\""); /* NUL is text in a value */
    buffer_clear(&out);
    json_write_name(&out, slice_make("a\0b", 3));
    ck_assert_str_eq(buffer_text(&out), "\"base64:YQBi\""); /* but not in a name */
    buffer_clear(&out);
    json_write_name(&out, slice_of("we \"quote\""));
    ck_assert_str_eq(buffer_text(&out), "\"we \\\"quote\\\"\"");
    buffer_fini(&out);
}
END_TEST

/* What a terminal would obey is escaped, and JSON stays the JSON it was. */
START_TEST(harmless)
{
    static const char said[] =
        "{\t\"a\xc2\x9b\":\r\"ü\x7f\xe2\x80\xae\xd8\x9c\xe2\x81\xa9€\\n\",\n\"b\":[1]}";
    struct buffer out = BUFFER_EMPTY;
    json_write_harmless(&out, slice_of(said));
    ck_assert_str_eq(buffer_text(&out),
                     "{ \"a\\u009b\": \"ü\\u007f\\u202e\\u061c\\u2069€\\n\",\n\"b\":[1]}");
    json_t *before = json_loads(said, 0, NULL), *after = json_loads(buffer_text(&out), 0, NULL);
    ck_assert(before != NULL && json_equal(before, after));
    json_decref(before);
    json_decref(after);
    buffer_fini(&out);
}
END_TEST

/* Whatever the bytes: JSON that another library reads, and the bytes come back when they were text. */
START_TEST(random_values)
{
    srand(11);
    for (int round = 0; round < 20000; round++) {
        char bytes[40];
        size_t n = (size_t)rand() % sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(rand() % 3 == 0 ? rand() : 'a' + rand() % 26);
        struct buffer out = BUFFER_EMPTY;
        json_write_bytes(&out, slice_make(bytes, n));
        json_t *value = read_back(&out);
        ck_assert_int_eq(json_is_string(value), utf8_valid(slice_make(bytes, n)));
        ck_assert(json_is_string(value) || json_is_string(json_object_get(value, "base64")));
        json_decref(value);
        buffer_fini(&out);
    }
}
END_TEST

SUITE_MAIN("json_write", every_ascii_byte, exact_text, bytes_that_are_no_text, harmless,
           random_values)
