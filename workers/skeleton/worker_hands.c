/* worker_hands.c: tasks: what the type is told of them, and says. See worker_private.h, worker_tasks.h. */
#include "workers/skeleton/worker_private.h"

#include <errno.h>

/* ---- what the type is told ---- */

static void hands_on_task(struct worker *w, const struct worker_task *task)
{
    w->ops->on_task(w, w->state, task);
}

static void hands_on_lost(struct worker *w, const struct worker_task *task)
{
    if (w->ops->on_lost != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_lost(w, w->state, task);
}

static void hands_on_delivered(struct worker *w, const struct worker_delivered *d)
{
    if (w->ops->on_delivered != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_delivered(w, w->state, d);
}

static bool hands_on_published(struct worker *w, struct slice topic, struct slice body)
{
    return w->phase >= WORKER_SETTLING || w->ops->on_published(w, w->state, topic, body);
}

/* ---- of the skeleton ---- */

void worker_hands_open(struct worker *w)
{
    const struct worker_task_events events = {.takes = w->ops->on_task != NULL,
                                              .on_task = hands_on_task,
                                              .on_lost = hands_on_lost,
                                              .on_delivered = hands_on_delivered,
                                              .listens = w->ops->on_published != NULL,
                                              .on_published = hands_on_published};
    if (w->ops->tasks == NULL)
        return;
    w->takes = w->ops->tasks->open(w, &events);
    if (w->takes == NULL)
        worker_exit_for(w, ENOMEM, NULL, "%s: cannot take tasks", w->name);
}

void worker_hands_close(struct worker *w)
{
    if (w->takes != NULL)
        w->ops->tasks->close(w->takes);
    w->takes = NULL;
}

void worker_hands_up(struct worker *w, struct worker_peer *peer)
{
    if (w->takes != NULL)
        w->ops->tasks->up(w->takes, peer);
}

bool worker_hands_down(struct worker *w, const struct worker_peer *peer, struct slice reason)
{
    bool answer = w->takes != NULL && w->ops->tasks->down(w->takes, peer, reason);
    worker_settled(w);
    return answer;
}

bool worker_hands_message(struct worker *w, struct worker_peer *from, uint64_t type,
                          struct unpack *u)
{
    bool taken = w->takes != NULL && w->ops->tasks->message(w->takes, from, type, u);
    worker_settled(w);
    return taken;
}

void worker_hands_tick(struct worker *w)
{
    if (w->takes != NULL)
        w->ops->tasks->tick(w->takes);
    w->settling += w->phase == WORKER_SETTLING;
    worker_settled(w);
}

void worker_hands_stop(struct worker *w)
{
    if (w->takes != NULL)
        w->ops->tasks->stop(w->takes);
}

bool worker_hands_owe(const struct worker *w)
{
    return w->takes != NULL && w->ops->tasks->owes(w->takes);
}

/* ---- worker.h ---- */

static bool hands_settle(struct worker *w, const char *id, enum worker_task_end end,
                         int64_t after_ms, const char *reason)
{
    return w->takes != NULL &&
           w->ops->tasks->settle(w->takes, id, end, after_ms, reason != NULL ? reason : "");
}

bool worker_task_done(struct worker *w, const char *id)
{
    return hands_settle(w, id, WORKER_TASK_DONE, 0, NULL);
}

bool worker_task_again(struct worker *w, const char *id, int64_t after_ms, const char *reason)
{
    return hands_settle(w, id, WORKER_TASK_AGAIN, after_ms < 0 ? -1 : after_ms, reason);
}

bool worker_task_bury(struct worker *w, const char *id, const char *reason)
{
    return hands_settle(w, id, WORKER_TASK_BURY, 0, reason);
}

int worker_deliver(struct worker *w, const struct worker_delivery *d, uint64_t *token)
{
    return w->takes != NULL ? w->ops->tasks->deliver(w->takes, d, token) : -EINVAL;
}
