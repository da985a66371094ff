/*
 * test_drain_ledger.c: reading replies of the ledger's scripts, whatever a server says (workers/drain/drain_ledger.h).
 */
#include "test/unit/suite.h"
#include "workers/drain/drain_ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What hiredis makes of bytes from a server; the caller frees it. */
static redisReply *reply_of(const char *bytes, size_t len)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(reader, bytes, len), REDIS_OK);
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}

#define REPLY(text) reply_of(text, sizeof(text) - 1)

START_TEST(elements_of_an_array)
{
    redisReply *r =
        REPLY("*7\r\n:5\r\n$2\r\n41\r\n$3\r\na\0b\r\n$-1\r\n*1\r\n:1\r\n+OK\r\n:-9\r\n");
    static const int64_t numbers[] = {5, 41, 0, 0, 0, 0, -9, 0};
    for (size_t i = 0; i < 8; i++)
        ck_assert_msg(drain_reply_int(r, i) == numbers[i], "element %zu", i);
    ck_assert(slice_is(drain_reply_text(r, 1), "41"));
    ck_assert(slice_equal(drain_reply_text(r, 2), slice_make("a\0b", 3)));
    ck_assert(slice_is(drain_reply_text(r, 5), "OK"));
    static const size_t none[] = {0, 3, 4, 6, 7, SIZE_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_uint_eq(drain_reply_text(r, none[i]).len, 0);
    freeReplyObject(r);
}
END_TEST

START_TEST(what_is_no_array)
{
    redisReply *replies[] = {REPLY(":5\r\n"), REPLY("$-1\r\n"), REPLY("-ERR no\r\n"),
                             REPLY("*-1\r\n"), REPLY("*0\r\n")};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        ck_assert_int_eq(drain_reply_int(replies[i], 0), 0);
        ck_assert_uint_eq(drain_reply_text(replies[i], 0).len, 0);
        freeReplyObject(replies[i]);
    }
}
END_TEST

START_TEST(errors_are_explained)
{
    char text[384];
    ck_assert(drain_ledger_explain(NULL, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, "the connection to Redis broke"));
    redisReply *oom = REPLY("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    drain_ledger_explain(oom, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "OOM"));
    ck_assert_ptr_null(strchr(text, '\n'));
    freeReplyObject(oom);
    redisReply *odd = REPLY(":5\r\n");
    ck_assert(!drain_ledger_explain(odd, text, sizeof text)); /* waiting cannot help */
    ck_assert_ptr_nonnull(strstr(text, "is it a Redis?"));
    freeReplyObject(odd);
}
END_TEST

/* Replies that come while it is closed may still look for more to do: get-hash did, and died of it. */
START_TEST(a_closed_ledger_takes_nothing)
{
    struct drain_ledger l = {0};
    ck_assert(!redis_conn_ready(l.conn));
    ck_assert_int_eq(drain_ledger_begin(&l, 1), 0);
    drain_ledger_add(&l, slice_of("PING"));
    ck_assert_int_eq(drain_ledger_command(&l, NULL, NULL), -ENOTCONN);
    ck_assert_int_eq(drain_ledger_send(&l, LEDGER_STATUS, NULL, NULL), -ENOTCONN);
    drain_ledger_close(&l);
}
END_TEST

/* Numbers stay where they are while a call is put together, and the next call may be longer. */
START_TEST(calls_are_put_together)
{
    struct drain_ledger l = {0};
    for (size_t max = 1; max < 200; max += 37) {
        ck_assert_int_eq(drain_ledger_begin(&l, max), 0);
        for (size_t i = 0; i < max; i++) {
            if (i % 2)
                drain_ledger_add(&l, slice_of("text"));
            else
                drain_ledger_add_u64(&l, UINT64_MAX - i);
        }
        ck_assert_uint_eq(l.count, max);
        for (size_t i = 0; i < max; i++) {
            char wanted[32];
            snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)(UINT64_MAX - i));
            ck_assert(slice_is(l.args[i], i % 2 ? "text" : wanted));
        }
    }
    ck_assert_int_lt(drain_ledger_send(&l, LEDGER_CLAIM, NULL, NULL), 0); /* not connected */
    ck_assert_int_lt(drain_ledger_command(&l, NULL, NULL), 0);
    drain_ledger_close(&l);
    drain_ledger_close(&l);
}
END_TEST

/* Which database it is, however it is written, and no secret: of what says nothing of it, the name is the old one. */
START_TEST(a_url_is_named)
{
    static const char *const names[][2] = {
        {"postgresql://platoon@db:5432/app", "postgresql://platoon@db:5432/app t"},
        {"postgresql:///app?sslmode=verify-full&passfile=/p&connect_timeout=3",
         "postgresql:///app t"},
        {"postgresql:///app?", "postgresql:///app t"},
        {"postgresql:///app?host", "postgresql:///app t"},
        {"postgresql:///app?host=", "postgresql:///app t"},
        {"postgresql:///app?host=a", "postgresql:///app?host=a t"},
        {"postgresql:///?dbname=one&host=a", "postgresql:///?host=a&dbname=one t"},
        {"postgresql:///?host=a&sslmode=require&dbname=one", "postgresql:///?host=a&dbname=one t"},
        {"postgresql:///?host=%2Fvar%2frun&port=5433&user=u&hostaddr=::1&service=s",
         "postgresql:///?host=/var/run&hostaddr=::1&port=5433&user=u&service=s t"},
        {"postgresql:///?%68ost=a", "postgresql:///?host=a t"},
        {"postgresql:///?host=a&host=b", "postgresql:///?host=b t"},
        {"postgresql:///?dbname=a%26host=b", "postgresql:///?dbname=a%26host=b t"},
        {"postgresql:///?dbname=a%20b%25%3f%c3%bc", "postgresql:///?dbname=a%20b%25%3F%C3%BC t"},
        {"postgresql:///?dbname=50%&host=%4", "postgresql:///?host=%254&dbname=50%25 t"},
        {"postgresql:///?myhost=a&hosts=b&password=geheim&sslpassword=geheim&x=host=b",
         "postgresql:/// t"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char store[PATH_MAX];
        ck_assert(drain_ledger_name_url(store, names[i][0], "t"));
        ck_assert_str_eq(store, names[i][1]);
    }
}
END_TEST

SUITE_MAIN("drain_ledger", a_url_is_named, elements_of_an_array, what_is_no_array,
           errors_are_explained, a_closed_ledger_takes_nothing, calls_are_put_together)
