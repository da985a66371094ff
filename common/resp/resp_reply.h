/*
 * resp_reply.h: writes answers of Redis' protocol, RESP2 and RESP3.
 *
 * Runs in workers that speak Redis' protocol themselves. Pure: appends to a buffer, and asks at the end whether all got
 * in (buffer_ok). Which of the two a client speaks is decided by HELLO; what differs is decided here, not by commands.
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
#ifndef COMMON_RESP_REPLY_H
#define COMMON_RESP_REPLY_H

#include "common/buffer.h"

#include <stdint.h>

struct resp_reply {
    struct buffer out;
    int version; /* 2 or 3 */
    size_t max;  /* bytes of `out`: what would go beyond fails as if memory were short; 0: any */
};

void resp_status(struct resp_reply *r, const char *text); /* +OK */

/* The code is the caller's: "ERR syntax error". An error is a line: ends of lines in it become blanks, as in Redis'. */
void resp_error(struct resp_reply *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void resp_i64(struct resp_reply *r, int64_t value);
void resp_bulk(struct resp_reply *r, struct slice bytes);
void resp_text(struct resp_reply *r, const char *text); /* a bulk of it */
void resp_nil(struct resp_reply *r);                    /* $-1, or _ */
void resp_nil_array(struct resp_reply *r);              /* *-1, or _ */
void resp_array(struct resp_reply *r, size_t count);
void resp_map(struct resp_reply *r, size_t pairs); /* an array of twice as many in RESP2 */
void resp_set(struct resp_reply *r, size_t count); /* an array in RESP2 */
void resp_bool(struct resp_reply *r, bool value);  /* 1 or 0 in RESP2 */
void resp_verbatim(struct resp_reply *r, const char *form,
                   struct slice text); /* a bulk in RESP2; form: "txt" */

#endif
