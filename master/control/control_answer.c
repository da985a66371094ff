/* control_answer.c: answers to a client, now or later: what every verb stands on. See control_private.h. */
#include "master/control/control_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- answers ---- */

void control_answer(struct control_client *client, uint64_t id, enum control_status status,
                    struct slice body)
{
    struct control_answer m = {.id = id, .status = status, .more = 0, .body = body};
    struct buffer frame = BUFFER_EMPTY;
    control_answer_pack(&frame, &m);
    /*
     * The stream has one limit for both ways. Ours differ, or each client could make us hold a request of an answer's
     * size.
     */
    client->stream.limits.frame_max = CONTROL_FRAME_MAX;
    int rc = buffer_ok(&frame) ? stream_send(&client->stream, buffer_slice(&frame)) : UV_ENOMEM;
    client->stream.limits.frame_max = CONTROL_REQUEST_MAX;
    size_t len = frame.len;
    buffer_fini(&frame);
    if (rc == -EMSGSIZE)
        control_answer_text(client, id, CONTROL_ERROR,
                            "the answer has %zu bytes, more than the control socket carries (%u)",
                            len, CONTROL_FRAME_MAX);
    else if (rc != 0 && rc != UV_ENOTCONN)
        log_warn("control-client-dropped", "cause=%s", log_quote_text(uv_strerror(rc)));
    if (rc == UV_ENOBUFS || rc == UV_ENOMEM)
        stream_close(&client->stream);
}

void control_answer_text(struct control_client *client, uint64_t id, enum control_status status,
                         const char *format, ...)
{
    struct buffer body = BUFFER_EMPTY;
    va_list args;
    va_start(args, format);
    pack_format(&body, format, args);
    va_end(args);
    control_answer_buffer(client, id, status, &body);
}

void control_answer_buffer(struct control_client *client, uint64_t id, enum control_status status,
                           struct buffer *body)
{
    if (buffer_ok(body)) {
        control_answer(client, id, status, buffer_slice(body));
    } else {
        log_warn("control-client-dropped", "cause=\"memory is short for its answer\"");
        stream_close(&client->stream);
    }
    buffer_fini(body);
}

/* ---- waiting requests ---- */

struct control_pending *control_wait(struct control_client *client,
                                     const struct control_request *request,
                                     const struct control_pending_ops *ops)
{
    if (client->pending_count >= CONTROL_PENDING_MAX) {
        control_answer_text(client, request->id, CONTROL_ERROR,
                            "%d requests of this client wait already: let some be answered first",
                            CONTROL_PENDING_MAX);
        return NULL;
    }
    struct control_pending *p = calloc(1, sizeof *p);
    if (p == NULL) {
        control_answer_text(client, request->id, CONTROL_ERROR, "memory is short: try again");
        return NULL;
    }
    p->client = client;
    p->ops = ops;
    p->id = request->id;
    p->deadline_ms = clock_mono_ms() + request->deadline_ms;
    p->next = client->pending;
    client->pending = p;
    client->pending_count++;
    return p;
}

void control_pending_free(struct control_pending *p)
{
    struct control_pending **at = &p->client->pending;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->client->pending_count--;
    buffer_fini(&p->body);
    free(p);
}
