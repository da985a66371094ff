/*
 * erlang_peer.h: the nodes that are connected, and what is read from and written to them.
 *
 * Runs in erlang workers. A connection after its handshake: frames both ways (common/stream.h), a tick whenever nothing
 * was written for a quarter of net_ticktime, and an end when nothing was heard for longer than that. A node has one
 * connection: a new one of its name ends the old one, which it knows nothing of any more.
 *
 * Who asks for more than is answered is not read meanwhile: its own node holds its processes back then. Who does not
 * read what it has asked for is ended at ERLANG_QUEUE_MAX.
 */
#ifndef WORKERS_ERLANG_PEER_H
#define WORKERS_ERLANG_PEER_H

#include "common/stream.h"
#include "workers/erlang/erlang_control.h"
#include "workers/skeleton/worker.h"

#define ERLANG_PEERS_MAX 128
#define ERLANG_FRAME_MAX ((size_t)40 << 20) /* above any object, as a list of its bytes too */
#define ERLANG_QUEUE_MAX ((size_t)64 << 20) /* bytes that wait to be written to one */
#define ERLANG_CALLS_MAX 64u                /* of one, under way */
#define ERLANG_TICK_MS   15000u             /* a quarter of net_ticktime's default */

struct erlang_peer;
struct erlang_peers;

struct erlang_peers_events {
    /* A message for us, of the node of this name. Lives until the call returns. */
    void (*on_message)(void *ctx, struct erlang_peer *from, const struct erlang_control *message);
    /* Whether nobody should be read now. */
    bool (*is_full)(void *ctx);
    /* One has gone: there is room for another. */
    void (*on_room)(void *ctx);
};

/* None yet. Ends the process when memory is short. */
struct erlang_peers *erlang_peers_new(struct worker *w, const struct erlang_peers_events *events,
                                      void *ctx);

/* Ends all. Accepts NULL. */
void erlang_peers_close(struct erlang_peers *all);

size_t erlang_peers_count(const struct erlang_peers *all);

/* Takes a connection over, socket and all. */
void erlang_peers_add(struct erlang_peers *all, int fd, struct slice name);

/* Sends a message (a term) to a process of a node. False: the node is not connected, or was ended for its silence. */
bool erlang_peers_send(struct erlang_peers *all, struct slice node, struct slice pid,
                       struct slice message);

const char *erlang_peer_name(const struct erlang_peer *p);

/* Names the connection; of another one for 2^32 connections. */
uint32_t erlang_peer_lane(const struct erlang_peer *p);

/* It has asked for one thing more, or one of what it asked for is over. */
void erlang_peer_asks(struct erlang_peer *p);
void erlang_peers_over(struct erlang_peers *all, uint32_t lane);

/* Once a second: ticks, and ends whom nothing is heard of. */
void erlang_peers_tick(struct erlang_peers *all);

#endif
