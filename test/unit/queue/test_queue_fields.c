/* test_queue_fields.c: what templates of topic and facet see of a body (workers/queue/queue_fields.h). */
#include "test/unit/suite.h"
#include "workers/queue/queue_fields.h"

static struct queue_fields fields;

/* The template, filled in from that body; "missing NAME" where it lacks one. */
static const char *made(const char *template, struct slice body)
{
    static char text[256];
    struct template *t;
    struct buffer out = BUFFER_EMPTY;
    struct slice missing;
    char why[128];
    ck_assert_int_eq(template_compile(template, &t, why, sizeof why), 0);
    ck_assert(queue_fields_read(&fields, body));
    if (template_expand(t, slice_of(""), fields.list, fields.count, &out, &missing) == 0)
        snprintf(text, sizeof text, "%s", out.len > 0 ? buffer_text(&out) : "");
    else
        snprintf(text, sizeof text, "missing %.*s", (int)missing.len, missing.ptr);
    template_free(t);
    buffer_fini(&out);
    queue_fields_fini(&fields);
    return text;
}

START_TEST(test_values)
{
    struct slice body = slice_of("{\"user\":7,\"type\":\"page\",\"new\":true,\"old\":false,"
                                 "\"none\":null,\"list\":[1],\"in\":{\"a\":1},\"half\":0.5}");
    ck_assert_str_eq(made("{user}:{type}:{new}:{old}:{half}", body), "7:page:true:false:0.5");
    ck_assert_str_eq(made("{none|no}{list|no}{in|no}", body), "nonono");
    ck_assert_str_eq(made("{name}", body), "missing name");
    ck_assert_str_eq(made("{name|}", body), "");
}
END_TEST

START_TEST(test_what_is_no_object)
{
    static const char *const bodies[] = {"", "7", "[1]", "\"text\"", "{\"a\":", "\xff", "plain"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        ck_assert_str_eq(made("{topic|default}", slice_of(bodies[i])), "default");
    ck_assert_str_eq(made("{topic|default}", slice_make("\0\1\2", 3)), "default");
}
END_TEST

START_TEST(test_bytes)
{
    struct slice body = slice_of("{\"a\":\"x\\u0000y\",\"gr\xc3\xbc\xc3\x9f\":\"ja\"}");
    ck_assert(queue_fields_read(&fields, body));
    ck_assert_uint_eq(fields.count, 2);
    ck_assert(slice_equal(fields.list[0].value, slice_make("x\0y", 3)));
    ck_assert(slice_is(fields.list[1].name, "gr\xc3\xbc\xc3\x9f"));
    queue_fields_fini(&fields);
}
END_TEST

START_TEST(test_many)
{
    struct buffer body = BUFFER_EMPTY;
    buffer_append_char(&body, '{');
    for (int i = 0; i < 2 * QUEUE_FIELDS_MAX; i++)
        buffer_printf(&body, "%s\"f%d\":%d", i > 0 ? "," : "", i, i);
    buffer_append_char(&body, '}');
    ck_assert(queue_fields_read(&fields, buffer_slice(&body)));
    ck_assert_uint_eq(fields.count, QUEUE_FIELDS_MAX);
    ck_assert(slice_is(fields.list[255].name, "f255") && slice_is(fields.list[255].value, "255"));
    queue_fields_fini(&fields);
    buffer_fini(&body);
}
END_TEST

SUITE_MAIN("queue_fields", test_values, test_what_is_no_object, test_bytes, test_many)
