/*
 * port_wire.c: JSON lines or msgpack frames (4 bytes of length, big endian, in front of each) on the program's
 * stdin and stdout. See port.h.
 */
#include "workers/program/port.h"

#include "common/json/json_short.h"
#include "common/json/json_value.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- out ---- */

struct port_write {
    uv_write_t req;
    struct port *port;
    size_t task; /* bytes of tasks' events in it */
    char bytes[];
};

static void port_on_written(uv_write_t *req, int status)
{
    struct port_write *w = req->data;
    (void)
        status; /* a program that has closed its stdin hears nothing more; its end is seen elsewhere */
    w->port->task_bytes -= w->task;
    free(w);
}

/* What the pipe has no room for. */
static void port_write_later(struct port *p, struct slice rest, size_t task)
{
    struct port_write *w = worker_must_alloc(p->w, sizeof *w + rest.len);
    memcpy(w->bytes, rest.ptr, rest.len);
    w->req.data = w;
    w->port = p;
    w->task = task;
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)rest.len);
    if (uv_write(&w->req, (uv_stream_t *)&p->in, &buf, 1, port_on_written) != 0) {
        p->task_bytes -= task;
        free(w);
    }
}

void port_flush(struct port *p)
{
    if (p->told.len == 0)
        return;
    uv_stream_t *in = (uv_stream_t *)&p->in;
    uv_buf_t buf = uv_buf_init(p->told.data, (unsigned)p->told.len);
    int n = uv_stream_get_write_queue_size(in) == 0 ? uv_try_write(in, &buf, 1) : 0;
    size_t written = n > 0 ? (size_t)n : 0, left = p->told.len - written;
    size_t task = left < p->told_tasks ? left : p->told_tasks;
    p->task_bytes -= p->told_tasks - task;
    p->told_tasks = 0;
    if (left > 0)
        port_write_later(p, slice_make(p->told.data + written, left), task);
    buffer_reset(&p->told, 2 * PORT_TOLD_SIZE);
}

static void port_on_turn(uv_prepare_t *turn)
{
    port_flush(turn->data);
}

static size_t port_unread(const struct port *p)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&p->in) + p->told.len;
}

bool port_is_behind(const struct port *p)
{
    return port_unread(p) > PORT_BEHIND_MAX;
}

/* Of a frame the length is written when it is known. */
struct buffer *port_tell_begin(struct port *p)
{
    if (p->told.len >= PORT_TOLD_SIZE)
        port_flush(p);
    p->told_from = p->told.len;
    if (p->msgpack)
        buffer_append(&p->told, "\0\0\0\0", 4);
    return &p->told;
}

size_t port_tell_end(struct port *p, bool task)
{
    if (!p->msgpack)
        buffer_append_char(&p->told, '\n');
    if (!buffer_ok(&p->told))
        worker_exit_for(p->w, ENOMEM, NULL, "cannot tell the program");
    size_t len = p->told.len - p->told_from, unread = port_unread(p);
    for (int i = 0; p->msgpack && i < 4; i++)
        p->told.data[p->told_from + (size_t)i] = (char)(unsigned char)((len - 4) >> (24 - 8 * i));
    if (task && len > PORT_TASK_MAX) {
        p->told.len = p->told_from;
        return len;
    }
    if (!task && unread > p->task_bytes && unread - p->task_bytes > PORT_QUEUE_MAX)
        worker_exit(p->w, CONTRACT_EXIT_TEMPORARY,
                    "the program has not read %u MB of what it was told", PORT_QUEUE_MAX >> 20);
    p->told_tasks += task ? len : 0;
    p->task_bytes += task ? len : 0;
    return len;
}

void port_encode(const struct port *p, const json_t *event, struct buffer *out)
{
    if (p->msgpack) {
        json_value_pack(out, event);
        return;
    }
    char *text = json_dumps(event, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL)
        out->failed = true;
    else
        buffer_append_text(out, text);
    free(text);
}

/* What it has not heard it would wait for: so it starts afresh when it cannot be told. */
void port_tell(struct port *p, json_t *event)
{
    if (event == NULL)
        worker_exit_for(p->w, ENOMEM, NULL, "cannot tell the program");
    port_encode(p, event, port_tell_begin(p));
    json_decref(event);
    port_tell_end(p, false);
}

static void port_tell_error(struct port *p, const char *text)
{
    log_warn("port-error", "text=%s", log_quote_text(text));
    json_t *shown = json_string(text);
    port_tell(p, json_pack("{s:s,s:o}", "event", "error", "text",
                           shown != NULL ? shown : json_string("what it said cannot be shown")));
}

void port_complain(struct port *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (++p->errors > PORT_ERRORS_MAX)
        worker_exit(p->w, CONTRACT_EXIT_TEMPORARY, "the program says only what cannot be done: %s",
                    text);
    port_tell_error(p, text);
}

void port_undone(struct port *p, const char *format, ...)
{
    if (++p->undone > PORT_UNDONE_MAX)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    port_tell_error(p, text);
}

static void port_tell_undone(struct port *p)
{
    char text[128];
    uint64_t more = p->undone > PORT_UNDONE_MAX ? p->undone - PORT_UNDONE_MAX : 0;
    p->undone = 0;
    if (more == 0)
        return;
    snprintf(text, sizeof text, "%" PRIu64 " more in the last second that could not be done", more);
    port_tell_error(p, text);
}

char *port_text(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

json_t *port_value(struct slice text)
{
    json_t *value = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return value != NULL ? value : json_null();
}

/* ---- in ---- */

static void port_take(struct port *p, json_t *said, const char *why)
{
    if (said == NULL)
        port_complain(p, "what it said cannot be read: %s", why);
    else
        port_act(p, said);
    json_decref(said);
}

/* Whole lines; empty ones are passed over. */
static size_t port_take_line(struct port *p, struct slice left)
{
    const char *nl = memchr(left.ptr, '\n', left.len);
    json_error_t error = {.text = "no JSON"};
    if (nl == NULL)
        return 0;
    size_t len = (size_t)(nl - left.ptr);
    if (len == 0 || left.ptr[0] == '\r')
        return len + 1;
    json_short_begin();
    json_t *said = json_loadb(left.ptr, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    p->short_of = json_short_end();
    if (p->short_of) {
        json_decref(said);
        return 0;
    }
    port_take(p, said, error.text);
    return len + 1;
}

static size_t port_take_frame(struct port *p, struct slice left)
{
    if (left.len < 4)
        return 0;
    size_t len = 0;
    for (int i = 0; i < 4; i++)
        len = len << 8 | (unsigned char)left.ptr[i];
    if (len > PORT_FRAME_MAX)
        worker_exit(p->w, CONTRACT_EXIT_TEMPORARY,
                    "the program said a frame of %zu bytes, more than %u", len, PORT_FRAME_MAX);
    if (left.len < 4 + len)
        return 0;
    json_t *said = NULL;
    int rc = json_value_unpack(slice_make(left.ptr + 4, len), PORT_DEPTH_MAX, &said);
    p->short_of = rc == -ENOMEM;
    if (p->short_of)
        return 0;
    port_take(p, rc == 0 ? said : NULL, "no msgpack");
    return 4 + len;
}

/* What there is no memory to read stays, and all behind it (short_of): a lost `done` would never come again. */
static void port_cut(struct port *p)
{
    size_t at = 0;
    p->short_of = false;
    for (;;) {
        struct slice left = slice_make(p->said.data + at, p->said.len - at);
        size_t taken = left.len == 0 ? 0
                       : p->msgpack  ? port_take_frame(p, left)
                                     : port_take_line(p, left);
        if (taken == 0)
            break;
        at += taken;
    }
    buffer_consume(&p->said, at);
    if (p->said.len > PORT_FRAME_MAX + 4)
        worker_exit(p->w, CONTRACT_EXIT_TEMPORARY, "the program said a line of more than %u bytes",
                    PORT_FRAME_MAX);
}

static void port_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct port *p = handle->data;
    char *room = buffer_reserve(&p->said, PORT_READ_SIZE);
    *buf = uv_buf_init(room, room != NULL ? PORT_READ_SIZE : 0);
}

/* Without memory it is left in the pipe, and the program waits: ending it for that would lose more. */
static void port_read_later(struct port *p)
{
    uv_read_stop((uv_stream_t *)&p->out);
    p->said.failed = false; /* what is in it is whole */
    p->waits = true;
    worker_trouble(p->w, "no memory for what the program says, which waits for it: %s",
                   contract_shortage_remedy(ENOMEM));
}

static void port_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct port *p = stream->data;
    if (n == UV_ENOBUFS) {
        port_read_later(p);
    } else if (n > 0) {
        p->said.len += (size_t)n;
        port_cut(p);
        if (p->short_of)
            port_read_later(p);
    } else if (n < 0) {
        uv_read_stop(stream);
    }
}

static void port_go_on(struct port *p)
{
    if (buffer_reserve(&p->said, PORT_READ_SIZE) == NULL) {
        p->said.failed = false;
        return;
    }
    port_cut(p);
    if (p->short_of)
        return;
    p->waits = false;
    worker_trouble(p->w, "%s", "");
    uv_read_start((uv_stream_t *)&p->out, port_on_alloc, port_on_read);
}

void port_wire_tick(struct port *p)
{
    if (p->waits)
        port_go_on(p);
    port_tell_undone(p);
}

void port_wire_open(struct port *p)
{
    uv_loop_t *loop = worker_loop(p->w);
    uv_pipe_init(loop, &p->in, 0);
    uv_pipe_init(loop, &p->out, 0);
    p->in.data = p->out.data = p->turn.data = p;
    uv_prepare_init(loop, &p->turn);
    uv_prepare_start(&p->turn, port_on_turn);
    uv_unref((uv_handle_t *)&p->turn);
    int rc = uv_pipe_open(&p->in, p->streams.in);
    if (rc == 0)
        rc = uv_pipe_open(&p->out, p->streams.out);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&p->out, port_on_alloc, port_on_read);
    if (rc != 0)
        worker_exit_for(p->w, -rc, NULL, "cannot talk with the program");
}

void port_wire_close(struct port *p)
{
    if (p->in.data == NULL)
        return;
    port_flush(p);
    uv_read_stop((uv_stream_t *)&p->out);
    uv_close((uv_handle_t *)&p->turn, NULL);
    uv_close((uv_handle_t *)&p->in, NULL);
    uv_close((uv_handle_t *)&p->out, NULL);
    buffer_fini(&p->said);
    buffer_fini(&p->told);
}
