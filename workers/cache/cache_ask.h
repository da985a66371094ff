/*
 * cache_ask.h: what a cache node answers to `ask`: CACHE.md, What a node answers to `ask`.
 *
 * Runs in a cache node. msgpack in, msgpack out; who asked, and when the answer may go, is cache_mail.c's.
 */
#ifndef WORKERS_CACHE_ASK_H
#define WORKERS_CACHE_ASK_H

#include "common/buffer.h"
#include "proto/control.h"

struct cache_need;
struct cache_node;

/*
 * The answer: with CONTROL_OK msgpack; else one line that says what went wrong. `out` may have failed for
 * memory. With need->waits it is none: nothing was done, and it is to be asked again when it has waited.
 */
enum control_status cache_ask(struct cache_node *n, struct slice verb, struct slice args,
                              struct buffer *out, struct cache_need *need);

#endif
