/* stream.c: framed, bounded libuv stream. See stream.h. */
#include "common/stream.h"

#include <errno.h>
#include <stdlib.h>

/* A read that fills its room makes the next one larger: most that is said to a helper are a few bytes. */
#define STREAM_READ_SIZE  65536u
#define STREAM_FIRST_READ 2048u

struct stream_write {
    uv_write_t req;
    char bytes[];
};

static void stream_on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    buffer_fini(&s->in);
    if (s->events.on_closed != NULL)
        s->events.on_closed(s, s->ctx);
}

void stream_close(struct stream *s)
{
    if (s->closing)
        return;
    s->closing = true;
    uv_close((uv_handle_t *)&s->pipe, stream_on_closed);
}

static void stream_end(struct stream *s, int error)
{
    if (s->closing)
        return;
    stream_close(s);
    if (s->events.on_end != NULL)
        s->events.on_end(s, error, s->ctx);
}

static size_t stream_frame_len(const char *header)
{
    const unsigned char *p = (const unsigned char *)header;
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static void stream_cut_frames(struct stream *s)
{
    size_t at = 0;
    while (!s->closing && !s->paused && s->in.len - at >= STREAM_HEADER_SIZE) {
        size_t len = stream_frame_len(s->in.data + at);
        if (len > s->limits.frame_max) {
            stream_end(s, UV_EMSGSIZE);
            return;
        }
        if (s->in.len - at - STREAM_HEADER_SIZE < len)
            break;
        struct slice frame = slice_make(s->in.data + at + STREAM_HEADER_SIZE, len);
        at += STREAM_HEADER_SIZE + len;
        s->events.on_frame(s, frame, s->ctx);
    }
    if (s->closing)
        return;
    buffer_consume(&s->in, at);
    if (s->in.len == 0)
        buffer_reset(&s->in, 0); /* a thousand idle streams share one room, by way of malloc */
}

static void stream_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stream *s = handle->data;
    unsigned size = s->filled ? STREAM_READ_SIZE : STREAM_FIRST_READ;
    char *room = buffer_reserve(&s->in, size);
    *buf = uv_buf_init(room, room == NULL ? 0 : size);
}

static void stream_on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = handle->data;
    if (n < 0) {
        bool clean = n == UV_EOF && s->in.len == 0;
        stream_end(s, clean ? 0 : (int)n);
        return;
    }
    s->filled = (size_t)n >= STREAM_FIRST_READ && (size_t)n == buf->len;
    s->in.len += (size_t)n;
    stream_cut_frames(s);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    uv_read_stop((uv_stream_t *)&s->pipe);
}

void stream_resume(struct stream *s)
{
    if (!s->paused || s->closing)
        return;
    s->paused = false;
    stream_cut_frames(s);
    if (s->closing || s->paused)
        return;
    int rc = stream_start(s);
    if (rc != 0)
        stream_end(s, rc);
}

bool stream_is_behind(const struct stream *s)
{
    return s->in.len >= STREAM_HEADER_SIZE &&
           s->in.len - STREAM_HEADER_SIZE >= stream_frame_len(s->in.data);
}

void stream_feed(struct stream *s, struct slice bytes)
{
    buffer_append_slice(&s->in, bytes);
    if (buffer_ok(&s->in))
        stream_cut_frames(s);
    else
        stream_end(s, UV_ENOMEM);
}

int stream_init(struct stream *s, uv_loop_t *loop, struct stream_limits limits,
                const struct stream_events *events, void *ctx)
{
    *s = (struct stream){.events = *events, .limits = limits, .ctx = ctx};
    int rc = uv_pipe_init(loop, &s->pipe, 0);
    s->pipe.data = s;
    return rc;
}

int stream_open(struct stream *s, int fd)
{
    int rc = uv_pipe_open(&s->pipe, fd);
    return rc != 0 ? rc : stream_start(s);
}

int stream_start(struct stream *s)
{
    return uv_read_start((uv_stream_t *)&s->pipe, stream_on_alloc, stream_on_read);
}

static void stream_on_written(uv_write_t *req, int status)
{
    struct stream *s = req->handle->data;
    free(req->data);
    if (status < 0 && status != UV_ECANCELED)
        stream_end(s, status);
}

size_t stream_queued(const struct stream *s)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&s->pipe);
}

int stream_send(struct stream *s, struct slice frame)
{
    if (s->closing)
        return UV_ENOTCONN;
    if (frame.len > s->limits.frame_max)
        return -EMSGSIZE;
    if (stream_queued(s) + frame.len > s->limits.queue_max)
        return UV_ENOBUFS;
    size_t total = STREAM_HEADER_SIZE + frame.len;
    struct stream_write *w = malloc(sizeof *w + total);
    if (w == NULL)
        return UV_ENOMEM;
    w->req.data = w;
    w->bytes[0] = (char)(frame.len >> 24);
    w->bytes[1] = (char)(frame.len >> 16);
    w->bytes[2] = (char)(frame.len >> 8);
    w->bytes[3] = (char)frame.len;
    if (frame.len > 0)
        memcpy(w->bytes + STREAM_HEADER_SIZE, frame.ptr, frame.len);
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)total);
    int rc = uv_write(&w->req, (uv_stream_t *)&s->pipe, &buf, 1, stream_on_written);
    if (rc != 0)
        free(w);
    return rc;
}
