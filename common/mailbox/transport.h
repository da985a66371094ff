/*
 * transport.h: mailboxes: frames from many senders to one receiver, over nanomsg.
 *
 * Runs in every worker that has a mailbox. The only file that names nanomsg is transport.c. A mailbox is a bound
 * PULL at ipc://DIR/mbox/<id>.<generation>; a peer is a connected PUSH. The address holds the incarnation because
 * a nanomsg 1.1.5 connect side can wedge for ever when its peer dies right after the handshake (FACTS.md 1.3): a
 * new incarnation means a new socket. What is sent to one peer within one turn of the loop leaves as one frame, up
 * to a size, without a timer.
 *
 * A frame that was accepted can still vanish, with the connection or in a sendmsg that failed. Frames are
 * numbered so that the receiver can see it: transport_tick follows what was sent by empty frames, so that
 * the last one is missed too.
 */
#ifndef COMMON_TRANSPORT_H
#define COMMON_TRANSPORT_H

#include "common/buffer.h"

#include <uv.h>

struct transport;
struct transport_peer;

struct transport_options {
    const char *dir; /* RUNTIME_DIR/mbox; exists, 0700 */
    const char *id;  /* file name part: the worker's name with '/' replaced */
    uint64_t generation;
    size_t frame_max; /* longest frame in or out */
    size_t coalesce;  /* a frame leaves early when it has grown to this */
    size_t queue_max; /* most bytes waiting for one peer */
    /*
     * Writes what every frame starts with, at most envelope_max bytes; `number` counts the frames to this peer from 0,
     * `proof` is what the peer was opened with.
     */
    void (*put_envelope)(struct buffer *out, uint64_t number, uint64_t proof, void *ctx);
    size_t envelope_max;
    void (*on_frame)(struct slice frame, void *ctx); /* bytes live until it returns */
    void *ctx;
};

/*
 * Binds the mailbox and starts receiving. On 0 *out is the caller's to free with transport_free. Errors:
 * -ENAMETOOLONG when the address would exceed what a unix socket path can hold (nanomsg would abort), or nanomsg's
 * errno, negative. Starts one thread.
 */
int transport_new(uv_loop_t *loop, const struct transport_options *options, struct transport **out);

/* Where peers reach us: "ipc:///…". */
const char *transport_address(const struct transport *t);

/*
 * Stops, closes every socket, unlinks the mailbox. Accepts NULL. What is queued is lost. The loop
 * must run once more after.
 */
void transport_free(struct transport *t);

/*
 * Opens a peer. NULL, with errno, when the address is unusable (EINVAL) or the machine is short of something.
 * transport_peer_free closes it, dropping what is queued.
 */
struct transport_peer *transport_peer_new(struct transport *t, const char *address, uint64_t proof);
void transport_peer_free(struct transport_peer *p);

/*
 * Adds one message to the peer's current frame. 0; -EMSGSIZE when it cannot fit into a frame; -ENOBUFS when queue_max
 * is reached; -ENOMEM. A message is never split.
 */
int transport_send(struct transport_peer *p, struct slice message);

/*
 * Sends what is pending to this peer now as far as the pipe takes it; the loop does it by itself
 * at the end of each turn.
 */
void transport_flush(struct transport_peer *p);

/* Now and then: an empty frame to each peer that has been sent something since the one before the last call. */
void transport_tick(struct transport *t);

/*
 * Most frames found waiting in the mailbox at once since the last call; at most what one turn of the loop takes (64).
 */
size_t transport_depth(struct transport *t);

/* Bytes accepted and not yet handed to the pipe, over all peers; of one. */
size_t transport_queued(const struct transport *t);
size_t transport_peer_queued(const struct transport_peer *p);

#endif
