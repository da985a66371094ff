/* test_redis_reader.c: what a reply may claim to be (common/redis/redis_reader.h). */
#include "common/redis/redis_reader.h"
#include "test/unit/suite.h"

static redisReader *reader;

static void set_up(void)
{
    reader = redis_reader_new(80); /* ten pointers */
    ck_assert_ptr_nonnull(reader);
}

static void tear_down(void)
{
    redisReaderFree(reader);
}

static redisReply *read_reply(const char *text)
{
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    return redisReaderGetReply(reader, &reply) == REDIS_OK ? reply : NULL;
}

START_TEST(arrays_up_to_the_bound)
{
    redisReply *reply =
        read_reply("*10\r\n:1\r\n:2\r\n*0\r\n*-1\r\n$-1\r\n+a\r\n:7\r\n:8\r\n:9\r\n$1\r\nx\r\n");
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->elements, 10);
    ck_assert_int_eq(reply->element[9]->type, REDIS_REPLY_STRING);
    freeReplyObject(reply);
}
END_TEST

START_TEST(a_larger_array_is_refused)
{
    ck_assert_ptr_null(read_reply("*11\r\n"));
    ck_assert_int_eq(reader->err, REDIS_ERR_OOM);
}
END_TEST

/* Found by fuzz_resp: 4.4 GB for twelve bytes. */
START_TEST(a_nested_one_too)
{
    ck_assert_ptr_null(read_reply("*2\r\n*555555555\r\n"));
    ck_assert_int_eq(reader->err, REDIS_ERR_OOM);
}
END_TEST

SUITE_MAIN_WITH("redis_reader", set_up, tear_down, arrays_up_to_the_bound,
                a_larger_array_is_refused, a_nested_one_too)
