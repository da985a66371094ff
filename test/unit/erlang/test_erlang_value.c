/* test_erlang_value.c: a term as an object, and back; what names one. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/suite.h"
#include "workers/erlang/erlang_value.h"

static const struct {
    struct slice term;
    enum erlang_form form;
    struct slice value;
} cases[] = {
    {BYTES("m\0\0\0\2\xff\0"), ERLANG_FORM_BYTES, BYTES("\xff\0")},
    {BYTES("m\0\0\0\0"), ERLANG_FORM_BYTES, BYTES("")},
    {BYTES("k\0\2hi"), ERLANG_FORM_STRING, BYTES("hi")},
    {BYTES("j"), ERLANG_FORM_STRING, BYTES("")},
    {BYTES("w\2ok"), ERLANG_FORM_TERM, BYTES("\x83w\2ok")},
    {BYTES("h\2a\1k\0\1x"), ERLANG_FORM_TERM, BYTES("\x83h\2a\1k\0\1x")},
    {BYTES("l\0\0\0\1b\0\0\4\0j"), ERLANG_FORM_TERM, BYTES("\x83l\0\0\0\1b\0\0\4\0j")},
    {BYTES("M\0\0\0\1\3\xe0"), ERLANG_FORM_TERM, BYTES("\x83M\0\0\0\1\3\xe0")},
};

START_TEST(there_and_back)
{
    struct buffer value = BUFFER_EMPTY, term = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum erlang_form form;
        buffer_clear(&value);
        buffer_clear(&term);
        erlang_value_from_term(cases[i].term, &form, &value);
        ck_assert_msg(form == cases[i].form, "%zu", i);
        ck_assert_msg(slice_equal(buffer_slice(&value), cases[i].value), "%zu", i);
        erlang_value_to_term(buffer_slice(&value), form, &term);
        ck_assert_msg(slice_equal(buffer_slice(&term), cases[i].term), "%zu", i);
    }
    buffer_fini(&value);
    buffer_fini(&term);
}
END_TEST

/* Who is sent what is no term ends the connection. */
START_TEST(a_term_that_is_none_is_a_binary)
{
    struct buffer term = BUFFER_EMPTY;
    erlang_value_to_term(BYTES("\x83h\2a\1"), ERLANG_FORM_TERM, &term);
    ck_assert(slice_equal(buffer_slice(&term), BYTES("m\0\0\0\5\x83h\2a\1")));
    buffer_clear(&term);
    erlang_value_to_term(slice_of(""), ERLANG_FORM_TERM, &term);
    ck_assert(slice_equal(buffer_slice(&term), BYTES("m\0\0\0\0")));
    buffer_fini(&term);
}
END_TEST

START_TEST(names)
{
    static const struct {
        struct slice term, key;
    } keys[] = {
        {BYTES("m\0\0\0\6user:1"), BYTES("user:1")},
        {BYTES("k\0\6user:1"), BYTES("user:1")},
        {BYTES("w\6user:1"), BYTES("user:1")},
        {BYTES("d\0\1\xe4"), BYTES("\xc3\xa4")},
        {BYTES("j"), BYTES("")},
        {BYTES("a\7"), BYTES("\x83"
                             "a\7")},
        {BYTES("h\2d\0\4usera\7"), BYTES("\x83h\2w\4usera\7")},
        {BYTES("u\0\0\0\0Xw\1n\0\0\0\1\0\0\0\2\0\0\0\3d\0\1ma\1a\2"),
         BYTES("\x83u\0\0\0\0Xw\1n\0\0\0\1\0\0\0\2\0\0\0\3d\0\1ma\1a\2")},
    };
    struct buffer key = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        buffer_clear(&key);
        erlang_key_from_term(keys[i].term, &key);
        ck_assert_msg(slice_equal(buffer_slice(&key), keys[i].key), "%zu", i);
    }
    buffer_fini(&key);
}
END_TEST

START_TEST(forms_have_names)
{
    enum erlang_form form;
    ck_assert_str_eq(erlang_form_name(ERLANG_FORM_STRING), "string");
    ck_assert_ptr_null(erlang_form_name((enum erlang_form)3));
    ck_assert(erlang_form_find("term", &form) && form == ERLANG_FORM_TERM);
    ck_assert(!erlang_form_find("atom", &form));
}
END_TEST

SUITE_MAIN("erlang_value", there_and_back, a_term_that_is_none_is_a_binary, names, forms_have_names)
