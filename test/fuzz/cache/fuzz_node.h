/*
 * fuzz_node.h: a cache node without a master or a log, for fuzzers: without a store, or with one that never answers.
 *
 * Included by one file of a program.
 */
#ifndef TEST_FUZZ_CACHE_FUZZ_NODE_H
#define TEST_FUZZ_CACHE_FUZZ_NODE_H

#include "workers/cache/backing/backing.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/command/command.h"

#include <stdlib.h>

#define DIRTY_MAX 4096

static const uint8_t hash_key[16] = "sixteen bytes!!";

/* ---- a store that never answers ---- */

struct backing_call {
    int nothing;
};

static int silent_put(struct backing *b, struct slice key, struct slice value,
                      const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                      void *ctx, struct backing_call **call)
{
    (void)b, (void)key, (void)value, (void)meta, (void)timeout_ms, (void)fn, (void)ctx;
    *call = malloc(sizeof **call);
    return 0;
}

static int silent_get(struct backing *b, struct slice key, uint64_t timeout_ms,
                      backing_answer_fn fn, void *ctx, struct backing_call **call)
{
    (void)b, (void)key, (void)timeout_ms, (void)fn, (void)ctx;
    *call = malloc(sizeof **call);
    return 0;
}

static void silent_cancel(struct backing_call *call)
{
    free(call);
}

static const struct backing_ops silent_ops = {
    .put = silent_put, .get = silent_get, .cancel = silent_cancel};
static struct backing silent = {.ops = &silent_ops};

/* ---- the node ---- */

static void node_begin(struct cache_node *n, uv_loop_t *loop, bool stored)
{
    struct cache_db_options db = {.memory_max = (size_t)8 << 20,
                                  .object_max = 1024,
                                  .dirty_max = DIRTY_MAX,
                                  .evict = true,
                                  .stored = stored};
    struct cache_park_options park = {.node = n,
                                      .backing = &silent,
                                      .hash_key = hash_key,
                                      .timeout_ms = 1000,
                                      .retry_max_ms = 100,
                                      .parallel = 8};
    *n = (struct cache_node){.loop = loop, .commands = command_all()};
    n->options = (struct cache_node_options){.name = "cache/fuzz/node.1",
                                             .memory_max = db.memory_max,
                                             .object_max = db.object_max,
                                             .clients_max = 8,
                                             .fsync = CACHE_LOG_NO,
                                             .evict = true,
                                             .stored = stored};
    n->db = cache_db_new(&db, hash_key);
    n->read = malloc(CACHE_READ_SIZE);
    if (n->db == NULL || n->read == NULL || cache_turn_start(&n->turn, n) != 0)
        abort();
    if (!stored)
        return;
    n->park = cache_park_new(&park);
    struct cache_behind_options behind = {.write_delay_ms = 3600000,
                                          .retry_max_ms = 100,
                                          .timeout_ms = 60000,
                                          .parallel = 8,
                                          .on_change = cache_park_changed,
                                          .on_stored = cache_park_passed,
                                          .ctx = n->park};
    n->behind = cache_behind_new(loop, n->db, &silent, &behind);
    if (n->park == NULL || n->behind == NULL)
        abort();
}

static void node_end(struct cache_node *n)
{
    cache_client_end_all(n);
    if (n->behind != NULL) {
        cache_behind_free(n->behind);
        cache_park_free(n->park);
    }
    cache_turn_stop(&n->turn);
    uv_run(n->loop, UV_RUN_DEFAULT);
    cache_turn_free(&n->turn);
    cache_db_free(n->db);
    free(n->read);
}

/* Begun by the first who asks. */
static uv_loop_t *node_loop(void)
{
    static uv_loop_t loop;
    if (loop.data == NULL && uv_loop_init(&loop) != 0)
        abort();
    loop.data = &loop;
    return &loop;
}

#endif
