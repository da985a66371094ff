/*
 * web_routes.c: who may ask, and for what. See web_private.h.
 *
 * A browser sends what a foreign page wants sent, also to a server that only this machine reaches: so Host and Origin
 * are looked at before anything else, and what a resource holds is shown in a sandbox.
 */
#include "workers/snapshot/web/web_private.h"

#include "common/http/http_guard.h"
#include "common/http/http_static.h"
#include "workers/snapshot/web/web_client.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUTES_PAGE_CSP "default-src 'self' 'unsafe-inline' data:"

void web_routes_late(void *ctx, struct http_request *r)
{
    struct web_wait *wait = http_request_kept(r);
    (void)ctx;
    if (wait != NULL)
        web_wait_end(wait);
    web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store does not answer in time");
}

/* What the server refuses by itself; its line's end is no part of an error. */
void web_routes_refuse(void *ctx, struct http_request *r, unsigned status, const char *text)
{
    (void)ctx;
    web_fail(r, status, "%.*s", (int)strcspn(text, "\n"), text);
}

/* ---- who may ---- */

struct route {
    struct web *web;
    struct http_request *r;
    const char *method;
    enum web_right right;
    const char *by; /* whose token it is */
};

/* False: the request was answered. */
static bool route_admits(struct route *t)
{
    const char *host = http_request_header(t->r, "Host");
    const char *origin = http_request_header(t->r, "Origin");
    if (!t->web->local && !http_guard_host_is_local(host))
        web_fail(t->r, MHD_HTTP_MISDIRECTED_REQUEST,
                 "this is no server of that name: it is localhost, or a proxy's that says so");
    else if (!http_guard_origin(origin, host, ""))
        web_fail(t->r, MHD_HTTP_FORBIDDEN, "a page of another origin may not ask");
    else
        return true;
    return false;
}

static void route_unauthorized(struct route *t, const char *why)
{
    http_request_add(t->r, "WWW-Authenticate", "Basic realm=\"platoon\", charset=\"UTF-8\"");
    web_fail(t->r, MHD_HTTP_UNAUTHORIZED, "%s", why);
}

/* False: the request was answered. */
static bool route_allows(struct route *t, bool act, bool open)
{
    if (t->right == WEB_NONE && t->web->guarded && !open)
        route_unauthorized(t, "it takes a token: Authorization: Bearer TOKEN");
    else if (act && t->web->guarded && t->right != WEB_ACT)
        web_fail(t->r, MHD_HTTP_FORBIDDEN, "it takes a token that may act");
    else
        return true;
    return false;
}

/* GET and HEAD, or that one. False: the request was answered. */
static bool route_is(struct route *t, const char *method)
{
    bool get = strcmp(method, "GET") == 0;
    if (strcmp(t->method, method) == 0 || (get && strcmp(t->method, "HEAD") == 0))
        return true;
    http_request_add(t->r, "Allow", get ? "GET, HEAD" : method);
    web_fail(t->r, MHD_HTTP_METHOD_NOT_ALLOWED, "only %s", get ? "GET and HEAD" : method);
    return false;
}

static void route_unknown(struct route *t)
{
    web_fail(t->r, MHD_HTTP_NOT_FOUND, "there is nothing here: /data names the stores there are");
}

/* ---- what is asked for ---- */

struct route_verb {
    const char *name, *method;
    bool act;
    void (*fn)(struct web_served *s, struct web_resource *of, struct http_request *r);
};

static const struct route_verb route_verbs[] = {
    {"log", "GET", false, web_get_log},
    {"diff", "GET", false, web_get_diff},
    {"run", "POST", true, web_get_run},
    {"whatif", "POST", false, web_whatif},
};

static void route_verb(struct route *t, struct web_served *s, struct web_resource *of,
                       const char *name)
{
    for (size_t i = 0; i < sizeof route_verbs / sizeof route_verbs[0]; i++) {
        const struct route_verb *v = &route_verbs[i];
        if (strcmp(v->name, name) != 0)
            continue;
        if (route_is(t, v->method) && route_allows(t, v->act, s->open && !v->act))
            v->fn(s, of, t->r);
        return;
    }
    route_unknown(t);
}

static void route_resource(struct route *t, struct web_served *s, struct web_resource *of)
{
    if (strcmp(t->method, "PUT") == 0) {
        if (route_allows(t, true, false))
            web_put(s, of, t->r, t->by);
    } else if (strcmp(t->method, "GET") != 0 && strcmp(t->method, "HEAD") != 0) {
        http_request_add(t->r, "Allow", "GET, HEAD, PUT");
        web_fail(t->r, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET, HEAD and PUT");
    } else if (route_allows(t, false, s->open)) {
        web_get_version(s, of, t->r);
    }
}

/* `path`: what stands behind /data/STORE/. */
static void route_below(struct route *t, struct web_served *s, const char *path)
{
    const char *slash = strchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : strlen(path);
    struct web_resource *of = web_store_find(&s->data, slice_make(path, len));
    if (strcmp(path, "stream") == 0) {
        if (route_is(t, "GET") && route_allows(t, false, s->open))
            web_stream(s, t->r);
    } else if (of == NULL) {
        if (route_allows(t, false, s->open)) /* names are nobody's business either */
            web_fail(t->r, MHD_HTTP_NOT_FOUND, "no resource of that name");
    } else if (slash == NULL) {
        route_resource(t, s, of);
    } else {
        route_verb(t, s, of, slash + 1);
    }
}

/* The store that the path names, and what stands behind it. */
static struct web_served *route_store(const struct route *t, const char *path, const char **rest)
{
    size_t len = strcspn(path, "/");
    *rest = path + len;
    for (size_t i = 0; i < t->web->count; i++)
        if (slice_is(slice_make(path, len), t->web->stores[i].data.name))
            return &t->web->stores[i];
    return NULL;
}

/* STORE.git/…; `rest` is NULL for what is none. */
static struct web_served *route_repository(const struct route *t, const char *path,
                                           const char **rest)
{
    size_t len = strcspn(path, "/");
    *rest = NULL;
    if (len <= 4 || strncmp(path + len - 4, ".git", 4) != 0)
        return NULL;
    *rest = path + len;
    for (size_t i = 0; i < t->web->count; i++)
        if (slice_is(slice_make(path, len - 4), t->web->stores[i].data.name))
            return &t->web->stores[i];
    return NULL;
}

static void route_git(struct route *t, struct web_served *s, const char *rest)
{
    bool refs = strcmp(rest, "/info/refs") == 0;
    const char *service = http_request_query(t->r, "service");
    if (!route_allows(t, false, s->open))
        return;
    if (!refs && strcmp(rest, "/git-upload-pack") != 0)
        web_fail(t->r,
                 strcmp(rest, "/git-receive-pack") == 0 ? MHD_HTTP_FORBIDDEN : MHD_HTTP_NOT_FOUND,
                 "git clones and fetches here, over smart HTTP, and nothing else");
    else if (refs && (service == NULL || strcmp(service, "git-upload-pack") != 0))
        web_fail(t->r, MHD_HTTP_FORBIDDEN, "service: only git-upload-pack: nobody pushes here");
    else if (route_is(t, refs ? "GET" : "POST"))
        web_git(s, t->r, refs ? "/info/refs" : "/git-upload-pack");
}

static void route_data(struct route *t, const char *path)
{
    const char *rest;
    struct web_served *s = route_store(t, path, &rest), *repository;
    if (s == NULL && (repository = route_repository(t, path, &rest)) != NULL) {
        route_git(t, repository, rest);
    } else if (s == NULL) {
        if (route_allows(t, false, false))
            route_unknown(t);
    } else if (rest[0] == '\0' || strcmp(rest, "/") == 0) {
        if (route_is(t, "GET") && route_allows(t, false, s->open))
            web_get_list(s, t->r);
    } else {
        route_below(t, s, rest + 1);
    }
}

static void route_page(struct route *t, const char *path)
{
    const char *rest;
    struct web_served *s = route_store(t, path, &rest);
    struct http_static file;
    if (!route_is(t, "GET") || !route_allows(t, false, s != NULL && s->open))
        return;
    if (s != NULL && s->public[0] != '\0' && rest[0] == '\0') {
        char to[CONTRACT_NAME_MAX + 16];
        snprintf(to, sizeof to, "/pages/%s/", s->data.name);
        http_request_add(t->r, "Location", to);
        web_fail(t->r, MHD_HTTP_PERMANENT_REDIRECT, "it is a folder");
        return;
    }
    int rc = s != NULL && s->public[0] != '\0' ? http_static_open(s->public, rest, &file) : -ENOENT;
    if (rc != 0) {
        web_fail(t->r, rc == -ENOENT ? MHD_HTTP_NOT_FOUND : MHD_HTTP_SERVICE_UNAVAILABLE,
                 rc == -ENOENT ? "there is no such page" : "it cannot be opened now");
        return;
    }
    http_request_add(t->r, "Content-Security-Policy", ROUTES_PAGE_CSP);
    http_request_add(t->r, "X-Content-Type-Options", "nosniff");
    http_request_answer_file(t->r, MHD_HTTP_OK, file.type, file.fd, file.size);
}

static void route_client(struct route *t)
{
    struct buffer body = BUFFER_EMPTY;
    if (!route_is(t, "GET"))
        return;
    buffer_append_text(&body, web_client_js);
    http_request_add(t->r, "X-Content-Type-Options", "nosniff");
    http_request_answer(t->r, MHD_HTTP_OK, "text/javascript; charset=utf-8", &body);
    buffer_fini(&body);
}

static bool route_any_open(const struct web *web)
{
    for (size_t i = 0; i < web->count; i++)
        if (web->stores[i].open)
            return true;
    return false;
}

static void route_find(struct route *t, const char *path)
{
    if (strcmp(path, "/data") == 0 || strcmp(path, "/data/") == 0) {
        if (route_is(t, "GET") && route_allows(t, false, route_any_open(t->web)))
            web_get_all(t->web, t->r, t->web->guarded && t->right == WEB_NONE);
    } else if (strcmp(path, "/data/client.js") == 0) {
        route_client(t); /* no secret: pages that need no token read it */
    } else if (strncmp(path, "/data/", 6) == 0) {
        route_data(t, path + 6);
    } else if (strncmp(path, "/pages/", 7) == 0) {
        route_page(t, path + 7);
    } else if (route_allows(t, false, false)) {
        route_unknown(t);
    }
}

void web_routes_handle(void *ctx, struct http_request *r)
{
    struct web *web = ctx;
    struct route t = {.web = web, .r = r, .method = http_request_method(r), .by = ""};
    worker_count(web->w, COUNTER_REQUESTS, 1);
    if (!route_admits(&t))
        return;
    if (web->guarded)
        t.right = web_tokens_find(&web->tokens, http_request_header(r, "Authorization"), &t.by);
    if (t.right == WEB_WRONG)
        route_unauthorized(&t, "the token is nobody's");
    else
        route_find(&t, http_request_path(r));
}
