/* erlang_peer.c: see erlang_peer.h. */
#include "workers/erlang/erlang_peer.h"

#include "common/clock.h"
#include "common/log.h"
#include "proto/erlang/erlang_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PEER_SILENT_MS (5 * ERLANG_TICK_MS) /* as long as an Erlang node waits at most */
#define PEER_QUEUED    ((size_t)1 << 20)    /* who has so much to read is asked for nothing more */
#define PEER_LOOK_MS   20u                  /* until it is looked whether it has read it */

struct erlang_peer {
    struct erlang_peer *next;
    struct erlang_peers *of;
    struct stream stream;
    uint32_t lane;
    unsigned calls;             /* under way */
    bool over;                  /* it is not in the list any more */
    uint64_t heard_ms, said_ms; /* clock_mono_ms */
    char name[ERLANG_NODE_MAX + 1];
};

struct erlang_peers {
    struct worker *w;
    const struct erlang_peers_events *events;
    void *ctx;
    struct erlang_peer *first;
    size_t count;   /* in the list */
    size_t open;    /* whose handles are not closed */
    uint32_t lanes; /* given so far */
    uv_idle_t wake; /* somebody may be read again: not from within what found that out */
    uv_timer_t look;
    unsigned handles;
    bool closing;
    struct buffer out; /* of the frame at hand */
};

/* ---- who is read ---- */

static bool peer_reads_slowly(const struct erlang_peer *p)
{
    return stream_queued(&p->stream) > PEER_QUEUED;
}

static void peers_on_wake(uv_idle_t *wake);

static void peers_wake(struct erlang_peers *all)
{
    if (!all->closing)
        uv_idle_start(&all->wake, peers_on_wake);
}

static void peers_on_look(uv_timer_t *look)
{
    peers_wake(look->data);
}

static bool peer_may_be_read(const struct erlang_peer *p)
{
    const struct erlang_peers *all = p->of;
    return p->calls < ERLANG_CALLS_MAX && !peer_reads_slowly(p) && !all->events->is_full(all->ctx);
}

static void peer_hold(struct erlang_peer *p)
{
    if (p->over || peer_may_be_read(p))
        return;
    stream_pause(&p->stream);
    if (peer_reads_slowly(p))
        uv_timer_start(&p->of->look, peers_on_look, PEER_LOOK_MS, 0);
}

/* The last one comes first the next time: or those in front would have all the room there is. */
static void peers_turn(struct erlang_peers *all)
{
    struct erlang_peer **last = &all->first;
    while (*last != NULL && (*last)->next != NULL)
        last = &(*last)->next;
    struct erlang_peer *p = *last;
    if (p == NULL || p == all->first)
        return;
    *last = NULL;
    p->next = all->first;
    all->first = p;
}

static void peers_on_wake(uv_idle_t *wake)
{
    struct erlang_peers *all = wake->data;
    uv_idle_stop(wake);
    peers_turn(all);
    for (struct erlang_peer *p = all->first, *next; p != NULL; p = next) {
        next = p->next; /* what a frame leads to ends this connection at most */
        if (peer_may_be_read(p))
            stream_resume(&p->stream);
        else
            peer_hold(p);
    }
}

void erlang_peer_asks(struct erlang_peer *p)
{
    p->calls++;
}

void erlang_peers_over(struct erlang_peers *all, uint32_t lane)
{
    for (struct erlang_peer *p = all->first; p != NULL; p = p->next)
        if (p->lane == lane)
            p->calls -= p->calls > 0;
    peers_wake(all);
}

/* ---- one ---- */

/* Out of the list; its memory goes when its handle is closed. */
static void peer_leave(struct erlang_peer *p)
{
    struct erlang_peer **at = &p->of->first;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->over = true;
    p->of->count--;
}

static void peer_end(struct erlang_peer *p, const char *why)
{
    if (p->over)
        return;
    peer_leave(p);
    log_info("node-gone", "node=%s reason=\"%s\"", log_quote_text(p->name), why);
    stream_close(&p->stream);
}

static void peer_on_end(struct stream *s, int error, void *ctx)
{
    struct erlang_peer *p = ctx;
    (void)s;
    peer_end(p, error == 0             ? "it has closed the connection"
                : error == UV_EMSGSIZE ? "a message of it is above the largest that is taken"
                                       : uv_strerror(error));
}

static void peers_free(struct erlang_peers *all)
{
    if (!all->closing || all->handles > 0 || all->open > 0)
        return;
    buffer_fini(&all->out);
    free(all);
}

static void peer_on_closed(struct stream *s, void *ctx)
{
    struct erlang_peer *p = ctx;
    struct erlang_peers *all = p->of;
    (void)s;
    free(p);
    all->open--;
    if (all->closing)
        peers_free(all);
    else
        all->events->on_room(all->ctx);
}

/* What waits in `out`. */
static bool peer_send(struct erlang_peer *p)
{
    struct erlang_peers *all = p->of;
    if (!buffer_ok(&all->out))
        worker_exit_for(all->w, ENOMEM, NULL, "cannot answer node %s", p->name);
    int rc = stream_send(&p->stream, buffer_slice(&all->out));
    buffer_reset(&all->out, PEER_QUEUED);
    p->said_ms = clock_mono_ms();
    if (rc == -EMSGSIZE) {
        log_warn("answer-lost", "node=%s reason=\"it is larger than a message may be\"",
                 log_quote_text(p->name));
        return true;
    }
    if (rc == UV_ENOBUFS) {
        worker_count(all->w, COUNTER_ERLANG_DROPPED, 1);
        log_warn("node-slow",
                 "node=%s reason=\"it does not read its answers; its connection ends\"",
                 log_quote_text(p->name));
    }
    if (rc != 0)
        peer_end(p, uv_strerror(rc));
    return rc == 0;
}

static void peer_tick(struct erlang_peer *p)
{
    buffer_clear(&p->of->out);
    peer_send(p);
}

/* A process that asks for net_kernel, to see whether we are there (net_adm:ping/1), is answered by the gate. */
static bool peer_is_kernel(const struct erlang_control *c)
{
    return erlang_term_atom_is(&c->name, "net_kernel");
}

static void peer_on_frame(struct stream *s, struct slice frame, void *ctx)
{
    struct erlang_peer *p = ctx;
    struct erlang_control control;
    (void)s;
    p->heard_ms = clock_mono_ms();
    if (!erlang_control_read(frame, &control)) {
        peer_end(p, "what it sends is no message of the distribution");
        return;
    }
    if (control.kind == ERLANG_CONTROL_MESSAGE) {
        worker_count(p->of->w, COUNTER_ERLANG_MESSAGES, 1);
        p->of->events->on_message(p->of->ctx, p, &control);
    } else if (control.kind == ERLANG_CONTROL_TICK) {
        if (p->heard_ms - p->said_ms >= ERLANG_TICK_MS / 2)
            peer_tick(p);
    } else if (control.kind != ERLANG_CONTROL_NONE && !peer_is_kernel(&control)) {
        buffer_clear(&p->of->out);
        erlang_control_refuse(&p->of->out, &control);
        if (p->of->out.len > 0)
            peer_send(p);
    }
    peer_hold(p);
}

const char *erlang_peer_name(const struct erlang_peer *p)
{
    return p->name;
}

uint32_t erlang_peer_lane(const struct erlang_peer *p)
{
    return p->lane;
}

/* ---- all ---- */

static struct erlang_peer *peers_find(struct erlang_peers *all, struct slice name)
{
    struct erlang_peer *p = all->first;
    while (p != NULL && !slice_is(name, p->name))
        p = p->next;
    return p;
}

bool erlang_peers_send(struct erlang_peers *all, struct slice node, struct slice pid,
                       struct slice message)
{
    struct erlang_peer *p = peers_find(all, node);
    if (p == NULL)
        return false;
    buffer_clear(&all->out);
    erlang_control_send(&all->out, pid, message);
    return peer_send(p);
}

void erlang_peers_add(struct erlang_peers *all, int fd, struct slice name)
{
    static const struct stream_events events = {
        .on_frame = peer_on_frame, .on_end = peer_on_end, .on_closed = peer_on_closed};
    const struct stream_limits limits = {.frame_max = ERLANG_FRAME_MAX,
                                         .queue_max = ERLANG_QUEUE_MAX};
    struct erlang_peer *old = peers_find(all, name);
    if (old != NULL)
        peer_end(old, "its node has connected anew");
    struct erlang_peer *p = worker_must_alloc(all->w, sizeof *p);
    p->of = all;
    p->lane = ++all->lanes;
    p->heard_ms = p->said_ms = clock_mono_ms();
    slice_copy(name, p->name, sizeof p->name);
    int rc = stream_init(&p->stream, worker_loop(all->w), limits, &events, p);
    if (rc != 0)
        worker_exit_for(all->w, -rc, NULL, "cannot take node %s", p->name);
    p->next = all->first;
    all->first = p;
    all->count++;
    all->open++;
    log_info("node-up", "node=%s", log_quote_text(p->name));
    rc = stream_open(&p->stream, fd);
    if (rc == 0)
        return;
    close(fd);
    peer_end(p, uv_strerror(rc));
}

size_t erlang_peers_count(const struct erlang_peers *all)
{
    return all->open;
}

/* Of a node that is not read on our account it is no wonder that nothing is heard. */
static void peer_look(struct erlang_peer *p, uint64_t now)
{
    if (p->stream.paused)
        p->heard_ms = now;
    if (now - p->heard_ms > PEER_SILENT_MS)
        peer_end(p, "nothing was heard of it for longer than net_ticktime");
    else if (now - p->said_ms >= ERLANG_TICK_MS)
        peer_tick(p);
}

void erlang_peers_tick(struct erlang_peers *all)
{
    uint64_t now = clock_mono_ms();
    for (struct erlang_peer *p = all->first, *next; p != NULL; p = next) {
        next = p->next;
        peer_look(p, now);
    }
    peers_wake(all);
}

struct erlang_peers *erlang_peers_new(struct worker *w, const struct erlang_peers_events *events,
                                      void *ctx)
{
    struct erlang_peers *all = worker_must_alloc(w, sizeof *all);
    all->w = w;
    all->events = events;
    all->ctx = ctx;
    uv_idle_init(worker_loop(w), &all->wake);
    uv_timer_init(worker_loop(w), &all->look);
    all->wake.data = all->look.data = all;
    all->handles = 2;
    return all;
}

static void peers_on_handle_closed(uv_handle_t *handle)
{
    struct erlang_peers *all = handle->data;
    all->handles--;
    peers_free(all);
}

void erlang_peers_close(struct erlang_peers *all)
{
    if (all == NULL)
        return;
    all->closing = true;
    while (all->first != NULL)
        peer_end(all->first, "this worker ends");
    uv_close((uv_handle_t *)&all->wake, peers_on_handle_closed);
    uv_close((uv_handle_t *)&all->look, peers_on_handle_closed);
}
