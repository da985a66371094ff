/*
 * test_command_keys.c: which keys a command names, and which of them it must know before it runs
 * (workers/cache/command/command_keys.h).
 */
#include "test/unit/suite.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_transaction.h"

#include <stdlib.h>

#define WORDS 16

/* Words with blanks between; the keys so. */
static const char *keys_of(const char *line, bool all)
{
    static char text[256];
    char copy[256], *at = copy;
    struct slice words[WORDS], key;
    struct command_keys keys;
    size_t count = 0;
    const struct cache_command *container;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word; (word = strsep(&at, " ")) != NULL;)
        words[count++] = slice_of(word);
    const struct cache_command *command =
        command_named(command_all()->table, words, count, &container);
    ck_assert_ptr_nonnull(command);
    ck_assert(command_takes(command, count));
    if (all)
        command_keys_start_all(&keys, NULL, command, words, count);
    else
        command_keys_start(&keys, NULL, command, words, count);
    text[0] = '\0';
    while (command_keys_next(&keys, &key)) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%.*s", len > 0 ? " " : "", (int)key.len,
                 key.ptr);
    }
    return text;
}

static void named(const char *line, const char *known, const char *all)
{
    ck_assert_str_eq(keys_of(line, false), known);
    ck_assert_str_eq(keys_of(line, true), all);
}

START_TEST(reads)
{
    named("GET a", "a", "a");
    named("MGET a b a", "a b a", "a b a");
    named("EXISTS a b", "a b", "a b");
    named("TTL a", "a", "a");
}
END_TEST

/* What is written without a look at what was there names its keys all the same. */
START_TEST(blind_writes)
{
    named("SET a 1", "", "a");
    named("SET a 1 EX 10", "", "a");
    named("SET a 1 NX", "a", "a");
    named("SET a 1 keepttl", "a", "a");
    named("SET a get", "", "a"); /* its value */
    named("SET a 1 GET", "a", "a");
    named("MSET a 1 b 2", "", "a b");
    named("MSETNX a 1 b 2", "a b", "a b");
    named("INCR a", "a", "a");
    named("APPEND a x", "a", "a");
}
END_TEST

START_TEST(none)
{
    named("PING", "", "");
    named("ECHO a", "", "");
    named("MULTI", "", "");
    named("EXEC", "", ""); /* nothing is queued */
    named("DBSIZE", "", "");
    named("CLIENT REPLY ON", "", "");
}
END_TEST

/* Of EXEC those of its commands, then those that were watched while they were another node's. */
START_TEST(of_a_transaction)
{
    struct cache_seen second = {.key = slice_of("s2")};
    struct cache_seen first = {.next = &second, .key = slice_of("s1")};
    struct cache_client c = {.multi = true, .seen = &first};
    const struct cache_command *exec = command_find(command_all()->table, slice_of("exec"));
    static const char *const wanted[] = {"a", "s1", "s2"};
    struct slice words[] = {slice_of("GET"), slice_of("a")}, key;
    struct cache_queue queue = {
        .first = command_queued_new(command_find(command_all()->table, words[0]), words, 2)};
    struct command_keys keys;
    for (int queued = 0; queued < 2; queued++) {
        c.queued = queued ? &queue : NULL;
        command_keys_start(&keys, &c, exec, NULL, 0);
        for (int i = queued ? 0 : 1; i < 3; i++) {
            ck_assert(command_keys_next(&keys, &key));
            ck_assert(slice_is(key, wanted[i]));
        }
        ck_assert(!command_keys_next(&keys, &key));
    }
    free(queue.first);
}
END_TEST

SUITE_MAIN("command_keys", reads, blind_writes, none, of_a_transaction)
