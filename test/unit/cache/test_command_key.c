/* test_command_key.c: whether objects are there, when they end, and all of them at once. */
#include "test/unit/cache/command_fixture.h"

static void later(int64_t ms)
{
    cache_db_begin(node.db, (cache_db_now_ms(node.db) + ms) * 1000, 0);
}

START_TEST(there_or_not)
{
    expect("MSET a 1 b 2", "+OK");
    expect("EXISTS a a c", ":2");
    expect("TYPE a", "+string");
    ck_assert_uint_eq(node.db->stats.hits + node.db->stats.misses, 0); /* no use, no hit */
    expect("TOUCH a b c", ":2");
    ck_assert_uint_eq(node.db->stats.hits, 2);
    expect("DEL a c a", ":1");
    expect("UNLINK a b", ":1");
    expect("TYPE a", "+none");
}
END_TEST

START_TEST(expire)
{
    expect("EXPIRE a 10", ":0");
    expect("SET a 1", "+OK");
    expect("TTL a", ":-1");
    expect("EXPIRE a 10", ":1");
    expect("TTL a", ":10");
    expect("PTTL a", ":10000");
    expect("EXPIRETIME a", ":1010");
    expect("PEXPIRETIME a", ":1010000");
    later(8501);
    expect("TTL a", ":1"); /* rounded, as Redis does */
    later(1499);
    expect("GET a", "$-1");
    expect("TTL a", ":-2");
    expect("SET a 1", "+OK");
    expect("PEXPIREAT a 5", ":1");
    expect("EXISTS a", ":0");
    expect("SET a 1", "+OK");
    expect("EXPIRE a -9223372036854775", ":1");
    expect("EXISTS a", ":0");
    expect("PERSIST a", ":0");
    expect("SET a 1 PX 5", "+OK");
    expect("PERSIST a", ":1");
    expect("PERSIST a", ":0");
    expect("TTL a", ":-1");
}
END_TEST

START_TEST(expire_if)
{
    expect("SET a 1", "+OK");
    expect("EXPIRE a 10 XX", ":0");
    expect("EXPIRE a 10 GT", ":0"); /* never is later than any time */
    expect("EXPIRE a 10 LT", ":1");
    expect("EXPIRE a 20 NX", ":0");
    expect("EXPIRE a 10 GT", ":0");
    expect("EXPIRE a 10 LT", ":0");
    expect("EXPIRE a 11 XX GT", ":1");
    expect("EXPIRE a 5 lt", ":1");
    expect("PTTL a", ":5000");
    expect("EXPIRE a x NX XX",
           "-ERR NX and XX, GT or LT options at the same time are not compatible");
    expect("EXPIRE a x GT LT", "-ERR GT and LT options at the same time are not compatible");
    expect("EXPIRE a x FOO", "-ERR Unsupported option FOO");
    expect("EXPIRE a x", "-ERR value is not an integer or out of range");
    expect("EXPIRE a 9223372036854775", "-ERR invalid expire time in 'expire' command");
    expect("PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command");
    expect("EXPIREAT a 9223372036854776", "-ERR invalid expire time in 'expireat' command");
    expect("EXPIREAT a -9223372036854776", "-ERR invalid expire time in 'expireat' command");
}
END_TEST

START_TEST(flush)
{
    char line[64];
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "SET key:%d v", i);
        say(line);
    }
    expect("FLUSHDB x", "-ERR syntax error");
    expect("FLUSHALL SYNC ASYNC", "-ERR syntax error");
    ck_assert_uint_eq(cache_db_count(node.db), 500);
    expect("FLUSHALL async", "+OK");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    say("SET a 1");
    expect("FLUSHDB", "+OK");
    expect("EXISTS a", ":0");
}
END_TEST

/* With a store they are not all here, and not only here. */
START_TEST(flush_with_a_store)
{
    say("SET a 1");
    node.options.stored = true;
    expect("FLUSHDB x", "-ERR syntax error");
    ck_assert_ptr_nonnull(strstr(say("FLUSHDB"), "-ERR this cache has a store"));
    ck_assert_ptr_nonnull(strstr(say("FLUSHALL SYNC"), "-ERR this cache has a store"));
    expect("GET a", "$1 1");
    node.options.stored = false;
}
END_TEST

SUITE_MAIN_WITH("command_key", set_up, tear_down, there_or_not, expire, expire_if, flush,
                flush_with_a_store)
