/*
 * get_hash_policy.h: to which transfer the next frame goes. Pure.
 *
 * Runs in get-hash.
 */
#ifndef WORKERS_GET_HASH_POLICY_H
#define WORKERS_GET_HASH_POLICY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The index of the transfer with the fewest bytes outstanding, or -1 when none can take `frame` more bytes within
 * `window`. A frame larger than the window goes to a transfer that has nothing: else it could never go.
 */
int get_hash_choose(const size_t *outstanding, size_t count, size_t frame, size_t window);

#endif
