/* cache_far.c: see cache_far.h. */
#include "workers/cache/cache_far_private.h"

#include "common/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FAR_TYPE "cache-backing"

/* ---- ends ---- */

static void far_on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Freed by the loop. */
static void far_leave(struct backing_call *call)
{
    struct far_worker *worker = call->worker;
    cache_far_remove(call);
    call->far->calls--;
    uv_close((uv_handle_t *)&call->timer, far_on_timer_closed);
    if (worker != NULL)
        cache_far_go(worker);
}

static void far_finish(struct backing_call *call, const struct backing_answer *answer)
{
    backing_answer_fn fn = call->fn;
    void *ctx = call->ctx;
    far_leave(call);
    fn(answer, ctx);
}

static void far_finish_as(struct backing_call *call, enum backing_result result, const char *why)
{
    struct backing_answer answer = {
        .result = result, .meta = BACKING_META_NONE, .value = slice_of(""), .why = why};
    far_finish(call, &answer);
}

/* ---- which worker ---- */

static uint32_t far_mix(uint32_t h)
{
    h = (h ^ h >> 16) * UINT32_C(0x7feb352d);
    h = (h ^ h >> 15) * UINT32_C(0x846ca68b);
    return h ^ h >> 16;
}

static struct far_worker *far_worker_for(const struct far_backing *f, struct slice key)
{
    struct far_worker *best = NULL;
    uint32_t most = 0, hash = crc32c(0, key);
    for (struct far_worker *o = f->workers; o != NULL; o = o->next) {
        uint32_t weight = far_mix(hash ^ o->seed);
        if (best == NULL || weight > most) {
            best = o;
            most = weight;
        }
    }
    return best;
}

/* ---- answers ---- */

static void far_on_timer(uv_timer_t *timer)
{
    struct backing_call *call = timer->data;
    struct far_worker *worker = call->worker;
    char why[BACKING_WHY_SIZE];
    if (worker == NULL) {
        far_finish_as(call, call->verdict, call->why);
        return;
    }
    snprintf(why, sizeof why, "%s: no answer for %llu ms: platoonctl status shows what it does",
             worker->peer->name, (unsigned long long)call->timeout_ms);
    if (call->is_sent)
        cache_far_say_cancel(call);
    far_finish_as(call, BACKING_AWAY, why);
}

/*
 * Answered in one of the loop's next turns: a timer of 0 would be due in this one, and who asks again at once would be
 * answered for ever. `why` is a text that lasts.
 */
void cache_far_make_homeless(struct backing_call *call, enum backing_result result, const char *why)
{
    cache_far_remove(call);
    call->worker = NULL;
    call->is_sent = false;
    call->verdict = result;
    call->why = why;
    cache_far_append(call);
    uv_timer_start(&call->timer, far_on_timer, 1, 0);
}

static struct backing_call *far_find(struct far_worker *worker, uint64_t token)
{
    struct backing_call *call = worker->sent.first;
    while (call != NULL && call->token != token)
        call = call->next;
    return call;
}

static void far_on_answer(struct far_worker *worker, const struct message_object_answer *m)
{
    char why[BACKING_WHY_SIZE];
    struct backing_call *call = far_find(worker, m->token);
    if (call == NULL)
        return; /* its time was over, or nobody wanted it any more */
    slice_copy(m->why, why, sizeof why);
    struct backing_answer answer = {.result = (enum backing_result)m->result,
                                    .meta = {.version = m->version,
                                             .expiry_ms = m->expiry_ms,
                                             .form = (unsigned)m->form,
                                             .deleted = m->deleted != 0},
                                    .value = m->value,
                                    .why = why,
                                    .retry_after_ms = m->retry_after_ms};
    far_finish(call, &answer);
}

static struct far_worker *far_worker_of(struct far_backing *f, const struct worker_peer *peer)
{
    struct far_worker *o = f->workers;
    while (o != NULL && o->peer != peer)
        o = o->next;
    return o;
}

bool cache_far_on_message(struct backing *b, struct worker_peer *from, uint64_t type,
                          struct unpack *u)
{
    struct message_object_answer m;
    struct far_worker *worker = far_worker_of((struct far_backing *)b, from);
    if (worker == NULL || type != MESSAGE_OBJECT_ANSWER || !message_object_answer_unpack(u, &m) ||
        m.result > BACKING_REFUSED || m.form > 2)
        return false;
    far_on_answer(worker, &m);
    return true;
}

/* ---- workers ---- */

void cache_far_on_up(struct backing *b, struct worker_peer *peer)
{
    struct far_backing *f = (struct far_backing *)b;
    if (strcmp(peer->type, FAR_TYPE) != 0)
        return;
    struct far_worker *worker = worker_must_alloc(f->w, sizeof *worker);
    worker->peer = peer;
    worker->seed = crc32c(1, slice_of(peer->name));
    worker->next = f->workers;
    f->workers = worker;
    f->worker_count++;
}

static void far_remove_worker(struct far_backing *f, struct far_worker *worker)
{
    struct far_worker **at = &f->workers;
    while (*at != worker)
        at = &(*at)->next;
    *at = worker->next;
    f->worker_count--;
}

/* What it was not told yet goes to another, or is as a call without any. */
static void far_move(struct backing_call *call)
{
    struct far_backing *f = call->far;
    struct far_worker *to = far_worker_for(f, slice_make(call->key, call->key_len));
    if (to == NULL) {
        cache_far_make_homeless(call, BACKING_AWAY, f->none_alive);
        return;
    }
    cache_far_remove(call);
    call->worker = to;
    cache_far_append(call);
    cache_far_go(to);
}

void cache_far_on_down(struct backing *b, struct worker_peer *peer, struct slice reason)
{
    struct far_backing *f = (struct far_backing *)b;
    struct far_worker *worker = far_worker_of(f, peer);
    char why[BACKING_WHY_SIZE];
    if (worker == NULL)
        return;
    far_remove_worker(f, worker);
    while (worker->waiting.first != NULL)
        far_move(worker->waiting.first);
    snprintf(
        why, sizeof why,
        "%s ended (%.*s) before it answered: platoonctl status %s shows why, and whether it is "
        "started again",
        peer->name, reason.len < 300 ? (int)reason.len : 300, reason.ptr, peer->name);
    while (worker->sent.first != NULL)
        far_finish_as(worker->sent.first, BACKING_AWAY, why);
    free(worker);
}

size_t cache_far_workers(const struct backing *b)
{
    return ((const struct far_backing *)b)->worker_count;
}

/* ---- calls ---- */

static struct backing_call *far_call_new(struct backing *b, enum far_kind kind, struct slice key,
                                         uint64_t timeout_ms, backing_answer_fn fn, void *ctx)
{
    struct far_backing *f = (struct far_backing *)b;
    struct backing_call *call = malloc(sizeof *call + key.len);
    if (call == NULL)
        return NULL;
    *call = (struct backing_call){.far = f,
                                  .kind = kind,
                                  .token = ++f->last_token,
                                  .timeout_ms = timeout_ms,
                                  .deadline_ms = uv_now(worker_loop(f->w)) + timeout_ms,
                                  .value = slice_of(""),
                                  .meta = BACKING_META_NONE,
                                  .fn = fn,
                                  .ctx = ctx,
                                  .key_len = key.len};
    if (key.len > 0)
        memcpy(call->key, key.ptr, key.len);
    uv_timer_init(worker_loop(f->w), &call->timer);
    call->timer.data = call;
    return call;
}

/* Takes it in, and says it when there is room. */
static int far_call_start(struct backing_call *call, struct backing_call **out)
{
    if (call == NULL)
        return -ENOMEM;
    struct far_backing *f = call->far;
    struct far_worker *worker = far_worker_for(f, slice_make(call->key, call->key_len));
    bool room = f->calls++ < CACHE_FAR_CALLS;
    *out = call;
    if (call->kind == FAR_ERASE || worker == NULL || !room) {
        cache_far_append(call);
        cache_far_make_homeless(call, call->kind == FAR_ERASE ? BACKING_DONE : BACKING_AWAY,
                                call->kind == FAR_ERASE ? ""
                                : worker == NULL        ? f->none_alive
                                                 : "too many requests wait for the store: is it "
                                                   "slow, or away? platoonctl status shows it");
        return 0;
    }
    call->worker = worker;
    cache_far_append(call);
    uv_timer_start(&call->timer, far_on_timer, call->timeout_ms, 0);
    cache_far_go(worker);
    return 0;
}

static int far_check(struct backing *b, uint64_t timeout_ms, backing_answer_fn fn, void *ctx,
                     struct backing_call **out)
{
    return far_call_start(far_call_new(b, FAR_CHECK, slice_of(""), timeout_ms, fn, ctx), out);
}

static int far_put(struct backing *b, struct slice key, struct slice value,
                   const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                   void *ctx, struct backing_call **out)
{
    struct backing_call *call = far_call_new(b, FAR_PUT, key, timeout_ms, fn, ctx);
    if (call != NULL) {
        call->value = value;
        call->meta = *meta;
    }
    return far_call_start(call, out);
}

static int far_get(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
                   void *ctx, struct backing_call **out)
{
    return far_call_start(far_call_new(b, FAR_GET, key, timeout_ms, fn, ctx), out);
}

static int far_erase(struct backing *b, struct slice key, uint64_t version, uint64_t timeout_ms,
                     backing_answer_fn fn, void *ctx, struct backing_call **out)
{
    (void)version;
    return far_call_start(far_call_new(b, FAR_ERASE, key, timeout_ms, fn, ctx), out);
}

static void far_cancel(struct backing_call *call)
{
    if (call->is_sent)
        cache_far_say_cancel(call);
    far_leave(call);
}

static void far_free(struct backing *b)
{
    struct far_backing *f = (struct far_backing *)b;
    struct far_worker *worker;
    f->closing = true;
    while (f->homeless.first != NULL)
        far_leave(f->homeless.first);
    while ((worker = f->workers) != NULL) {
        far_remove_worker(f, worker);
        while (worker->waiting.first != NULL)
            far_leave(worker->waiting.first);
        while (worker->sent.first != NULL)
            far_leave(worker->sent.first);
        free(worker);
    }
    free(f);
}

static const struct backing_ops far_ops = {.check = far_check,
                                           .put = far_put,
                                           .get = far_get,
                                           .erase = far_erase,
                                           .cancel = far_cancel,
                                           .free = far_free};

struct backing *cache_far_new(struct worker *w, const struct cache_far_options *options)
{
    struct far_backing *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->head.ops = &far_ops;
    f->w = w;
    f->sent_max = 2 * options->parallel;
    snprintf(
        f->none_alive, sizeof f->none_alive,
        "%s.1: no backing worker of this cache is running: platoonctl status %s.1 shows why, and "
        "whether it is started again; when not: mend that, then platoonctl start %s.1",
        options->workers, options->workers, options->workers);
    for (struct worker_peer *p = NULL; (p = worker_peer_next(w, p)) != NULL;)
        cache_far_on_up(&f->head, p);
    return &f->head;
}
