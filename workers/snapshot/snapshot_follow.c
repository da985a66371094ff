/*
 * snapshot_follow.c: who follows a store is told each version that is accepted. See snapshot_store.h.
 *
 * A change is told once it is on the disk, small ones with their bytes. Who does not read gets nothing more until it
 * does, and is told then to look anew: nothing is kept for it.
 */
#include "workers/snapshot/snapshot_store.h"

#define FOLLOW_QUEUED_MAX (8u * 1024 * 1024) /* bytes that may wait for one */

struct snapshot_follower {
    uint64_t whole_max; /* versions of so many bytes go with their change */
    bool anew;          /* it has missed something */
};

static bool follow_send(struct snapshot_store *s, struct worker_peer *to,
                        const struct message_changed *m)
{
    struct buffer *message = worker_compose(s->w);
    message_changed_pack(message, m);
    return worker_queued(s->w, to) < FOLLOW_QUEUED_MAX && worker_send(s->w, to, message) == 0;
}

/* A change of no resource. */
static void follow_anew(struct snapshot_store *s, struct worker_peer *to)
{
    struct snapshot_follower *f = to->user;
    f->anew = s->repo == NULL || !follow_send(s, to, &(struct message_changed){.seq = 0});
}

/* Only they know what CHANGED is. */
static bool follow_may(const struct worker_peer *p)
{
    return strcmp(p->type, "web") == 0 || strcmp(p->type, "gate") == 0;
}

static struct worker_peer *follow_next(struct snapshot_store *s, struct worker_peer *after)
{
    struct worker_peer *p = worker_peer_next(s->w, after);
    while (p != NULL && (p->user == NULL || !follow_may(p)))
        p = worker_peer_next(s->w, p);
    return p;
}

bool snapshot_follow(struct snapshot_store *s, struct worker_peer *from, uint64_t type,
                     struct unpack *u)
{
    struct message_follow m;
    if (type != MESSAGE_FOLLOW || !follow_may(from) || !message_follow_unpack(u, &m))
        return false;
    if (from->user == NULL)
        from->user = worker_must_alloc(s->w, sizeof(struct snapshot_follower));
    struct snapshot_follower *f = from->user;
    f->whole_max = m.whole_max;
    follow_anew(s, from);
    return true;
}

void snapshot_follow_tell(struct snapshot_store *s, const struct snapshot_resource *r,
                          struct slice bytes)
{
    for (struct worker_peer *p = follow_next(s, NULL); p != NULL; p = follow_next(s, p)) {
        struct snapshot_follower *f = p->user;
        bool whole = bytes.len <= f->whole_max;
        const struct message_changed m = {.resource = slice_of(r->name),
                                          .seq = r->seq,
                                          .commit = slice_of(r->commit),
                                          .blob = slice_of(r->blob),
                                          .size = r->size,
                                          .time_s = r->time_s,
                                          .whole = whole,
                                          .bytes = whole ? bytes : slice_make("", 0)};
        f->anew = f->anew || !follow_send(s, p, &m);
    }
}

void snapshot_follow_opened(struct snapshot_store *s)
{
    for (struct worker_peer *p = follow_next(s, NULL); p != NULL; p = follow_next(s, p))
        follow_anew(s, p);
}

void snapshot_follow_tick(struct snapshot_store *s)
{
    for (struct worker_peer *p = follow_next(s, NULL); p != NULL; p = follow_next(s, p))
        if (((struct snapshot_follower *)p->user)->anew)
            follow_anew(s, p);
}
