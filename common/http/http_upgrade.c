/* http_upgrade.c: see http_upgrade.h. */
#include "common/http/http_upgrade.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_upgraded {
    struct http_upgraded *prev, *next;
    struct http_upgrades *all;
    struct http_upgrade_owner owner;
    struct MHD_UpgradeResponseHandle *handle; /* NULL: MHD has it again, or it is not MHD's: */
    int own;                                  /* that socket; -1: none */
    int events;                               /* that are watched */
    uv_poll_t poll;
    bool over; /* its owner hears no more */
};

static void upgraded_unlink(struct http_upgraded *u)
{
    if (u->prev != NULL)
        u->prev->next = u->next;
    else
        u->all->first = u->next;
    if (u->next != NULL)
        u->next->prev = u->prev;
}

static bool upgraded_has_begun(const struct http_upgraded *u)
{
    return u->handle != NULL || u->own >= 0;
}

/* MHD closes the socket, or we do, which the loop must have forgotten before. */
static void upgraded_give_back(struct http_upgraded *u)
{
    if (u->own >= 0)
        close(u->own);
    u->own = -1;
    if (u->handle == NULL)
        return;
    MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
    u->handle = NULL;
}

static void upgraded_on_closed(uv_handle_t *poll)
{
    struct http_upgraded *u = poll->data;
    bool of_mhd = u->handle != NULL;
    upgraded_give_back(u);
    if (of_mhd)
        u->all->run(u->all->ctx);
    upgraded_unlink(u);
    free(u);
}

static void upgraded_on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_upgraded *u = poll->data;
    (void)status; /* who reads meets it */
    (void)events;
    if (!u->over)
        u->owner.ready(u->owner.ctx);
}

struct http_upgraded *http_upgrade_new(struct http_upgrades *all,
                                       const struct http_upgrade_owner *owner)
{
    struct http_upgraded *u = calloc(1, sizeof *u);
    if (u == NULL) {
        owner->gone(owner->ctx);
        return NULL;
    }
    u->all = all;
    u->own = -1;
    u->owner = *owner;
    u->next = all->first;
    if (u->next != NULL)
        u->next->prev = u;
    all->first = u;
    return u;
}

void http_upgrade_drop(struct http_upgraded *u)
{
    u->owner.gone(u->owner.ctx);
    upgraded_unlink(u);
    free(u);
}

void http_upgrade_begin(struct http_upgraded *u, int fd, struct slice extra,
                        struct MHD_UpgradeResponseHandle *handle)
{
    int flags = fcntl(fd, F_GETFL);
    if (u->all->ending || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        uv_poll_init(u->all->loop, &u->poll, fd) != 0) {
        MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        http_upgrade_drop(u);
        return;
    }
    u->handle = handle;
    u->poll.data = u;
    u->owner.begin(u->owner.ctx, u, fd, extra);
}

/* The connection's own number is kept for MHD: a socket that is connected to nobody stands there from now on. */
static int upgraded_exchange(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int nowhere = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int own = -1;
    if (info != NULL && nowhere >= 0)
        own = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (own >= 0 && dup3(nowhere, info->connect_fd, O_CLOEXEC) < 0) {
        close(own);
        own = -1;
    }
    if (nowhere >= 0)
        close(nowhere);
    return own;
}

void http_upgrade_take(struct http_upgraded *u, struct MHD_Connection *connection)
{
    int own = u->all->ending ? -1 : upgraded_exchange(connection);
    if (own < 0 || uv_poll_init(u->all->loop, &u->poll, own) != 0) {
        if (own >= 0)
            close(own);
        http_upgrade_drop(u);
        return;
    }
    u->own = own;
    u->poll.data = u;
    u->owner.begin(u->owner.ctx, u, own, slice_make("", 0));
}

/* The loop has a system call for each change, and most who are watched are told something again and again. */
void http_upgraded_watch(struct http_upgraded *u, bool read, bool write)
{
    int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    if (u->over || u->events == events)
        return;
    u->events = events;
    if (events == 0)
        uv_poll_stop(&u->poll);
    else
        uv_poll_start(&u->poll, events, upgraded_on_poll);
}

void http_upgraded_end(struct http_upgraded *u)
{
    u->over = true;
    if (!uv_is_closing((uv_handle_t *)&u->poll))
        uv_close((uv_handle_t *)&u->poll, upgraded_on_closed);
}

void http_upgrades_end(struct http_upgrades *all)
{
    struct http_upgraded *next;
    all->ending = true;
    for (struct http_upgraded *u = all->first; u != NULL; u = next) {
        next = u->next;
        if (!upgraded_has_begun(u))
            continue; /* its request's end drops it */
        if (!u->over)
            u->owner.gone(u->owner.ctx);
        http_upgraded_end(u);
        upgraded_give_back(u);
    }
}
