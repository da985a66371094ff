/* test_command_consistency.c: how fresh what a command reads must be, and what clients are told of wrong words. */
#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/command/command_consistency.h"

#include <inttypes.h>
#include <unistd.h>

#define WORDS_MAX 8

#define SYNTAX "ERR syntax error"
#define NUMBER "ERR value is not an integer or out of range"

static struct cache_client client;

static size_t split(const char *line, struct slice words[WORDS_MAX])
{
    size_t count = 0;
    for (const char *at = line; at != NULL && *at != '\0'; count++) {
        const char *end = strchr(at, ' ');
        ck_assert_uint_lt(count, WORDS_MAX);
        words[count] = slice_make(at, end != NULL ? (size_t)(end - at) : strlen(at));
        at = end != NULL ? end + 1 : NULL;
    }
    return count;
}

static enum cache_consistency of(const char *line, uint64_t *ms)
{
    const struct cache_command *container;
    struct slice words[WORDS_MAX];
    size_t count = split(line, words);
    const struct cache_command *command =
        command_named(command_all()->table, words, count, &container);
    ck_assert_msg(command != NULL && command_takes(command, count), "%s", line);
    *ms = 77;
    return command_consistency(&client, command, words, count, ms);
}

static void expect(const char *line, enum cache_consistency consistency, uint64_t ms)
{
    uint64_t found_ms;
    enum cache_consistency found = of(line, &found_ms);
    ck_assert_msg(found == consistency && found_ms == ms, "%s: %d, %" PRIu64, line, found,
                  found_ms);
}

/* Commands that read something, and are always asked of the owner. */
static const char *const others[] = {
    "STRLEN k",    "GETRANGE k 0 1", "SUBSTR k 0 1",  "EXISTS k",      "TOUCH k",  "TYPE k",
    "TTL k",       "PTTL k",         "EXPIRETIME k",  "PEXPIRETIME k", "SCAN 0",   "KEYS *",
    "DBSIZE",      "MEMORY USAGE k", "WATCH k",       "GETEX k",       "GETDEL k", "GETSET k v",
    "SET k v GET", "INCR k",         "APPEND k v",    "DEL k",         "EXEC",     "MULTI",
    "PING",        "PLATOON.DUMP k", "PLATOON.DIRTY", "RANDOMKEY",
};

static void others_are_strong(void)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        expect(others[i], CACHE_STRONG, 0);
}

START_TEST(all_is_strong_at_first)
{
    expect("GET k", CACHE_STRONG, 0);
    expect("MGET k l", CACHE_STRONG, 0);
    expect("PLATOON.GET k", CACHE_STRONG, 0);
    others_are_strong();
}
END_TEST

START_TEST(after_readonly_gets_are_eventual)
{
    client.readonly = true;
    expect("GET k", CACHE_EVENTUAL, 0);
    expect("get k", CACHE_EVENTUAL, 0);
    expect("MGET k l", CACHE_EVENTUAL, 0);
    expect("PLATOON.GET k", CACHE_EVENTUAL, 0);
    expect("PLATOON.GET k STRONG", CACHE_STRONG, 0);
    expect("PLATOON.GET k BOUNDED 5", CACHE_BOUNDED, 5);
    others_are_strong();
}
END_TEST

START_TEST(a_word_says_it)
{
    expect("PLATOON.GET k STRONG", CACHE_STRONG, 0);
    expect("PLATOON.GET k EVENTUAL", CACHE_EVENTUAL, 0);
    expect("platoon.get k eventual", CACHE_EVENTUAL, 0);
    expect("PLATOON.GET k Bounded 0", CACHE_BOUNDED, 0);
    expect("PLATOON.GET k bounded 9223372036854775807", CACHE_BOUNDED, INT64_MAX);
    expect("PLATOON.GET strong eventual", CACHE_EVENTUAL, 0);
}
END_TEST

START_TEST(nobody_is_asked_for_an_error)
{
    expect("PLATOON.GET k WEAK", CACHE_EVENTUAL, 0);
    expect("PLATOON.GET k BOUNDED x", CACHE_EVENTUAL, 0);
    expect("PLATOON.GET k STRONG STRONG", CACHE_EVENTUAL, 0);
}
END_TEST

/* EXEC runs what was queued where its objects are. */
START_TEST(a_transaction_is_strong)
{
    client.multi = client.readonly = true;
    expect("GET k", CACHE_STRONG, 0);
    expect("MGET k", CACHE_STRONG, 0);
    expect("PLATOON.GET k EVENTUAL", CACHE_STRONG, 0);
    expect("PLATOON.GET k BOUNDED 5", CACHE_STRONG, 0);
    others_are_strong();
}
END_TEST

static const struct {
    const char *words, *wrong;
} wrongs[] = {
    {"", NULL},
    {"strong", NULL},
    {"BOUNDED 1", NULL},
    {"bounded 9223372036854775807", NULL},
    {"weak", SYNTAX},
    {"stron", SYNTAX},
    {"strongly", SYNTAX},
    {"strong 5", SYNTAX},
    {"eventual 5", SYNTAX},
    {"strong eventual", SYNTAX},
    {"bounded", SYNTAX},
    {"bounded 5 6", SYNTAX},
    {"bounded 5 strong", SYNTAX},
    {"5 bounded", SYNTAX},
    {"bounded x", NUMBER},
    {"bounded -1", NUMBER},
    {"bounded -0", NUMBER},
    {"bounded +1", NUMBER},
    {"bounded 05", NUMBER},
    {"bounded 5ms", NUMBER},
    {"bounded 1.5", NUMBER},
    {"bounded 9223372036854775808", NUMBER},
    {"bounded 18446744073709551621", NUMBER},
};

START_TEST(words_behind_a_key)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct slice words[WORDS_MAX];
        enum cache_consistency consistency = CACHE_BOUNDED;
        uint64_t ms = 77;
        size_t count = split(wrongs[i].words, words);
        const char *wrong = command_consistency_read(words, count, &consistency, &ms);
        ck_assert_msg((wrong == NULL) == (wrongs[i].wrong == NULL), "%s", wrongs[i].words);
        if (wrong != NULL)
            ck_assert_str_eq(wrong, wrongs[i].wrong);
        if (wrong != NULL || count == 0)
            ck_assert_msg(consistency == CACHE_BOUNDED && ms == 77, "%s", wrongs[i].words);
    }
}
END_TEST

/* An empty word, and one that as a C string is right. */
START_TEST(words_of_other_bytes)
{
    enum cache_consistency consistency;
    uint64_t ms;
    struct slice words[] = {slice_of(""), slice_of("")};
    ck_assert_str_eq(command_consistency_read(words, 1, &consistency, &ms), SYNTAX);
    words[0] = slice_make("strong\0x", 8);
    ck_assert_str_eq(command_consistency_read(words, 1, &consistency, &ms), SYNTAX);
    words[0] = slice_of("bounded");
    ck_assert_str_eq(command_consistency_read(words, 2, &consistency, &ms), NUMBER);
}
END_TEST

/* ---- as a client sees it ---- */

START_TEST(a_client_is_told)
{
    int fd = node_connect();
    node_expect(fd, "SET k v\r\nREADONLY\r\n", "+OK\r\n+OK\r\n");
    node_expect(fd, "GET k\r\nMGET k none\r\nPLATOON.GET k BOUNDED 0\r\nPLATOON.GET none\r\n",
                "$1\r\nv\r\n*2\r\n$1\r\nv\r\n$-1\r\n$1\r\nv\r\n$-1\r\n");
    node_expect(fd, "READWRITE\r\nREADWRITE\r\nGET k\r\n", "+OK\r\n+OK\r\n$1\r\nv\r\n");
    node_expect(fd, "PLATOON.GET\r\nPLATOON.GET k bounded -1\r\nPLATOON.GET k STRONG 5\r\n",
                "-ERR wrong number of arguments for 'platoon.get' command\r\n-" NUMBER
                "\r\n-" SYNTAX "\r\n");
    node_expect(fd, "READONLY now\r\nREADWRITE now\r\n",
                "-ERR wrong number of arguments for 'readonly' command\r\n"
                "-ERR wrong number of arguments for 'readwrite' command\r\n");
    close(fd);
}
END_TEST

/* As SET, which makes bytes of it again; also within MULTI. */
START_TEST(a_value_in_a_form)
{
    int fd = node_connect();
    node_expect(fd, "PLATOON.SET k v term\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n");
    ck_assert_uint_eq(cache_db_peek(node.db, slice_of("k"))->form, CACHE_FORM_TERM);
    node_expect(fd, "SET k w\r\n", "+OK\r\n");
    ck_assert_uint_eq(cache_db_peek(node.db, slice_of("k"))->form, CACHE_FORM_BYTES);
    node_expect(fd, "MULTI\r\nplatoon.set k v string\r\nEXEC\r\n",
                "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    ck_assert_uint_eq(cache_db_peek(node.db, slice_of("k"))->form, CACHE_FORM_STRING);
    node_expect(fd, "PLATOON.SET k v atom\r\nPLATOON.SET k v\r\nGET k\r\n",
                "-" SYNTAX
                "\r\n-ERR wrong number of arguments for 'platoon.set' command\r\n$1\r\nv\r\n");
    close(fd);
}
END_TEST

/* In RESP3 nothing is `_`, wherever it stands; values and errors are as in RESP2. */
START_TEST(a_client_is_told_in_resp3)
{
    int fd = node_connect();
    node_send(fd, "HELLO 3\r\n", 9);
    ck_assert_int_eq(node_read(fd)[0], '%');
    node_expect(fd, "SET k v\r\nPLATOON.GET none EVENTUAL\r\nPLATOON.GET k EVENTUAL\r\n",
                "+OK\r\n_\r\n$1\r\nv\r\n");
    node_expect(fd, "READONLY\r\nGET none\r\nMGET none k\r\n",
                "+OK\r\n_\r\n*2\r\n_\r\n$1\r\nv\r\n");
    node_expect(fd, "PLATOON.GET k BOUNDED x\r\n", "-" NUMBER "\r\n");
    close(fd);
}
END_TEST

/* What CLIENT INFO shows, and that RESET ends it. */
START_TEST(readonly_until_readwrite_or_reset)
{
    int fd = node_connect();
    node_expect(fd, "READONLY\r\n", "+OK\r\n");
    ck_assert(node.clients->readonly);
    node_expect(fd, "READWRITE\r\n", "+OK\r\n");
    ck_assert(!node.clients->readonly);
    node_expect(fd, "READONLY\r\nRESET\r\n", "+OK\r\n+RESET\r\n");
    ck_assert(!node.clients->readonly);
    node_expect(fd, "MULTI\r\nREADONLY\r\nPLATOON.GET k WEAK\r\nEXEC\r\n",
                "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n-" SYNTAX "\r\n");
    ck_assert(node.clients->readonly);
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("command_consistency", node_set_up, node_tear_down, all_is_strong_at_first,
                after_readonly_gets_are_eventual, a_word_says_it, nobody_is_asked_for_an_error,
                a_transaction_is_strong, words_behind_a_key, words_of_other_bytes, a_client_is_told,
                a_value_in_a_form, a_client_is_told_in_resp3, readonly_until_readwrite_or_reset)
