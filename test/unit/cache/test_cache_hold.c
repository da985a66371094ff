/* test_cache_hold.c: clients whose commands wait for the store: order, looking ahead, transactions, time, their end. */
#include "test/unit/cache/backing_fake.h"
#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_park.h"

#include <stdlib.h>

#define TIMEOUT_MS 60000 /* nobody's time is over but where a test wants it */

static void set_up(void)
{
    node_set_up();
    node_store(TIMEOUT_MS);
}

/* Sends, and nothing comes. */
static void send_cold(int fd, const char *text)
{
    node_expect(fd, text, "");
}

START_TEST(a_cold_key)
{
    int fd = node_connect();
    send_cold(fd, "GET k\r\nPING\r\n");
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
    send_cold(fd, "GET k\r\n");
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
    send_cold(fd, buffer_text(&sent));
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
    send_cold(fd, "GET a\r\n");
    for (size_t i = 0; i < sizeof text - 1; i++)
        node_send(fd, text + i, 1);
    node_turn(2);
    ck_assert_uint_eq(fake.made[FAKE_GET], 3);
    fake_have("c", "3", 1);
    fake_have("b", "2", 1);
    fake_have("a", "1", 1);
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
    struct buffer sent = BUFFER_EMPTY;
    int fd = node_connect();
    buffer_append_text(&sent, "MGET");
    for (int i = 0; i < 500; i++)
        buffer_printf(&sent, " k%d", i);
    buffer_append_text(&sent, "\r\n");
    send_cold(fd, buffer_text(&sent));
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
    buffer_fini(&sent);
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
        send_cold(fd, line);
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
    send_cold(fd, "EXEC\r\nPING\r\n");
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
    send_cold(fd, "WATCH k\r\nMULTI\r\nGET k\r\nEXEC\r\n");
    fake_have("k", "v", 1);
    node_expect(fd, "", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n");
    node_expect(fd, "WATCH k\r\nMULTI\r\nGET cold\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    send_cold(fd, "EXEC\r\n");
    node_expect(other, "SET k w\r\n", "+OK\r\n"); /* while EXEC waits */
    fake_have("cold", "v", 1);
    node_expect(fd, "", "*-1\r\n");
    close(fd);
    close(other);
}
END_TEST

/*
 * How often came_until has waited. Each time is a millisecond or more, on a busy machine much more: who waits for 100
 * ms once is never told so by more than a hundred of them, whatever the clock says.
 */
static int came_waits;
#define ONCE 130 /* of 100 ms; twice is about 185 */

/* What comes, up to there; lives until the next call. */
static const char *came_until(int fd, const char *end)
{
    static struct buffer all;
    buffer_clear(&all);
    for (came_waits = 0; came_waits < 5000; came_waits++) {
        buffer_append_text(&all, node_read(fd));
        if (strstr(buffer_text(&all), end) != NULL)
            break;
        node_wait();
    }
    return buffer_text(&all);
}

/* What was sent before does not wait as long again, one after the other; what needs no store is done. */
START_TEST(a_pipeline_waits_once)
{
    static const char again[] = "-TRYAGAIN the store of cache/test/node.1 gives no answer: the "
                                "directory is away: mount it\r\n";
    struct buffer expected = BUFFER_EMPTY;
    int fd = node_connect();
    node_store_end();
    node_store(100);
    send_cold(fd, "GET a\r\nGET b\r\nMULTI\r\nGET c\r\nEXEC\r\nSET d 1\r\nGET d\r\n");
    fake_fail("b", BACKING_AWAY, "the directory is away: mount it");
    fake_fail("a", BACKING_AWAY, "the directory is away: mount it");
    const char *came = came_until(fd, "$1\r\n1\r\n");
    ck_assert_int_lt(came_waits, ONCE);
    buffer_printf(&expected, "%s%s+OK\r\n+QUEUED\r\n%s+OK\r\n$1\r\n1\r\n", again, again, again);
    ck_assert_str_eq(came, buffer_text(&expected));
    node_expect(fd, "GET d\r\nPING\r\n", "$1\r\n1\r\n+PONG\r\n");
    /* The next one waits its own time, and has its answer. */
    send_cold(fd, "GET a\r\n");
    node_until(fake_find(FAKE_GET, "a") != NULL);
    fake_have("a", "v", 1);
    node_expect(fd, "", "$1\r\nv\r\n");
    buffer_fini(&expected);
    close(fd);
}
END_TEST

/* The last of them too, and whatever it is that each would wait for. */
static void waits_once(const char *sent, const char *end)
{
    int fd = node_connect();
    node_send(fd, sent, strlen(sent));
    const char *came = came_until(fd, end);
    ck_assert_ptr_nonnull(strstr(came, end));
    ck_assert_msg(came_waits < ONCE, "%d: %s", came_waits, came);
    close(fd);
}

START_TEST(the_last_of_a_pipeline_waits_no_longer)
{
    node_store_end();
    node_store(100);
#define SILENT                                                                                     \
    "-TRYAGAIN the store of cache/test/node.1 gives no answer: it has not answered for 100 ms: "   \
    "see what the store does\r\n"
    waits_once("GET a\r\nGET b\r\nGET last\r\n", SILENT SILENT SILENT);
}
END_TEST

/* The store answers, but not for these. */
START_TEST(a_pipeline_of_objects_that_hang)
{
    int other = node_connect();
    node_store_end();
    node_store(100);
    int fd = node_connect();
    send_cold(fd, "GET a\r\nGET b\r\nGET c\r\nPING\r\n");
    send_cold(other, "GET works\r\n");
    fake_absent("works", 0);
    node_expect(other, "", "$-1\r\n");
    ck_assert_ptr_nonnull(strstr(came_until(fd, "+PONG\r\n"), "slower than `timeout` allows"));
    ck_assert_int_lt(came_waits, ONCE);
    ck_assert_str_eq(cache_loads_trouble(cache_park_loads(node.park)), "");
    close(fd);
    close(other);
}
END_TEST

START_TEST(a_store_that_says_nothing)
{
    int fd = node_connect();
    node_store_end();
    node_store(50);
    send_cold(fd, "GET a\r\n");
    ck_assert_str_eq(came_until(fd, "\r\n"),
                     "-TRYAGAIN the store of cache/test/node.1 gives no answer: it has not "
                     "answered for 50 ms: see what the store does\r\n");
    close(fd);
}
END_TEST

START_TEST(who_ends_while_parked)
{
    char line[64];
    int fd = node_connect(), killed = node_connect(), other = node_connect();
    send_cold(fd, "GET a\r\nGET b\r\n");
    send_cold(killed, "GET a\r\nGET c\r\n");
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
    send_cold(fd, "GET a\r\nPING\r\nGET b\r\n");
    cache_park_stop(node.park);
    buffer_printf(&expected, "%s+PONG\r\n%s", stops, stops);
    node_expect(fd, "", buffer_text(&expected));
    ck_assert_uint_eq(cache_park_count(node.park), 0);
    buffer_fini(&expected);
    close(fd);
}
END_TEST

/* One command needs more than memory has: an end after some rounds, and one at a time they are all had. */
START_TEST(what_does_not_fit)
{
    static char value[1 << 19];
    struct buffer sent = BUFFER_EMPTY;
    char key[16];
    int fd = node_connect(), rounds = 0;
    node_store_end();
    node.options.memory_max = (size_t)4 << 20;
    node_store(TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    buffer_append_text(&sent, "MGET");
    for (int i = 0; i < 20; i++)
        buffer_printf(&sent, " k%d", i);
    buffer_append_text(&sent, "\r\n");
    send_cold(fd, buffer_text(&sent));
    const char *came = "";
    for (; rounds < 1000 && (came = node_read(fd))[0] == '\0'; rounds++)
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "k%d", i);
            if (fake_find(FAKE_GET, key) != NULL)
                fake_have(key, value, 1);
            node_turn(1);
        }
    ck_assert_msg(strstr(came, "-TRYAGAIN the objects of this command do not fit") == came, "%.80s",
                  came);
    /* As soon as more has come than memory has: it is known then. */
    ck_assert_uint_le(fake.made[FAKE_GET], 20);
    node_expect(fd, "PING\r\n", "+PONG\r\n");
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        buffer_clear(&sent);
        buffer_printf(&sent, "STRLEN %s\r\n", key);
        node_send(fd, sent.data, sent.len);
        if (fake_find(FAKE_GET, key) != NULL)
            fake_have(key, value, 1);
        node_expect(fd, "", ":524287\r\n");
    }
    buffer_fini(&sent);
    close(fd);
}
END_TEST

/* A key that comes twice does not count twice. */
START_TEST(what_fits_though_it_comes_often)
{
    static char value[1 << 19];
    int fd = node_connect();
    node_store_end();
    node.options.memory_max = (size_t)4 << 20;
    node_store(TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    send_cold(fd, "EXISTS k k k k k k k k k k k k k k k k k k k k\r\n");
    fake_have("k", value, 1);
    node_expect(fd, "", ":20\r\n");
    close(fd);
}
END_TEST

/* Its time is over before so much has come: the reason is not that the store does not answer. */
START_TEST(what_does_not_fit_in_time)
{
    static char value[1 << 19];
    char key[16];
    struct buffer sent = BUFFER_EMPTY;
    int fd = node_connect(), rounds = 0;
    node_store_end();
    node.options.memory_max = (size_t)4 << 20;
    node_store(300);
    memset(value, 'v', sizeof value - 1);
    buffer_append_text(&sent, "EXISTS");
    for (int i = 0; i < 8; i++)
        buffer_printf(&sent, " k%d", i);
    buffer_append_text(&sent, "\r\n");
    node_send(fd, sent.data, sent.len);
    const char *came = "";
    for (; rounds < 10000 && (came = node_read(fd))[0] == '\0'; rounds++) {
        snprintf(key, sizeof key, "k%d", rounds % 8);
        if (rounds % 10 == 0 && fake_find(FAKE_GET, key) != NULL)
            fake_have(key, value, 1);
        node_wait();
    }
    ck_assert_msg(strstr(came, "gives no answer: it has not answered") == NULL, "%s", came);
    ck_assert_str_eq(cache_loads_trouble(cache_park_loads(node.park)), "");
    buffer_fini(&sent);
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
    send_cold(fd[0], "PLATOON.DUMP k WAIT 0\r\nCLIENT KILL ID 2\r\nPLATOON.DUMP l WAIT 0\r\n");
    send_cold(fd[1], "PLATOON.DUMP k WAIT 0\r\n");
    send_cold(fd[2], "PLATOON.DUMP k WAIT 0\r\n");
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
    send_cold(fd, "GET k\r\nGET l\r\n");
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
    send_cold(fd, "CLIENT REPLY SKIP\r\nGET a\r\nGET b\r\nCLIENT REPLY OFF\r\nGET c\r\n");
    fake_have("a", "1", 1);
    fake_have("b", "2", 1);
    fake_have("c", "3", 1);
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

/* ---- room ---- */

/* More than may be dirty. */
static void fill(int fd)
{
    char line[64], *value = calloc(1, 60001);
    memset(value, 'x', 60000);
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line, "*3\r\n$3\r\nSET\r\n$2\r\nf%d\r\n$60000\r\n", i);
        node_send(fd, line, strlen(line));
        node_send(fd, value, 60000);
        node_expect(fd, "\r\n", "+OK\r\n");
    }
    free(value);
}

START_TEST(writes_wait_for_room)
{
    int fd = node_connect(), other = node_connect();
    fill(fd);
    send_cold(fd, "SET a 1\r\nGET a\r\nPING\r\n");
    node_expect(other, "EXISTS f0\r\nSTRLEN f1\r\n", ":1\r\n:60000\r\n");
    node_send(other, "PLATOON.DIRTY\r\n", 15);
    ck_assert_int_eq(strncmp(node_read(other), "*3\r\n:2\r\n:120004\r\n:", 18), 0);
    node_until(fake_find(FAKE_PUT, "f0") != NULL);
    ck_assert_str_eq(node_read(fd), "");
    fake_stored("f0");
    node_expect(fd, "", "+OK\r\n$1\r\n1\r\n+PONG\r\n");
    close(fd);
    close(other);
}
END_TEST

START_TEST(what_is_deleted_makes_room)
{
    int fd = node_connect(), other = node_connect();
    fill(fd);
    send_cold(fd, "SET a 1\r\n");
    node_expect(other, "DEL f1\r\n", ":1\r\n");
    node_expect(fd, "", "+OK\r\n");
    close(fd);
    close(other);
}
END_TEST

/* Whoever waits first is first; who finds none again waits on. */
START_TEST(room_for_one_after_the_other)
{
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = node_connect();
    fill(fd[0]);
    send_cold(fd[0], "APPEND f0 x\r\n");
    send_cold(fd[1], "INCR cold\r\n");
    send_cold(fd[2], "EXPIRE f1 100\r\n"); /* dirties, though it takes no memory */
    ck_assert_uint_eq(cache_park_count(node.park), 3);
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    node_until(fake_find(FAKE_PUT, "f0") != NULL && fake_find(FAKE_PUT, "f1") != NULL);
    fake_stored("f1");
    node_expect(fd[0], "", ":60001\r\n");
    node_expect(fd[2], "", ":1\r\n");
    fake_absent("cold", 0);
    node_until(cache_park_count(node.park) <= 1);
    if (fake_find(FAKE_PUT, "f0") != NULL)
        fake_stored("f0");
    node_until(cache_park_count(node.park) == 0 || fake_find(FAKE_PUT, "f1") != NULL ||
               fake_find(FAKE_PUT, "f0") != NULL);
    while (fake_find(FAKE_PUT, "f0") != NULL)
        fake_stored("f0");
    while (fake_find(FAKE_PUT, "f1") != NULL)
        fake_stored("f1");
    node_expect(fd[1], "", ":1\r\n");
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}
END_TEST

START_TEST(no_room_in_time)
{
    static const char oom[] = "OOM command not allowed when used memory > 'maxmemory'.\r\n";
    struct buffer expected = BUFFER_EMPTY;
    int fd = node_connect();
    node_store_end();
    node_store(50);
    fill(fd);
    static const char sent[] = "SET a 1\r\nGET f2\r\nMULTI\r\nSET a 1\r\nEXEC\r\nDEL f0\r\n";
    node_send(fd, sent, sizeof sent - 1);
    buffer_printf(&expected, "-%s", oom);
    node_until(fake_find(FAKE_GET, "f2") != NULL);
    fake_absent("f2", 0);
    buffer_printf(&expected, "$-1\r\n+OK\r\n-%s", oom);
    const char *came = came_until(fd, "EXECABORT");
    ck_assert_ptr_eq(strstr(came, buffer_text(&expected)), came);
    buffer_fini(&expected);
    close(fd);
}
END_TEST

/* What waits has room of its own: it pushes out nothing, and finds room when there is some. */
START_TEST(who_waits_pushes_nothing_out)
{
    static char value[300001];
    char line[64];
    int fd[6], other = node_connect();
    node_store_end();
    node.options.memory_max = (size_t)1 << 20;
    node_store(TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    send_cold(other, "GET warm\r\n");
    fake_have("warm", "w", 1);
    node_expect(other, "", "$1\r\nw\r\n");
    fill(other);
    for (int i = 0; i < 6; i++) {
        fd[i] = node_connect();
        snprintf(line, sizeof line, "*3\r\n$3\r\nSET\r\n$2\r\nw%d\r\n$300000\r\n", i);
        node_send(fd[i], line, strlen(line));
        node_send(fd[i], value, 300000);
        node_expect(fd[i], "\r\n", "");
    }
    node_turn(3);
    ck_assert_uint_eq(cache_park_count(node.park), 6);
    ck_assert_uint_gt(node.waiting, 1800000);
    ck_assert(cache_db_knows(node.db, slice_of("warm")));
    ck_assert(!cache_db_is_full(node.db));
    for (int i = 0; i < 6; i++)
        close(fd[i]);
    cache_client_end_all(&node);
    ck_assert_uint_eq(node.waiting, 0);
    close(other);
}
END_TEST

/* Writes until they wait, where as much as they like may be dirty; and what is loaded then has room. */
static void load_beside(size_t len)
{
    static char value[1 << 19];
    int fd = node_connect(), other = node_connect(), written = 0;
    node_store_end();
    node.options.memory_max = (size_t)4 << 20;
    node_dirty_max = (size_t)64 << 20;
    node_store(TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    do {
        char line[64];
        snprintf(line, sizeof line, "*3\r\n$3\r\nSET\r\n$6\r\n%06d\r\n$%zu\r\n", written, len);
        node_send(fd, line, strlen(line));
        node_send(fd, value, len);
        node_send(fd, "\r\n", 2);
        written++;
    } while (strcmp(node_read(fd), "+OK\r\n") == 0);
    ck_assert_uint_eq(cache_park_count(node.park), 1);
    ck_assert_uint_ge((size_t)written * (len + 150), (size_t)2 << 20);
    for (int i = 0; i < 3; i++) {
        char line[16];
        snprintf(line, sizeof line, "STRLEN c%d\r\n", i);
        send_cold(other, line);
        snprintf(line, sizeof line, "c%d", i);
        fake_have(line, value, 1);
        node_expect(other, "", ":524287\r\n");
    }
    close(fd);
    close(other);
}

START_TEST(what_is_loaded_has_room_beside_what_is_dirty)
{
    load_beside(50000);
}
END_TEST

START_TEST(and_beside_much_that_is_small)
{
    load_beside(1);
}
END_TEST

/* No more waits than that: it is refused at once. */
START_TEST(what_waits_is_bounded)
{
    int fd = node_connect();
    fill(fd);
    node.waiting = CACHE_WAITING_MIN;
    node_expect(fd, "SET a 1\r\nSET b 1\r\n",
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    node.waiting = 0;
    close(fd);
}
END_TEST

START_TEST(a_pipeline_of_writes_waits_once)
{
    int fd = node_connect();
    node_store_end();
    node_store(100);
    fill(fd);
    waits_once("SET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\nPING\r\n", "+PONG\r\n");
    close(fd);
}
END_TEST

/* ---- nothing to do ---- */

/* And it is awake when there is something again. */
START_TEST(a_node_without_work_sleeps)
{
    unsigned wakes = 0;
    int fd = node_connect();
    send_cold(fd, "GET k\r\n");
    fake_have("k", "v", 1);
    node_expect(fd, "", "$1\r\nv\r\n");
    for (uint64_t until = uv_hrtime() + UINT64_C(2500000000); uv_hrtime() < until; wakes++)
        uv_run(node.loop, UV_RUN_ONCE);
    ck_assert_uint_le(wakes, 8);
    fill(fd);
    for (int i = 0; i < 700 && fake_find(FAKE_PUT, "f0") == NULL; i++) /* asleep it is for 5 s */
        node_wait();
    ck_assert_ptr_nonnull(fake_find(FAKE_PUT, "f0"));
    close(fd);
}
END_TEST

/* ---- the store on demand ---- */

START_TEST(dumped)
{
    int fd = node_connect(), other = node_connect();
    node_expect(fd, "SET k v\r\nSET l v\r\n", "+OK\r\n+OK\r\n");
    node_expect(fd, "PLATOON.DUMP l\r\nPLATOON.DUMP nothing WAIT 0\r\n", ":1\r\n:0\r\n");
    send_cold(fd, "PLATOON.DUMP k WAIT 0\r\nPING\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    ck_assert_str_eq(node_read(fd), "");
    fake_stored("k");
    node_expect(fd, "", ":1\r\n+PONG\r\n");
    node_expect(fd, "PLATOON.DUMP k WAIT 0\r\n", ":0\r\n");
    /* In time, or TRYAGAIN and why. */
    node_expect(other, "SET k w\r\n", "+OK\r\n");
    send_cold(other, "PLATOON.DUMP k WAIT 20\r\n");
    ck_assert_ptr_nonnull(strstr(came_until(other, "\r\n"),
                                 "-TRYAGAIN the store of cache/test/node.1 has not taken the "
                                 "object within 20 ms: "));
    close(fd);
    close(other);
}
END_TEST

/* What is written all the time is never clean: who asked has what it was, and waits for nothing newer. */
START_TEST(dumped_while_it_is_written)
{
    int fd = node_connect(), later = node_connect(), other = node_connect(),
        writer = node_connect();
    node_expect(writer, "SET l v\r\nSET k 1\r\n", "+OK\r\n+OK\r\n");
    send_cold(fd, "PLATOON.DUMP k WAIT 0\r\n");
    send_cold(other, "PLATOON.DUMP l WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    node_expect(writer, "SET k 2\r\n", "+OK\r\n");
    send_cold(later, "PLATOON.DUMP k WAIT 0\r\n");
    fake_stored("k");
    node_expect(fd, "", ":1\r\n");
    node_expect(other, "", ""); /* l is not stored */
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    node_expect(later, "", ""); /* nor what k was when this one asked */
    node_expect(writer, "SET k 3\r\n", "+OK\r\n");
    fake_stored("k");
    node_expect(later, "", ":1\r\n");
    node_expect(writer, "PLATOON.DUMP k\r\n", ":1\r\n");
    node_until(fake_find(FAKE_PUT, "l") != NULL);
    fake_stored("l");
    node_expect(other, "", ":1\r\n");
    close(fd);
    close(later);
    close(other);
    close(writer);
}
END_TEST

/* What the store refuses for good is said to be so, and not stored. */
START_TEST(a_dead_letter_is_not_stored)
{
    struct backing_answer refused = {.result = BACKING_REFUSED, .why = "its name is too long"};
    int fd = node_connect();
    node_expect(fd, "SET k v\r\n", "+OK\r\n");
    send_cold(fd, "PLATOON.DUMP k WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_answer(fake_find(FAKE_PUT, "k"), &refused);
    node_expect(fd, "",
                "-ERR the store of cache/test/node.1 does not take this object: its name is "
                "too long\r\n");
    node_expect(fd, "GET k\r\n", "$1\r\nv\r\n");
    /* Asked for again, it is tried again. */
    send_cold(fd, "PLATOON.DUMP k WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_stored("k");
    node_expect(fd, "", ":1\r\n");
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_hold", set_up, node_tear_down, a_cold_key, keys_of_any_length,
                what_is_absent_is_known, a_cold_pipeline, a_cold_pipeline_of_lines,
                what_comes_later_is_read_ahead, looking_ahead_is_bounded, many_keys,
                who_needs_nothing_old_loads_nothing, who_needs_something_old_loads_it, transactions,
                watched_keys, watch_in_a_transaction, a_pipeline_waits_once,
                the_last_of_a_pipeline_waits_no_longer, a_pipeline_of_objects_that_hang,
                a_store_that_says_nothing, what_fits_though_it_comes_often,
                what_does_not_fit_in_time, who_is_told_ends_the_next,
                what_is_written_is_not_waited_for, who_ends_while_parked, the_node_stops,
                what_does_not_fit, silence, nothing_is_loaded_for_strangers, own_commands,
                writes_wait_for_room, what_is_deleted_makes_room, room_for_one_after_the_other,
                no_room_in_time, who_waits_pushes_nothing_out,
                what_is_loaded_has_room_beside_what_is_dirty, and_beside_much_that_is_small,
                what_waits_is_bounded, a_node_without_work_sleeps, a_pipeline_of_writes_waits_once,
                dumped, dumped_while_it_is_written, a_dead_letter_is_not_stored)
