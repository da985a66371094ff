/*
 * http_upgrade.h: a connection that MHD does not serve any more: its socket, in our loop, until its owner ends it.
 *
 * Runs in workers that answer over HTTP (http_server.h). One that is no HTTP any more (101) stays MHD's, which closes
 * it: only here is known when it may. One whose answer has no end is taken from MHD (http_upgrade_take), and with it
 * goes the memory that MHD has for each. It is non-blocking.
 */
#ifndef COMMON_HTTP_UPGRADE_H
#define COMMON_HTTP_UPGRADE_H

#include "common/slice.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

struct http_upgraded;

struct http_upgrade_owner {
    /* The socket is here, and what came behind the question, which lives until this returns. Nothing is watched yet. */
    void (*begin)(void *ctx, struct http_upgraded *u, int fd, struct slice extra);
    /* What was waited for (http_upgraded_watch), or the end of the connection. */
    void (*ready)(void *ctx);
    /* It has ended without its owner's doing, also before it began: nothing of it is there. */
    void (*gone)(void *ctx);
    void *ctx;
};

/* All of a server. */
struct http_upgrades {
    struct http_upgraded *first;
    uv_loop_t *loop;
    void (*run)(void *ctx); /* MHD has to run once more */
    void *ctx;
    bool ending; /* none begins any more */
};

/* For a connection that is to be one. NULL: memory is short, `gone` was called. */
struct http_upgraded *http_upgrade_new(struct http_upgrades *all,
                                       const struct http_upgrade_owner *owner);

/* MHD gives the socket away. */
void http_upgrade_begin(struct http_upgraded *u, int fd, struct slice extra,
                        struct MHD_UpgradeResponseHandle *handle);
/*
 * The socket is taken from MHD instead, which has suspended the connection; then `begin` has been called, or `gone`.
 * MHD is left with one that leads nowhere, and is to end the connection: shutdown and close do not concern ours.
 */
void http_upgrade_take(struct http_upgraded *u, struct MHD_Connection *connection);
/* The connection has ended before that. */
void http_upgrade_drop(struct http_upgraded *u);

/* From now on `ready` tells this; neither: nothing. */
void http_upgraded_watch(struct http_upgraded *u, bool read, bool write);

/* Its owner ends it: nothing is told any more. From `begin` on, also within. */
void http_upgraded_end(struct http_upgraded *u);

/* The server ends: each is gone. */
void http_upgrades_end(struct http_upgrades *all);

#endif
