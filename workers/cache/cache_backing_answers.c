/* cache_backing_answers.c: see cache_backing_answers.h. */
#include "workers/cache/cache_backing_answers.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define ANSWERS_AGAIN_MS 5u

struct cache_backing_unsent {
    struct cache_backing_unsent *next;
    struct backing_to to;
    struct buffer message;
};

static struct worker_peer *answers_peer(const struct cache_backing_answers *a,
                                        const struct backing_to *to)
{
    struct worker_peer *peer = worker_peer_find(a->w, to->name);
    return peer != NULL && peer->generation == to->generation ? peer : NULL;
}

static void unsent_free(struct cache_backing_unsent *u)
{
    buffer_fini(&u->message);
    free(u);
}

static void answers_drop_first(struct cache_backing_answers *a)
{
    struct cache_backing_unsent *u = a->first;
    a->first = u->next;
    if (a->first == NULL)
        a->last = NULL;
    unsent_free(u);
}

/* One after the other, until there is no room again. */
static void answers_on_timer(uv_timer_t *timer)
{
    struct cache_backing_answers *a = timer->data;
    while (a->first != NULL) {
        struct worker_peer *peer = answers_peer(a, &a->first->to);
        if (peer != NULL && worker_send(a->w, peer, &a->first->message) == -ENOBUFS)
            return;
        answers_drop_first(a);
    }
    uv_timer_stop(timer);
    a->on_room(a->ctx);
}

/* 0 or -ENOMEM. */
static int answers_keep(struct cache_backing_answers *a, const struct backing_to *to,
                        const struct buffer *message)
{
    struct cache_backing_unsent *u = calloc(1, sizeof *u);
    if (u != NULL)
        buffer_append_slice(&u->message, buffer_slice(message));
    if (u == NULL || !buffer_ok(&u->message)) {
        if (u != NULL)
            unsent_free(u);
        return -ENOMEM;
    }
    u->to = *to;
    if (a->last != NULL)
        a->last->next = u;
    else
        a->first = u;
    a->last = u;
    if (!uv_is_active((uv_handle_t *)&a->timer))
        uv_timer_start(&a->timer, answers_on_timer, ANSWERS_AGAIN_MS, ANSWERS_AGAIN_MS);
    return 0;
}

static int answers_send(struct cache_backing_answers *a, const struct backing_to *to,
                        struct worker_peer *peer, const struct message_object_answer *m)
{
    struct buffer *message = worker_compose(a->w);
    message_object_answer_pack(message, m);
    int rc = worker_send(a->w, peer, message);
    return rc == -ENOBUFS ? answers_keep(a, to, message) : rc;
}

void cache_backing_answers_give(struct cache_backing_answers *a, const struct backing_to *to,
                                const struct backing_answer *answer)
{
    struct worker_peer *peer = answers_peer(a, to);
    struct message_object_answer m = {.token = to->token,
                                      .result = answer->result,
                                      .version = answer->meta.version,
                                      .expiry_ms = answer->meta.expiry_ms,
                                      .form = answer->meta.form,
                                      .deleted = answer->meta.deleted,
                                      .value = answer->value,
                                      .why = slice_of(answer->why),
                                      .retry_after_ms = answer->retry_after_ms};
    if (peer == NULL)
        return;
    int rc = answers_send(a, to, peer, &m);
    if (rc == -ENOMEM) {
        /* Rejected: nothing, for its time ends in the node, which waits for that. What it puts twice does no harm. */
        m = (struct message_object_answer){.token = to->token,
                                           .result = BACKING_AWAY,
                                           .value = slice_of(""),
                                           .why = slice_of("memory is short")};
        rc = answers_send(a, to, peer, &m);
    }
    if (rc != 0)
        log_warn("answer-lost", "to=%s cause=%s", to->name, log_quote_text(uv_strerror(rc)));
}

bool cache_backing_answers_wait(const struct cache_backing_answers *a)
{
    return a->first != NULL;
}

void cache_backing_answers_open(struct cache_backing_answers *a, struct worker *w,
                                void (*on_room)(void *ctx), void *ctx)
{
    *a = (struct cache_backing_answers){.w = w, .on_room = on_room, .ctx = ctx};
    uv_timer_init(worker_loop(w), &a->timer);
    a->timer.data = a;
}

void cache_backing_answers_close(struct cache_backing_answers *a)
{
    while (a->first != NULL)
        answers_drop_first(a);
    uv_close((uv_handle_t *)&a->timer, NULL);
}
