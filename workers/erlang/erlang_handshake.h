/*
 * erlang_handshake.h: who connects, and whether it has the cookie: libei's part of the gate.
 *
 * Runs in erlang workers. Connections are taken by the worker's loop; the handshake of each (ei_accept_tmo, which
 * blocks) runs in a thread of its own with one deadline for all of it, and its socket comes back to the loop. No other
 * file knows libei, and libei decodes nothing that comes later (erlang_term.h says why).
 *
 * Who stalls, or talks nonsense, has its place for the deadline at most; while all places are taken nobody is taken
 * from the kernel's queue. The cookie is proved by challenges in both directions, never sent.
 */
#ifndef WORKERS_ERLANG_HANDSHAKE_H
#define WORKERS_ERLANG_HANDSHAKE_H

#include "workers/erlang/erlang_term.h"
#include "workers/skeleton/worker.h"

#define ERLANG_HANDSHAKES_MAX 16   /* at once: threads */
#define ERLANG_HANDSHAKE_MS   7000 /* as long as an Erlang node waits (net_setuptime) */

struct erlang_handshake_events {
    /* A node has the cookie, and this name. The socket, which does not block, is the callee's. */
    void (*on_node)(void *ctx, int fd, struct slice name);
    /* Whether there is room for one more. */
    bool (*has_room)(void *ctx);
};

/* Of the node that we are. */
struct erlang_handshake_options {
    const char *node;   /* NAME@HOST */
    const char *listen; /* ADDRESS or ADDRESS:PORT, of IPv4 */
    const char *cookie; /* copied */
    uint32_t creation;  /* tells this incarnation from those before */
    const struct erlang_handshake_events *events;
    void *ctx;
};

struct erlang_handshakes;

/* Listens. NULL, *code: an exit code, after worker_trouble. */
struct erlang_handshakes *
erlang_handshakes_open(struct worker *w, const struct erlang_handshake_options *options, int *code);

/* Where it listens. */
uint16_t erlang_handshakes_port(const struct erlang_handshakes *h);

/* Takes connections, or goes on doing so when there is room again. */
void erlang_handshakes_accept(struct erlang_handshakes *h);

/* Once a second: says who was refused, and goes on where files were short. */
void erlang_handshakes_tick(struct erlang_handshakes *h);

/* Ends all that are under way, and waits for their threads. Accepts NULL. */
void erlang_handshakes_close(struct erlang_handshakes *h);

#endif
