/* worker_mailbox.c: the one mailbox there is. See worker_mailbox.h; nothing of the skeleton may refer to this file. */
#include "workers/skeleton/worker_mailbox.h"

#include "workers/skeleton/worker.h"

const struct worker_mailbox worker_mailbox = {
    .open = transport_new,
    .close = transport_free,
    .address = transport_address,
    .tick = transport_tick,
    .depth = transport_depth,
    .queued = transport_queued,
    .peer_new = transport_peer_new,
    .peer_free = transport_peer_free,
    .send = transport_send,
    .peer_queued = transport_peer_queued,
};
