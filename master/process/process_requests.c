/* worker_requests.c: requests to a worker: ids, deadlines, answers. See worker_process.h. */
#include "master/process/process_private.h"

#include "common/clock.h"
#include "common/pack.h"
#include "proto/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t worker_request_last_id;

uint64_t worker_process_last_request(void)
{
    return worker_request_last_id;
}

void worker_process_set_last_request(uint64_t id)
{
    worker_request_last_id = id;
}

/* Takes request i out of the list before its fn is called, because fn may start or cancel others. */
static struct worker_request worker_request_take(struct worker_process *p, size_t i)
{
    struct worker_request r = p->requests[i];
    p->requests[i] = p->requests[--p->request_count];
    return r;
}

static void worker_request_answer_text(const struct worker_request *r, uint64_t status,
                                       const char *text)
{
    struct buffer body = BUFFER_EMPTY;
    pack_text(&body, text);
    r->fn(status, buffer_ok(&body) ? buffer_slice(&body) : slice_make(NULL, 0), r->ctx);
    buffer_fini(&body);
}

/* Room for one more, before it is sent: an answer must find its request. */
static bool worker_requests_grow(struct worker_process *p)
{
    if (p->request_count < p->request_cap)
        return true;
    size_t cap = p->request_cap ? 2 * p->request_cap : 4;
    struct worker_request *grown = realloc(p->requests, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    p->requests = grown;
    p->request_cap = cap;
    return true;
}

int worker_process_request(struct node *worker, struct slice verb, struct slice args,
                           uint64_t deadline_ms, worker_answer_fn fn, void *ctx)
{
    struct worker_process *p = worker->process;
    if (p == NULL || worker->state != NODE_READY)
        return -ENOTCONN;
    if (p->request_count == WORKER_REQUESTS_MAX)
        return -ENOBUFS;
    if (!worker_requests_grow(p))
        return -ENOMEM;
    struct link_request m = {
        .id = ++worker_request_last_id, .deadline_ms = deadline_ms, .verb = verb, .args = args};
    struct buffer frame = BUFFER_EMPTY;
    link_request_pack(&frame, &m);
    int rc = buffer_ok(&frame) ? worker_process_send(worker, &frame) : -ENOMEM;
    buffer_fini(&frame);
    if (rc != 0)
        return rc;
    p->requests[p->request_count++] = (struct worker_request){
        .id = m.id, .deadline_ms = clock_mono_ms() + deadline_ms, .fn = fn, .ctx = ctx};
    worker_arm(p);
    return 0;
}

void worker_process_cancel(struct node *worker, const void *ctx)
{
    struct worker_process *p = worker->process;
    for (size_t i = p != NULL ? p->request_count : 0; i > 0; i--)
        if (p->requests[i - 1].ctx == ctx)
            worker_request_take(p, i - 1);
}

void worker_requests_reply(struct worker_process *p, const struct link_reply *reply)
{
    for (size_t i = 0; i < p->request_count; i++) {
        if (p->requests[i].id != reply->id)
            continue;
        struct worker_request r = worker_request_take(p, i);
        r.fn(reply->status, reply->body, r.ctx);
        return;
    }
    /* Late: its client has had 124, or is gone. */
}

void worker_requests_expire(struct worker_process *p, uint64_t now_ms)
{
    char text[CONTRACT_NAME_MAX + 64];
    for (size_t i = p->request_count; i > 0;
         i = i - 1 < p->request_count ? i - 1 : p->request_count) {
        if (p->requests[i - 1].deadline_ms > now_ms)
            continue;
        struct worker_request r = worker_request_take(p, i - 1);
        snprintf(text, sizeof text, "%s did not answer in time: see platoonctl status %s",
                 p->node->name, p->node->name);
        worker_request_answer_text(&r, CONTROL_TIMEOUT, text);
    }
}

uint64_t worker_requests_next(const struct worker_process *p)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < p->request_count; i++)
        if (p->requests[i].deadline_ms < next)
            next = p->requests[i].deadline_ms;
    return next;
}

void worker_requests_fail(struct worker_process *p, const char *text)
{
    while (p->request_count > 0) {
        struct worker_request r = worker_request_take(p, 0);
        worker_request_answer_text(&r, CONTROL_ERROR, text);
    }
}
