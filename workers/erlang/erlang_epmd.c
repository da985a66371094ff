/* erlang_epmd.c: see erlang_epmd.h. */
#include "workers/erlang/erlang_epmd.h"

#include "common/log.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>

#define EPMD_PORT       4369u
#define EPMD_ANSWER_MS  3000u /* for connection and answer */
#define EPMD_PAUSE_MS   200u  /* until the next try; twice as long each time */
#define EPMD_PAUSE_MAX  5000u
#define EPMD_ANSWER_MAX 6
/* https://www.erlang.org/doc/apps/erts/erl_dist_protocol, Register a node in EPMD */
#define EPMD_REGISTER  120
#define EPMD_DONE      121 /* result, creation in two bytes */
#define EPMD_DONE_LONG 118 /* result, creation in four */
#define EPMD_HIDDEN    72  /* the kind of node that others do not mesh with */
#define EPMD_HIGHEST   6   /* version of the distribution that libei speaks, and the lowest */
#define EPMD_LOWEST    5

struct erlang_epmd {
    struct worker *w;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    struct buffer request;
    uint16_t at; /* epmd's port */
    size_t len;
    char answer[EPMD_ANSWER_MAX];
    uint64_t pause_ms;
    bool open, registered, closing, timer_open;
    char why[256];
    void (*on_known)(void *ctx); /* NULL: it was called */
    void *ctx;
};

static void epmd_try(struct erlang_epmd *e);

/* ---- what has become of it ---- */

static void epmd_known(struct erlang_epmd *e)
{
    void (*on_known)(void *ctx) = e->on_known;
    e->on_known = NULL;
    if (on_known != NULL)
        on_known(e->ctx);
}

static void epmd_free(struct erlang_epmd *e)
{
    if (e->open || e->timer_open)
        return;
    buffer_fini(&e->request);
    free(e);
}

static void epmd_on_timer(uv_timer_t *timer)
{
    epmd_try(timer->data);
}

static void epmd_on_closed(uv_handle_t *handle)
{
    struct erlang_epmd *e = handle->data;
    e->open = false;
    if (e->closing) {
        epmd_free(e);
        return;
    }
    uv_timer_start(&e->timer, epmd_on_timer, e->pause_ms, 0);
    e->pause_ms = e->pause_ms * 2 < EPMD_PAUSE_MAX ? e->pause_ms * 2 : EPMD_PAUSE_MAX;
    epmd_known(e);
}

/* The connection is over, or was none: another one, after a while. */
static void epmd_again(struct erlang_epmd *e, const char *what, const char *remedy)
{
    if (!e->open || uv_is_closing((uv_handle_t *)&e->tcp))
        return;
    snprintf(e->why, sizeof e->why, "epmd at 127.0.0.1:%u: %s: %s", (unsigned)e->at, what, remedy);
    e->registered = false;
    uv_close((uv_handle_t *)&e->tcp, epmd_on_closed);
}

static void epmd_fail(struct erlang_epmd *e, int rc)
{
    const char *what = rc == UV_EOF ? "it has closed the connection" : uv_strerror(rc);
    epmd_again(
        e, what,
        "other nodes do not find this one: start it (epmd -daemon, or systemctl start epmd)");
}

static void epmd_on_deadline(uv_timer_t *timer)
{
    epmd_fail(timer->data, UV_ETIMEDOUT);
}

static void epmd_settle(struct erlang_epmd *e)
{
    bool longer = (unsigned char)e->answer[0] == EPMD_DONE_LONG;
    bool known = longer || (unsigned char)e->answer[0] == EPMD_DONE;
    if (!known) {
        epmd_again(e, "it does not answer as epmd does", "see what listens there");
    } else if (e->answer[1] != 0) {
        epmd_again(e, "another node of this name is registered",
                   "end that one, or give this one another name (node)");
    } else if (e->len >= (longer ? 6 : 4)) {
        uv_timer_stop(&e->timer);
        e->registered = true;
        e->why[0] = '\0';
        e->pause_ms = EPMD_PAUSE_MS;
        epmd_known(e);
    }
}

/* ---- talking ---- */

static void epmd_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct erlang_epmd *e = handle->data;
    (void)suggested;
    if (e->len == sizeof e->answer)
        e->len = 0; /* it says nothing more that matters: its end does */
    *buf = uv_buf_init(e->answer + e->len, (unsigned)(sizeof e->answer - e->len));
}

static void epmd_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct erlang_epmd *e = stream->data;
    (void)buf;
    if (n < 0) {
        epmd_fail(e, (int)n);
        return;
    }
    e->len += (size_t)n;
    if (!e->registered && e->len >= 2)
        epmd_settle(e);
}

static void epmd_on_written(uv_write_t *req, int status)
{
    if (status < 0 && status != UV_ECANCELED)
        epmd_fail(req->data, status);
}

static void epmd_on_connect(uv_connect_t *req, int status)
{
    struct erlang_epmd *e = req->data;
    if (status == UV_ECANCELED)
        return;
    uv_buf_t buf = uv_buf_init(e->request.data, (unsigned)e->request.len);
    int rc = status;
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&e->tcp, epmd_on_alloc, epmd_on_read);
    if (rc == 0)
        rc = uv_write(&e->write, (uv_stream_t *)&e->tcp, &buf, 1, epmd_on_written);
    if (rc != 0)
        epmd_fail(e, rc);
}

static void epmd_try(struct erlang_epmd *e)
{
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", e->at, &address);
    e->len = 0;
    int rc = uv_tcp_init(worker_loop(e->w), &e->tcp);
    if (rc != 0)
        worker_exit_for(e->w, -rc, NULL, "cannot reach epmd");
    e->open = true;
    e->tcp.data = e->connect.data = e->write.data = e;
    uv_timer_start(&e->timer, epmd_on_deadline, EPMD_ANSWER_MS, 0);
    rc = uv_tcp_connect(&e->connect, &e->tcp, (const struct sockaddr *)&address, epmd_on_connect);
    if (rc != 0)
        epmd_fail(e, rc);
}

/* ---- life ---- */

static void epmd_number(struct buffer *out, unsigned value)
{
    buffer_append_char(out, (char)(value >> 8));
    buffer_append_char(out, (char)value);
}

static void epmd_make_request(struct erlang_epmd *e, struct slice name, uint16_t port)
{
    struct buffer *out = &e->request;
    epmd_number(out, (unsigned)(13 + name.len));
    buffer_append_char(out, EPMD_REGISTER);
    epmd_number(out, port);
    buffer_append_char(out, EPMD_HIDDEN);
    buffer_append_char(out, 0); /* TCP over IPv4 */
    epmd_number(out, EPMD_HIGHEST);
    epmd_number(out, EPMD_LOWEST);
    epmd_number(out, (unsigned)name.len);
    buffer_append_slice(out, name);
    epmd_number(out, 0); /* nothing more */
}

/* What every Erlang program takes the port from. */
static uint16_t epmd_port(void)
{
    const char *text = getenv("ERL_EPMD_PORT");
    uint64_t port;
    bool given = text != NULL && text_parse_u64(slice_of(text), &port) == 0 && port >= 1;
    return given && port <= 65535 ? (uint16_t)port : EPMD_PORT;
}

struct erlang_epmd *erlang_epmd_open(struct worker *w, const char *node, uint16_t port,
                                     void (*on_known)(void *ctx), void *ctx)
{
    struct erlang_epmd *e = worker_must_alloc(w, sizeof *e);
    *e = (struct erlang_epmd){.w = w,
                              .at = epmd_port(),
                              .pause_ms = EPMD_PAUSE_MS,
                              .timer_open = true,
                              .on_known = on_known,
                              .ctx = ctx};
    epmd_make_request(e, slice_make(node, strcspn(node, "@")), port);
    if (!buffer_ok(&e->request))
        worker_exit_for(w, ENOMEM, NULL, "cannot register with epmd");
    uv_timer_init(worker_loop(w), &e->timer);
    e->timer.data = e;
    epmd_try(e);
    return e;
}

const char *erlang_epmd_trouble(const struct erlang_epmd *e)
{
    return e == NULL || e->registered || e->on_known != NULL ? NULL : e->why;
}

static void epmd_on_timer_closed(uv_handle_t *handle)
{
    struct erlang_epmd *e = handle->data;
    e->timer_open = false;
    epmd_free(e);
}

void erlang_epmd_close(struct erlang_epmd *e)
{
    if (e == NULL)
        return;
    e->closing = true;
    e->on_known = NULL;
    if (e->open && !uv_is_closing((uv_handle_t *)&e->tcp))
        uv_close((uv_handle_t *)&e->tcp, epmd_on_closed);
    uv_close((uv_handle_t *)&e->timer, epmd_on_timer_closed);
}
