/*
 * gate_follow.c: each change, to whoever listens. See gate_private.h.
 *
 * When the store comes, it is asked to tell each change; it says when its repository is open, and is asked then what
 * there is. What was missed while it was away becomes one change of each resource. What was there when the gate came
 * nobody is told: who listens then has it from elsewhere, and `prev` shows what it has missed.
 */
#include "workers/snapshot/gate/gate_private.h"

#include "common/log.h"
#include "workers/snapshot/snapshot_version.h"

static struct gate_resource *follow_find(struct gate *g, struct slice name)
{
    for (size_t i = 0; i < g->count; i++)
        if (slice_is(name, g->list[i].name))
            return &g->list[i];
    return NULL;
}

/* A version that is not known yet. */
static void follow_take(struct gate *g, struct gate_resource *to, const struct gate_resource *v)
{
    to->seq = v->seq;
    to->time_s = v->time_s;
    memcpy(to->commit, v->commit, sizeof to->commit);
    memcpy(to->blob, v->blob, sizeof to->blob);
    if (g->knows)
        gate_nanomsg_tell(g, to);
    else
        to->told_seq = to->seq;
}

static bool follow_copy(struct slice text, char to[GATE_COMMIT_SIZE])
{
    return text.len == GATE_COMMIT_SIZE - 1 && slice_copy(text, to, GATE_COMMIT_SIZE);
}

/* ---- what there is ---- */

/* One row of the list: *to is its resource, NULL for none of ours. False: it is no row. */
static bool follow_row(struct gate *g, struct unpack *u, struct gate_resource **to,
                       struct gate_resource *v)
{
    uint32_t count = unpack_map(u);
    struct snapshot_version when = {.time_s = 0};
    bool good = true;
    *to = NULL;
    *v = (struct gate_resource){.seq = 0};
    for (uint32_t i = 0; i < count && unpack_ok(u); i++) {
        struct slice key = unpack_bytes(u);
        if (slice_is(key, "resource"))
            *to = follow_find(g, unpack_bytes(u));
        else if (slice_is(key, "seq"))
            v->seq = unpack_u64(u);
        else if (slice_is(key, "commit"))
            good = good && follow_copy(unpack_bytes(u), v->commit);
        else if (slice_is(key, "blob"))
            good = good && follow_copy(unpack_bytes(u), v->blob);
        else if (slice_is(key, "time"))
            good = good && snapshot_version_read(unpack_bytes(u), 0, &when);
        else
            unpack_raw(u);
    }
    v->time_s = when.time_s;
    return good && unpack_ok(u);
}

static void follow_on_list(void *ctx, enum control_status status, struct slice body)
{
    struct gate *g = ctx;
    struct unpack u = unpack_start(body);
    uint32_t count = status == CONTROL_OK ? unpack_array(&u) : 0;
    bool good = status == CONTROL_OK && unpack_ok(&u);
    g->listing = false;
    for (uint32_t i = 0; good && i < count; i++) {
        struct gate_resource *to, v;
        good = follow_row(g, &u, &to, &v);
        if (good && to != NULL && v.seq != to->seq)
            follow_take(g, to, &v);
    }
    if (!good) {
        log_warn("gate-list-unread", "status=%d", (int)status);
        return;
    }
    g->knows = true;
    gate_notify_tell(g);
}

static void follow_list(struct gate *g)
{
    g->listing = snapshot_ask(&g->asking, g->peer, "snapshot-list", 0, NULL, follow_on_list, g);
}

/* ---- what is told ---- */

bool gate_follow_message(struct gate *g, uint64_t type, struct unpack *u)
{
    struct message_changed m;
    struct gate_resource v = {.seq = 0};
    if (type != MESSAGE_CHANGED || !message_changed_unpack(u, &m))
        return false;
    struct gate_resource *to = follow_find(g, m.resource);
    v.seq = m.seq;
    v.time_s = m.time_s;
    bool good = to != NULL && follow_copy(m.commit, v.commit) && follow_copy(m.blob, v.blob);
    if (g->listing && m.resource.len > 0)
        return true; /* the list is newer */
    if (!good) {
        follow_list(g);
        return true;
    }
    if (v.seq > to->seq)
        follow_take(g, to, &v);
    gate_notify_tell(g);
    return true;
}

void gate_follow_up(struct gate *g)
{
    struct buffer *message = worker_compose(g->w);
    g->listing = false;
    message_follow_pack(message, &(struct message_follow){.whole_max = 0});
    worker_must_send(g->w, g->peer, message);
}
