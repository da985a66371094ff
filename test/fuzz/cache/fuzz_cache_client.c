/*
 * fuzz_cache_client.c: what a client sends to a cache node (common/resp, cache_client.h, command/): RESP, inline
 * commands, garbage, in pieces of any length; without a store, or with one that never answers. Whatever it is, the
 * bytes that come back begin a reply, and a second client has its answer afterwards.
 *
 * The first byte of an input chooses the store; then each piece has its length, in a byte.
 */
#include "test/fuzz/cache/fuzz_node.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PING "*1\r\n$4\r\nPING\r\n"
#define PONG "+PONG\r\n"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int connect_to(struct cache_node *n)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    cache_client_new(n, pair[1], "/run/fuzz.sock");
    return pair[0];
}

/* All that has come, of which `to` takes the beginning; how much that is. */
static size_t came(struct cache_node *n, int fd, char *to, size_t size)
{
    char rest[65536];
    size_t len = 0;
    uv_run(n->loop, UV_RUN_NOWAIT);
    for (;;) {
        ssize_t got =
            len < size ? recv(fd, to + len, size - len, 0) : recv(fd, rest, sizeof rest, 0);
        if (got <= 0)
            return len;
        len += len < size ? (size_t)got : 0;
        uv_run(n->loop, UV_RUN_NOWAIT);
    }
}

static void pieces(struct cache_node *n, int fd, const unsigned char *data, size_t size)
{
    char first[1] = "";
    for (size_t at = 0; at + 1 < size;) {
        size_t len = data[at++];
        len = len < size - at ? len : size - at;
        send(fd, data + at, len, MSG_NOSIGNAL); /* it may have been dropped */
        at += len;
        came(n, fd, first, first[0] == '\0');
    }
    if (first[0] != '\0' && strchr("+-:$*_%~#,(=>|", first[0]) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct cache_node n;
    char pong[sizeof PONG] = "";
    node_begin(&n, node_loop(), size > 0 && data[0] % 2 == 1);
    int hostile = connect_to(&n);
    if (size > 0)
        pieces(&n, hostile, data + 1, size - 1);
    int other = connect_to(&n);
    if (send(other, PING, sizeof PING - 1, MSG_NOSIGNAL) != sizeof PING - 1 ||
        came(&n, other, pong, sizeof pong - 1) != sizeof PONG - 1 || strcmp(pong, PONG) != 0)
        abort();
    close(hostile);
    close(other);
    uv_run(n.loop, UV_RUN_NOWAIT);
    node_end(&n);
    return 0;
}
