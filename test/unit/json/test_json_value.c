/*
 * test_json_value.c: JSON to msgpack and back; what is no msgpack is refused (test_ctl_render.c has more of that way).
 */
#include "common/json/json_value.h"
#include "common/unpack.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

START_TEST(there_and_back)
{
    static const char *const texts[] = {"null",
                                        "true",
                                        "false",
                                        "0",
                                        "-1",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "1.5",
                                        "\"\"",
                                        "\"ü\\n\\u0000x\"",
                                        "[]",
                                        "{}",
                                        "[1,[2,[3]],{\"a\":null}]",
                                        "{\"b\":1,\"a\":{\"c\":[true,\"x\"]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buffer packed = BUFFER_EMPTY;
        json_t *value = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL), *back = NULL;
        ck_assert_ptr_nonnull(value);
        json_value_pack(&packed, value);
        ck_assert(buffer_ok(&packed));
        ck_assert_int_eq(json_value_unpack(buffer_slice(&packed), UNPACK_DEPTH_MAX, &back), 0);
        char *text = json_dumps(back, JSON_ENCODE_ANY | JSON_COMPACT);
        ck_assert_msg(json_equal(value, back), "%s became %s", texts[i], text);
        free(text);
        for (size_t len = 0; len < packed.len; len++) {
            json_t *none = NULL;
            ck_assert_int_eq(
                json_value_unpack(slice_make(packed.data, len), UNPACK_DEPTH_MAX, &none), -EINVAL);
        }
        json_decref(value);
        json_decref(back);
        buffer_fini(&packed);
    }
}
END_TEST

/* What a program is shown of bytes and sends back is those bytes; what only looks like it is text. */
START_TEST(names_are_the_bytes)
{
    static const struct {
        const char *name;
        struct slice bytes;
    } cases[] = {{"plain", {"plain", 5}},
                 {"base64:/w==", {"\xff", 1}},
                 {"base64:YQBi", {"a\0b", 3}},
                 {"base64:YmFzZTY0Og==", {"base64:", 7}},
                 {"base64:]]]]", {"base64:]]]]", 11}},
                 {"base64:YWJj", {"base64:YWJj", 11}}}; /* abc needs none */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer packed = BUFFER_EMPTY;
        json_t *object = json_pack("{s:i}", cases[i].name, 1);
        json_value_pack(&packed, object);
        struct unpack u = unpack_start(buffer_slice(&packed));
        ck_assert_uint_eq(unpack_map(&u), 1);
        ck_assert_msg(slice_equal(unpack_bytes(&u), cases[i].bytes), "%s", cases[i].name);
        json_decref(object);
        buffer_fini(&packed);
    }
}
END_TEST

START_TEST(depth_is_the_callers)
{
    static char nested[2100]; /* what a port takes, too: the stack must bear it */
    memset(nested, '\x91', sizeof nested);
    for (int depth = 1; depth < (int)sizeof nested; depth += 7) {
        json_t *value = NULL;
        nested[depth] = '\x01';
        struct slice packed = slice_make(nested, (size_t)depth + 1);
        ck_assert_int_eq(json_value_unpack(packed, depth - 1, &value), -EINVAL);
        ck_assert_int_eq(json_value_unpack(packed, depth, &value), 0);
        json_decref(value);
        nested[depth] = '\x91';
    }
}
END_TEST

SUITE_MAIN("json_value", there_and_back, names_are_the_bytes, depth_is_the_callers)
