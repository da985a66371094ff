/* test_cache_peer_reply.c: what another node says comes out as it said it. */
#include "test/unit/short_memory.h"

#include "common/redis/redis_reader.h"
#include "test/unit/suite.h"
#include "workers/cache/peer/cache_peer_reply.h"

#define REPLY_MAX (64u * 1024 * 1024)

static redisReader *reader;
static struct resp_reply out;

static void set_up(void)
{
    reader = redis_reader_new(REPLY_MAX);
    out = (struct resp_reply){.version = 2};
}

static void tear_down(void)
{
    redisReaderFree(reader);
    buffer_fini(&out.out);
}

static redisReply *read_reply(const char *bytes, size_t len)
{
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(reader, bytes, len), REDIS_OK);
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    return reply;
}

static void ck_turns_to(const char *bytes, size_t len, const char *wanted, size_t wanted_len)
{
    redisReply *reply = read_reply(bytes, len);
    buffer_clear(&out.out);
    ck_assert(cache_peer_reply(&out, reply));
    ck_assert_msg(slice_equal(buffer_slice(&out.out), slice_make(wanted, wanted_len)), "%.*s: %.*s",
                  (int)len, bytes, (int)out.out.len, out.out.data);
    freeReplyObject(reply);
}

#define SAME(text) ck_turns_to(text, sizeof(text) - 1, text, sizeof(text) - 1)

START_TEST(test_as_it_was_said)
{
    SAME("+OK\r\n");
    SAME("+\r\n");
    SAME("-ERR unknown command 'x', with args beginning with: \r\n");
    SAME("-PLATOONMOVED 7 cell is not ours\r\n");
    SAME("-TRYAGAIN  two blanks \r\n");
    SAME("-%s%n\r\n");
    SAME(":0\r\n");
    SAME(":-1\r\n");
    SAME(":9223372036854775807\r\n");
    SAME(":-9223372036854775808\r\n");
    SAME("$-1\r\n");
    SAME("$0\r\n\r\n");
    SAME("$4\r\n\r\n\0\xff\r\n");
    SAME("*0\r\n");
    SAME("*3\r\n$1\r\na\r\n$-1\r\n:7\r\n");
    SAME("*2\r\n*2\r\n+OK\r\n-ERR no\r\n*1\r\n*0\r\n");
}
END_TEST

START_TEST(test_both_nils_are_one)
{
    static const char nil[] = "*-1\r\n", bulk[] = "$-1\r\n";
    ck_turns_to(nil, sizeof nil - 1, bulk, sizeof bulk - 1);
}
END_TEST

START_TEST(test_large_and_many)
{
    struct buffer big = BUFFER_EMPTY;
    buffer_printf(&big, "*20000\r\n");
    for (int i = 0; i < 20000; i++)
        buffer_printf(&big, "$%d\r\n%d\r\n",
                      i < 10      ? 1
                      : i < 100   ? 2
                      : i < 1000  ? 3
                      : i < 10000 ? 4
                                  : 5,
                      i);
    ck_turns_to(big.data, big.len, big.data, big.len);
    buffer_fini(&big);
}
END_TEST

START_TEST(test_what_resp2_does_not_have)
{
    redisReply strange = {.type = 99};
    redisReply *elements[] = {&strange};
    redisReply array = {.type = REDIS_REPLY_ARRAY, .elements = 1, .element = elements};
    ck_assert(!cache_peer_reply(&out, &strange));
    ck_assert(!cache_peer_reply(&out, &array));
    ck_assert(buffer_ok(&out.out));
}
END_TEST

START_TEST(test_memory_short)
{
    static const char *const all[] = {"+OK\r\n",     "-ERR no\r\n", ":1\r\n",
                                      "$1\r\na\r\n", "$-1\r\n",     "*1\r\n+OK\r\n"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        redisReply *reply = read_reply(all[i], strlen(all[i]));
        buffer_fini(&out.out);
        short_memory_fail(1, true);
        bool done = cache_peer_reply(&out, reply);
        short_memory_fail(0, false);
        ck_assert(!done && !buffer_ok(&out.out));
        freeReplyObject(reply);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_peer_reply", set_up, tear_down, test_as_it_was_said, test_both_nils_are_one,
                test_large_and_many, test_what_resp2_does_not_have, test_memory_short)
