/* test_gate_request.c: what is asked at a gate's door, and the forms of answers. */
#include "workers/snapshot/gate/gate_request.h"

#include "test/unit/suite.h"

static struct gate_request request;

static const char *read_text(const char *text)
{
    buffer_fini(&request.content);
    request = (struct gate_request){.verb = GATE_GET};
    return gate_request_read(slice_of(text), &request);
}

static void forget(void)
{
    buffer_fini(&request.content);
}

START_TEST(a_version_is_asked_for)
{
    ck_assert_ptr_null(read_text("=====GET qplan app"));
    ck_assert(request.verb == GATE_GET && slice_is(request.header, "qplan app"));
    ck_assert_uint_eq(request.version.len, 0);
    ck_assert_ptr_null(read_text("=====GET a\n\t2h\n"));
    ck_assert(slice_is(request.header, "a") && slice_is(request.version, "2h"));
    ck_assert_ptr_null(read_text("=====GET a\n\t2h"));
    ck_assert(slice_is(request.version, "2h"));
    ck_assert_ptr_nonnull(read_text("=====GET a\n\t2h\n\t3h\n"));
    forget();
}
END_TEST

START_TEST(one_is_put)
{
    ck_assert_ptr_null(read_text("=====PUT a b\n\t1\n\t\n\t=====c\n"));
    ck_assert(request.verb == GATE_PUT && slice_is(request.header, "a b"));
    ck_assert(slice_is(buffer_slice(&request.content), "1\n\n=====c\n"));
    ck_assert_ptr_null(read_text("=====PUT a"));
    ck_assert_uint_eq(request.content.len, 0);
    forget();
}
END_TEST

START_TEST(all_else_has_a_reason)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "nothing was asked"},
        {"x\n", "no stacked stream"},
        {"=====GET a\nx\n", "no stacked stream"},
        {"=====\n", "neither"},
        {"=====GET\n", "neither"},
        {"=====GET \n", "neither"},
        {"=====get a\n", "neither"},
        {"=====GETa\n", "neither"},
        {"=====GET a\n=====GET b\n", "one at a time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = read_text(cases[i].text);
        ck_assert_msg(why != NULL && strstr(why, cases[i].why) != NULL, "%s: %s", cases[i].text,
                      why != NULL ? why : "none");
    }
    forget();
}
END_TEST

START_TEST(answers)
{
    struct buffer out = BUFFER_EMPTY;
    gate_answer_version(&out, slice_of("qplan app"), "3fa9", slice_of("a\n\nb"));
    ck_assert(slice_is(buffer_slice(&out), "=====qplan app\n\t3fa9\n=====data\n\ta\n\t\n\tb\n"));
    buffer_clear(&out);
    gate_answer_error(&out, slice_of("exit 3: a\nb\r"));
    ck_assert(slice_is(buffer_slice(&out), "ERROR: exit 3: a b \n"));
    buffer_fini(&out);
}
END_TEST

SUITE_MAIN("gate_request", a_version_is_asked_for, one_is_put, all_else_has_a_reason, answers)
