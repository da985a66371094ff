/*
 * echo.c: the echo worker: says again what it is told, counts that in Redis, and tells its peers.
 *
 * The example of a worker type with a connection to Redis, a script, a message, a request and counters. It keeps
 * nothing: a text that was being counted when the worker died is asked for again by whoever wants it said.
 */
#include "common/pack.h"
#include "proto/redis/redis_script.h"
#include "workers/redis/redis_settings.h"

#include <stdlib.h>

#define ECHO_PREFIX_SIZE 96

struct echo {
    struct worker *w;
    struct redis_link link;
    const char *suffix;
    char prefix[ECHO_PREFIX_SIZE];
    int count_script;
    size_t outstanding;
};

/* A request whose text is being counted. */
struct echo_request {
    struct echo *echo;
    uint64_t id;
    size_t len;
    char text[];
};

static void echo_tell_peers(struct echo *e, struct slice text)
{
    struct buffer *message = worker_compose(e->w);
    message_heard_pack(message, &(struct message_heard){.text = text});
    for (struct worker_peer *p = worker_peer_next(e->w, NULL); p != NULL;
         p = worker_peer_next(e->w, p))
        worker_send(e->w, p, message); /* who misses one only counts one less */
}

static void echo_answer(struct echo *e, const struct echo_request *r, uint64_t count)
{
    struct buffer said = BUFFER_EMPTY, body = BUFFER_EMPTY;
    buffer_printf(&said, "%.*s%s", (int)r->len, r->text, e->suffix);
    pack_map(&body, 2);
    pack_text(&body, "said");
    pack_str(&body, buffer_slice(&said));
    pack_text(&body, "count");
    pack_u64(&body, count);
    if (buffer_ok(&said) && buffer_ok(&body))
        worker_reply(e->w, r->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(e->w, r->id, CONTROL_ERROR, "memory is short: try again");
    buffer_fini(&said);
    buffer_fini(&body);
}

static void echo_on_count(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct echo_request *r = ctx;
    struct echo *e = r->echo;
    (void)c;
    e->outstanding--;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        worker_count(e->w, COUNTER_ECHOES, 1);
        echo_answer(e, r, (uint64_t)reply->integer);
        echo_tell_peers(e, slice_make(r->text, r->len));
    } else {
        worker_reply_text(e->w, r->id, CONTROL_ERROR, "not counted: %s",
                          reply != NULL ? reply->str : "Redis did not answer: try again");
    }
    free(r);
    if (worker_stopping(e->w) && e->outstanding == 0)
        worker_finished(e->w);
}

static void echo_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct echo *e = state;
    struct unpack u = unpack_start(request->args);
    bool one = unpack_array(&u) == 1;
    struct slice text = unpack_bytes(&u);
    if (!slice_is(request->verb, "say") || !one || !unpack_end(&u)) {
        worker_reply_text(w, request->id, CONTROL_USAGE, "an echo worker understands: say TEXT");
        return;
    }
    struct echo_request *r = malloc(sizeof *r + text.len + 1);
    struct slice prefix = slice_of(e->prefix);
    int rc = -ENOMEM;
    if (r != NULL) {
        *r = (struct echo_request){.echo = e, .id = request->id, .len = text.len};
        memcpy(r->text, text.ptr, text.len);
        rc =
            redis_conn_script(e->link.conn, e->count_script, 1, &prefix, 0, NULL, echo_on_count, r);
    }
    if (rc == 0) {
        e->outstanding++;
        return;
    }
    free(r);
    worker_reply_text(w, request->id, CONTROL_ERROR, "not counted: %s",
                      rc == -ENOMEM ? "memory is short" : redis_conn_trouble(e->link.conn));
}

static bool echo_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                            struct unpack *u)
{
    struct message_heard m;
    (void)state;
    (void)from;
    if (type != MESSAGE_HEARD || !message_heard_unpack(u, &m))
        return false;
    worker_count(w, COUNTER_HEARD, 1);
    return true;
}

static int echo_init(struct worker *w, void *state)
{
    struct echo *e = state;
    e->w = w;
    e->suffix = worker_setting(w, "echo.suffix");
    snprintf(e->prefix, sizeof e->prefix, "platoon:{%s}:", worker_setting_text(w, "echo.name"));
    int code = redis_link_open(&e->link, w, e, REDIS_LINK_ANY, NULL);
    if (code != 0)
        return code;
    e->count_script = redis_conn_add_script(e->link.conn, redis_script_echo_count);
    return e->count_script < 0 ? CONTRACT_EXIT_TEMPORARY : 0;
}

static void echo_on_tick(struct worker *w, void *state)
{
    struct echo *e = state;
    redis_link_tick(&e->link);
    worker_doing(w, "said %llu", (unsigned long long)worker_counted(w, COUNTER_ECHOES));
}

static void echo_drain(struct worker *w, void *state)
{
    struct echo *e = state;
    if (e->outstanding == 0)
        worker_finished(w);
}

static void echo_fini(struct worker *w, void *state)
{
    struct echo *e = state;
    (void)w;
    redis_link_close(&e->link);
}

const struct worker_ops worker_ops = {
    .type = "echo",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct echo),
    .init = echo_init,
    .on_request = echo_on_request,
    .on_message = echo_on_message,
    .on_tick = echo_on_tick,
    .drain = echo_drain,
    .fini = echo_fini,
};
