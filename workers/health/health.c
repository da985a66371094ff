/*
 * health.c: the health worker: /livez, /readyz and /metrics over HTTP, for probes and Prometheus.
 *
 * A process of its own, so that the master needs no HTTP and nobody's request can reach it. Each question is put to
 * the master (LOOK) and its answer is the answer's time, not an older one's; a master whose loop does not answer is
 * not alive, whatever its pid says. Only reads, and only what platoonctl status would say; it never asks Redis or a
 * store.
 */
#include "common/fault.h"
#include "common/http/http_server.h"
#include "common/listen_address.h"
#include "common/log.h"
#include "common/process_usage.h"
#include "workers/health/health_metrics.h"
#include "workers/skeleton/worker.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

#define HEALTH_ANSWER_MS 2000 /* the master gets so long; probes time out soon after */

/* What is asked for, and by whom, until it is answered. */
struct health_question {
    struct health_question *next;
    struct http_request *request;
    const struct health_page *page;
    uint64_t look; /* the answer it waits for */
};

struct health {
    struct worker *worker;
    struct http_server server;
    struct health_question *questions;
    /*
     * One LOOK is out at a time: questions that come meanwhile wait for the next, whose answer is newer than they are.
     */
    uint64_t asked, seen; /* number of the last LOOK, and of the last answer */
};

struct health_page {
    const char *path, *type;
    /* Writes the page, and returns its status. */
    unsigned (*answer)(struct buffer *body, const struct link_tree *tree);
};

/* ---- the pages ---- */

static unsigned health_answer_live(struct buffer *body, const struct link_tree *tree)
{
    (void)tree;
    buffer_append_text(body, "ok\n");
    return MHD_HTTP_OK;
}

static unsigned health_answer_ready(struct buffer *body, const struct link_tree *tree)
{
    struct unpack u = unpack_start(tree->problems);
    uint32_t count = unpack_array(&u);
    if (count == 0)
        buffer_append_text(body, "ready\n");
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice line = unpack_str(&u);
        if (!unpack_ok(&u))
            break;
        buffer_append_slice(body, line);
        buffer_append_char(body, '\n');
    }
    return count == 0 ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* We are a child of the master, as the others are. */
static uint64_t health_read_memory(uint64_t pid, bool family)
{
    struct process_usage usage;
    process_usage_read_child(getppid(), (pid_t)pid, family, &usage);
    return usage.rss_bytes;
}

static unsigned health_answer_metrics(struct buffer *body, const struct link_tree *tree)
{
    struct unpack u = unpack_start(tree->problems);
    if (health_metrics(body, tree->node, unpack_array(&u) == 0, tree->uptime_ms,
                       health_read_memory))
        return MHD_HTTP_OK;
    buffer_clear(body);
    buffer_append_text(body, "the master's answer cannot be read, or memory is short\n");
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
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

/* ---- requests ---- */

/* Takes it out of those that wait, and answers it. */
static void health_end(struct health *h, struct health_question *q, unsigned status,
                       const struct buffer *body)
{
    struct health_question **at = &h->questions;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    http_request_answer(q->request, status, q->page->type, body);
    free(q);
}

static void health_on_tree(struct worker *w, void *state, const struct link_tree *tree)
{
    struct health *h = state;
    struct buffer body = BUFFER_EMPTY;
    h->seen = tree->id;
    for (struct health_question *q = h->questions, *next; q != NULL; q = next) {
        next = q->next;
        if (q->look > h->seen)
            continue;
        buffer_clear(&body);
        unsigned status = q->page->answer(&body, tree);
        health_end(h, q, status, &body);
    }
    buffer_fini(&body);
    if (h->questions != NULL)
        worker_look(w, ++h->asked);
}

static void health_on_late(void *ctx, struct http_request *r)
{
    struct buffer body = BUFFER_EMPTY;
    buffer_printf(&body, "the master has not answered for %d ms\n", HEALTH_ANSWER_MS);
    health_end(ctx, http_request_kept(r), MHD_HTTP_SERVICE_UNAVAILABLE, &body);
    buffer_fini(&body);
}

static void health_ask(struct health *h, struct http_request *r, const struct health_page *page)
{
    struct health_question *q = calloc(1, sizeof *q);
    if (q == NULL) {
        http_request_answer_text(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "memory is short\n");
        return;
    }
    *q = (struct health_question){h->questions, r, page, h->asked + 1};
    h->questions = q;
    http_request_keep(r, q);
    worker_count(h->worker, COUNTER_REQUESTS, 1);
    if (h->asked == h->seen)
        worker_look(h->worker, ++h->asked);
}

static void health_on_request(void *ctx, struct http_request *r)
{
    const char *method = http_request_method(r);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        http_request_add(r, "Allow", "GET, HEAD");
        http_request_answer_text(r, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        return;
    }
    const struct health_page *page = health_find_page(http_request_path(r));
    if (page == NULL)
        http_request_answer_text(r, MHD_HTTP_NOT_FOUND, "there are /livez, /readyz and /metrics\n");
    else
        health_ask(ctx, r, page);
}

/* ---- life ---- */

/* 0 or an exit code, after worker_trouble: memory or files are short, the kernel may refuse one more watch. */
static int health_start(struct health *h, int fd)
{
    struct http_server_options options = {
        .loop = worker_loop(h->worker),
        .fd = fd,
        .answer_ms = HEALTH_ANSWER_MS,
        .handle = health_on_request,
        .late = health_on_late,
        .ctx = h,
    };
    int rc = FAULT_POINT("health.before-poll", slice_of(""))
                 ? UV_ENOSPC
                 : http_server_start(&h->server, &options);
    if (rc == 0)
        return 0;
    if (rc == UV_ENOMEM)
        worker_trouble(h->worker, "the HTTP server cannot start: memory or files are short");
    else
        worker_trouble(h->worker,
                       "the HTTP server cannot be watched: %s: memory, files or fs.epoll."
                       "max_user_watches are short",
                       uv_strerror(rc));
    return CONTRACT_EXIT_SHORT;
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
        worker_trouble(w, "cannot listen on %s: %s: %s", listen, uv_strerror(fd),
                       listen_address_remedy(-fd));
    buffer_fini(&why);
    if (fd < 0)
        return CONTRACT_EXIT_TEMPORARY;
    int rc = health_start(h, fd);
    if (rc != 0)
        return rc;
    worker_doing(w, "listens on %s", listen);
    return 0;
}

static void health_fini(struct worker *w, void *state)
{
    struct health *h = state;
    (void)w;
    http_server_stop(&h->server);
    for (struct health_question *q = h->questions, *next; q != NULL; q = next) {
        next = q->next;
        free(q);
    }
    h->questions = NULL;
}

const struct worker_ops worker_ops = {
    .type = "health",
    .state_size = sizeof(struct health),
    .init = health_init,
    .on_tree = health_on_tree,
    .fini = health_fini,
};
