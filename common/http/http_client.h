/*
 * http_client.h: HTTP requests on a libuv loop, by libcurl.
 *
 * Runs in workers that call web services (transfer's key service). The one file that names libcurl. Many requests at
 * once over kept connections; each has a deadline and a bound on what it may answer. Never blocks: names are resolved
 * on curl's thread. HTTP/1.1 only: the HTTP/2 of Debian 12's curl stalls (FACTS.md 4). Redirects are answers like
 * others, not followed. Certificates are always verified.
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
    /*
     * Certificates (PEM) that may sign a server's, in the place of the system's; the caller's, as long as the client.
     * "": the system's, though the key tls_ca_file could name others; NULL: the system's, and there is no such key.
     */
    const char *ca_file;
};

struct http_answer {
    int status;         /* 0: there was no answer, see error */
    struct slice body;  /* lives for the call of the callback */
    const char *error;  /* one line when status is 0, else "" */
    const char *remedy; /* what a person must mend then; NULL: nothing that is known, it may pass */
    bool too_long;      /* there was one, above answer_max; status is 0 */
    bool cut_short;     /* there was one, and less of it than it had said; status is 0 */
    uint64_t retry_after_ms; /* what the service asked for; 0: nothing */
    const struct http_call *call;
};

/*
 * A header of the answer (the last, of several of one name), by its name in any case; NULL: there is none. Only from
 * within the callback, and lives as long as it.
 */
const char *http_answer_header(const struct http_answer *answer, const char *name);

/* Called once for each call, from the loop. It may send and cancel others; it must not free the client. */
typedef void (*http_answer_fn)(const struct http_answer *answer, void *ctx);

/* 0 and *out for http_client_free; -ENOMEM. */
int http_client_new(uv_loop_t *loop, const struct http_options *options, struct http_client **out);

/* Ends every call without calling back. Handles close in the loop: run it until it is empty. Accepts NULL. */
void http_client_free(struct http_client *c);

/*
 * GET `url`, or, with a body (body.len > 0, copied), POST it as `type`. 0: fn will be called, from the loop, never from
 * here; the call is *call until then. -ENOMEM; -EINVAL for a url that libcurl cannot read.
 */
int http_client_send(struct http_client *c, const char *url, struct slice body, const char *type,
                     http_answer_fn fn, void *ctx, struct http_call **call);

struct http_header {
    const char *name;
    struct slice value; /* without line ends: whoever has it from outside sees to that */
};

struct http_request {
    const char *method; /* GET, HEAD, PUT, DELETE, POST … */
    const char *
        url; /* sent as it is: no "/../" is taken out of its path, because it may have been signed */
    const struct http_header
        *headers; /* beside host, length and user agent; one with an empty value is not sent */
    size_t header_count;
    struct slice body; /* not copied: it lives until fn is called, or the call is cancelled */
    bool
        gzip; /* the answer may come compressed; its body, and answer_max, are of what it was before */
};

/*
 * As http_client_send, with method and headers of one's own. PUT and POST have a body, if an empty one; the others have
 * one when it is not empty.
 */
int http_client_request(struct http_client *c, const struct http_request *request,
                        http_answer_fn fn, void *ctx, struct http_call **call);

/*
 * What a person must mend when there was no answer, by libcurl's code, the reason for which OpenSSL did not believe a
 * certificate (0: none, or the name in it), by what libcurl says, and by http_options.ca_file; NULL: nothing that is
 * known. Pure.
 */
const char *http_remedy(int code, long verify, const char *error, const char *ca_file);

/* fn will not be called. */
void http_client_cancel(struct http_call *call);

/*
 * Where a redirect leads: `location` as seen from `url`, appended. *same: to the same scheme, host and port, so that it
 * may be told what is for that one. 0; -EINVAL: to nowhere over HTTP; -EPERM: from https to http; -ENOMEM. Pure.
 */
int http_url_follow(const char *url, const char *location, struct buffer *out, bool *same);

/* Appends `text`, percent-encoded (RFC 3986: all but unreserved characters), to out; failure is the buffer's. */
void http_encode(struct buffer *out, struct slice text);

#endif
