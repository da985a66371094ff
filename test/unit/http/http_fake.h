/*
 * http_fake.h: an HTTP server in a suite's own loop: it takes requests apart, the suite answers them.
 *
 * Runs in the suites of what talks to S3.
 */
#ifndef TEST_UNIT_HTTP_FAKE_H
#define TEST_UNIT_HTTP_FAKE_H

#include "common/buffer.h"
#include "test/unit/suite.h"

#include <uv.h>

struct http_guest;

/* A whole request: its head, with a NUL behind it, and its body; they live for the call. To be answered once. */
typedef void (*http_fake_fn)(struct http_guest *guest, const char *head, struct slice body,
                             void *ctx);

struct http_fake {
    uv_loop_t *loop;
    uv_tcp_t listener;
    int port;
    http_fake_fn fn;
    void *ctx;
    struct http_guest *guests;
    bool open;
};

/* Listens on a free port of 127.0.0.1. */
void http_fake_start(struct http_fake *s, uv_loop_t *loop, http_fake_fn fn, void *ctx);

/* At the same port again, after http_fake_stop. */
void http_fake_start_again(struct http_fake *s);

/* Closes it and all connections, in the loop. */
void http_fake_stop(struct http_fake *s);

/* Answers: at once or later, also when the guest has gone meanwhile. With len 0 it is left without an answer. */
void http_fake_reply(struct http_guest *guest, const void *bytes, size_t len);

#endif
