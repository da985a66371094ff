/*
 * cache_ask_store.h: what the tool asks a cache node about its store: what is not stored, and dead letters.
 *
 * Runs in a cache node. Rows of cache_ask.c's table; each as a row there: what has to wait has done nothing.
 */
#ifndef WORKERS_CACHE_ASK_STORE_H
#define WORKERS_CACHE_ASK_STORE_H

#include "common/unpack.h"
#include "proto/control.h"
#include "workers/cache/cache_need.h"

/* One request, taken apart. */
struct cache_asked {
    struct cache_node *node;
    struct unpack args;
    uint32_t count; /* of args, none of them read */
    struct buffer *out;
    struct cache_need *need;
};

/* CONTROL_ERROR, with that line as its answer. */
enum control_status cache_ask_fail(struct cache_asked *a, const char *why);

/* A map with that count. */
enum control_status cache_ask_count(struct cache_asked *a, uint64_t count);

/* What other nodes have counted of it, 0 where none was asked. */
uint64_t cache_ask_elsewhere(const struct cache_asked *a);

enum control_status cache_ask_dump(struct cache_asked *a);
enum control_status cache_ask_dump_wait(struct cache_asked *a);
enum control_status cache_ask_dump_all(struct cache_asked *a);
enum control_status cache_ask_dirty(struct cache_asked *a);
enum control_status cache_ask_dead_list(struct cache_asked *a);
enum control_status cache_ask_dead_show(struct cache_asked *a);
enum control_status cache_ask_dead_retry(struct cache_asked *a); /* without keys: all of them */
enum control_status cache_ask_dead_drop(struct cache_asked *a);

#endif
