/* test_send_reply.c: replies as msgpack, as hiredis reads them from the wire; and which commands are refused. */
#include "common/unpack.h"
#include "workers/redis/send_refuse.h"
#include "workers/redis/send_reply.h"
#include "test/unit/suite.h"

#include <check.h>
#include <errno.h>

static redisReply *parse(const char *wire, size_t len)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(reader, wire, len), REDIS_OK);
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}

START_TEST(test_every_type)
{
    static const char wire[] =
        "*7\r\n+OK\r\n-ERR "
        "no\r\n:-5\r\n$4\r\na\0\r\n\r\n$-1\r\n*0\r\n*1\r\n:9223372036854775807\r\n";
    redisReply *reply = parse(wire, sizeof wire - 1);
    struct buffer out = BUFFER_EMPTY;
    char why[200] = "";
    ck_assert_int_eq(send_reply_pack(&out, reply, 1000, why, sizeof why), 0);
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_uint_eq(unpack_array(&u), 7);
    ck_assert(slice_is(unpack_str(&u), "OK"));
    ck_assert(slice_is(unpack_str(&u), "ERR no"));
    ck_assert_int_eq((int)unpack_i64(&u), -5);
    ck_assert(slice_equal(unpack_bin(&u), slice_make("a\0\r\n", 4)));
    unpack_nil(&u);
    ck_assert_uint_eq(unpack_array(&u), 0);
    ck_assert_uint_eq(unpack_array(&u), 1);
    ck_assert(unpack_i64(&u) == INT64_MAX);
    ck_assert(unpack_end(&u));
    buffer_fini(&out);
    freeReplyObject(reply);
}
END_TEST

START_TEST(test_too_large_names_both_sizes)
{
    redisReply *reply = parse("$5\r\nhello\r\n", 11);
    struct buffer out = BUFFER_EMPTY;
    char why[200] = "";
    ck_assert_int_eq(send_reply_pack(&out, reply, 13, why, sizeof why), -EMSGSIZE);
    ck_assert_msg(strstr(why, "14 bytes") && strstr(why, "13"), "%s", why);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_int_eq(send_reply_pack(&out, reply, 14, why, sizeof why), 0);
    buffer_fini(&out);
    freeReplyObject(reply);
}
END_TEST

/* `depth` arrays around a nil, by hand: hiredis 0.14 would not read it. */
static int pack_nested(int depth, char *why, size_t why_size)
{
    redisReply replies[SEND_REPLY_DEPTH_MAX + 2] = {{.type = REDIS_REPLY_NIL}};
    redisReply *inner[SEND_REPLY_DEPTH_MAX + 2];
    for (int i = 1; i <= depth; i++) {
        inner[i] = &replies[i - 1];
        replies[i].type = REDIS_REPLY_ARRAY;
        replies[i].elements = 1;
        replies[i].element = &inner[i];
    }
    struct buffer out = BUFFER_EMPTY;
    int rc = send_reply_pack(&out, &replies[depth], 1000, why, why_size);
    if (rc == 0) { /* what was packed can be read by those who get it */
        struct unpack u = unpack_start(buffer_slice(&out));
        unpack_raw(&u);
        ck_assert(unpack_end(&u));
    }
    buffer_fini(&out);
    return rc;
}

START_TEST(test_depth_and_strange_types)
{
    char why[200] = "";
    ck_assert_int_eq(pack_nested(SEND_REPLY_DEPTH_MAX, why, sizeof why), 0);
    ck_assert_int_eq(pack_nested(SEND_REPLY_DEPTH_MAX + 1, why, sizeof why), -ELOOP);
    ck_assert_ptr_nonnull(strstr(why, "nested"));
    redisReply map = {.type = 99};
    struct buffer out = BUFFER_EMPTY;
    ck_assert_int_eq(send_reply_pack(&out, &map, 1000, why, sizeof why), -EPROTO);
    buffer_fini(&out);
}
END_TEST

struct line {
    const char *words[7];
    bool refused;
};

static const struct line lines[] = {
    {{"GET", "subscribe"}, false},
    {{"subscribe", "a"}, true},
    {{"Multi"}, true},
    {{"BLPOP", "a", "0"}, true},
    {{"SELECT", "1"}, true},
    {{"CLIENT", "reply", "OFF"}, true},
    {{"CLIENT", "LIST"}, false},
    {{"CLIENT", "SETNAME", "REPLY"}, false},
    {{"CLIENT"}, false},
    {{"COMMAND", "docs"}, true},
    {{"COMMAND", "COUNT"}, false},
    {{"XREAD", "COUNT", "1", "block", "0", "STREAMS", "a"}, true},
    {{"XREAD", "STREAMS", "block", "0"}, false},
    {{"XREADGROUP", "GROUP", "block", "c", "STREAMS", "a", ">"}, false},
    {{"XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS"}, true},
    {{"SHUTDOWN"}, false},
    {{""}, false},
};

START_TEST(test_refusals)
{
    struct slice argv[7];
    size_t argc = 0;
    while (argc < 7 && lines[_i].words[argc] != NULL) {
        argv[argc] = slice_of(lines[_i].words[argc]);
        argc++;
    }
    const char *reason = send_refuse(argc, argv);
    ck_assert_msg((reason != NULL) == lines[_i].refused, "%s: %s", lines[_i].words[0], reason);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("send_reply");
    TCase *tc = tcase_create("send");
    tcase_add_test(tc, test_every_type);
    tcase_add_test(tc, test_too_large_names_both_sizes);
    tcase_add_test(tc, test_depth_and_strange_types);
    tcase_add_loop_test(tc, test_refusals, 0, sizeof lines / sizeof lines[0]);
    suite_add_tcase(s, tc);
    return suite_end(s);
}
