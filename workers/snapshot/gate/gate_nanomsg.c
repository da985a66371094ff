/*
 * gate_nanomsg.c: REP for requests, PUB for changes. See gate_private.h.
 *
 * As nanomsg asks for (FACTS.md 1): options before bind, NN_RCVFD polled for READABLE, the poll closed before the
 * socket, a folder that only our user may enter. Who is in there can still abort any process that uses nanomsg with 17
 * bytes: this one, who has nothing that is not had again a moment later.
 *
 * REP is one request after the other: the next is received when this one is answered.
 */
#include "workers/snapshot/gate/gate_private.h"
#include "workers/snapshot/gate/gate_request.h"
#include "workers/snapshot/snapshot_stacked.h"

#include "common/log.h"

#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NANOMSG_SCHEME    "ipc://"
#define NANOMSG_PATH_SIZE (sizeof NANOMSG_SCHEME - 1 + sizeof((struct sockaddr_un *)NULL)->sun_path)

static void nanomsg_close(int *sock)
{
    while (*sock >= 0 && nn_close(*sock) != 0 && nn_errno() == EINTR)
        continue;
    *sock = -1;
}

/* -1: nn_errno says why. */
static int nanomsg_bind(int protocol, const char *address)
{
    int most = (int)GATE_REQUEST_MAX, sock = nn_socket(AF_SP, protocol);
    if (sock < 0)
        return -1;
    mode_t before = umask(077);
    int rc = nn_setsockopt(sock, NN_SOL_SOCKET, NN_RCVMAXSIZE, &most, sizeof most);
    if (rc >= 0)
        rc = nn_bind(sock, address);
    int error = nn_errno();
    umask(before);
    if (rc < 0) {
        nanomsg_close(&sock);
        errno = error;
    }
    return sock;
}

/* ---- requests ---- */

static void nanomsg_on_request(uv_poll_t *poll, int status, int events);

static void nanomsg_receive(struct gate *g)
{
    uv_poll_start(&g->poll, UV_READABLE, nanomsg_on_request);
}

/* An answer that nobody takes any more is dropped. */
static void nanomsg_on_answer(void *ctx, struct buffer *answer)
{
    struct gate *g = ctx;
    int n;
    do
        n = nn_send(g->rep, answer->data, answer->len, NN_DONTWAIT);
    while (n < 0 && nn_errno() == EINTR);
    nanomsg_receive(g);
}

static void nanomsg_on_request(uv_poll_t *poll, int status, int events)
{
    struct gate *g = poll->data;
    struct buffer stream = BUFFER_EMPTY;
    char by[GATE_BY_SIZE];
    void *message = NULL;
    (void)status;
    (void)events;
    int n = nn_recv(g->rep, &message, NN_MSG, NN_DONTWAIT);
    if (n < 0)
        return;
    buffer_append(&stream, message, (size_t)n);
    nn_freemsg(message);
    if (!buffer_ok(&stream))
        worker_exit_for(g->w, ENOMEM, NULL, "a request");
    /* Nobody else comes into the folder; and root, who says nothing of itself. */
    snprintf(by, sizeof by, "uid %u", (unsigned)geteuid());
    uv_poll_stop(poll);
    gate_work_begin(g, &stream, by, &g->work, nanomsg_on_answer, g);
}

/* ---- changes ---- */

void gate_nanomsg_tell(struct gate *g, const struct gate_resource *r)
{
    struct buffer text = BUFFER_EMPTY;
    int n = -1;
    if (g->pub < 0)
        return;
    snapshot_stacked_write(slice_of(r->header), slice_of(r->commit), &text);
    if (buffer_ok(&text))
        do
            n = nn_send(g->pub, text.data, text.len, NN_DONTWAIT);
        while (n < 0 && nn_errno() == EINTR);
    if (n < 0)
        log_warn("gate-untold", "resource=%s cause=%s", r->name,
                 log_quote_text(nn_strerror(nn_errno())));
    buffer_fini(&text);
}

/* ---- life ---- */

static int nanomsg_fail(struct gate *g, const char *what, int error)
{
    if (contract_is_shortage(error))
        worker_exit_for(g->w, error, what, "nanomsg at %s", what);
    worker_trouble(g->w, "nanomsg at %s: %s", what, nn_strerror(error));
    return CONTRACT_EXIT_TEMPORARY;
}

/* RUNTIME_DIR/snapshot/NAME.WHAT, with nanomsg's scheme. False: too long for a unix socket. */
static bool nanomsg_address(const struct gate *g, const char *what, char address[NANOMSG_PATH_SIZE])
{
    int len = snprintf(address, NANOMSG_PATH_SIZE, NANOMSG_SCHEME "%s/snapshot/%s.%s",
                       worker_setting_text(g->w, "platoon.runtime_dir"), g->title, what);
    return len > 0 && (size_t)len < NANOMSG_PATH_SIZE;
}

static int nanomsg_folder(struct gate *g)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/snapshot", worker_setting_text(g->w, "platoon.runtime_dir"));
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return nanomsg_fail(g, path, errno);
    if (lstat(path, &st) != 0)
        return nanomsg_fail(g, path, errno);
    if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0)
        return 0;
    worker_trouble(g->w,
                   "%s: must be a folder of platoon's user alone (0700): whoever comes in there "
                   "can end this process: remove it",
                   path);
    return CONTRACT_EXIT_CONFIG;
}

static int nanomsg_poll(struct gate *g)
{
    int fd;
    size_t size = sizeof fd;
    int rc = nn_getsockopt(g->rep, NN_SOL_SOCKET, NN_RCVFD, &fd, &size) == 0 ? 0 : -nn_errno();
    if (rc == 0)
        rc = uv_poll_init(worker_loop(g->w), &g->poll, fd);
    if (rc != 0)
        return nanomsg_fail(g, "its requests", -rc);
    g->poll.data = g;
    g->polls = true;
    nanomsg_receive(g);
    return 0;
}

int gate_nanomsg_open(struct gate *g)
{
    char rep[NANOMSG_PATH_SIZE], pub[NANOMSG_PATH_SIZE];
    int code = nanomsg_folder(g);
    if (code != 0)
        return code;
    if (!nanomsg_address(g, "rep", rep) || !nanomsg_address(g, "pub", pub)) {
        worker_trouble(g->w,
                       "%s is too long for a unix socket (107 bytes): choose a shorter "
                       "runtime_dir, or a shorter name of the snapshot",
                       rep);
        return CONTRACT_EXIT_CONFIG;
    }
    g->rep = nanomsg_bind(NN_REP, rep);
    if (g->rep < 0)
        return nanomsg_fail(g, rep, errno);
    g->pub = nanomsg_bind(NN_PUB, pub);
    if (g->pub < 0)
        return nanomsg_fail(g, pub, errno);
    return nanomsg_poll(g);
}

void gate_nanomsg_close(struct gate *g)
{
    gate_work_forget(g->work);
    if (g->polls) {
        uv_poll_stop(&g->poll);
        uv_close((uv_handle_t *)&g->poll, NULL);
        g->polls = false;
    }
    nanomsg_close(&g->rep);
    nanomsg_close(&g->pub);
}
