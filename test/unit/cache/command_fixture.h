/*
 * command_fixture.h: a client of a plain database (plain_db.h), to which a suite says commands as people write them.
 *
 * Included by suites of commands, in place of the dispatcher (command_dispatch.c), which would bring clients and
 * sockets along.
 */
#ifndef TEST_UNIT_CACHE_COMMAND_FIXTURE_H
#define TEST_UNIT_CACHE_COMMAND_FIXTURE_H

#include "test/unit/cache/plain_db.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_reads.h"
#include "workers/cache/command/command_list.h"

#define SAY_WORDS 64

enum {
    WRITE = COMMAND_WRITE,
    READ = COMMAND_READ,
    DENYOOM = COMMAND_DENYOOM,
    NOSCRIPT = COMMAND_NOSCRIPT,
    LOADING = COMMAND_LOADING,
    STALE = COMMAND_STALE,
    SKIP_SLOWLOG = COMMAND_SKIP_SLOWLOG,
    FAST = COMMAND_FAST,
    ALLOW_BUSY = COMMAND_ALLOW_BUSY,
    STRING = COMMAND_STRING,
    KEYSPACE = COMMAND_KEYSPACE,
    TRANSACTION = COMMAND_TRANSACTION,
    DANGEROUS = COMMAND_DANGEROUS,
    AT_ONCE = COMMAND_AT_ONCE,
    BLIND = COMMAND_BLIND,
    BLIND_UNLESS = COMMAND_BLIND_UNLESS,
    SHRINKS = COMMAND_SHRINKS,
    COUNTS = COMMAND_COUNTS,
    GETS = COMMAND_GETS,
};

#define X(word, words, what, begin, end, by, how, hints)                                           \
    {.name = #word,                                                                                \
     .name_len = sizeof #word - 1,                                                                 \
     .arity = words,                                                                               \
     .flags = what,                                                                                \
     .run = command_##word},
static const struct cache_command say_commands[] = {COMMANDS_STRING(X) COMMANDS_KEY(X)
                                                        COMMANDS_TRANSACTION(X)};
#undef X

static struct cache_node node;
static struct cache_client client, other;

/* Without a ring none of them is called; the real ones would bring loads along, and the real database. */
void cache_reads_drop(struct cache_reads *r, struct slice key)
{
    ck_assert_msg(r != NULL, "%.*s", (int)key.len, key.ptr);
}

bool cache_reads_find(struct cache_reads *r, struct slice key, enum cache_consistency how,
                      struct slice *value, enum cache_form *form)
{
    ck_assert_msg(r != NULL && value != NULL && form == NULL, "%.*s: %d", (int)key.len, key.ptr,
                  how);
    return false;
}

uint64_t cache_member_claim(struct cache_member *r, struct slice key)
{
    ck_assert_msg(r != NULL, "%.*s", (int)key.len, key.ptr);
    return 0;
}

/* ---- saying something ---- */

static const struct cache_command *say_command(struct slice name)
{
    for (size_t i = 0; i < sizeof say_commands / sizeof say_commands[0]; i++)
        if (command_is(name, say_commands[i].name))
            return &say_commands[i];
    ck_abort_msg("no such command: %.*s", (int)name.len, name.ptr);
}

/* The reply, its lines parted by blanks; lives until the next call. */
static const char *say_words(struct cache_client *c, const struct slice *words, size_t count)
{
    static char said[8192];
    const struct cache_command *command = say_command(words[0]);
    buffer_clear(&c->reply.out);
    if (c->multi && (command->flags & COMMAND_AT_ONCE) == 0)
        command_queue(c, command, words, count);
    else
        command->run(c, words, count);
    size_t len = 0;
    for (size_t i = 0; i + 2 < c->reply.out.len && len < sizeof said - 1; i++)
        if (c->reply.out.data[i] != '\r')
            said[len++] = c->reply.out.data[i] == '\n' ? ' ' : c->reply.out.data[i];
    said[len] = '\0';
    return said;
}

/* Words are parted by single blanks; '' is the empty one. They end where they end, for valgrind and ASan. */
static const char *say_as(struct cache_client *c, const char *line)
{
    struct slice words[SAY_WORDS] = {0};
    char *copies[SAY_WORDS];
    size_t count = 0;
    for (const char *at = line; at != NULL; count++) {
        const char *end = strchr(at, ' ');
        size_t len = end != NULL ? (size_t)(end - at) : strlen(at);
        if (len == 2 && memcmp(at, "''", 2) == 0)
            len = 0;
        copies[count] = malloc(len + (len == 0));
        memcpy(copies[count], at, len);
        words[count] = slice_make(copies[count], len);
        at = end != NULL ? end + 1 : NULL;
    }
    const char *said = say_words(c, words, count);
    while (count > 0)
        free(copies[--count]);
    return said;
}

static const char *say(const char *line)
{
    return say_as(&client, line);
}

#define expect(line, reply) ck_assert_str_eq(say(line), reply)

static void set_up(void)
{
    static const uint8_t key[16];
    node.options.object_max = 1000;
    node.db = cache_db_new(&(struct cache_db_options){.object_max = 1000}, key);
    cache_db_begin(node.db, 1000000 * INT64_C(1000), 0); /* ms: 1000000 */
    client.node = other.node = &node;
    client.reply.version = other.reply.version = 2;
}

static void tear_down(void)
{
    command_forget(&client);
    command_forget(&other);
    ck_assert_int_eq(node.db->charged, 0); /* what clients held is given back */
    cache_db_free(node.db);
    buffer_fini(&client.reply.out);
    buffer_fini(&other.reply.out);
}

#endif
