/* announce.c: UP and DOWN to whom they concern. See announce.h. */
#include "master/process/announce.h"

#include "master/process/process.h"
#include "proto/link.h"

static struct node *announce_root;

void announce_setup(struct node *root)
{
    announce_root = root;
}

static const char *announce_type(const struct node *n)
{
    static const char *const names[] = {
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = type,
        WORKER_TYPE_LIST(X)
#undef X
    };
    return names[n->type];
}

/* A worker that has missed an UP or DOWN waits for it for ever: whoever cannot be told is ended, and told all when it comes up again. */
static void announce_send(struct node *to, struct buffer *frame)
{
    if (!buffer_ok(frame) || worker_process_send(to, frame) != 0)
        worker_process_untold(to);
    buffer_fini(frame);
}

static bool announce_same_group(const struct node *a, const struct node *b)
{
    return a->group[0] != '\0' && strcmp(a->group, b->group) == 0;
}

/* Who is told of a stranger's coming must be told of its going, also when it was the stranger who asked. */
static void announce_send_up(struct node *to, const struct node *about)
{
    if (!announce_same_group(to, about) && !worker_process_monitor(to, about->name)) {
        worker_process_untold(to);
        return;
    }
    struct link_up m = {.name = slice_of(about->name),
                        .type = slice_of(announce_type(about)),
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

static bool announce_concerns(const struct node *a, const struct node *b)
{
    return a != b && (announce_same_group(a, b) || worker_process_monitors(a, b->name) ||
                      worker_process_monitors(b, a->name));
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
    announce_send_up(other, worker);
    announce_send_up(worker, other);
}

/* Most programs have neither peers nor monitors. */
static bool announce_is_alone(const struct node *worker)
{
    return worker->group[0] == '\0' && !worker_process_any_monitor();
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

void announce_monitored(struct node *watcher, const char *name)
{
    struct node *n = tree_find(announce_root, slice_of(name));
    if (n == NULL || n->kind != NODE_WORKER) {
        announce_send_down(watcher, name, 0, "unknown name", false);
        return;
    }
    if (n == watcher || !announce_listens(n))
        return;
    announce_send_up(n, watcher);
    announce_send_up(watcher, n);
}
