/*
 * cache_manager_ring.c: how a manager calls Redis; which server that is; how nodes join and leave. See
 * cache_manager_private.h.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A call for one node, which may be gone when it is answered. */
struct manager_visit {
    struct manager *m;
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t joins; /* as it was */
    int64_t at_us;  /* when it was sent */
};

/* ---- calls ---- */

int manager_send(struct manager *m, int rc, redis_reply_fn fn, void *ctx)
{
    struct slice key = slice_of(m->prefix);
    if (rc != 0)
        return rc;
    if (m->run[0] == '\0')
        return -ENOTCONN;
    return redis_conn_script(m->link.conn, m->scripts[m->call.script], 1, &key, m->call.count,
                             m->call.args, fn, ctx);
}

void manager_note_error(struct manager *m, enum cache_ring_script script)
{
    m->error_ms[script] = clock_mono_ms();
}

void manager_is_garbled(struct manager *m, enum cache_ring_script script)
{
    manager_note_error(m, script);
    snprintf(m->errors[script], sizeof m->errors[script],
             "%s: Redis gives an answer that no script of platoon's gives: is another program's "
             "server behind the url?",
             cache_ring_script_name(script));
}

bool manager_bytes(struct manager *m, enum cache_ring_script script, const redisReply *reply,
                   struct slice *bytes)
{
    if (reply == NULL)
        return false; /* of that the connection's trouble speaks */
    if (FAULT_POINT("cache-manager.answer", slice_of(cache_ring_script_name(script))))
        return false; /* Redis has done it, and nobody hears of it */
    if (reply->type == REDIS_REPLY_STRING) {
        *bytes = slice_make(reply->str, reply->len);
        m->errors[script][0] = '\0';
        return true;
    }
    manager_note_error(m, script);
    if (reply->type == REDIS_REPLY_ERROR)
        redis_error_explain(reply->str, reply->len, m->errors[script], sizeof m->errors[script]);
    else
        manager_is_garbled(m, script);
    return false;
}

struct manager_node *manager_find(struct manager *m, const char *name, uint64_t generation,
                                  struct worker_peer **peer)
{
    *peer = worker_peer_find(m->w, name);
    return *peer != NULL && (*peer)->generation == generation ? (*peer)->user : NULL;
}

static struct manager_visit *manager_visit(struct manager *m, const struct worker_peer *peer)
{
    struct manager_visit *v = calloc(1, sizeof *v);
    if (v == NULL)
        return NULL;
    *v = (struct manager_visit){.m = m,
                                .generation = peer->generation,
                                .joins = ((struct manager_node *)peer->user)->joins,
                                .at_us = clock_boot_us()};
    slice_copy(slice_of(peer->name), v->name, sizeof v->name);
    return v;
}

/* ---- joining ---- */

static void manager_send_joined(struct manager *m, struct worker_peer *peer,
                                const struct cache_ring_joined *j, int64_t at_us)
{
    struct message_ring_joined message = {.incarnation = j->who.incarnation,
                                          .mark = j->who.mark,
                                          .seed = j->seed,
                                          .epoch = j->epoch,
                                          .was = j->was,
                                          .closed_ms = j->closed_ms,
                                          .redis_us = j->redis_us,
                                          .at_us = (uint64_t)at_us,
                                          .number = j->number};
    struct buffer *out = worker_compose(m->w);
    message_ring_joined_pack(out, &message);
    worker_must_send(m->w, peer, out);
}

/*
 * Redis' clock, which says when a ring opens, may be set forward meanwhile: in a run of the ring that was closed
 * when it was first seen nothing is claimed before this machine's clock says so too.
 */
static void manager_learn_run(struct manager *m, const struct cache_ring_joined *j)
{
    if (j->epoch == m->epoch)
        return;
    m->epoch = j->epoch;
    m->open_us = j->closed_ms > 0 ? clock_boot_us() + cache_manager_grace_us(m->lease_ms) : 0;
    cache_watch_anew(&m->watch);
}

static void manager_take_joined(struct manager *m, struct worker_peer *peer, struct manager_node *n,
                                const struct cache_ring_joined *j, int64_t at_us)
{
    static const char *const was[] = {"new", "live", "lost"};
    n->state = MANAGER_JOINED;
    n->who = j->who;
    m->closed_ms = j->closed_ms;
    memcpy(m->seed, j->seed.ptr, sizeof m->seed);
    m->seeded = true;
    manager_learn_run(m, j);
    log_info("ring-joined", "node=%s incarnation=%" PRIu64 " was=%s closed_ms=%" PRIu64, peer->name,
             j->who.incarnation, was[j->was], j->closed_ms);
    manager_send_joined(m, peer, j, at_us);
    manager_beat(m);
}

/* Refused: for good, when the ring is another's; else it is asked again with the next beat. */
static void manager_take_refusal(struct manager *m, const struct cache_ring_answer *a)
{
    char why[1024];
    cache_ring_explain(a, m->prefix, why, sizeof why);
    if (why[0] != '\0' && a->status != CACHE_RING_FULL)
        worker_exit(m->w, CONTRACT_EXIT_CONFIG, "%s", why);
    manager_note_error(m, CACHE_RING_JOIN);
    snprintf(m->errors[CACHE_RING_JOIN], sizeof m->errors[CACHE_RING_JOIN], "%.390s",
             why[0] != '\0' ? why : "the ring takes no node");
}

static void manager_on_joined(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_visit *v = ctx;
    struct manager *m = v->m;
    struct cache_ring_answer a;
    struct cache_ring_joined j;
    struct slice bytes;
    struct worker_peer *peer;
    struct manager_node *n = manager_find(m, v->name, v->generation, &peer);
    bool told = manager_bytes(m, CACHE_RING_JOIN, reply, &bytes);
    bool read = told && cache_ring_read_joined(bytes, &a, &j);
    if (told && !read)
        manager_is_garbled(m, CACHE_RING_JOIN);
    if (n != NULL && n->joins == v->joins) {
        n->state = MANAGER_WAITS;
        if (read && a.status == CACHE_RING_OK)
            manager_take_joined(m, peer, n, &j, v->at_us);
        else if (read)
            manager_take_refusal(m, &a);
    }
    free(v);
}

static void manager_join(struct manager *m, struct worker_peer *peer, struct manager_node *n)
{
    manager_flush(m, peer); /* of the session before: not answered behind this one's RING_JOINED */
    n->joins++;
    struct manager_visit *v = manager_visit(m, peer);
    snprintf(m->token, sizeof m->token, "%s:%" PRIu64, worker_setting_text(m->w, "platoon.boot"),
             peer->generation);
    struct cache_ring_member member = {
        .seed = slice_make(n->seed, sizeof n->seed),
        .store = slice_of(m->store),
        .file = strcmp(worker_setting_text(m->w, "store.type"), "file") == 0,
        .copies = m->copies,
        .lease_ms = m->lease_ms,
        .name = slice_of(peer->name),
        .host = slice_of(m->host),
        .platoon = slice_of(worker_setting_text(m->w, "platoon.instance")),
        .address = slice_of(n->address),
        .token = slice_of(m->token),
        .last = n->who};
    int rc = v == NULL ? -ENOMEM : cache_ring_join(&m->call, manager_run(m), &member);
    if (manager_send(m, rc, manager_on_joined, v) == 0)
        n->state = MANAGER_JOINING;
    else
        free(v); /* it is asked again with the next beat */
}

void manager_join_all(struct manager *m)
{
    for (struct worker_peer *p = NULL; (p = worker_peer_next(m->w, p)) != NULL;) {
        struct manager_node *n = p->user;
        if (n != NULL && n->state == MANAGER_WAITS && m->run[0] != '\0')
            manager_join(m, p, n);
    }
}

/* ---- leaving ---- */

void manager_send_left(struct manager *m, struct worker_peer *peer, uint64_t result)
{
    struct message_ring_left message = {.result = result};
    struct buffer *out = worker_compose(m->w);
    message_ring_left_pack(out, &message);
    worker_must_send(m->w, peer, out);
}

static void manager_on_left(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_visit *v = ctx;
    struct manager *m = v->m;
    struct cache_ring_answer a;
    struct slice bytes;
    struct worker_peer *peer;
    struct manager_node *n = manager_find(m, v->name, v->generation, &peer);
    bool told = manager_bytes(m, CACHE_RING_LEAVE, reply, &bytes);
    bool read = told && cache_ring_read(bytes, &a);
    if (told && !read)
        manager_is_garbled(m, CACHE_RING_LEAVE);
    if (n != NULL && n->joins == v->joins) {
        if (read && a.status == CACHE_RING_OK) {
            manager_forget_node(m, n->who.incarnation);
            n->state = MANAGER_SILENT;
            n->who = (struct cache_ring_holder){0};
        }
        manager_send_left(m, peer, read ? a.status : MANAGER_AWAY);
    }
    free(v);
}

void manager_leave(struct manager *m, struct worker_peer *peer)
{
    const struct manager_node *n = peer->user;
    struct manager_visit *v = manager_visit(m, peer);
    manager_flush(m, peer);
    int rc = v == NULL ? -ENOMEM : cache_ring_leave(&m->call, manager_run(m), &n->who);
    if (manager_send(m, rc, manager_on_left, v) == 0)
        return;
    free(v);
    manager_send_left(m, peer, MANAGER_AWAY);
}

/* ---- the connection ---- */

/* "run_id:…" of an INFO. */
static bool manager_read_run(struct manager *m, struct slice info)
{
    static const char name[] = "run_id:";
    for (size_t at = 0; at < info.len;) {
        const char *line = info.ptr + at;
        const char *end = memchr(line, '\n', info.len - at);
        size_t len = end != NULL ? (size_t)(end - line) : info.len - at;
        at += len + 1;
        if (len <= sizeof name || memcmp(line, name, sizeof name - 1) != 0)
            continue;
        len -= sizeof name - 1;
        return slice_copy(
            slice_make(line + sizeof name - 1, len - (line[sizeof name - 2 + len] == '\r')), m->run,
            sizeof m->run);
    }
    return false;
}

static void manager_on_info(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    if (reply == NULL)
        return;
    m->trouble[0] = '\0';
    if (reply->type == REDIS_REPLY_ERROR)
        redis_error_explain(reply->str, reply->len, m->trouble, sizeof m->trouble);
    else if (reply->type != REDIS_REPLY_STRING ||
             !manager_read_run(m, slice_make(reply->str, reply->len)))
        snprintf(m->trouble, sizeof m->trouble,
                 "this Redis does not say which process it is (INFO server, run_id), and without "
                 "that a ring cannot tell a fail-over: use another server");
    redis_link_settle(&m->link);
    manager_join_all(m);
    manager_beat(m);
}

void manager_ask_run(struct manager *m)
{
    struct slice info[] = {slice_of("INFO"), slice_of("server")};
    redis_conn_command(m->link.conn, 2, info, manager_on_info, m); /* else: with the next tick */
}

void manager_on_ready(struct worker *w, void *state)
{
    (void)w;
    struct manager *m = state;
    redis_look_at(&m->look, &m->link);
    redis_rights_ask(&m->rights);
    manager_ask_run(m);
}

/*
 * What was sent may still be done on the old connection, late: so all calls from now on are of another join, which
 * Redis holds against them.
 */
void manager_on_lost(struct worker *w, void *state, const char *why)
{
    struct manager *m = state;
    redis_look_lost(&m->look, w, why);
    m->run[0] = '\0';
    m->gen = 0;
    m->is_master = false;
    cache_watch_anew(&m->watch);
    for (struct worker_peer *p = NULL; (p = worker_peer_next(w, p)) != NULL;) {
        struct manager_node *n = p->user;
        if (n != NULL && n->state != MANAGER_SILENT)
            n->state = MANAGER_WAITS;
    }
}
