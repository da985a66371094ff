/* backing_queue.c: see backing_queue.h. */
#include "workers/cache/backing/backing_queue.h"

#include <stdio.h>
#include <stdlib.h>

/* One that waits or is under way. */
struct backing_request {
    struct backing_request *next, *before;
    struct backing_queue *queue;
    struct backing_ask ask; /* its slices point behind it */
    uint64_t deadline_ms;   /* uv_now */
    uint64_t began_ms;      /* at the store */
    struct backing_call *call;
    bool quiet; /* nobody waits for its answer */
    char bytes[];
};

struct backing_list {
    struct backing_request *first, *last;
    size_t count, bytes;
};

enum queue_state { QUEUE_UNKNOWN, QUEUE_OPEN, QUEUE_CLOSED };

struct backing_queue {
    uv_loop_t *loop;
    uv_timer_t timer; /* the first deadline of those that wait */
    struct backing_queue_options options;
    const struct backing_queue_events *events;
    void *ctx;
    struct backing *store; /* NULL: not open */
    enum queue_state state;
    enum backing_result result; /* while it is closed */
    char why[BACKING_WHY_SIZE];
    struct backing_list waiting, running;
    bool going; /* in backing_queue_go: what is answered within may ask for more */
};

/* ---- lists ---- */

static size_t request_size(const struct backing_request *r)
{
    return r->ask.key.len + r->ask.value.len;
}

static void list_append(struct backing_list *l, struct backing_request *r)
{
    r->next = NULL;
    r->before = l->last;
    if (l->last != NULL)
        l->last->next = r;
    else
        l->first = r;
    l->last = r;
    l->count++;
    l->bytes += request_size(r);
}

static void list_remove(struct backing_list *l, struct backing_request *r)
{
    if (r->before != NULL)
        r->before->next = r->next;
    else
        l->first = r->next;
    if (r->next != NULL)
        r->next->before = r->before;
    else
        l->last = r->before;
    l->count--;
    l->bytes -= request_size(r);
}

/* ---- answers ---- */

static void queue_answer(struct backing_queue *q, const struct backing_ask *ask,
                         const struct backing_answer *answer)
{
    if (ask->to.name[0] != '\0')
        q->events->on_answer(&ask->to, answer, q->ctx);
}

static void queue_answer_as(struct backing_queue *q, const struct backing_ask *ask,
                            enum backing_result result, const char *why)
{
    struct backing_answer answer = {
        .result = result, .meta = BACKING_META_NONE, .value = slice_of(""), .why = why};
    queue_answer(q, ask, &answer);
}

static void queue_drop_waiting(struct backing_queue *q, enum backing_result result, const char *why)
{
    struct backing_request *r;
    while ((r = q->waiting.first) != NULL) {
        list_remove(&q->waiting, r);
        queue_answer_as(q, &r->ask, result, why);
        free(r);
    }
}

/* ---- the time of those that wait ---- */

static void queue_on_timer(uv_timer_t *timer);

static void queue_set_timer(struct backing_queue *q)
{
    uint64_t first = UINT64_MAX, now = uv_now(q->loop);
    for (const struct backing_request *r = q->waiting.first; r != NULL; r = r->next)
        first = r->deadline_ms < first ? r->deadline_ms : first;
    if (first == UINT64_MAX)
        uv_timer_stop(&q->timer);
    else
        uv_timer_start(&q->timer, queue_on_timer, first > now ? first - now : 0, 0);
}

static void queue_on_timer(uv_timer_t *timer)
{
    struct backing_queue *q = timer->data;
    uint64_t now = uv_now(q->loop);
    char why[BACKING_WHY_SIZE];
    for (struct backing_request *r = q->waiting.first, *next; r != NULL; r = next) {
        next = r->next;
        if (r->deadline_ms > now)
            continue;
        snprintf(
            why, sizeof why,
            "its turn at the store did not come within %llu ms: %zu requests are under way: is "
            "the store slow? backing.parallel allows more",
            (unsigned long long)r->ask.timeout_ms, q->running.count);
        list_remove(&q->waiting, r);
        queue_answer_as(q, &r->ask, BACKING_AWAY, why);
        free(r);
    }
    queue_set_timer(q);
}

/* ---- under way ---- */

static bool queue_writes(const struct backing_request *r)
{
    return r->ask.what == BACKING_ASKED_PUT || r->ask.what == BACKING_ASKED_ERASE;
}

static bool queue_may_begin(const struct backing_queue *q, const struct backing_request *r)
{
    if (r->ask.what == BACKING_ASKED_GET)
        return q->events->may_get(q->ctx);
    if (!queue_writes(r))
        return true;
    for (const struct backing_request *o = q->running.first; o != NULL; o = o->next)
        if (queue_writes(o) && slice_equal(o->ask.key, r->ask.key))
            return false;
    return true;
}

static void queue_on_done(const struct backing_answer *answer, void *ctx)
{
    struct backing_request *r = ctx;
    struct backing_queue *q = r->queue;
    list_remove(&q->running, r);
    q->events->on_result(&r->ask, answer, q->ctx);
    if (!r->quiet)
        queue_answer(q, &r->ask, answer);
    free(r);
    backing_queue_go(q);
    if (q->running.count == 0)
        q->events->on_idle(q->ctx);
}

static int queue_ask(struct backing_queue *q, struct backing_request *r, uint64_t timeout_ms)
{
    const struct backing_ops *ops = q->store->ops;
    const struct backing_ask *a = &r->ask;
    if (a->what == BACKING_ASKED_PUT)
        return ops->put(q->store, a->key, a->value, &a->meta, timeout_ms, queue_on_done, r,
                        &r->call);
    if (a->what == BACKING_ASKED_ERASE)
        return ops->erase(q->store, a->key, a->meta.version, timeout_ms, queue_on_done, r,
                          &r->call);
    return ops->get(q->store, a->key, timeout_ms, queue_on_done, r, &r->call);
}

/* It has left `waiting`. */
static void queue_begin(struct backing_queue *q, struct backing_request *r)
{
    uint64_t now = uv_now(q->loop);
    uint64_t left = r->deadline_ms > now ? r->deadline_ms - now : 1;
    if (r->ask.what == BACKING_ASKED_CHECK) {
        queue_answer_as(q, &r->ask, BACKING_DONE, "");
        free(r);
        return;
    }
    r->began_ms = now;
    list_append(&q->running, r);
    if (queue_ask(q, r, left < q->options.timeout_max ? left : q->options.timeout_max) == 0)
        return;
    list_remove(&q->running, r);
    queue_answer_as(q, &r->ask, BACKING_AWAY, "the backing worker's memory is short");
    free(r);
}

static struct backing_request *queue_find(const struct backing_queue *q)
{
    struct backing_request *r = q->waiting.first;
    while (r != NULL && !queue_may_begin(q, r))
        r = r->next;
    return r;
}

void backing_queue_go(struct backing_queue *q)
{
    struct backing_request *r;
    if (q->going)
        return;
    q->going = true;
    while (q->state == QUEUE_OPEN && q->running.count < q->options.parallel &&
           (r = queue_find(q)) != NULL) {
        list_remove(&q->waiting, r);
        queue_begin(q, r);
    }
    q->going = false;
    queue_set_timer(q);
}

/* ---- asking ---- */

static struct backing_request *queue_request(struct backing_queue *q, const struct backing_ask *ask)
{
    size_t size = ask->key.len + ask->value.len;
    bool room = q->waiting.count < q->options.waiting_max &&
                (q->waiting.count == 0 || q->waiting.bytes + size <= q->options.bytes_max);
    struct backing_request *r = room ? malloc(sizeof *r + size) : NULL;
    if (r == NULL)
        return NULL;
    *r = (struct backing_request){
        .queue = q, .ask = *ask, .deadline_ms = uv_now(q->loop) + ask->timeout_ms};
    if (ask->key.len > 0)
        memcpy(r->bytes, ask->key.ptr, ask->key.len);
    if (ask->value.len > 0)
        memcpy(r->bytes + ask->key.len, ask->value.ptr, ask->value.len);
    r->ask.key = slice_make(r->bytes, ask->key.len);
    r->ask.value = slice_make(r->bytes + ask->key.len, ask->value.len);
    return r;
}

void backing_queue_add(struct backing_queue *q, const struct backing_ask *ask)
{
    if (q->state == QUEUE_CLOSED) {
        queue_answer_as(q, ask, q->result, q->why);
        return;
    }
    if (ask->what == BACKING_ASKED_PUT && ask->meta.version > BACKING_VERSION_MAX) {
        queue_answer_as(q, ask, BACKING_REFUSED,
                        "its version is beyond the year 2286, and nothing could overwrite it: a "
                        "clock was wrong when it was written; set that, and write it again");
        return;
    }
    struct backing_request *r = queue_request(q, ask);
    if (r == NULL) {
        queue_answer_as(q, ask, BACKING_AWAY,
                        "the backing worker has no room for more requests: is the store slow? "
                        "backing.workers and backing.parallel allow more");
        return;
    }
    list_append(&q->waiting, r);
    backing_queue_go(q);
}

/* ---- nobody waits any more ---- */

static bool queue_is_of(const struct backing_request *r, const char *name, uint64_t generation)
{
    return r->ask.to.generation == generation && strcmp(r->ask.to.name, name) == 0;
}

/* Of one incarnation all, or (token) one. */
static void queue_leave(struct backing_queue *q, const char *name, uint64_t generation,
                        const uint64_t *token)
{
    for (struct backing_request *r = q->waiting.first, *next; r != NULL; r = next) {
        next = r->next;
        if (!queue_is_of(r, name, generation) || (token != NULL && r->ask.to.token != *token))
            continue;
        list_remove(&q->waiting, r);
        free(r);
    }
    for (struct backing_request *r = q->running.first, *next; r != NULL; r = next) {
        next = r->next;
        if (!queue_is_of(r, name, generation) || (token != NULL && r->ask.to.token != *token))
            continue;
        r->quiet = true;
        if (queue_writes(r))
            continue;
        q->store->ops->cancel(r->call);
        list_remove(&q->running, r);
        free(r);
    }
    backing_queue_go(q);
}

void backing_queue_cancel(struct backing_queue *q, const struct backing_to *to)
{
    queue_leave(q, to->name, to->generation, &to->token);
}

void backing_queue_forget(struct backing_queue *q, const char *name, uint64_t generation)
{
    queue_leave(q, name, generation, NULL);
}

/* ---- the store ---- */

void backing_queue_open(struct backing_queue *q, struct backing *store)
{
    q->store = store;
    q->state = QUEUE_OPEN;
    backing_queue_go(q);
}

void backing_queue_close(struct backing_queue *q, enum backing_result result, const char *why)
{
    q->state = QUEUE_CLOSED;
    q->result = result;
    slice_copy(slice_of(why), q->why, sizeof q->why);
    queue_drop_waiting(q, result, q->why);
    queue_set_timer(q);
}

size_t backing_queue_waiting(const struct backing_queue *q)
{
    return q->waiting.count;
}

size_t backing_queue_running(const struct backing_queue *q)
{
    return q->running.count;
}

uint64_t backing_queue_oldest_ms(const struct backing_queue *q)
{
    const struct backing_request *r =
        q->running.first; /* they are in the order in which they began */
    return r != NULL ? uv_now(q->loop) - r->began_ms : 0;
}

/* ---- life ---- */

struct backing_queue *backing_queue_new(uv_loop_t *loop,
                                        const struct backing_queue_options *options,
                                        const struct backing_queue_events *events, void *ctx)
{
    struct backing_queue *q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    q->loop = loop;
    q->options = *options;
    q->events = events;
    q->ctx = ctx;
    uv_timer_init(loop, &q->timer);
    q->timer.data = q;
    return q;
}

static void queue_on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void backing_queue_free(struct backing_queue *q)
{
    struct backing_request *r;
    if (q == NULL)
        return;
    while ((r = q->waiting.first) != NULL) {
        list_remove(&q->waiting, r);
        free(r);
    }
    while ((r = q->running.first) != NULL) {
        q->store->ops->cancel(r->call);
        list_remove(&q->running, r);
        free(r);
    }
    uv_close((uv_handle_t *)&q->timer, queue_on_closed);
}
