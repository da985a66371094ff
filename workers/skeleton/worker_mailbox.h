/*
 * worker_mailbox.h: the transport (common/mailbox/transport.h) as the skeleton sees it.
 *
 * Runs in the worker. A table of pointers and not plain calls: a type without a mailbox then refers to nothing
 * of nanomsg, and is linked without it. Loading that library was a sixth of a light worker's start, which is
 * most of what a restart costs.
 */
#ifndef WORKERS_WORKER_MAILBOX_H
#define WORKERS_WORKER_MAILBOX_H

#include "common/mailbox/transport.h"

struct worker_mailbox {
    int (*open)(uv_loop_t *loop, const struct transport_options *options, struct transport **out);
    void (*close)(struct transport *t);
    const char *(*address)(const struct transport *t);
    void (*tick)(struct transport *t);
    size_t (*depth)(struct transport *t);
    size_t (*queued)(const struct transport *t);
    struct transport_peer *(*peer_new)(struct transport *t, const char *address, uint64_t proof);
    void (*peer_free)(struct transport_peer *p);
    int (*send)(struct transport_peer *p, struct slice message);
    size_t (*peer_queued)(const struct transport_peer *p);
};

#endif
