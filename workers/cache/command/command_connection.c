/*
 * command_connection.c: what a client says of its connection: PING ECHO AUTH HELLO SELECT QUIT RESET READONLY
 * READWRITE.
 *
 * Runs in a cache node.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_client.h"
#include "workers/cache/command/command_list.h"

#include <limits.h>
#include <stdlib.h>

#define CONNECTION_USER "default" /* there is one user, and one secret */

void command_ping(struct cache_client *c, const struct slice *words, size_t count)
{
    if (count > 2)
        resp_error(&c->reply, "ERR wrong number of arguments for 'ping' command");
    else if (count == 2)
        resp_bulk(&c->reply, words[1]);
    else
        resp_status(&c->reply, "PONG");
}

void command_echo(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    resp_bulk(&c->reply, words[1]);
}

/* ---- who is it ---- */

/* In a time that does not tell how much of it was right. */
static bool connection_is_secret(const char *secret, struct slice word)
{
    size_t len = strlen(secret);
    unsigned differs = len != word.len;
    for (size_t i = 0; i < word.len; i++)
        differs |= (unsigned char)(word.ptr[i] ^ secret[i % (len + 1)]);
    return differs == 0;
}

/* False: the error is written, and the client stays what it was. */
static bool connection_trust(struct cache_client *c, struct slice user, struct slice password)
{
    const char *secret = c->node->options.secret;
    if (slice_is(user, CONNECTION_USER) &&
        (secret == NULL || connection_is_secret(secret, password))) {
        c->trusted = true;
        return true;
    }
    c->node->counts.auth_failures++;
    resp_error(&c->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void command_auth(struct cache_client *c, const struct slice *words, size_t count)
{
    if (count > 3)
        resp_error(&c->reply, "ERR syntax error");
    else if (count == 2 && c->node->options.secret == NULL)
        resp_error(&c->reply,
                   "ERR AUTH <password> called without any password configured for the default "
                   "user. Are you sure your configuration is correct?");
    else if (connection_trust(c, count == 3 ? words[1] : slice_of(CONNECTION_USER),
                              words[count - 1]))
        resp_status(&c->reply, "OK");
}

/* False: the error is written. */
static bool connection_hello_version(struct cache_client *c, struct slice word, int64_t *version)
{
    if (!command_read_i64(word, version)) {
        resp_error(&c->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (*version < 2 || *version > 3) {
        resp_error(&c->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    return true;
}

/* Each holds when it is read, whatever stands behind it: as redis-server 7.0 has it. False: the error is written. */
static bool connection_hello_options(struct cache_client *c, const struct slice *words,
                                     size_t count)
{
    for (size_t i = 2; i < count; i++) {
        if (command_is(words[i], "AUTH") && i + 2 < count) {
            if (!connection_trust(c, words[i + 1], words[i + 2]))
                return false;
            i += 2;
        } else if (command_is(words[i], "SETNAME") && i + 1 < count) {
            i++;
            if (!command_client_may_be(c, words[i]) || !command_client_name(c, words[i]))
                return false;
        } else {
            resp_error(&c->reply, "ERR Syntax error in HELLO option '%.*s'",
                       (int)strnlen(words[i].ptr, words[i].len), words[i].ptr);
            return false;
        }
    }
    return true;
}

static void connection_answer_hello(struct cache_client *c)
{
    resp_map(&c->reply, 7);
    resp_text(&c->reply, "server");
    resp_text(&c->reply, "redis");
    resp_text(&c->reply, "version");
    resp_text(&c->reply, CACHE_REDIS_VERSION);
    resp_text(&c->reply, "proto");
    resp_i64(&c->reply, c->reply.version);
    resp_text(&c->reply, "id");
    resp_i64(&c->reply, (int64_t)c->id);
    resp_text(&c->reply, "mode");
    resp_text(&c->reply, "standalone");
    resp_text(&c->reply, "role");
    resp_text(&c->reply, "master");
    resp_text(&c->reply, "modules");
    resp_array(&c->reply, 0);
}

void command_hello(struct cache_client *c, const struct slice *words, size_t count)
{
    int64_t version = c->reply.version;
    if ((count > 1 && !connection_hello_version(c, words[1], &version)) ||
        !connection_hello_options(c, words, count))
        return;
    if (!c->trusted) {
        resp_error(
            &c->reply,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
            "HELLO AUTH <user> <pass> option can be used to authenticate the client "
            "and select the RESP protocol version at the same time");
        return;
    }
    c->reply.version = (int)version;
    connection_answer_hello(c);
}

/* ---- what it is like ---- */

/* There is one database: several would need as many prefixes in the store. */
void command_select(struct cache_client *c, const struct slice *words, size_t count)
{
    int64_t index;
    (void)count;
    if (!command_i64(c, words[1], &index))
        return;
    if (index < INT_MIN || index > INT_MAX)
        resp_error(&c->reply, "ERR value is out of range, value must between %d and %d", INT_MIN,
                   INT_MAX);
    else if (index != 0)
        resp_error(&c->reply, "ERR DB index is out of range");
    else
        resp_status(&c->reply, "OK");
}

void command_quit(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_status(&c->reply, "OK");
    cache_turn_end(c, false);
}

void command_reset(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    command_forget(c);
    c->reply.version = 2;
    c->trusted = c->node->options.secret == NULL;
    free(c->name);
    c->name = NULL;
    c->readonly = c->reply_off = c->reply_skip_next = false;
    resp_status(&c->reply, "RESET");
}

void command_readonly(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    c->readonly = true;
    resp_status(&c->reply, "OK");
}

void command_readwrite(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    c->readonly = false;
    resp_status(&c->reply, "OK");
}
