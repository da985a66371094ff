/*
 * web.c: the web worker: snapshots over HTTP, and each change in the browser. See web_private.h.
 *
 * It has no repository: the stores' workers tell it what there is, and are asked for the rest. What it has it serves
 * while a store is away. It listens on this machine only: who else may ask is a proxy's affair.
 */
#include "workers/snapshot/web/web_private.h"

#include "common/http/http_static.h"
#include "common/listen_address.h"
#include "common/log.h"
#include "common/secret_file.h"
#include "proto/snapshot/snapshot_limits.h"
#include "workers/snapshot/web/web_splices.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define WEB_POOL       8192 /* of a connection: what a browser says with its cookies */
#define WEB_BODIES_MAX ((size_t)(8u * SNAPSHOT_BYTES_MAX))
#define WEB_LISTS_MAX  100000
#define WEB_FILES      1024 /* besides subscribers: clients, programs, our own */

/* ---- settings ---- */

static const char *web_item_setting(struct web *web, const char *list, size_t i, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%zu.%s", list, i, what);
    return worker_setting(web->w, name);
}

static size_t web_count_of(struct web *web, const char *list, const char *store)
{
    size_t count = 0;
    const char *name;
    for (size_t i = 0; i < WEB_LISTS_MAX; i++) {
        name = web_item_setting(web, list, i, store != NULL ? "store" : "name");
        if (name == NULL)
            break;
        count += store == NULL || strcmp(name, store) == 0;
    }
    return count;
}

static bool web_read_resources(struct web *web, struct web_served *s)
{
    size_t at = 0;
    s->types = calloc(s->data.count + 1, sizeof *s->types);
    if (s->types == NULL)
        return false;
    for (size_t i = 0; at < s->data.count; i++) {
        const char *of = web_item_setting(web, "served", i, "store");
        if (of == NULL || strcmp(of, s->data.name) != 0)
            continue;
        s->data.list[at].name = web_item_setting(web, "served", i, "resource");
        s->types[at] = web_item_setting(web, "served", i, "type");
        if (s->types[at] == NULL || s->types[at][0] == '\0')
            s->types[at] = http_static_type(web_item_setting(web, "served", i, "path"));
        at++;
    }
    return true;
}

static bool web_read_store(struct web *web, struct web_served *s, size_t i)
{
    const char *name = web_item_setting(web, "stores", i, "name");
    const char *journal = web_item_setting(web, "stores", i, "journal");
    *s = (struct web_served){.web = web,
                             .worker = web_item_setting(web, "stores", i, "worker"),
                             .public = web_item_setting(web, "stores", i, "public"),
                             .open = strcmp(web_item_setting(web, "stores", i, "open"), "1") == 0};
    const char *path = web_item_setting(web, "stores", i, "path");
    if (path != NULL && path[0] != '\0')
        snprintf(s->path, sizeof s->path, "%s", path);
    else
        snprintf(s->path, sizeof s->path, "%s/%s.git",
                 worker_setting_text(web->w, "platoon.state_dir"), name);
    return web_store_start(&s->data, name, web_count_of(web, "served", name),
                           (size_t)strtoull(journal, NULL, 10)) &&
           web_read_resources(web, s);
}

static bool web_read_stores(struct web *web)
{
    web->count = web_count_of(web, "stores", NULL);
    web->stores = calloc(web->count + 1, sizeof *web->stores);
    if (web->stores == NULL)
        return false;
    for (size_t i = 0; i < web->count; i++)
        if (!web_read_store(web, &web->stores[i], i))
            return false;
    return true;
}

/* ---- tokens ---- */

/* False, with web->why. What was read before stays. */
static bool web_load_tokens(struct web *web, const char *path)
{
    static char text[WEB_TOKENS_SIZE];
    static struct web_tokens tokens;
    struct stat st;
    ssize_t len = secret_file_load(path, text, sizeof text, &st);
    size_t line = len >= 0 ? web_tokens_read(slice_make(text, (size_t)len), &tokens) : 0;
    if (len < 0)
        snprintf(web->why, sizeof web->why, "token_file: %s: %s", path, secret_file_say((int)len));
    else if ((st.st_mode & 077) != 0)
        snprintf(web->why, sizeof web->why,
                 "token_file: %s: others may read or write it: chmod 600", path);
    else if (line > 0)
        snprintf(web->why, sizeof web->why,
                 "token_file: %s:%zu: must be NAME read|act TOKEN, of at least %d characters", path,
                 line, WEB_TOKEN_MIN);
    else {
        memcpy(web->tokens_text, text, (size_t)len);
        web_tokens_read(slice_make(web->tokens_text, (size_t)len), &web->tokens);
        web->tokens_time = st.st_mtim;
        web->why[0] = '\0';
        return true;
    }
    return false;
}

/* The file may be written anew while we run. */
static void web_look_tokens(struct web *web)
{
    const char *path = worker_setting(web->w, "web.token_file");
    struct stat st;
    if (!web->guarded || stat(path, &st) != 0 ||
        (st.st_mtim.tv_sec == web->tokens_time.tv_sec &&
         st.st_mtim.tv_nsec == web->tokens_time.tv_nsec))
        return;
    if (web_load_tokens(web, path))
        log_info("web-tokens", "count=%zu", web->tokens.count);
}

/* ---- peers ---- */

static struct web_served *web_store_of(struct web *web, const struct worker_peer *peer)
{
    for (size_t i = 0; i < web->count; i++)
        if (strcmp(web->stores[i].worker, peer->name) == 0)
            return &web->stores[i];
    return NULL;
}

static void web_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    struct web_served *s = web_store_of(state, peer);
    (void)w;
    if (s == NULL)
        return;
    s->peer = peer;
    web_feed_up(s);
}

static void web_on_down(struct worker *w, void *state, struct worker_peer *peer,
                        struct slice reason)
{
    struct web_served *s = web_store_of(state, peer);
    (void)w;
    (void)reason;
    if (s == NULL || s->peer != peer)
        return;
    s->peer = NULL;
    web_feed_down(s);
    snapshot_asking_down(&((struct web *)state)->asking, peer);
}

static bool web_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                           struct unpack *u)
{
    struct web_served *s = web_store_of(state, from);
    (void)w;
    if (type == MESSAGE_SAID)
        return snapshot_asking_message(&((struct web *)state)->asking, type, u);
    return s != NULL && s->peer == from && web_feed_message(s, type, u);
}

/* ---- life ---- */

/* A subscriber is a descriptor. What may not be raised is said, and who comes too many is refused. */
static void web_raise_files(struct web *web)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)web->subscribers_max + WEB_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
        return;
    limit.rlim_cur = want;
    if (limit.rlim_max < want)
        limit.rlim_max = want; /* root may */
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    log_warn("web-files",
             "limit=%llu wanted=%llu remedy=\"raise LimitNOFILE, or lower subscribers_max\"",
             (unsigned long long)limit.rlim_max, (unsigned long long)want);
}

static int web_start(struct web *web, int fd)
{
    struct http_server_options options = {.loop = worker_loop(web->w),
                                          .fd = fd,
                                          .body_max = SNAPSHOT_BYTES_MAX,
                                          .bodies_max = WEB_BODIES_MAX,
                                          .answer_ms = WEB_ANSWER_MS,
                                          .streams_max = web->subscribers_max + WEB_PROGRAMS_MAX,
                                          .pool = WEB_POOL,
                                          .handle = web_routes_handle,
                                          .late = web_routes_late,
                                          .refuse = web_routes_refuse,
                                          .ctx = web};
    int rc = http_server_start(&web->server, &options);
    if (rc == 0)
        return 0;
    worker_trouble(web->w, "the HTTP server cannot start: %s: memory or files are short",
                   uv_strerror(rc));
    return CONTRACT_EXIT_SHORT;
}

static int web_listen(struct web *web, const char *listen)
{
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    int fd = listen_address_parse(listen, &address);
    web->local = strncmp(listen, "unix:", 5) == 0;
    if (fd == 0)
        fd = listen_address_open(&address, &why);
    if (fd < 0 && why.len == 0 && contract_is_shortage(-fd))
        worker_exit_for(web->w, -fd, listen, "cannot listen on %s", listen);
    if (fd < 0)
        worker_trouble(web->w, "cannot listen on %s: %s: %s", listen,
                       buffer_text(&why) != NULL && why.len > 0 ? why.data : uv_strerror(fd),
                       listen_address_remedy(-fd));
    buffer_fini(&why);
    return fd;
}

static int web_init(struct worker *w, void *state)
{
    struct web *web = state;
    const char *tokens = worker_setting(w, "web.token_file");
    web->w = web->asking.w = w;
    web->subscribers_max = (size_t)worker_setting_u64(w, "web.subscribers_max");
    web_raise_files(web);
    web->guarded = tokens != NULL && tokens[0] != '\0';
    if (web->guarded && !web_load_tokens(web, tokens)) {
        worker_trouble(w, "%s", web->why);
        return CONTRACT_EXIT_CONFIG;
    }
    if (!web_read_stores(web) || !web_splices_open()) {
        worker_trouble(w, "memory is short");
        return CONTRACT_EXIT_SHORT;
    }
    const char *listen = worker_setting_text(w, "web.listen");
    int fd = web_listen(web, listen);
    if (fd < 0)
        return CONTRACT_EXIT_TEMPORARY;
    int rc = web_start(web, fd);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < web->count; i++)
        worker_monitor(w, slice_of(web->stores[i].worker));
    worker_doing(w, "listens on %s", listen);
    return 0;
}

static void web_on_tick(struct worker *w, void *state)
{
    struct web *web = state;
    web_look_tokens(web);
    for (size_t i = 0; i < web->count; i++)
        web_feed_tick(&web->stores[i]);
    web_stream_tick(web);
    worker_gauge(w, COUNTER_WEB_SUBSCRIBERS, web->subscribers);
    worker_doing(w, "listens on %s, %zu subscribers", worker_setting(w, "web.listen"),
                 web->subscribers);
    worker_trouble(w, "%s", web->why);
}

static void web_fini(struct worker *w, void *state)
{
    struct web *web = state;
    (void)w;
    http_server_stop(&web->server);
    web_git_fini(web);
    snapshot_asking_fini(&web->asking);
    for (size_t i = 0; web->stores != NULL && i < web->count; i++) {
        web_feed_fini(&web->stores[i]);
        web_store_fini(&web->stores[i].data);
        free(web->stores[i].types);
    }
    free(web->stores);
    web_splices_close();
}

const struct worker_ops worker_ops = {
    .type = "web",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct web),
    .init = web_init,
    .on_up = web_on_up,
    .on_down = web_on_down,
    .on_message = web_on_message,
    .on_tick = web_on_tick,
    .fini = web_fini,
};
