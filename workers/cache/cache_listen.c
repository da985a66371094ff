/* cache_listen.c: see cache_listen.h. */
#include "workers/cache/cache_listen.h"

#include "common/listen_address.h"
#include "common/log.h"
#include "common/words.h"
#include "workers/cache/cache_above.h"
#include "workers/cache/cache_node.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_ACCEPTS_MAX 256 /* in one turn */
#define LISTEN_KEEPALIVE_S 300 /* Redis' tcp-keepalive */

/* ---- accepting ---- */

static void listen_refuse(struct cache_node *n, int fd, bool tls)
{
    static const char text[] = "-" CACHE_ABOVE_REFUSED "\r\n";
    n->counts.rejected++;
    if (!tls && send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        errno = 0; /* it is gone: so much the better */
    close(fd);
}

/* What keeps a connection honest; without it it works too. */
static void listen_tune(int fd)
{
    int on = 1, idle = LISTEN_KEEPALIVE_S, interval = LISTEN_KEEPALIVE_S / 3, count = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static void listen_take(struct cache_listener *l, int fd)
{
    struct cache_node *n = l->node;
    if (n->client_count >= n->options.clients_max + cache_above_places(n)) {
        listen_refuse(n, fd, n->tls != NULL && l->path[0] == '\0');
        return;
    }
    if (l->path[0] == '\0')
        listen_tune(fd);
    cache_client_new(n, fd, l->path[0] != '\0' ? l->path : NULL);
}

/* What is short (files, memory) comes back, or not: those who wait stay in the kernel's queue meanwhile. */
static void listen_pause(struct cache_listener *l, int error)
{
    uv_poll_stop(&l->poll);
    l->paused = true;
    if (l->node->listen.error == 0)
        log_warn("listen-paused",
                 "reason=%s remedy=\"more open files (LimitNOFILE), fewer clients\"",
                 log_quote_text(strerror(error)));
    l->node->listen.error = -error;
}

static void listen_on_poll(uv_poll_t *poll, int status, int events)
{
    struct cache_listener *l = poll->data;
    (void)events;
    for (int i = 0; status == 0 && i < LISTEN_ACCEPTS_MAX; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            listen_take(l, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            listen_pause(l, errno);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

void cache_listen_tick(struct cache_node *n)
{
    if (n->listen.error == 0)
        return;
    n->listen.error = 0;
    for (size_t i = 0; i < n->listen.count; i++) {
        struct cache_listener *l = &n->listen.at[i];
        if (l->paused)
            uv_poll_start(&l->poll, UV_READABLE, listen_on_poll);
        l->paused = false;
    }
}

/* ---- listening ---- */

static int listen_open(const char *text, struct listen_address *address, char *why, size_t why_size)
{
    struct buffer who = BUFFER_EMPTY;
    int fd = listen_address_parse(text, address);
    if (fd == 0)
        fd = listen_address_open(address, &who);
    const char *others = who.len > 0 ? buffer_text(&who) : NULL;
    if (others != NULL)
        snprintf(why, why_size, "listen: %s: %s: choose a place that is root's or ours alone", text,
                 others);
    else if (fd < 0)
        snprintf(why, why_size, "cannot listen on %s: %s: %s", text, strerror(-fd),
                 listen_address_remedy(-fd));
    buffer_fini(&who);
    return fd;
}

static int listen_add(struct cache_node *n, const char *text, char *why, size_t why_size)
{
    struct listen_address address;
    struct cache_listener *l = &n->listen.at[n->listen.count];
    *l = (struct cache_listener){.node = n, .fd = listen_open(text, &address, why, why_size)};
    if (l->fd < 0)
        return l->fd;
    if (address.address.ss_family == AF_UNIX)
        snprintf(l->path, sizeof l->path, "%s", text + strlen("unix:"));
    int rc = uv_poll_init(n->loop, &l->poll, l->fd);
    if (rc != 0) {
        close(l->fd);
        snprintf(why, why_size,
                 "listen: %s cannot be watched: %s: memory, files or fs.epoll.max_user_watches are "
                 "short",
                 text, uv_strerror(rc));
        return rc;
    }
    n->listen.count++;
    l->poll.data = l;
    return uv_poll_start(&l->poll, UV_READABLE, listen_on_poll);
}

/* Parted as the check of the configuration parts them (config_check_cache.c). */
int cache_listen_start(struct cache_node *n, const char *addresses, char *why, size_t why_size)
{
    struct buffer words = BUFFER_EMPTY;
    const char *address = NULL;
    int rc = 0, count = words_split(slice_of(addresses), CACHE_LISTEN_MAX, &words);
    if (count < 0) {
        snprintf(why, why_size, "listen: '%s': %s: name at most %d addresses", addresses,
                 strerror(-count), CACHE_LISTEN_MAX);
        rc = count;
    }
    for (int i = 0; rc == 0 && i < count; i++) {
        address = words_next(&words, 0, address);
        rc = listen_add(n, address, why, why_size);
    }
    buffer_fini(&words);
    return rc;
}

static void listen_on_close(uv_handle_t *handle)
{
    struct cache_listener *l = handle->data;
    close(l->fd);
}

void cache_listen_stop(struct cache_node *n)
{
    for (size_t i = 0; i < n->listen.count; i++) {
        struct cache_listener *l = &n->listen.at[i];
        uv_close((uv_handle_t *)&l->poll, listen_on_close);
    }
    n->listen.count = 0;
}
