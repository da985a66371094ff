/*
 * resp_request.h: cuts what a client of Redis' protocol sends into commands, as redis-server 7.0 does.
 *
 * Runs in workers that speak Redis' protocol themselves. Pure: bytes in, words out. Both forms of a request: an array
 * of bulk strings, and a line (inline command). Words are not copied: they stand where they were received, until the
 * caller gives these bytes away. A request that comes in many parts is read on where it ended, so that one of 16 MB
 * costs as much as its bytes. Errors are Redis' texts; behind one nothing more can be read of that client.
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
#ifndef COMMON_RESP_REQUEST_H
#define COMMON_RESP_REQUEST_H

#include "common/slice.h"

#include <stdint.h>

#define RESP_REQUEST_LINE_MAX (64u * 1024) /* an inline command; a count with its line's end */

struct resp_limits {
    size_t words_max; /* of one request */
    size_t word_max;  /* bytes */
    bool
        trusted; /* false before AUTH: at most 10 words of 16 KB, so that nobody fills memory without a password */
};

/* Zeroed it is ready for a client's first byte. */
struct resp_request {
    struct slice *words; /* argv of the command; valid after RESP_REQUEST_WHOLE */
    size_t count;
    size_t capacity;
    /* Where an unfinished one goes on. */
    size_t at;      /* bytes of it that are understood */
    int64_t left;   /* words still to come; 0: its first line is still to come */
    int64_t length; /* of the word that is coming; -1: its line is still to come */
    char text[64];  /* an error that quotes what came */
};

enum resp_result {
    RESP_REQUEST_WHOLE, /* words and count; count 0: an empty line or array, nothing to do */
    RESP_REQUEST_MORE,  /* more bytes are needed */
    RESP_REQUEST_BAD,   /* *error says why: to be sent as an error, then the connection is closed */
    RESP_REQUEST_SHORT, /* memory is short: nothing of it was done, and the connection is closed as well */
};

/*
 * Reads one request from the bytes that begin with it and have grown since the last call that said MORE (they may have
 * moved). WHOLE: *used bytes are its own; words point into data, which an inline command's quotes have changed. `error`
 * lives as long as `r`, or for ever.
 */
enum resp_result resp_request_read(struct resp_request *r, const struct resp_limits *limits,
                                   char *data, size_t len, size_t *used, const char **error);

void resp_request_fini(struct resp_request *r);

#endif
