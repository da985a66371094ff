/*
 * health_clients.h: who is connected to the health worker, and for how long.
 *
 * Runs in the health worker. A probe must find a place whatever others do: each request has a deadline of its own, from
 * the connection's begin or its last answer to the next, and when the places are taken, whoever has waited longest with
 * nothing asked goes for who comes. It must not matter who comes again at once. It must not be a time-out of idleness:
 * a byte every now and then keeps that away.
 */
#ifndef WORKERS_HEALTH_CLIENTS_H
#define WORKERS_HEALTH_CLIENTS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_CLIENTS_MAX 256

/* Room for who comes while nobody may be closed yet. */
#define HEALTH_CLIENTS_RESERVE 256

struct health_client;

struct health_clients {
    struct health_client *first, *last; /* in order of `since_ms`: who has waited longest first */
    size_t count;                       /* that have not been told to go */
    uint64_t turn;                      /* counts MHD's turns: in two it has read who came before */
    bool
        closed; /* one has: MHD listens again only in its next turn, and nothing else may bring that about */
};

/* MHD_OPTION_NOTIFY_CONNECTION, ctx being a struct health_clients. */
void health_clients_notify(void *ctx, struct MHD_Connection *connection, void **place,
                           enum MHD_ConnectionNotificationCode how);

/* It waits for the master; it has its answer to read; the answer has left, so that its time begins anew. */
void health_client_asked(struct MHD_Connection *connection);
void health_client_reads(const struct health_clients *clients, struct MHD_Connection *connection);
void health_client_answered(struct health_clients *clients, struct MHD_Connection *connection);

/* Closes those whose time is over. Returns the milliseconds until it must be called again; UINT64_MAX: no need. */
uint64_t health_clients_expire(struct health_clients *clients);

#endif
