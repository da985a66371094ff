/*
 * command_scan.c: the commands that look at keys without naming them. They tell of this node's memory, of nothing else.
 *
 * Runs in a cache node.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_options.h"
#include "common/glob.h"

#include <stdio.h>

/* Keys that are wanted, as the bulks of a reply whose number is known last. */
struct command_keys {
    struct resp_reply reply;
    struct slice pattern;
    bool any, none; /* no pattern is asked for; nothing can be found */
    size_t seen, found;
};

static void command_on_key(const struct cache_object *o, void *ctx)
{
    struct command_keys *keys = ctx;
    struct slice key = cache_object_key(o);
    keys->seen++;
    if (keys->none || (!keys->any && !glob_matches(keys->pattern, key, false)))
        return;
    keys->found++;
    resp_bulk(&keys->reply, key);
}

/* "*" alone is no pattern: as such it would not match the empty key. */
static void command_keys_like(struct command_keys *keys, struct slice pattern)
{
    keys->pattern = pattern;
    keys->any = slice_is(pattern, "*");
}

static struct command_keys command_keys_new(const struct cache_client *c)
{
    return (struct command_keys){.reply = {.version = c->reply.version, .max = c->reply.max},
                                 .any = true};
}

static void command_keys_end(struct cache_client *c, struct command_keys *keys)
{
    resp_array(&c->reply, keys->found);
    buffer_append_slice(&c->reply.out, buffer_slice(&keys->reply.out));
    if (!buffer_ok(&keys->reply.out))
        c->reply.out.failed = true;
    buffer_fini(&keys->reply.out);
}

/* ---- KEYS, RANDOMKEY ---- */

void command_keys(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    struct command_keys keys = command_keys_new(c);
    uint64_t cursor = 0;
    command_keys_like(&keys, words[1]);
    do
        cursor = cache_db_scan(c->node->db, cursor, command_on_key, &keys);
    while (cursor != 0);
    command_keys_end(c, &keys);
}

/* splitmix64: spread evenly; nobody gains anything from guessing it. */
static uint64_t command_random(void)
{
    static uint64_t state;
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void command_randomkey(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    const struct cache_object *o = cache_db_random(c->node->db, command_random());
    if (o != NULL)
        resp_bulk(&c->reply, cache_object_key(o));
    else
        resp_nil(&c->reply);
}

/* ---- SCAN ---- */

#define COMMAND_SCAN_COUNT 10
#define COMMAND_SCAN_EMPTY                                                                         \
    10 /* buckets a key asked for: a table that has been emptied is not walked to its end */

/* As strtoul takes it, because Redis does: a sign, also nothing; but no blanks before it. */
static bool command_cursor(struct slice word, uint64_t *cursor)
{
    size_t len = strnlen(word.ptr, word.len), i = 0;
    bool negative = len > 0 && word.ptr[0] == '-';
    *cursor = 0;
    if (len == 0)
        return true;
    if (negative || word.ptr[0] == '+')
        i++;
    if (i == len)
        return false;
    for (; i < len; i++) {
        unsigned digit = (unsigned char)word.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(*cursor, UINT64_C(10), cursor) ||
            __builtin_add_overflow(*cursor, digit, cursor))
            return false;
    }
    if (negative)
        *cursor = 0 - *cursor;
    return true;
}

static bool command_scan_option(struct cache_client *c, const struct slice *words,
                                struct command_keys *keys, int64_t *most)
{
    if (command_option_is(words[0], "match")) {
        command_keys_like(keys, words[1]);
    } else if (command_option_is(words[0], "type")) {
        keys->none = !command_option_is(words[1], "string");
    } else if (command_option_is(words[0], "count")) {
        if (!command_i64(c, words[1], most))
            return false;
        if (*most >= 1)
            return true;
        resp_error(&c->reply, "ERR syntax error");
        return false;
    } else {
        resp_error(&c->reply, "ERR syntax error");
        return false;
    }
    return true;
}

static bool command_scan_options(struct cache_client *c, const struct slice *words, size_t count,
                                 struct command_keys *keys, int64_t *most)
{
    for (size_t i = 2; i < count; i += 2) {
        if (count - i < 2) {
            resp_error(&c->reply, "ERR syntax error");
            return false;
        }
        if (!command_scan_option(c, words + i, keys, most))
            return false;
    }
    return true;
}

void command_scan(struct cache_client *c, const struct slice *words, size_t count)
{
    struct command_keys keys = command_keys_new(c);
    int64_t most = COMMAND_SCAN_COUNT;
    uint64_t cursor;
    if (!command_cursor(words[1], &cursor)) {
        resp_error(&c->reply, "ERR invalid cursor");
        return;
    }
    if (!command_scan_options(c, words, count, &keys, &most))
        return;
    uint64_t buckets = (uint64_t)most > UINT64_MAX / COMMAND_SCAN_EMPTY
                           ? UINT64_MAX
                           : (uint64_t)most * COMMAND_SCAN_EMPTY;
    do
        cursor = cache_db_scan(c->node->db, cursor, command_on_key, &keys);
    while (cursor != 0 && --buckets > 0 && keys.seen < (uint64_t)most);
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    resp_array(&c->reply, 2);
    resp_text(&c->reply, text);
    command_keys_end(c, &keys);
}
