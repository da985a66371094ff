/*
 * program_notify.c: `ready = notify`: the program tells us as it would tell systemd (sd_notify(3)): READY=1,
 * and STATUS=… for the tree.
 *
 * The socket is an abstract one with a name of the kernel's choice: our runtime directory is closed to programs that
 * run as another user. An abstract name is open to everybody instead, so each datagram must come from a process of our
 * group (SCM_CREDENTIALS); others are ignored.
 */
#include "workers/program/program_run.h"

#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROGRAM_NOTIFY_MAX 4096

struct program_notify {
    struct worker *w;
    int fd;
    char address[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 2];
    uv_poll_t poll;
};

static void program_notify_line(struct program_notify *n, const char *line)
{
    if (strcmp(line, "READY=1") == 0)
        worker_ready(n->w);
    else if (strncmp(line, "STATUS=", 7) == 0)
        worker_doing(n->w, "%s", log_quote_text(line + 7));
}

/*
 * Room for who has sent it, and for nothing else: the kernel puts that first, and lets descriptors for which there is
 * no room go (MSG_CTRUNC), so that those a stranger sends are never ours. Taking them to close them was rejected: one
 * datagram's 253 may be more than we can have, and a close may block.
 */
union program_notify_control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct ucred))];
};

/* Who has sent it; 0 when the kernel does not say. */
static pid_t program_notify_sender(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        struct ucred peer;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&peer, CMSG_DATA(c), sizeof peer);
        return peer.pid;
    }
    return 0;
}

static void program_notify_on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct program_notify *n = poll->data;
    char text[PROGRAM_NOTIFY_MAX + 1];
    union program_notify_control control;
    struct iovec part = {text, PROGRAM_NOTIFY_MAX};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ssize_t len = recvmsg(n->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len <= 0)
        return;
    pid_t sender = program_notify_sender(&message);
    if (sender <= 0 || getpgid(sender) != getpgrp())
        return;
    text[len] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        program_notify_line(n, line);
}

/* Binds to a name of the kernel's choice. */
static int program_notify_bind(struct program_notify *n, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof address;
    int on = 1;
    if (bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -errno;
    snprintf(n->address, sizeof n->address, "@%.*s",
             (int)(len - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
    return 0;
}

struct program_notify *program_notify_new(struct worker *w)
{
    struct program_notify *n = calloc(1, sizeof *n);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = n == NULL ? -ENOMEM : fd < 0 ? -errno : program_notify_bind(n, fd);
    if (rc == 0)
        rc = uv_poll_init(worker_loop(w), &n->poll, fd);
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "cannot make the notify socket");
    n->w = w;
    n->fd = fd;
    n->poll.data = n;
    uv_poll_start(&n->poll, UV_READABLE, program_notify_on_readable);
    return n;
}

const char *program_notify_address(const struct program_notify *n)
{
    return n != NULL ? n->address : NULL;
}

static void program_notify_on_closed(uv_handle_t *handle)
{
    struct program_notify *n = handle->data;
    close(n->fd);
    free(n);
}

void program_notify_free(struct program_notify *n)
{
    if (n != NULL)
        uv_close((uv_handle_t *)&n->poll, program_notify_on_closed);
}
