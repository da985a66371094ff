/* test_erlang_term.c: Erlang's external format, right, wrong, and cut off at every byte. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/suite.h"
#include "workers/erlang/erlang_term.h"

#include <stdlib.h>

/* One of each kind, as OTP 25 writes them, and the older kinds that it reads. */
static const struct slice terms[] = {
    BYTES("a\x07"),                                         /* 7 */
    BYTES("b\xff\xff\xff\xfb"),                             /* -5 */
    BYTES("n\x09\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09"), /* a big number, negative */
    BYTES("o\0\0\0\x02\0\x01\x02"),
    BYTES("F\x3f\xf8\0\0\0\0\0\0"), /* 1.5 */
    BYTES("c1.50000000000000000000e+00\0\0\0\0\0"),
    BYTES("w\x02ok"),
    BYTES("v\0\x02ok"),
    BYTES("d\0\x02ok"),
    BYTES("s\x02ok"),
    BYTES("j"),
    BYTES("k\0\x03"
          "abc"),
    BYTES("l\0\0\0\x02"
          "a\1w\1xj"),
    BYTES("l\0\0\0\x01"
          "a\1a\2"), /* [1|2] */
    BYTES("m\0\0\0\x03"
          "abc"),
    BYTES("M\0\0\0\x01\x03\xe0"), /* <<7:3>> */
    BYTES("h\x02"
          "a\1h\0"),
    BYTES("i\0\0\0\x01j"),
    BYTES("t\0\0\0\x01w\1ka\1"),
    BYTES("Xw\3n@h\0\0\0\1\0\0\0\2\0\0\0\3"),
    BYTES("gd\0\3n@h\0\0\0\1\0\0\0\2\3"),
    BYTES("xw\3n@h\0\0\0\0\0\0\0\1\0\0\0\2"),
    BYTES("Yw\3n@h\0\0\0\1\0\0\0\2"),
    BYTES("fw\3n@h\0\0\0\1\2"),
    BYTES("ew\3n@h\0\0\0\1\2"),
    BYTES("r\0\2w\3n@h\1\0\0\0\1\0\0\0\2"),
    BYTES("Z\0\3w\3n@h\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0\3"),
    BYTES("qw\5listsw\3mapa\2"),
    BYTES("p\0\0\0\x2f\1"
          "0123456789abcdef\0\0\0\1\0\0\0\1w\1ma\1a\2Xw\1n\0\0\0\1\0\0\0\2\0\0\0\3a\7"),
    BYTES("u\0\0\0\1Xw\1n\0\0\0\1\0\0\0\2\0\0\0\3w\1ma\1a\2a\7"),
};

#define TERMS (sizeof terms / sizeof terms[0])

START_TEST(whole_terms)
{
    for (size_t i = 0; i < TERMS; i++) {
        struct slice in = terms[i], term;
        ck_assert_msg(erlang_term_take(&in, &term), "%zu", i);
        ck_assert_uint_eq(in.len, 0);
        ck_assert(slice_equal(term, terms[i]));
    }
}
END_TEST

/* No byte behind the input is read: each is a block of its own, which the sanitizers guard. */
START_TEST(cut_off_anywhere)
{
    for (size_t i = 0; i < TERMS; i++)
        for (size_t len = 0; len < terms[i].len; len++) {
            char *copy = malloc(len + 1);
            memcpy(copy + 1, terms[i].ptr, len);
            struct slice in = slice_make(copy + 1, len), term;
            struct buffer out = BUFFER_EMPTY;
            ck_assert_msg(!erlang_term_take(&in, &term), "%zu of %zu", len, i);
            ck_assert(in.len == len && !erlang_term_copy(&in, &out) && out.len == 0);
            buffer_fini(&out);
            free(copy);
        }
}
END_TEST

/* Counts above what there is, tags that are none, a cache of atoms, compression. */
START_TEST(wrong_terms)
{
    static const struct slice wrong[] = {
        BYTES(""),
        BYTES("\x83"
              "a\1"),
        BYTES("P\0\0\0\1x"),
        BYTES("R\1"),
        BYTES("i\xff\xff\xff\xff"
              "a\1"),
        BYTES("l\xff\xff\xff\xff"
              "a\1j"),
        BYTES("t\xff\xff\xff\xff"
              "a\1a\1"),
        BYTES("m\xff\xff\xff\xff"
              "a"),
        BYTES("r\0\xffw\1n\1\0\0\0\1"),
        BYTES("Z\0\6w\1n\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"),
        BYTES("Xa\1\0\0\0\1\0\0\0\2\0\0\0\3"),
        BYTES("\xff"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct slice in = wrong[i], term;
        ck_assert_msg(!erlang_term_take(&in, &term), "%zu", i);
        ck_assert(slice_equal(in, wrong[i]));
    }
}
END_TEST

/* A million tuples in each other: nothing recurses. */
START_TEST(deep_terms)
{
    size_t deep = 1000000;
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < deep; i++)
        buffer_append(&text, "h\1", 2);
    buffer_append_char(&text, 'j');
    struct slice in = buffer_slice(&text), term;
    ck_assert(erlang_term_take(&in, &term) && in.len == 0);
    buffer_fini(&text);
}
END_TEST

/* The same term of an old and of a new node. */
START_TEST(copies_have_one_form_of_atoms)
{
    static const struct slice old = BYTES("h\3d\0\2okgd\0\1n\0\0\0\1\0\0\0\2\3l\0\0\0\1s\1\xe4j");
    static const struct slice new = BYTES("h\3w\2okgw\1n\0\0\0\1\0\0\0\2\3l\0\0\0\1w\2\xc3\xa4j");
    struct buffer out = BUFFER_EMPTY;
    struct slice in = old;
    ck_assert(erlang_term_copy(&in, &out));
    ck_assert(slice_equal(buffer_slice(&out), new));
    for (size_t i = 0; i < TERMS; i++) {
        bool fun = terms[i].ptr[0] == 'p' || terms[i].ptr[0] == 'u';
        bool old_atoms =
            memchr(terms[i].ptr, 'd', 2) || terms[i].ptr[0] == 's' || terms[i].ptr[0] == 'v';
        buffer_clear(&out);
        in = terms[i];
        ck_assert_msg(erlang_term_copy(&in, &out) == !fun, "%zu", i);
        ck_assert_msg(fun || old_atoms || slice_equal(buffer_slice(&out), terms[i]), "%zu", i);
        ck_assert(!fun || out.len == 0);
    }
    buffer_fini(&out);
}
END_TEST

START_TEST(atoms)
{
    struct erlang_atom atom;
    struct slice in = BYTES("s\3\xe4xy");
    ck_assert(erlang_term_atom(&in, &atom) && erlang_term_atom_is(&atom, "\xc3\xa4xy"));
    in = BYTES("w\3a\0b");
    ck_assert(erlang_term_atom(&in, &atom) && atom.len == 3 && memcmp(atom.text, "a\0b", 4) == 0);
    ck_assert(!erlang_term_atom_is(&atom, "a"));
    char longest[3 + ERLANG_ATOM_MAX + 1] = {'v', 0x03, (char)0xfc};
    in = slice_make(longest, sizeof longest - 1);
    ck_assert(erlang_term_atom(&in, &atom) && atom.len == ERLANG_ATOM_MAX);
    longest[2] = (char)0xfd;
    in = slice_make(longest, sizeof longest);
    ck_assert(!erlang_term_atom(&in, &atom));
    char latin[3 + 255] = {'d', 0, (char)0xff};
    memset(latin + 3, 0xe4, 255);
    in = slice_make(latin, sizeof latin);
    ck_assert(erlang_term_atom(&in, &atom) && atom.len == 510);
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        struct slice text;
        bool fits;
        int64_t value;
    } cases[] = {
        {BYTES("a\xff"), true, 255},
        {BYTES("b\x80\0\0\0"), true, INT32_MIN},
        {BYTES("n\4\0\0\0\0\x80"), true, 2147483648},
        {BYTES("n\x08\0\xff\xff\xff\xff\xff\xff\xff\x7f"), true, INT64_MAX},
        {BYTES("n\x08\1\0\0\0\0\0\0\0\x80"), true, INT64_MIN},
        {BYTES("n\x08\0\0\0\0\0\0\0\0\x80"), false, 0},
        {BYTES("n\x09\0\1\0\0\0\0\0\0\0\0"), true, 1},
        {BYTES("n\x09\0\1\0\0\0\0\0\0\0\1"), false, 0},
        {BYTES("n\0\0"), true, 0},
        {BYTES("w\1x"), false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice in = cases[i].text;
        int64_t value = 0;
        ck_assert_msg(erlang_term_i64(&in, &value) == cases[i].fits, "%zu", i);
        ck_assert(!cases[i].fits || (value == cases[i].value && in.len == 0));
        ck_assert(cases[i].fits || in.len == cases[i].text.len);
    }
    struct slice in = BYTES("F\x3f\xf8\0\0\0\0\0\0");
    double real = 0;
    ck_assert(erlang_term_float(&in, &real) && real == 1.5 && in.len == 0);
    ck_assert(!erlang_term_float(&in, &real));
}
END_TEST

START_TEST(strings)
{
    struct buffer out = BUFFER_EMPTY;
    struct slice in = BYTES("k\0\3a\0b!"), bytes;
    ck_assert(erlang_term_string(&in, &out) && slice_equal(buffer_slice(&out), BYTES("a\0b")));
    ck_assert(slice_is(in, "!"));
    in = BYTES("l\0\0\0\2a\xff"
               "a\0j!");
    buffer_clear(&out);
    ck_assert(erlang_term_string(&in, &out) && slice_equal(buffer_slice(&out), BYTES("\xff\0")));
    ck_assert(slice_is(in, "!"));
    in = BYTES("j");
    buffer_clear(&out);
    ck_assert(erlang_term_string(&in, &out) && out.len == 0 && in.len == 0);
    static const struct slice none[] = {BYTES("l\0\0\0\1b\0\0\1\0j"), BYTES("l\0\0\0\2a\1w\1xj"),
                                        BYTES("l\0\0\0\1a\1a\2"), BYTES("l\0\0\0\2a\1j"),
                                        BYTES("m\0\0\0\1x")};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        in = none[i];
        ck_assert_msg(!erlang_term_string(&in, &out) && out.len == 0, "%zu", i);
        ck_assert_uint_eq(in.len, none[i].len);
    }
    in = BYTES("m\0\0\0\1x!");
    ck_assert(erlang_term_binary(&in, &bytes) && slice_is(bytes, "x") && slice_is(in, "!"));
    ck_assert(!erlang_term_binary(&in, &bytes));
    buffer_fini(&out);
}
END_TEST

START_TEST(tuples_lists_pids)
{
    struct erlang_atom node;
    struct slice pid;
    uint32_t count = 0;
    struct slice in = BYTES("h\3x");
    ck_assert(erlang_term_tuple(&in, &count) && count == 3 && slice_is(in, "x"));
    in = BYTES("i\0\1\0\0x");
    ck_assert(erlang_term_tuple(&in, &count) && count == 65536);
    ck_assert(!erlang_term_tuple(&in, &count));
    in = BYTES("l\0\0\0\1x");
    ck_assert(erlang_term_list(&in, &count) && count == 1);
    in = BYTES("l\0\0\0\2x"); /* more elements than bytes */
    ck_assert(!erlang_term_list(&in, &count));
    in = BYTES("Xw\3n@h\0\0\0\1\0\0\0\2\0\0\0\3!");
    ck_assert(erlang_term_pid(&in, &pid, &node) && pid.len == 18 && slice_is(in, "!"));
    ck_assert(erlang_term_atom_is(&node, "n@h"));
    in = BYTES("gd\0\3n@h\0\0\0\1\0\0\0\2\3");
    ck_assert(erlang_term_pid(&in, &pid, &node) && erlang_term_atom_is(&node, "n@h"));
    in = BYTES("xw\3n@h\0\0\0\0\0\0\0\1\0\0\0\2");
    ck_assert(!erlang_term_pid(&in, &pid, &node));
}
END_TEST

START_TEST(standing_alone)
{
    ck_assert(erlang_term_is_whole(BYTES("\x83"
                                         "a\1")));
    ck_assert(!erlang_term_is_whole(BYTES("a\1")));
    ck_assert(!erlang_term_is_whole(BYTES("\x83")));
    ck_assert(!erlang_term_is_whole(BYTES("\x83"
                                          "a\1a")));
    ck_assert(!erlang_term_is_whole(slice_of("")));
    ck_assert_int_eq(erlang_term_tag(slice_of("")), -1);
    ck_assert_int_eq(erlang_term_tag(slice_of("\xff")), 255);
}
END_TEST

SUITE_MAIN("erlang_term", whole_terms, cut_off_anywhere, wrong_terms, deep_terms,
           copies_have_one_form_of_atoms, atoms, numbers, strings, tuples_lists_pids,
           standing_alone)
