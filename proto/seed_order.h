/*
 * seed_order.h: what the master and a seed say to each other: a worker program of ours that is started once and forks
 * the workers of its type (master/process/seed.h, workers/skeleton/worker_seed.c).
 *
 *     master                                   seed
 *     exec with CONTRACT_ENV_SEED         -->
 *                                         <--  HELLO (version, or SEED_UNABLE)
 *     ORDER (name, generation, log level)
 *       with the worker's link and output -->  forks the master's child
 *                                         <--  ANSWER (its pid, 0), or (0, errno)
 *
 * Each message is one packet of descriptor 3 (SOCK_SEQPACKET), a msgpack array. Its end means the other side is dead.
 * That the child answers itself, whose pid the kernel would vouch for (SO_PASSCRED), was rejected: on a busy machine it
 * takes milliseconds until one that has just been forked runs.
 */
#ifndef PROTO_SEED_ORDER_H
#define PROTO_SEED_ORDER_H

#include "common/buffer.h"
#include "common/slice.h"

#include <stdint.h>

/* Another one is a seed of another build: it is not used. */
#define SEED_VERSION 1

/* Instead of it, from one that cannot fork here, nor can its successors (worker_seed.c says of what). */
#define SEED_UNABLE 0

/* Longest packet. */
#define SEED_PACKET_MAX 256

/* Descriptors that come with an order. */
enum { SEED_FD_LINK, SEED_FD_OUTPUT, SEED_FDS };

struct seed_order {
    struct slice name; /* of the worker */
    uint64_t generation;
    struct slice log_level;
};

void seed_hello_pack(struct buffer *out, uint64_t version);
bool seed_hello_unpack(struct slice packet, uint64_t *version);

/* Slices point into the packet. */
void seed_order_pack(struct buffer *out, const struct seed_order *order);
bool seed_order_unpack(struct slice packet, struct seed_order *order);

/* The worker; or 0, and the errno of what has failed. */
struct seed_answer {
    uint64_t pid, error;
};

/* Neither is more than an int holds. */
void seed_answer_pack(struct buffer *out, const struct seed_answer *answer);
bool seed_answer_unpack(struct slice packet, struct seed_answer *answer);

#endif
