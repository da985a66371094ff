/* test_command_transaction.c: MULTI to EXEC, and what is watched. */
#include "test/unit/cache/command_fixture.h"

#include "workers/cache/command/command_transaction.h"

static const char *say_other(const char *line)
{
    return say_as(&other, line);
}

START_TEST(one_after_the_other)
{
    expect("MULTI", "+OK");
    expect("SET a 1", "+QUEUED");
    expect("INCR a", "+QUEUED");
    expect("APPEND a x", "+QUEUED");
    expect("INCR a", "+QUEUED");
    expect("GET a", "+QUEUED");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_int_gt(node.db->charged, 0);
    expect("EXEC", "*5 +OK :2 :2 -ERR value is not an integer or out of range $2 2x");
    ck_assert_int_eq(node.db->charged, 0);
    ck_assert(!client.multi);
    expect("MULTI", "+OK");
    expect("EXEC", "*0");
}
END_TEST

START_TEST(discarded)
{
    expect("DISCARD", "-ERR DISCARD without MULTI");
    expect("EXEC", "-ERR EXEC without MULTI");
    say("MULTI");
    expect("MULTI", "-ERR MULTI calls can not be nested");
    expect("WATCH a", "-ERR WATCH inside MULTI is not allowed");
    expect("SET a 1", "+QUEUED");
    expect("DISCARD", "+OK");
    expect("EXISTS a", ":0");
    expect("EXEC", "-ERR EXEC without MULTI");
}
END_TEST

START_TEST(refused_commands)
{
    say("MULTI");
    say("SET a 1");
    client.multi_bad = true; /* the dispatcher's, for what it refused */
    expect("SET b 1", "+QUEUED");
    ck_assert_uint_eq(client.queued->count, 1); /* what EXEC will refuse is not kept */
    expect("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    expect("EXISTS a b", ":0");
    ck_assert(!client.multi && !client.multi_bad);
}
END_TEST

START_TEST(flags_of_what_is_queued)
{
    say("MULTI");
    ck_assert_uint_eq(command_queued_flags(&client), 0);
    say("GET a");
    ck_assert_uint_eq(command_queued_flags(&client) & (COMMAND_WRITE | COMMAND_DENYOOM), 0);
    say("DEL a");
    ck_assert_uint_eq(command_queued_flags(&client) & (COMMAND_WRITE | COMMAND_DENYOOM),
                      COMMAND_WRITE);
    say("SET a 1");
    ck_assert_uint_ne(command_queued_flags(&client) & COMMAND_DENYOOM, 0);
}
END_TEST

START_TEST(watched)
{
    static const char *const touching[] = {"SET w 2",     "DEL w",   "EXPIRE w 5", "EXPIRE w 0",
                                           "APPEND w ''", "FLUSHDB", "INCR w",     "GETDEL w"};
    static const char *const not_touching[] = {"GET w",   "GETEX w",    "PERSIST w",
                                               "TOUCH w", "SET w 2 NX", "SET x 1"};
    for (size_t i = 0; i < sizeof touching / sizeof touching[0]; i++) {
        say("SET w 1");
        expect("WATCH w x", "+OK");
        say_other(touching[i]);
        say("MULTI");
        expect("SET y 1", "+QUEUED");
        expect("EXEC", "*-1");
        expect("EXISTS y", ":0");
    }
    for (size_t i = 0; i < sizeof not_touching / sizeof not_touching[0]; i++) {
        say("SET w 1");
        expect("WATCH w w", "+OK");
        say_other(not_touching[i]);
        say("MULTI");
        expect("EXEC", "*0");
        ck_assert_ptr_null(client.watches);
    }
}
END_TEST

START_TEST(watched_what_is_not_there)
{
    expect("WATCH w", "+OK");
    say_other("DEL w");
    say("MULTI");
    expect("EXEC", "*0");
    expect("WATCH w", "+OK");
    say_other("SET w 1");
    say("MULTI");
    client.reply.version = 3;
    expect("EXEC", "_");
}
END_TEST

START_TEST(watched_and_ended)
{
    say("SET w 1 PX 5");
    expect("WATCH w", "+OK");
    cache_db_begin(node.db, 1000005 * INT64_C(1000), 0);
    say("MULTI");
    expect("EXEC", "*-1");
    say("SET w 1 PXAT 5"); /* over when it is watched */
    expect("WATCH w", "+OK");
    say_other("GET w");
    say("MULTI");
    expect("EXEC", "*0");
}
END_TEST

START_TEST(unwatched)
{
    say("WATCH w");
    say_other("SET w 1");
    expect("WATCH v", "+OK");
    expect("UNWATCH", "+OK");
    say("MULTI");
    expect("EXEC", "*0");
    say("WATCH w");
    say_other("SET w 1");
    say("MULTI");
    expect("UNWATCH", "+QUEUED");
    expect("DISCARD", "+OK");
    say("MULTI");
    expect("EXEC", "*0");
}
END_TEST

START_TEST(no_memory_to_watch)
{
    node.db->fault = CACHE_FAULT_MEMORY;
    expect("WATCH w", "-OOM the system has no more memory for this node");
    ck_assert_ptr_null(client.watches);
}
END_TEST

SUITE_MAIN_WITH("command_transaction", set_up, tear_down, one_after_the_other, discarded,
                refused_commands, flags_of_what_is_queued, watched, watched_what_is_not_there,
                watched_and_ended, unwatched, no_memory_to_watch)
