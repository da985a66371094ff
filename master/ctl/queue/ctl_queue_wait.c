/* ctl_queue_wait.c: the verb `queue wait`: until nothing waits, is in flight or delayed. See ctl_queue.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/queue/ctl_queue.h"
#include "master/ctl/queue/ctl_queue_servers.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#define WAIT_LOOK_MS  5000u
#define WAIT_PAUSE_MS 200

struct queue_wait {
    char backbone[CONTRACT_NAME_MAX];
    const char *queue;
    struct ctl_queue_servers servers;
    json_t *seen;          /* by the last look that was answered */
    struct buffer trouble; /* why the last look was not; "" when it was */
};

/* Of all its servers: each must answer. */
static int wait_ask(struct ctl *c, struct queue_wait *w, uint64_t deadline, json_t **answer)
{
    const struct slice name = slice_of(w->queue);
    struct ctl_queue_servers *of = &w->servers;
    *answer = of->count > 1 ? json_array() : NULL;
    for (size_t i = 0; i < of->count; i++) {
        json_t *one = NULL;
        int status = ctl_queue_server_ask(c, &of->list[i], deadline, "queue-status", 1, &name, &one,
                                          &w->trouble);
        if (status == CONTROL_OK && of->count > 1 &&
            !ctl_queue_merge_status(*answer, one, of->list[i].name)) {
            buffer_append_text(&w->trouble, "not enough memory for the answer");
            status = CONTROL_ERROR;
        }
        if (status == CONTROL_OK && of->count == 1)
            *answer = json_incref(one);
        json_decref(one);
        if (status != CONTROL_OK) {
            json_decref(*answer);
            *answer = NULL;
            return status;
        }
    }
    return CONTROL_OK;
}

static int wait_fail(int status, struct queue_wait *w)
{
    const char *why = buffer_text(&w->trouble);
    return ctl_fail(status, "%s", why != NULL ? why : "not enough memory");
}

/* CONTROL_OK also when it could not be answered just now, once it was: workers come and go, and that is waited out. */
static int wait_look(struct ctl *c, struct queue_wait *w)
{
    uint64_t deadline = clock_mono_ms() + WAIT_LOOK_MS;
    json_t *answer = NULL;
    bool last = c->deadline <= deadline;
    buffer_clear(&w->trouble);
    int status = wait_ask(c, w, last ? c->deadline : deadline, &answer);
    if (w->seen != NULL && status == CONTROL_TIMEOUT && last) {
        buffer_clear(&w->trouble);
        return CONTROL_OK; /* our own time is up, and nobody's fault: what was seen before is said */
    }
    if (w->seen != NULL && (status == CONTROL_ERROR || status == CONTROL_TIMEOUT)) {
        struct ctl_queue_servers now; /* another of its workers may be there */
        if (w->servers.count > 1 && ctl_queue_servers_find(c, w->backbone, &now) == CONTROL_OK)
            w->servers = now;
        return CONTROL_OK;
    }
    if (status != CONTROL_OK)
        return wait_fail(status, w);
    if (json_array_size(answer) != 1) {
        json_decref(answer);
        return ctl_fail(CONTROL_ERROR, "the backbone's answer is none");
    }
    json_decref(w->seen);
    w->seen = json_incref(json_array_get(answer, 0));
    json_decref(answer);
    return CONTROL_OK;
}

static bool wait_is_over(const struct queue_wait *w)
{
    return w->trouble.len == 0 && ctl_value_u64(w->seen, "waiting") == 0 &&
           ctl_value_u64(w->seen, "in_flight") == 0 && ctl_value_u64(w->seen, "delayed") == 0;
}

static int wait_late(struct ctl *c, struct queue_wait *w)
{
    char span[TEXT_NUMBER_SIZE];
    const char *trouble = buffer_text(&w->trouble);
    text_format_span(c->timeout_ms, span);
    if (w->trouble.len > 0)
        return ctl_fail(CONTROL_TIMEOUT, "queue %s: not done after %s: %s", w->queue, span,
                        trouble != NULL ? trouble : "");
    return ctl_fail(CONTROL_TIMEOUT,
                    "queue %s: not done after %s: %" PRIu64 " waiting, %" PRIu64
                    " in flight, %" PRIu64 " delayed; platoonctl queue facets says whose",
                    w->queue, span, ctl_value_u64(w->seen, "waiting"),
                    ctl_value_u64(w->seen, "in_flight"), ctl_value_u64(w->seen, "delayed"));
}

static int wait_until_done(struct ctl *c, struct queue_wait *w)
{
    for (;;) {
        int status = wait_look(c, w);
        if (status != CONTROL_OK || wait_is_over(w))
            return status;
        uint64_t now = clock_mono_ms();
        if (now >= c->deadline)
            return wait_late(c, w);
        uint64_t left = c->deadline - now;
        poll(NULL, 0, left < WAIT_PAUSE_MS ? (int)left : WAIT_PAUSE_MS);
    }
}

int ctl_queue_wait_run(struct ctl *c)
{
    struct ctl_queue_words words;
    struct queue_wait w = {.seen = NULL};
    char dead[TEXT_NUMBER_SIZE];
    int status = ctl_queue_begin(c, &words, 1, 1, NULL, NULL, w.backbone);
    if (status != CONTROL_OK)
        return status;
    w.queue = words.list[0];
    status = ctl_queue_servers_find(c, w.backbone, &w.servers);
    if (status != CONTROL_OK)
        return status;
    status = wait_until_done(c, &w);
    if (status == CONTROL_OK && c->args.json) {
        ctl_print_json(c, w.seen);
    } else if (status == CONTROL_OK) {
        ctl_append_safe(&c->out, slice_of(w.queue));
        buffer_printf(&c->out, ": nothing waiting, in flight or delayed, %s dead letters\n",
                      text_format_count(ctl_value_u64(w.seen, "dead"), dead));
    }
    json_decref(w.seen);
    buffer_fini(&w.trouble);
    return status;
}
