/* test_command_string.c: values, and what a write answers that was not done. Redis is asked by test_differential.py. */
#include "test/unit/cache/command_fixture.h"

START_TEST(set_and_get)
{
    expect("GET a", "$-1");
    expect("SET a x", "+OK");
    expect("GET a", "$1 x");
    expect("MGET a b a", "*3 $1 x $-1 $1 x");
    expect("STRLEN a", ":1");
    expect("MSET a 1 b 2 a 3", "+OK");
    expect("MGET a b", "*2 $1 3 $1 2");
    expect("MSETNX c 1 a 1", ":0");
    expect("MSETNX c 1 d 1", ":1");
    expect("MSET a", "-ERR wrong number of arguments for 'mset' command");
    expect("MSETNX a b c", "-ERR wrong number of arguments for 'msetnx' command");
    client.reply.version = 3;
    expect("GET nothing", "_");
}
END_TEST

START_TEST(set_with_options)
{
    expect("SET a 1 XX", "$-1");
    expect("SET a 1 NX GET", "$-1");
    expect("SET a 2 NX GET", "$1 1");
    expect("SET a 2 XX EX 10", "+OK");
    expect("PTTL a", ":10000");
    expect("SET a 3 KEEPTTL GET", "$1 2");
    expect("PTTL a", ":10000");
    expect("SET a 4", "+OK");
    expect("PTTL a", ":-1");
    expect("SET a 5 EX 10 EX 20", "+OK");
    expect("PEXPIRETIME a", ":1020000");
    expect("SET a 5 EXAT 2000 GET", "$1 5");
    expect("PEXPIRETIME a", ":2000000");
    expect("SET a 6 PXAT 1", "+OK");
    expect("GET a", "$-1");
    expect("SET a 6 EX 10 PX 5", "-ERR syntax error");
    expect("SET a 6 NX XX", "-ERR syntax error");
    expect("SET a 6 EX", "-ERR syntax error");
    expect("SET a 6 PERSIST", "-ERR syntax error");
    expect("SET a 6 EX 0", "-ERR invalid expire time in 'set' command");
    expect("SET a 6 EX 9223372036854775807", "-ERR invalid expire time in 'set' command");
    expect("SET a 6 PX x NX", "-ERR value is not an integer or out of range");
    ck_assert_str_eq(
        say_words(&client,
                  (struct slice[]){slice_of("SET"), slice_of("b"), slice_of("v"), {"nx\0y", 4}}, 4),
        "+OK"); /* as a C string it is nx */
}
END_TEST

START_TEST(the_last_moment_is_a_time)
{
    expect("SET a 1 PXAT 9223372036854775807", "+OK");
    expect("PEXPIRETIME a", ":9223372036854775806");
    expect("PERSIST a", ":1");
    expect("PEXPIREAT a 9223372036854775807", ":1");
    expect("TTL a", ":9223372036853776");
}
END_TEST

START_TEST(getex)
{
    expect("GETEX a EX 0", "$-1");
    expect("SET a 1", "+OK");
    expect("GETEX a", "$1 1");
    expect("GETEX a EX 0", "-ERR invalid expire time in 'getex' command");
    expect("GETEX a PX 500", "$1 1");
    expect("PTTL a", ":500");
    expect("GETEX a PERSIST", "$1 1");
    expect("PTTL a", ":-1");
    expect("GETEX a KEEPTTL", "-ERR syntax error");
    expect("GETEX a EX 1 PERSIST", "-ERR syntax error");
    expect("GETEX a PXAT 1", "$1 1");
    expect("EXISTS a", ":0");
}
END_TEST

START_TEST(ranges)
{
    expect("SET a hello", "+OK");
    expect("GETRANGE a 1 3", "$3 ell");
    expect("SUBSTR a -3 -1", "$3 llo");
    expect("GETRANGE a 0 9223372036854775807", "$5 hello");
    expect("GETRANGE a -9223372036854775808 0", "$1 h");
    expect("GETRANGE a -9223372036854775808 -9223372036854775808", "$1 h");
    expect("GETRANGE a 3 1", "$0 ");
    expect("GETRANGE a -1 -3", "$0 ");
    expect("GETRANGE none 0 -1", "$0 ");
    expect("GETRANGE none x 1", "-ERR value is not an integer or out of range");
}
END_TEST

START_TEST(numbers)
{
    expect("INCR n", ":1");
    expect("EXPIRE n 100", ":1");
    expect("INCRBY n 41", ":42");
    expect("PTTL n", ":100000");
    expect("DECRBY n 43", ":-1");
    expect("DECRBY n -9223372036854775808", "-ERR decrement would overflow");
    expect("DECRBY n 9223372036854775807", ":-9223372036854775808");
    expect("DECR n", "-ERR increment or decrement would overflow");
    expect("SET n 9223372036854775807", "+OK");
    expect("INCR n", "-ERR increment or decrement would overflow");
    expect("SET n 01", "+OK");
    expect("INCR n", "-ERR value is not an integer or out of range");
    expect("GET n", "$2 01");
}
END_TEST

START_TEST(append)
{
    expect("APPEND a ab", ":2");
    expect("EXPIRE a 100", ":1");
    expect("APPEND a ''", ":2");
    expect("APPEND a cd", ":4");
    expect("GET a", "$4 abcd");
    expect("PTTL a", ":100000");
}
END_TEST

START_TEST(old_values)
{
    expect("GETSET a 1", "$-1");
    expect("SET a 2 EX 100", "+OK");
    expect("GETSET a 3", "$1 2");
    expect("PTTL a", ":-1");
    expect("GETDEL a", "$1 3");
    expect("GETDEL a", "$-1");
}
END_TEST

/* One error and nothing else, and everything is as it was, whatever the reason. */
START_TEST(faults)
{
    static const char *const writes[] = {
        "SET n 1",     "SET n 1 GET",       "SET n 1 XX",      "SETEX n 10 1", "PSETEX n 10 1",
        "SETNX new 1", "GETSET n 1",        "GETDEL n",        "GETEX n EX 5", "GETEX n PXAT 1",
        "APPEND n x",  "APPEND new x",      "INCR n",          "INCR new",     "DECRBY n 2",
        "MSET n 1",    "MSETNX new 1 x 2",  "DEL n",           "UNLINK n",     "EXPIRE n 5",
        "EXPIRE n 0",  "PEXPIREAT n 99999", "GETEX n PERSIST", "PERSIST n",    "FLUSHALL",
    };
    static const char *const errors[] = {
        [CACHE_FAULT_OOM] = "-OOM command not allowed when used memory > 'maxmemory'.",
        [CACHE_FAULT_MEMORY] = "-OOM the system has no more memory for this node",
        [CACHE_FAULT_LOG] = "-MISCONF no log",
        [CACHE_FAULT_LARGE] = "-ERR a key and its value may have at most 1000 bytes (object_max)",
    };
    for (int fault = CACHE_FAULT_OOM; fault <= CACHE_FAULT_LARGE; fault++)
        for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
            node.db->fault = CACHE_OK;
            expect("DEL new x", ":0");
            expect("SET n 5 EX 100", "+OK");
            node.db->fault = (enum cache_fault)fault;
            expect(writes[i], errors[fault]);
            expect("MGET n new x", "*3 $1 5 $-1 $-1");
            expect("TTL n", ":100");
        }
}
END_TEST

/* All of MSET or nothing: what is too large is known before. */
START_TEST(too_large)
{
    char line[2048] = "MSET a 1 b ";
    memset(line + strlen(line), 'x', 1000);
    expect(line, "-ERR a key and its value may have at most 1000 bytes (object_max)");
    expect("EXISTS a b", ":0");
}
END_TEST

SUITE_MAIN_WITH("command_string", set_up, tear_down, set_and_get, set_with_options,
                the_last_moment_is_a_time, getex, ranges, numbers, append, old_values, faults,
                too_large)
