/* test_resp_reply.c: answers of Redis' protocol, in both versions, and what does not fit. */
#include "common/resp/resp_reply.h"
#include "test/unit/suite.h"

#include <inttypes.h>

static struct resp_reply reply;

static void begin(int version)
{
    buffer_fini(&reply.out);
    reply = (struct resp_reply){.version = version};
}

static void expect(const char *bytes)
{
    ck_assert(buffer_ok(&reply.out));
    ck_assert_str_eq(buffer_text(&reply.out), bytes);
    buffer_clear(&reply.out);
}

START_TEST(simple)
{
    for (int version = 2; version <= 3; version++) {
        begin(version);
        resp_status(&reply, "OK");
        resp_array(&reply, 3);
        resp_text(&reply, "");
        resp_bulk(&reply, slice_make("a\r\nb", 4));
        resp_i64(&reply, 7);
        expect("+OK\r\n*3\r\n$0\r\n\r\n$4\r\na\r\nb\r\n:7\r\n");
    }
}
END_TEST

/* Each length, both signs, and the ends. */
START_TEST(numbers)
{
    begin(2);
    char text[64];
    int64_t value = 1;
    for (int digits = 1; digits <= 19;
         digits++, value = digits < 19 ? value * 10 + digits % 10 : INT64_MAX) {
        for (int sign = -1; sign <= 1; sign += 2) {
            resp_i64(&reply, sign * value);
            snprintf(text, sizeof text, ":%" PRId64 "\r\n", sign * value);
            expect(text);
        }
    }
    for (int64_t small = -1100; small <= 1100; small++) {
        resp_i64(&reply, small);
        snprintf(text, sizeof text, ":%" PRId64 "\r\n", small);
        expect(text);
    }
    resp_i64(&reply, INT64_MIN);
    expect(":-9223372036854775808\r\n");
}
END_TEST

START_TEST(what_differs)
{
    begin(2);
    resp_nil(&reply);
    resp_nil_array(&reply);
    resp_map(&reply, 2);
    resp_set(&reply, 3);
    resp_bool(&reply, true);
    resp_bool(&reply, false);
    resp_verbatim(&reply, "txt", slice_of("a b"));
    expect("$-1\r\n*-1\r\n*4\r\n*3\r\n:1\r\n:0\r\n$3\r\na b\r\n");
    begin(3);
    resp_nil(&reply);
    resp_nil_array(&reply);
    resp_map(&reply, 2);
    resp_set(&reply, 3);
    resp_bool(&reply, true);
    resp_bool(&reply, false);
    resp_verbatim(&reply, "txt", slice_of("a b"));
    expect("_\r\n_\r\n%2\r\n~3\r\n#t\r\n#f\r\n=7\r\ntxt:a b\r\n");
}
END_TEST

START_TEST(errors_are_one_line)
{
    begin(2);
    resp_error(&reply, "ERR unknown command '%s'", "a\r\nb\nc");
    expect("-ERR unknown command 'a  b c'\r\n");
    resp_error(&reply, "ERR end\r\n\r\n");
    expect("-ERR end\r\n");
}
END_TEST

START_TEST(bounded)
{
    begin(2);
    reply.max = 64;
    resp_bulk(&reply, slice_make("0123456789012345678901234567890", 30));
    ck_assert(buffer_ok(&reply.out));
    size_t len = reply.out.len;
    resp_bulk(&reply, slice_make("0123456789012345678901234567890", 30));
    ck_assert(!buffer_ok(&reply.out));
    ck_assert_uint_eq(reply.out.len, len);
    resp_i64(&reply, 1);
    ck_assert_uint_eq(reply.out.len, len);
}
END_TEST

SUITE_MAIN("resp_reply", simple, numbers, what_differs, errors_are_one_line, bounded)
