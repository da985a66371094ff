/* cache_far_say.c: see cache_far_private.h. */
#include "workers/cache/cache_far_private.h"

#include <errno.h>

/* ---- lists ---- */

static size_t far_size(const struct backing_call *call)
{
    return call->key_len + call->value.len;
}

static struct far_list *far_list_of(struct backing_call *call)
{
    return call->worker == NULL ? &call->far->homeless
           : call->is_sent      ? &call->worker->sent
                                : &call->worker->waiting;
}

void cache_far_append(struct backing_call *call)
{
    struct far_list *l = far_list_of(call);
    call->next = NULL;
    call->before = l->last;
    if (l->last != NULL)
        l->last->next = call;
    else
        l->first = call;
    l->last = call;
    l->count++;
    l->bytes += far_size(call);
}

void cache_far_remove(struct backing_call *call)
{
    struct far_list *l = far_list_of(call);
    if (call->before != NULL)
        call->before->next = call->next;
    else
        l->first = call->next;
    if (call->next != NULL)
        call->next->before = call->before;
    else
        l->last = call->before;
    l->count--;
    l->bytes -= far_size(call);
}

/* ---- saying it ---- */

/* The worker's time is a little less: what it has to say comes before our deadline. */
static uint64_t far_time_for(const struct backing_call *call)
{
    uint64_t now = uv_now(worker_loop(call->far->w));
    uint64_t left = call->deadline_ms > now ? call->deadline_ms - now : 1;
    uint64_t less = left / 10 < 200 ? left / 10 : 200;
    return left - less;
}

static void far_pack(const struct backing_call *call, struct buffer *out)
{
    struct slice key = slice_make(call->key, call->key_len);
    uint64_t timeout_ms = far_time_for(call);
    if (call->kind == FAR_CHECK) {
        struct message_object_check m = {.token = call->token, .timeout_ms = timeout_ms};
        message_object_check_pack(out, &m);
    } else if (call->kind == FAR_GET) {
        struct message_object_get m = {.token = call->token, .timeout_ms = timeout_ms, .key = key};
        message_object_get_pack(out, &m);
    } else {
        struct message_object_put m = {.token = call->token,
                                       .timeout_ms = timeout_ms,
                                       .key = key,
                                       .version = call->meta.version,
                                       .expiry_ms = call->meta.expiry_ms,
                                       .form = call->meta.form,
                                       .deleted = call->meta.deleted,
                                       .value = call->value};
        message_object_put_pack(out, &m);
    }
}

static bool far_has_room(const struct far_worker *worker, const struct backing_call *call)
{
    return worker->sent.count < call->far->sent_max &&
           (worker->sent.count == 0 || worker->sent.bytes + far_size(call) <= CACHE_FAR_BYTES);
}

/* What its queue takes no more is AWAY, and not sent again: the bounds make that a worker that does not read. */
static void far_send(struct backing_call *call)
{
    struct far_worker *worker = call->worker;
    struct buffer *message = worker_compose(call->far->w);
    far_pack(call, message);
    int rc = worker_send(call->far->w, worker->peer, message);
    if (rc != 0) {
        cache_far_make_homeless(call, rc == -EMSGSIZE ? BACKING_REFUSED : BACKING_AWAY,
                                rc == -EMSGSIZE ? "it is larger than a message may be (24 MB)"
                                : rc == -ENOMEM
                                    ? "the node's memory is short"
                                    : "the backing worker does not read what it is sent: "
                                      "platoonctl status shows it");
        return;
    }
    cache_far_remove(call);
    call->is_sent = true;
    cache_far_append(call);
}

void cache_far_go(struct far_worker *worker)
{
    struct backing_call *call;
    while ((call = worker->waiting.first) != NULL && !call->far->closing &&
           far_has_room(worker, call))
        far_send(call);
}

void cache_far_say_cancel(struct backing_call *call)
{
    struct message_object_cancel m = {.token = call->token};
    struct buffer *message = worker_compose(call->far->w);
    message_object_cancel_pack(message, &m);
    worker_send(call->far->w, call->worker->peer, message); /* else its own time ends */
}
