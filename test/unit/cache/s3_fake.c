/* s3_fake.c: see s3_fake.h. */
#include "test/unit/cache/s3_fake.h"

#include "common/http/s3_sign.h"

#include <stdlib.h>

#define S3_FAKE_PREFIX "/bucket/prefix/"

/* A request, kept until it is done. */
struct s3_fake_request {
    struct s3_fake *server;
    struct http_guest *guest; /* NULL: it is not answered */
    uv_timer_t timer;
    char method[8], path[512], meta[128], match[128], none_match[8];
    struct buffer body;
};

/* ---- objects ---- */

static struct s3_fake_object *fake_find(struct s3_fake *s, const char *path)
{
    for (size_t i = 0; i < S3_FAKE_OBJECTS; i++)
        if (strcmp(s->objects[i].path, path) == 0)
            return &s->objects[i];
    return NULL;
}

struct s3_fake_object *s3_fake_find(struct s3_fake *s, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, S3_FAKE_PREFIX "%s", name);
    return fake_find(s, path);
}

static struct s3_fake_object *fake_put(struct s3_fake *s, const char *path, const char *meta,
                                       struct slice body)
{
    struct s3_fake_object *o = fake_find(s, path);
    char md5[S3_SIGN_MD5_SIZE];
    if (o == NULL)
        o = fake_find(s, "");
    ck_assert_ptr_nonnull(o);
    snprintf(o->path, sizeof o->path, "%s", path);
    snprintf(o->meta, sizeof o->meta, "%s", s->loses_meta ? "" : meta);
    buffer_clear(&o->body);
    buffer_append_slice(&o->body, body);
    ck_assert_int_eq(s3_sign_md5(body, md5), 0);
    snprintf(o->etag, sizeof o->etag, "\"%s\"", md5);
    return o;
}

void s3_fake_put(struct s3_fake *s, const char *name, const char *meta, const char *body)
{
    char path[512];
    snprintf(path, sizeof path, S3_FAKE_PREFIX "%s", name);
    fake_put(s, path, meta, slice_of(body));
}

/* ---- answers ---- */

static void fake_answer(struct s3_fake_request *r, const char *status, const char *code,
                        const struct s3_fake_object *o, bool body)
{
    struct buffer out = BUFFER_EMPTY, text = BUFFER_EMPTY;
    if (code != NULL && strcmp(r->method, "HEAD") != 0)
        buffer_printf(&text, "<Error><Code>%s</Code><Message>no</Message></Error>", code);
    if (body)
        buffer_append_slice(&text, buffer_slice(&o->body));
    buffer_printf(&out, "HTTP/1.1 %s\r\n", status);
    if (o != NULL)
        buffer_printf(&out, "ETag: %s\r\n", o->etag);
    if (o != NULL && o->meta[0] != '\0')
        buffer_printf(&out, "x-amz-meta-platoon: %s\r\n", o->meta);
    buffer_printf(&out, "Content-Length: %zu\r\n\r\n", text.len);
    buffer_append_slice(&out, buffer_slice(&text));
    if (r->guest != NULL)
        http_fake_reply(r->guest, out.data, out.len);
    r->guest = NULL;
    buffer_fini(&out);
    buffer_fini(&text);
}

static bool fake_etag_is(const struct s3_fake *s, const char *etag, const struct s3_fake_object *o)
{
    size_t len = strlen(o->etag);
    bool bare = strncmp(etag, o->etag + 1, len - 2) == 0 && strlen(etag) == len - 2;
    return bare || (!s->bare && strcmp(etag, o->etag) == 0);
}

/* Whether the conditions hold; else it is answered. */
static bool fake_holds(struct s3_fake_request *r, const struct s3_fake_object *o)
{
    struct s3_fake *s = r->server;
    bool none = r->none_match[0] == '\0' || s->ignores_none_match || o == NULL;
    bool match =
        r->match[0] == '\0' || s->ignores_match || (o != NULL && fake_etag_is(s, r->match, o));
    if (none && match)
        return true;
    if (o == NULL)
        fake_answer(r, "404 Not Found", "NoSuchKey", NULL, false);
    else
        fake_answer(r, "412 Precondition Failed", "PreconditionFailed", NULL, false);
    return false;
}

static void fake_do(struct s3_fake_request *r)
{
    struct s3_fake *s = r->server;
    struct s3_fake_object *o = fake_find(s, r->path);
    if (strcmp(r->method, "PUT") == 0) {
        if (fake_holds(r, o))
            fake_answer(r, "200 OK", NULL, fake_put(s, r->path, r->meta, buffer_slice(&r->body)),
                        false);
    } else if (strcmp(r->method, "DELETE") == 0) {
        if (s->honours_delete && !fake_holds(r, o))
            return;
        if (o != NULL)
            o->path[0] = '\0';
        fake_answer(r, "204 No Content", NULL, NULL, false);
    } else if (o == NULL && s->hides_nothing) {
        fake_answer(r, "403 Forbidden", "AccessDenied", NULL, false);
    } else if (o == NULL) {
        fake_answer(r, "404 Not Found", "NoSuchKey", NULL, false);
    } else {
        fake_answer(r, "200 OK", NULL, o, strcmp(r->method, "GET") == 0);
    }
}

static void fake_on_closed(uv_handle_t *handle)
{
    struct s3_fake_request *r = handle->data;
    buffer_fini(&r->body);
    free(r);
}

static void fake_on_time(uv_timer_t *timer)
{
    struct s3_fake_request *r = timer->data;
    r->server->waiting--;
    fake_do(r);
    uv_close((uv_handle_t *)timer, fake_on_closed);
}

/* ---- requests ---- */

static void fake_header(const char *head, const char *name, char *value, size_t size)
{
    char line[64];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *at = strstr(head, line);
    value[0] = '\0';
    if (at == NULL)
        return;
    at += strlen(line);
    ck_assert(slice_copy(slice_make(at, (size_t)(strstr(at, "\r\n") - at)), value, size));
}

static unsigned fake_below(unsigned limit)
{
    return limit > 0 ? (unsigned)rand() % limit : 0;
}

/* How it fares: what is lost is done all the same, half of it late. */
static unsigned fake_lose(struct s3_fake_request *r, bool writes)
{
    struct s3_fake *s = r->server;
    unsigned delay = fake_below(s->delay_ms);
    if (!writes || s->lose_one_in == 0 || fake_below(s->lose_one_in) > 0)
        return delay;
    http_fake_reply(r->guest, NULL, 0);
    r->guest = NULL;
    return fake_below(2) == 0 ? 0 : delay + fake_below(s->late_ms);
}

static void fake_on_request(struct http_guest *guest, const char *head, struct slice body,
                            void *ctx)
{
    struct s3_fake *s = ctx;
    struct s3_fake_request *r = calloc(1, sizeof *r);
    r->server = s;
    r->guest = guest;
    ck_assert_int_eq(sscanf(head, "%7s %511s", r->method, r->path), 2);
    fake_header(head, "x-amz-meta-platoon", r->meta, sizeof r->meta);
    fake_header(head, "if-match", r->match, sizeof r->match);
    fake_header(head, "if-none-match", r->none_match, sizeof r->none_match);
    buffer_append_slice(&r->body, body);
    snprintf(s->last, sizeof s->last, "%s", head);
    bool put = strcmp(r->method, "PUT") == 0;
    s->requests++;
    s->puts += put;
    s->heads += strcmp(r->method, "HEAD") == 0;
    uv_timer_init(s->http.loop, &r->timer);
    r->timer.data = r;
    bool fails = s->fail_count > 0 && s->fail_after == 0;
    s->fail_after -= s->fail_after > 0;
    if (s->stands || fails || (s->unknown_none_match && r->none_match[0] != '\0')) {
        if (s->stands)
            http_fake_reply(guest, NULL, 0);
        else if (!fails)
            fake_answer(r, "501 Not Implemented", "NotImplemented", NULL, false);
        else if (s->fail_count-- > 0)
            fake_answer(r, s->fail_status, s->fail_code, NULL, false);
        uv_close((uv_handle_t *)&r->timer, fake_on_closed);
        return;
    }
    s->waiting++;
    uv_timer_start(&r->timer, fake_on_time, fake_lose(r, put || r->method[0] == 'D'), 0);
}

void s3_fake_start(struct s3_fake *s, uv_loop_t *loop)
{
    *s = (struct s3_fake){.honours_delete = true};
    http_fake_start(&s->http, loop, fake_on_request, s);
    strcpy(s->credentials, "/tmp/platoon-s3-XXXXXX");
    int fd = mkstemp(s->credentials);
    static const char text[] = "aws_access_key_id = A\naws_secret_access_key = S\n";
    ck_assert_int_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
}

void s3_fake_stop(struct s3_fake *s)
{
    http_fake_stop(&s->http);
    while (s->waiting > 0)
        uv_run(s->http.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < S3_FAKE_OBJECTS; i++)
        buffer_fini(&s->objects[i].body);
    unlink(s->credentials);
}
