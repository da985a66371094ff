/* test_erlang_answer.c: what a cache node answers to a get: as nodes write it, and whatever else means the same. */
#include "test/unit/suite.h"
#include "workers/erlang/erlang_answer.h"

static struct buffer room;
static struct slice value;
static enum erlang_form form;
static bool found;

static bool reads(const char *text)
{
    form = ERLANG_FORM_TERM;
    return erlang_answer_read(slice_of(text), &room, &found, &value, &form);
}

START_TEST(as_nodes_write_it)
{
    ck_assert(reads("{\"ok\":\"\"}") && found && value.len == 0 && form == ERLANG_FORM_BYTES);
    ck_assert(reads("{\"ok\":\"v\xc3\xa4\"}") && found && slice_is(value, "v\xc3\xa4"));
    ck_assert(reads("{\"ok\":\"v\",\"form\":\"string\"}") && form == ERLANG_FORM_STRING);
    ck_assert(reads("{\"ok\":{\"base64\":\"AP8=\"},\"form\":\"term\"}") && found);
    ck_assert(slice_equal(value, slice_make("\0\xff", 2)) && form == ERLANG_FORM_TERM);
    ck_assert(reads("{\"ok\":{\"base64\":\"\"}}") && found && value.len == 0);
    ck_assert(reads("{\"ko\":true}") && !found);
    buffer_fini(&room);
}
END_TEST

START_TEST(whatever_means_the_same)
{
    ck_assert(reads("{\"ok\":\"a\\u0000\\\"b\"}") && found);
    ck_assert(slice_equal(value, slice_make("a\0\"b", 4)));
    ck_assert(reads(" {\"form\":\"string\", \"ok\" : \"v\"} ") && slice_is(value, "v"));
    ck_assert_int_eq(form, ERLANG_FORM_STRING);
    ck_assert(reads("{ \"ok\":{ \"base64\":\"AP8=\"}}") && value.len == 2);
    ck_assert(reads("{\"ok\":\"v\",\"more\":1}") && slice_is(value, "v"));
    buffer_fini(&room);
}
END_TEST

START_TEST(no_answers)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "\"why\"",
                                        "{\"ok\":",
                                        "{\"ok\":\"v",
                                        "{\"ok\":\"v\"",
                                        "{\"ok\":\"v\"}x",
                                        "{\"ok\":1}",
                                        "{\"ok\":{\"base64\":\"A\"}}",
                                        "{\"ok\":{\"base64\":1}}",
                                        "{\"ok\":\"v\",\"form\":\"atom\"}",
                                        "{\"ok\":\"v\",\"form\":1}",
                                        "{\"ko\":false}",
                                        "{\"ok\":\"\xff\",\"x\":1}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(!reads(texts[i]), "%s", texts[i]);
    buffer_fini(&room);
}
END_TEST

SUITE_MAIN("erlang_answer", as_nodes_write_it, whatever_means_the_same, no_answers)
