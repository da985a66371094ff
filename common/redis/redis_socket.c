/* redis_socket.c: connecting, reading and writing, plain or through redis_tls. See redis_socket.h. */
#include "common/redis/redis_socket.h"

#include "common/redis/redis_tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

/* The reader behind us is fastest, and its memory bounded, with pieces of at most this size (FACTS.md 2). */
#define REDIS_SOCKET_READ_SIZE 65536u

/* Seconds without a sign of life after which the kernel asks whether the server's host still exists. */
#define REDIS_SOCKET_KEEPALIVE_S 30u

struct redis_socket {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } h;
    uv_loop_t *loop;
    const struct redis_options *options;
    struct redis_tls *tls_context;
    struct redis_tls_session *tls; /* NULL: plain */
    struct redis_socket_events events;
    void *ctx;
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *addresses;
    size_t count; /* of them */
    size_t turn;  /* which of them it is at, once it is reduced to that */
    size_t tried;
    bool resolving;   /* `resolve` is in use */
    bool handle_live; /* `h` is initialised and not yet closed */
    bool open;        /* on_open was called */
    bool freed;       /* the owner is gone: no more events */
    char why[256];
    char in[REDIS_SOCKET_READ_SIZE];
};

struct redis_socket_write {
    uv_write_t req;
    char *bytes;
};

static void redis_socket_try(struct redis_socket *s);

/* Memory goes when the owner, the handle and the resolver have all let go. */
static void redis_socket_release(struct redis_socket *s)
{
    if (!s->freed || s->handle_live || s->resolving)
        return;
    uv_freeaddrinfo(s->addresses);
    redis_tls_session_free(s->tls);
    free(s);
}

static bool redis_socket_has_next(const struct redis_socket *s)
{
    return !s->open && s->tried < s->count;
}

static void redis_socket_try_next(struct redis_socket *s)
{
    redis_tls_session_free(s->tls);
    s->tls = NULL;
    s->turn = (s->turn + 1) % s->count;
    redis_socket_try(s);
}

static void redis_socket_on_closed(uv_handle_t *handle)
{
    struct redis_socket *s = handle->data;
    s->handle_live = false;
    if (s->freed)
        redis_socket_release(s);
    else if (redis_socket_has_next(s))
        redis_socket_try_next(s);
    else
        s->events.on_end(s->why, s->ctx);
}

/*
 * Ends this address or this connection; what follows happens in redis_socket_on_closed. The
 * first reason is the one told.
 */
static void __attribute__((format(printf, 2, 3)))
redis_socket_fail(struct redis_socket *s, const char *format, ...)
{
    if (uv_is_closing(&s->h.handle))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->why, sizeof s->why, format, args);
    va_end(args);
    uv_close(&s->h.handle, redis_socket_on_closed);
}

static const char *redis_socket_explain(int error)
{
    switch (error) {
    case UV_ECONNREFUSED:
        return "connection refused: is the server running?";
    case UV_ENOENT:
        return "no such socket: is the server running, and is the path right?";
    case UV_EACCES:
    case UV_EPERM:
        return "permission denied: may this user open the socket?";
    case UV_ETIMEDOUT:
        return "the host does not answer: check host, network and firewall";
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        return "no way to that host: check host and network";
    case UV_EOF:
    case UV_ECONNRESET:
    case UV_EPIPE:
        return "the server closed the connection";
    default:
        return uv_strerror(error);
    }
}

/* ---- out ---- */

static void redis_socket_on_written(uv_write_t *req, int status)
{
    struct redis_socket_write *w = req->data;
    struct redis_socket *s = req->handle->data;
    free(w->bytes);
    free(w);
    if (status < 0 && status != UV_ECANCELED)
        redis_socket_fail(s, "%s", redis_socket_explain(status));
}

/* One write of all of `bytes`, which is empty afterwards. False: there is none. */
static bool redis_socket_send(struct redis_socket *s, struct buffer *bytes)
{
    size_t len = 0;
    struct redis_socket_write *w = malloc(sizeof *w);
    if (w == NULL || !buffer_ok(bytes) || bytes->len > UINT32_MAX) {
        free(w);
        redis_socket_fail(s, "out of memory");
        return false;
    }
    w->bytes = buffer_take(bytes, &len);
    w->req.data = w;
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)len);
    int rc = uv_write(&w->req, &s->h.stream, &buf, 1, redis_socket_on_written);
    if (rc == 0)
        return true;
    free(w->bytes);
    free(w);
    redis_socket_fail(s, "%s", redis_socket_explain(rc));
    return false;
}

/* Sends what TLS has made ready. False: nothing of it has left. */
static bool redis_socket_send_tls(struct redis_socket *s)
{
    struct buffer out = BUFFER_EMPTY;
    bool sent = false;
    redis_tls_session_take(s->tls, &out);
    if (out.len > 0 || !buffer_ok(&out))
        sent = redis_socket_send(s, &out);
    buffer_fini(&out);
    return sent;
}

bool redis_socket_write(struct redis_socket *s, struct buffer *bytes)
{
    if (!s->open || uv_is_closing(&s->h.handle)) {
        buffer_clear(bytes); /* on_end is on its way */
        return false;
    }
    if (s->tls == NULL)
        return redis_socket_send(s, bytes);
    int rc = buffer_ok(bytes) ? redis_tls_session_write(s->tls, buffer_slice(bytes)) : -ENOMEM;
    buffer_reset(bytes, REDIS_SOCKET_READ_SIZE);
    if (rc == 0)
        return redis_socket_send_tls(s);
    redis_socket_fail(s, "%s", redis_tls_session_error(s->tls));
    return false;
}

bool redis_socket_in_handshake(const struct redis_socket *s)
{
    return s->tls != NULL && !s->open;
}

size_t redis_socket_queued(const struct redis_socket *s)
{
    return s->handle_live ? uv_stream_get_write_queue_size(&s->h.stream) : 0;
}

/* ---- in ---- */

static void redis_socket_opened(struct redis_socket *s)
{
    s->open = true;
    s->events.on_open(s->ctx);
}

/* Feeds TLS, then hands up what came out of it. The owner may free the socket in any of the calls. */
static void redis_socket_on_cipher(struct redis_socket *s, struct slice cipher)
{
    int rc = redis_tls_session_feed(s->tls, cipher);
    redis_socket_send_tls(s); /* also the alert that tells the server why we leave */
    if (rc != 0) {
        redis_socket_fail(s, "%s", redis_tls_session_error(s->tls));
        return;
    }
    if (!s->open && redis_tls_session_done(s->tls))
        redis_socket_opened(s);
    while (!s->freed && !uv_is_closing(&s->h.handle)) {
        ssize_t n = redis_tls_session_read(s->tls, s->in, sizeof s->in);
        if (n > 0)
            s->events.on_bytes(slice_make(s->in, (size_t)n), s->ctx);
        else if (n < 0)
            redis_socket_fail(s, "%s", redis_tls_session_error(s->tls));
        if (n <= 0)
            break;
    }
    if (!s->freed && !uv_is_closing(&s->h.handle))
        redis_socket_send_tls(s);
}

static void redis_socket_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct redis_socket *s = handle->data;
    *buf = uv_buf_init(s->in, sizeof s->in);
}

static void redis_socket_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct redis_socket *s = stream->data;
    if (s->freed || n == 0)
        return;
    if (n < 0)
        redis_socket_fail(s, "%s", redis_socket_explain((int)n));
    else if (s->tls != NULL)
        redis_socket_on_cipher(s, slice_make(buf->base, (size_t)n));
    else
        s->events.on_bytes(slice_make(buf->base, (size_t)n), s->ctx);
}

/* ---- connecting ---- */

static void redis_socket_on_connect(uv_connect_t *req, int status)
{
    struct redis_socket *s = req->handle->data;
    if (s->freed || status == UV_ECANCELED)
        return;
    if (status == 0)
        status = uv_read_start(&s->h.stream, redis_socket_on_alloc, redis_socket_on_read);
    if (status < 0) {
        redis_socket_fail(s, "%s", redis_socket_explain(status));
        return;
    }
    if (s->tls_context == NULL) {
        redis_socket_opened(s);
        return;
    }
    s->tls = redis_tls_session_new(s->tls_context);
    if (s->tls == NULL)
        redis_socket_fail(s, "out of memory");
    else
        redis_socket_on_cipher(s, slice_of(""));
}

bool redis_socket_skip(struct redis_socket *s)
{
    if (!s->handle_live || !redis_socket_has_next(s))
        return false;
    redis_socket_fail(s, "%s", redis_socket_explain(UV_ETIMEDOUT));
    return true;
}

size_t redis_socket_turn(const struct redis_socket *s)
{
    return s->turn;
}

static const struct sockaddr *redis_socket_address(const struct redis_socket *s)
{
    const struct addrinfo *a = s->addresses;
    for (size_t i = 0; i < s->turn; i++)
        a = a->ai_next;
    return a->ai_addr;
}

/* Tries the address whose turn it is. */
static void redis_socket_try(struct redis_socket *s)
{
    const struct sockaddr *address = redis_socket_address(s);
    s->events.on_try(s->count - s->tried++, s->ctx);
    uv_tcp_init(
        s->loop,
        &s->h.tcp); /* without a socket of a given family there is nothing in it that fails */
    s->h.handle.data = s;
    s->handle_live = true;
    int rc = uv_tcp_connect(&s->connect, &s->h.tcp, address, redis_socket_on_connect);
    if (rc != 0) {
        redis_socket_fail(s, "%s", redis_socket_explain(rc));
        return;
    }
    /* Pipelining already puts what belongs together into one write; Nagle would only hold the last one back. */
    uv_tcp_nodelay(&s->h.tcp, 1);
    uv_tcp_keepalive(&s->h.tcp, 1, REDIS_SOCKET_KEEPALIVE_S);
}

static void redis_socket_on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct redis_socket *s = req->data;
    s->resolving = false;
    s->addresses = list;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        s->count++;
    if (s->freed) {
        redis_socket_release(s);
    } else if (status != 0 || list == NULL) {
        snprintf(s->why, sizeof s->why,
                 "cannot resolve the host's name (%s): check it, and the DNS",
                 status != 0 ? uv_strerror(status) : "no address");
        s->events.on_end(s->why, s->ctx);
    } else {
        s->turn %= s->count;
        redis_socket_try(s);
    }
}

static int redis_socket_start_unix(struct redis_socket *s)
{
    int rc = uv_pipe_init(s->loop, &s->h.pipe, 0);
    if (rc != 0)
        return rc;
    s->h.handle.data = s;
    s->handle_live = true;
    /* libuv would cut a longer path and connect elsewhere. */
    if (strlen(s->options->unix_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        redis_socket_fail(
            s, "the path is longer than the %zu bytes a unix socket's may have: shorten it",
            sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    else
        uv_pipe_connect(&s->connect, &s->h.pipe, s->options->unix_path, redis_socket_on_connect);
    return 0;
}

static int redis_socket_start_tcp(struct redis_socket *s)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof service, "%d", s->options->port);
    s->resolve.data = s;
    int rc = uv_getaddrinfo(s->loop, &s->resolve, redis_socket_on_resolved, s->options->host,
                            service, &hints);
    s->resolving = rc == 0;
    return rc;
}

struct redis_socket *redis_socket_new(uv_loop_t *loop, const struct redis_options *options,
                                      struct redis_tls *tls, size_t turn,
                                      const struct redis_socket_events *events, void *ctx)
{
    struct redis_socket *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->loop = loop;
    s->options = options;
    s->tls_context = tls;
    s->events = *events;
    s->ctx = ctx;
    s->turn = turn;
    int rc = options->unix_path != NULL ? redis_socket_start_unix(s) : redis_socket_start_tcp(s);
    if (rc == 0)
        return s;
    free(s);
    return NULL;
}

void redis_socket_free(struct redis_socket *s)
{
    if (s == NULL)
        return;
    s->freed = true;
    if (s->resolving)
        uv_cancel(
            (uv_req_t *)&s
                ->resolve); /* a resolver that runs already cannot be cancelled: it ends by itself */
    if (s->handle_live && !uv_is_closing(&s->h.handle))
        uv_close(&s->h.handle, redis_socket_on_closed);
    redis_socket_release(s);
}
