/*
 * messages_peers.c: one end of a bare pipe, to compare the runtime's with: nanomsg, ZeroMQ, a unix stream socket.
 *
 *     messages_peers nanomsg|zeromq|unix source|sink|ping|pong DIR SIZE COUNT
 *
 * source and sink: one way, one call a message. ping and pong: there and back, a PUSH and PULL pair each way. The sink
 * and the ping print the nanoseconds from the first message to the last. The receiving end must be started first where
 * it binds (DIR/there, DIR/back).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <zmq.h>

/* One direction. */
struct pipe_end {
    int fd; /* nanomsg's socket, or the unix socket */
    void *zmq;
};

struct pipe_kind {
    const char *name;
    void (*receive_on)(struct pipe_end *e, const char *path);
    void (*send_to)(struct pipe_end *e, const char *path);
    void (*send)(struct pipe_end *e, const char *data, size_t size);
    void (*receive)(struct pipe_end *e, char *data, size_t size);
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "messages_peers: %s: %s\n", what, why);
    exit(1);
}

static void check(bool good, const char *what)
{
    if (!good)
        die(what, strerror(errno));
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- nanomsg, with the buffers of common/mailbox/transport.c ---- */

static void nano_open(struct pipe_end *e, int protocol)
{
    int bytes = 128 * 1024;
    e->fd = nn_socket(AF_SP, protocol);
    check(e->fd >= 0 && nn_setsockopt(e->fd, NN_SOL_SOCKET, NN_SNDBUF, &bytes, sizeof bytes) == 0 &&
              nn_setsockopt(e->fd, NN_SOL_SOCKET, NN_RCVBUF, &bytes, sizeof bytes) == 0,
          "nn_socket");
}

static void nano_address(char *out, size_t size, const char *path)
{
    snprintf(out, size, "ipc://%s", path);
}

static void nano_receive_on(struct pipe_end *e, const char *path)
{
    char address[256];
    nano_address(address, sizeof address, path);
    nano_open(e, NN_PULL);
    check(nn_bind(e->fd, address) >= 0, "nn_bind");
}

static void nano_send_to(struct pipe_end *e, const char *path)
{
    char address[256];
    nano_address(address, sizeof address, path);
    nano_open(e, NN_PUSH);
    check(nn_connect(e->fd, address) >= 0, "nn_connect");
}

static void nano_send(struct pipe_end *e, const char *data, size_t size)
{
    check(nn_send(e->fd, data, size, 0) == (int)size, "nn_send");
}

static void nano_receive(struct pipe_end *e, char *data, size_t size)
{
    check(nn_recv(e->fd, data, size, 0) == (int)size, "nn_recv");
}

/* ---- ZeroMQ ---- */

static void *zmq_context(void)
{
    static void *context;
    if (context == NULL)
        context = zmq_ctx_new();
    return context;
}

static void zero_receive_on(struct pipe_end *e, const char *path)
{
    char address[256];
    nano_address(address, sizeof address, path);
    e->zmq = zmq_socket(zmq_context(), ZMQ_PULL);
    check(e->zmq != NULL && zmq_bind(e->zmq, address) == 0, "zmq_bind");
}

static void zero_send_to(struct pipe_end *e, const char *path)
{
    char address[256];
    nano_address(address, sizeof address, path);
    e->zmq = zmq_socket(zmq_context(), ZMQ_PUSH);
    check(e->zmq != NULL && zmq_connect(e->zmq, address) == 0, "zmq_connect");
}

static void zero_send(struct pipe_end *e, const char *data, size_t size)
{
    check(zmq_send(e->zmq, data, size, 0) == (int)size, "zmq_send");
}

static void zero_receive(struct pipe_end *e, char *data, size_t size)
{
    check(zmq_recv(e->zmq, data, size, 0) == (int)size, "zmq_recv");
}

/* ---- a unix stream socket; every message has the same size, so it needs no frame ---- */

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    return a;
}

static void unix_receive_on(struct pipe_end *e, const char *path)
{
    struct sockaddr_un a = unix_address(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0 &&
              listen(listener, 1) == 0,
          "bind");
    e->fd = -listener; /* accepted with the first message */
}

static void unix_send_to(struct pipe_end *e, const char *path)
{
    struct sockaddr_un a = unix_address(path);
    e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (connect(e->fd, (struct sockaddr *)&a, sizeof a) != 0)
        check(errno == ENOENT || errno == ECONNREFUSED, "connect");
}

static void unix_send(struct pipe_end *e, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(e->fd, data, size);
        check(n > 0, "write");
        data += n;
        size -= (size_t)n;
    }
}

static void unix_receive(struct pipe_end *e, char *data, size_t size)
{
    if (e->fd < 0)
        e->fd = accept4(-e->fd, NULL, NULL, SOCK_CLOEXEC);
    while (size > 0) {
        ssize_t n = read(e->fd, data, size);
        check(n > 0, "read");
        data += n;
        size -= (size_t)n;
    }
}

/* ---- roles ---- */

static const struct pipe_kind kinds[] = {
    {"nanomsg", nano_receive_on, nano_send_to, nano_send, nano_receive},
    {"zeromq", zero_receive_on, zero_send_to, zero_send, zero_receive},
    {"unix", unix_receive_on, unix_send_to, unix_send, unix_receive},
};

static void run(const struct pipe_kind *k, const char *role, const char *dir, size_t size,
                uint64_t count)
{
    struct pipe_end there = {0}, back = {0};
    char there_path[200], back_path[200];
    char *data = calloc(1, size + 1);
    check(data != NULL, "memory");
    snprintf(there_path, sizeof there_path, "%s/there", dir);
    snprintf(back_path, sizeof back_path, "%s/back", dir);
    bool sends = strcmp(role, "source") == 0 || strcmp(role, "ping") == 0;
    bool both = strcmp(role, "ping") == 0 || strcmp(role, "pong") == 0;
    if (sends) {
        if (both)
            k->receive_on(&back, back_path);
        k->send_to(&there, there_path);
    } else {
        k->receive_on(&there, there_path);
        if (both)
            k->send_to(&back, back_path);
    }
    uint64_t began = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (sends)
            k->send(&there, data, size);
        else
            k->receive(&there, data, size);
        if (both && sends)
            k->receive(&back, data, size);
        else if (both)
            k->send(&back, data, size);
        if (i == 0)
            began = now_ns();
    }
    if (strcmp(role, "sink") == 0 || strcmp(role, "ping") == 0) {
        printf("%" PRIu64 "\n", now_ns() - began);
        fflush(stdout);
    }
    free(data);
    pause(); /* what is still in a library's queue leaves; the driver ends us */
}

int main(int argc, char **argv)
{
    if (argc != 6)
        die("usage", "nanomsg|zeromq|unix source|sink|ping|pong DIR SIZE COUNT");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            run(&kinds[i], argv[2], argv[3], strtoul(argv[4], NULL, 10),
                strtoull(argv[5], NULL, 10));
    die(argv[1], "no such pipe");
}
