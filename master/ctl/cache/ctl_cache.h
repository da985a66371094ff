/*
 * ctl_cache.h: what people see of caches, their nodes and objects. Pure functions from a value to text, for the verbs
 * and for tests.
 *
 * Runs in platoonctl. As ctl_render.h.
 */
#ifndef MASTER_CTL_CACHE_CTL_CACHE_H
#define MASTER_CTL_CACHE_CTL_CACHE_H

#include "master/ctl/ctl_table.h"

#include <jansson.h>

/*
 * The nodes of a cache, "" for all, of a tree (PROTOCOL.md, Control socket) in its order, an object each; also those
 * that are not READY. NULL when memory is short.
 */
json_t *ctl_cache_nodes(const json_t *root, const char *cache);

/* An array of those as a table. */
void ctl_cache_render(const json_t *nodes, size_t width, bool color, struct buffer *out);

/* The value of a get, still msgpack ({ok: bin}), with a newline. `people`: with nothing in it that a terminal obeys. */
bool ctl_cache_render_value(struct slice answer, bool people, bool *found, struct buffer *out);

struct ctl;

/* "cache-node", the cache (the verb's first word), `verb`, then the words. On 0 *body lives until the next question. */
int ctl_cache_ask(struct ctl *c, const char *verb, size_t count, const struct slice *more,
                  struct slice *body);

/* The same of one node, or, by the cache's name, of any. */
int ctl_cache_ask_node(struct ctl *c, const char *node, const char *verb, size_t count,
                       const struct slice *more, struct slice *body);

/*
 * Whom to ask for what each node has for itself: the names of the cache's nodes, an array of strings; where it has only
 * one, or none, the cache's. On 0 *names is the caller's.
 */
int ctl_cache_each(struct ctl *c, json_t **names);

/* The sum of the `count` of what each node of the cache answers. */
int ctl_cache_ask_each(struct ctl *c, const char *verb, uint64_t *count);

/* As ctl_cache_ask_node, with keys as they stand on the command line. */
int ctl_cache_ask_keys(struct ctl *c, const char *node, const char *verb, size_t count,
                       const char *const *names, struct slice *body);

int ctl_cache_print_json(struct ctl *c, struct slice body);

/* The answers of a cache's manager (CACHE.md): its ring; who has a key. */
void ctl_cache_render_ring(const json_t *ring, size_t width, bool color, struct buffer *out);
void ctl_cache_render_owner(const json_t *owner, struct buffer *out);

/* Dead letters (CACHE.md) as a table; with their values. */
void ctl_cache_render_dead(const json_t *letters, size_t width, bool color, struct buffer *out);
void ctl_cache_render_dead_data(const json_t *letters, bool color, struct buffer *out);

#endif
