/*
 * command_exec.c: a transaction as one command, PLATOON.EXEC, and what it watches, PLATOON.WATCH.
 *
 * Runs in a cache node of a ring. A client's MULTI and WATCH are its own node's; what it then does with keys that
 * another node owns goes there as one command, which runs there as any other: all of its keys are seen to before, and
 * nothing comes in between. Watching is by version: the owner says what it was, and compares when it runs.
 */
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_stats.h"
#include "workers/cache/command/command_transaction.h"

#include "workers/cache/cache_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- reading ---- */

struct exec_words {
    const struct slice *words;
    size_t count, at;
    bool wrong;
};

/* The next word as a number of things that follow, `each` words each. */
static size_t exec_count(struct exec_words *e, size_t each)
{
    int64_t n = 0;
    bool right = e->at < e->count && command_read_i64(e->words[e->at], &n) && n >= 0 &&
                 (uint64_t)n <= (e->count - e->at - 1) / each;
    e->wrong = e->wrong || !right;
    e->at++;
    return right ? (size_t)n : 0;
}

/* Such things are behind it; how many they are. */
static size_t exec_skip(struct exec_words *e, size_t each)
{
    size_t n = exec_count(e, each);
    e->at += each * n;
    return n;
}

/* Behind keys and what is watched. */
static struct exec_words exec_commands(const struct slice *words, size_t count)
{
    struct exec_words e = {.words = words, .count = count, .at = 1};
    exec_skip(&e, 1);
    exec_skip(&e, 2);
    return e;
}

/*
 * The next command; NULL at the end, or where it is none that such a transaction may have: the connection is another
 * node's, for all of its clients.
 */
static const struct cache_command *exec_next(const struct cache_client *c, struct exec_words *e,
                                             const struct slice **words, size_t *count)
{
    const struct cache_command *container = NULL, *command = NULL;
    if (e->wrong || e->at >= e->count)
        return NULL;
    *count = exec_count(e, 1);
    *words = e->words + e->at;
    e->at += *count;
    if (!e->wrong && *count > 0)
        command = command_named(c->node->commands->table, *words, *count, &container);
    bool right = command != NULL && command_takes(command, *count) &&
                 (command->flags & (COMMAND_AT_ONCE | COMMAND_NO_MULTI | COMMAND_OF_CLIENT)) == 0;
    e->wrong = e->wrong || !right;
    return right ? command : NULL;
}

unsigned command_exec_flags(const struct cache_client *c, const struct slice *words, size_t count)
{
    struct exec_words e = exec_commands(words, count);
    const struct cache_command *command;
    const struct slice *own;
    size_t own_count;
    unsigned flags = 0;
    while ((command = exec_next(c, &e, &own, &own_count)) != NULL)
        flags |= command->flags;
    return flags;
}

/* ---- running ---- */

/* Whether all that is watched is what it was. */
static bool exec_is_same(struct cache_client *c, const struct slice *words, size_t count)
{
    struct exec_words e = {.words = words, .count = count, .at = 1};
    exec_skip(&e, 1);
    size_t watched = exec_count(&e, 2);
    for (size_t i = 0; i < watched; i++) {
        char version[EXEC_NUMBER_SIZE];
        const struct slice *w = words + e.at + 2 * i;
        snprintf(version, sizeof version, "%" PRIu64, cache_db_seen(c->node->db, w[0]));
        if (!slice_equal(w[1], slice_of(version)))
            return false;
    }
    return true;
}

/* The next of the keys that stand first is this one: only those have been seen to. */
static bool exec_takes_key(struct exec_words *keys, size_t end, struct slice key)
{
    return keys->at < end && slice_equal(keys->words[keys->at++], key);
}

/* So with all that a command names. */
static bool exec_takes_keys(struct exec_words *keys, size_t end,
                            const struct cache_command *command, const struct slice *words,
                            size_t count)
{
    struct command_keys own;
    struct slice key;
    command_keys_start_all(&own, NULL, command, words, count);
    while (command_keys_next(&own, &key))
        if (!exec_takes_key(keys, end, key))
            return false;
    return true;
}

/*
 * How many commands there are; false: they are not right, and none is to run. Their keys, and then those that are
 * watched, stand first in this very order (command_exec_words.c), so that each is compared with one only.
 */
static bool exec_is_right(struct cache_client *c, const struct slice *words, size_t count,
                          size_t *commands)
{
    struct exec_words e = exec_commands(words, count);
    struct exec_words keys = {.words = words, .count = count, .at = COMMAND_EXEC_KEYS};
    size_t end = COMMAND_EXEC_KEYS + command_exec_key_count(words, count), own_count;
    const struct cache_command *command;
    const struct slice *own;
    for (*commands = 0; (command = exec_next(c, &e, &own, &own_count)) != NULL; ++*commands)
        if (!exec_takes_keys(&keys, end, command, own, own_count))
            return false;
    struct exec_words watched = {.words = words, .count = count, .at = end};
    size_t left = e.wrong ? 0 : exec_count(&watched, 2);
    for (; left > 0; left--, watched.at += 2)
        if (!exec_takes_key(&keys, end, words[watched.at]))
            return false;
    return !e.wrong && keys.at == end;
}

void command_platoon_exec(struct cache_client *c, const struct slice *words, size_t count)
{
    struct exec_words e = exec_commands(words, count);
    const struct cache_command *command;
    const struct slice *own;
    size_t own_count, commands;
    if (!exec_is_right(c, words, count, &commands)) {
        resp_error(&c->reply, "ERR syntax error");
        return;
    }
    if (!exec_is_same(c, words, count)) {
        resp_nil_array(&c->reply);
        return;
    }
    resp_array(&c->reply, commands);
    while ((command = exec_next(c, &e, &own, &own_count)) != NULL) {
        c->node->counts.commands++;
        command_call(c, command, own, own_count);
    }
}

/* Of each key the version, for PLATOON.EXEC. */
void command_platoon_watch(struct cache_client *c, const struct slice *words, size_t count)
{
    char version[EXEC_NUMBER_SIZE];
    resp_array(&c->reply, count - 1);
    for (size_t i = 1; i < count; i++) {
        snprintf(version, sizeof version, "%" PRIu64, cache_db_seen(c->node->db, words[i]));
        resp_text(&c->reply, version);
    }
}
