/*
 * redis_answers.h: cuts what a server of Redis' protocol says into whole answers, each as the bytes that came.
 *
 * Runs in workers that hand answers on, under redis_conn.c. Pure: bytes in, bytes out. RESP2: a line (+ - :), a bulk
 * string, an array of them. For who needs no values, but the answer as it was said: nothing is taken apart, and copied
 * is only one that comes in several parts. (hiredis' reader makes four to six objects of an answer that has a number,
 * and copies it three times; of these its bytes had to be made again.)
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
#ifndef COMMON_REDIS_ANSWERS_H
#define COMMON_REDIS_ANSWERS_H

#include "common/buffer.h"

#define REDIS_ANSWERS_DEPTH 8 /* arrays in each other, as hiredis */

/* Zeroed it is ready for a server's first byte. */
struct redis_answers {
    struct buffer held; /* of answers whose first bytes came with others */
    size_t from;        /* what stands before it there was given */
    /* Where an unfinished one goes on. */
    size_t at;                          /* bytes of it that are understood */
    size_t searched;                    /* of these and of the line that is coming */
    unsigned depth;                     /* of arrays it is in */
    uint64_t left[REDIS_ANSWERS_DEPTH]; /* answers that each still lacks */
};

enum redis_answers_result {
    REDIS_ANSWERS_WHOLE, /* *answer */
    REDIS_ANSWERS_MORE,  /* more bytes are needed: those that came are kept */
    REDIS_ANSWERS_BAD,   /* this is no RESP2: nothing more can be read of that server */
    REDIS_ANSWERS_SHORT, /* memory is short, the same */
};

/*
 * The next whole answer. *fresh: what has come; what is taken of it is cut off. To be called until it says MORE.
 * *answer lives until the next call, or with the bytes that came, whichever ends first.
 */
enum redis_answers_result redis_answers_next(struct redis_answers *r, struct slice *fresh,
                                             struct slice *answer);

/* Bytes that are kept of an answer that is not whole. */
static inline size_t redis_answers_held(const struct redis_answers *r)
{
    return r->held.len - r->from;
}

/* Of another server now. Memory for a short answer stays; what was given lives on until the next call. */
void redis_answers_clear(struct redis_answers *r);
void redis_answers_fini(struct redis_answers *r);

#endif
