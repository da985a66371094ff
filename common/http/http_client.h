/*
 * http_client.h: HTTP requests on a libuv loop, by libcurl.
 *
 * Runs in workers that call web services (transfer's key service). The one file that names libcurl. Many requests at once over kept
 * connections; each has a deadline and a bound on what it may answer. Never blocks: names are resolved on curl's thread. HTTP/1.1 only: the
 * HTTP/2 of Debian 12's curl stalls (FACTS.md 4). Redirects are answers like others, not followed. Certificates are always verified.
 */
#ifndef COMMON_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_H

#include "common/buffer.h"

#include <uv.h>

struct http_client;
struct http_call;

struct http_options {
    unsigned
        parallel; /* requests and connections at once; the caller keeps to it, more wait in curl */
    uint64_t timeout_ms; /* for a whole request, the connection included; 1 to 3600000 */
    size_t answer_max;   /* longest body taken; a longer one is an error */
};

struct http_answer {
    int status;              /* 0: there was no answer, see error */
    struct slice body;       /* lives for the call of the callback */
    const char *error;       /* one line when status is 0, else "" */
    uint64_t retry_after_ms; /* what the service asked for; 0: nothing */
};

/* Called once for each call, from the loop. It may send and cancel others; it must not free the client. */
typedef void (*http_answer_fn)(const struct http_answer *answer, void *ctx);

/* 0 and *out for http_client_free; -ENOMEM. */
int http_client_new(uv_loop_t *loop, const struct http_options *options, struct http_client **out);

/* Ends every call without calling back. Handles close in the loop: run it until it is empty. Accepts NULL. */
void http_client_free(struct http_client *c);

/*
 * GET `url`, or, with a body (body.len > 0, copied), POST it as `type`. 0: fn will be called, from the loop, never from here; the call is *call
 * until then. -ENOMEM; -EINVAL for a url that libcurl cannot read.
 */
int http_client_send(struct http_client *c, const char *url, struct slice body, const char *type,
                     http_answer_fn fn, void *ctx, struct http_call **call);

/* fn will not be called. */
void http_client_cancel(struct http_call *call);

/* Appends `text`, percent-encoded (RFC 3986: all but unreserved characters), to out; failure is the buffer's. */
void http_encode(struct buffer *out, struct slice text);

#endif
