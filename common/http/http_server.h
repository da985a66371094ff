/*
 * http_server.h: questions over HTTP, answered at once or later, in a loop of ours.
 *
 * Runs in workers that answer over HTTP (health). libmicrohttpd without a thread of its own: its epoll is watched
 * by our loop. Places are bounded and nobody keeps one by being slow (http_clients.h): each request has 10 s to
 * come whole, an answer as long to be read; answers without an end have bounds of their own (http_stream.h). No TLS:
 * that is a proxy's. It never blocks.
 */
#ifndef COMMON_HTTP_SERVER_H
#define COMMON_HTTP_SERVER_H

#include "common/buffer.h"
#include "common/http/http_clients.h"
#include "common/http/http_stream.h"
#include "common/http/http_upgrade.h"

#include <uv.h>

/* One question. Lives until it is answered: who has answered, or stopped the server, must not touch it any more. */
struct http_request;

struct http_server_options {
    uv_loop_t *loop;
    int fd; /* listens (listen_address_open); the server's once it has been started */
    size_t
        body_max; /* a larger body is read over and answered 413; 0: no body is kept, of whatever size it is */
    size_t
        bodies_max; /* bytes of all bodies that are here; who brings more is answered 503; 0: any */
    uint64_t answer_ms; /* who has no answer after so long is answered by `late` */
    size_t streams_max; /* answers without an end, besides; 0: none */
    uint64_t stall_ms;  /* their readers' (http_stream.h); 0: HTTP_STREAM_STALL_MS */
    size_t pool;        /* bytes a connection has for its head, and to write from; 0: 16 KB */
    /* A question is here, whole: answer it, or keep it and answer it later. */
    void (*handle)(void *ctx, struct http_request *r);
    void (*late)(void *ctx, struct http_request *r); /* must answer it */
    /*
     * A question that is not for `handle`: its body is too large (413), memory is short (503), or its length is said
     * twice (400: who asks through a proxy could hide another question behind it). Must answer it; NULL: the text is.
     */
    void (*refuse)(void *ctx, struct http_request *r, unsigned status, const char *text);
    void *ctx;
};

/* Lies in its owner's memory, which must outlive the loop's handles. Nothing of it is for others. */
struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t again; /* MHD has more to do at once */
    struct http_request *requests;
    struct http_clients clients;
    struct http_streams streams;
    struct http_upgrades upgrades;
    size_t bodies; /* bytes */
    bool ending;   /* nobody is suspended any more */
};

/*
 * 0; -ENOMEM: MHD cannot start, the descriptor is the caller's; another negative errno: the loop cannot watch it,
 * and it is to be stopped. `s` is all zeros before.
 */
int http_server_start(struct http_server *s, const struct http_server_options *options);

/*
 * Ends it, also one that was never started. Who waits is told nothing more (503). The handles are stopped, not
 * closed: a loop that is to be closed closes them (uv_walk).
 */
void http_server_stop(struct http_server *s);

/* What is asked. Texts live as long as the request. `path` has no query and is not decoded beyond %XX. */
const char *http_request_method(const struct http_request *r);
const char *http_request_path(const struct http_request *r);
const char *http_request_query(const struct http_request *r, const char *name); /* NULL: none */
bool http_request_has_query(const struct http_request *r,
                            const char *name); /* also without a value */
/* Each value of that name: fn(ctx, value), which is "" for none. */
void http_request_query_each(const struct http_request *r, const char *name,
                             void (*fn)(void *ctx, const char *value), void *ctx);
const char *http_request_header(const struct http_request *r,
                                const char *name); /* any case; NULL: none */
struct slice http_request_body(const struct http_request *r);

/* It has not been answered. */
bool http_request_is_open(const struct http_request *r);

/* What the owner keeps with it; NULL at first. */
void http_request_keep(struct http_request *r, void *kept);
void *http_request_kept(const struct http_request *r);

/*
 * Adds a header to its answer: `name` is a constant, `value` is copied. Cache-Control is no-store when none is added.
 * When memory is short the answer becomes a 500.
 */
void http_request_add(struct http_request *r, const char *name, const char *value);

/* Answers it, once. `type` is a constant; a body that has failed for want of memory (buffer_ok) becomes a 500. */
void http_request_answer(struct http_request *r, unsigned status, const char *type,
                         const struct buffer *body);

/*
 * The same with a file (http_static.h), which is read as it is sent. Takes the descriptor over. A file that is cut
 * short meanwhile ends the connection.
 */
void http_request_answer_file(struct http_request *r, unsigned status, const char *type, int fd,
                              uint64_t size);
void http_request_answer_text(struct http_request *r, unsigned status, const char *text);

/*
 * The same with what comes from a source, for as long as it comes. The request is not its owner's any more: the
 * source's `gone` tells the end. NULL: `gone` has been called, and the answer is 503 (there are streams_max).
 */
struct http_stream *http_request_answer_stream(struct http_request *r, unsigned status,
                                               const char *type,
                                               const struct http_stream_source *source);

/* Its client speaks HTTP/1.0, and reads until the connection's end. */
bool http_request_is_old(const struct http_request *r);

/*
 * The same with an answer that its owner writes to the socket: first *head (appended here; the caller's), then what
 * comes, in chunks (RFC 9112, 7.1) unless its client is an old one, until it ends the connection. It takes no place
 * among clients, and no memory of MHD's; how many there are is the caller's to bound. NULL: `gone` has been called,
 * and the answer is 503.
 */
struct http_upgraded *http_request_answer_socket(struct http_request *r, unsigned status,
                                                 const char *type,
                                                 const struct http_upgrade_owner *owner,
                                                 struct buffer *head);

/*
 * The same with 101: from then on the connection speaks that protocol (a constant), and is its owner's. It takes no
 * place among clients; how many there are is the caller's to bound, within streams_max. NULL: `gone` has been called,
 * and the answer is 503.
 */
struct http_upgraded *http_request_answer_upgrade(struct http_request *r, const char *protocol,
                                                  const struct http_upgrade_owner *owner);

#endif
