/*
 * cache_listen.h: where a cache node listens.
 *
 * Runs in a cache node. Several addresses, unix and TCP; each new connection becomes a client, unless there are too
 * many: in a ring a few more, for its nodes, and who turns out to be none is ended. Short of files it pauses, and says
 * so, instead of spinning.
 */
#ifndef WORKERS_CACHE_LISTEN_H
#define WORKERS_CACHE_LISTEN_H

#include "common/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define CACHE_LISTEN_MAX 16 /* addresses */

#define CACHE_LISTEN_PATH_SIZE 112

struct cache_client;
struct cache_node;

struct cache_listener {
    struct cache_node *node;
    uv_poll_t poll;
    int fd;
    char path[CACHE_LISTEN_PATH_SIZE]; /* of a unix socket; "": TCP */
    bool paused;
};

struct cache_listen {
    struct cache_listener at[CACHE_LISTEN_MAX];
    size_t count;
    int error; /* why it pauses: negative errno; 0: it does not */
};

/*
 * Listens on each of the blank-separated addresses, quoted where one has a blank. 0, or a negative errno with one line
 * in `why`: address, cause, remedy.
 */
int cache_listen_start(struct cache_node *n, const char *addresses, char *why, size_t why_size);

/* Whether the next one is above clients_max: it is kept as long as it may be another node's. */
bool cache_listen_is_above(const struct cache_node *n);

/* Its next command begins with that word. False: it is no node, the error is written, and it ends. */
bool cache_listen_keeps(struct cache_client *c, struct slice word);

/* Once a second: goes on after a pause; ends who is above clients_max and has not shown that it is a node. */
void cache_listen_tick(struct cache_node *n);

/* Takes no more connections; its handles close while the loop goes on. */
void cache_listen_stop(struct cache_node *n);

#endif
