/*
 * command_key.c: the commands about objects as such: whether they are there, and that they go.
 *
 * Runs in a cache node. What only asks (EXISTS, TYPE) leaves no trace: it neither counts as a use nor as a hit.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_options.h"

#include <stdlib.h>

/* ---- some ---- */

void command_del(struct cache_client *c, const struct slice *words, size_t count)
{
    int64_t gone = 0;
    for (size_t i = 1; i < count; i++) {
        bool was;
        if (!command_fault(c, cache_db_delete(c->node->db, words[i], &was)))
            return;
        gone += was;
    }
    resp_i64(&c->reply, gone);
}

void command_unlink(struct cache_client *c, const struct slice *words, size_t count)
{
    command_del(c, words, count);
}

static void command_count(struct cache_client *c, const struct slice *words, size_t count,
                          const struct cache_object *(*look)(struct cache_db *db, struct slice key))
{
    int64_t found = 0;
    for (size_t i = 1; i < count; i++)
        found += look(c->node->db, words[i]) != NULL;
    resp_i64(&c->reply, found);
}

void command_exists(struct cache_client *c, const struct slice *words, size_t count)
{
    command_count(c, words, count, cache_db_peek);
}

void command_touch(struct cache_client *c, const struct slice *words, size_t count)
{
    command_count(c, words, count, cache_db_read);
}

void command_type(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    resp_status(&c->reply, cache_db_peek(c->node->db, words[1]) != NULL ? "string" : "none");
}

/* ---- all ---- */

/* ASYNC and SYNC are one: nothing here is done behind the back of who asked. */
static void command_flush(struct cache_client *c, const struct slice *words, size_t count)
{
    bool known = count == 1 || (count == 2 && (command_option_is(words[1], "async") ||
                                               command_option_is(words[1], "sync")));
    if (!known)
        resp_error(&c->reply, "ERR syntax error");
    else if (c->node->options.stored)
        resp_error(&c->reply, "ERR this cache has a store: its objects are deleted by name (DEL)");
    else if (command_fault(c, cache_db_clear(c->node->db)))
        resp_status(&c->reply, "OK");
}

void command_flushdb(struct cache_client *c, const struct slice *words, size_t count)
{
    command_flush(c, words, count);
}

void command_flushall(struct cache_client *c, const struct slice *words, size_t count)
{
    command_flush(c, words, count);
}
