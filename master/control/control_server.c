/*
 * control_server.c: the control socket: clients, frames, deadlines. See control.h and proto/control.h.
 *
 * A client can only hurt itself: garbage, an oversize frame, a queue it does not read or silence ends its connection.
 */
#include "master/control/control_private.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_TICK_MS 50 /* how late a deadline may be noticed */

/* Silent for longer, a client gives its place to another when all are taken. */
#define CONTROL_YIELD_MS 1000

/* Keeps clock plus deadline from running over; nobody waits longer for an answer. */
#define CONTROL_DEADLINE_MAX_MS (365ull * 24 * 3600 * 1000)

uint64_t control_idle_ms = 60000;

static struct {
    struct master *master;
    uv_pipe_t listener;
    uv_timer_t timer;
    struct control_client *clients;
    size_t client_count;
    struct supervisor_watch watch;
    bool running;
    bool stalled; /* memory was short for a connection that waits to be accepted */
} control;

static void control_on_connection(uv_stream_t *listener, int status);

/* ---- waiting requests ---- */

static void control_each_pending(void (*fn)(struct control_pending *p))
{
    for (struct control_client *c = control.clients; c != NULL; c = c->next) {
        struct control_pending *next;
        for (struct control_pending *p = c->pending; p != NULL; p = next) {
            next = p->next;
            fn(p);
        }
    }
}

static void control_look_pending(struct control_pending *p)
{
    if (p->ops->look != NULL)
        p->ops->look(p);
}

static void control_on_change(void *ctx)
{
    (void)ctx;
    control_each_pending(control_look_pending);
}

static const struct node *control_gone;

static void control_forget_pending(struct control_pending *p)
{
    if (p->ops->gone != NULL && p->node == control_gone)
        p->ops->gone(p);
}

void control_forget(struct node *n)
{
    control_gone = n;
    control_each_pending(control_forget_pending);
}

static void control_look_news(struct control_pending *p)
{
    if (p->ops->look_news != NULL)
        p->ops->look_news(p);
}

static void control_look_late(struct control_pending *p)
{
    if (p->ops->late != NULL && p->deadline_ms <= clock_mono_ms())
        p->ops->late(p);
}

/* Lets the last answer get out first, but waits for a client that does not read no longer than for an idle one. */
static void control_close_answered(struct control_client *client)
{
    client->closing_after_write = true;
    if (stream_queued(&client->stream) == 0)
        stream_close(&client->stream);
}

static void control_on_timer(uv_timer_t *timer)
{
    control_each_pending(control_look_news);
    control_each_pending(control_look_late);
    uint64_t now = clock_mono_ms();
    for (struct control_client *c = control.clients; c != NULL; c = c->next) {
        if (c->closing_after_write)
            control_close_answered(c);
        if (c->pending == NULL && now - c->heard_ms > control_idle_ms)
            stream_close(&c->stream);
    }
    if (control.stalled)
        control_on_connection((uv_stream_t *)&control.listener, 0);
    if (control.clients == NULL && !control.stalled)
        uv_timer_stop(timer); /* an idle master wakes for nobody */
}

/* ---- requests ---- */

static void control_refuse_version(struct control_client *client, uint64_t id, uint64_t version)
{
    control_answer_text(
        client, id, CONTROL_ERROR,
        "the master speaks version %d of the control protocol, this client version %" PRIu64
        ": install platoon and platoonctl together",
        CONTROL_VERSION, version);
    control_close_answered(client);
}

/* -EINVAL: they are no array of bytes. -E2BIG: too many. -ENOMEM. On 0 the caller frees args->list. */
static int control_read_args(struct slice packed, struct control_args *args)
{
    struct unpack u = unpack_start(packed);
    uint32_t count = unpack_array(&u);
    if (!unpack_ok(&u))
        return -EINVAL;
    if (count > CONTROL_ARGS_MAX)
        return -E2BIG;
    struct slice *list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        list[i] = unpack_bytes(&u);
    if (!unpack_end(&u)) {
        free(list);
        return -EINVAL;
    }
    *args = (struct control_args){.list = list, .count = count};
    return 0;
}

/* The version of a message that may be laid out otherwise in all its other fields: [type, version, ...]. */
static uint64_t control_peek_version(struct slice frame)
{
    struct unpack u = unpack_start(frame);
    bool request = unpack_array(&u) >= 2 && unpack_u64(&u) == CONTROL_MESSAGE_REQUEST;
    uint64_t version = unpack_u64(&u);
    return request && unpack_ok(&u) ? version : CONTROL_VERSION;
}

static void control_on_frame(struct stream *s, struct slice frame, void *ctx)
{
    struct control_client *client = ctx;
    struct control_request m;
    struct control_args args;
    if (client->closing_after_write)
        return;
    client->heard_ms = clock_mono_ms();
    uint64_t version = control_peek_version(frame);
    if (version != CONTROL_VERSION) {
        control_refuse_version(client, 0, version);
        return;
    }
    int rc = control_request_unpack(frame, &m) ? control_read_args(m.args, &args) : -EINVAL;
    if (rc == -EINVAL) {
        log_warn("control-client-dropped", "cause=\"sent what is no request\" bytes=%zu",
                 frame.len);
        stream_close(s);
    } else if (rc == -E2BIG) {
        control_answer_text(client, m.id, CONTROL_USAGE,
                            "a request takes at most %d arguments: send several", CONTROL_ARGS_MAX);
    } else if (rc != 0) {
        control_answer_text(client, m.id, CONTROL_ERROR, "memory is short: try again");
    } else {
        if (m.deadline_ms > CONTROL_DEADLINE_MAX_MS)
            m.deadline_ms = CONTROL_DEADLINE_MAX_MS;
        control_verb(client, &m, &args);
        free(args.list);
    }
}

/* ---- clients ---- */

static void control_on_end(struct stream *s, int error, void *ctx)
{
    (void)s;
    (void)ctx;
    if (error != 0 && error != UV_ECONNRESET && error != UV_EPIPE)
        log_warn("control-client-dropped", "cause=%s", log_quote_text(uv_strerror(error)));
}

static void control_on_closed(struct stream *s, void *ctx)
{
    (void)s;
    struct control_client *client = ctx;
    struct control_client **at = &control.clients;
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    control.client_count--;
    while (client->pending != NULL) {
        struct control_pending *p = client->pending;
        if (p->ops->cancel != NULL)
            p->ops->cancel(p);
        control_pending_free(p);
    }
    free(client);
}

static const struct stream_events control_events = {
    .on_frame = control_on_frame, .on_end = control_on_end, .on_closed = control_on_closed};

static const struct stream_limits control_limits = {.frame_max = CONTROL_REQUEST_MAX,
                                                    .queue_max = CONTROL_QUEUE_MAX};

/* The socket's mode keeps others out already; root may come, and the user we run as. */
static bool control_may(const struct control_client *client)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (uv_fileno((const uv_handle_t *)&client->stream.pipe, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

static void control_tick(void)
{
    if (!uv_is_active((uv_handle_t *)&control.timer))
        uv_timer_start(&control.timer, control_on_timer, CONTROL_TICK_MS, CONTROL_TICK_MS);
}

/*
 * Whoever has connected and says nothing, asks nothing and waits for nothing gives way to the next one, the longest
 * silent first: else so many of them would keep out the one that comes to end them.
 */
static bool control_make_room(void)
{
    struct control_client *idle = NULL;
    uint64_t now = clock_mono_ms();
    size_t open = 0;
    for (struct control_client *c = control.clients; c != NULL; c = c->next) {
        bool silent =
            c->pending == NULL && !c->stream.closing && now - c->heard_ms > CONTROL_YIELD_MS;
        open += !c->stream.closing;
        if (silent && (idle == NULL || c->heard_ms < idle->heard_ms))
            idle = c;
    }
    if (open <= CONTROL_CLIENTS_MAX)
        return true;
    if (idle != NULL)
        stream_close(&idle->stream);
    return idle != NULL;
}

static void control_on_connection(uv_stream_t *listener, int status)
{
    if (status != 0)
        return;
    struct control_client *client = calloc(1, sizeof *client);
    control.stalled = client == NULL;
    control_tick();
    if (control.stalled)
        return; /* libuv listens no further until this connection is accepted: the timer tries again */
    stream_init(&client->stream, control.master->loop, control_limits, &control_events, client);
    client->heard_ms = clock_mono_ms();
    client->next = control.clients;
    control.clients = client;
    control.client_count++;
    bool ok = uv_accept(listener, (uv_stream_t *)&client->stream.pipe) == 0;
    if (ok && !control_may(client))
        control_answer_text(client, 0, CONTROL_DENIED,
                            "the master belongs to user %u: run platoonctl as that user, or root",
                            (unsigned)geteuid());
    else if (ok && control.client_count > CONTROL_CLIENTS_MAX && !control_make_room())
        control_answer_text(client, 0, CONTROL_ERROR,
                            "%d clients are connected already: end some of them",
                            CONTROL_CLIENTS_MAX);
    else if (ok && stream_start(&client->stream) == 0)
        return;
    stream_close(&client->stream);
}

int control_fd(void)
{
    uv_os_fd_t fd;
    return uv_fileno((const uv_handle_t *)&control.listener, &fd) == 0 ? fd : -1;
}

bool control_is_quiet(void)
{
    for (const struct control_client *c = control.clients; c != NULL; c = c->next)
        if (stream_queued(&c->stream) > 0)
            return false;
    return true;
}

/* Not uv_pipe_bind: libuv would unlink what stands under that name at our end, whosever it is then. */
static int control_bind(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!slice_copy(slice_of(path), address.sun_path, sizeof address.sun_path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    mode_t was = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
    umask(was);
    if (rc == 0)
        rc = uv_pipe_open(&control.listener, fd);
    if (rc != 0)
        close(fd);
    return rc;
}

int control_start(struct master *m, int listener_fd)
{
    char path[sizeof m->paths.runtime_dir + sizeof CONTROL_SOCKET_NAME + 1];
    snprintf(path, sizeof path, "%s/%s", m->paths.runtime_dir, CONTROL_SOCKET_NAME);
    control.master = m;
    control_call_setup(m);
    int rc = uv_pipe_init(m->loop, &control.listener, 0);
    if (rc != 0)
        return rc;
    uv_timer_init(m->loop, &control.timer);
    control.running = true;
    rc = listener_fd >= 0 ? uv_pipe_open(&control.listener, listener_fd) : control_bind(path);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&control.listener, 4 * CONTROL_CLIENTS_MAX,
                       control_on_connection);
    if (rc != 0)
        return rc;
    control.watch.on_change = control_on_change;
    supervisor_watch_add(&control.watch);
    return 0;
}

void control_stop(struct master *m)
{
    if (!control.running)
        return;
    control.running = false;
    control.stalled = false;
    supervisor_watch_remove(&control.watch);
    if (preflight_has_runtime_dir(&m->paths)) {
        char path[sizeof m->paths.runtime_dir + sizeof CONTROL_SOCKET_NAME + 1];
        snprintf(path, sizeof path, "%s/%s", m->paths.runtime_dir, CONTROL_SOCKET_NAME);
        unlink(path);
    }
    uv_close((uv_handle_t *)&control.listener, NULL);
    uv_close((uv_handle_t *)&control.timer, NULL);
    for (struct control_client *c = control.clients; c != NULL; c = c->next)
        stream_close(&c->stream);
}
