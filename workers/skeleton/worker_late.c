/*
 * worker_late.c: requests that will not be answered in time. See worker.h, `late`.
 *
 * Part of the skeleton. Who asks gives up at its deadline, and hears from the master then that this worker did not
 * answer: true, but of no use when it is a server behind the worker that does not. So shortly before, the type is asked
 * what it waits for, and that is the answer. What it answers later is nobody's, which the master knows by its id.
 */
#include "workers/skeleton/worker_private.h"

#include <stdlib.h>

/* So long before the deadline: the answer has a way to go, on a busy machine too. */
#define LATE_MARGIN_MS 300u

#define LATE_WHY_SIZE 512

static void late_on_timer(uv_timer_t *timer);

static void late_wait(struct worker *w)
{
    uint64_t now = uv_now(&w->loop), next = UINT64_MAX;
    for (size_t i = 0; i < w->late_count; i++)
        next = w->late[i].at < next ? w->late[i].at : next;
    if (w->late_count == 0)
        uv_timer_stop(&w->late_timer);
    else
        uv_timer_start(&w->late_timer, late_on_timer, next > now ? next - now : 0, 0);
}

static void late_on_timer(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    uint64_t now = uv_now(&w->loop);
    for (size_t i = w->late_count; i-- > 0;) {
        struct worker_late late = w->late[i];
        char why[LATE_WHY_SIZE];
        if (late.at > now)
            continue;
        w->late[i] = w->late[--w->late_count];
        if (w->phase < WORKER_SETTLING && w->ops->late(w, w->state, why, sizeof why))
            worker_reply_text(w, late.id, CONTROL_TIMEOUT, "%s", why);
    }
    late_wait(w);
}

void worker_late_add(struct worker *w, uint64_t id, uint64_t deadline_ms)
{
    if (w->ops->late == NULL || deadline_ms <= 2 * LATE_MARGIN_MS)
        return;
    if (w->late_count == w->late_capacity) {
        size_t capacity = w->late_capacity > 0 ? 2 * w->late_capacity : 8;
        struct worker_late *grown = realloc(w->late, capacity * sizeof *grown);
        if (grown == NULL)
            return; /* then the master says that we are late, without a reason */
        w->late = grown;
        w->late_capacity = capacity;
    }
    w->late[w->late_count++] =
        (struct worker_late){.id = id, .at = uv_now(&w->loop) + deadline_ms - LATE_MARGIN_MS};
    late_wait(w);
}

void worker_late_end(struct worker *w, uint64_t id)
{
    for (size_t i = 0; i < w->late_count; i++)
        if (w->late[i].id == id) {
            w->late[i] = w->late[--w->late_count];
            late_wait(w);
            return;
        }
}
