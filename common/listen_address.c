/* listen_address.c: see listen_address.h. */
#include "common/listen_address.h"

#include "common/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 64

static int listen_parse_unix(const char *path, struct listen_address *a)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->address;
    if (path[0] != '/')
        return -EINVAL;
    if (strlen(path) >= sizeof un->sun_path)
        return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    a->loopback = true;
    return 0;
}

static int listen_parse_v6(const char *host, in_port_t port, struct listen_address *a)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a->address;
    in->sin6_family = AF_INET6;
    in->sin6_port = port;
    a->len = sizeof *in;
    if (inet_pton(AF_INET6, host, &in->sin6_addr) != 1)
        return -EINVAL;
    a->loopback = IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    return 0;
}

static int listen_parse_v4(const char *host, in_port_t port, struct listen_address *a)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&a->address;
    in->sin_family = AF_INET;
    in->sin_port = port;
    a->len = sizeof *in;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return -EINVAL;
    a->loopback = (ntohl(in->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    return 0;
}

int listen_address_parse(const char *text, struct listen_address *a)
{
    char host[INET6_ADDRSTRLEN];
    *a = (struct listen_address){.len = 0};
    if (strncmp(text, "unix:", 5) == 0)
        return listen_parse_unix(text + 5, a);
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || text_parse_u64(slice_of(colon + 1), &port) != 0 || port == 0 ||
        port > 65535)
        return -EINVAL;
    bool v6 = text[0] == '[' && colon > text && colon[-1] == ']';
    struct slice name = slice_make(text + v6, (size_t)(colon - text) - (v6 ? 2 : 0));
    if (!slice_copy(name, host, sizeof host))
        return -EINVAL;
    in_port_t number = htons((uint16_t)port);
    return v6 ? listen_parse_v6(host, number, a) : listen_parse_v4(host, number, a);
}

/* What a killed process has left behind; a socket that somebody answers on stays, and bind says so. */
static void listen_remove_stale(const struct listen_address *a)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)un, a->len) != 0 && errno == ECONNREFUSED)
        unlink(un->sun_path);
    close(fd);
}

int listen_address_open(const struct listen_address *a)
{
    int on = 1;
    bool local = a->address.ss_family == AF_UNIX;
    if (local)
        listen_remove_stale(a);
    int fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    mode_t was = umask(local ? 0117 : 0077);
    bool good = (local || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0) &&
                bind(fd, (const struct sockaddr *)&a->address, a->len) == 0 &&
                listen(fd, LISTEN_BACKLOG) == 0;
    int rc = -errno;
    umask(was);
    if (good)
        return fd;
    close(fd);
    return rc;
}
