/* cache_peer_reply.c: see cache_peer_reply.h. */
#include "workers/cache/peer/cache_peer_reply.h"

/* As it came: resp_error would make words of it first, and a status may be anything but the end of a line. */
static void peer_reply_line(struct buffer *out, char type, const redisReply *reply)
{
    char *at = buffer_reserve(out, reply->len + 3);
    if (at == NULL)
        return;
    *at++ = type;
    memcpy(at, reply->str, reply->len);
    memcpy(at + reply->len, "\r\n", 2);
    out->len += reply->len + 3;
}

/* hiredis bounds how deep they are. */
static bool peer_reply_array(struct resp_reply *to, const redisReply *reply)
{
    resp_array(to, reply->elements);
    for (size_t i = 0; i < reply->elements; i++)
        if (!cache_peer_reply(to, reply->element[i]))
            return false;
    return buffer_ok(&to->out);
}

bool cache_peer_reply(struct resp_reply *to, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        resp_bulk(to, slice_make(reply->str, reply->len));
        break;
    case REDIS_REPLY_STATUS:
        peer_reply_line(&to->out, '+', reply);
        break;
    case REDIS_REPLY_ERROR:
        peer_reply_line(&to->out, '-', reply);
        break;
    case REDIS_REPLY_INTEGER:
        resp_i64(to, reply->integer);
        break;
    case REDIS_REPLY_NIL:
        resp_nil(to);
        break;
    case REDIS_REPLY_ARRAY:
        return peer_reply_array(to, reply);
    default:
        return false;
    }
    return buffer_ok(&to->out);
}
