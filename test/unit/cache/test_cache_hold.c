/*
 * test_cache_hold.c: clients whose commands wait for what the store has: order, looking ahead, transactions, time,
 * their end.
 */
#include "test/unit/cache/hold_fixture.h"
#include "test/unit/suite.h"

/* What the store has of keys of one letter, in this order: 1 of a, 2 of b and so on. */
static void have_each(const char *keys)
{
    for (; *keys != '\0'; keys++)
        fake_have((char[]){*keys, '\0'}, (char[]){(char)('1' + *keys - 'a'), '\0'}, 1);
}

START_TEST(a_cold_key)
{
    int fd = node_connect();
    hold_send_cold(fd, "GET k\r\nPING\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    fake_have("k", "value", 7);
    node_expect(fd, "", "$5\r\nvalue\r\n+PONG\r\n");
    node_expect(fd, "GET k\r\nSTRLEN k\r\nTTL k\r\n", "$5\r\nvalue\r\n:5\r\n:-1\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    close(fd);
}
END_TEST

/* Keys of all lengths, the empty one too: whatever else is looked for between. */
START_TEST(keys_of_any_length)
{
    char key[130] = "";
    struct buffer line = BUFFER_EMPTY;
    int fd = node_connect();
    for (int round = 0; round < 2; round++)
        for (size_t len = 0; len < sizeof key; len += len < 60 ? 6 : 1) {
            memset(key, 'k', len);
            key[len] = '\0';
            buffer_clear(&line);
            buffer_append_text(&line, round == 0 ? "*3\r\n$3\r\nSET\r\n" : "*2\r\n$3\r\nGET\r\n");
            buffer_printf(&line, "$%zu\r\n%s\r\n%s", len, key, round == 0 ? "$1\r\nx\r\n" : "");
            node_expect(fd, buffer_text(&line), round == 0 ? "+OK\r\n" : "$1\r\nx\r\n");
        }
    buffer_fini(&line);
    close(fd);
}
END_TEST

START_TEST(what_is_absent_is_known)
{
    int fd = node_connect();
    hold_send_cold(fd, "GET k\r\n");
    fake_absent("k", 3);
    node_expect(fd, "", "$-1\r\n");
    node_expect(fd, "GET k\r\nDEL k\r\nEXISTS k\r\nAPPEND k v\r\nGET k\r\n",
                "$-1\r\n:0\r\n:0\r\n:1\r\n$1\r\nv\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    close(fd);
}
END_TEST

/* All loads of a pipeline are begun at once; its replies come in its order, whatever the store answers first. */
static void pipeline_of(const char *before, const char *behind)
{
    struct buffer sent = BUFFER_EMPTY, came = BUFFER_EMPTY;
    char key[16];
    int fd = node_connect();
    for (int i = 0; i < 32; i++) {
        snprintf(key, sizeof key, "key%02d", i);
        buffer_printf(&sent, "%s%s%s\r\n", before, key, behind);
        buffer_printf(&came, "$5\r\n%s\r\n", key);
    }
    hold_send_cold(fd, buffer_text(&sent));
    ck_assert_uint_eq(fake.made[FAKE_GET], 32);
    for (int i = 31; i >= 0; i--) {
        snprintf(key, sizeof key, "key%02d", i);
        ck_assert_str_eq(node_read(fd), "");
        fake_have(key, key, 7);
    }
    node_expect(fd, "", buffer_text(&came));
    ck_assert_uint_eq(fake.made[FAKE_GET], 32);
    ck_assert_ptr_null(node.clients->in.data);
    buffer_fini(&sent);
    buffer_fini(&came);
    close(fd);
}

START_TEST(a_cold_pipeline)
{
    pipeline_of("*2\r\n$3\r\nGET\r\n$5\r\n", "");
}
END_TEST

START_TEST(a_cold_pipeline_of_lines)
{
    pipeline_of("GET \"", "\"");
}
END_TEST

/* What comes while its client is parked is read ahead too, in whatever parts. */
START_TEST(what_comes_later_is_read_ahead)
{
    static const char text[] = "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\nc\r\n";
    int fd = node_connect();
    hold_send_cold(fd, "GET a\r\n");
    for (size_t i = 0; i < sizeof text - 1; i++)
        node_send(fd, text + i, 1);
    node_turn(2);
    ck_assert_uint_eq(fake.made[FAKE_GET], 3);
    have_each("cba");
    node_expect(fd, "", "$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    close(fd);
}
END_TEST

/* Bounded, whoever sends how much; and all of it is loaded in the end. */
START_TEST(looking_ahead_is_bounded)
{
    struct buffer sent = BUFFER_EMPTY;
    int fd = node_connect();
    for (int i = 0; i < 400; i++)
        buffer_printf(&sent, "GET k%d\r\n", i);
    buffer_append_text(&sent, "PING\r\n");
    ck_assert_int_eq(send(fd, sent.data, sent.len, 0), (ssize_t)sent.len);
    node_turn(3);
    ck_assert_uint_eq(cache_loads_count(cache_park_loads(node.park)), 65);
    for (int i = 0; i < 400; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        fake_absent(key, 0);
        ck_assert_uint_le(cache_loads_count(cache_park_loads(node.park)), 65);
    }
    ck_assert_uint_eq(strlen(node_read(fd)), 400 * 5 + 7);
    buffer_fini(&sent);
    close(fd);
}
END_TEST

/* One command with very many keys: loaded some at a time. */
START_TEST(many_keys)
{
    int fd = node_connect();
    hold_send_keys(fd, "MGET", 500);
    ck_assert_uint_eq(cache_loads_count(cache_park_loads(node.park)), CACHE_PARK_AHEAD + 1);
    for (int i = 0; i < 500; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        fake_have(key, "v", 1);
    }
    const char *came = node_read(fd);
    ck_assert_int_eq(strncmp(came, "*500\r\n$1\r\nv\r\n", 13), 0);
    ck_assert_uint_eq(strlen(came), 6 + 500 * 7);
    ck_assert_uint_eq(fake.made[FAKE_GET], 500);
    close(fd);
}
END_TEST

START_TEST(who_needs_nothing_old_loads_nothing)
{
    int fd = node_connect();
    node_expect(fd,
                "SET a 1\r\nSETEX b 10 1\r\nPSETEX c 1000 1\r\nMSET d 1 e 1\r\nSET f 1 EX 10\r\n"
                "PLATOON.DUMP x\r\nSCAN 0 MATCH x\r\nKEYS x\r\nDBSIZE\r\n",
                "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n:0\r\n*2\r\n$1\r\n0\r\n*0\r\n*0\r\n:6\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    close(fd);
}
END_TEST

START_TEST(who_needs_something_old_loads_it)
{
    static const char *const commands[][2] = {{"SET", "v NX"},      {"SET", "v xx"},
                                              {"SET", "v GET"},     {"SET", "v EX 10 GET"},
                                              {"SET", "v KEEPTTL"}, {"SETNX", "v"},
                                              {"APPEND", "v"},      {"INCR", ""},
                                              {"DEL", ""},          {"UNLINK", ""},
                                              {"EXISTS", ""},       {"TYPE", ""},
                                              {"EXPIRE", "10"},     {"PERSIST", ""},
                                              {"GETDEL", ""},       {"GETEX", ""},
                                              {"MSETNX", "v"},      {"WATCH", ""},
                                              {"TTL", ""},          {"MEMORY USAGE", ""},
                                              {"MGET", "other"},    {"PLATOON.GET", "STRONG"}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char key[16], line[64];
        int fd = node_connect();
        snprintf(key, sizeof key, "k%zu", i);
        snprintf(line, sizeof line, "%s %s %s\r\n", commands[i][0], key, commands[i][1]);
        hold_send_cold(fd, line);
        ck_assert_msg(fake_find(FAKE_GET, key) != NULL, "%s", line);
        fake_absent(key, 0);
        if (strcmp(commands[i][0], "MGET") == 0)
            fake_absent("other", 0);
        ck_assert_msg(node_read(fd)[0] != '\0', "%s", line);
        close(fd);
    }
}
END_TEST

/* What is queued is loaded ahead; EXEC waits until all of it is there, and then is one. */
START_TEST(transactions)
{
    int fd = node_connect(), other = node_connect();
    node_expect(fd, "MULTI\r\nGET a\r\nSET b 2\r\nINCR c\r\n",
                "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    hold_send_cold(fd, "EXEC\r\nPING\r\n");
    node_expect(other, "SET b 9\r\n", "+OK\r\n");
    fake_have("c", "41", 1);
    ck_assert_str_eq(node_read(fd), "");
    fake_have("a", "1", 1);
    node_expect(fd, "", "*3\r\n$1\r\n1\r\n+OK\r\n:42\r\n+PONG\r\n");
    node_expect(other, "GET b\r\nGET c\r\n", "$1\r\n2\r\n$2\r\n42\r\n");
    close(fd);
    close(other);
}
END_TEST

START_TEST(watched_keys)
{
    int fd = node_connect(), other = node_connect();
    hold_send_cold(fd, "WATCH k\r\nMULTI\r\nGET k\r\nEXEC\r\n");
    fake_have("k", "v", 1);
    node_expect(fd, "", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n");
    node_expect(fd, "WATCH k\r\nMULTI\r\nGET cold\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    hold_send_cold(fd, "EXEC\r\n");
    node_expect(other, "SET k w\r\n", "+OK\r\n"); /* while EXEC waits */
    fake_have("cold", "v", 1);
    node_expect(fd, "", "*-1\r\n");
    close(fd);
    close(other);
}
END_TEST

/* What was sent before does not wait as long again, one after the other; what needs no store is done. */
START_TEST(a_pipeline_waits_once)
{
    static const char again[] = "-TRYAGAIN the store of cache/test/node.1 gives no answer: the "
                                "directory is away: mount it\r\n";
    struct buffer expected = BUFFER_EMPTY;
    int fd = node_connect();
    hold_store_anew(100);
    hold_send_cold(fd, "GET a\r\nGET b\r\nMULTI\r\nGET c\r\nEXEC\r\nSET d 1\r\nGET d\r\n");
    fake_fail("b", BACKING_AWAY, "the directory is away: mount it");
    fake_fail("a", BACKING_AWAY, "the directory is away: mount it");
    const char *came = hold_came_until(fd, "$1\r\n1\r\n");
    ck_assert_int_lt(hold_waits, HOLD_ONCE);
    buffer_printf(&expected, "%s%s+OK\r\n+QUEUED\r\n%s+OK\r\n$1\r\n1\r\n", again, again, again);
    ck_assert_str_eq(came, buffer_text(&expected));
    node_expect(fd, "GET d\r\nPING\r\n", "$1\r\n1\r\n+PONG\r\n");
    /* The next one waits its own time, and has its answer. */
    hold_send_cold(fd, "GET a\r\n");
    node_until(fake_find(FAKE_GET, "a") != NULL);
    fake_have("a", "v", 1);
    node_expect(fd, "", "$1\r\nv\r\n");
    buffer_fini(&expected);
    close(fd);
}
END_TEST

START_TEST(the_last_of_a_pipeline_waits_no_longer)
{
    hold_store_anew(100);
#define SILENT                                                                                     \
    "-TRYAGAIN the store of cache/test/node.1 gives no answer: it has not answered for 100 ms: "   \
    "see what the store does\r\n"
    hold_waits_once("GET a\r\nGET b\r\nGET last\r\n", SILENT SILENT SILENT);
}
END_TEST

/* The store answers, but not for these. */
START_TEST(a_pipeline_of_objects_that_hang)
{
    int other = node_connect();
    hold_store_anew(100);
    int fd = node_connect();
    hold_send_cold(fd, "GET a\r\nGET b\r\nGET c\r\nPING\r\n");
    hold_send_cold(other, "GET works\r\n");
    fake_absent("works", 0);
    node_expect(other, "", "$-1\r\n");
    ck_assert_ptr_nonnull(strstr(hold_came_until(fd, "+PONG\r\n"), "slower than `timeout` allows"));
    ck_assert_int_lt(hold_waits, HOLD_ONCE);
    ck_assert_str_eq(cache_loads_trouble(cache_park_loads(node.park)), "");
    close(fd);
    close(other);
}
END_TEST

START_TEST(a_store_that_says_nothing)
{
    int fd = node_connect();
    hold_store_anew(50);
    hold_send_cold(fd, "GET a\r\n");
    ck_assert_str_eq(hold_came_until(fd, "\r\n"),
                     "-TRYAGAIN the store of cache/test/node.1 gives no answer: it has not "
                     "answered for 50 ms: see what the store does\r\n");
    close(fd);
}
END_TEST

START_TEST(who_ends_while_parked)
{
    char line[64];
    int fd = node_connect(), killed = node_connect(), other = node_connect();
    hold_send_cold(fd, "GET a\r\nGET b\r\n");
    hold_send_cold(killed, "GET a\r\nGET c\r\n");
    node_expect(killed, "", "");
    snprintf(line, sizeof line, "CLIENT KILL ID %d\r\n", 2);
    node_expect(other, line, ":1\r\n");
    ck_assert(node_is_closed(killed));
    close(fd);
    node_turn(3);
    ck_assert_uint_eq(node.client_count, 2); /* what it has sent before its end is done */
    fake_have("a", "v", 1);
    fake_have("b", "v", 1);
    node_turn(3);
    ck_assert_uint_eq(node.client_count, 1);
    ck_assert_uint_eq(cache_park_count(node.park), 0);
    node_expect(other, "GET a\r\n", "$1\r\nv\r\n");
    close(other);
    close(killed);
}
END_TEST

START_TEST(the_node_stops)
{
    static const char stops[] = "-TRYAGAIN cache/test/node.1 stops: ask again when it is back\r\n";
    struct buffer expected = BUFFER_EMPTY;
    int fd = node_connect();
    hold_send_cold(fd, "GET a\r\nPING\r\nGET b\r\n");
    cache_park_stop(node.park);
    buffer_printf(&expected, "%s+PONG\r\n%s", stops, stops);
    node_expect(fd, "", buffer_text(&expected));
    ck_assert_uint_eq(cache_park_count(node.park), 0);
    buffer_fini(&expected);
    close(fd);
}
END_TEST

/* Refused anyway: it does not wait for what it would have watched. */
START_TEST(watch_in_a_transaction)
{
    int fd = node_connect();
    node_expect(fd, "MULTI\r\nWATCH cold\r\nSET a 1\r\nEXEC\r\n",
                "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    close(fd);
}
END_TEST

/* Several wait for one object; the first to go on ends the next and asks for another. */
START_TEST(who_is_told_ends_the_next)
{
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = node_connect();
    node_expect(fd[0], "SET k v\r\nSET l v\r\n", "+OK\r\n+OK\r\n");
    hold_send_cold(fd[0], "PLATOON.DUMP k WAIT 0\r\nCLIENT KILL ID 2\r\nPLATOON.DUMP l WAIT 0\r\n");
    hold_send_cold(fd[1], "PLATOON.DUMP k WAIT 0\r\n");
    hold_send_cold(fd[2], "PLATOON.DUMP k WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_stored("k");
    node_expect(fd[0], "", ":1\r\n:1\r\n");
    node_expect(fd[2], "", ":1\r\n");
    ck_assert(node_is_closed(fd[1]));
    node_until(fake_find(FAKE_PUT, "l") != NULL);
    fake_stored("l");
    node_expect(fd[0], "", ":1\r\n");
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}
END_TEST

/* Who waits for what somebody else writes has it at once, whatever the store does. */
START_TEST(what_is_written_is_not_waited_for)
{
    int fd = node_connect(), other = node_connect();
    hold_send_cold(fd, "GET k\r\nGET l\r\n");
    node_expect(other, "SET k v\r\n", "+OK\r\n");
    node_turn(1);
    node_expect(fd, "", "$1\r\nv\r\n");
    fake_have("k", "old", 1); /* late, and of no use */
    node_expect(other, "GET k\r\nSET l w\r\n", "$1\r\nv\r\n+OK\r\n");
    node_turn(1);
    node_expect(fd, "", "$1\r\nw\r\n");
    close(fd);
    close(other);
}
END_TEST

START_TEST(silence)
{
    int fd = node_connect();
    hold_send_cold(fd, "CLIENT REPLY SKIP\r\nGET a\r\nGET b\r\nCLIENT REPLY OFF\r\nGET c\r\n");
    have_each("abc");
    node_expect(fd, "CLIENT REPLY ON\r\n", "$1\r\n2\r\n+OK\r\n");
    close(fd);
}
END_TEST

START_TEST(nothing_is_loaded_for_strangers)
{
    int fd = node_connect();
    node.clients->trusted = false;
    node_expect(fd, "GET a\r\n", "-NOAUTH Authentication required.\r\n");
    node_expect(fd, "GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    close(fd);
}
END_TEST

START_TEST(own_commands)
{
    int fd = node_connect();
    node_expect(fd, "SET k v\r\n", "+OK\r\n");
    node_expect(fd,
                "PLATOON.GET k\r\nplatoon.get k strong\r\nPLATOON.GET k EVENTUAL\r\n"
                "PLATOON.GET k BOUNDED 500\r\n",
                "$1\r\nv\r\n$1\r\nv\r\n$1\r\nv\r\n$1\r\nv\r\n");
    node_expect(fd, "PLATOON.GET k BOUNDED\r\nPLATOON.GET k WEAK\r\nPLATOON.GET k BOUNDED x\r\n",
                "-ERR syntax error\r\n-ERR syntax error\r\n-ERR value is not an integer or out of "
                "range\r\n");
    node_expect(
        fd, "PLATOON.DUMP k NOW\r\nPLATOON.DUMP k WAIT -1\r\nFLUSHALL\r\n",
        "-ERR syntax error\r\n-ERR timeout is negative or not an integer\r\n-ERR this cache "
        "has a store: its objects are deleted by name (DEL)\r\n");
    node_expect(fd, "MULTI\r\nPLATOON.DUMP k\r\nDISCARD\r\n",
                "+OK\r\n-ERR Command not allowed inside a transaction\r\n+OK\r\n");
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_hold", hold_set_up, node_tear_down, a_cold_key, keys_of_any_length,
                what_is_absent_is_known, a_cold_pipeline, a_cold_pipeline_of_lines,
                what_comes_later_is_read_ahead, looking_ahead_is_bounded, many_keys,
                who_needs_nothing_old_loads_nothing, who_needs_something_old_loads_it, transactions,
                watched_keys, watch_in_a_transaction, a_pipeline_waits_once,
                the_last_of_a_pipeline_waits_no_longer, a_pipeline_of_objects_that_hang,
                a_store_that_says_nothing, who_is_told_ends_the_next,
                what_is_written_is_not_waited_for, who_ends_while_parked, the_node_stops, silence,
                nothing_is_loaded_for_strangers, own_commands)
