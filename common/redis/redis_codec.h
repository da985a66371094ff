/*
 * redis_codec.h: commands as bytes; by hiredis, what differs between its versions ends here.
 *
 * Runs in Redis workers, under redis_conn.c. Pure. (Replies are read by hiredis' redisReader
 * directly: it has not changed.)
 */
#ifndef COMMON_REDIS_CODEC_H
#define COMMON_REDIS_CODEC_H

#include "common/buffer.h"

/* A SHA-1 in hex digits, and NUL. */
#define REDIS_SHA_SIZE 41

/* Most arguments of one command; Redis' own limit. */
#define REDIS_ARGC_MAX (1024u * 1024)

/* Encodes a command. On 0 *bytes is the caller's, for redis_codec_free. -EINVAL: no or too many arguments; -ENOMEM. */
int redis_codec_encode(size_t argc, const struct slice *argv, struct slice *bytes);

/*
 * The same bytes, appended to `out`: without memory, copies and formats of hiredis' own, which for a short command take
 * longer than all the rest of sending it. 0; -EINVAL, -ENOMEM: nothing was appended (out->failed is left as it was).
 */
int redis_codec_append(size_t argc, const struct slice *argv, struct buffer *out);

/* Frees what redis_codec_encode made. `secret`: overwrites it first, because it holds a password. */
void redis_codec_free(struct slice bytes, bool secret);

/*
 * Appends to `out` the EVAL of `text` with the keys and arguments of an encoded EVALSHA: on the wire the two differ
 * only in their first two arguments. -EINVAL when `evalsha` is not an encoded EVALSHA.
 */
int redis_codec_eval(struct slice evalsha, const char *text, struct buffer *out);

#endif
