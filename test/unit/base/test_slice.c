/* test_slice.c: borrowed bytes (common/slice.h). */
#include "common/slice.h"
#include "test/unit/suite.h"

#include <stdlib.h>

START_TEST(made_of_nothing)
{
    ck_assert_uint_eq(slice_of(NULL).len, 0);
    ck_assert_ptr_nonnull(slice_of(NULL).ptr);
    ck_assert_ptr_nonnull(slice_make(NULL, 0).ptr);
    ck_assert(slice_is(slice_of(NULL), ""));
}
END_TEST

START_TEST(equality_is_of_bytes)
{
    ck_assert(slice_equal(slice_make("a\0b", 3), slice_make("a\0b", 3)));
    ck_assert(!slice_equal(slice_make("a\0b", 3), slice_make("a\0c", 3)));
    ck_assert(!slice_equal(slice_of("ab"), slice_of("abc")));
    ck_assert(!slice_is(slice_make("ab\0", 3), "ab"));
    ck_assert(slice_is(slice_of("ab"), "ab"));
}
END_TEST

START_TEST(copy_says_when_it_is_not_whole)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool whole;
        const char *text;
    } cases[] = {
        {"", 0, true, ""},          {"abc", 3, true, "abc"}, {"abcd", 4, false, "abc"},
        {"a\0c", 3, false, "a"},    {"\0", 1, false, ""},    {"abcdefgh", 8, false, "abc"},
        {"abc\0", 4, false, "abc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *to = malloc(4); /* so that ASan sees a byte too far */
        bool whole = slice_copy(slice_make(cases[i].bytes, cases[i].len), to, 4);
        ck_assert_msg(whole == cases[i].whole, "case %zu", i);
        ck_assert_str_eq(to, cases[i].text);
        free(to);
    }
    char one[1] = "x";
    ck_assert(slice_copy(slice_of(""), one, 1));
    ck_assert(!slice_copy(slice_of("a"), one, 1));
    ck_assert_int_eq(one[0], '\0');
}
END_TEST

START_TEST(dup_keeps_every_byte)
{
    char *copy = slice_dup(slice_make("a\0b", 3));
    ck_assert_mem_eq(copy, "a\0b\0", 4);
    free(copy);
    copy = slice_dup(slice_make(NULL, 0));
    ck_assert_str_eq(copy, "");
    free(copy);
}
END_TEST

SUITE_MAIN("slice", made_of_nothing, equality_is_of_bytes, copy_says_when_it_is_not_whole,
           dup_keeps_every_byte)
