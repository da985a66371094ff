/*
 * cache_listen.h: where a cache node listens.
 *
 * Runs in a cache node. Several addresses, unix and TCP; each new connection becomes a client, unless there are too
 * many: in a ring a few more, for its nodes, and who turns out to be none is ended. Short of files it pauses, and says
 * so, instead of spinning.
 */
#ifndef WORKERS_CACHE_LISTEN_H
#define WORKERS_CACHE_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define CACHE_LISTEN_MAX 16 /* addresses */

#define CACHE_LISTEN_PATH_SIZE 112

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

/* Once a second: goes on after a pause. */
void cache_listen_tick(struct cache_node *n);

/* Takes no more connections; its handles close while the loop goes on. */
void cache_listen_stop(struct cache_node *n);

#endif
