/* send_reply.c: converts Redis replies. See send_reply.h. */
#include "workers/redis/send_reply.h"

#include "common/pack.h"

#include <errno.h>
#include <stdio.h>

/* What the longest msgpack header adds to a value. */
#define SEND_REPLY_HEADER 9u

/* An upper bound of the packed size; 0 for a depth or type that cannot be packed. No allocation, so it comes first. */
static size_t send_reply_size(const redisReply *reply, int depth, int *rc)
{
    size_t size = SEND_REPLY_HEADER;
    switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        return size + reply->len;
    case REDIS_REPLY_INTEGER:
    case REDIS_REPLY_NIL:
        return size;
    case REDIS_REPLY_ARRAY:
        if (depth >= SEND_REPLY_DEPTH_MAX) {
            *rc = -ELOOP;
            return size;
        }
        for (size_t i = 0; i < reply->elements && *rc == 0; i++)
            size += send_reply_size(reply->element[i], depth + 1, rc);
        return size;
    default:
        *rc = -EPROTO;
        return size;
    }
}

static void send_reply_append(struct buffer *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        pack_bin(out, slice_make(reply->str, reply->len));
        break;
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        pack_str(out, slice_make(reply->str, reply->len));
        break;
    case REDIS_REPLY_INTEGER:
        pack_i64(out, reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        pack_array(out, (uint32_t)reply->elements);
        for (size_t i = 0; i < reply->elements; i++)
            send_reply_append(out, reply->element[i]);
        break;
    default:
        pack_nil(out); /* REDIS_REPLY_NIL: send_reply_size has let nothing else through */
        break;
    }
}

int send_reply_pack(struct buffer *out, const redisReply *reply, size_t max, char *why,
                    size_t why_size)
{
    int rc = 0;
    size_t size = send_reply_size(reply, 0, &rc);
    if (rc == 0 && size > max)
        rc = -EMSGSIZE;
    if (rc == 0) {
        send_reply_append(out, reply);
        rc = buffer_ok(out) ? 0 : -ENOMEM;
    }
    if (rc == -EMSGSIZE)
        snprintf(why, why_size,
                 "the reply has %zu bytes and an answer can have %zu: ask for less (SCAN, LRANGE, "
                 "GETRANGE)",
                 size, max);
    else if (rc == -ELOOP)
        snprintf(why, why_size, "the reply is nested deeper than %d arrays", SEND_REPLY_DEPTH_MAX);
    else if (rc == -EPROTO)
        snprintf(why, why_size, "the reply is of a type that RESP2 does not have");
    else if (rc != 0)
        snprintf(why, why_size, "out of memory");
    return rc;
}
