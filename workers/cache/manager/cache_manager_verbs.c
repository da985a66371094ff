/*
 * cache_manager_verbs.c: what people ask a manager: the ring, who has a key, forget a node. See
 * cache_manager_private.h.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "proto/control.h"
#include "workers/cache/ring/cache_cell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A person's question that Redis answers. */
struct manager_question {
    struct manager *m;
    uint64_t id;
    struct cache_ring_holder who; /* forget */
    uint64_t cell;                /* owner */
};

static void manager_fail(struct manager *m, uint64_t id, const char *what, const char *why)
{
    worker_reply_text(m->w, id, CONTROL_ERROR, "%s: %s", what, why);
}

/* Why Redis did not answer that. */
static const char *manager_why(const struct manager *m, enum cache_ring_script script)
{
    if (m->errors[script][0] != '\0')
        return m->errors[script];
    const char *trouble = redis_conn_trouble(m->link.conn);
    return trouble[0] != '\0' ? trouble : "the connection to Redis was lost: ask again";
}

static struct manager_question *manager_question(struct manager *m, uint64_t id)
{
    struct manager_question *q = calloc(1, sizeof *q);
    if (q != NULL)
        *q = (struct manager_question){.m = m, .id = id};
    return q;
}

/* Sends m->call for a question; what cannot be sent is answered here. */
static void manager_ask(struct manager_question *q, struct manager *m, uint64_t id,
                        const char *what, int rc, redis_reply_fn fn)
{
    if (manager_send(m, rc, fn, q) == 0)
        return;
    free(q);
    manager_fail(m, id, what, rc == -ENOMEM ? "not enough memory" : manager_why(m, m->call.script));
}

/* ---- ring ---- */

static void manager_put_text(struct buffer *out, const char *key, const char *text)
{
    pack_text(out, key);
    pack_text(out, text);
}

static void manager_put_number(struct buffer *out, const char *key, uint64_t value)
{
    pack_text(out, key);
    pack_u64(out, value);
}

/* For how long this one has not beaten: nil, when nobody has watched it yet. */
static void manager_put_beat(const struct manager *m, struct buffer *out, const char *who)
{
    const struct cache_watched *one = cache_watch_find(&m->watch, slice_of(who));
    pack_text(out, "beat_ms");
    if (one != NULL)
        pack_u64(out, (uint64_t)cache_watch_still_us(&m->watch, one) / 1000);
    else
        pack_nil(out);
}

static void manager_put_node(const struct manager *m, struct buffer *out,
                             const struct manager_known *k)
{
    char who[24];
    snprintf(who, sizeof who, "%" PRIu64, k->who.incarnation);
    uint64_t cells;
    pack_map(out, 8);
    manager_put_number(out, "incarnation", k->who.incarnation);
    manager_put_text(out, "name", k->name);
    manager_put_text(out, "host", k->host);
    manager_put_text(out, "platoon", k->platoon);
    manager_put_text(out, "address", k->address);
    manager_put_text(out, "state", k->lost ? "lost" : "live");
    pack_text(out, "cells");
    if (manager_cells_of(m, k->who.incarnation, &cells))
        pack_u64(out, cells);
    else
        pack_nil(out);
    manager_put_beat(m, out, who);
}

static void manager_on_ring(struct manager *m, uint64_t id)
{
    struct buffer out = BUFFER_EMPTY;
    if (m->run[0] == '\0') {
        manager_fail(m, id, "ring", manager_why(m, CACHE_RING_BEAT));
        return;
    }
    int64_t heard_us = m->watch.now_us != 0 ? clock_boot_us() - m->watch.now_us : 0;
    pack_map(&out, 7);
    manager_put_text(&out, "cache", worker_setting_text(m->w, "cache.name"));
    manager_put_number(&out, "gen", m->gen);
    manager_put_number(&out, "lease_ms", m->lease_ms);
    manager_put_number(&out, "closed_ms", m->closed_ms);
    manager_put_number(&out, "heard_ms", (uint64_t)heard_us / 1000);
    pack_text(&out, "nodes");
    pack_array(&out, (uint32_t)m->known_count);
    for (size_t i = 0; i < m->known_count; i++)
        manager_put_node(m, &out, &m->known[i]);
    pack_text(&out, "managers");
    pack_array(&out, (uint32_t)m->other_count);
    for (size_t i = 0; i < m->other_count; i++) {
        bool is_master = strcmp(m->others[i].manager, m->master) == 0;
        pack_map(&out, 4);
        manager_put_text(&out, "name", m->others[i].manager);
        manager_put_text(&out, "host", m->others[i].host);
        manager_put_text(&out, "role", is_master ? "master" : "slave");
        manager_put_beat(m, &out, m->others[i].manager);
    }
    if (buffer_ok(&out))
        worker_reply(m->w, id, CONTROL_OK, buffer_slice(&out));
    else
        manager_fail(m, id, "ring", "not enough memory");
    buffer_fini(&out);
}

/* ---- owner ---- */

static const struct manager_known *manager_known_by(const struct manager *m, uint64_t incarnation)
{
    for (size_t i = 0; i < m->known_count; i++)
        if (m->known[i].who.incarnation == incarnation)
            return &m->known[i];
    return NULL;
}

static void manager_reply_owner(const struct manager_question *q,
                                const struct cache_ring_owner *owner)
{
    static const char *const states[] = {"free", "owned", "owned", "lost"};
    struct buffer out = BUFFER_EMPTY;
    char cell[20];
    const struct manager_known *k = manager_known_by(q->m, owner->value);
    snprintf(cell, sizeof cell, "%016" PRIx64, q->cell);
    pack_map(&out, 5);
    manager_put_text(&out, "cell", cell);
    manager_put_text(&out, "state", states[owner->state]);
    manager_put_number(&out, "incarnation", owner->value);
    manager_put_text(&out, "node", k != NULL ? k->name : "");
    manager_put_text(&out, "host", k != NULL ? k->host : "");
    if (buffer_ok(&out))
        worker_reply(q->m->w, q->id, CONTROL_OK, buffer_slice(&out));
    else
        manager_fail(q->m, q->id, "owner", "not enough memory");
    buffer_fini(&out);
}

static void manager_on_looked(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_question *q = ctx;
    struct cache_ring_answer a;
    struct cache_ring_owner owner;
    struct slice bytes;
    if (!manager_bytes(q->m, CACHE_RING_LOOK, reply, &bytes)) {
        manager_fail(q->m, q->id, "owner", manager_why(q->m, CACHE_RING_LOOK));
    } else if (!cache_ring_read_owners(bytes, &a, &owner, 1)) {
        manager_is_garbled(q->m, CACHE_RING_LOOK);
        manager_fail(q->m, q->id, "owner", q->m->errors[CACHE_RING_LOOK]);
    } else if (a.status != CACHE_RING_OK) {
        manager_fail(q->m, q->id, "owner", "there is no ring yet: no node has joined");
    } else {
        manager_reply_owner(q, &owner);
    }
    free(q);
}

static void manager_on_owner(struct manager *m, uint64_t id, struct slice key)
{
    if (!m->seeded) {
        manager_fail(m, id, "owner", "no node of this platoon has joined the ring yet");
        return;
    }
    struct manager_question *q = manager_question(m, id);
    uint64_t cell = cache_cell(key, (const uint8_t *)m->seed);
    if (q != NULL)
        q->cell = cell;
    int rc = q == NULL ? -ENOMEM : cache_ring_look(&m->call, manager_run(m), &cell, 1);
    manager_ask(q, m, id, "owner", rc, manager_on_looked);
}

/* ---- forget ---- */

static void manager_reply_forgotten(const struct manager_question *q,
                                    const struct cache_ring_answer *a)
{
    struct manager *m = q->m;
    struct buffer out = BUFFER_EMPTY;
    if (a->status == CACHE_RING_OK) {
        log_warn("ring-node-forgotten", "incarnation=%" PRIu64, q->who.incarnation);
        manager_free_cells(m);
        pack_map(&out, 1);
        manager_put_number(&out, "incarnation", q->who.incarnation);
        worker_reply(m->w, q->id, CONTROL_OK,
                     buffer_slice(&out)); /* empty is nil, without memory */
        buffer_fini(&out);
        manager_beat(m);
    } else if (a->status == CACHE_RING_CLOSED) {
        worker_reply_text(m->w, q->id, CONTROL_ERROR,
                          "forget: the ring is closed for %" PRIu64
                          " ms more, as Redis is another since: ask again then",
                          a->value);
    } else if (a->status == CACHE_RING_COPIED) {
        worker_reply_text(
            m->w, q->id, CONTROL_ERROR,
            "forget: Redis has %" PRIu64
            " copies of what it wrote, which the store does not have: the master stores "
            "them, and then it is forgotten; its manager's trouble says what keeps it",
            a->value);
    } else {
        manager_fail(m, q->id, "forget", "that node has come back meanwhile: see 'cache ring'");
    }
}

static void manager_on_forgotten(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_question *q = ctx;
    struct cache_ring_answer a;
    struct slice bytes;
    if (!manager_bytes(q->m, CACHE_RING_FORGET, reply, &bytes)) {
        manager_fail(q->m, q->id, "forget", manager_why(q->m, CACHE_RING_FORGET));
    } else if (!cache_ring_read(bytes, &a)) {
        manager_is_garbled(q->m, CACHE_RING_FORGET);
        manager_fail(q->m, q->id, "forget", q->m->errors[CACHE_RING_FORGET]);
    } else {
        manager_reply_forgotten(q, &a);
    }
    free(q);
}

/* The one lost node that is meant: by its incarnation, or by a name that only one of them has. */
static const struct manager_known *manager_lost_named(const struct manager *m, struct slice word,
                                                      size_t *count)
{
    const struct manager_known *found = NULL;
    char number[24];
    *count = 0;
    for (size_t i = 0; i < m->known_count; i++) {
        const struct manager_known *k = &m->known[i];
        snprintf(number, sizeof number, "%" PRIu64, k->who.incarnation);
        if (!k->lost || (!slice_is(word, number) && !slice_is(word, k->name)))
            continue;
        found = k;
        ++*count;
    }
    return found;
}

static void manager_on_forget(struct manager *m, uint64_t id, struct slice word)
{
    size_t count;
    const struct manager_known *k = manager_lost_named(m, word, &count);
    if (count != 1) {
        manager_fail(m, id, "forget",
                     count == 0 ? "no lost node of the ring has that name or number (see 'cache "
                                  "ring'), and only lost ones can be forgotten"
                                : "several lost nodes have that name: give its number instead (see "
                                  "'cache ring')");
        return;
    }
    struct manager_question *q = manager_question(m, id);
    if (q != NULL)
        q->who = k->who;
    bool even = m->copies < 2 || m->rescue.refused_of == k->who.incarnation;
    int rc = q == NULL ? -ENOMEM : cache_ring_forget(&m->call, manager_run(m), &k->who, even);
    manager_ask(q, m, id, "forget", rc, manager_on_forgotten);
}

/* ---- asking ---- */

void manager_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct manager *m = state;
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    struct slice word = count == 1 ? unpack_bytes(&u) : slice_of("");
    bool good = unpack_ok(&u) && count <= 1;
    if (good && count == 0 && slice_is(request->verb, "ring"))
        manager_on_ring(m, request->id);
    else if (good && count == 1 && slice_is(request->verb, "owner"))
        manager_on_owner(m, request->id, word);
    else if (good && count == 1 && slice_is(request->verb, "forget"))
        manager_on_forget(m, request->id, word);
    else
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "a cache manager answers ring, owner KEY and forget NODE");
}
