/* test_json_value.c: JSON to msgpack and back; what is no msgpack is refused (test_ctl_render.c has more of that way). */
#include "common/json/json_value.h"

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
        ck_assert_int_eq(json_value_unpack(buffer_slice(&packed), &back), 0);
        char *text = json_dumps(back, JSON_ENCODE_ANY | JSON_COMPACT);
        ck_assert_msg(json_equal(value, back), "%s became %s", texts[i], text);
        free(text);
        for (size_t len = 0; len < packed.len; len++) {
            json_t *none = NULL;
            ck_assert_int_eq(json_value_unpack(slice_make(packed.data, len), &none), -EINVAL);
        }
        json_decref(value);
        json_decref(back);
        buffer_fini(&packed);
    }
}
END_TEST

SUITE_MAIN("json_value", there_and_back)
