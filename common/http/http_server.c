/* http_server.c: see http_server.h. */
#include "common/http/http_server.h"

#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define HTTP_POOL_SIZE ((size_t)(16 * 1024)) /* a connection's: the largest head */
#define HTTP_RUNS_MAX  8 /* before the loop comes to others: a body comes in pieces of the pool */
#define HTTP_TEXT      "text/plain; charset=utf-8"

/* Lives from the request's first line to its end. */
struct http_request {
    struct http_request *prev, *next;
    struct http_server *server;
    struct MHD_Connection *connection;
    const char *method, *path; /* MHD's */
    struct buffer body;
    void *kept;
    uint64_t deadline_ms; /* clock_mono_ms */
    bool large;           /* its body is above the bound */
    bool crowded;         /* all bodies together are */
    unsigned lengths;     /* headers that say how long its body is */
    bool handled;         /* its owner has seen it */
    bool waiting;         /* suspended until it is answered */
    bool answered;
    unsigned status;
    const char *type;
    struct buffer headers; /* name, NUL, value, NUL; … */
    struct buffer answer;
    struct MHD_Response *file;      /* instead of `answer` */
    bool streams;                   /* which has no end */
    bool old;                       /* HTTP/1.0 */
    bool given;                     /* its socket is to be its owner's, or is */
    struct http_upgraded *upgraded; /* until it begins */
};

/* ---- MHD in our loop ---- */

static void http_server_run(struct http_server *s);
static void http_server_expire(struct http_server *s);

static void http_server_on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    http_server_run(poll->data);
}

static void http_server_on_timer(uv_timer_t *timer)
{
    http_server_expire(timer->data);
    http_server_run(timer->data);
}

static void http_server_on_again(uv_idle_t *again)
{
    http_server_expire(again->data);
    http_server_run(again->data);
}

/* Not by a timer of 0 ms: the loop would come to nothing else, what answers wait for among it. */
static void http_server_run_in(struct http_server *s, uint64_t ms)
{
    uv_idle_stop(&s->again);
    uv_timer_stop(&s->timer);
    if (ms == 0)
        uv_idle_start(&s->again, http_server_on_again);
    else if (ms != UINT64_MAX)
        uv_timer_start(&s->timer, http_server_on_timer, ms, 0);
}

/* The time until something must happen: MHD's own, a client's end, or a question that waits too long. */
static void http_server_run(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG own = 0;
    bool more = true;
    for (int i = 0; more && i < HTTP_RUNS_MAX; i++) {
        s->clients.turn++;
        MHD_run(s->daemon);
        more = MHD_get_timeout(s->daemon, &own) == MHD_YES && own == 0;
    }
    uint64_t now = clock_mono_ms(), due = http_clients_expire(&s->clients);
    uint64_t stalled = http_streams_expire(&s->streams);
    due = stalled < due ? stalled : due;
    if (MHD_get_timeout(s->daemon, &own) == MHD_YES && own < due)
        due = own;
    for (struct http_request *r = s->requests; r != NULL; r = r->next)
        if (r->waiting)
            due = r->deadline_ms <= now        ? 0
                  : r->deadline_ms - now < due ? r->deadline_ms - now
                                               : due;
    http_server_run_in(s, due);
}

static void http_server_expire(struct http_server *s)
{
    uint64_t now = clock_mono_ms();
    for (struct http_request *r = s->requests; r != NULL; r = r->next)
        if (r->waiting && r->deadline_ms <= now)
            s->options.late(s->options.ctx, r);
}

/* ---- questions ---- */

/* Of those that wait for their answer, or read it. */
static void http_request_unlink(struct http_request *r)
{
    if (r->prev != NULL)
        r->prev->next = r->next;
    else if (r->server->requests == r)
        r->server->requests = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    r->prev = r->next = NULL;
}

const char *http_request_method(const struct http_request *r)
{
    return r->method;
}

const char *http_request_path(const struct http_request *r)
{
    return r->path;
}

const char *http_request_query(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool http_request_has_query(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                         NULL, NULL) == MHD_YES;
}

struct http_each {
    const char *name;
    void (*fn)(void *ctx, const char *value);
    void *ctx;
};

static enum MHD_Result http_request_on_query(void *ctx, enum MHD_ValueKind kind, const char *name,
                                             const char *value)
{
    const struct http_each *each = ctx;
    (void)kind;
    if (strcmp(name, each->name) == 0)
        each->fn(each->ctx, value != NULL ? value : "");
    return MHD_YES;
}

void http_request_query_each(const struct http_request *r, const char *name,
                             void (*fn)(void *ctx, const char *value), void *ctx)
{
    struct http_each each = {name, fn, ctx};
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, http_request_on_query, &each);
}

bool http_request_is_open(const struct http_request *r)
{
    return !r->answered;
}

const char *http_request_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct slice http_request_body(const struct http_request *r)
{
    return buffer_slice(&r->body);
}

void http_request_keep(struct http_request *r, void *kept)
{
    r->kept = kept;
}

void *http_request_kept(const struct http_request *r)
{
    return r->kept;
}

void http_request_add(struct http_request *r, const char *name, const char *value)
{
    buffer_append(&r->headers, name, strlen(name) + 1);
    buffer_append(&r->headers, value, strlen(value) + 1);
}

/* After MHD_resume_connection MHD must run once more, or the answer waits for the next event. */
static void http_request_resume(struct http_request *r)
{
    if (!r->waiting)
        return;
    r->waiting = false;
    http_peer_reads(&r->server->clients, r->connection);
    MHD_resume_connection(r->connection);
    if (!r->server->ending)
        http_server_run_in(r->server, 0);
}

void http_request_answer(struct http_request *r, unsigned status, const char *type,
                         const struct buffer *body)
{
    r->status = status;
    r->type = type;
    buffer_append_slice(&r->answer, buffer_slice(body));
    if (!buffer_ok(body) || !buffer_ok(&r->answer) || !buffer_ok(&r->headers)) {
        buffer_fini(&r->answer);
        buffer_fini(&r->headers);
        if (r->file != NULL)
            MHD_destroy_response(r->file);
        r->file = NULL;
        r->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    r->answered = true;
    http_request_resume(r);
}

void http_request_answer_file(struct http_request *r, unsigned status, const char *type, int fd,
                              uint64_t size)
{
    struct buffer none = BUFFER_EMPTY;
    r->file = MHD_create_response_from_fd64(size, fd);
    if (r->file == NULL) {
        close(fd);
        none.failed = true;
    }
    http_request_answer(r, status, type, &none);
}

void http_request_answer_text(struct http_request *r, unsigned status, const char *text)
{
    struct buffer body = BUFFER_EMPTY;
    buffer_append_text(&body, text);
    http_request_answer(r, status, HTTP_TEXT, &body);
    buffer_fini(&body);
}

static bool http_request_add_headers(const struct http_request *r, struct MHD_Response *response)
{
    const char *name = r->headers.data, *end = name + r->headers.len;
    while (r->headers.len > 0 && name < end) {
        const char *value = name + strlen(name) + 1;
        if (MHD_add_response_header(response, name, value) != MHD_YES)
            return false;
        name = value + strlen(value) + 1;
    }
    return MHD_get_response_header(response, "Cache-Control") != NULL ||
           MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
}

struct http_stream *http_request_answer_stream(struct http_request *r, unsigned status,
                                               const char *type,
                                               const struct http_stream_source *source)
{
    struct buffer none = BUFFER_EMPTY;
    struct http_stream *stream;
    r->file = http_stream_create(&r->server->streams, r->connection, source, &stream);
    r->streams = r->file != NULL;
    if (r->file != NULL)
        http_request_answer(r, status, type, &none);
    else
        http_request_answer_text(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many read already\n");
    return r->file != NULL ? stream : NULL;
}

static void http_request_on_upgrade(void *ctx, struct MHD_Connection *connection, void *request,
                                    const char *extra, size_t len, MHD_socket fd,
                                    struct MHD_UpgradeResponseHandle *handle)
{
    struct http_request *r = request;
    struct http_upgraded *u = r->upgraded;
    (void)ctx;
    (void)connection;
    r->upgraded = NULL;
    http_upgrade_begin(u, fd, slice_make(extra, len), handle);
}

struct http_upgraded *http_request_answer_upgrade(struct http_request *r, const char *protocol,
                                                  const struct http_upgrade_owner *owner)
{
    struct buffer none = BUFFER_EMPTY;
    r->upgraded = http_upgrade_new(&r->server->upgrades, owner);
    if (r->upgraded != NULL)
        r->file = MHD_create_response_for_upgrade(http_request_on_upgrade, NULL);
    if (r->file == NULL) {
        if (r->upgraded != NULL)
            http_upgrade_drop(r->upgraded);
        r->upgraded = NULL;
        http_request_answer_text(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short\n");
        return NULL;
    }
    r->streams = true;
    http_request_add(r, MHD_HTTP_HEADER_UPGRADE, protocol);
    http_request_answer(r, MHD_HTTP_SWITCHING_PROTOCOLS, NULL, &none);
    return r->upgraded;
}

bool http_request_is_old(const struct http_request *r)
{
    return r->old;
}

/* What MHD would write, for an answer that it does not. */
static void http_request_head(const struct http_request *r, unsigned status, const char *type,
                              struct buffer *head)
{
    char date[64] = "";
    struct tm tm;
    time_t now = time(NULL);
    if (gmtime_r(&now, &tm) != NULL)
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    buffer_printf(head, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n%sContent-Type: %s\r\n",
                  status, MHD_get_reason_phrase_for(status), date,
                  r->old ? "" : "Transfer-Encoding: chunked\r\n", type);
    const char *name = r->headers.data, *end = name + r->headers.len;
    while (r->headers.len > 0 && name < end) {
        const char *value = name + strlen(name) + 1;
        buffer_printf(head, "%s: %s\r\n", name, value);
        name = value + strlen(value) + 1;
    }
    buffer_append_text(head, "Cache-Control: no-store\r\n\r\n");
    head->failed = head->failed || r->headers.failed;
}

struct http_upgraded *http_request_answer_socket(struct http_request *r, unsigned status,
                                                 const char *type,
                                                 const struct http_upgrade_owner *owner,
                                                 struct buffer *head)
{
    struct buffer none = BUFFER_EMPTY;
    http_request_head(r, status, type, head);
    if (buffer_ok(head))
        r->upgraded = http_upgrade_new(&r->server->upgrades, owner);
    else
        owner->gone(owner->ctx);
    if (r->upgraded == NULL) {
        http_request_answer_text(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short\n");
        return NULL;
    }
    r->given = true;
    struct http_upgraded *upgraded = r->upgraded;
    http_request_answer(r, status, type, &none);
    return upgraded;
}

/*
 * Suspended, MHD has forgotten the socket in its epoll; resumed, it finds that there is nothing more to say, and ends
 * the connection that it still has.
 */
static enum MHD_Result http_request_give(struct http_request *r)
{
    struct http_upgraded *u = r->upgraded;
    if (u == NULL)
        return MHD_NO;
    r->upgraded = NULL;
    MHD_suspend_connection(r->connection);
    http_upgrade_take(u, r->connection);
    MHD_resume_connection(r->connection);
    if (!r->server->ending)
        http_server_run_in(r->server, 0);
    return MHD_YES;
}

static enum MHD_Result http_request_send(struct http_request *r)
{
    if (r->given)
        return http_request_give(r);
    struct slice body = buffer_slice(&r->answer);
    struct MHD_Response *response = r->file;
    r->file = NULL;
    if (response == NULL)
        response = MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
                                                   MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if ((r->type == NULL ||
         MHD_add_response_header(response, "Content-Type", r->type) == MHD_YES) &&
        http_request_add_headers(r, response))
        queued = MHD_queue_response(r->connection, r->status, response);
    if (queued == MHD_YES && r->streams) {
        http_peer_streams(&r->server->clients, r->connection);
        http_request_unlink(r); /* those are walked at each turn */
    }
    MHD_destroy_response(response);
    return queued;
}

static struct http_request *http_request_begin(struct http_server *s,
                                               struct MHD_Connection *connection)
{
    struct http_request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->server = s;
    r->connection = connection;
    r->next = s->requests;
    if (r->next != NULL)
        r->next->prev = r;
    s->requests = r;
    return r;
}

static void http_request_forget_body(struct http_request *r)
{
    r->server->bodies -= r->body.len;
    buffer_fini(&r->body);
}

static void http_request_take(struct http_request *r, struct slice part)
{
    struct http_server *s = r->server;
    size_t max = s->options.body_max, all = s->options.bodies_max;
    r->large = max > 0 && (r->large || part.len > max - r->body.len);
    r->crowded = r->crowded || (!r->large && all > 0 && part.len > all - s->bodies);
    if (r->large || r->crowded) {
        http_request_forget_body(r);
    } else if (max > 0) {
        size_t before = r->body.len;
        buffer_append_slice(&r->body, part);
        s->bodies += r->body.len - before;
    }
}

static void http_request_refuse(struct http_request *r, unsigned status, const char *text)
{
    const struct http_server_options *o = &r->server->options;
    if (o->refuse != NULL)
        o->refuse(o->ctx, r, status, text);
    else
        http_request_answer_text(r, status, text);
}

static enum MHD_Result http_request_count_length(void *ctx, enum MHD_ValueKind kind,
                                                 const char *name, const char *value)
{
    struct http_request *r = ctx;
    (void)kind;
    (void)value;
    r->lengths +=
        strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* Whoever stands between may have believed the other one. */
static bool http_request_has_lengths(struct http_request *r)
{
    r->lengths = 0;
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, http_request_count_length, r);
    return r->lengths > 1;
}

/* Answered within, or suspended. */
static enum MHD_Result http_request_handle(struct http_request *r)
{
    struct http_server *s = r->server;
    r->handled = true;
    if (http_request_has_lengths(r)) {
        http_request_add(r, "Connection", "close");
        http_request_refuse(r, MHD_HTTP_BAD_REQUEST, "the body's length is said twice\n");
    } else if (r->crowded) {
        http_request_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE,
                            "too much is on its way already: try again\n");
    } else if (r->large) {
        http_request_refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large\n");
    } else if (!buffer_ok(&r->body)) {
        http_request_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short\n");
    } else {
        s->options.handle(s->options.ctx, r);
    }
    if (r->answered)
        return http_request_send(r);
    r->deadline_ms = clock_mono_ms() + s->options.answer_ms;
    r->waiting = true;
    http_peer_asked(r->connection);
    MHD_suspend_connection(r->connection);
    return MHD_YES;
}

/* MHD calls it for the head of a request, for each part of its body, and again when it is resumed. */
static enum MHD_Result http_server_on_request(void *ctx, struct MHD_Connection *connection,
                                              const char *url, const char *method,
                                              const char *version, const char *data, size_t *size,
                                              void **request)
{
    struct http_server *s = ctx;
    struct http_request *r = *request;
    if (r == NULL) {
        *request = r = http_request_begin(s, connection);
        return r != NULL ? MHD_YES : MHD_NO;
    }
    r->method = method;
    r->path = url;
    r->old = strcmp(version, MHD_HTTP_VERSION_1_1) != 0;
    if (*size > 0) {
        http_request_take(r, slice_make(data, *size));
        *size = 0;
        return MHD_YES;
    }
    if (r->answered)
        return http_request_send(r);
    if (s->ending || r->handled)
        return MHD_NO; /* behind a request that was resumed for the end */
    return http_request_handle(r);
}

static void http_server_on_done(void *ctx, struct MHD_Connection *connection, void **request,
                                enum MHD_RequestTerminationCode how)
{
    (void)how;
    struct http_server *s = ctx;
    http_peer_answered(&s->clients, connection);
    struct http_request *r = *request;
    if (r == NULL)
        return;
    http_request_unlink(r);
    http_request_forget_body(r);
    buffer_fini(&r->headers);
    buffer_fini(&r->answer);
    if (r->file != NULL)
        MHD_destroy_response(r->file);
    if (r->upgraded != NULL)
        http_upgrade_drop(r->upgraded);
    free(r);
    *request = NULL;
}

/* ---- life ---- */

static void http_server_run_soon(void *ctx)
{
    http_server_run_in(ctx, 0);
}

static struct MHD_Daemon *http_server_open(struct http_server *s)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE, 0, NULL, NULL,
        http_server_on_request, s, MHD_OPTION_LISTEN_SOCKET, s->options.fd,
        MHD_OPTION_NOTIFY_COMPLETED, http_server_on_done, s, MHD_OPTION_NOTIFY_CONNECTION,
        http_clients_notify, &s->clients, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(HTTP_CLIENTS_MAX + HTTP_CLIENTS_RESERVE + s->options.streams_max),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->options.pool > 0 ? s->options.pool : HTTP_POOL_SIZE,
        MHD_OPTION_END);
}

int http_server_start(struct http_server *s, const struct http_server_options *options)
{
    s->options = *options;
    uv_timer_init(options->loop, &s->timer);
    uv_idle_init(options->loop, &s->again);
    s->poll.data = s->timer.data = s->again.data = s;
    s->streams = (struct http_streams){.max = options->streams_max,
                                       .stall_ms = options->stall_ms > 0 ? options->stall_ms
                                                                         : HTTP_STREAM_STALL_MS,
                                       .run = http_server_run_soon,
                                       .ctx = s};
    s->upgrades =
        (struct http_upgrades){.loop = options->loop, .run = http_server_run_soon, .ctx = s};
    s->daemon = http_server_open(s);
    const union MHD_DaemonInfo *info =
        s->daemon != NULL ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL)
        return -ENOMEM;
    int rc = uv_poll_init(options->loop, &s->poll, info->epoll_fd);
    if (rc != 0)
        return rc;
    uv_poll_start(&s->poll, UV_READABLE, http_server_on_poll);
    http_server_run(s);
    return 0;
}

/* Suspended connections must be resumed before MHD_stop_daemon (its manual); who waits is told nothing more. */
void http_server_stop(struct http_server *s)
{
    if (s->daemon == NULL)
        return;
    s->ending = true;
    for (struct http_request *r = s->requests; r != NULL; r = r->next)
        if (r->waiting)
            http_request_answer_text(r, MHD_HTTP_SERVICE_UNAVAILABLE, "");
    http_streams_end(&s->streams);
    http_upgrades_end(&s->upgrades);
    if (uv_is_active((uv_handle_t *)&s->poll))
        uv_poll_stop(&s->poll);
    MHD_run(s->daemon);
    http_server_run_in(s, UINT64_MAX); /* the loop turns on for a while: not into what is gone */
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
}
