/* web_get.c: what is read over HTTP: lists, versions, log, diff, and a run that is asked for. See web_private.h. */
#include "workers/snapshot/web/web_private.h"

#include "common/json/json_value.h"
#include "common/pack.h"
#include "proto/snapshot/snapshot_limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* One question to a store, whose answer is shown. */
struct web_look {
    struct web_wait wait;
    bool text; /* the answer is bytes, else JSON */
    const char *
        run; /* the resource that is run: what is said of it is the run's, and no fault of ours; or NULL */
    struct web_served *s;
    /* Of a list: what has come so far of all stores. */
    bool only_open;
    size_t at;
    json_t *rows;
};

static void look_free(struct web_wait *wait)
{
    struct web_look *l = (struct web_look *)wait;
    json_decref(l->rows);
    free(l);
}

static struct web_look *look_new(struct web *web, struct http_request *r)
{
    struct web_look *l = calloc(1, sizeof *l);
    if (l == NULL)
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
    else
        web_wait_begin(&l->wait, web, r, look_free);
    return l;
}

static void look_answer_json(struct http_request *r, const json_t *value)
{
    struct buffer body = BUFFER_EMPTY;
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    if (text != NULL)
        buffer_append_text(&body, text);
    else
        body.failed = true;
    buffer_append_char(&body, '\n');
    free(text);
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    http_request_answer(r, MHD_HTTP_OK, WEB_JSON, &body);
    buffer_fini(&body);
}

static void look_end(struct web_look *l, const json_t *value)
{
    struct http_request *r = l->wait.r;
    look_answer_json(r, value);
    web_wait_end(&l->wait);
}

static void look_away(struct web_look *l)
{
    struct http_request *r = l->wait.r;
    web_wait_end(&l->wait);
    web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is away: try again");
}

/* ---- log, diff, run ---- */

static void look_show_text(struct http_request *r, struct slice packed)
{
    struct unpack u = unpack_start(packed);
    struct buffer body = BUFFER_EMPTY;
    buffer_append_slice(&body, unpack_bytes(&u));
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    http_request_add(r, "Content-Security-Policy", WEB_RESOURCE_CSP);
    http_request_answer(r, MHD_HTTP_OK, "text/plain; charset=utf-8", &body);
    buffer_fini(&body);
}

/* "NAME: why" is of the run; all else of the store, or of who asks. */
static bool look_is_runs(const char *name, struct slice body, struct slice *why)
{
    struct unpack u = unpack_start(body);
    size_t len = strlen(name);
    *why = unpack_str(&u);
    return unpack_ok(&u) && why->len > len && memcmp(why->ptr, name, len) == 0 &&
           why->ptr[len] == ':' && memmem(why->ptr, why->len, "nobody makes it", 15) == NULL;
}

static void look_on_answer(void *ctx, enum control_status status, struct slice body)
{
    struct web_look *l = ctx;
    struct http_request *r = l->wait.r;
    struct slice why = slice_of("");
    json_t *value = NULL;
    if (l->run != NULL && status == CONTROL_ERROR && look_is_runs(l->run, body, &why)) {
        web_fail(r, MHD_HTTP_BAD_GATEWAY, "%.*s", (int)(why.len < 900 ? why.len : 900), why.ptr);
    } else if (status != CONTROL_OK) {
        web_fail_for(r, status, body);
    } else if (l->text) {
        look_show_text(r, body);
    } else {
        json_value_unpack(body, UNPACK_DEPTH_MAX, &value); /* NULL is a 500 */
        look_answer_json(r, value);
        json_decref(value);
    }
    web_wait_end(&l->wait);
}

static void look_ask(struct web_served *s, struct http_request *r, bool text, const char *run,
                     const char *verb, size_t count, const struct slice *words)
{
    struct web_look *l = look_new(s->web, r);
    if (l == NULL)
        return;
    l->text = text;
    l->run = run;
    bool asked = run != NULL ? web_ask_long(s, verb, count, words, look_on_answer, l)
                             : web_ask(s, verb, count, words, look_on_answer, l);
    if (!asked)
        look_away(l);
}

static struct slice get_word(struct http_request *r, const char *name, const char *otherwise)
{
    const char *value = http_request_query(r, name);
    return slice_of(value != NULL ? value : otherwise);
}

void web_get_log(struct web_served *s, struct web_resource *of, struct http_request *r)
{
    const struct slice words[] = {slice_of(of->name), get_word(r, "limit", "20"),
                                  get_word(r, "before", "0")};
    look_ask(s, r, false, NULL, "snapshot-log", 3, words);
}

void web_get_diff(struct web_served *s, struct web_resource *of, struct http_request *r)
{
    const struct slice words[] = {slice_of(of->name), get_word(r, "from", ""),
                                  get_word(r, "to", "")};
    if (words[1].len == 0)
        web_fail(r, MHD_HTTP_BAD_REQUEST,
                 "from=VERSION is missing: what is it to be compared with?");
    else
        look_ask(s, r, true, NULL, "snapshot-diff", 3, words);
}

void web_get_run(struct web_served *s, struct web_resource *of, struct http_request *r)
{
    const struct slice words[] = {slice_of(of->name)};
    look_ask(s, r, false, of->name, "snapshot-run", 1, words);
}

/* ---- lists ---- */

static json_t *list_row(const struct web_served *s, const struct web_resource *of)
{
    json_t *row = json_pack("{s:s,s:s,s:s}", "store", s->data.name, "resource", of->name, "state",
                            of->has ? "ok" : "empty");
    json_object_set_new(row, "error", json_string("the store is away"));
    if (!of->has)
        return row;
    json_object_set_new(row, "seq", json_integer((json_int_t)of->v.seq));
    json_object_set_new(row, "commit", json_string(of->v.commit));
    json_object_set_new(row, "blob", json_string(of->v.blob));
    json_object_set_new(row, "size", json_integer((json_int_t)of->bytes.len));
    return row;
}

/* What is known of it while it is away. */
static void list_add_known(struct web_look *l, const struct web_served *s)
{
    for (size_t i = 0; i < s->data.count; i++)
        json_array_append_new(l->rows, list_row(s, &s->data.list[i]));
}

static void list_go_on(struct web_look *l);

static void list_on_answer(void *ctx, enum control_status status, struct slice body)
{
    struct web_look *l = ctx;
    json_t *rows = NULL;
    if (status == CONTROL_OK && json_value_unpack(body, UNPACK_DEPTH_MAX, &rows) == 0)
        json_array_extend(l->rows, rows);
    else
        list_add_known(l, l->s);
    json_decref(rows);
    list_go_on(l);
}

/* One store after the other. */
static void list_go_on(struct web_look *l)
{
    struct web *web = l->wait.web;
    while (l->at < web->count) {
        l->s = &web->stores[l->at++];
        if (l->only_open && !l->s->open)
            continue;
        if (web_ask(l->s, "snapshot-list", 0, NULL, list_on_answer, l))
            return;
        list_add_known(l, l->s);
    }
    look_end(l, l->rows);
}

static struct web_look *list_new(struct web *web, struct http_request *r)
{
    struct web_look *l = look_new(web, r);
    if (l != NULL)
        l->rows = json_array();
    return l;
}

void web_get_all(struct web *web, struct http_request *r, bool only_open)
{
    struct web_look *l = list_new(web, r);
    if (l == NULL)
        return;
    l->only_open = only_open;
    list_go_on(l);
}

static void one_on_answer(void *ctx, enum control_status status, struct slice body)
{
    struct web_look *l = ctx;
    l->at = l->wait.web->count; /* no further one */
    list_on_answer(ctx, status, body);
}

void web_get_list(struct web_served *s, struct http_request *r)
{
    struct web_look *l = list_new(s->web, r);
    if (l == NULL)
        return;
    l->s = s;
    if (web_ask(s, "snapshot-list", 0, NULL, one_on_answer, l))
        return;
    list_add_known(l, s);
    look_end(l, l->rows);
}

/* ---- one version ---- */

struct web_fetch {
    struct web_wait wait;
    struct web_served *s;
    const struct web_resource *of;
    struct web_version v;
    uint64_t size;
    struct buffer bytes;
};

static void fetch_free(struct web_wait *wait)
{
    struct web_fetch *f = (struct web_fetch *)wait;
    buffer_fini(&f->bytes);
    free(f);
}

/* Whether If-None-Match names it: one of several, weak or not, or any. */
static bool get_matches(const char *header, const char *blob)
{
    char etag[WEB_COMMIT_SIZE + 2];
    snprintf(etag, sizeof etag, "\"%s\"", blob);
    return header != NULL && (strcmp(header, "*") == 0 || strstr(header, etag) != NULL);
}

static void get_answer(const struct web_served *s, const struct web_resource *of,
                       struct http_request *r, const struct web_version *v,
                       const struct buffer *bytes)
{
    char text[64];
    struct tm tm;
    time_t when = (time_t)v->time_s;
    struct buffer none = BUFFER_EMPTY;
    bool same = get_matches(http_request_header(r, "If-None-Match"), v->blob);
    snprintf(text, sizeof text, "\"%s\"", v->blob);
    http_request_add(r, "ETag", text);
    http_request_add(r, "X-Platoon-Commit", v->commit);
    snprintf(text, sizeof text, "%" PRIu64, v->seq);
    http_request_add(r, "X-Platoon-Seq", text);
    if (gmtime_r(&when, &tm) != NULL &&
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
        http_request_add(r, "Last-Modified", text);
    http_request_add(r, "Cache-Control", "no-cache");
    http_request_add(r, "Content-Security-Policy", WEB_RESOURCE_CSP);
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    http_request_answer(r, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, s->types[of - s->data.list],
                        same ? &none : bytes);
}

/* A piece of what snapshot-get answers. */
static bool fetch_read(struct web_fetch *f, struct slice body, size_t *got)
{
    struct unpack u = unpack_start(body);
    uint32_t count = unpack_map(&u);
    *got = 0;
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice key = unpack_bytes(&u);
        if (slice_is(key, "seq")) {
            f->v.seq = unpack_u64(&u);
        } else if (slice_is(key, "size")) {
            f->size = unpack_u64(&u);
        } else if (slice_is(key, "commit")) {
            slice_copy(unpack_bytes(&u), f->v.commit, sizeof f->v.commit);
        } else if (slice_is(key, "blob")) {
            slice_copy(unpack_bytes(&u), f->v.blob, sizeof f->v.blob);
        } else if (slice_is(key, "time_s")) {
            f->v.time_s = unpack_i64(&u);
        } else if (slice_is(key, "bytes")) {
            struct slice bytes = unpack_bytes(&u);
            buffer_append_slice(&f->bytes, bytes);
            *got = bytes.len;
        } else {
            unpack_raw(&u);
        }
    }
    return unpack_ok(&u) && buffer_ok(&f->bytes) && f->bytes.len <= SNAPSHOT_BYTES_MAX;
}

static void fetch_on_piece(void *ctx, enum control_status status, struct slice body);

static void fetch_piece(struct web_fetch *f, struct slice version)
{
    char offset[24];
    struct http_request *r = f->wait.r;
    snprintf(offset, sizeof offset, "%zu", f->bytes.len);
    const struct slice words[] = {slice_of(f->of->name), version, slice_of(offset)};
    if (web_ask(f->s, "snapshot-get", 3, words, fetch_on_piece, f))
        return;
    web_wait_end(&f->wait);
    web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is away: only newest versions are here");
}

static void fetch_on_piece(void *ctx, enum control_status status, struct slice body)
{
    struct web_fetch *f = ctx;
    struct http_request *r = f->wait.r;
    size_t got;
    if (status != CONTROL_OK) {
        web_fail_for(r, status, body);
    } else if (!fetch_read(f, body, &got) || (got == 0 && f->bytes.len < f->size)) {
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the version cannot be read now");
    } else if (f->bytes.len < f->size) {
        fetch_piece(f, slice_of(f->v.commit));
        return;
    } else {
        get_answer(f->s, f->of, r, &f->v, &f->bytes);
    }
    web_wait_end(&f->wait);
}

void web_get_version(struct web_served *s, struct web_resource *of, struct http_request *r)
{
    const char *at = http_request_query(r, "at");
    bool newest = at == NULL || at[0] == '\0';
    if (newest && of->has) {
        get_answer(s, of, r, &of->v, &of->bytes);
    } else if (newest && !s->data.known) {
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store has not been heard yet: try again");
    } else {
        struct web_fetch *f = calloc(1, sizeof *f);
        if (f == NULL) {
            web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
            return;
        }
        f->s = s;
        f->of = of;
        web_wait_begin(&f->wait, s->web, r, fetch_free);
        fetch_piece(f, slice_of(newest ? "" : at)); /* which has none, or one that cannot be read */
    }
}
