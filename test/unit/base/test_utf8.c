/* test_utf8.c: what is text (common/utf8.h; RFC 3629). */
#include "common/utf8.h"
#include "test/unit/suite.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The definition, by decoding: slow, and written without looking at the other. */
static bool reference_valid(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t code = p[i];
        size_t more = code < 0x80 ? 0 : (code & 0xe0) == 0xc0 ? 1 : (code & 0xf0) == 0xe0 ? 2 : 3;
        if (code >= 0x80 && ((code & 0xc0) == 0x80 || (code & 0xf8) == 0xf8))
            return false;
        static const uint32_t masks[] = {0x7f, 0x1f, 0x0f, 0x07};
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        code &= masks[more];
        if (i + more >= n)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (p[i + k] & 0x3fu);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += more + 1;
    }
    return true;
}

static void check(const unsigned char *bytes, size_t n)
{
    unsigned char *exact = malloc(n + (n == 0));
    memcpy(exact, bytes, n);
    bool valid = utf8_valid(slice_make(exact, n));
    ck_assert_msg(valid == reference_valid(bytes, n), "%02x %02x %02x %02x (%zu): %d", bytes[0],
                  n > 1 ? bytes[1] : 0, n > 2 ? bytes[2] : 0, n > 3 ? bytes[3] : 0, n, valid);
    free(exact);
}

START_TEST(every_short_sequence)
{
    for (unsigned a = 0; a < 256; a++) {
        check((unsigned char[]){(unsigned char)a}, 1);
        for (unsigned b = 0; b < 256; b++) {
            check((unsigned char[]){(unsigned char)a, (unsigned char)b}, 2);
            for (unsigned c = 0x70; a >= 0xe0 && c < 0xd0; c++) {
                check((unsigned char[]){(unsigned char)a, (unsigned char)b, (unsigned char)c}, 3);
                check((unsigned char[]){(unsigned char)a, (unsigned char)b, (unsigned char)c, 0x80},
                      4);
            }
        }
    }
}
END_TEST

/* Eight bytes at a time must not look past the end, nor miss one byte at any place. */
START_TEST(every_alignment)
{
    for (size_t n = 0; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            unsigned char bytes[40];
            memset(bytes, 'a', sizeof bytes);
            bytes[at] = 0xff;
            check(bytes, n);
            bytes[at] = 0xc3;
            if (at + 1 < n)
                bytes[at + 1] = 0xa4;
            check(bytes, n);
        }
    }
}
END_TEST

START_TEST(random_bytes)
{
    srand(7);
    for (int round = 0; round < 20000; round++) {
        unsigned char bytes[32];
        size_t n = 1 + (size_t)rand() % sizeof bytes;
        static const unsigned char likely[] = {0xc3, 0xa4, 0xe2, 0x82, 0xac,
                                               0xf0, 0x9f, 0x98, 0x80, 'x'};
        for (size_t i = 0; i < n; i++)
            bytes[i] =
                rand() % 8 == 0 ? (unsigned char)rand() : likely[(size_t)rand() % sizeof likely];
        check(bytes, n);
    }
}
END_TEST

START_TEST(nul_is_a_character)
{
    ck_assert(utf8_valid(slice_make("a\0b", 3)));
    ck_assert(utf8_valid(slice_of("")));
}
END_TEST

START_TEST(cut_leaves_characters_whole)
{
    static const char text[] = "aä€😀z";
    static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
    for (size_t max = 0; max < sizeof lengths / sizeof *lengths; max++)
        ck_assert_msg(utf8_cut(slice_of(text), max) == lengths[max], "max %zu: %zu", max,
                      utf8_cut(slice_of(text), max));
}
END_TEST

START_TEST(whole_leaves_out_what_the_end_cuts)
{
    static const char text[] = "aä€😀";
    static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
    for (size_t len = 0; len < sizeof lengths / sizeof *lengths; len++)
        ck_assert_uint_eq(utf8_whole(slice_make(text, len)), lengths[len]);
    ck_assert_uint_eq(utf8_whole(slice_of("a\xff")), 2); /* no character, so none that is cut */
    ck_assert_uint_eq(utf8_whole(slice_of("\x80\x80\x80\x80")), 4);
}
END_TEST

START_TEST(mended_text_is_text)
{
    static const struct {
        const char *said, *shown;
    } texts[] = {{"", ""},
                 {"aä€😀z", "aä€😀z"},
                 {"ä\xe2\x82", "ä"},
                 {"\xf0\x9f\x98", ""},
                 {"a\xff\xfe", "a??"},
                 {"\xe2\x82z", "??z"},
                 {"\x80ä\xc3", "?ä"},
                 {"\xed\xa0\x80", "???"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[32];
        strcpy(text, texts[i].said);
        utf8_mend(text);
        ck_assert_str_eq(text, texts[i].shown);
    }
    srand(9);
    for (int round = 0; round < 20000; round++) {
        static const char likely[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x";
        char text[17];
        for (size_t i = 0; i + 1 < sizeof text; i++)
            text[i] = likely[(size_t)rand() % (sizeof likely - 1)];
        text[(size_t)rand() % sizeof text] = '\0';
        text[sizeof text - 1] = '\0';
        utf8_mend(text);
        ck_assert(utf8_valid(slice_of(text)));
    }
}
END_TEST

START_TEST(what_is_shown_orders_no_terminal_about)
{
    static const struct {
        const char *said, *shown;
    } texts[] = {
        {"", ""},
        {"aä€😀z", "aä€😀z"},
        {"a\tb\nc\x1b[2Jd\x7f", "a b?c?[2Jd?"},
        {"\xc2\x9b[31m\xc2\x80\xc2\x9f\xc2\xa0", "?[31m??\xc2\xa0"}, /* C1; the last is none */
        {"\xe2\x80\xaegpj\xe2\x80\xac.exe", "?gpj?.exe"},            /* turned round */
        {"\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "?????"},
        {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\x90\xe2\x81\xaa", "??\xe2\x80\x90\xe2\x81\xaa"},
        {"\x9b\xff\x1b\xc2", "???"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[32];
        strcpy(text, texts[i].said);
        utf8_show(text);
        ck_assert_str_eq(text, texts[i].shown);
    }
}
END_TEST

SUITE_MAIN("utf8", every_short_sequence, every_alignment, random_bytes, nul_is_a_character,
           cut_leaves_characters_whole, whole_leaves_out_what_the_end_cuts, mended_text_is_text,
           what_is_shown_orders_no_terminal_about)
