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
        {"base64:AA==", 11, "base64:YmFzZTY0OkFBPT0="},
        {"base64:", 7, "base64:YmFzZTY0Og=="},
        {"base64", 6, "base64"},
        {"Base64:AA==", 11, "Base64:AA=="},
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

/* As a reader is told to (DRAIN.md, Names), with OpenSSL's decoder. Returns the length. */
static size_t read_name(const char *text, unsigned char *out)
{
    size_t len = strlen(text);
    if (strncmp(text, "base64:", 7) != 0) {
        memcpy(out, text, len);
        return len;
    }
    int n = EVP_DecodeBlock(out, (const unsigned char *)text + 7, (int)len - 7);
    ck_assert_int_ge(n, 0);
    return (size_t)n - (text[len - 1] == '=') - (text[len - 2] == '=');
}

/* Any bytes, most of them near to what is escaped, and names of names: each is read back, so no two are one. */
START_TEST(names_are_one_to_one)
{
    static const char *const parts[] = {"base64:", "base64", ":",    "AA==", "a",
                                        "\xff",    "\xc3",   "\xa4", "="};
    unsigned char back[4096];
    for (int i = 0; i < 20000; i++) {
        struct buffer raw = BUFFER_EMPTY, name = BUFFER_EMPTY;
        for (int n = rand() % 6; n > 0; n--) {
            if (rand() % 8 == 0)
                buffer_append_char(&raw, (char)rand());
            buffer_append_text(&raw, parts[(size_t)rand() % (sizeof parts / sizeof *parts)]);
        }
        for (int depth = 0; depth < 3; depth++) {
            buffer_clear(&name);
            base64_append_name(&name, buffer_slice(&raw));
            const char *text = buffer_text(&name);
            ck_assert_uint_eq(strlen(text), name.len); /* no NUL */
            size_t n = read_name(text, back);
            ck_assert(slice_equal(slice_make(back, n), buffer_slice(&raw)));
            struct buffer named = BUFFER_EMPTY;
            base64_append_named(&named, buffer_slice(&name));
            ck_assert(slice_equal(buffer_slice(&named), buffer_slice(&raw)));
            buffer_fini(&named);
            buffer_clear(&raw);
            buffer_append_slice(&raw, buffer_slice(&name));
        }
        buffer_fini(&raw);
        buffer_fini(&name);
    }
}
END_TEST

/* Only what base64_append makes is some bytes' base64; behind what stands there already. */
START_TEST(bytes_of_a_text)
{
    static const char *const wrong[] = {
        "A",    "AA",   "AAA",  "AA=",  "=",        "====", "A===",     "AA==AA==", "AAAA\n",
        "AA A", "AB==", "AAB=", "-_==", "AAAAA===", "AA=A", "AAAA====", "=AAA",     "AA\xff\xff"};
    struct buffer out = BUFFER_EMPTY, text = BUFFER_EMPTY;
    for (size_t n = 0; n < 300; n++) {
        char bytes[300];
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)rand();
        buffer_clear(&text);
        base64_append(&text, slice_make(bytes, n));
        buffer_clear(&out);
        buffer_append_text(&out, "kept");
        ck_assert(base64_append_bytes(&out, buffer_slice(&text)));
        ck_assert_uint_eq(out.len, 4 + n);
        ck_assert_mem_eq(out.data, "kept", 4);
        ck_assert_mem_eq(out.data + 4, bytes, n);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        buffer_clear(&out);
        ck_assert_msg(!base64_append_bytes(&out, slice_of(wrong[i])), "%s", wrong[i]);
        ck_assert_uint_eq(out.len, 0);
    }
    ck_assert(!base64_append_bytes(&out, slice_make("AA\0A", 4)));
    buffer_fini(&out);
    buffer_fini(&text);
}
END_TEST

SUITE_MAIN("base64", vectors, read_back_by_another, names, names_are_one_to_one, bytes_of_a_text)
