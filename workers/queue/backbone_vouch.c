/*
 * backbone_vouch.c: says again and again that the registry is as it is, so that deliveries need not walk through it.
 * What is vouched for, and for how long, stands in queue_vouch.lua. See backbone.h.
 *
 * Nobody waits for it: without it deliveries cost more, and are right. So what goes wrong is no trouble of its own.
 */
#include "workers/queue/backbone.h"

/*
 * So few that a walk costs nothing (FEW in queue_topics.lua). Others' clients may register more at any moment, and
 * until somebody vouches for them each delivery walks: looked at each second, and not seldomer.
 */
#define VOUCH_FEW     64
#define VOUCH_MS      500u
#define VOUCH_IDLE_MS 1000u

static void vouch_on_timer(uv_timer_t *timer)
{
    backbone_vouch(timer->data);
}

/* Redis may forget all (FLUSHALL) without a connection that breaks; nobody would deliver to our queues then. */
static void vouch_remembers(struct backbone *b, struct slice since)
{
    bool forgot = b->born[0] != '\0' && !slice_is(since, b->born);
    if (!slice_copy(since, b->born, sizeof b->born))
        b->born[0] = '\0';
    if (forgot)
        backbone_register_again(b);
}

static void vouch_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct backbone *b = ctx;
    char why[384];
    (void)c;
    bool again = queue_redis_failed(&b->redis, reply, why, sizeof why);
    if (reply == NULL)
        return; /* the next connection begins anew */
    bool told = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[0]->type == REDIS_REPLY_INTEGER &&
                reply->element[1]->type == REDIS_REPLY_STRING;
    if (told)
        vouch_remembers(b, queue_reply_bytes(reply->element[1]));
    bool soon = again || (told && reply->element[0]->integer > VOUCH_FEW);
    uv_timer_start(&b->vouch, vouch_on_timer, soon ? VOUCH_MS : VOUCH_IDLE_MS, 0);
}

void backbone_vouch(struct backbone *b)
{
    if (worker_stopping(b->w) || !redis_conn_ready(b->redis.conn))
        return;
    queue_call_vouch(&b->call);
    if (queue_redis_call(&b->redis, &b->call, vouch_on_reply, b) != 0)
        uv_timer_start(&b->vouch, vouch_on_timer, VOUCH_IDLE_MS, 0);
}

void backbone_vouch_init(struct backbone *b)
{
    uv_timer_init(worker_loop(b->w), &b->vouch);
    b->vouch.data = b;
}

void backbone_vouch_fini(struct backbone *b)
{
    uv_close((uv_handle_t *)&b->vouch, NULL);
}
