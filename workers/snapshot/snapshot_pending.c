/*
 * snapshot_pending.c: puts that are written, and wait for the branch: it is moved once for all that come together. See
 * snapshot_store.h.
 *
 * A put is written when it comes; then the loop is asked once more whether there is another, and when there is none,
 * the branch is moved to the last of them, and each is told of and answered, in order. So who comes alone waits for
 * nothing, and of many the branch, its syncing and its being read back are paid once. Whoever asks for anything but a
 * put has them accepted before: nobody sees what is not.
 */
#include "workers/snapshot/snapshot_runs.h"

#include "common/pack.h"

#include <stdlib.h>

/*
 * So many are accepted at a time. Where each has to be synced, that is what they take; else the branch takes little,
 * and who is answered soon asks again while others are written.
 */
#define PENDING_MAX      8
#define PENDING_UNSYNCED 2
#define PENDING_COPY_MAX 65536u /* who is larger is accepted at once: its bytes are not kept */

struct pending_put {
    struct snapshot_resource *r;
    uint64_t request;
    struct snapshot_accepted accepted;
    int64_t time_s;
    struct slice bytes;
    char *copy; /* the same, when they are kept */
};

struct snapshot_pending {
    struct pending_put list[PENDING_MAX];
    size_t count, most;
    size_t seen; /* so many there were when the loop had last been asked */
};

static void pending_on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void pending_on_check(uv_check_t *check)
{
    struct snapshot_store *s = check->data;
    if (s->pending->count == s->pending->seen)
        snapshot_pending_accept(s);
    else
        s->pending->seen = s->pending->count;
}

bool snapshot_pending_start(struct snapshot_store *s)
{
    s->pending = calloc(1, sizeof *s->pending);
    if (s->pending == NULL)
        return false;
    s->pending->most =
        worker_setting_u64(s->w, "snapshot.fsync") != 0 ? PENDING_MAX : PENDING_UNSYNCED;
    uv_check_init(worker_loop(s->w), &s->check);
    uv_idle_init(worker_loop(s->w), &s->idle);
    s->check.data = s->idle.data = s;
    return true;
}

/* ---- accepted, or not ---- */

void snapshot_put_refuse(struct snapshot_store *s, uint64_t request,
                         const struct snapshot_resource *r, const char *why)
{
    worker_count(s->w, COUNTER_SNAPSHOT_REFUSED, 1);
    worker_reply_text(s->w, request, CONTROL_ERROR, "%s: not accepted: %s", r->name, why);
}

void snapshot_put_answer(struct snapshot_store *s, uint64_t request,
                         const struct snapshot_resource *r, bool changed)
{
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 4);
    pack_text(&body, "changed");
    pack_bool(&body, changed);
    pack_text(&body, "seq");
    pack_u64(&body, r->seq);
    pack_text(&body, "commit");
    pack_text(&body, r->commit);
    pack_text(&body, "blob");
    pack_text(&body, r->blob);
    snapshot_answer(s, request, &body);
}

/* Runs begin when all of them are the newest: none begins with one that another has followed already. */
static void pending_tell(struct snapshot_store *s, const struct pending_put *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct pending_put *p = &list[i];
        snapshot_resource_newest(s, p->r, &p->accepted, p->bytes, p->time_s, "put");
        snapshot_put_answer(s, p->request, p->r, true);
    }
    for (size_t i = 0; i < count; i++)
        snapshot_runs_changed(s, list[i].r);
}

static void pending_stop(struct snapshot_store *s)
{
    struct snapshot_pending *all = s->pending;
    uv_check_stop(&s->check);
    uv_idle_stop(&s->idle);
    for (size_t i = 0; i < all->count; i++)
        free(all->list[i].copy);
    all->count = all->seen = 0;
}

void snapshot_pending_accept(struct snapshot_store *s)
{
    struct snapshot_pending *all = s->pending;
    char why[SNAPSHOT_WHY_SIZE];
    if (all->count == 0)
        return;
    if (snapshot_resource_accept(s, all->list[all->count - 1].r, why))
        pending_tell(s, all->list, all->count);
    else
        for (size_t i = 0; i < all->count; i++)
            snapshot_put_refuse(s, all->list[i].request, all->list[i].r, why);
    pending_stop(s);
}

void snapshot_pending_free(struct snapshot_store *s)
{
    if (s->pending == NULL)
        return;
    pending_stop(s);
    free(s->pending);
    s->pending = NULL;
}

/* ---- one more ---- */

const char *snapshot_pending_blob(const struct snapshot_store *s, const struct snapshot_resource *r)
{
    for (size_t i = s->pending->count; i-- > 0;)
        if (s->pending->list[i].r == r)
            return s->pending->list[i].accepted.blob;
    return NULL;
}

static bool pending_keep(struct pending_put *p)
{
    p->copy = p->bytes.len <= PENDING_COPY_MAX ? malloc(p->bytes.len + 1) : NULL;
    if (p->copy == NULL)
        return false;
    memcpy(p->copy, p->bytes.ptr, p->bytes.len);
    p->bytes.ptr = p->copy;
    return true;
}

void snapshot_pending_put(struct snapshot_store *s, uint64_t request, struct snapshot_resource *r,
                          const struct snapshot_new *version)
{
    struct snapshot_pending *all = s->pending;
    struct pending_put *p = &all->list[all->count];
    char why[SNAPSHOT_WHY_SIZE];
    *p = (struct pending_put){
        .r = r, .request = request, .time_s = version->time_s, .bytes = version->bytes};
    if (!snapshot_resource_commit(s, r, version, &p->accepted, why)) {
        snapshot_put_refuse(s, request, r, why);
        return;
    }
    all->count++;
    if (!pending_keep(p) || all->count == all->most) {
        snapshot_pending_accept(s);
        return;
    }
    uv_check_start(&s->check, pending_on_check);
    uv_idle_start(&s->idle, pending_on_idle);
}
