/*
 * transport.c: mailboxes over nanomsg PUSH/PULL. See transport.h.
 *
 * Runs in every worker that has a mailbox; the only file that names nanomsg. The rules below were measured (FACTS.md
 * 1): options before bind and connect, NN_RCVFD and NN_SNDFD polled for READABLE, uv_poll stopped before nn_close,
 * paths checked, because nanomsg aborts where others return an error.
 *
 * A peer's outgoing bytes are one buffer of frames, each behind its length: `head` is the first byte not yet
 * handed to the pipe, `open` the frame that still grows. So sending allocates nothing once the buffer has found
 * its size. A list of malloc'd frames was rejected: it costs an allocation per turn and peer, and a bound by
 * frames says nothing about memory.
 */
#include "common/mailbox/transport.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>

#define TRANSPORT_SCHEME "ipc://"
#define TRANSPORT_ADDRESS_MAX                                                                      \
    (sizeof TRANSPORT_SCHEME - 1 + sizeof(((struct sockaddr_un *)0)->sun_path))

/* nanomsg's own pause is 100 ms; its listen backlog is 10, so a start of many workers does make connects fail. */
#define TRANSPORT_RECONNECT_MS 10
/* What FACTS.md's rates were measured with. It bounds what can vanish with a receiver. */
#define TRANSPORT_SOCKET_BYTES (128 * 1024)
/* One callback takes at most so much, so that timers (the beat) and the link get their turn. */
#define TRANSPORT_DRAIN_FRAMES 64
#define TRANSPORT_DRAIN_BYTES  (4u * 1024 * 1024)
/* Empty frames that follow the last full one: two, because what swallowed that may swallow the next too. */
#define TRANSPORT_PROBES 2
/* A peer's buffer that has grown above this is given back when it runs empty. */
#define TRANSPORT_KEEP_BYTES (1024u * 1024)

struct transport {
    uv_loop_t *loop;
    struct transport_options options;
    char address[TRANSPORT_ADDRESS_MAX];
    int sock;
    uv_poll_t poll;
    uv_prepare_t prepare;
    int handles; /* not yet closed by the loop */
    bool closing;
    size_t queued;
    size_t deepest; /* frames taken in one turn, since somebody asked */
    struct transport_peer *peers;
    struct transport_peer *dirty; /* peers that got a message in this turn */
};

struct transport_peer {
    struct transport *t;
    struct transport_peer *prev, *next;
    struct transport_peer *dirty_next;
    bool is_dirty;
    int sock;
    uv_poll_t poll;
    bool waiting; /* the pipe is full, or nobody is connected: the poll tells when to go on */
    struct buffer out;
    uint64_t number; /* of the next frame */
    uint64_t proof;  /* for the envelope */
    int probes;      /* empty frames still to follow the last full one */
    size_t head;
    size_t open; /* where the open frame starts; out.len when there is none */
};

/* A frame in `out` is its length in the machine's own order, then that many bytes. */
typedef uint32_t transport_length;

/* ---- nanomsg, with its errors as ours ---- */

static int transport_close_socket(int sock)
{
    int rc;
    do
        rc = nn_close(sock);
    while (rc != 0 && nn_errno() == EINTR);
    return rc;
}

static int transport_set(int sock, int option, int value)
{
    return nn_setsockopt(sock, NN_SOL_SOCKET, option, &value, sizeof value) == 0 ? 0 : -nn_errno();
}

/* A socket with every option set: they are read at bind and connect, later is too late. */
static int transport_open_socket(int protocol, size_t frame_max)
{
    int sock = nn_socket(AF_SP, protocol);
    if (sock < 0)
        return -nn_errno();
    int rc = transport_set(sock, NN_SNDBUF, TRANSPORT_SOCKET_BYTES);
    if (rc == 0)
        rc = transport_set(sock, NN_RCVBUF, TRANSPORT_SOCKET_BYTES);
    if (rc == 0)
        rc = transport_set(sock, NN_RCVMAXSIZE, (int)frame_max);
    if (rc == 0)
        rc = transport_set(sock, NN_RECONNECT_IVL, TRANSPORT_RECONNECT_MS);
    if (rc == 0)
        return sock;
    transport_close_socket(sock);
    return rc;
}

static int transport_poll_init(uv_loop_t *loop, uv_poll_t *poll, int sock, int option)
{
    int fd = -1;
    size_t size = sizeof fd;
    if (nn_getsockopt(sock, NN_SOL_SOCKET, option, &fd, &size) != 0)
        return -nn_errno();
    return uv_poll_init(loop, poll, fd);
}

/* The socket file is for us only, whatever the process' umask is; the directory's 0700 is the other lock. */
static int transport_bind(int sock, const char *address)
{
    mode_t before = umask(077);
    int rc = nn_bind(sock, address);
    int error = rc < 0 ? nn_errno() : 0;
    umask(before);
    return -error;
}

/* ---- receiving ---- */

static void transport_on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct transport *t = poll->data;
    size_t bytes = 0;
    for (int i = 0; i < TRANSPORT_DRAIN_FRAMES && bytes < TRANSPORT_DRAIN_BYTES && !t->closing;
         i++) {
        void *message = NULL;
        int n = nn_recv(t->sock, &message, NN_MSG, NN_DONTWAIT);
        if (n < 0 && nn_errno() == EINTR)
            continue;
        if (n < 0)
            return;
        bytes += (size_t)n;
        t->deepest = (size_t)i + 1 > t->deepest ? (size_t)i + 1 : t->deepest;
        t->options.on_frame(slice_make(message, (size_t)n), t->options.ctx);
        nn_freemsg(message);
    }
}

/* ---- sending ---- */

size_t transport_peer_queued(const struct transport_peer *p)
{
    return p->out.len - p->head;
}

static bool transport_peer_has_open(const struct transport_peer *p)
{
    return p->open < p->out.len;
}

static size_t transport_open_len(const struct transport_peer *p)
{
    return p->out.len - p->open - sizeof(transport_length);
}

/* Ends the open frame: from here on it only waits for its turn. */
static void transport_seal(struct transport_peer *p)
{
    if (!transport_peer_has_open(p))
        return;
    transport_length len = (transport_length)transport_open_len(p);
    memcpy(p->out.data + p->open, &len, sizeof len);
    p->open = p->out.len;
}

static void transport_begin(struct transport_peer *p)
{
    const struct transport_options *o = &p->t->options;
    transport_length unknown = 0;
    p->open = p->out.len;
    buffer_append(&p->out, &unknown, sizeof unknown);
    o->put_envelope(&p->out, p->number++, p->proof, o->ctx);
    p->t->queued += p->out.len - p->open;
}

static void transport_on_writable(uv_poll_t *poll, int status, int events);

/* Hands one sealed frame to the pipe. False when the pipe takes no more now. */
static bool transport_push(struct transport_peer *p)
{
    transport_length len;
    memcpy(&len, p->out.data + p->head, sizeof len);
    const char *frame = p->out.data + p->head + sizeof len;
    int n;
    do
        n = nn_send(p->sock, frame, len, NN_DONTWAIT);
    while (n < 0 && nn_errno() == EINTR);
    if (n < 0 && nn_errno() == EAGAIN) {
        /* NN_SNDFD is readable for as long as sending is possible: polled only while it is not. */
        p->waiting = uv_poll_start(&p->poll, UV_READABLE, transport_on_writable) == 0;
        return false;
    }
    /* Any other error is final for this frame; like every loss on the way it shows in the ledger, not here. */
    p->head += sizeof len + len;
    return true;
}

/* Moves the bytes that still wait to the front when at least as many in front of them are spent. */
static void transport_compact(struct transport_peer *p)
{
    if (p->head == p->out.len)
        buffer_reset(&p->out, TRANSPORT_KEEP_BYTES);
    else if (p->head >= transport_peer_queued(p))
        buffer_consume(&p->out, p->head);
    else
        return;
    p->open -= p->head;
    p->head = 0;
}

void transport_flush(struct transport_peer *p)
{
    /* While the pipe is full the open frame goes on growing: fewer, larger frames are what a slow receiver needs. */
    if (p->waiting)
        return;
    transport_seal(p);
    size_t before = transport_peer_queued(p);
    while (p->head < p->out.len && transport_push(p))
        ;
    p->t->queued -= before - transport_peer_queued(p);
    transport_compact(p);
}

static void transport_on_writable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct transport_peer *p = poll->data;
    uv_poll_stop(poll);
    p->waiting = false;
    transport_flush(p);
}

/*
 * Runs before the loop goes to sleep: whatever was sent since it woke up, from any kind of callback, leaves now. A
 * uv_check would miss what timers send, a timer would add its delay to every message.
 */
static void transport_on_prepare(uv_prepare_t *prepare)
{
    struct transport *t = prepare->data;
    while (t->dirty != NULL) {
        struct transport_peer *p = t->dirty;
        t->dirty = p->dirty_next;
        p->is_dirty = false;
        transport_flush(p);
    }
}

static void transport_mark_dirty(struct transport_peer *p)
{
    if (p->is_dirty)
        return;
    p->is_dirty = true;
    p->dirty_next = p->t->dirty;
    p->t->dirty = p;
}

int transport_send(struct transport_peer *p, struct slice message)
{
    struct transport *t = p->t;
    const struct transport_options *o = &t->options;
    if (message.len > o->frame_max || message.len + o->envelope_max > o->frame_max)
        return -EMSGSIZE;
    size_t head_len = sizeof(transport_length) + o->envelope_max;
    if (transport_peer_queued(p) + head_len + message.len > o->queue_max)
        return -ENOBUFS;
    if (buffer_reserve(&p->out, head_len + message.len) == NULL) {
        p->out.failed = false; /* nothing was written: what waits is whole and still leaves */
        return -ENOMEM;
    }
    if (transport_peer_has_open(p) && transport_open_len(p) + message.len > o->frame_max)
        transport_seal(p);
    if (!transport_peer_has_open(p))
        transport_begin(p);
    buffer_append_slice(&p->out, message);
    t->queued += message.len;
    p->probes = TRANSPORT_PROBES;
    transport_mark_dirty(p);
    if (transport_open_len(p) >= o->coalesce) {
        transport_seal(p); /* also when the pipe is full and the flush does nothing */
        transport_flush(p);
    }
    return 0;
}

void transport_tick(struct transport *t)
{
    for (struct transport_peer *p = t->peers; p != NULL; p = p->next) {
        if (p->probes == 0 || transport_peer_queued(p) > 0)
            continue; /* nothing to follow, or it has not left yet */
        if (buffer_reserve(&p->out, sizeof(transport_length) + t->options.envelope_max) == NULL) {
            p->out.failed = false;
            continue;
        }
        p->probes--;
        transport_begin(p);
        transport_mark_dirty(p);
    }
}

size_t transport_depth(struct transport *t)
{
    size_t deepest = t->deepest;
    t->deepest = 0;
    return deepest;
}

size_t transport_queued(const struct transport *t)
{
    return t->queued;
}

/* ---- peers ---- */

/* nanomsg aborts on a path of 108 bytes and takes a relative one as relative to the current directory. */
static bool transport_address_ok(const char *address)
{
    return strncmp(address, TRANSPORT_SCHEME "/", sizeof TRANSPORT_SCHEME) == 0 &&
           strlen(address) < TRANSPORT_ADDRESS_MAX;
}

static int transport_connect(struct transport *t, struct transport_peer *p, const char *address)
{
    p->sock = transport_open_socket(NN_PUSH, t->options.frame_max);
    if (p->sock < 0)
        return p->sock;
    int rc = nn_connect(p->sock, address) < 0
                 ? -nn_errno()
                 : transport_poll_init(t->loop, &p->poll, p->sock, NN_SNDFD);
    if (rc != 0)
        transport_close_socket(p->sock);
    return rc;
}

struct transport_peer *transport_peer_new(struct transport *t, const char *address, uint64_t proof)
{
    struct transport_peer *p = NULL;
    int rc = -EINVAL;
    if (transport_address_ok(address)) {
        p = calloc(1, sizeof *p);
        rc = p != NULL ? transport_connect(t, p, address) : -ENOMEM;
    }
    if (rc != 0) {
        free(p);
        errno = -rc;
        return NULL;
    }
    p->t = t;
    p->proof = proof;
    p->poll.data = p;
    p->next = t->peers;
    if (t->peers != NULL)
        t->peers->prev = p;
    t->peers = p;
    return p;
}

static void transport_on_peer_closed(uv_handle_t *handle)
{
    struct transport_peer *p = handle->data;
    buffer_fini(&p->out);
    free(p);
}

static void transport_unlink_dirty(struct transport_peer *p)
{
    struct transport_peer **at = &p->t->dirty;
    while (*at != NULL && *at != p)
        at = &(*at)->dirty_next;
    if (*at == p)
        *at = p->dirty_next;
}

void transport_peer_free(struct transport_peer *p)
{
    if (p == NULL)
        return;
    transport_unlink_dirty(p);
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        p->t->peers = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    p->t->queued -= transport_peer_queued(p);
    uv_poll_stop(&p->poll);
    uv_close((uv_handle_t *)&p->poll, transport_on_peer_closed);
    transport_close_socket(p->sock);
}

/* ---- the mailbox ---- */

static int transport_address_make(const struct transport_options *o,
                                  char address[TRANSPORT_ADDRESS_MAX])
{
    int n = snprintf(address, TRANSPORT_ADDRESS_MAX, TRANSPORT_SCHEME "%s/%s.%" PRIu64, o->dir,
                     o->id, o->generation);
    if (n < 0 || (size_t)n >= TRANSPORT_ADDRESS_MAX)
        return -ENAMETOOLONG;
    return transport_address_ok(address) ? 0 : -EINVAL;
}

static int transport_start(struct transport *t)
{
    t->sock = transport_open_socket(NN_PULL, t->options.frame_max);
    if (t->sock < 0)
        return t->sock;
    int rc = transport_bind(t->sock, t->address);
    if (rc == 0)
        rc = transport_poll_init(t->loop, &t->poll, t->sock, NN_RCVFD);
    if (rc != 0) {
        transport_close_socket(t->sock);
        return rc;
    }
    t->poll.data = t;
    uv_prepare_init(t->loop, &t->prepare);
    t->prepare.data = t;
    t->handles = 2;
    rc = uv_poll_start(&t->poll, UV_READABLE, transport_on_readable);
    if (rc == 0)
        rc = uv_prepare_start(&t->prepare, transport_on_prepare);
    /* It serves the loop's other handles; alone it is no reason to go on. */
    uv_unref((uv_handle_t *)&t->prepare);
    if (rc != 0)
        transport_free(t);
    return rc;
}

int transport_new(uv_loop_t *loop, const struct transport_options *options, struct transport **out)
{
    struct transport *t = calloc(1, sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    t->loop = loop;
    t->options = *options;
    int rc = transport_address_make(options, t->address);
    /* Asked first, because nanomsg leaks what it has begun when the directory is not there. */
    if (rc == 0 && access(options->dir, W_OK | X_OK) != 0)
        rc = -errno;
    if (rc == 0)
        rc = transport_start(t);
    if (rc != 0 && t->handles > 0)
        return rc; /* transport_free has it; the loop frees it */
    if (rc != 0) {
        free(t);
        return rc;
    }
    *out = t;
    return 0;
}

const char *transport_address(const struct transport *t)
{
    return t->address;
}

static void transport_on_closed(uv_handle_t *handle)
{
    struct transport *t = handle->data;
    if (--t->handles > 0)
        return;
    free(t);
}

void transport_free(struct transport *t)
{
    if (t == NULL || t->closing)
        return;
    t->closing = true;
    while (t->peers != NULL)
        transport_peer_free(t->peers);
    uv_poll_stop(&t->poll);
    uv_prepare_stop(&t->prepare);
    uv_close((uv_handle_t *)&t->poll, transport_on_closed);
    uv_close((uv_handle_t *)&t->prepare, transport_on_closed);
    /* Unlinks the socket file. A peer that writes from now on finds nobody, and waits for our successor's address. */
    transport_close_socket(t->sock);
}
