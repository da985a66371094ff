/*
 * worker_link.c: the worker's end of the link (fd 3): what the master says, and saying something to it.
 *
 * The master is trusted to be alive or dead, not to be right: a message that cannot be read ends the process, because
 * nothing that follows it can be relied on.
 */
#include "common/log.h"
#include "workers/skeleton/worker_private.h"

#include <unistd.h>

/* ---- out ---- */

bool worker_link_try_send(struct worker *w)
{
    int rc = UV_ENOMEM;
    if (w->orphan)
        return true;
    if (buffer_ok(&w->frame))
        rc = stream_send(&w->link, buffer_slice(&w->frame));
    if (rc == UV_ENOBUFS && w->phase < WORKER_ENDING) {
        w->orphan = true; /* so that BYE is not tried */
        worker_exit(w, CONTRACT_EXIT_TEMPORARY,
                    "%s: the master has not read its link for %u bytes; is it stopped?", w->name,
                    CONTRACT_QUEUE_MAX);
    }
    if (rc != 0 && rc != UV_ENOTCONN)
        log_error("link-send", "cause=%s bytes=%zu", log_quote_text(uv_strerror(rc)), w->frame.len);
    return rc == 0 || rc == UV_ENOTCONN;
}

/* READY, an answer, a question: the master, or we, would wait for what was not sent. */
void worker_link_send(struct worker *w)
{
    if (worker_link_try_send(w) || w->phase >= WORKER_ENDING)
        return;
    w->orphan = true; /* so that BYE is not tried */
    worker_exit_for(w, ENOMEM, NULL, "%s: cannot tell the master", w->name);
}

void worker_link_hello(struct worker *w)
{
    struct link_hello hello = {.version = CONTRACT_LINK_VERSION,
                               .type = slice_of(w->ops->type),
                               .pid = (uint64_t)getpid(),
                               .generation = w->generation};
    buffer_clear(&w->frame);
    link_hello_pack(&w->frame, &hello);
    worker_link_send(w);
}

void worker_link_bye(struct worker *w, const char *reason)
{
    struct link_bye bye = {.reason = slice_of(reason)};
    buffer_clear(&w->frame);
    link_bye_pack(&w->frame, &bye);
    worker_link_send(w);
}

void worker_monitor(struct worker *w, struct slice name)
{
    struct link_monitor monitor = {.name = name};
    buffer_clear(&w->frame);
    link_monitor_pack(&w->frame, &monitor);
    worker_link_send(w);
}

void worker_look(struct worker *w, uint64_t id)
{
    struct link_look look = {.id = id};
    buffer_clear(&w->frame);
    link_look_pack(&w->frame, &look);
    worker_link_send(w);
}

void worker_child_start(struct worker *w, uint64_t id, struct slice program, struct slice argument)
{
    struct link_child child = {.id = id, .program = program, .argument = argument};
    buffer_clear(&w->frame);
    link_child_pack(&w->frame, &child);
    worker_link_send(w);
}

void worker_child_stop(struct worker *w, struct slice name)
{
    struct link_end end = {.name = name};
    buffer_clear(&w->frame);
    link_end_pack(&w->frame, &end);
    worker_link_send(w);
}

void worker_link_blame(struct worker *w, const struct worker_peer *peer, const char *reason)
{
    struct link_blame blame = {
        .name = slice_of(peer->name), .generation = peer->generation, .reason = slice_of(reason)};
    buffer_clear(&w->frame);
    link_blame_pack(&w->frame, &blame);
    worker_link_send(w);
}

void worker_link_prove(struct worker *w)
{
    w->peers.proves = proof_new_key(w->peers.key);
    if (!w->peers.proves)
        return; /* so early that there are no random bytes: as before there were proofs */
    struct link_proves proves = {.key = slice_make(w->peers.key, sizeof w->peers.key)};
    buffer_clear(&w->frame);
    link_proves_pack(&w->frame, &proves);
    worker_link_send(w);
}

/* ---- in ---- */

static bool worker_link_config(struct worker *w, struct slice frame)
{
    struct link_config m;
    if (!link_config_unpack(frame, &m) || w->phase != WORKER_GREETING)
        return false;
    worker_configure(w, m.settings);
    return true;
}

static bool worker_link_stop(struct worker *w, struct slice frame)
{
    struct link_stop m;
    if (!link_stop_unpack(frame, &m))
        return false;
    /* The worker's own end comes shortly before the master's SIGKILL, which follows SIGTERM after CONTRACT_TERM_MS. */
    worker_stop(w, m.deadline_ms + CONTRACT_TERM_MS, "the master said stop");
    return true;
}

static bool worker_link_up(struct worker *w, struct slice frame)
{
    struct link_up m;
    if (!link_up_unpack(frame, &m) || m.generation == 0)
        return false;
    worker_peers_up(w, &m, 0);
    return true;
}

static bool worker_link_peer(struct worker *w, struct slice frame)
{
    struct link_peer m;
    if (!link_peer_unpack(frame, &m) || m.generation == 0 || m.proof == 0)
        return false;
    struct link_up up = {
        .name = m.name, .type = m.type, .generation = m.generation, .address = m.address};
    worker_peers_up(w, &up, m.proof);
    return true;
}

static bool worker_link_down(struct worker *w, struct slice frame)
{
    struct link_down m;
    if (!link_down_unpack(frame, &m))
        return false;
    worker_peers_down(w, &m);
    return true;
}

void worker_link_serve(struct worker *w, const struct link_request *request)
{
    worker_late_add(w, request->id, request->deadline_ms);
    if (w->phase >= WORKER_SETTLING)
        worker_reply_text(w, request->id, CONTROL_ERROR, "it ends");
    else if (w->ops->on_request != NULL)
        w->ops->on_request(w, w->state, request);
    else
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s understands no requests",
                          w->ops->type);
}

static bool worker_link_request(struct worker *w, struct slice frame)
{
    struct link_request m;
    if (!link_request_unpack(frame, &m))
        return false;
    if (!worker_answer_log_level(w, &m) && !worker_trace_answer(w, &m))
        worker_link_serve(w, &m);
    return true;
}

static bool worker_link_tree(struct worker *w, struct slice frame)
{
    struct link_tree m;
    if (!link_tree_unpack(frame, &m))
        return false;
    if (w->ops->on_tree != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_tree(w, w->state, &m);
    return true;
}

static bool worker_link_started(struct worker *w, struct slice frame)
{
    struct link_started m;
    if (!link_started_unpack(frame, &m))
        return false;
    if (w->ops->on_started != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_started(w, w->state, &m);
    return true;
}

/* Before CONFIG there is no type to hand anything to. */
static bool worker_link_take(struct worker *w, uint64_t type, struct slice frame)
{
    if (w->phase == WORKER_GREETING && type != LINK_CONFIG && type != LINK_STOP)
        return false;
    switch (type) {
    case LINK_CONFIG:
        return worker_link_config(w, frame);
    case LINK_STOP:
        return worker_link_stop(w, frame);
    case LINK_UP:
        return worker_link_up(w, frame);
    case LINK_PEER:
        return worker_link_peer(w, frame);
    case LINK_DOWN:
        return worker_link_down(w, frame);
    case LINK_REQUEST:
        return worker_link_request(w, frame);
    case LINK_TREE:
        return worker_link_tree(w, frame);
    case LINK_STARTED:
        return worker_link_started(w, frame);
    default:
        return false;
    }
}

static void worker_link_on_frame(struct stream *s, struct slice frame, void *ctx)
{
    (void)s;
    struct worker *w = ctx;
    if (w->phase == WORKER_ENDING)
        return;
    worker_wake(w);
    uint64_t type = link_frame_type(frame);
    if (!worker_link_take(w, type, frame))
        worker_exit(w, CONTRACT_EXIT_INCONSISTENT,
                    "%s: cannot read a %s message of %zu bytes from the master; do both come from "
                    "one build?",
                    w->name, link_type_name(type), frame.len);
}

static void worker_link_on_end(struct stream *s, int error, void *ctx)
{
    (void)s;
    struct worker *w = ctx;
    w->orphan = true;
    worker_stop(w, CONTRACT_ORPHAN_MS, error == 0 ? "the master is gone" : uv_strerror(error));
}

const struct stream_events worker_link_events = {
    .on_frame = worker_link_on_frame,
    .on_end = worker_link_on_end,
};
