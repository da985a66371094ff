/* http_stream.c: see http_stream.h. */
#include "common/http/http_stream.h"

#include "common/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

/* MHD's own buffer a stream, which only readers of HTTP/1.0 use; others read into their connection's. */
#define HTTP_STREAM_BLOCK 1024

#define HTTP_STREAM_SWEEP_MS 1000

struct http_stream {
    struct http_stream *prev, *next;
    struct http_streams *all;
    struct MHD_Connection *connection;
    struct http_stream_source source;
    uint64_t moved_ms; /* when its reader last took something, or had nothing to take */
    bool waiting;      /* suspended until it is woken */
};

/* MHD has room for more: so what it had is with its reader, or on the way. */
static ssize_t http_stream_on_read(void *ctx, uint64_t at, char *to, size_t max)
{
    struct http_stream *s = ctx;
    (void)at;
    s->moved_ms = clock_mono_ms();
    if (s->all->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    ssize_t n = s->source.read(s->source.ctx, to, max);
    if (n == HTTP_STREAM_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == HTTP_STREAM_BREAK)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n == 0) {
        s->waiting = true;
        MHD_suspend_connection(s->connection);
    }
    return n;
}

static void http_stream_on_free(void *ctx)
{
    struct http_stream *s = ctx;
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        s->all->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    s->all->count--;
    s->source.gone(s->source.ctx);
    free(s);
}

struct MHD_Response *http_stream_create(struct http_streams *all, struct MHD_Connection *connection,
                                        const struct http_stream_source *source,
                                        struct http_stream **out)
{
    struct MHD_Response *response = NULL;
    struct http_stream *s = all->count < all->max ? calloc(1, sizeof *s) : NULL;
    if (s != NULL)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_STREAM_BLOCK,
                                                     http_stream_on_read, s, http_stream_on_free);
    if (response == NULL) {
        free(s);
        source->gone(source->ctx);
        *out = NULL;
        return NULL;
    }
    s->all = all;
    s->connection = connection;
    s->source = *source;
    s->moved_ms = clock_mono_ms();
    s->next = all->first;
    if (all->first != NULL)
        all->first->prev = s;
    all->first = s;
    all->count++;
    *out = s;
    return response;
}

void http_stream_wake(struct http_stream *s)
{
    if (!s->waiting)
        return;
    s->waiting = false;
    s->moved_ms = clock_mono_ms();
    MHD_resume_connection(s->connection);
    if (!s->all->ending)
        s->all->run(s->all->ctx);
}

static void http_stream_close(const struct http_stream *s)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL)
        shutdown(info->connect_fd, SHUT_RDWR); /* MHD sees the end of it as the client's own */
}

uint64_t http_streams_expire(struct http_streams *all)
{
    uint64_t now = clock_mono_ms();
    if (all->first == NULL)
        return UINT64_MAX;
    if (now - all->swept_ms < HTTP_STREAM_SWEEP_MS)
        return all->swept_ms + HTTP_STREAM_SWEEP_MS - now;
    all->swept_ms = now;
    for (struct http_stream *s = all->first; s != NULL; s = s->next)
        if (!s->waiting && now - s->moved_ms >= all->stall_ms)
            http_stream_close(s);
    return HTTP_STREAM_SWEEP_MS;
}

void http_streams_end(struct http_streams *all)
{
    all->ending = true;
    for (struct http_stream *s = all->first; s != NULL; s = s->next)
        http_stream_wake(s);
}
