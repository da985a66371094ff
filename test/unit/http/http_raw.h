/*
 * http_raw.h: a loop with a socket to serve at, and raw clients of it, which turn the loop while they wait.
 *
 * Runs in the suites of what answers over HTTP.
 */
#ifndef TEST_UNIT_HTTP_RAW_H
#define TEST_UNIT_HTTP_RAW_H

#include "test/unit/suite.h"

#include <uv.h>

struct http_raw {
    uv_loop_t loop;
    char path[64];
};

/* The loop, and a socket that listens, for a server. */
int http_raw_open(struct http_raw *raw);

/* Ends the loop with all its handles; the server was stopped. */
void http_raw_close(struct http_raw *raw);

int http_raw_dial(const struct http_raw *raw);
void http_raw_turn(struct http_raw *raw);
void http_raw_say(int fd, const char *text);

/* Reads until `want` has come, or the end (NULL: only that). What has come lives until the next call. */
const char *http_raw_hear(struct http_raw *raw, int fd, const char *want);

#define HTTP_RAW_EXPECT(raw, fd, want)                                                             \
    do {                                                                                           \
        const char *heard = http_raw_hear(raw, fd, want);                                          \
        ck_assert_msg(strstr(heard, want) != NULL, "no `%s` in: %s", want, heard);                 \
    } while (0)

#endif
