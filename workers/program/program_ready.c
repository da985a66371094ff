/*
 * program_ready.c: when a program counts as ready: it has run for a while, it listens, it said so, or a
 * probe says so. See program.h.
 */
#include "workers/program/program_run.h"

#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM_CONNECT_MS  20 /* between attempts to connect */
#define PROGRAM_PROBE_MS    200
#define PROGRAM_ANSWER_MS   2000 /* an HTTP answer may take */
#define PROGRAM_ADDRESS_MAX 128

enum program_way {
    PROGRAM_DELAY,
    PROGRAM_UNIX,
    PROGRAM_TCP,
    PROGRAM_HTTP,
    PROGRAM_FD,
    PROGRAM_PROBE
};

struct program_ready {
    struct worker *w;
    enum program_way way;
    uint64_t delay_ms;
    char path[PROGRAM_ADDRESS_MAX];
    struct sockaddr_storage address;
    const char *const *probe;
    uv_timer_t timer;
    union {
        uv_handle_t handle;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
        uv_process_t process;
    } attempt; /* one at a time */
    bool attempting;
    uv_connect_t connect;
    uv_write_t write;
    char request[PROGRAM_ADDRESS_MAX * 3];
    char byte[64];
    size_t said; /* bytes of the answer's first line */
    int open_handles;
    bool over; /* ready, or freed: no more attempts */
    bool freed;
};

static void program_ready_on_timer(uv_timer_t *timer);

static void program_ready_release(struct program_ready *r)
{
    if (r->freed && r->open_handles == 0)
        free(r);
}

static void program_ready_on_timer_closed(uv_handle_t *handle)
{
    struct program_ready *r = handle->data;
    r->open_handles--;
    program_ready_release(r);
}

static void program_ready_on_attempt_closed(uv_handle_t *handle)
{
    struct program_ready *r = handle->data;
    r->open_handles--;
    r->attempting = false;
    if (!r->over)
        uv_timer_start(&r->timer, program_ready_on_timer,
                       r->way == PROGRAM_PROBE ? PROGRAM_PROBE_MS : PROGRAM_CONNECT_MS, 0);
    program_ready_release(r);
}

/* The end of one attempt; the next follows when the handle is closed. */
static void program_ready_end(struct program_ready *r, bool ready)
{
    if (ready && !r->over) {
        r->over = true;
        worker_ready(r->w);
    }
    if (r->attempting && !uv_is_closing(&r->attempt.handle))
        uv_close(&r->attempt.handle, program_ready_on_attempt_closed);
}

static void program_ready_opened(struct program_ready *r)
{
    r->attempt.handle.data = r;
    r->attempting = true;
    r->open_handles++;
}

/* ---- the ways ---- */

static void program_ready_on_connect(uv_connect_t *req, int status)
{
    struct program_ready *r = req->data;
    program_ready_end(r, status == 0);
}

static void program_ready_try_unix(struct program_ready *r)
{
    uv_pipe_init(worker_loop(r->w), &r->attempt.pipe, 0);
    program_ready_opened(r);
    uv_pipe_connect(&r->connect, &r->attempt.pipe, r->path, program_ready_on_connect);
}

static void program_ready_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);

/* "HTTP/1.1 204 …": any answer of 2xx or 3xx. */
static void program_ready_on_answer(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct program_ready *r = stream->data;
    (void)buf;
    r->said += n > 0 ? (size_t)n : 0;
    if (n >= 0 && r->said < 12)
        return; /* the status is not there yet */
    bool good = r->said >= 12 && memcmp(r->byte, "HTTP/1.", 7) == 0 && r->byte[8] == ' ' &&
                (r->byte[9] == '2' || r->byte[9] == '3');
    program_ready_end(r, good);
}

static void program_ready_on_http(uv_connect_t *req, int status)
{
    struct program_ready *r = req->data;
    uv_stream_t *stream = (uv_stream_t *)&r->attempt.tcp;
    uv_buf_t text = uv_buf_init(r->request, (unsigned)strlen(r->request));
    r->said = 0;
    if (status != 0 || uv_write(&r->write, stream, &text, 1, NULL) != 0 ||
        uv_read_start(stream, program_ready_on_alloc, program_ready_on_answer) != 0) {
        program_ready_end(r, false);
        return;
    }
    uv_timer_start(&r->timer, program_ready_on_timer, PROGRAM_ANSWER_MS, 0);
}

static void program_ready_try_tcp(struct program_ready *r)
{
    uv_tcp_init(worker_loop(r->w), &r->attempt.tcp);
    program_ready_opened(r);
    int rc =
        uv_tcp_connect(&r->connect, &r->attempt.tcp, (const struct sockaddr *)&r->address,
                       r->way == PROGRAM_HTTP ? program_ready_on_http : program_ready_on_connect);
    if (rc != 0)
        program_ready_end(r, false);
}

static void program_ready_on_probe(uv_process_t *process, int64_t code, int signal)
{
    struct program_ready *r = process->data;
    program_ready_end(r, code == 0 && signal == 0);
}

static void program_ready_try_probe(struct program_ready *r)
{
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE},
                                     {.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}};
    char **environment = program_environment_new(r->w, NULL);
    uv_process_options_t options = {
        .file = r->probe[0],
        .args = (char **)(uintptr_t)r->probe,
        .env = environment,
        .exit_cb = program_ready_on_probe,
        .stdio = stdio,
        .stdio_count = 3,
    };
    int rc = environment == NULL ? UV_ENOMEM
                                 : uv_spawn(worker_loop(r->w), &r->attempt.process, &options);
    free(environment);
    program_ready_opened(r);
    if (rc != 0) {
        log_warn("probe", "program=%s cause=%s", log_quote_text(r->probe[0]),
                 log_quote_text(uv_strerror(rc)));
        program_ready_end(r, false);
    }
}

static void program_ready_on_timer(uv_timer_t *timer)
{
    struct program_ready *r = timer->data;
    if (r->attempting && r->way == PROGRAM_HTTP)
        program_ready_end(r, false); /* no answer in time */
    if (r->over || r->attempting)
        return;
    if (r->way == PROGRAM_DELAY)
        program_ready_end(r, true);
    else if (r->way == PROGRAM_UNIX)
        program_ready_try_unix(r);
    else if (r->way == PROGRAM_TCP || r->way == PROGRAM_HTTP)
        program_ready_try_tcp(r);
    else if (r->way == PROGRAM_PROBE)
        program_ready_try_probe(r);
}

static void program_ready_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct program_ready *r = handle->data;
    size_t used = r->way == PROGRAM_HTTP && r->said < sizeof r->byte ? r->said : 0;
    *buf = uv_buf_init(r->byte + used, (unsigned)(sizeof r->byte - used));
}

static void program_ready_on_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct program_ready *r = stream->data;
    bool line = n > 0 && memchr(buf->base, '\n', (size_t)n) != NULL;
    if (n > 0 && !line)
        return;
    if (!line && !r->over)
        log_warn("not-ready",
                 "cause=\"the program closed $NOTIFY_FD without writing a line to it\"");
    uv_read_stop(stream);
    if (line)
        program_ready_end(r, true);
}

/* The reading end is ours for as long as the program lives: closing it early would make its write fail. */
static int program_ready_open_fd(struct program_ready *r, int *notify_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    uv_pipe_init(worker_loop(r->w), &r->attempt.pipe, 0);
    int rc = uv_pipe_open(&r->attempt.pipe, ends[0]);
    program_ready_opened(r);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&r->attempt.pipe, program_ready_on_alloc,
                           program_ready_on_said);
    *notify_fd = ends[1];
    return rc;
}

/* ---- life ---- */

/* Nothing to watch: ready at once, or when its end, program_output.c, program_notify.c or port.c says so. */
static bool program_ready_is_told(const char *how)
{
    static const char *const told[] = {"none", "exit", "notify", "actor"};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (strcmp(how, told[i]) == 0)
            return true;
    return strncmp(how, "log:", 4) == 0;
}

/* Takes "unix:PATH" and its sisters apart. Returns false when `how` is none of them. */
static bool program_ready_parse(struct program_ready *r, const char *how)
{
    if (strcmp(how, "fd") == 0 || strcmp(how, "probe") == 0) {
        r->way = how[0] == 'f' ? PROGRAM_FD : PROGRAM_PROBE;
        return r->way != PROGRAM_PROBE || r->probe[0] != NULL;
    }
    if (strncmp(how, "unix:", 5) == 0) {
        r->way = PROGRAM_UNIX;
        return slice_copy(slice_of(how + 5), r->path, sizeof r->path);
    }
    if (text_parse_span(slice_of(how), &r->delay_ms) == 0) {
        r->way = PROGRAM_DELAY;
        return true;
    }
    bool http = strncmp(how, "http:", 5) == 0;
    const char *from = how + (http ? 5 : 4);
    if (!http && strncmp(how, "tcp:", 4) != 0)
        return false;
    const char *path = http ? strchr(from, '/') : NULL;
    size_t len = path != NULL ? (size_t)(path - from) : strlen(from);
    const char *colon = memrchr(from, ':', len);
    char host[PROGRAM_ADDRESS_MAX];
    if (colon == NULL || !slice_copy(slice_make(from, (size_t)(colon - from)), host, sizeof host))
        return false;
    r->way = http ? PROGRAM_HTTP : PROGRAM_TCP;
    snprintf(r->request, sizeof r->request,
             "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", path != NULL ? path : "/",
             host);
    int port = atoi(colon + 1);
    return port > 0 && port < 65536 &&
           (uv_ip4_addr(host, port, (struct sockaddr_in *)&r->address) == 0 ||
            uv_ip6_addr(host, port, (struct sockaddr_in6 *)&r->address) == 0);
}

struct program_ready *program_ready_new(struct worker *w, const char *how, const char *const *probe,
                                        int *notify_fd)
{
    *notify_fd = -1;
    if (program_ready_is_told(how))
        return NULL;
    struct program_ready *r = calloc(1, sizeof *r);
    if (r == NULL)
        worker_exit_for(w, ENOMEM, NULL, "cannot watch the program");
    r->w = w;
    r->probe = probe;
    r->connect.data = r;
    if (!program_ready_parse(r, how))
        worker_exit(w, CONTRACT_EXIT_CONFIG,
                    "command.ready = %s: must be none, exit, 3s, unix:PATH, tcp:ADDRESS:PORT, "
                    "http:ADDRESS:PORT/PATH, log:TEXT, notify, fd or probe",
                    how);
    uv_timer_init(worker_loop(w), &r->timer);
    r->timer.data = r;
    r->open_handles = 1;
    int rc = 0;
    if (r->way == PROGRAM_FD)
        rc = program_ready_open_fd(r, notify_fd);
    else
        rc = uv_timer_start(&r->timer, program_ready_on_timer, r->delay_ms, 0);
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "cannot watch the program");
    return r;
}

bool program_ready_is_probing(const struct program_ready *r)
{
    return r != NULL && r->way == PROGRAM_PROBE && r->attempting;
}

void program_ready_free(struct program_ready *r)
{
    if (r == NULL)
        return;
    r->over = true;
    r->freed = true;
    program_ready_end(r, false);
    uv_close((uv_handle_t *)&r->timer, program_ready_on_timer_closed);
}
