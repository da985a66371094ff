/*
 * web_git.c: clone and fetch over HTTP, by git's own http-backend. See web_private.h, web_cgi.h.
 *
 * A program each, a few at once: its answer goes on to who asks as it comes, and it waits for him. It only reads, and
 * is told so: what would push is no route of ours, and git itself would refuse it. Dumb HTTP, which serves the files as
 * they lie, is none either: it knows no shallow history, and would break off where the oldest versions were cut off.
 */
#include "workers/snapshot/web/web_private.h"

#include "common/child_run.h"
#include "common/fault.h"
#include "common/log.h"
#include "workers/snapshot/web/web_cgi.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define GIT_MS       600000u /* a clone may take long */
#define GIT_BRIEF_MS 2000u   /* for tests */
#define GIT_STOP_MS  5000u
#define GIT_AHEAD    262144u /* so much of its answer is here before it waits */
#define GIT_HEARD    4096u

#define GIT_VARIABLES 13

struct web_git {
    struct web_wait wait; /* until it is answered */
    struct web_git *prev, *next;
    struct web_served *s;
    struct child_run *run; /* NULL: it has ended */
    struct http_stream *stream;
    struct buffer bytes; /* of its answer, from `at` on */
    size_t at;
    struct buffer heard; /* its standard error */
    bool waits;          /* the request has no answer yet, */
    unsigned refused;    /* and gets this one, when it has said why */
    bool broken;         /* what was told is not all */
    bool gone;           /* nobody reads it */
};

/* ---- life ---- */

static void git_free(struct web_git *g)
{
    struct web *web = g->s->web;
    if (g->prev != NULL)
        g->prev->next = g->next;
    else
        web->gits = g->next;
    if (g->next != NULL)
        g->next->prev = g->prev;
    buffer_fini(&g->bytes);
    buffer_fini(&g->heard);
    free(g);
}

/* Nobody waits for it. */
static void git_leave(struct web_git *g)
{
    g->gone = true;
    g->waits = false;
    g->stream = NULL;
    if (g->run == NULL) {
        git_free(g);
        return;
    }
    child_run_resume(g->run);
    child_run_stop(g->run);
}

static void git_on_late(struct web_wait *wait)
{
    git_leave((struct web_git *)wait);
}

void web_git_fini(struct web *web)
{
    while (web->gits != NULL) {
        struct web_git *g = web->gits;
        child_run_abandon(g->run);
        git_free(g);
    }
}

/* ---- its answer ---- */

static ssize_t git_on_read(void *ctx, char *to, size_t max)
{
    struct web_git *g = ctx;
    size_t left = g->bytes.len - g->at, len = left < max ? left : max;
    if (len == 0)
        return g->run != NULL ? 0 : g->broken ? HTTP_STREAM_BREAK : HTTP_STREAM_END;
    memcpy(to, g->bytes.data + g->at, len);
    g->at += len;
    if (g->at == g->bytes.len) {
        buffer_clear(&g->bytes);
        g->at = 0;
        if (g->run != NULL)
            child_run_resume(g->run);
    }
    return (ssize_t)len;
}

static void git_on_gone(void *ctx)
{
    git_leave(ctx);
}

static void git_fail(struct web_git *g, unsigned status, const char *why)
{
    struct http_request *r = g->wait.r;
    http_request_keep(r, NULL);
    g->waits = false;
    web_fail(r, status, "git http-backend: %s", why);
}

/* Its head is here. */
static void git_answer(struct web_git *g, const struct web_cgi_head *head)
{
    struct http_request *r = g->wait.r;
    const struct http_stream_source source = {git_on_read, git_on_gone, g};
    g->at = head->len;
    if (head->status != MHD_HTTP_OK) {
        g->refused = head->status;
        return;
    }
    http_request_keep(r, NULL);
    g->waits = false;
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    g->stream = http_request_answer_stream(r, MHD_HTTP_OK, head->type, &source);
}

static void git_on_out(void *ctx, struct slice bytes)
{
    struct web_git *g = ctx;
    struct web_cgi_head head;
    if (g->gone || g->refused != 0 || g->broken)
        return;
    buffer_append_slice(&g->bytes, bytes);
    g->broken = !buffer_ok(&g->bytes);
    if (g->broken) {
        buffer_reset(&g->bytes, 0);
        g->at = 0;
        child_run_stop(g->run);
    } else if (g->waits) {
        enum web_cgi how = web_cgi_read(buffer_slice(&g->bytes), &head);
        g->broken = how == WEB_CGI_WRONG;
        if (how == WEB_CGI_READ)
            git_answer(g, &head);
    } else {
        http_stream_wake(g->stream);
    }
    if (!g->gone && g->stream != NULL && g->bytes.len - g->at >= GIT_AHEAD)
        child_run_pause(g->run);
}

static void git_on_err(void *ctx, struct slice bytes)
{
    struct web_git *g = ctx;
    buffer_append_slice(&g->heard, bytes);
    if (!buffer_ok(&g->heard))
        buffer_reset(&g->heard, 0);
    if (g->heard.len > GIT_HEARD)
        buffer_consume(&g->heard, g->heard.len - GIT_HEARD);
}

/* The first line that it has said. */
static void git_why(const struct web_git *g, const struct child_run_end *end, char *why, size_t max)
{
    const char *lf = g->heard.len > 0 ? memchr(g->heard.data, '\n', g->heard.len) : NULL;
    size_t len = lf != NULL ? (size_t)(lf - g->heard.data) : g->heard.len;
    if (end->timed_out)
        snprintf(why, max, "has not ended in time, and was killed");
    else if (len > 0)
        snprintf(why, max, "%.*s", (int)len, g->heard.data);
    else if (WIFSIGNALED(end->status))
        snprintf(why, max, "was killed by signal %d", WTERMSIG(end->status));
    else
        snprintf(why, max, "exit %d, and it says nothing", WEXITSTATUS(end->status));
}

static void git_on_end(void *ctx, const struct child_run_end *end)
{
    struct web_git *g = ctx;
    char why[512];
    g->run = NULL;
    g->broken = g->broken || end->timed_out || end->status != 0;
    git_why(g, end, why, sizeof why);
    if ((g->broken || g->waits) && !g->gone)
        log_warn("web-git", "store=%s error=\"%s\"", g->s->data.name, why);
    if (g->waits)
        git_fail(g, g->refused == MHD_HTTP_FORBIDDEN ? g->refused : MHD_HTTP_SERVICE_UNAVAILABLE,
                 why);
    if (g->stream != NULL)
        http_stream_wake(g->stream);
    else
        git_free(g);
}

/* ---- its start ---- */

struct git_environment {
    char texts[GIT_VARIABLES][PATH_MAX + 64];
    char *list[GIT_VARIABLES + 1];
    size_t count;
};

/* What is longer than there is room for is left out: git does without. */
static void git_let(struct git_environment *e, const char *name, const char *value)
{
    char *text = e->texts[e->count];
    if (value == NULL ||
        (size_t)snprintf(text, sizeof e->texts[0], "%s=%s", name, value) >= sizeof e->texts[0])
        return;
    e->list[e->count++] = text;
    e->list[e->count] = NULL;
}

static void git_environment_make(struct git_environment *e, const struct web_served *s,
                                 struct http_request *r, const char *what)
{
    char length[24];
    memset(e, 0, sizeof *e);
    snprintf(length, sizeof length, "%zu", http_request_body(r).len);
    git_let(e, "PATH", getenv("PATH"));
    git_let(e, "LC_ALL", "C");
    git_let(e, "GIT_CONFIG_NOSYSTEM", "1");
    git_let(e, "GIT_CONFIG_GLOBAL", "/dev/null");
    git_let(e, "GIT_HTTP_EXPORT_ALL", "1");
    git_let(e, "GIT_PROJECT_ROOT", s->path);
    git_let(e, "PATH_INFO", what);
    git_let(e, "REQUEST_METHOD", http_request_method(r));
    git_let(e, "QUERY_STRING", "service=git-upload-pack");
    git_let(e, "CONTENT_TYPE", http_request_header(r, "Content-Type"));
    git_let(e, "CONTENT_LENGTH", length);
    git_let(e, "HTTP_CONTENT_ENCODING", http_request_header(r, "Content-Encoding"));
    git_let(e, "GIT_PROTOCOL", http_request_header(r, "Git-Protocol"));
}

static int git_start(struct web_git *g, struct http_request *r, const char *what)
{
    static struct git_environment environment;
    static const char *const argv[] = {"git",
                                       "-c",
                                       "safe.directory=*",
                                       "-c",
                                       "http.receivepack=false",
                                       "-c",
                                       "http.getanyfile=false",
                                       "http-backend",
                                       NULL};
    git_environment_make(&environment, g->s, r, what);
    const struct child_run_options options = {
        .child = {.argv = argv, .environment = environment.list},
        .input = http_request_body(r),
        .timeout_ms = FAULT_POINT("web.git-brief", slice_of("")) ? GIT_BRIEF_MS : GIT_MS,
        .stop_timeout_ms = GIT_STOP_MS,
        .beside = true,
        .on_out = git_on_out,
        .on_err = git_on_err,
        .on_end = git_on_end,
        .ctx = g};
    return child_run_start(worker_loop(g->s->web->w), &options, &g->run);
}

static size_t git_count(const struct web *web)
{
    size_t count = 0;
    for (const struct web_git *g = web->gits; g != NULL; g = g->next)
        count++;
    return count;
}

void web_git(struct web_served *s, struct http_request *r, const char *what)
{
    struct web_git *g = git_count(s->web) < WEB_PROGRAMS_MAX ? calloc(1, sizeof *g) : NULL;
    if (g == NULL) {
        http_request_add(r, "Retry-After", "1");
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE,
                 "%d are served by git already, or memory is short: try again", WEB_PROGRAMS_MAX);
        return;
    }
    g->s = s;
    g->next = s->web->gits;
    if (g->next != NULL)
        g->next->prev = g;
    s->web->gits = g;
    web_wait_begin(&g->wait, s->web, r, git_on_late);
    g->waits = true;
    int rc = git_start(g, r, what);
    if (rc == 0)
        return;
    git_fail(g, MHD_HTTP_SERVICE_UNAVAILABLE,
             rc == -ENOENT ? "git is not installed" : strerror(-rc));
    git_free(g);
}
