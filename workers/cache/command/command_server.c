/*
 * command_server.c: what is asked of a node as a server: TIME, DBSIZE, CONFIG GET, MEMORY USAGE.
 *
 * Runs in a cache node. What Redis could be told by CONFIG SET stands in platoon's configuration file, so it is only
 * read.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"
#include "common/glob.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

static void server_bulk_u64(struct cache_client *c, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    resp_text(&c->reply, text);
}

void command_time(struct cache_client *c, const struct slice *words, size_t count)
{
    struct timespec now;
    (void)words;
    (void)count;
    clock_gettime(CLOCK_REALTIME, &now);
    resp_array(&c->reply, 2);
    server_bulk_u64(c, (uint64_t)now.tv_sec);
    server_bulk_u64(c, (uint64_t)now.tv_nsec / 1000);
}

void command_dbsize(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_i64(&c->reply, (int64_t)cache_db_count(c->node->db));
}

/* ---- MEMORY ---- */

void command_memory_usage(struct cache_client *c, const struct slice *words, size_t count)
{
    int64_t samples;
    for (size_t i = 3; i < count; i += 2) {
        if (!command_is(words[i], "samples") || i + 1 == count) {
            resp_error(&c->reply, "ERR syntax error");
            return;
        }
        if (!command_i64(c, words[i + 1], &samples))
            return;
        if (samples < 0) {
            resp_error(&c->reply, "ERR syntax error");
            return;
        }
    }
    const struct cache_object *o = cache_db_peek(c->node->db, words[2]);
    if (o == NULL)
        resp_nil(&c->reply);
    else
        resp_i64(&c->reply, (int64_t)(sizeof *o + (o->expires ? sizeof(int64_t) : 0) +
                                      cache_object_key(o).len + cache_object_value(o).len));
}

/* ---- CONFIG ---- */

static size_t server_memory_max(const struct cache_node *n)
{
    return n->options.memory_max;
}

static size_t server_clients_max(const struct cache_node *n)
{
    return n->options.clients_max;
}

/* Redis' names for what a node has, and what clients ask for; the value where it is always the same. */
static const struct server_config {
    const char *name, *value;
    size_t (*number)(const struct cache_node *n);
} server_configs[] = {
    {"appendfsync", NULL, NULL},
    {"appendonly", "yes", NULL},
    {"databases", "1", NULL},
    {"maxclients", NULL, server_clients_max},
    {"maxmemory", NULL, server_memory_max},
    {"maxmemory-policy", NULL, NULL},
    {"proto-max-bulk-len", "536870912", NULL},
    {"save", "", NULL},
    {"timeout", "0", NULL},
};

#define SERVER_CONFIGS (sizeof server_configs / sizeof server_configs[0])

static const char *server_config_word(const struct cache_node *n, const struct server_config *s)
{
    static const char *const fsync[] = {
        [CACHE_LOG_EVERYSEC] = "everysec", [CACHE_LOG_ALWAYS] = "always", [CACHE_LOG_NO] = "no"};
    if (s->value != NULL)
        return s->value;
    if (strcmp(s->name, "appendfsync") == 0)
        return fsync[n->options.fsync];
    return n->options.evict ? "allkeys-lru" : "noeviction"; /* the nearest of Redis' words */
}

static bool server_is_pattern(struct slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (memchr("[*?", word.ptr[i], 3) != NULL)
            return true;
    return false;
}

/* What it is called in the answer: as it was asked for, or by a pattern its own name. Empty: it is not asked for. */
static struct slice server_asked(const struct server_config *s, const struct slice *words,
                                 size_t count)
{
    struct slice name = slice_of(s->name);
    for (size_t i = 0; i < count; i++) {
        bool pattern = server_is_pattern(words[i]);
        if (pattern ? glob_matches(words[i], name, true) : command_is(words[i], s->name))
            return pattern ? name : words[i];
    }
    return slice_of("");
}

void command_config_get(struct cache_client *c, const struct slice *words, size_t count)
{
    struct slice asked[SERVER_CONFIGS];
    size_t found = 0;
    for (size_t i = 0; i < SERVER_CONFIGS; i++) {
        asked[i] = server_asked(&server_configs[i], words + 2, count - 2);
        found += asked[i].len > 0;
    }
    resp_map(&c->reply, found);
    for (size_t i = 0; i < SERVER_CONFIGS; i++) {
        const struct server_config *s = &server_configs[i];
        if (asked[i].len == 0)
            continue;
        resp_bulk(&c->reply, asked[i]);
        if (s->number != NULL)
            server_bulk_u64(c, s->number(c->node));
        else
            resp_text(&c->reply, server_config_word(c->node, s));
    }
}
