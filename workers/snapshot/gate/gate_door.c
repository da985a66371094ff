/*
 * gate_door.c: the unix socket: a client writes its request, half-closes, and reads the answer. See gate_private.h.
 *
 * A connection is one request. What is half-closed is whole; what is closed is nothing, for its writer may have been
 * killed in the midst of it, and half of a version is none. Who has not asked, or not read, within a minute is closed.
 * GATE_CLIENTS_MAX are served at once, others wait in the kernel's queue; what all together ask takes GATE_HELD_MAX,
 * until it is answered.
 */
#include "workers/snapshot/gate/gate_private.h"
#include "workers/snapshot/gate/gate_request.h"

#include "common/clock.h"
#include "common/listen_address.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GATE_CLIENTS_MAX 16
#define GATE_HELD_MAX    (3 * GATE_REQUEST_MAX)
#define GATE_CLIENT_MS   60000u
#define GATE_READ_BYTES  65536
#define GATE_BACKLOG     64

struct gate_client {
    struct gate_client *next;
    struct gate *g;
    uv_pipe_t pipe;
    uv_write_t write;
    uint64_t since_ms; /* asked to, or answered */
    char by[GATE_BY_SIZE];
    struct buffer stream;   /* what it has asked so far */
    size_t held;            /* bytes of that, until it is answered */
    struct buffer answer;   /* that is being written */
    struct gate_work *work; /* NULL: none */
    bool closing, asked;
};

static void door_on_client(uv_stream_t *listening, int status);

/* ---- its end ---- */

static void client_on_closed(uv_handle_t *handle)
{
    struct gate_client *c = handle->data;
    buffer_fini(&c->stream);
    buffer_fini(&c->answer);
    free(c);
}

static void client_close(struct gate_client *c)
{
    struct gate *g = c->g;
    struct gate_client **at = &g->clients;
    if (c->closing)
        return;
    c->closing = true;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    g->client_count--;
    g->held -= c->held;
    gate_work_forget(c->work);
    uv_close((uv_handle_t *)&c->pipe, client_on_closed);
    if (g->full && g->listens)
        door_on_client((uv_stream_t *)&g->listening, 0);
}

/* ---- answering ---- */

static void client_on_written(uv_write_t *write, int status)
{
    (void)status;
    client_close(write->data);
}

static void client_on_answer(void *ctx, struct buffer *answer)
{
    struct gate_client *c = ctx;
    c->answer = *answer;
    *answer = BUFFER_EMPTY;
    c->since_ms = clock_mono_ms();
    c->write.data = c;
    uv_buf_t part = uv_buf_init(c->answer.data, (unsigned)c->answer.len);
    if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &part, 1, client_on_written) != 0)
        client_close(c);
}

static void client_fail(struct gate_client *c, const char *why)
{
    struct buffer answer = BUFFER_EMPTY;
    gate_answer_error(&answer, slice_of(why));
    c->asked = true;
    uv_read_stop((uv_stream_t *)&c->pipe);
    if (buffer_ok(&answer))
        client_on_answer(c, &answer);
    else
        client_close(c);
    buffer_fini(&answer);
}

/* ---- asking ---- */

/* Nobody is there who would read an answer. */
static bool client_is_gone(const struct gate_client *c)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&c->pipe, &fd) != 0)
        return true;
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void client_ask(struct gate_client *c)
{
    c->asked = true;
    c->since_ms = clock_mono_ms();
    uv_read_stop((uv_stream_t *)&c->pipe);
    gate_work_begin(c->g, &c->stream, c->by, &c->work, client_on_answer, c);
}

static void client_on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room)
{
    static char bytes[GATE_READ_BYTES];
    (void)handle;
    (void)wanted;
    *room = uv_buf_init(bytes, sizeof bytes);
}

static void client_on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *room)
{
    struct gate_client *c = stream->data;
    struct gate *g = c->g;
    if (n < 0 && (n != UV_EOF || client_is_gone(c)))
        client_close(c);
    else if (n == UV_EOF && buffer_ok(&c->stream))
        client_ask(c);
    else if (n == UV_EOF)
        client_fail(c, "memory is short: ask again");
    else if (c->stream.len + (size_t)n > GATE_REQUEST_MAX)
        client_fail(c, "the request is larger than any version may be (20 MB)");
    else if (g->held + (size_t)n > GATE_HELD_MAX)
        client_fail(c, "too many ask for too much at once: ask again");
    else {
        buffer_append(&c->stream, room->base, (size_t)n);
        c->held += (size_t)n;
        g->held += (size_t)n;
    }
}

static void client_who(struct gate_client *c)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t size = sizeof peer;
    snprintf(c->by, sizeof c->by, "nobody known");
    if (uv_fileno((uv_handle_t *)&c->pipe, &fd) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        snprintf(c->by, sizeof c->by, "uid %u", (unsigned)peer.uid);
}

/* Who is one too many waits in the kernel's queue until another has gone. */
static void door_on_client(uv_stream_t *listening, int status)
{
    struct gate *g = listening->data;
    g->full = g->client_count == GATE_CLIENTS_MAX;
    struct gate_client *c = status == 0 && !g->full ? calloc(1, sizeof *c) : NULL;
    if (c == NULL)
        return;
    c->g = g;
    uv_pipe_init(worker_loop(g->w), &c->pipe, 0);
    c->pipe.data = c;
    c->since_ms = clock_mono_ms();
    c->next = g->clients;
    g->clients = c;
    g->client_count++;
    if (uv_accept(listening, (uv_stream_t *)&c->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&c->pipe, client_on_room, client_on_bytes) != 0) {
        client_close(c);
        return;
    }
    client_who(c);
}

void gate_door_tick(struct gate *g)
{
    uint64_t now = clock_mono_ms();
    for (struct gate_client *c = g->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (now - c->since_ms > GATE_CLIENT_MS && c->work == NULL)
            client_close(c);
    }
}

/* ---- life ---- */

int gate_door_open(struct gate *g, const char *listen)
{
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    int fd = listen_address_parse(listen, &address);
    if (fd == 0)
        fd = listen_address_open(&address, &why);
    if (fd < 0 && why.len == 0 && contract_is_shortage(-fd))
        worker_exit_for(g->w, -fd, listen, "cannot listen on %s", listen);
    int rc = fd < 0 ? fd : uv_pipe_init(worker_loop(g->w), &g->listening, 0);
    if (rc == 0) {
        g->listening.data = g;
        g->listens = true;
        rc = uv_pipe_open(&g->listening, fd);
        if (rc != 0)
            close(fd);
    }
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&g->listening, GATE_BACKLOG, door_on_client);
    if (rc != 0)
        worker_trouble(g->w, "cannot listen on %s: %s: %s", listen,
                       buffer_text(&why) != NULL && why.len > 0 ? why.data : uv_strerror(rc),
                       listen_address_remedy(-rc));
    buffer_fini(&why);
    return rc == 0 ? 0 : CONTRACT_EXIT_TEMPORARY;
}

void gate_door_close(struct gate *g)
{
    if (g->listens)
        uv_close((uv_handle_t *)&g->listening, NULL);
    g->listens = false;
    while (g->clients != NULL)
        client_close(g->clients);
}
