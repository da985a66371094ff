/*
 * delivery.h: how an error begins that says what has become of a delivery (worker_deliver, `queue deliver`).
 *
 * Read by whoever delivers: what is surely not queued may go elsewhere, what is unknown may not.
 */
#ifndef PROTO_DELIVERY_H
#define PROTO_DELIVERY_H

/* Certain, whoever says it: another server may be given the message. Any other error leaves it open. */
#define DELIVERY_NOT_QUEUED "the message is not queued"
#define DELIVERY_UNKNOWN    "whether the message is queued is unknown"

#endif
