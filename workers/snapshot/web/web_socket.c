/*
 * web_socket.c: the socket of a reader of changes, by events or a WebSocket. See web_subscriber.h,
 * common/http/websocket.h.
 *
 * What a reader is told is written from where it lies to the socket, which is full for who is slow: he falls out of the
 * journal, and is brought to the newest. What he says himself over a WebSocket is answered between two messages, and
 * read on only when that has left: nothing heaps up for him. Who reads events has nothing to say.
 */
#include "workers/snapshot/web/web_subscriber.h"

#include "common/clock.h"
#include "common/http/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_READ_SIZE 4096
#define SOCKET_READS_MAX 16   /* of one turn */
#define SOCKET_LINGER_MS 5000 /* for its last words to be read */

struct web_socket {
    struct web_subscriber *b;
    struct http_upgraded *upgraded;
    int fd;
    bool begun;
    const struct web_framing *framing;
    struct websocket *protocol; /* while it is saying something: NULL else */
    struct buffer answers;      /* to what it says; of events, their head */
    bool over;                  /* nothing is told behind `answers` */
    bool shut;                  /* they have left, too: it is waited for its end */
    bool full;                  /* the socket takes nothing */
    uint64_t moved_ms; /* clock_mono_ms: when it last took something, or was full, or shut */
};

/* ---- its end ---- */

static void socket_free(struct web_socket *k)
{
    struct web_subscriber *b = k->b;
    websocket_free(k->protocol);
    buffer_fini(&k->answers);
    free(k);
    web_subscriber_gone(b);
}

/* The server ends: nothing is under way for who has room, and is told that it is the end. */
static void socket_on_gone(void *ctx)
{
    struct web_socket *k = ctx;
    const char *last = k->framing->last;
    if (k->begun && k->answers.len == 0 && !web_reader_is_within(k->b->reader))
        (void)send(k->fd, last, strlen(last), MSG_NOSIGNAL | MSG_DONTWAIT);
    socket_free(k);
}

static void socket_end(struct web_socket *k)
{
    http_upgraded_end(k->upgraded);
    socket_free(k);
}

/* ---- what it is told ---- */

/* Whether it is to be gone on with: something was taken. False with *gone: it has ended. */
static bool socket_send(struct web_socket *k, struct iovec *parts, size_t count, size_t *sent,
                        bool *gone)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t n = sendmsg(k->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool had_room = !k->full;
    k->full = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS);
    *gone = n < 0 && !k->full && errno != EINTR;
    *sent = n > 0 ? (size_t)n : 0;
    if (n > 0 || had_room)
        k->moved_ms = clock_mono_ms();
    return !k->full && !*gone;
}

static bool socket_send_answers(struct web_socket *k, bool *gone)
{
    size_t sent;
    struct iovec part = {k->answers.data, k->answers.len};
    bool good = socket_send(k, &part, 1, &sent, gone);
    buffer_consume(&k->answers, sent);
    if (k->answers.len == 0)
        buffer_fini(&k->answers);
    return good;
}

static bool socket_send_message(struct web_socket *k, bool *gone)
{
    struct iovec parts[WEB_READER_PARTS];
    size_t sent;
    int count = web_reader_parts(k->b->reader, parts);
    *gone = count < 0;
    if (count <= 0)
        return false;
    bool good = socket_send(k, parts, (size_t)count, &sent, gone);
    web_reader_took(k->b->reader, sent);
    if (sent > 0)
        web_subscriber_said(k->b);
    return good;
}

/* Until there is nothing, or no room. False: it has ended, and is gone. */
static bool socket_pump(struct web_socket *k)
{
    bool more = !k->shut, gone = false;
    while (more) {
        if (k->answers.len > 0 && !web_reader_is_within(k->b->reader))
            more = socket_send_answers(k, &gone);
        else if (k->over && !web_reader_is_within(k->b->reader))
            break;
        else
            more = socket_send_message(k, &gone);
    }
    if (!gone && k->over && !k->full && !k->shut) {
        k->moved_ms = clock_mono_ms();
        k->shut = true; /* not closed: what it still says would make its end of our last words */
        gone = shutdown(k->fd, SHUT_WR) != 0;
    }
    if (gone) {
        socket_end(k);
        return false;
    }
    http_upgraded_watch(k->upgraded, k->answers.len == 0, k->full);
    return true;
}

/* ---- what it says ---- */

static void socket_take(struct web_socket *k, struct slice bytes)
{
    if (k->over || bytes.len == 0 || k->framing != &web_framing_websocket)
        return;
    if (k->protocol == NULL)
        k->protocol = websocket_new();
    k->over = k->protocol == NULL || !websocket_take(k->protocol, bytes, &k->answers);
    if (!k->over && websocket_is_between(k->protocol)) {
        websocket_free(k->protocol);
        k->protocol = NULL;
    }
}

/* False: it has ended, and is gone. */
static bool socket_read(struct web_socket *k)
{
    char bytes[SOCKET_READ_SIZE];
    for (int i = 0; i < SOCKET_READS_MAX && k->answers.len == 0; i++) {
        ssize_t n = recv(k->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return true;
        if (n <= 0 || !buffer_ok(&k->answers)) {
            socket_end(k);
            return false;
        }
        socket_take(k, slice_make(bytes, (size_t)n));
    }
    return true;
}

static void socket_on_ready(void *ctx)
{
    struct web_socket *k = ctx;
    if (socket_read(k))
        socket_pump(k);
}

static void socket_on_begin(void *ctx, struct http_upgraded *u, int fd, struct slice extra)
{
    struct web_socket *k = ctx;
    k->upgraded = u;
    k->fd = fd;
    k->begun = true;
    k->moved_ms = clock_mono_ms();
    socket_take(k, extra);
    socket_pump(k);
}

void web_socket_break(struct web_socket *k)
{
    socket_end(k);
}

bool web_socket_is_waited_for(const struct web_socket *k)
{
    return k->full || k->shut;
}

void web_socket_wake(struct web_socket *k)
{
    if (!k->begun)
        return;
    if (clock_mono_ms() - k->moved_ms >= (k->shut ? SOCKET_LINGER_MS : HTTP_STREAM_STALL_MS))
        socket_end(k);
    else if (!k->full)
        socket_pump(k);
}

/* ---- how it begins ---- */

bool web_socket_is_asked(struct http_request *r)
{
    return websocket_lists(http_request_header(r, "Upgrade"), "websocket");
}

bool web_socket_admits(struct http_request *r)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    const char *version = http_request_header(r, "Sec-WebSocket-Version");
    if (!websocket_lists(http_request_header(r, "Connection"), "upgrade"))
        web_fail(r, MHD_HTTP_BAD_REQUEST, "Connection: must say Upgrade, too");
    else if (version == NULL || strcmp(version, "13") != 0) {
        http_request_add(r, "Sec-WebSocket-Version", "13");
        web_fail(r, MHD_HTTP_UPGRADE_REQUIRED, "Sec-WebSocket-Version: must be 13");
    } else if (!websocket_accept(http_request_header(r, "Sec-WebSocket-Key"), accept))
        web_fail(r, MHD_HTTP_BAD_REQUEST,
                 "Sec-WebSocket-Key: must be 16 bytes in base64, or memory is short");
    else
        http_request_add(r, "Sec-WebSocket-Accept", accept);
    return http_request_is_open(r);
}

void web_socket_answer(struct web_subscriber *b, struct http_request *r,
                       const struct web_framing *framing)
{
    struct web_socket *k = calloc(1, sizeof *k);
    if (k == NULL) {
        web_subscriber_gone(b);
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
        return;
    }
    const struct http_upgrade_owner owner = {socket_on_begin, socket_on_ready, socket_on_gone, k};
    k->b = b;
    k->framing = framing;
    b->socket = k;
    if (framing == &web_framing_websocket)
        http_request_answer_upgrade(r, "websocket", &owner);
    else
        http_request_answer_socket(r, MHD_HTTP_OK, "text/event-stream", &owner, &k->answers);
}
