/*
 * send_reply.h: a Redis reply as msgpack.
 *
 * Runs in the send worker. Pure.
 */
#ifndef WORKERS_SEND_REPLY_H
#define WORKERS_SEND_REPLY_H

#include "common/buffer.h"
#include "common/redis/redis_reader.h"

/* Deepest nesting handed on: it travels inside two more levels, and readers follow UNPACK_DEPTH_MAX. */
#define SEND_REPLY_DEPTH_MAX 12

/*
 * Appends `reply`: bulk strings as bin, status and error texts as str, integers, nil, arrays. 0, or with one line in
 * `why`: -EMSGSIZE when it would be longer than `max` bytes (both sizes named); -ELOOP when it is nested too deeply;
 * -EPROTO for a type that is not of RESP2; -ENOMEM. On failure `out` holds half a value and is of no use.
 */
int send_reply_pack(struct buffer *out, const redisReply *reply, size_t max, char *why,
                    size_t why_size);

#endif
