/* http_fake.c: see http_fake.h. */
#include "test/unit/http/http_fake.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct http_guest {
    struct http_guest *next, *before;
    struct http_fake *server;
    uv_tcp_t tcp;
    struct buffer in, head;
    unsigned asked; /* requests not answered yet */
    bool gone;
};

static void guest_free_unused(struct http_guest *g)
{
    if (!g->gone || g->asked > 0)
        return;
    buffer_fini(&g->in);
    buffer_fini(&g->head);
    free(g);
}

static void guest_on_closed(uv_handle_t *handle)
{
    struct http_guest *g = handle->data;
    g->gone = true;
    guest_free_unused(g);
}

static void guest_close(struct http_guest *g)
{
    if (uv_is_closing((uv_handle_t *)&g->tcp))
        return;
    if (g->before != NULL)
        g->before->next = g->next;
    else
        g->server->guests = g->next;
    if (g->next != NULL)
        g->next->before = g->before;
    uv_close((uv_handle_t *)&g->tcp, guest_on_closed);
}

static void guest_on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    (void)handle;
    *buf = uv_buf_init(malloc(hint), (unsigned)hint);
}

/* Lengths of the first request's head and body; false: it is not there whole. */
static bool guest_request(struct http_guest *g, size_t *head, size_t *body)
{
    const char *text = buffer_text(&g->in);
    const char *end = g->in.len > 0 ? strstr(text, "\r\n\r\n") : NULL;
    if (end == NULL)
        return false;
    const char *length = strstr(text, "Content-Length: ");
    *head = (size_t)(end - text) + 4;
    *body = length != NULL && length < end ? (size_t)atoi(length + strlen("Content-Length: ")) : 0;
    return *head + *body <= g->in.len;
}

static void guest_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_guest *g = stream->data;
    size_t head, body;
    if (n > 0)
        buffer_append(&g->in, buf->base, (size_t)n);
    free(buf->base);
    if (n < 0) {
        guest_close(g);
        return;
    }
    while (!uv_is_closing((uv_handle_t *)stream) && guest_request(g, &head, &body)) {
        g->asked++;
        buffer_clear(&g->head);
        buffer_append(&g->head, g->in.data, head);
        g->server->fn(g, buffer_text(&g->head), slice_make(g->in.data + head, body),
                      g->server->ctx);
        buffer_consume(&g->in, head + body);
    }
}

static void on_guest(uv_stream_t *listener, int status)
{
    struct http_fake *s = listener->data;
    struct http_guest *g = calloc(1, sizeof *g);
    ck_assert_int_eq(status, 0);
    g->server = s;
    uv_tcp_init(s->loop, &g->tcp);
    g->tcp.data = g;
    ck_assert_int_eq(uv_accept(listener, (uv_stream_t *)&g->tcp), 0);
    g->next = s->guests;
    if (s->guests != NULL)
        s->guests->before = g;
    s->guests = g;
    uv_read_start((uv_stream_t *)&g->tcp, guest_on_alloc, guest_on_read);
}

void http_fake_start_again(struct http_fake *s)
{
    struct sockaddr_in address;
    int size = sizeof address;
    uv_tcp_init(s->loop, &s->listener);
    s->listener.data = s;
    uv_ip4_addr("127.0.0.1", s->port, &address);
    ck_assert_int_eq(uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&s->listener, 64, on_guest), 0);
    uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &size);
    s->port = ntohs(address.sin_port);
    s->open = true;
}

void http_fake_start(struct http_fake *s, uv_loop_t *loop, http_fake_fn fn, void *ctx)
{
    *s = (struct http_fake){.loop = loop, .fn = fn, .ctx = ctx};
    http_fake_start_again(s);
}

void http_fake_stop(struct http_fake *s)
{
    while (s->guests != NULL)
        guest_close(s->guests);
    if (s->open)
        uv_close((uv_handle_t *)&s->listener, NULL);
    s->open = false;
}

void http_fake_reply(struct http_guest *g, const void *bytes, size_t len)
{
    g->asked--;
    while (len > 0 && !uv_is_closing((uv_handle_t *)&g->tcp)) {
        uv_buf_t out = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
        int n = uv_try_write((uv_stream_t *)&g->tcp, &out, 1);
        if (n < 0 && n != UV_EAGAIN)
            break;
        n = n < 0 ? 0 : n;
        bytes = (const char *)bytes + n;
        len -= (size_t)n;
    }
    guest_free_unused(g);
}
