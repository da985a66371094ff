/* test_base64.c: bytes as text (common/base64.h; vectors of RFC 4648 section 10). */
#include "common/base64.h"
#include "test/unit/suite.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

START_TEST(vectors)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buffer out = BUFFER_EMPTY;
        base64_append(&out, slice_of(pairs[i][0]));
        ck_assert_str_eq(buffer_text(&out), pairs[i][1]);
        buffer_fini(&out);
    }
}
END_TEST

/* OpenSSL's decoder reads back every length and byte. */
START_TEST(read_back_by_another)
{
    unsigned char bytes[300], back[sizeof bytes + 3];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t n = 1; n <= sizeof bytes; n++) {
        struct buffer out = BUFFER_EMPTY;
        buffer_append_text(&out, "kept:");
        base64_append(&out, slice_make(bytes, n));
        ck_assert_mem_eq(out.data, "kept:", 5);
        int len =
            EVP_DecodeBlock(back, (const unsigned char *)buffer_text(&out) + 5, (int)out.len - 5);
        ck_assert_int_ge(len, (int)n); /* it counts the padding */
        ck_assert_mem_eq(back, bytes, n);
        buffer_fini(&out);
    }
}
END_TEST

START_TEST(names)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *name;
    } cases[] = {
        {"", 0, ""},
        {"visit:7", 7, "visit:7"},
        {"ä", 2, "ä"},
        {"\n", 1, "\n"},
        {"\0", 1, "base64:AA=="},
        {"a\0b", 3, "base64:YQBi"},
        {"\xff", 1, "base64:/w=="},
        {"\xed\xa0\x80", 3, "base64:7aCA"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice bytes = slice_make(cases[i].bytes, cases[i].len);
        struct buffer out = BUFFER_EMPTY;
        base64_append_name(&out, bytes);
        ck_assert_str_eq(buffer_text(&out), cases[i].name);
        ck_assert_int_eq(base64_is_name(bytes), slice_equal(buffer_slice(&out), bytes));
        buffer_fini(&out);
    }
}
END_TEST

SUITE_MAIN("base64", vectors, read_back_by_another, names)
