/* test_resp_request.c: requests of Redis' protocol, whole and byte by byte, and what is none; memory that is short. */
#include "test/unit/short_memory.h"

#include "common/resp/resp_request.h"
#include "common/buffer.h"
#include "test/unit/suite.h"

#include <stdlib.h>

static const struct resp_limits ample = {1 << 20, 512u << 20, true};

/* The words as people would write them, parted by |; "MORE", or the error. Of each request in turn. */
static const char *read_in(const char *bytes, size_t len, size_t step,
                           const struct resp_limits *limits)
{
    static char said[4096];
    struct resp_request r = {0};
    struct buffer in = BUFFER_EMPTY;
    size_t said_len = 0;
    said[0] = '\0';
    for (size_t from = 0; from < len || in.len > 0;) {
        const char *error = NULL;
        size_t used = 0, part = len - from < step ? len - from : step;
        buffer_append(&in, bytes + from, part);
        from += part;
        char *data = malloc(in.len); /* of exactly that size, and elsewhere each time */
        memcpy(data, in.data, in.len);
        enum resp_result result = resp_request_read(&r, limits, data, in.len, &used, &error);
        for (size_t i = 0; result == RESP_REQUEST_WHOLE && i < r.count; i++)
            said_len += (size_t)snprintf(said + said_len, sizeof said - said_len, "%s%.*s",
                                         i > 0 ? "|" : "", (int)r.words[i].len, r.words[i].ptr);
        said_len += (size_t)snprintf(said + said_len, sizeof said - said_len, "%s",
                                     result == RESP_REQUEST_WHOLE ? ";"
                                     : result == RESP_REQUEST_BAD ? error
                                                                  : "");
        free(data);
        if (result == RESP_REQUEST_BAD)
            break;
        if (result == RESP_REQUEST_WHOLE)
            buffer_consume(&in, used);
        if (result == RESP_REQUEST_MORE && from == len) {
            snprintf(said + said_len, sizeof said - said_len, "MORE");
            break;
        }
    }
    buffer_fini(&in);
    resp_request_fini(&r);
    return said;
}

/* Each allocation fails in turn: that is said as what it is, no error of the protocol's, and read again it is whole. */
static void expect_short(const char *bytes, const char *said)
{
    char copy[256];
    struct resp_request r = {0};
    enum resp_result result = RESP_REQUEST_SHORT;
    for (long n = 1; result != RESP_REQUEST_WHOLE; n++) {
        size_t used = 0;
        const char *error = NULL;
        ck_assert_int_lt(n, 10);
        snprintf(copy, sizeof copy, "%s", bytes);
        resp_request_fini(&r);
        r = (struct resp_request){0};
        short_memory_fail(n, false);
        result = resp_request_read(&r, &ample, copy, strlen(bytes), &used, &error);
        bool failed = short_memory_after < 0;
        short_memory_fail(0, false);
        ck_assert_int_eq(result, failed ? RESP_REQUEST_SHORT : RESP_REQUEST_WHOLE);
        ck_assert_ptr_null(error);
    }
    ck_assert_str_eq(read_in(bytes, strlen(bytes), SIZE_MAX, &ample), said);
    resp_request_fini(&r);
}

static void expect(const char *bytes, const char *said)
{
    ck_assert_str_eq(read_in(bytes, strlen(bytes), SIZE_MAX, &ample), said);
    for (size_t step = 1; step < 9; step++)
        ck_assert_str_eq(read_in(bytes, strlen(bytes), step, &ample), said);
}

START_TEST(memory)
{
    expect_short("*9\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n"
                 "$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n",
                 "a|b|c|d|e|f|g|h|i;");
    expect_short("a b c d e f g h i\r\n", "a|b|c|d|e|f|g|h|i;");
}
END_TEST

START_TEST(arrays)
{
    expect("*1\r\n$4\r\nPING\r\n", "PING;");
    expect("*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n", "GET|;x;");
    expect("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n", "GET|a\r\nb;");
    expect("*0\r\n*-1\r\n*-7\r\n*1\r\n$1\r\ny\r\n", ";;;y;");
    expect("*2\r\n$3\r\nGET\r\n$4\r\na", "MORE");
}
END_TEST

START_TEST(lines)
{
    expect("PING\r\n", "PING;");
    expect("  set  a\t\"b c\\x41\\n\\\"\" 'd\\'e'\n\r\n", "set|a|b cA\n\"|d'e;;");
    expect("a\"b\"\r\n", "ab;");
    expect("GET \"\"\r\n", "GET|;");
    expect("GET a", "MORE");
    expect("GET \"a\r\n", "Protocol error: unbalanced quotes in request");
    expect("GET \"a\"b\r\n", "Protocol error: unbalanced quotes in request");
    expect("GET 'a\\\r\n", "Protocol error: unbalanced quotes in request");
}
END_TEST

START_TEST(what_is_none)
{
    expect("*x\r\n", "Protocol error: invalid multibulk length");
    expect("*\r\n", "Protocol error: invalid multibulk length");
    expect("*01\r\n", "Protocol error: invalid multibulk length");
    expect("*2147483648\r\n", "Protocol error: invalid multibulk length");
    expect("*99999999999999999999\r\n", "Protocol error: invalid multibulk length");
    expect("*1\r\n!4\r\n", "Protocol error: expected '$', got '!'");
    expect("*1\r\n$-1\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$ 4\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length");
}
END_TEST

/* Behind a NUL no line ends, as redis-server has it; and it is too long like any other. */
START_TEST(lines_with_a_nul)
{
    static char long_one[RESP_REQUEST_LINE_MAX + 4] = "\0\n";
    ck_assert_str_eq(read_in("\0\n", 2, 2, &ample), "MORE");
    ck_assert_str_eq(read_in("PING\0x\r\nPING\r\n", 14, 3, &ample), "MORE");
    ck_assert_str_eq(read_in("*1\r\n\0\r\n", 7, 7, &ample), "MORE");
    ck_assert_str_eq(read_in("*\0\r\n", 4, 4, &ample), "MORE");
    ck_assert_str_eq(read_in("*1\r\n$2\r\n\0\r\r\n", 12, 1, &ample), ";");
    ck_assert_str_eq(read_in(long_one, sizeof long_one, 4096, &ample),
                     "Protocol error: too big inline request");
}
END_TEST

START_TEST(limits)
{
    static const struct resp_limits few = {11, 20000, true}, stranger = {100, 20000, false};
    const char *eleven = "*11\r\n", *large = "*1\r\n$16385\r\n", *twelve = "*12\r\n";
    static char line[RESP_REQUEST_LINE_MAX + 2];
    ck_assert_str_eq(read_in(eleven, 5, 5, &few), "MORE");
    ck_assert_str_eq(read_in(twelve, 5, 5, &few), "Protocol error: invalid multibulk length");
    ck_assert_str_eq(read_in(eleven, 5, 5, &stranger),
                     "Protocol error: unauthenticated multibulk length");
    ck_assert_str_eq(read_in(large, strlen(large), 99, &few), "MORE");
    ck_assert_str_eq(read_in(large, strlen(large), 99, &stranger),
                     "Protocol error: unauthenticated bulk length");
    memset(line, 'a', sizeof line);
    ck_assert_str_eq(read_in(line, sizeof line, 4096, &ample),
                     "Protocol error: too big inline request");
    line[0] = '*';
    ck_assert_str_eq(read_in(line, sizeof line, 4096, &ample),
                     "Protocol error: too big mbulk count string");
}
END_TEST

/* One value in many parts is not looked at again from its beginning. */
START_TEST(large_values)
{
    size_t size = 8u << 20;
    struct buffer in = BUFFER_EMPTY;
    buffer_printf(&in, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", size);
    size_t head = in.len;
    char *value = buffer_reserve(&in, size + 2);
    memset(value, 'v', size);
    memcpy(value + size, "\r\n", 2);
    in.len += size + 2;
    struct resp_request r = {0};
    const char *error = NULL;
    size_t used = 0;
    for (size_t len = head; len < in.len; len++) /* 8 M calls: quadratic work would not end */
        ck_assert_int_eq(resp_request_read(&r, &ample, in.data, len, &used, &error),
                         RESP_REQUEST_MORE);
    ck_assert_int_eq(resp_request_read(&r, &ample, in.data, in.len, &used, &error),
                     RESP_REQUEST_WHOLE);
    ck_assert_uint_eq(used, in.len);
    ck_assert(r.count == 3 && r.words[2].len == size && r.words[2].ptr == in.data + head);
    resp_request_fini(&r);
    buffer_fini(&in);
}
END_TEST

SUITE_MAIN("resp_request", arrays, lines, what_is_none, lines_with_a_nul, limits, large_values,
           memory)
