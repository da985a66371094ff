/*
 * health.c: the health worker: /livez, /readyz and /metrics over HTTP, for probes and Prometheus.
 *
 * A process of its own, so that the master needs no HTTP and nobody's request can reach it. libmicrohttpd runs in our
 * loop (MHD_USE_EPOLL without a thread). Each question is put to the master (LOOK) and its answer is the answer's time,
 * not an older one's; a master whose loop does not answer is not alive, whatever its pid says. Only reads, and only
 * what platoonctl status would say; it never asks Redis or a store.
 */
#include "common/clock.h"
#include "common/fault.h"
#include "common/listen_address.h"
#include "common/log.h"
#include "common/process_usage.h"
#include "workers/health/health_clients.h"
#include "workers/health/health_metrics.h"
#include "workers/skeleton/worker.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

#define HEALTH_ANSWER_MS 2000 /* the master gets so long; probes time out soon after */
#define HEALTH_URL_MAX   64

/* What is asked for, and by whom. Lives from the request's first line to its end. */
struct health_question {
    struct health_question *next;
    struct MHD_Connection *connection;
    const struct health_page *page;
    uint64_t deadline_ms; /* clock_mono_ms */
    uint64_t look;        /* the answer it waits for */
    bool waiting;         /* suspended until the master answers */
    bool answered;
    unsigned status;
    struct buffer body;
};

struct health {
    struct worker *worker;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t again; /* MHD has more to do at once */
    struct health_question *questions;
    struct health_clients clients;
    bool ending; /* nobody is suspended any more */
    /*
     * One LOOK is out at a time: questions that come meanwhile wait for the next, whose answer is newer than they are.
     */
    uint64_t asked, seen; /* number of the last LOOK, and of the last answer */
};

struct health_page {
    const char *path, *type;
    void (*answer)(struct health_question *q, const struct link_tree *tree);
};

/* ---- the pages ---- */

static void health_answer_live(struct health_question *q, const struct link_tree *tree)
{
    (void)tree;
    q->status = MHD_HTTP_OK;
    buffer_append_text(&q->body, "ok\n");
}

static void health_answer_ready(struct health_question *q, const struct link_tree *tree)
{
    struct unpack u = unpack_start(tree->problems);
    uint32_t count = unpack_array(&u);
    q->status = count == 0 ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    if (count == 0)
        buffer_append_text(&q->body, "ready\n");
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice line = unpack_str(&u);
        if (!unpack_ok(&u))
            break;
        buffer_append_slice(&q->body, line);
        buffer_append_char(&q->body, '\n');
    }
}

/* We are a child of the master, as the others are. */
static uint64_t health_read_memory(uint64_t pid, bool family)
{
    struct process_usage usage;
    process_usage_read_child(getppid(), (pid_t)pid, family, &usage);
    return usage.rss_bytes;
}

static void health_answer_metrics(struct health_question *q, const struct link_tree *tree)
{
    struct unpack u = unpack_start(tree->problems);
    q->status = MHD_HTTP_OK;
    if (health_metrics(&q->body, tree->node, unpack_array(&u) == 0, tree->uptime_ms,
                       health_read_memory))
        return;
    buffer_clear(&q->body);
    q->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    buffer_append_text(&q->body, "the master's answer cannot be read, or memory is short\n");
}

#define HEALTH_TEXT "text/plain; charset=utf-8"

static const struct health_page health_pages[] = {
    {"/livez", HEALTH_TEXT, health_answer_live},
    {"/readyz", HEALTH_TEXT, health_answer_ready},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", health_answer_metrics},
};

static const struct health_page *health_find_page(const char *url)
{
    for (size_t i = 0; i < sizeof health_pages / sizeof health_pages[0]; i++)
        if (strcmp(url, health_pages[i].path) == 0)
            return &health_pages[i];
    return NULL;
}

/* ---- MHD in our loop ---- */

static void health_run(struct health *h);

static void health_on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    health_run(poll->data);
}

static void health_expire(struct health *h);

static void health_on_timer(uv_timer_t *timer)
{
    health_expire(timer->data);
    health_run(timer->data);
}

static void health_on_again(uv_idle_t *again)
{
    health_expire(again->data);
    health_run(again->data);
}

/* Not by a timer of 0 ms: the loop would come to nothing else, the master's answers among it. */
static void health_run_in(struct health *h, uint64_t ms)
{
    uv_idle_stop(&h->again);
    uv_timer_stop(&h->timer);
    if (ms == 0)
        uv_idle_start(&h->again, health_on_again);
    else if (ms != UINT64_MAX)
        uv_timer_start(&h->timer, health_on_timer, ms, 0);
}

/* The time until something must happen: MHD's own, a client's end, or a question that waits too long. */
static void health_run(struct health *h)
{
    MHD_UNSIGNED_LONG_LONG own;
    h->clients.turn++;
    MHD_run(h->daemon);
    uint64_t now = clock_mono_ms(), due = health_clients_expire(&h->clients);
    if (MHD_get_timeout(h->daemon, &own) == MHD_YES && own < due)
        due = own;
    for (struct health_question *q = h->questions; q != NULL; q = q->next)
        if (q->waiting)
            due = q->deadline_ms <= now        ? 0
                  : q->deadline_ms - now < due ? q->deadline_ms - now
                                               : due;
    health_run_in(h, due);
}

static void health_resume(struct health *h, struct health_question *q)
{
    q->waiting = false;
    q->answered = true;
    health_client_reads(&h->clients, q->connection);
    MHD_resume_connection(q->connection);
}

static void health_expire(struct health *h)
{
    uint64_t now = clock_mono_ms();
    for (struct health_question *q = h->questions; q != NULL; q = q->next) {
        if (!q->waiting || q->deadline_ms > now)
            continue;
        q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        buffer_printf(&q->body, "the master has not answered for %d ms\n", HEALTH_ANSWER_MS);
        health_resume(h, q);
    }
}

static void health_on_tree(struct worker *w, void *state, const struct link_tree *tree)
{
    struct health *h = state;
    bool more = false;
    h->seen = tree->id;
    for (struct health_question *q = h->questions; q != NULL; q = q->next) {
        more = more || (q->waiting && q->look > h->seen);
        if (!q->waiting || q->look > h->seen)
            continue;
        q->page->answer(q, tree);
        health_resume(h, q);
    }
    if (more)
        worker_look(w, ++h->asked);
    health_run(h);
}

/* ---- requests ---- */

static enum MHD_Result health_send(struct MHD_Connection *connection, unsigned status,
                                   struct slice body, const char *type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result health_refuse(struct MHD_Connection *connection, unsigned status,
                                     const char *text)
{
    return health_send(connection, status, slice_of(text), HEALTH_TEXT);
}

static void health_ask(struct health *h, struct health_question *q)
{
    q->deadline_ms = clock_mono_ms() + HEALTH_ANSWER_MS;
    q->waiting = true;
    health_client_asked(q->connection);
    MHD_suspend_connection(q->connection);
    worker_count(h->worker, COUNTER_REQUESTS, 1);
    q->look = h->asked + 1;
    if (h->asked == h->seen)
        worker_look(h->worker, ++h->asked);
}

static struct health_question *health_begin(struct health *h, struct MHD_Connection *connection)
{
    struct health_question *q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    q->connection = connection;
    q->next = h->questions;
    h->questions = q;
    return q;
}

/* MHD calls it for the head of a request, for each part of its body, and again when it is resumed. */
static enum MHD_Result health_on_request(void *ctx, struct MHD_Connection *connection,
                                         const char *url, const char *method, const char *version,
                                         const char *data, size_t *size, void **request)
{
    (void)version;
    (void)data;
    struct health_question *q = *request;
    if (q == NULL) {
        *request = q = health_begin(ctx, connection);
        return q != NULL ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        *size = 0; /* a body is read over */
        return MHD_YES;
    }
    if (q->answered) {
        struct slice body = buffer_ok(&q->body) ? buffer_slice(&q->body) : slice_of("");
        return health_send(connection,
                           buffer_ok(&q->body) ? q->status : MHD_HTTP_INTERNAL_SERVER_ERROR, body,
                           q->page->type);
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return health_refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    q->page = health_find_page(url);
    if (q->page == NULL)
        return health_refuse(connection, MHD_HTTP_NOT_FOUND,
                             "there are /livez, /readyz and /metrics\n");
    struct health *h = ctx;
    if (h->ending)
        return MHD_NO; /* behind a request that was resumed for the end */
    health_ask(h, q);
    return MHD_YES;
}

static void health_on_done(void *ctx, struct MHD_Connection *connection, void **request,
                           enum MHD_RequestTerminationCode how)
{
    (void)how;
    struct health *h = ctx;
    health_client_answered(&h->clients, connection);
    struct health_question *q = *request, **at = &h->questions;
    if (q == NULL)
        return;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    buffer_fini(&q->body);
    free(q);
    *request = NULL;
}

/* ---- life ---- */

static struct MHD_Daemon *health_start(struct health *h, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, health_on_request, h,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, health_on_done, h,
        MHD_OPTION_NOTIFY_CONNECTION, health_clients_notify, &h->clients,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(HEALTH_CLIENTS_MAX + HEALTH_CLIENTS_RESERVE),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(16 * 1024), MHD_OPTION_END);
}

/* Lets our loop run MHD. False after worker_trouble: the kernel may refuse one more watch. */
static bool health_watch(struct health *h, int epoll_fd)
{
    int rc = FAULT_POINT("health.before-poll", slice_of(""))
                 ? UV_ENOSPC
                 : uv_poll_init(worker_loop(h->worker), &h->poll, epoll_fd);
    if (rc != 0) {
        worker_trouble(h->worker,
                       "the HTTP server cannot be watched: %s: memory, files or fs.epoll."
                       "max_user_watches are short",
                       uv_strerror(rc));
        return false;
    }
    uv_timer_init(worker_loop(h->worker), &h->timer);
    uv_idle_init(worker_loop(h->worker), &h->again);
    h->poll.data = h->timer.data = h->again.data = h;
    uv_poll_start(&h->poll, UV_READABLE, health_on_poll);
    return true;
}

static int health_init(struct worker *w, void *state)
{
    struct health *h = state;
    struct listen_address address;
    h->worker = w;
    const char *listen = worker_setting_text(w, "health.listen");
    int fd = listen_address_parse(listen, &address);
    struct buffer why = BUFFER_EMPTY;
    if (fd == 0)
        fd = listen_address_open(&address, &why);
    const char *who = why.len > 0 ? buffer_text(&why) : NULL;
    if (who != NULL)
        worker_trouble(w, "health: %s: %s: choose a place that is root's or ours alone", listen,
                       who);
    else if (fd < 0 && contract_is_shortage(-fd))
        worker_exit_for(w, -fd, listen, "cannot listen on %s", listen);
    else if (fd < 0)
        worker_trouble(w, "cannot listen on %s: %s: choose another address, or end what uses it",
                       listen, uv_strerror(fd));
    buffer_fini(&why);
    if (fd < 0)
        return CONTRACT_EXIT_TEMPORARY;
    h->daemon = health_start(h, fd);
    const union MHD_DaemonInfo *info =
        h->daemon != NULL ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL) {
        worker_trouble(w, "the HTTP server cannot start: memory or files are short");
        return CONTRACT_EXIT_SHORT;
    }
    if (!health_watch(h, info->epoll_fd))
        return CONTRACT_EXIT_SHORT;
    worker_doing(w, "listens on %s", listen);
    health_run(h);
    return 0;
}

/* Suspended connections must be resumed before MHD_stop_daemon (its manual); who waits is told nothing more. */
static void health_fini(struct worker *w, void *state)
{
    struct health *h = state;
    (void)w;
    if (h->daemon == NULL)
        return;
    h->ending = true;
    for (struct health_question *q = h->questions; q != NULL; q = q->next) {
        if (!q->waiting)
            continue;
        q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        health_resume(h, q);
    }
    uv_poll_stop(&h->poll);
    MHD_run(h->daemon);
    health_run_in(h, UINT64_MAX); /* the loop turns on for a while: not into what is gone */
    MHD_stop_daemon(h->daemon);
}

const struct worker_ops worker_ops = {
    .type = "health",
    .state_size = sizeof(struct health),
    .init = health_init,
    .on_tree = health_on_tree,
    .fini = health_fini,
};
