/*
 * web_private.h: what the files of the web worker share.
 *
 * web.c         its life: settings, tokens, the socket, peers
 * web_feed.c    each store's newest versions and changes, as they come
 * web_routes.c  who may ask, and for what
 * web_answer.c  errors, and who waits
 * web_get.c     list, versions, log, diff
 * web_put.c     a new version
 * web_whatif.c  what a resource would be
 * web_git.c     clone and fetch
 * web_stream.c  readers of changes
 */
#ifndef WORKERS_SNAPSHOT_WEB_PRIVATE_H
#define WORKERS_SNAPSHOT_WEB_PRIVATE_H

#include "common/http/http_server.h"
#include "workers/skeleton/worker.h"
#include "workers/snapshot/snapshot_asking.h"
#include "workers/snapshot/web/web_data.h"
#include "workers/snapshot/web/web_tokens.h"

#include <limits.h>

#define WEB_ANSWER_MS   60000u /* who asks us waits so long: a run may take its time */
#define WEB_TOKENS_SIZE 65536

#define WEB_PROGRAMS_MAX 4 /* of git, at once */

#define WEB_JSON "application/json"

/* What a resource holds is nobody's page. */
#define WEB_RESOURCE_CSP "sandbox; default-src 'none'"

struct web_item;
struct web_subscriber;
struct web_git;

/* A store, as the settings name it. */
struct web_served {
    struct web *web;
    struct web_store data;
    const char *worker;  /* its name in the tree */
    char path[PATH_MAX]; /* of its repository */
    const char *public;  /* folder of its pages; "" for none */
    bool open;
    const char **types;       /* Content-Type of each resource */
    struct worker_peer *peer; /* NULL: it is away */
    /* web_feed.c */
    struct web_item *first, *last; /* versions that are on their way, in order */
    size_t items;
    bool listing; /* it was asked what there is */
    bool fetching;
    struct buffer piece; /* what has come of the first */
    bool unread;         /* something could not be read, */
    uint64_t again_ms;   /* and is asked for again then (CLOCK_MONOTONIC); 0: it is on its way */
    struct web_subscriber *subscribers;
};

struct web {
    struct worker *w;
    struct http_server server;
    bool local; /* a unix socket: names of hosts mean nothing */
    struct web_served *stores;
    size_t count;
    struct snapshot_asking asking;
    size_t subscribers, subscribers_max;
    struct web_git *gits; /* those that run */
    bool guarded;         /* there is a file of tokens */
    char tokens_text[WEB_TOKENS_SIZE];
    struct web_tokens tokens;
    struct timespec tokens_time; /* of the file */
    char why[512];               /* what is wrong with it */
};

/* snapshot_asking.h: of that store. */
static inline bool web_ask(struct web_served *s, const char *verb, size_t count,
                           const struct slice *words, snapshot_ask_fn fn, void *ctx)
{
    return snapshot_ask(&s->web->asking, s->peer, verb, count, words, fn, ctx);
}

/* The same of what is to be run, and takes as long as that. */
static inline bool web_ask_long(struct web_served *s, const char *verb, size_t count,
                                const struct slice *words, snapshot_ask_fn fn, void *ctx)
{
    return snapshot_ask_within(&s->web->asking, WEB_ANSWER_MS, s->peer, verb, count, words, fn,
                               ctx);
}

static inline void web_ask_forget(struct web *web, const void *ctx)
{
    snapshot_ask_forget(&web->asking, ctx);
}

/* ---- web_feed.c ---- */

void web_feed_up(struct web_served *s);
void web_feed_down(struct web_served *s);
bool web_feed_message(struct web_served *s, uint64_t type, struct unpack *u);
void web_feed_tick(struct web_served *s);
void web_feed_fini(struct web_served *s);

/* ---- web_routes.c ---- */

void web_routes_handle(void *ctx, struct http_request *r);
void web_routes_late(void *ctx, struct http_request *r);
void web_routes_refuse(void *ctx, struct http_request *r, unsigned status, const char *text);

/* ---- web_answer.c ---- */

/* An answer {"error": …}, with what all answers have. */
void web_fail(struct http_request *r, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a store has answered, when it is no success: as an error of HTTP. */
void web_fail_for(struct http_request *r, enum control_status status, struct slice body);

/* A question that waits for a store: kept with its request (http_request_keep). */
struct web_wait {
    struct web *web;
    struct http_request *r;
    void (*free)(struct web_wait *wait);
};

/* Begins it; the request is answered when memory is short, and `wait` freed. */
void web_wait_begin(struct web_wait *wait, struct web *web, struct http_request *r,
                    void (*fn)(struct web_wait *wait));
/* It is over: the request was answered. */
void web_wait_end(struct web_wait *wait);

/* ---- web_get.c, web_put.c, web_whatif.c, web_stream.c ---- */

void web_get_all(struct web *web, struct http_request *r, bool only_open);
void web_get_list(struct web_served *s, struct http_request *r);
void web_get_version(struct web_served *s, struct web_resource *of, struct http_request *r);
void web_get_log(struct web_served *s, struct web_resource *of, struct http_request *r);
void web_get_diff(struct web_served *s, struct web_resource *of, struct http_request *r);
void web_get_run(struct web_served *s, struct web_resource *of, struct http_request *r);

/* `by`: whose token it is, "" for nobody's. */
void web_put(struct web_served *s, struct web_resource *of, struct http_request *r, const char *by);

void web_whatif(struct web_served *s, struct web_resource *of, struct http_request *r);

void web_stream(struct web_served *s, struct http_request *r);
/* Something is there to be read. */
void web_stream_wake(struct web_served *s);
/* Once a second. */
void web_stream_tick(struct web *web);

/* ---- web_git.c ---- */

/* `what` is /info/refs or /git-upload-pack, a constant. */
void web_git(struct web_served *s, struct http_request *r, const char *what);
/* The server has been stopped. */
void web_git_fini(struct web *web);

#endif
