/*
 * cache_peers.h: connections of a cache node to the other nodes of its ring: a command goes out, its answer comes back.
 *
 * Runs in a cache node of a ring. Knows nodes, addresses and words; nothing of clients, cells, or what a command does.
 *
 * A connection is opened by the first command for its node, and kept; it comes back by itself when it is lost
 * (redis_conn.h). Commands that come while there is none wait, each until its deadline. The commands for one node are
 * sent in the order in which they were given, those that waited too; those of one turn of the loop leave in one write.
 *
 * Answers need not come in that order: a command may have a number, and its answer is an array of that and of what it
 * is itself. So one that waits at its node holds none of those that were sent behind it.
 *
 * Nothing is sent twice, and nobody is told twice. What has become of a command that is not answered is told exactly:
 * as long as nothing of it has left this process, it is AWAY.
 */
#ifndef WORKERS_CACHE_PEERS_H
#define WORKERS_CACHE_PEERS_H

#include "common/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum cache_peer_result {
    CACHE_PEER_ANSWERED, /* `answer`: RESP2, as the node has said it, an error too */
    CACHE_PEER_AWAY,     /* it surely was not done: it was never sent; `why` says it */
    CACHE_PEER_UNKNOWN,  /* it was sent, and nobody knows; `why` says it */
};

/*
 * Once for each command that was taken. `answer` (empty but of ANSWERED) and `why` ("" of it, else a line for people:
 * which node, cause, remedy) live until it returns. It may call anything of this file.
 */
typedef void (*cache_peer_fn)(enum cache_peer_result result, struct slice answer, const char *why,
                              void *ctx);

/* Most bytes of `queue_max`. */
#define CACHE_PEERS_QUEUE_MAX (64u * 1024 * 1024)

/* All is copied. */
struct cache_peers_options {
    uv_loop_t *loop;
    const char *name;        /* of this node, as messages have it */
    const char *secret_file; /* NULL: none; read whenever a node is connected to */
    bool
        tls; /* to all that is not a unix socket; the host of an address must be in its certificate */
    const char *tls_ca_file;                  /* NULL: the system's */
    const char *tls_cert_file, *tls_key_file; /* what is shown to a node that asks; both, or NULL */
    uint64_t connect_timeout_ms;              /* of one attempt */
    uint64_t retry_max_ms;                    /* longest pause between two */
    /*
     * A node that owes an answer for so long is given up, with all that it was sent: longer than a node itself lets a
     * command wait, or one slow load ends the connection of all.
     */
    uint64_t silence_ms;
    size_t queue_max; /* bytes of the commands for one node that wait or are not answered yet */
    size_t reply_max; /* of one answer; a longer one is UNKNOWN, and ends the connection */
};

struct cache_peer_node {
    uint32_t incarnation;
    struct slice name; /* for people */
    struct slice
        address; /* peer_address.h; one that is none is that node's trouble, not the call's */
};

struct cache_peers;

/* Connects to nobody. NULL: memory is short, or a TLS file cannot be used: `why` says it. Blocks on these files. */
struct cache_peers *cache_peers_new(const struct cache_peers_options *o, char *why,
                                    size_t why_size);

/*
 * Closes all. Before it returns, all who wait are told: AWAY, or UNKNOWN. Memory goes when the loop has closed the
 * handles. Accepts NULL; may be called from an answer.
 */
void cache_peers_free(struct cache_peers *p);

/*
 * The nodes there are from now on. Of one that is not among them what waits is AWAY (told from the loop), and its
 * connection ends when what it was sent has been answered; of one that is at another address now what waits goes there
 * after that. Slices are copied, names cut. 0; or -ENOMEM, -EINVAL (an incarnation twice): then nothing has changed.
 */
int cache_peers_set(struct cache_peers *p, const struct cache_peer_node *nodes, size_t count);

/*
 * Sends a command of `count` words (copied) to a node. `number`: that its answer will have, no other's that is not
 * answered; 0: it has none, and comes when it is its turn.
 *
 * 0: `fn` is called once, from the loop, not before this returns, at most timeout_ms from now (and 1 ms; one that is
 * late is answered UNKNOWN, or AWAY, and its answer goes nowhere). A negative errno: it is not called: -ENOENT: there
 * is no such node; -ENOBUFS: too much waits for it; -ENOMEM; and of what can never be sent -EMSGSIZE: it is larger than
 * queue_max, -EINVAL: no words, or more than REDIS_ARGC_MAX.
 */
int cache_peers_send(struct cache_peers *p, uint32_t incarnation, uint64_t number,
                     const struct slice *words, size_t count, uint64_t timeout_ms, cache_peer_fn fn,
                     void *ctx);

/*
 * Which node cannot be reached, why, and what helps, in one line; ""; the first of several, and how many more. A
 * connection that was closed while nothing was asked, or that is being opened for the first time, is no trouble. Lives
 * until the next call.
 */
const char *cache_peers_trouble(struct cache_peers *p);

#endif
