/* process_requests.c: requests to a worker: ids, deadlines, answers. See process.h. */
#include "master/process/process_private.h"

#include "common/clock.h"
#include "common/pack.h"
#include "proto/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t process_request_last_id;

uint64_t process_last_request(void)
{
    return process_request_last_id;
}

void process_set_last_request(uint64_t id)
{
    process_request_last_id = id;
}

/* Takes request i out of the list before its fn is called, because fn may start or cancel others. */
static struct process_pending process_request_take(struct process *p, size_t i)
{
    struct process_pending r = p->requests[i];
    p->requests[i] = p->requests[--p->request_count];
    return r;
}

static void process_request_answer_text(const struct process_pending *r, uint64_t status,
                                        const char *text)
{
    struct buffer body = BUFFER_EMPTY;
    pack_text(&body, text);
    r->fn(status, buffer_ok(&body) ? buffer_slice(&body) : slice_make(NULL, 0), r->ctx);
    buffer_fini(&body);
}

/* Room for one more, before it is sent: an answer must find its request. */
static bool process_requests_grow(struct process *p)
{
    if (p->request_count < p->request_cap)
        return true;
    size_t cap = p->request_cap ? 2 * p->request_cap : 4;
    struct process_pending *grown = realloc(p->requests, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    p->requests = grown;
    p->request_cap = cap;
    return true;
}

int process_request(struct node *worker, struct slice verb, struct slice args, uint64_t deadline_ms,
                    process_answer_fn fn, void *ctx)
{
    struct process *p = worker->process;
    if (p == NULL || worker->state != NODE_READY)
        return -ENOTCONN;
    if (p->request_count == PROCESS_REQUESTS_MAX)
        return -ENOBUFS;
    if (!process_requests_grow(p))
        return -ENOMEM;
    struct link_request m = {
        .id = ++process_request_last_id, .deadline_ms = deadline_ms, .verb = verb, .args = args};
    struct buffer frame = BUFFER_EMPTY;
    link_request_pack(&frame, &m);
    int rc = buffer_ok(&frame) ? process_send(worker, &frame) : -ENOMEM;
    buffer_fini(&frame);
    if (rc != 0)
        return rc;
    p->requests[p->request_count++] = (struct process_pending){
        .id = m.id, .deadline_ms = clock_mono_ms() + deadline_ms, .fn = fn, .ctx = ctx};
    process_arm(p);
    return 0;
}

void process_cancel(struct node *worker, const void *ctx)
{
    struct process *p = worker->process;
    for (size_t i = p != NULL ? p->request_count : 0; i > 0; i--)
        if (p->requests[i - 1].ctx == ctx)
            process_request_take(p, i - 1);
}

void process_requests_reply(struct process *p, const struct link_reply *reply)
{
    for (size_t i = 0; i < p->request_count; i++) {
        if (p->requests[i].id != reply->id)
            continue;
        struct process_pending r = process_request_take(p, i);
        p->flow.asked_for = true;
        r.fn(reply->status, reply->body, r.ctx);
        return;
    }
    /* Late: its client has had 124, or is gone. */
}

void process_requests_expire(struct process *p, uint64_t now_ms)
{
    char text[CONTRACT_NAME_MAX + 64];
    for (size_t i = p->request_count; i > 0;
         i = i - 1 < p->request_count ? i - 1 : p->request_count) {
        if (p->requests[i - 1].deadline_ms > now_ms)
            continue;
        struct process_pending r = process_request_take(p, i - 1);
        snprintf(text, sizeof text, "%s did not answer in time: see platoonctl status %s",
                 p->node->name, p->node->name);
        process_request_answer_text(&r, CONTROL_TIMEOUT, text);
    }
}

uint64_t process_requests_next(const struct process *p)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < p->request_count; i++)
        if (p->requests[i].deadline_ms < next)
            next = p->requests[i].deadline_ms;
    return next;
}

void process_requests_fail(struct process *p, const char *text)
{
    while (p->request_count > 0) {
        struct process_pending r = process_request_take(p, 0);
        process_request_answer_text(&r, CONTROL_ERROR, text);
    }
}
