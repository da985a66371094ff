/* erlang_handshake.c: see erlang_handshake.h. */
#define _REENTRANT 1 /* or ei.h's erl_errno is another than the library's */
#include "workers/erlang/erlang_handshake.h"

#include "common/clock.h"
#include "common/listen_address.h"
#include "common/log.h"
#include "proto/erlang/erlang_address.h"

#include <arpa/inet.h>
#include <ei.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HANDSHAKE_BACKLOG 128

/* What libei calls a context: one socket of ours. */
struct handshake_socket {
    atomic_int fd;        /* of the thread, and of who ends it early */
    uint64_t deadline_ms; /* clock_mono_ms; of all that is read and written */
    unsigned writes;      /* that were done: the second is the challenge */
    bool broken;          /* it was the connection that failed, or time */
};

/* One that is under way. */
struct handshake {
    struct erlang_handshakes *of;
    bool used;
    uv_thread_t thread;
    atomic_bool done; /* the thread has ended, and what follows is the loop's */
    struct handshake_socket socket;
    struct sockaddr_in from;
    int result; /* the socket, or -1 */
    ErlConnect peer;
};

struct erlang_handshakes {
    struct worker *w;
    struct erlang_handshake_options options;
    ei_cnode node;
    struct handshake_socket listening;
    struct sockaddr_in address;
    uv_poll_t poll;
    uv_async_t wake;
    unsigned handles; /* that are not closed yet */
    bool closing;
    uint64_t refused; /* since the log last said so */
    char why[512];    /* of the last of them */
    struct handshake all[ERLANG_HANDSHAKES_MAX];
};

/* The handshake of this thread: libei hands its callback for accepting nothing but the listening socket. */
static _Thread_local struct handshake *handshake_mine;

/* ---- what libei does its input and output with ---- */

/* 0, or an errno: also when the deadline of the whole handshake is over, whatever libei allows for this part. */
static int socket_wait(struct handshake_socket *s, short events)
{
    uint64_t now = clock_mono_ms();
    struct pollfd poll_fd = {.fd = s->fd, .events = events};
    int left = s->deadline_ms > now ? (int)(s->deadline_ms - now) : 0;
    int n = poll(&poll_fd, 1, left);
    return n > 0 ? 0 : n == 0 ? ETIMEDOUT : errno;
}

static int socket_done(struct handshake_socket *s, ssize_t n, ssize_t *len)
{
    s->broken = n <= 0;
    *len = n > 0 ? n : 0;
    return n > 0 ? 0 : n == 0 ? ECONNRESET : errno;
}

static int socket_read(void *ctx, char *buf, ssize_t *len, unsigned tmo)
{
    struct handshake_socket *s = ctx;
    (void)tmo;
    int rc = socket_wait(s, POLLIN);
    s->broken = rc != 0;
    return rc != 0 ? rc : socket_done(s, read(s->fd, buf, (size_t)*len), len);
}

static int socket_write(void *ctx, const char *buf, ssize_t *len, unsigned tmo)
{
    struct handshake_socket *s = ctx;
    (void)tmo;
    int rc = socket_wait(s, POLLOUT);
    s->broken = rc != 0;
    s->writes += rc == 0;
    return rc != 0 ? rc : socket_done(s, send(s->fd, buf, (size_t)*len, MSG_NOSIGNAL), len);
}

/* libei gathers only messages, and we send none by it. */
static int socket_writev(void *ctx, const void *iov, int iovcnt, ssize_t *len, unsigned tmo)
{
    (void)ctx;
    (void)iov;
    (void)iovcnt;
    (void)len;
    (void)tmo;
    return ENOTSUP;
}

static int socket_new(void **ctx, void *setup)
{
    struct erlang_handshakes *h = setup;
    h->listening.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ctx = &h->listening;
    return h->listening.fd >= 0 ? 0 : errno;
}

static int socket_close(void *ctx)
{
    struct handshake_socket *s = ctx;
    int fd = s->fd;
    s->fd = -1;
    return close(fd) == 0 ? 0 : errno;
}

static int socket_listen(void *ctx, void *addr, int *len, int backlog)
{
    struct handshake_socket *s = ctx;
    socklen_t size = (socklen_t)*len;
    int on = 1;
    /* A port that was given is wanted again at once, by who comes after one that was killed. */
    if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(s->fd, addr, size) != 0 || listen(s->fd, backlog) != 0 ||
        getsockname(s->fd, addr, &size) != 0)
        return errno;
    *len = (int)size;
    return 0;
}

/* The loop has accepted already. */
static int socket_accept(void **ctx, void *addr, int *len, unsigned tmo)
{
    (void)tmo;
    memcpy(addr, &handshake_mine->from, sizeof handshake_mine->from);
    *len = (int)sizeof handshake_mine->from;
    *ctx = &handshake_mine->socket;
    return 0;
}

/* We connect to nobody. */
static int socket_connect(void *ctx, void *addr, int len, unsigned tmo)
{
    (void)ctx;
    (void)addr;
    (void)len;
    (void)tmo;
    return ENOTSUP;
}

static int socket_header_size(void *ctx, int *size)
{
    (void)ctx;
    *size = 2;
    return 0;
}

static int socket_complete(void *ctx)
{
    (void)ctx;
    return 0;
}

static int socket_fd(void *ctx, int *fd)
{
    *fd = ((struct handshake_socket *)ctx)->fd;
    return 0;
}

static ei_socket_callbacks handshake_callbacks = {
    .flags = EI_SCLBK_FLG_FULL_IMPL,
    .socket = socket_new,
    .close = socket_close,
    .listen = socket_listen,
    .accept = socket_accept,
    .connect = socket_connect,
    .writev = socket_writev,
    .write = socket_write,
    .read = socket_read,
    .handshake_packet_header_size = socket_header_size,
    .connect_handshake_complete = socket_complete,
    .accept_handshake_complete = socket_complete,
    .get_fd = socket_fd,
};

/* ---- one of them ---- */

/* libei keeps a note of every socket it has made a handshake on, until it closes it: so we go on with another one. */
static void handshake_run(void *ctx)
{
    struct handshake *s = ctx;
    handshake_mine = s;
    int fd =
        ei_accept_tmo(&s->of->node, s->of->listening.fd, &s->peer, (unsigned)ERLANG_HANDSHAKE_MS);
    s->result = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd >= 0)
        ei_close_connection(fd);
    atomic_store(&s->done, true);
    uv_async_send(&s->of->wake);
}

static void handshake_refused(struct erlang_handshakes *h, const struct handshake *s)
{
    char from[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &s->from.sin_addr, from, sizeof from);
    h->refused++;
    if (s->socket.writes >= 2 && !s->socket.broken)
        snprintf(h->why, sizeof h->why,
                 "%s at %s has another cookie: give it the one in cookie_file", s->peer.nodename,
                 from);
    else
        snprintf(h->why, sizeof h->why,
                 "%s spoke no Erlang distribution that we know, or not to its end within %d ms",
                 from, ERLANG_HANDSHAKE_MS);
}

static struct handshake *handshake_free_one(struct erlang_handshakes *h)
{
    for (size_t i = 0; i < ERLANG_HANDSHAKES_MAX; i++)
        if (!h->all[i].used)
            return &h->all[i];
    return NULL;
}

/* 0, or an error of libuv's; the socket is gone then. */
static int handshake_start(struct handshake *s, struct erlang_handshakes *h, int fd,
                           const struct sockaddr_in *from)
{
    int on = 1;
    *s = (struct handshake){.of = h, .used = true, .from = *from, .result = -1};
    s->socket.fd = fd;
    s->socket.deadline_ms = clock_mono_ms() + ERLANG_HANDSHAKE_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    int rc = uv_thread_create(&s->thread, handshake_run, s);
    if (rc == 0)
        return 0;
    close(fd);
    s->used = false;
    return rc;
}

/* ---- all of them ---- */

static void handshakes_on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    erlang_handshakes_accept(poll->data);
}

/* One that has come. False: there is none, or files or threads are short, and a tick tries again. */
static bool handshakes_take(struct erlang_handshakes *h, struct handshake *s)
{
    struct sockaddr_in from = {0};
    socklen_t len = sizeof from;
    int fd = accept4(h->listening.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)) {
        uv_poll_start(&h->poll, UV_READABLE, handshakes_on_poll);
        return false;
    }
    int rc = fd < 0 ? -errno : handshake_start(s, h, fd, &from);
    if (rc == 0)
        return true;
    uv_poll_stop(&h->poll);
    log_warn("handshake", "cause=%s remedy=\"it is tried again within a second\"",
             log_quote_text(uv_strerror(rc)));
    return false;
}

void erlang_handshakes_accept(struct erlang_handshakes *h)
{
    struct handshake *s = NULL;
    if (h->closing)
        return;
    while (h->options.events->has_room(h->options.ctx) && (s = handshake_free_one(h)) != NULL)
        if (!handshakes_take(h, s))
            return;
    uv_poll_stop(&h->poll); /* who comes waits in the kernel's queue */
}

/* Some threads have ended. */
static void handshakes_on_wake(uv_async_t *wake)
{
    struct erlang_handshakes *h = wake->data;
    for (size_t i = 0; i < ERLANG_HANDSHAKES_MAX; i++) {
        struct handshake *s = &h->all[i];
        if (!s->used || !atomic_load(&s->done))
            continue;
        uv_thread_join(&s->thread);
        s->used = false;
        if (s->result >= 0)
            h->options.events->on_node(h->options.ctx, s->result, slice_of(s->peer.nodename));
        else
            handshake_refused(h, s);
    }
    erlang_handshakes_accept(h);
}

void erlang_handshakes_tick(struct erlang_handshakes *h)
{
    if (h->refused > 0) {
        log_warn("refused", "count=%" PRIu64 " last=%s", h->refused, log_quote_text(h->why));
        worker_count(h->w, COUNTER_ERLANG_REFUSED, h->refused);
    }
    h->refused = 0;
    erlang_handshakes_accept(h);
}

uint16_t erlang_handshakes_port(const struct erlang_handshakes *h)
{
    return ntohs(h->address.sin_port);
}

/* ---- life ---- */

static bool handshakes_listen(struct erlang_handshakes *h)
{
    char name[ERLANG_NODE_MAX + 1];
    struct in_addr ip;
    snprintf(name, sizeof name, "%s", h->options.node);
    char *at = strchr(name, '@');
    if (at == NULL || !erlang_address_parse(h->options.listen, &h->address)) {
        errno = EINVAL;
        return false;
    }
    *at = '\0';
    ip = h->address.sin_addr;
    int port = ntohs(h->address.sin_port);
    ei_init();
    int rc = ei_connect_xinit_ussi(&h->node, at + 1, name, h->options.node, &ip, h->options.cookie,
                                   h->options.creation, &handshake_callbacks,
                                   sizeof handshake_callbacks, h);
    int fd = rc < 0 ? -1 : ei_xlisten(&h->node, &ip, &port, HANDSHAKE_BACKLOG);
    h->address.sin_port = htons((uint16_t)port);
    errno = erl_errno;
    return fd >= 0;
}

/* False after worker_trouble. */
static bool handshakes_watch(struct erlang_handshakes *h)
{
    uv_loop_t *loop = worker_loop(h->w);
    int rc = uv_async_init(loop, &h->wake, handshakes_on_wake);
    if (rc == 0) {
        h->handles++;
        rc = uv_poll_init(loop, &h->poll, h->listening.fd);
    }
    if (rc == 0) {
        h->handles++;
        h->wake.data = h->poll.data = h;
        return true;
    }
    worker_trouble(h->w, "its socket cannot be watched: %s", uv_strerror(rc));
    return false;
}

struct erlang_handshakes *
erlang_handshakes_open(struct worker *w, const struct erlang_handshake_options *options, int *code)
{
    struct erlang_handshakes *h = worker_must_alloc(w, sizeof *h);
    h->w = w;
    h->options = *options;
    h->listening.fd = -1;
    *code = CONTRACT_EXIT_TEMPORARY;
    if (!handshakes_listen(h)) {
        worker_trouble(w, "cannot listen on %s: %s: %s", options->listen, strerror(errno),
                       listen_address_remedy(errno));
        free(h);
        return NULL;
    }
    if (!handshakes_watch(h)) {
        *code = CONTRACT_EXIT_SHORT;
        return NULL; /* the process ends */
    }
    erlang_handshakes_accept(h);
    return h;
}

static void handshakes_on_closed(uv_handle_t *handle)
{
    struct erlang_handshakes *h = handle->data;
    if (--h->handles > 0)
        return;
    ei_close_connection(h->listening.fd);
    explicit_bzero(&h->node, sizeof h->node);
    free(h);
}

void erlang_handshakes_close(struct erlang_handshakes *h)
{
    if (h == NULL)
        return;
    h->closing = true;
    for (size_t i = 0; i < ERLANG_HANDSHAKES_MAX; i++) {
        struct handshake *s = &h->all[i];
        if (!s->used)
            continue;
        shutdown(s->socket.fd, SHUT_RDWR);
        uv_thread_join(&s->thread);
        if (s->result >= 0)
            close(s->result);
    }
    uv_poll_stop(&h->poll);
    uv_close((uv_handle_t *)&h->poll, handshakes_on_closed);
    uv_close((uv_handle_t *)&h->wake, handshakes_on_closed);
}
