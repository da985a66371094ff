/*
 * web_subscriber.h: one who reads the changes of a store: over server-sent events, or over a WebSocket.
 *
 * web_subscriber.c  its end, and what it was told
 * web_stream.c      what it asks for, and who is woken when
 * web_socket.c      its socket
 *
 * Both read by a web_reader.h: a cursor into one journal.
 */
#ifndef WORKERS_SNAPSHOT_WEB_SUBSCRIBER_H
#define WORKERS_SNAPSHOT_WEB_SUBSCRIBER_H

#include "workers/snapshot/web/web_private.h"
#include "workers/snapshot/web/web_reader.h"

struct web_socket;

struct web_subscriber {
    struct web_subscriber *prev, *next;
    struct web_served *s;
    struct web_reader *reader;
    struct web_socket *socket;
    uint64_t said_ms; /* when it was last told something */
    uint64_t events, resyncs;
};

/* ---- web_subscriber.c ---- */

/* It was told something. */
void web_subscriber_said(struct web_subscriber *b);
/* Its connection is over: it goes, and its reader. */
void web_subscriber_gone(struct web_subscriber *b);

/* ---- web_socket.c ---- */

/* The request wants to become a WebSocket. */
bool web_socket_is_asked(struct http_request *r);
/* And says all that it takes. False: the request was answered. */
bool web_socket_admits(struct http_request *r);

/* Answers it with messages told apart so. Whatever becomes of it, web_subscriber_gone follows once. */
void web_socket_answer(struct web_subscriber *b, struct http_request *r,
                       const struct web_framing *framing);

/* It ends at once, in the midst of whatever it is told. The subscriber is gone behind it. */
void web_socket_break(struct web_socket *socket);

/* There may be something to tell; also once a second, for who is waited for. The subscriber may be gone behind it. */
void web_socket_wake(struct web_socket *socket);
/* It is to take something, or to end. */
bool web_socket_is_waited_for(const struct web_socket *socket);

#endif
