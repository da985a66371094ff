/* listen_address.c: see listen_address.h. */
#include "common/listen_address.h"

#include "common/text.h"
#include "common/trust.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024 /* who comes in a rush waits here, and is not turned away */

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

static const char *listen_path(const struct listen_address *a)
{
    return ((const struct sockaddr_un *)&a->address)->sun_path;
}

static in_port_t listen_port(const struct listen_address *a)
{
    return a->address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->address)->sin6_port
                                            : ((const struct sockaddr_in *)&a->address)->sin_port;
}

static bool listen_is_any(const struct listen_address *a)
{
    if (a->address.ss_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->address)->sin6_addr);
    return ((const struct sockaddr_in *)&a->address)->sin_addr.s_addr == htonl(INADDR_ANY);
}

bool listen_address_meets(const struct listen_address *a, const struct listen_address *b)
{
    bool path = a->address.ss_family == AF_UNIX;
    if (path || b->address.ss_family == AF_UNIX)
        return path && b->address.ss_family == AF_UNIX &&
               strcmp(listen_path(a), listen_path(b)) == 0;
    if (listen_port(a) != listen_port(b))
        return false;
    return listen_is_any(a) || listen_is_any(b) ||
           (a->len == b->len && memcmp(&a->address, &b->address, a->len) == 0);
}

/*
 * As runtime_dir's: whoever may change a directory above it could lead clients, or what we remove, somewhere else.
 * `there` is its name by the descriptor that the walk has arrived at, which nobody can lead elsewhere.
 */
static int listen_walk(const struct listen_address *a, struct trust_path *t,
                       struct listen_address *there, struct buffer *why)
{
    int rc = trust_walk(listen_path(a), TRUST_NO_OTHERS, t);
    if (rc == -EPERM || rc == -EMLINK)
        trust_say(t, rc, why);
    if (rc != 0)
        return rc;
    struct sockaddr_un *un = (struct sockaddr_un *)&there->address;
    *there = *a;
    int len =
        snprintf(un->sun_path, sizeof un->sun_path, "/proc/self/fd/%d/%.80s", t->dir, t->name);
    if (strlen(t->name) > 80) /* then by its own */
        *there = *a;
    else
        there->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len + 1);
    return 0;
}

int listen_address_place(const struct listen_address *a, struct buffer *why)
{
    struct listen_address there;
    struct trust_path t = {.dir = -1};
    int rc = a->address.ss_family == AF_UNIX ? listen_walk(a, &t, &there, why) : 0;
    trust_close(&t);
    return rc == -EPERM || rc == -EMLINK ? rc : 0;
}

/*
 * What a killed process has left behind; a socket that somebody answers on stays, and bind says so. So does all that is
 * no socket: connect(2) refuses a file of other people's data like a socket without a listener.
 */
static void listen_remove_stale(const struct listen_address *a)
{
    struct stat st;
    if (lstat(listen_path(a), &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&a->address, a->len) != 0 && errno == ECONNREFUSED)
        unlink(listen_path(a));
    close(fd);
}

static int listen_open(const struct listen_address *a, bool local)
{
    int on = 1;
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

int listen_address_open(const struct listen_address *a, struct buffer *why)
{
    struct listen_address there;
    struct trust_path t = {.dir = -1};
    if (a->address.ss_family != AF_UNIX)
        return listen_open(a, false);
    int rc = listen_walk(a, &t, &there, why);
    if (rc == 0)
        rc = listen_open(&there, true);
    trust_close(&t);
    return rc;
}

const char *listen_address_remedy(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "choose another address, or end what uses it";
    case EADDRNOTAVAIL:
        return "no interface of this machine has that address: choose one that it has";
    case ENOENT:
        return "make the directory that it is to stand in";
    case EACCES:
        return "choose one that platoon's user may take, as a port from 1024 on";
    case EPERM: /* listen_address_place's */
    case EMLINK:
        return "choose a place that is root's or platoon's alone";
    default:
        return "choose another address";
    }
}
