/*
 * send.c: one-off Redis commands: `redis` answers the client, `redis-to` sends the reply to a worker (Plato's send/3).
 *
 * Runs as libexec/platoon/send, one or more per redis section. All commands share one pipelined connection, so those
 * that would change it for the others are refused (send_refuse.c). Nothing is ever sent twice: a command whose
 * connection broke may or may not have run, and only the one who asked knows whether it may run again.
 */
#include "common/clock.h"
#include "workers/redis/redis_settings.h"
#include "workers/redis/send_refuse.h"
#include "workers/redis/send_reply.h"
#include "workers/skeleton/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Most commands taken and not yet answered. */
#define SEND_OUTSTANDING_MAX 10000u

/* What a control answer and a mailbox message need around the reply. */
#define SEND_ENVELOPE 256u

/* A request between being taken and being answered. The arguments are copied into the same block. */
struct send_request {
    struct send_request *next; /* while it waits for its receiver */
    struct worker *worker;
    struct send *send;
    uint64_t id;
    uint64_t deadline; /* clock_mono_ms */
    bool to_worker;
    char to[CONTRACT_NAME_MAX];
    char command[32];
    size_t argc;
    struct slice argv[];
};

struct send {
    struct redis_link link;
    struct send_request *waiting; /* redis-to whose receiver is not known yet */
    size_t outstanding;           /* taken and not answered, the waiting ones included */
    uint64_t commands_seen;
    bool draining;
};

/* ---- answering ---- */

/* The request is answered: its memory goes, and with the last one of a drain the process. */
static void send_done(struct send_request *r)
{
    struct send *s = r->send;
    struct worker *w = r->worker;
    s->outstanding--;
    free(r);
    if (s->draining && s->outstanding == 0)
        worker_finished(w);
}

static void send_fail(struct send_request *r, enum control_status status, const char *why)
{
    worker_reply_text(r->worker, r->id, status, "%s", why);
    send_done(r);
}

static void send_answer(struct send_request *r, const redisReply *reply)
{
    char why[200];
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 2);
    pack_text(&body, "error");
    pack_bool(&body, reply->type == REDIS_REPLY_ERROR);
    pack_text(&body, "reply");
    size_t max = CONTRACT_FRAME_MAX < CONTROL_FRAME_MAX ? CONTRACT_FRAME_MAX : CONTROL_FRAME_MAX;
    if (send_reply_pack(&body, reply, max - SEND_ENVELOPE, why, sizeof why) == 0)
        worker_reply(r->worker, r->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(r->worker, r->id, CONTROL_ERROR, "%s: %s", r->command, why);
    buffer_fini(&body);
    send_done(r);
}

static const char *send_message_trouble(int rc)
{
    return rc == -ENOBUFS    ? "it does not keep up with its mailbox"
           : rc == -ENOTCONN ? "it has no mailbox"
                             : strerror(-rc);
}

/* The reply as a message; the client only hears that it was sent. */
static void send_forward(struct send_request *r, const redisReply *reply)
{
    char why[200] = "it went away meanwhile";
    struct buffer packed = BUFFER_EMPTY;
    struct worker_peer *peer = worker_peer_find(r->worker, r->to);
    int rc = peer == NULL ? -ESRCH
                          : send_reply_pack(&packed, reply, MESSAGE_FRAME_MAX - SEND_ENVELOPE, why,
                                            sizeof why);
    if (rc == 0) {
        struct message_reply m = {slice_of(r->command), reply->type == REDIS_REPLY_ERROR,
                                  buffer_slice(&packed)};
        struct buffer *message = worker_compose(r->worker);
        message_reply_pack(message, &m);
        rc = worker_send(r->worker, peer, message);
        if (rc != 0)
            snprintf(why, sizeof why, "%s", send_message_trouble(rc));
    }
    buffer_clear(&packed);
    if (rc == 0) {
        pack_map(&packed, 1);
        pack_text(&packed, "sent_to");
        pack_text(&packed, r->to);
        worker_reply(r->worker, r->id, CONTROL_OK, buffer_slice(&packed));
    } else {
        worker_reply_text(r->worker, r->id, CONTROL_ERROR,
                          "%s has run, but its reply did not reach %s: %s", r->command, r->to, why);
    }
    buffer_fini(&packed);
    send_done(r);
}

static void send_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct send_request *r = ctx;
    if (reply == NULL)
        send_fail(r, CONTROL_ERROR,
                  "the connection broke after the command was sent: it may or may not have run");
    else if (r->to_worker)
        send_forward(r, reply);
    else
        send_answer(r, reply);
}

/* ---- taking ---- */

static void send_run(struct send_request *r)
{
    struct redis_conn *conn = r->send->link.conn;
    int rc = redis_conn_command(conn, r->argc, r->argv, send_on_reply, r);
    if (rc == -ENOTCONN)
        send_fail(r, CONTROL_ERROR, redis_conn_trouble(conn));
    else if (rc == -ENOBUFS)
        send_fail(r, CONTROL_ERROR, "too much waits to be sent to Redis already: try again later");
    else if (rc != 0)
        send_fail(r, CONTROL_ERROR, strerror(-rc));
}

/* A peer without a mailbox could not be sent anything: better said before the command has run than after. */
static void send_run_for(struct send_request *r, const struct worker_peer *peer)
{
    if (peer->transport != NULL)
        send_run(r);
    else
        send_fail(r, CONTROL_ERROR, "that worker has no mailbox: it takes no messages");
}

/* Copies the request and its arguments into one block. NULL when memory is short or the arguments are none. */
static struct send_request *send_copy(struct slice args, uint32_t skip, struct slice *first)
{
    struct unpack u = unpack_start(args);
    uint32_t count = unpack_array(&u);
    if (!unpack_ok(&u) || count <= skip)
        return NULL;
    size_t argc = count - skip;
    struct send_request *r = malloc(sizeof *r + argc * sizeof r->argv[0] + args.len);
    if (r == NULL)
        return NULL;
    *r = (struct send_request){.argc = argc};
    if (skip == 1)
        *first = unpack_bytes(&u);
    char *text = (char *)(r->argv + argc);
    for (size_t i = 0; i < argc; i++) {
        struct slice arg = unpack_bytes(&u);
        if (arg.len > 0)
            memcpy(text, arg.ptr, arg.len);
        r->argv[i] = slice_make(text, arg.len);
        text += arg.len;
    }
    if (unpack_end(&u))
        return r;
    free(r);
    return NULL;
}

/* Finds the receiver, or asks the master for it and waits. */
static void send_start_to(struct worker *w, struct send *s, struct send_request *r)
{
    struct worker_peer *peer = worker_peer_find(w, r->to);
    if (peer != NULL) {
        send_run_for(r, peer);
        return;
    }
    r->next = s->waiting;
    s->waiting = r;
    worker_monitor(w, slice_of(r->to));
}

static void send_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct send *s = state;
    bool to_worker = slice_is(request->verb, "redis-to");
    if (!to_worker && !slice_is(request->verb, "redis")) {
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "a send worker understands redis and redis-to, not \"%.*s\"",
                          (int)request->verb.len, request->verb.ptr);
        return;
    }
    if (s->draining || s->outstanding >= SEND_OUTSTANDING_MAX) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s: try again later",
                          s->draining ? "this worker is stopping"
                                      : "too many commands are outstanding");
        return;
    }
    struct slice to = slice_of("");
    struct send_request *r = send_copy(request->args, to_worker ? 1 : 0, &to);
    if (r == NULL) {
        worker_reply_text(w, request->id, CONTROL_USAGE, "usage: %s",
                          to_worker ? "redis-to NAME COMMAND [ARG...]" : "redis COMMAND [ARG...]");
        return;
    }
    r->worker = w;
    r->send = s;
    r->id = request->id;
    r->deadline = clock_mono_ms() + request->deadline_ms;
    r->to_worker = to_worker;
    slice_copy(r->argv[0], r->command, sizeof r->command);
    s->outstanding++;
    const char *refusal = send_refuse(r->argc, r->argv);
    if (refusal != NULL) {
        worker_reply_text(w, r->id, CONTROL_ERROR, "%s is refused: %s", r->command, refusal);
        send_done(r);
    } else if (to_worker && !slice_copy(to, r->to, sizeof r->to)) {
        send_fail(r, CONTROL_NO_NAME, "no worker has a name that long");
    } else if (to_worker) {
        send_start_to(w, s, r);
    } else {
        send_run(r);
    }
}

/* ---- receivers that come, or do not ---- */

/* Takes the first waiting request for `name`, or with NULL the first whose deadline has passed, off the list. */
static struct send_request *send_take_waiting(struct send *s, const char *name, uint64_t now)
{
    for (struct send_request **at = &s->waiting; *at != NULL; at = &(*at)->next) {
        struct send_request *r = *at;
        if (name != NULL ? strcmp(r->to, name) != 0 : r->deadline > now)
            continue;
        *at = r->next;
        return r;
    }
    return NULL;
}

static void send_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    for (struct send_request *r; (r = send_take_waiting(state, peer->name, 0)) != NULL;)
        send_run_for(r, peer);
}

static void send_on_down(struct worker *w, void *state, struct worker_peer *peer,
                         struct slice reason)
{
    (void)w;
    if (!slice_is(reason, "unknown name"))
        return; /* its successor may come in time; the deadline says until when */
    for (struct send_request *r; (r = send_take_waiting(state, peer->name, 0)) != NULL;
         send_done(r))
        worker_reply_text(r->worker, r->id, CONTROL_NO_NAME,
                          "there is no worker %s: see platoonctl tree", r->to);
}

/* ---- life ---- */

static int send_init(struct worker *w, void *state)
{
    struct send *s = state;
    return redis_link_open(&s->link, w, s, REDIS_LINK_ANY, NULL);
}

static bool send_late(struct worker *w, void *state, char *why, size_t size)
{
    const struct send *s = state;
    (void)w;
    return redis_link_late(&s->link, why, size);
}

static void send_on_tick(struct worker *w, void *state)
{
    struct send *s = state;
    redis_link_tick(&s->link);
    for (struct send_request *r; (r = send_take_waiting(s, NULL, clock_mono_ms())) != NULL;
         send_done(r))
        worker_reply_text(w, r->id, CONTROL_TIMEOUT, "%s is not ready; %s was not run", r->to,
                          r->command);
    uint64_t commands = redis_conn_stats(s->link.conn).commands;
    worker_gauge(w, COUNTER_IN_FLIGHT, s->outstanding);
    if (commands == s->commands_seen && s->outstanding == 0)
        worker_doing(w, "idle, %llu commands so far", (unsigned long long)commands);
    else
        worker_doing(w, "%llu commands, %llu/s, %zu outstanding", (unsigned long long)commands,
                     (unsigned long long)(commands - s->commands_seen), s->outstanding);
    s->commands_seen = commands;
}

/* What Redis has is finished; who still waits for a receiver has not run and can go. */
static void send_drain(struct worker *w, void *state)
{
    struct send *s = state;
    while (s->waiting != NULL) {
        struct send_request *r = s->waiting;
        s->waiting = r->next;
        send_fail(r, CONTROL_ERROR, "this worker is stopping; the command was not run");
    }
    s->draining = true;
    if (s->outstanding == 0)
        worker_finished(w);
}

static void send_fini(struct worker *w, void *state)
{
    struct send *s = state;
    (void)w;
    s->draining = false; /* answers that come from here on end nothing any more */
    redis_link_close(&s->link);
}

const struct worker_ops worker_ops = {
    .type = "send",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct send),
    .init = send_init,
    .on_up = send_on_up,
    .on_down = send_on_down,
    .on_request = send_on_request,
    .late = send_late,
    .on_tick = send_on_tick,
    .drain = send_drain,
    .fini = send_fini,
};
