/*
 * erlang_epmd.h: our place in the port mapper (epmd), which tells other nodes where we listen.
 *
 * Runs in erlang workers. The name is ours as long as the connection lives, so it is kept open, and made again whenever
 * it ends: epmd may come and go. Nothing here blocks (ei_publish does). What epmd says about creations is not asked
 * for: ours is in the handshake of each connection, as that of every node since OTP 23.
 */
#ifndef WORKERS_ERLANG_EPMD_H
#define WORKERS_ERLANG_EPMD_H

#include "workers/skeleton/worker.h"

struct erlang_epmd;

/*
 * Registers the part of `node` in front of the @, at 127.0.0.1 and the port of ERL_EPMD_PORT, else 4369. on_known is
 * called once: when it is known whether that went well. Ends the process when it cannot begin.
 */
struct erlang_epmd *erlang_epmd_open(struct worker *w, const char *node, uint16_t port,
                                     void (*on_known)(void *ctx), void *ctx);

/* Why we are not registered, with the remedy; NULL: we are, or it is not known yet. Lives until the loop goes on. */
const char *erlang_epmd_trouble(const struct erlang_epmd *e);

/* Accepts NULL. */
void erlang_epmd_close(struct erlang_epmd *e);

#endif
