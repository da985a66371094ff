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

/* The same with keys as they stand on the command line. */
int ctl_cache_ask_keys(struct ctl *c, const char *verb, size_t count, const char *const *names,
                       struct slice *body);

int ctl_cache_print_json(struct ctl *c, struct slice body);

/* The answers of a cache's manager (CACHE.md): its ring; who has a key. */
void ctl_cache_render_ring(const json_t *ring, size_t width, bool color, struct buffer *out);
void ctl_cache_render_owner(const json_t *owner, struct buffer *out);

/* Dead letters (CACHE.md) as a table; with their values. */
void ctl_cache_render_dead(const json_t *letters, size_t width, bool color, struct buffer *out);
void ctl_cache_render_dead_data(const json_t *letters, bool color, struct buffer *out);

#endif
