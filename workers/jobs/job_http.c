/* job_http.c: who may ask, and how an answer looks; its routes are job_http_routes.c. See job_http.h. */
#include "workers/jobs/job_http.h"

#include "common/http/http_guard.h"
#include "common/http/http_static.h"
#include "common/json/json_text.h"
#include "common/json/json_value.h"
#include "common/listen_address.h"
#include "common/secret_file.h"
#include "workers/jobs/job_http_private.h"

#include <errno.h>
#include <stdlib.h>

#define HTTP_JSON        "application/json"
#define HTTP_TYPE        "application/json; charset=utf-8"
#define HTTP_RETRY_AFTER "5" /* seconds */

/* ---- answers ---- */

static void http_add_headers(const struct job_http *h, struct http_request *r)
{
    if (h->cors[0] != '\0')
        http_request_add(r, "Access-Control-Allow-Origin", h->cors);
    if (h->cors[0] != '\0' && strcmp(h->cors, "*") != 0)
        http_request_add(r, "Vary", "Origin");
    http_request_add(r, "Access-Control-Allow-Methods", "OPTIONS,GET,POST,PUT,DELETE");
    http_request_add(r, "Access-Control-Allow-Headers",
                     h->token[0] != '\0' ? "Origin, Accept, Content-Type, Authorization"
                                         : "Origin, Accept, Content-Type");
}

/* Takes both; `beside` are further members, NULL for none. A missing message is memory that is short: 500. */
static void http_answer(struct http_request *r, unsigned status, json_t *message, json_t *beside)
{
    struct buffer body = BUFFER_EMPTY;
    json_t *all =
        json_pack("{s:s,s:o}", "status", status < 300 ? "Success" : "Failed", "message", message);
    if (beside != NULL)
        json_object_update(all, beside);
    char *text = all != NULL ? json_text(all) : NULL;
    if (text != NULL)
        buffer_append_text(&body, text);
    else
        body.failed = true;
    if (status == 503)
        http_request_add(r, "Retry-After", HTTP_RETRY_AFTER);
    http_request_answer(r, status, HTTP_TYPE, &body);
    free(text);
    json_decref(all);
    json_decref(beside);
    buffer_fini(&body);
}

void job_http_fail(struct http_request *r, unsigned status, const char *message)
{
    http_answer(r, status, json_string(message), NULL);
}

/* ---- a question that has become a call ---- */

struct job_http_asked {
    struct job_http_asked *prev, *next;
    struct job_http *h;
    struct http_request *r; /* NULL: it has been answered, for it took too long */
    const struct job_http_shape *shape;
};

static void asked_free(struct job_http_asked *a)
{
    if (a->prev != NULL)
        a->prev->next = a->next;
    else
        a->h->first = a->next;
    if (a->next != NULL)
        a->next->prev = a->prev;
    free(a);
}

static unsigned http_status(enum job_call_status status)
{
    switch (status) {
    case JOB_CALL_OK:
    case JOB_CALL_NOW:
        return 200;
    case JOB_CALL_NO_PLATFORM:
    case JOB_CALL_BROKEN:
    case JOB_CALL_INVALID:
        return 400;
    case JOB_CALL_NO_JOB:
        return 404;
    case JOB_CALL_OTHER:
        return 422;
    case JOB_CALL_WAITS:
    case JOB_CALL_AWAY:
        break;
    }
    return 503;
}

static void asked_answer_ok(struct job_http_asked *a, struct job_call *call)
{
    json_t *value = NULL, *beside = NULL;
    int rc = json_value_unpack(buffer_slice(&call->body), UNPACK_DEPTH_MAX, &value);
    if (rc == 0 && a->shape->text != NULL) {
        struct buffer body = BUFFER_EMPTY;
        a->shape->text(value, &body);
        http_request_answer(a->r, 200, "text/plain; charset=utf-8", &body);
        buffer_fini(&body);
        json_decref(value);
        return;
    }
    if (rc == 0 && a->shape->json != NULL)
        value = a->shape->json(value, &beside);
    http_answer(a->r, 200, value, beside);
}

static void asked_on_done(struct job_call *call, enum job_call_status status, void *owner)
{
    struct job_http_asked *a = owner;
    if (a->r != NULL) {
        http_request_keep(a->r, NULL);
        if (status == JOB_CALL_OK)
            asked_answer_ok(a, call);
        else if (status == JOB_CALL_NO_PLATFORM)
            job_http_fail(a->r, 400, "Missing or invalid platform_id");
        else if (status == JOB_CALL_AWAY && a->shape->away != NULL)
            http_answer(a->r, 503, a->shape->away(), NULL);
        else
            job_http_fail(a->r, http_status(status), call->why);
    }
    asked_free(a);
}

void job_http_ask(struct job_http *h, struct http_request *r, const struct job_call_verb *verb,
                  const struct slice *args, const struct job_http_shape *shape)
{
    struct job_http_asked *a = calloc(1, sizeof *a);
    if (a == NULL) {
        job_http_fail(r, 503, "memory is short: try again");
        return;
    }
    *a = (struct job_http_asked){.h = h, .r = r, .shape = shape, .next = h->first};
    if (h->first != NULL)
        h->first->prev = a;
    h->first = a;
    http_request_keep(r, a);
    if (job_call_start(h->calls, verb, args, asked_on_done, a) == 0)
        return;
    http_request_keep(r, NULL);
    asked_free(a);
    job_http_fail(r, 503, "memory is short: try again");
}

static void http_on_late(void *ctx, struct http_request *r)
{
    struct job_http *h = ctx;
    struct job_http_asked *a = http_request_kept(r);
    char why[256] = "there was no answer in time: whether it was done is unknown";
    if (a != NULL)
        a->r = NULL;
    job_http_follow_no_more(h, r);
    redis_link_late(&h->calls->redis.link, why, sizeof why);
    job_http_fail(r, 503, why);
}

static void http_on_refuse(void *ctx, struct http_request *r, unsigned status, const char *text)
{
    struct slice line = slice_of(text);
    char message[128];
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (!slice_copy(line, message, sizeof message))
        message[0] = '\0';
    http_add_headers(ctx, r);
    job_http_fail(r, status, message);
}

/* ---- who may ask ---- */

static bool http_may_post(const struct job_http *h, struct http_request *r)
{
    const char *host = http_request_header(r, "Host"), *origin = http_request_header(r, "Origin");
    const char *why = NULL;
    if (!http_guard_origin(origin, host, h->cors))
        why = "a page of another origin must not ask this: it is neither ours nor `cors`";
    else if (h->token[0] == '\0' && !h->unix_socket && !http_guard_host_is_local(host))
        why = "without a token this is for this machine only, and Host names another";
    if (why != NULL)
        job_http_fail(r, 403, why);
    else if (!http_guard_type(http_request_header(r, "Content-Type"), HTTP_JSON))
        job_http_fail(r, 415, "the body of a POST is " HTTP_JSON);
    else
        return true;
    return false;
}

static void http_static(const struct job_http *h, struct http_request *r)
{
    struct http_static file;
    int rc = http_static_open(h->folder, http_request_path(r), &file);
    if (rc == 0)
        http_request_answer_file(r, 200, file.type, file.fd, file.size);
    else if (rc == -ENOENT)
        job_http_fail(r, 404, "there is nothing of that name");
    else
        job_http_fail(r, 503, strerror(-rc));
}

static void http_route(struct job_http *h, struct http_request *r,
                       const struct job_http_route *route, bool post)
{
    json_t *body = NULL;
    struct slice text = http_request_body(r);
    json_error_t error;
    if (post && text.len > 0) {
        body = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(body)) {
            char where[JSON_TEXT_WHY], why[JSON_TEXT_WHY + 32];
            snprintf(why, sizeof why, "Invalid JSON: %s",
                     body == NULL ? json_text_why(&error, where) : "an object is wanted");
            json_decref(body);
            job_http_fail(r, 400, why);
            return;
        }
    }
    (post ? route->post : route->get)(h, r, body);
    json_decref(body);
}

static void http_on_request(void *ctx, struct http_request *r)
{
    struct job_http *h = ctx;
    const char *method = http_request_method(r);
    const struct job_http_route *route = job_http_find(http_request_path(r));
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0,
         post = strcmp(method, "POST") == 0;
    worker_count(h->calls->w, COUNTER_REQUESTS, 1);
    http_add_headers(h, r);
    if (strcmp(method, "OPTIONS") == 0) {
        http_request_answer_text(r, 200, "");
    } else if (worker_stopping(h->calls->w)) {
        job_http_fail(r, 503, "the collector ends: try again");
    } else if (route == NULL && get && h->folder[0] != '\0') {
        http_static(h, r); /* a page has no token yet when it is loaded */
    } else if (route == NULL) {
        job_http_fail(r, 404, "there is nothing of that name");
    } else if (!(get && route->get != NULL) && !(post && route->post != NULL)) {
        http_request_add(r, "Allow",
                         route->post == NULL  ? "GET, HEAD, OPTIONS"
                         : route->get == NULL ? "POST, OPTIONS"
                                              : "GET, HEAD, POST, OPTIONS");
        job_http_fail(r, 405, "that is not for this method");
    } else if (h->token[0] != '\0' &&
               !http_guard_token(http_request_header(r, "Authorization"), slice_of(h->token))) {
        http_request_add(r, "WWW-Authenticate", "Bearer");
        job_http_fail(r, 401, "Authorization: Bearer TOKEN is wanted, and that of token_file");
    } else if (!post || http_may_post(h, r)) {
        http_route(h, r, route, post);
    }
}

/* ---- life ---- */

static const char *http_setting(const struct worker *w, const char *name)
{
    const char *text = worker_setting(w, name);
    return text != NULL ? text : "";
}

static int http_listen(struct job_http *h, const char *listen)
{
    struct worker *w = h->calls->w;
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    int fd = listen_address_parse(listen, &address);
    if (fd == 0)
        fd = listen_address_open(&address, &why);
    const char *who = why.len > 0 ? buffer_text(&why) : NULL;
    if (who != NULL)
        worker_trouble(w, "listen: %s: %s: choose a place that is root's or ours alone", listen,
                       who);
    else if (fd < 0 && contract_is_shortage(-fd))
        worker_exit_for(w, -fd, listen, "cannot listen on %s", listen);
    else if (fd < 0)
        worker_trouble(w, "cannot listen on %s: %s: %s", listen, uv_strerror(fd),
                       listen_address_remedy(-fd));
    buffer_fini(&why);
    h->unix_socket = fd >= 0 && address.address.ss_family == AF_UNIX;
    return fd;
}

static int http_start(struct job_http *h, int fd)
{
    struct worker *w = h->calls->w;
    const struct http_server_options options = {.loop = worker_loop(w),
                                                .fd = fd,
                                                .body_max = JOB_HTTP_BODY_MAX,
                                                .answer_ms = JOB_HTTP_ANSWER_MS,
                                                .streams_max = JOB_HTTP_TAILS_MAX,
                                                .handle = http_on_request,
                                                .late = http_on_late,
                                                .refuse = http_on_refuse,
                                                .ctx = h};
    h->open = true;
    int rc = http_server_start(&h->server, &options);
    if (rc == 0)
        return 0;
    worker_trouble(w,
                   "the HTTP server cannot start: %s: memory, files or fs.epoll.max_user_watches "
                   "are short",
                   uv_strerror(rc));
    return CONTRACT_EXIT_SHORT;
}

int job_http_open(struct job_http *h, struct job_calls *calls)
{
    struct worker *w = calls->w;
    const char *listen = http_setting(w, "jobs.listen"),
               *token = http_setting(w, "jobs.token_file");
    char why[512];
    h->calls = calls;
    h->cors = http_setting(w, "jobs.cors");
    h->folder = http_setting(w, "jobs.static");
    if (listen[0] == '\0')
        return 0;
    if (token[0] != '\0' &&
        secret_file_read_private(token, "token", h->token, sizeof h->token, why, sizeof why) != 0) {
        worker_trouble(w, "token_file: %s", why);
        return CONTRACT_EXIT_CONFIG;
    }
    uv_timer_init(worker_loop(w), &h->timer);
    h->timer.data = h;
    int fd = http_listen(h, listen);
    return fd < 0 ? CONTRACT_EXIT_TEMPORARY : http_start(h, fd);
}

void job_http_close(struct job_http *h)
{
    if (!h->open)
        return;
    h->open = false;
    uv_timer_stop(&h->timer);
    http_server_stop(&h->server);
    for (struct job_http_asked *a = h->first; a != NULL; a = a->next)
        a->r = NULL;
    job_http_tails_close(h);
}
