/*
 * erlang.c: the Erlang gate: a node of Erlang's distribution, for the clients that Brain and Plato had.
 *
 * Runs as libexec/platoon/erlang, one for each erlang section. It keeps nothing: objects are the cache's, and what is
 * asked for is passed on. Every process of the node has one and the same answer to a message, whichever pid or name it
 * is for, so there are no processes: who links with one, or monitors it, hears that there is none. What messages there
 * are: ERLANG.md.
 *
 * erlang_handshake  who connects, and whether it has the cookie (libei)
 * erlang_epmd       where other nodes learn our port
 * erlang_peer       the nodes that are connected
 * erlang_control    what nodes say to each other; erlang_term and erlang_write: terms
 * erlang_request    what a message asks for
 * erlang_cache      objects; erlang_value: what a term is as one
 * erlang_redis      one-off commands; erlang_command: a command as a term
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/secret_file.h"
#include "proto/erlang/erlang_address.h"
#include "workers/erlang/erlang_cache.h"
#include "workers/erlang/erlang_epmd.h"
#include "workers/erlang/erlang_handshake.h"
#include "workers/erlang/erlang_peer.h"
#include "workers/erlang/erlang_redis.h"
#include "workers/erlang/erlang_request.h"
#include "workers/erlang/erlang_write.h"

#include <limits.h>
#include <stdio.h>
#include <sys/random.h>

#define GATE_PID 1 /* the number of the process that get_nodes tells of */

struct gate {
    struct worker *w;
    const char *node;
    uint32_t creation;
    struct erlang_handshakes *handshakes;
    struct erlang_peers *peers;
    struct erlang_epmd *epmd;
    bool has_cache, draining;
    unsigned unknown; /* of epmd and Redis, whether they can be reached: READY waits for that */
    struct erlang_cache cache;
    struct erlang_redis redis;
    struct buffer answer;
};

/* ---- answering ---- */

/* What waits in `answer`, one term. Who is not there any more waits for nothing. */
static void gate_send(struct gate *g, struct slice node, struct slice pid)
{
    if (!buffer_ok(&g->answer))
        worker_exit_for(g->w, ENOMEM, NULL, "cannot answer an Erlang process");
    if (!erlang_peers_send(g->peers, node, pid, buffer_slice(&g->answer)))
        worker_count(g->w, COUNTER_ERLANG_LOST, 1);
    buffer_reset(&g->answer, 65536);
}

static struct slice gate_node_of(const struct erlang_request *r)
{
    return slice_make(r->node.text, r->node.len);
}

static void gate_finish(struct gate *g)
{
    if (g->draining && g->redis.outstanding == 0 && g->cache.out_count == 0 &&
        g->cache.wait_count == 0)
        worker_finished(g->w);
}

static void gate_on_got(void *ctx, const struct erlang_caller *caller, bool found,
                        struct slice value, enum erlang_form form)
{
    struct gate *g = ctx;
    buffer_clear(&g->answer);
    if (found) {
        erlang_write_tuple(&g->answer, 2);
        erlang_write_atom(&g->answer, slice_of("ok"));
        erlang_value_to_term(value, form, &g->answer);
    } else {
        erlang_write_atom(&g->answer, slice_of("ko"));
    }
    gate_send(g, caller->node, caller->pid);
}

static void gate_on_over(void *ctx, uint32_t lane)
{
    struct gate *g = ctx;
    erlang_peers_over(g->peers, lane);
    gate_finish(g);
}

static void gate_on_reply(void *ctx, struct slice node, struct slice pid, struct slice answer)
{
    struct gate *g = ctx;
    buffer_clear(&g->answer);
    buffer_append_slice(&g->answer, answer);
    gate_send(g, node, pid);
    gate_finish(g);
}

/* ---- asking ---- */

static void gate_tell_nodes(struct gate *g, const struct erlang_request *r)
{
    struct slice node = slice_of(g->node);
    buffer_clear(&g->answer);
    erlang_write_list(&g->answer, 1);
    erlang_write_tuple(&g->answer, 2);
    erlang_write_atom(&g->answer, node);
    erlang_write_pid(&g->answer, node, GATE_PID, 0, g->creation);
    erlang_write_nil(&g->answer);
    gate_send(g, gate_node_of(r), r->pid);
}

/* net_adm:ping/1 takes it for pong. */
static void gate_pong(struct gate *g, const struct erlang_request *r)
{
    buffer_clear(&g->answer);
    erlang_write_tuple(&g->answer, 2);
    buffer_append_slice(&g->answer, r->tag);
    erlang_write_atom(&g->answer, slice_of("yes"));
    gate_send(g, gate_node_of(r), r->pid);
}

static void gate_ignore(struct gate *g, const struct erlang_peer *from, const char *why)
{
    worker_count(g->w, COUNTER_ERLANG_IGNORED, 1);
    log_debug("ignored", "node=%s reason=\"%s\"", log_quote_text(erlang_peer_name(from)), why);
}

static void gate_call(struct gate *g, struct erlang_peer *from, const struct erlang_request *r)
{
    struct erlang_caller caller = {
        .lane = erlang_peer_lane(from), .node = gate_node_of(r), .pid = r->pid};
    if (!g->has_cache) {
        gate_ignore(g, from, "this gate has no cache");
        return;
    }
    erlang_peer_asks(from);
    if (r->kind == ERLANG_REQUEST_SET)
        erlang_cache_set(&g->cache, &caller, r->id, r->value);
    else if (r->kind == ERLANG_REQUEST_GET)
        erlang_cache_get(&g->cache, &caller, r->id, r->strong);
    else
        erlang_cache_persist(&g->cache, &caller, r->id);
}

static void gate_on_message(void *ctx, struct erlang_peer *from,
                            const struct erlang_control *control)
{
    struct gate *g = ctx;
    struct erlang_request r;
    erlang_request_read(control->message, &r);
    switch (r.kind) {
    case ERLANG_REQUEST_NONE:
        gate_ignore(g, from, "it is no message that this gate understands");
        break;
    case ERLANG_REQUEST_NODES:
        gate_tell_nodes(g, &r);
        break;
    case ERLANG_REQUEST_SET:
    case ERLANG_REQUEST_GET:
    case ERLANG_REQUEST_PERSIST:
        gate_call(g, from, &r);
        break;
    case ERLANG_REQUEST_SEND:
        erlang_redis_send(&g->redis, gate_node_of(&r), r.pid, r.command);
        break;
    case ERLANG_REQUEST_PING:
        gate_pong(g, &r);
        break;
    }
}

static bool gate_is_full(void *ctx)
{
    const struct gate *g = ctx;
    return g->draining || (g->has_cache && erlang_cache_is_full(&g->cache));
}

/* ---- who connects ---- */

static bool gate_has_room(void *ctx)
{
    const struct gate *g = ctx;
    return erlang_peers_count(g->peers) < ERLANG_PEERS_MAX;
}

static void gate_on_node(void *ctx, int fd, struct slice name)
{
    struct gate *g = ctx;
    erlang_peers_add(g->peers, fd, name);
}

static void gate_on_room(void *ctx)
{
    struct gate *g = ctx;
    if (g->handshakes != NULL)
        erlang_handshakes_accept(g->handshakes);
}

/* ---- life ---- */

static void gate_tell(struct gate *g)
{
    const char *why = erlang_epmd_trouble(g->epmd);
    if (why == NULL && g->has_cache)
        why = erlang_cache_trouble(&g->cache);
    if (why == NULL)
        why = erlang_redis_trouble(&g->redis);
    worker_trouble(g->w, "%s", why != NULL ? why : "");
    worker_gauge(g->w, COUNTER_ERLANG_NODES, erlang_peers_count(g->peers));
    worker_doing(g->w, "%s, %zu nodes", g->node, erlang_peers_count(g->peers));
}

static void gate_on_known(void *ctx)
{
    struct gate *g = ctx;
    if (--g->unknown > 0)
        return;
    gate_tell(g);
    worker_ready(g->w);
    if (g->has_cache)
        erlang_cache_start(&g->cache);
}

/* Of a node that was restarted others must know that it is not the same: pids of the one before are none. */
static uint32_t gate_creation(void)
{
    uint32_t creation = 0;
    if (getrandom(&creation, sizeof creation, 0) != (ssize_t)sizeof creation)
        creation = (uint32_t)clock_mono_ms();
    return creation | 4; /* 0 to 3 are what nodes before OTP 23 had */
}

static int gate_listen(struct gate *g)
{
    static const struct erlang_handshake_events events = {.on_node = gate_on_node,
                                                          .has_room = gate_has_room};
    char cookie[ERLANG_COOKIE_SIZE], why[PATH_MAX + 256];
    int code = 0;
    if (secret_file_read_private(worker_setting_text(g->w, "erlang.cookie_file"), "cookie", cookie,
                                 sizeof cookie, why, sizeof why) != 0)
        worker_exit(g->w, CONTRACT_EXIT_CONFIG, "cookie_file %s", why);
    const struct erlang_handshake_options options = {.node = g->node,
                                                     .listen =
                                                         worker_setting_text(g->w, "erlang.listen"),
                                                     .cookie = cookie,
                                                     .creation = g->creation,
                                                     .events = &events,
                                                     .ctx = g};
    g->handshakes = erlang_handshakes_open(g->w, &options, &code);
    explicit_bzero(cookie, sizeof cookie);
    return g->handshakes != NULL ? 0 : code;
}

static bool gate_names(const struct gate *g, const char *setting)
{
    const char *title = worker_setting(g->w, setting);
    return title != NULL && title[0] != '\0';
}

static int gate_init(struct worker *w, void *state)
{
    static const struct erlang_peers_events peers = {
        .on_message = gate_on_message, .is_full = gate_is_full, .on_room = gate_on_room};
    static const struct erlang_cache_events cache = {.on_got = gate_on_got,
                                                     .on_over = gate_on_over};
    static const struct erlang_redis_events redis = {.on_reply = gate_on_reply,
                                                     .on_known = gate_on_known,
                                                     .answer_max = ERLANG_FRAME_MAX - 4096};
    struct gate *g = state;
    g->w = w;
    g->node = worker_setting_text(w, "erlang.node");
    g->creation = gate_creation();
    g->has_cache = gate_names(g, "erlang.cache");
    g->redis = (struct erlang_redis){.w = w, .events = &redis, .ctx = g};
    g->peers = erlang_peers_new(w, &peers, g);
    bool has_redis = gate_names(g, "erlang.redis");
    g->unknown = has_redis ? 2 : 1;
    int code = has_redis ? erlang_redis_open(&g->redis, w, &redis, g) : 0;
    if (code == 0 && g->has_cache)
        erlang_cache_open(&g->cache, w, worker_setting_text(w, "erlang.cache"), &cache, g);
    if (code == 0)
        code = gate_listen(g);
    if (code != 0)
        return code;
    worker_hold_ready(w);
    g->epmd = erlang_epmd_open(w, g->node, erlang_handshakes_port(g->handshakes), gate_on_known, g);
    return 0;
}

static void gate_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    struct gate *g = state;
    (void)w;
    if (g->has_cache)
        erlang_cache_on_up(&g->cache, peer);
}

static void gate_on_down(struct worker *w, void *state, struct worker_peer *peer,
                         struct slice reason)
{
    struct gate *g = state;
    (void)w;
    (void)reason;
    if (g->has_cache)
        erlang_cache_on_down(&g->cache, peer);
}

static bool gate_on_mail(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                         struct unpack *u)
{
    struct gate *g = state;
    (void)w;
    return g->has_cache && erlang_cache_on_message(&g->cache, from, type, u);
}

static void gate_on_tick(struct worker *w, void *state)
{
    struct gate *g = state;
    (void)w;
    if (g->has_cache)
        erlang_cache_tick(&g->cache);
    erlang_redis_tick(&g->redis);
    erlang_peers_tick(g->peers);
    if (g->handshakes != NULL)
        erlang_handshakes_tick(g->handshakes);
    gate_tell(g);
    gate_finish(g);
}

/* Nobody is taken or read any more; what was asked for is answered. */
static void gate_drain(struct worker *w, void *state)
{
    struct gate *g = state;
    (void)w;
    g->draining = true;
    erlang_handshakes_close(g->handshakes);
    erlang_epmd_close(g->epmd);
    g->handshakes = NULL;
    g->epmd = NULL;
    gate_finish(g);
}

static void gate_fini(struct worker *w, void *state)
{
    struct gate *g = state;
    (void)w;
    g->draining = false; /* what comes from here on ends nothing any more */
    erlang_handshakes_close(g->handshakes);
    erlang_epmd_close(g->epmd);
    erlang_redis_close(&g->redis);
    erlang_peers_close(g->peers);
    if (g->has_cache)
        erlang_cache_fini(&g->cache);
    buffer_fini(&g->answer);
}

const struct worker_ops worker_ops = {
    .type = "erlang",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct gate),
    .init = gate_init,
    .on_up = gate_on_up,
    .on_down = gate_on_down,
    .on_message = gate_on_mail,
    .on_tick = gate_on_tick,
    .drain = gate_drain,
    .fini = gate_fini,
};
