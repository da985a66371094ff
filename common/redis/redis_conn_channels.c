/*
 * redis_conn_channels.c: a connection that listens: channels and patterns, at every (re)connect, and their messages.
 * See redis_conn_private.h.
 */
#include "common/redis/redis_conn_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool redis_conn_take_message(struct redis_conn *c, const redisReply *reply)
{
    if (c->channel_count == 0 || reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
        reply->elements > 4)
        return false;
    redisReply **e = reply->element;
    for (size_t i = 0; i < reply->elements; i++)
        if (e[i]->type != REDIS_REPLY_STRING)
            return false;
    bool by_pattern = reply->elements == 4;
    if (strcmp(e[0]->str, by_pattern ? "pmessage" : "message") != 0)
        return false;
    struct slice channel = slice_make(e[1 + by_pattern]->str, e[1 + by_pattern]->len);
    struct slice payload = slice_make(e[2 + by_pattern]->str, e[2 + by_pattern]->len);
    if (!by_pattern && c->events.on_message != NULL)
        c->events.on_message(c, channel, payload, c->ctx);
    if (by_pattern && c->events.on_matched != NULL)
        c->events.on_matched(c, slice_make(e[1]->str, e[1]->len), channel, payload, c->ctx);
    return true;
}

static int conn_add_channel(struct redis_conn *c, char kind, const char *channel)
{
    if (c->options.relays)
        return -EINVAL;
    char **more = realloc(c->channels, (c->channel_count + 1) * sizeof *more), *kept = NULL;
    if (more == NULL)
        return -ENOMEM;
    c->channels = more;
    if (asprintf(&kept, "%c%s", kind, channel) < 0)
        return -ENOMEM;
    c->channels[c->channel_count++] = kept;
    return 0;
}

int redis_conn_subscribe(struct redis_conn *c, const char *channel)
{
    if (c->state == CONN_READY || c->state == CONN_SETUP)
        return -EBUSY;
    return conn_add_channel(c, CONN_CHANNEL, channel);
}

int redis_conn_psubscribe(struct redis_conn *c, const char *pattern)
{
    if (c->state == CONN_READY && c->channel_count == 0)
        return -EBUSY;
    int rc = conn_add_channel(c, CONN_PATTERN, pattern);
    if (rc != 0 || (c->state != CONN_READY && c->state != CONN_SETUP))
        return rc;
    rc = redis_conn_setup_subscribe_one(c, c->channels[c->channel_count - 1]);
    if (rc != 0)
        free(c->channels[--c->channel_count]);
    return rc;
}

bool redis_conn_subscribed(const struct redis_conn *c)
{
    return c->state == CONN_READY && c->subscribed;
}

void redis_conn_subscribe_again(struct redis_conn *c)
{
    if (c->state == CONN_READY)
        redis_conn_setup_subscribe(c); /* without memory: the next time */
}
