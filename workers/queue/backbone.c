/* backbone.c: the backbone worker: takes deliveries in, registers its queues, answers for them. See backbone.h. */
#include "workers/queue/backbone.h"

#include "common/log.h"
#include "proto/queue/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BACKBONE_QUEUES_MAX  100000
#define BACKBONE_SPARE       "try:right"
#define BACKBONE_RIGHTS_SIZE 700

/* ---- topic and facet ---- */

static int backbone_template(struct worker *w, const char *setting, struct template **t)
{
    char why[256];
    int rc = template_compile(worker_setting(w, setting), t, why, sizeof why);
    if (rc == 0)
        return 0;
    worker_trouble(w, "%s: %s", setting, rc == -ENOMEM ? "memory is short" : why);
    return rc == -ENOMEM ? CONTRACT_EXIT_SHORT : CONTRACT_EXIT_CONFIG;
}

/* ---- what is wrong ---- */

static void backbone_tell(struct backbone *b)
{
    char missing[BACKBONE_RIGHTS_SIZE];
    if (redis_rights_text(&b->rights, missing, sizeof missing)[0] != '\0')
        worker_trouble(b->w, "%s", missing);
    else
        worker_trouble(b->w, "%s",
                       b->error[0] != '\0'         ? b->error
                       : b->inbox_error[0] != '\0' ? b->inbox_error
                                                   : b->listen_error);
}

/* Rights were asked before the queues were registered, and answers come in that order. */
static void backbone_know(struct backbone *b)
{
    if (b->known || b->registering > 0 || !redis_conn_ready(b->redis.conn))
        return;
    b->known = true;
    backbone_tell(b);
    redis_link_settle(&b->redis.link);
}

/* ---- registering ---- */

static void backbone_on_registered(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct backbone *b = ctx;
    char text[384];
    (void)c;
    b->registering--;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        queue_redis_failed(&b->redis, reply, text, sizeof text);
        snprintf(b->error, sizeof b->error, "a queue cannot be registered: %s", text);
    }
    backbone_know(b);
}

static void backbone_register_one(struct backbone *b, size_t i, const char *name)
{
    const struct queue_settings settings = {
        .raw = worker_setting_item_u64(b->w, "queues", i, "raw") != 0,
        .max_attempts = worker_setting_item_u64(b->w, "queues", i, "max_attempts"),
        .retry_min_ms = worker_setting_item_u64(b->w, "queues", i, "retry_min"),
        .retry_max_ms = worker_setting_item_u64(b->w, "queues", i, "retry_max"),
        .message_max = b->message_max,
    };
    queue_call_register(&b->call, slice_of(name),
                        slice_of(worker_setting_item(b->w, "queues", i, "pattern")), &settings);
    if (queue_redis_call(&b->redis, &b->call, backbone_on_registered, b) == 0)
        b->registering++;
}

/* At each connection: what a Redis has forgotten (FLUSHALL, a fail-over) is there again. */
static void backbone_register(struct backbone *b)
{
    const char *name;
    b->error[0] = '\0';
    for (size_t i = 0;
         i < BACKBONE_QUEUES_MAX && (name = worker_setting_item(b->w, "queues", i, "name")) != NULL;
         i++)
        backbone_register_one(b, i, name);
}

void backbone_register_again(struct backbone *b)
{
    log_info("register-again", "backbone=%s cause=\"Redis has forgotten its queues\"",
             worker_setting_text(b->w, "backbone.name"));
    backbone_register(b);
}

/* ---- the connection ---- */

static void backbone_on_redis(struct worker *w, void *state)
{
    struct backbone *b = state;
    (void)w;
    b->known = false;
    b->registering = 0;
    b->born[0] = '\0';
    queue_redis_load(&b->redis);
    redis_rights_ask(&b->rights);
    backbone_register(b);
    backbone_deliver_send(b);
    backbone_inbox_look(b);
    backbone_vouch(b);
    backbone_know(b);
}

static void backbone_on_redis_lost(struct worker *w, void *state, const char *why)
{
    struct backbone *b = state;
    (void)w;
    b->registering = 0;
    backbone_deliver_refuse(b, why);
}

static const struct redis_link_events backbone_redis_events = {
    .on_ready = backbone_on_redis, .on_lost = backbone_on_redis_lost, .asks = true};

/* ---- what workers say ---- */

static bool backbone_on_waits(struct backbone *b, struct worker_peer *from, struct unpack *u)
{
    struct message_waits m;
    if (!message_waits_unpack(u, &m))
        return false;
    struct backbone_waits *waits = &backbone_peer_of(b, from, 0)->waits;
    waits->p50_ms = m.p50_ms;
    waits->p99_ms = m.p99_ms;
    return slice_copy(m.queue, waits->queue, sizeof waits->queue);
}

static bool backbone_on_message(struct worker *w, void *state, struct worker_peer *from,
                                uint64_t type, struct unpack *u)
{
    struct message_deliver m;
    (void)w;
    if (type == MESSAGE_WAITS)
        return backbone_on_waits(state, from, u);
    if (type == MESSAGE_LISTEN)
        return backbone_on_listen(state, from, u);
    if (type != MESSAGE_DELIVER || !message_deliver_unpack(u, &m))
        return false;
    backbone_deliver_message(state, from, &m);
    return true;
}

/* ---- life ---- */

static const struct redis_right backbone_rights[] = {QUEUE_RIGHTS(REDIS_RIGHT)};

static int backbone_init(struct worker *w, void *state)
{
    struct backbone *b = state;
    char prefix[QUEUE_SPACE_SIZE + 16];
    b->w = w;
    b->message_max = worker_setting_u64(w, "backbone.message_max");
    backbone_deliver_init(b);
    backbone_vouch_init(b);
    int code = backbone_template(w, "backbone.topic", &b->topic);
    if (code == 0)
        code = backbone_template(w, "backbone.facet", &b->facet);
    b->redis.on_list = backbone_inbox_on_list;
    if (code == 0)
        code = queue_redis_open(&b->redis, w, b, &backbone_redis_events);
    snprintf(prefix, sizeof prefix, "%splatoon:", b->redis.space);
    snprintf(b->inbox, sizeof b->inbox, "%sinbox", prefix);
    redis_rights_init(&b->rights, &b->redis.link, backbone_rights,
                      sizeof backbone_rights / sizeof backbone_rights[0], prefix, BACKBONE_SPARE,
                      slice_of(""));
    return code;
}

static void backbone_on_tick(struct worker *w, void *state)
{
    struct backbone *b = state;
    queue_redis_tick(&b->redis);
    redis_rights_tick(&b->rights, b->refused || b->error[0] != '\0' || b->inbox_error[0] != '\0');
    backbone_inbox_look(b);
    backbone_listen_tick(b);
    if (b->error[0] != '\0' && b->registering == 0 && redis_conn_ready(b->redis.conn))
        backbone_register(b);
    worker_doing(w, "%" PRIu64 " delivered", worker_counted(w, COUNTER_QUEUE_DELIVERED));
    if (b->known && redis_conn_ready(b->redis.conn)) /* else the connection names its own trouble */
        backbone_tell(b);
}

static bool backbone_late(struct worker *w, void *state, char *why, size_t size)
{
    const struct backbone *b = state;
    (void)w;
    return redis_link_late(&b->redis.link, why, size);
}

static bool backbone_is_idle(const struct backbone *b)
{
    return b->asked == 0 && backbone_deliver_is_idle(b);
}

static void backbone_drain(struct worker *w, void *state)
{
    struct backbone *b = state;
    backbone_sessions_drain(b);
    if (backbone_is_idle(b))
        worker_finished(w);
}

static void backbone_fini(struct worker *w, void *state)
{
    struct backbone *b = state;
    (void)w;
    backbone_deliver_refuse(b, "its backbone worker ends");
    backbone_vouch_fini(b);
    backbone_listen_fini(b);
    queue_redis_close(&b->redis);
    queue_call_fini(&b->call);
    queue_fields_fini(&b->fields);
    template_free(b->topic);
    template_free(b->facet);
}

const struct worker_ops worker_ops = {
    .type = "backbone",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct backbone),
    .init = backbone_init,
    .on_message = backbone_on_message,
    .on_request = backbone_on_request,
    .late = backbone_late,
    .on_tick = backbone_on_tick,
    .drain = backbone_drain,
    .fini = backbone_fini,
};
