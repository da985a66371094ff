/*
 * cache_call.h: what workers and actors call a cache node for, as text: CACHE.md, Calls.
 *
 * Runs in a cache node. Text in, text out: who called, and when the answer may go, is cache_mail.c's. It reads what
 * anybody may send, in memory of some times its size (MESSAGE_FRAME_MAX), and answers every call with one text.
 */
#ifndef WORKERS_CACHE_CALL_H
#define WORKERS_CACHE_CALL_H

#include "common/buffer.h"

struct cache_need;
struct cache_node;

/*
 * Does what one call asks for, and writes what to say: {"ok":…}, {"ko":true}; or, false, why not, a JSON string of one
 * line. Without memory for the text, `out` has failed: and nothing was done. False with need->waits: neither was
 * anything, and it is to be called again when it has waited.
 */
bool cache_call(struct cache_node *n, struct slice text, struct buffer *out,
                struct cache_need *need);

#endif
