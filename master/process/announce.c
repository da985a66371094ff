/* announce.c: UP and DOWN to whom they concern. See announce.h. */
#include "master/process/announce.h"

#include "master/process/process.h"
#include "proto/link.h"

static struct node *announce_root;

void announce_setup(struct node *root)
{
    announce_root = root;
}

/*
 * A worker that has missed an UP or DOWN waits for it for ever: whoever cannot be told is ended, and told
 * all when it comes up again.
 */
static void announce_send(struct node *to, struct buffer *frame)
{
    if (!buffer_ok(frame) || process_send(to, frame) != 0)
        process_untold(to);
    buffer_fini(frame);
}

/* A queue named as a drain is no peer of it. */
static bool announce_same_group(const struct node *a, const struct node *b)
{
    return a->group[0] != '\0' && a->section_kind == b->section_kind &&
           strcmp(a->group, b->group) == 0;
}

/* Both understand proofs: `to` hears what proves it to the other, which knows how to check it. */
static void announce_send_peer(struct node *to, const struct node *about)
{
    struct link_peer m = {.name = slice_of(about->name),
                          .type = slice_of(worker_type_name(about->type)),
                          .generation = about->generation,
                          .address = slice_of(about->address),
                          .proof = proof_of(about->proof_key, slice_of(to->name), to->generation)};
    struct buffer frame = BUFFER_EMPTY;
    link_peer_pack(&frame, &m);
    announce_send(to, &frame);
}

static void announce_send_up(struct node *to, const struct node *about)
{
    if (to->proves && about->proves) {
        announce_send_peer(to, about);
        return;
    }
    struct link_up m = {.name = slice_of(about->name),
                        .type = slice_of(worker_type_name(about->type)),
                        .generation = about->generation,
                        .address = slice_of(about->address)};
    struct buffer frame = BUFFER_EMPTY;
    link_up_pack(&frame, &m);
    announce_send(to, &frame);
}

static void announce_send_down(struct node *to, const char *name, uint64_t generation,
                               const char *reason, bool orderly)
{
    struct link_down m = {.name = slice_of(name),
                          .generation = generation,
                          .reason = slice_of(reason),
                          .orderly = orderly};
    struct buffer frame = BUFFER_EMPTY;
    link_down_pack(&frame, &m);
    announce_send(to, &frame);
}

/* Who is told of a stranger's coming must be told of its going, also when it was the stranger who asked. */
static bool announce_may_tell(struct node *to, const struct node *about)
{
    return announce_same_group(to, about) || process_monitor(to, about->name, PROCESS_WATCHED);
}

/*
 * Each is told of the other. One of them has asked for it, or both are of one group; who is watched by as many as may
 * be is left in peace, and who asked hears that.
 */
static void announce_meet(struct node *a, struct node *b)
{
    if (!announce_may_tell(a, b)) {
        announce_send_down(b, a->name, 0, "watched by too many", false);
    } else if (!announce_may_tell(b, a)) {
        announce_send_down(a, b->name, 0, "watched by too many", false);
    } else {
        announce_send_up(a, b);
        announce_send_up(b, a);
    }
}

static bool announce_concerns(const struct node *a, const struct node *b)
{
    return a != b && (announce_same_group(a, b) || process_monitors(a, b->name) ||
                      process_monitors(b, a->name));
}

/* Only a worker that is up, or stopping, hears and is heard of: before READY it is told all at once. */
static bool announce_listens(const struct node *n)
{
    return n->process != NULL &&
           (n->state == NODE_READY || (n->state == NODE_DRAINING && n->was_ready));
}

static void announce_up_between(struct node *other, void *ctx)
{
    struct node *worker = ctx;
    if (!announce_listens(other) || !announce_concerns(worker, other))
        return;
    announce_meet(other, worker);
}

/* Most programs have neither peers nor monitors. */
static bool announce_is_alone(const struct node *worker)
{
    return worker->group[0] == '\0' && !process_any_monitor();
}

void announce_up(struct node *worker)
{
    if (announce_is_alone(worker))
        return;
    tree_each_worker(announce_root, announce_up_between, worker);
}

struct announce_death {
    struct node *worker;
    const char *reason;
};

static void announce_down_to(struct node *other, void *ctx)
{
    const struct announce_death *death = ctx;
    if (announce_listens(other) && announce_concerns(death->worker, other))
        announce_send_down(other, death->worker->name, death->worker->generation, death->reason,
                           death->worker->ended_orderly);
}

void announce_down(struct node *worker, const char *reason)
{
    struct announce_death death = {worker, reason};
    if (announce_is_alone(worker))
        return;
    tree_each_worker(announce_root, announce_down_to, &death);
}

static void announce_monitored(struct node *watcher, const char *name, bool again)
{
    struct node *n = tree_find(announce_root, slice_of(name));
    if (n == NULL || n->kind != NODE_WORKER) {
        announce_send_down(watcher, name, 0, "unknown name", false);
        return;
    }
    /* Who asks before it is READY has no address yet that the other could send to: both hear when it is. */
    if (n == watcher || !announce_listens(n) || !announce_listens(watcher))
        return;
    if (again) /* the other knows: only who asks again is told again */
        announce_send_up(watcher, n);
    else
        announce_meet(n, watcher);
}

bool announce_on_monitor(struct node *watcher, struct slice frame)
{
    struct link_monitor m;
    char name[CONTRACT_NAME_MAX];
    if (!link_monitor_unpack(frame, &m) || !slice_copy(m.name, name, sizeof name))
        return false;
    bool again = process_monitors(watcher, name);
    if (!process_monitor(watcher, name, PROCESS_ASKED))
        process_monitor_refused(watcher); /* it would wait for an UP that never comes */
    else
        announce_monitored(watcher, name, again);
    return true;
}

static bool announce_is_custom(const struct node *n)
{
    return worker_type_record(n->type)->runs == WORKER_RUNS_CUSTOM;
}

bool announce_on_blame(struct node *judge, struct slice frame)
{
    struct link_blame m;
    if (!link_blame_unpack(frame, &m))
        return false;
    struct node *n = tree_find(announce_root, m.name);
    if (!announce_is_custom(judge) && n != NULL && n->kind == NODE_WORKER &&
        announce_is_custom(n) && n->generation == m.generation && announce_concerns(judge, n))
        process_accused(n, m.reason);
    return true;
}
