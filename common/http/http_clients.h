/*
 * http_clients.h: who is connected to a server (http_server.h), and for how long.
 *
 * Runs in workers that answer over HTTP; only http_server.c uses it. A probe must find a place whatever others do:
 * each request has a deadline of its own, from the connection's begin or its last answer until it has come whole,
 * another one to read the answer (in between the server's own counts), and when the
 * places are taken, whoever has waited longest with nothing asked goes for who comes. It must not matter who comes
 * again at once. It must not be a time-out of idleness: a byte every now and then keeps that away.
 */
#ifndef COMMON_HTTP_CLIENTS_H
#define COMMON_HTTP_CLIENTS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CLIENTS_MAX 256

/* Room for who comes while nobody may be closed yet. */
#define HTTP_CLIENTS_RESERVE 256

struct http_peer;

struct http_clients {
    struct http_peer *first, *last; /* in order of `since_ms`: who has waited longest first */
    size_t count;                   /* that have not been told to go */
    uint64_t turn;                  /* counts MHD's turns: in two it has read who came before */
    bool
        closed; /* one has: MHD listens again only in its next turn, and nothing else may bring that about */
};

/* MHD_OPTION_NOTIFY_CONNECTION, ctx being a struct http_clients. */
void http_clients_notify(void *ctx, struct MHD_Connection *connection, void **place,
                         enum MHD_ConnectionNotificationCode how);

/* It waits for its answer; it has its answer to read; the answer has left, so that its time begins anew. */
void http_peer_asked(struct MHD_Connection *connection);
void http_peer_reads(const struct http_clients *clients, struct MHD_Connection *connection);
void http_peer_answered(struct http_clients *clients, struct MHD_Connection *connection);

/* Its answer has no end (http_stream.h): until http_peer_answered it takes no place here, and has no deadline. */
void http_peer_streams(struct http_clients *clients, struct MHD_Connection *connection);

/* Closes those whose time is over. Returns the milliseconds until it must be called again; UINT64_MAX: no need. */
uint64_t http_clients_expire(struct http_clients *clients);

#endif
