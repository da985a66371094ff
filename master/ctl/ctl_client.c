/* ctl_client.c: the tool's end of the control socket. See ctl_client.h. */
#include "master/ctl/ctl_client.h"

#include "common/clock.h"
#include "common/stream.h"
#include "common/text.h"
#include "proto/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The master gives up at the deadline and says what it was waiting for: room for that answer to arrive. */
#define CLIENT_GRACE_MS 250u

/* A full backlog answers EAGAIN at once, and there is nothing to poll for: look again after this. */
#define CLIENT_CONNECT_PAUSE_MS 10

#define CLIENT_READ_SIZE 65536u

void ctl_client_init(struct ctl_client *c, const char *path, const char *config)
{
    *c = (struct ctl_client){.path = path, .config = config, .fd = -1};
}

static void client_close(struct ctl_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->used = 0;
    buffer_clear(&c->in);
}

void ctl_client_fini(struct ctl_client *c)
{
    client_close(c);
    buffer_fini(&c->in);
    buffer_fini(&c->why);
}

const char *ctl_client_why(struct ctl_client *c)
{
    const char *text = buffer_text(&c->why);
    return text != NULL ? text : "not enough memory";
}

static int left_ms(uint64_t deadline)
{
    uint64_t now = clock_mono_ms();
    if (now >= deadline)
        return 0;
    return deadline - now > INT32_MAX ? INT32_MAX : (int)(deadline - now);
}

/* Waits for the socket. False at the deadline. */
static bool client_poll(const struct ctl_client *c, short events, uint64_t deadline)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    for (;;) {
        int rc = poll(&p, 1, left_ms(deadline));
        if (rc > 0)
            return true;
        if (rc == 0 && left_ms(deadline) == 0)
            return false;
        if (rc < 0 && errno != EINTR)
            return true; /* the read or write that follows will say what is wrong */
    }
}

/* ---- connecting ---- */

static int connect_failed(struct ctl_client *c, int error)
{
    client_close(c);
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        buffer_printf(
            &c->why,
            "no platoon is listening on %s: it is not running; start one with: platoon -c %s",
            c->path, c->config != NULL ? c->config : "FILE");
        return CONTROL_NOT_RUNNING;
    case EACCES:
    case EPERM:
        buffer_printf(&c->why, "%s: not permitted: only the user that runs platoon, and root, may",
                      c->path);
        return CONTROL_DENIED;
    case EAGAIN:
    case ETIMEDOUT:
        buffer_printf(&c->why,
                      "%s: the master does not accept connections: it hangs, or is stopped",
                      c->path);
        return CONTROL_TIMEOUT;
    }
    buffer_printf(&c->why, "%s: cannot connect: %s", c->path, strerror(error));
    return CONTROL_ERROR;
}

static int client_connect(struct ctl_client *c, uint64_t deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!slice_copy(slice_of(c->path), address.sun_path, sizeof address.sun_path)) {
        buffer_printf(&c->why, "%s: too long for a socket path: at most %zu bytes", c->path,
                      sizeof address.sun_path - 1);
        return CONTROL_USAGE;
    }
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return connect_failed(c, errno);
    while (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            return connect_failed(c, errno);
        if (left_ms(deadline) == 0)
            return connect_failed(c, ETIMEDOUT);
        poll(NULL, 0, CLIENT_CONNECT_PAUSE_MS);
    }
    return CONTROL_OK;
}

/* ---- writing ---- */

static int client_timeout(struct ctl_client *c, const char *verb)
{
    client_close(c);
    buffer_clear(&c->why);
    buffer_printf(&c->why, "no answer to '%s' in time: --timeout gives it more", verb);
    return CONTROL_TIMEOUT;
}

/* A broken pipe is no error here: what the master said before it closed is still to be read. */
static int client_write(struct ctl_client *c, struct slice bytes, uint64_t deadline,
                        const char *verb)
{
    while (bytes.len > 0) {
        ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes.ptr += n;
            bytes.len -= (size_t)n;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return CONTROL_OK;
        } else if (errno == EAGAIN) {
            if (!client_poll(c, POLLOUT, deadline))
                return client_timeout(c, verb);
        } else if (errno != EINTR) {
            buffer_printf(&c->why, "%s: cannot write: %s", c->path, strerror(errno));
            client_close(c);
            return CONTROL_ERROR;
        }
    }
    return CONTROL_OK;
}

static void pack_request(struct buffer *frame, uint64_t id, uint64_t deadline_ms, const char *verb,
                         size_t argc, const struct slice *argv)
{
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, (uint32_t)argc);
    for (size_t i = 0; i < argc; i++)
        pack_bin(&args, argv[i]);
    struct control_request r = {
        .version = CONTROL_VERSION,
        .id = id,
        .deadline_ms = deadline_ms,
        .verb = slice_of(verb),
        .args = buffer_slice(&args),
    };
    buffer_append(frame, "\0\0\0", STREAM_HEADER_SIZE); /* the length, below */
    control_request_pack(frame, &r);
    if (!buffer_ok(&args))
        frame->failed = true;
    buffer_fini(&args);
}

static int client_send(struct ctl_client *c, uint64_t deadline, const char *verb, size_t argc,
                       const struct slice *argv)
{
    struct buffer frame = BUFFER_EMPTY;
    int status = CONTROL_ERROR;
    pack_request(&frame, ++c->id, (uint64_t)left_ms(deadline), verb, argc, argv);
    size_t len = frame.len - STREAM_HEADER_SIZE;
    if (!buffer_ok(&frame)) {
        buffer_append_text(&c->why, "not enough memory for the request");
    } else if (len > CONTROL_REQUEST_MAX) {
        char most[TEXT_NUMBER_SIZE];
        buffer_printf(&c->why, "the request has %zu bytes: the master takes at most %s", len,
                      text_format_size(CONTROL_REQUEST_MAX, most));
    } else {
        for (int i = 0; i < STREAM_HEADER_SIZE; i++)
            frame.data[i] = (char)(unsigned char)(len >> (8 * (STREAM_HEADER_SIZE - 1 - i)));
        status = client_write(c, buffer_slice(&frame), deadline, verb);
    }
    buffer_fini(&frame);
    return status;
}

/* ---- reading ---- */

static int client_lost(struct ctl_client *c, const char *what)
{
    client_close(c);
    buffer_printf(&c->why, "%s: %s", c->path, what);
    return CONTROL_ERROR;
}

/* Reads what is there. 1: some; 0: end of file; -ETIMEDOUT; another negative errno. */
static int client_read(struct ctl_client *c, uint64_t deadline)
{
    for (;;) {
        char *to = buffer_reserve(&c->in, CLIENT_READ_SIZE);
        if (to == NULL)
            return -ENOMEM;
        ssize_t n = recv(c->fd, to, CLIENT_READ_SIZE, 0);
        if (n > 0) {
            c->in.len += (size_t)n;
            return 1;
        }
        if (n == 0 || errno == ECONNRESET)
            return 0;
        if (errno == EAGAIN && !client_poll(c, POLLIN, deadline))
            return -ETIMEDOUT;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

/* The next whole frame. CONTROL_OK, or why there is none. */
static int client_frame(struct ctl_client *c, uint64_t deadline, const char *verb,
                        struct slice *frame)
{
    buffer_consume(&c->in, c->used);
    c->used = 0;
    for (;;) {
        if (c->in.len >= STREAM_HEADER_SIZE) {
            const unsigned char *p = (const unsigned char *)c->in.data;
            size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
            if (len > CONTROL_FRAME_MAX)
                return client_lost(c, "what answers there is no platoon");
            if (c->in.len - STREAM_HEADER_SIZE >= len) {
                *frame = slice_make(c->in.data + STREAM_HEADER_SIZE, len);
                c->used = STREAM_HEADER_SIZE + len;
                return CONTROL_OK;
            }
        }
        int rc = client_read(c, deadline);
        if (rc == -ETIMEDOUT)
            return client_timeout(c, verb);
        if (rc == 0)
            return client_lost(c,
                               "the master closed the connection without an answer: it ended, or "
                               "serves as many clients as it may; try again");
        if (rc < 0)
            return client_lost(c, strerror(-rc));
    }
}

static int answer_failed(struct ctl_client *c, const struct control_answer *a)
{
    struct unpack u = unpack_start(a->body);
    struct slice text = unpack_bytes(&u);
    if (unpack_end(&u) && text.len > 0)
        buffer_append_slice(&c->why, text);
    else
        buffer_append_text(&c->why, control_status_meaning(a->status));
    if (a->id == 0)
        client_close(c); /* said of the connection, not of a request: it is over */
    return a->status > 255 ? CONTROL_ERROR : (int)a->status;
}

static int client_receive(struct ctl_client *c, uint64_t deadline, const char *verb,
                          struct slice *body)
{
    for (;;) {
        struct slice frame;
        int status = client_frame(c, deadline, verb, &frame);
        if (status != CONTROL_OK)
            return status;
        struct control_answer a;
        if (!control_answer_unpack(frame, &a)) {
            buffer_printf(
                &c->why,
                "%s: the answer makes no sense: this tool speaks version %d of the control "
                "protocol, the master perhaps another",
                c->path, CONTROL_VERSION);
            client_close(c);
            return CONTROL_ERROR;
        }
        /* 0 is what a master says to a client whose request it could not read, such as one of another version. */
        if (a.id != c->id && !(a.id == 0 && a.status != CONTROL_OK))
            continue;
        if (a.status != CONTROL_OK)
            return answer_failed(c, &a);
        if (a.more != 0)
            continue;
        *body = a.body;
        return CONTROL_OK;
    }
}

int ctl_client_ask(struct ctl_client *c, uint64_t deadline, const char *verb, size_t argc,
                   const struct slice *argv, struct slice *body)
{
    buffer_clear(&c->why);
    int status = c->fd < 0 ? client_connect(c, deadline) : CONTROL_OK;
    if (status == CONTROL_OK)
        status = client_send(c, deadline, verb, argc, argv);
    if (status == CONTROL_OK)
        status = client_receive(c, deadline + CLIENT_GRACE_MS, verb, body);
    return status;
}

int ctl_client_wait_listening(struct ctl_client *c, uint64_t deadline)
{
    for (;;) {
        buffer_clear(&c->why);
        int status = client_connect(c, deadline);
        if (status != CONTROL_NOT_RUNNING || left_ms(deadline) == 0)
            return status;
        poll(NULL, 0, CLIENT_CONNECT_PAUSE_MS);
    }
}

int ctl_client_wait_end(struct ctl_client *c, uint64_t deadline)
{
    buffer_clear(&c->why);
    while (c->fd >= 0) {
        buffer_clear(&c->in);
        c->used = 0;
        int rc = client_read(c, deadline);
        if (rc == -ETIMEDOUT) {
            buffer_printf(&c->why, "%s: the master has stopped its workers but does not end",
                          c->path);
            return CONTROL_TIMEOUT;
        }
        if (rc <= 0)
            client_close(c);
    }
    return CONTROL_OK;
}
