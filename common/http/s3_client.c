/* s3_client.c: see s3_client.h. */
#include "common/http/s3_client.h"

#include "common/fault.h"
#include "common/http/s3_credentials.h"
#include "common/http/s3_error.h"
#include "common/http/s3_sign.h"
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define S3_META        "x-amz-meta-platoon"
#define S3_HEADERS_MAX 8
#define S3_SKEW_S      3600 /* of a clock that a test has set wrong */

struct s3_client {
    struct http_client *http;
    struct s3_options options;
    char *scheme_host;  /* "https://bucket.endpoint:port", before the path */
    char *host;         /* as the header has it */
    struct buffer path; /* "/bucket/prefix/", encoded */
    char *region, *credentials_path;
    struct s3_credentials_file credentials;
    unsigned renewed; /* how often these have been others */
    struct s3_call *calls;
};

/* One request, kept until it is answered: it may have to be signed again. */
struct s3_call {
    struct s3_call *next, *before;
    struct s3_client *client;
    struct http_call *http;
    const char *method;
    struct buffer path; /* encoded */
    struct slice body;
    char *meta; /* NULL: none */
    struct s3_condition condition;
    char etag[S3_ETAG_SIZE];
    bool again;       /* it was signed anew already */
    unsigned renewed; /* as the client's, when it was signed */
    s3_answer_fn fn;
    void *ctx;
};

/* ---- names ---- */

/* As it is sent and signed: all but unreserved characters and the slash is encoded. */
static void s3_append_path(struct buffer *out, struct slice name)
{
    while (name.len > 0) {
        const char *slash = memchr(name.ptr, '/', name.len);
        size_t len = slash != NULL ? (size_t)(slash - name.ptr) : name.len;
        http_encode(out, slice_make(name.ptr, len));
        if (slash != NULL)
            buffer_append_char(out, '/');
        len += slash != NULL;
        name = slice_make(name.ptr + len, name.len - len);
    }
}

struct s3_place {
    struct slice scheme, host, bucket, prefix;
};

/* http(s)://HOST/BUCKET[/PREFIX] into its parts. */
static bool s3_place_read(const char *url, struct s3_place *p)
{
    const char *host = strstr(url, "://");
    const char *bucket = host != NULL ? strchr(host + 3, '/') : NULL;
    if (bucket == NULL || strpbrk(url, "?#") != NULL)
        return false;
    p->scheme = slice_make(url, (size_t)(host - url));
    p->host = slice_make(host + 3, (size_t)(bucket - host - 3));
    const char *prefix = strchr(bucket + 1, '/');
    p->bucket =
        slice_make(bucket + 1, prefix != NULL ? (size_t)(prefix - bucket - 1) : strlen(bucket + 1));
    p->prefix = slice_of(prefix != NULL ? prefix + 1 : "");
    while (p->prefix.len > 0 && p->prefix.ptr[p->prefix.len - 1] == '/')
        p->prefix.len--;
    return (slice_is(p->scheme, "http") || slice_is(p->scheme, "https")) && p->host.len > 0 &&
           p->bucket.len > 0;
}

/* For the header, as others write it, who may do so again on the way: without a port that the scheme has anyway. */
static void s3_append_host(struct buffer *out, const struct s3_place *p)
{
    const char *end = p->host.ptr + p->host.len, *port = end;
    uint64_t number, own = slice_is(p->scheme, "https") ? 443 : 80;
    while (port > p->host.ptr && port[-1] != ':' && port[-1] != ']')
        port--;
    bool given = port > p->host.ptr && port[-1] == ':' &&
                 text_parse_u64(slice_make(port, (size_t)(end - port)), &number) == 0;
    if (!given) {
        buffer_append_slice(out, p->host);
        return;
    }
    buffer_append_slice(out, slice_make(p->host.ptr, (size_t)(port - 1 - p->host.ptr)));
    if (number != own)
        buffer_printf(out, ":%" PRIu64, number);
}

static int s3_client_place(struct s3_client *c, const struct s3_place *p)
{
    struct buffer host = BUFFER_EMPTY, all = BUFFER_EMPTY;
    if (c->options.host_style) {
        buffer_append_slice(&host, p->bucket);
        buffer_append_char(&host, '.');
    }
    s3_append_host(&host, p);
    buffer_append_slice(&all, p->scheme);
    buffer_append_text(&all, "://");
    buffer_append_slice(&all, buffer_slice(&host));
    buffer_append_char(&c->path, '/');
    if (!c->options.host_style) {
        s3_append_path(&c->path, p->bucket);
        buffer_append_char(&c->path, '/');
    }
    s3_append_path(&c->path, p->prefix);
    if (p->prefix.len > 0)
        buffer_append_char(&c->path, '/');
    bool good = buffer_text(&host) != NULL && buffer_text(&all) != NULL && buffer_ok(&c->path);
    c->host = good ? buffer_take(&host, NULL) : NULL;
    c->scheme_host = good ? buffer_take(&all, NULL) : NULL;
    buffer_fini(&host);
    buffer_fini(&all);
    return good ? 0 : -ENOMEM;
}

/* ---- the client ---- */

int s3_client_new(uv_loop_t *loop, const struct s3_options *options, struct s3_client **out,
                  char *why, size_t why_size)
{
    struct s3_place place;
    if (!s3_place_read(options->url, &place)) {
        snprintf(why, why_size, "url %s: write http(s)://ENDPOINT/BUCKET[/PREFIX]", options->url);
        return -EINVAL;
    }
    struct s3_client *c = calloc(1, sizeof *c);
    int rc = -ENOMEM;
    snprintf(why, why_size, "memory is short");
    if (c != NULL) {
        c->options = *options;
        c->region = strdup(options->region);
        c->credentials_path = strdup(options->credentials_file);
        rc = c->region != NULL && c->credentials_path != NULL ? s3_client_place(c, &place) : rc;
    }
    if (rc == 0)
        rc = s3_credentials_read(&c->credentials, c->credentials_path, why, why_size);
    if (rc == 0)
        rc = http_client_new(loop, &options->http, &c->http);
    if (rc != 0) {
        s3_client_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

static void s3_call_free(struct s3_call *call)
{
    if (call->before != NULL)
        call->before->next = call->next;
    else if (call->client->calls == call)
        call->client->calls = call->next;
    if (call->next != NULL)
        call->next->before = call->before;
    buffer_fini(&call->path);
    free(call->meta);
    free(call);
}

void s3_client_free(struct s3_client *c)
{
    if (c == NULL)
        return;
    http_client_free(c->http);
    while (c->calls != NULL)
        s3_call_free(c->calls);
    s3_credentials_wipe(&c->credentials);
    buffer_fini(&c->path);
    free(c->scheme_host);
    free(c->host);
    free(c->region);
    free(c->credentials_path);
    free(c);
}

/* ---- answers ---- */

static int s3_call_start(struct s3_call *call);

/* Others may stand in the file by now. True when there are. */
static bool s3_client_renew(struct s3_client *c)
{
    struct s3_credentials_file fresh;
    char why[S3_WHY_SIZE];
    if (s3_credentials_read(&fresh, c->credentials_path, why, sizeof why) != 0)
        return false;
    bool same = slice_equal(fresh.access_key, c->credentials.access_key) &&
                slice_equal(fresh.secret_key, c->credentials.secret_key) &&
                slice_equal(fresh.token, c->credentials.token);
    s3_credentials_wipe(&fresh);
    if (same || s3_credentials_read(&c->credentials, c->credentials_path, why, sizeof why) != 0)
        return false;
    c->renewed++;
    return true;
}

/* Refused for our credentials, which may be others by now. True when it was sent again. */
static bool s3_call_renew(struct s3_call *call)
{
    if (call->again || (call->renewed == call->client->renewed && !s3_client_renew(call->client)))
        return false;
    call->again = true;
    return s3_call_start(call) == 0;
}

/* Refused without a body: what for, and whether by S3, a GET says. True when it was sent. */
static bool s3_call_look_closer(struct s3_call *call, int status)
{
    bool plain = status == 304 || status == 408 || status == 409 || status == 412 || status == 429;
    if (strcmp(call->method, "HEAD") != 0 || status < 300 || status >= 500 || plain)
        return false;
    call->method = "GET";
    return s3_call_start(call) == 0;
}

/* "S3 says 403 AccessDenied: Access Denied: give this key …" */
static void s3_explain(char *why, int status, const char *code, const char *message)
{
    const char *remedy = s3_error_remedy(status, code);
    bool own = code[0] != '\0' || status >= 500;
    snprintf(why, S3_WHY_SIZE, "S3 says %d%s%s%s%.200s%s%s", status,
             own ? code[0] != '\0' ? " " : "" : ", without an error of S3's", code,
             message[0] != '\0' ? ": " : "", message, remedy != NULL ? ": " : "",
             remedy != NULL ? remedy : "");
    for (char *at = why; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = ' '; /* one line */
}

static void s3_on_answer(const struct http_answer *http, void *ctx)
{
    struct s3_call *call = ctx;
    char code[S3_CODE_SIZE] = "", message[S3_WHY_SIZE] = "", why[S3_WHY_SIZE] = "";
    struct s3_answer answer = {.result = S3_AWAY, .etag = "", .why = why};
    if (http->status == 0) {
        answer.result = http->too_long ? S3_REFUSED : http->remedy != NULL ? S3_FORBIDDEN : S3_AWAY;
        snprintf(why, sizeof why, "S3 at %.150s: %.150s%s%s", call->client->scheme_host,
                 http->error, http->remedy != NULL ? ": " : "",
                 http->remedy != NULL ? http->remedy : "");
    } else {
        if (s3_call_look_closer(call, http->status))
            return;
        answer.status = http->status;
        s3_error_text(http->status >= 300 ? http->body : slice_of(""), "Code", code, sizeof code);
        answer.result = s3_error_result(http->status, code);
        if (answer.result == S3_FORBIDDEN && s3_call_renew(call))
            return;
        if (http->status >= 300) {
            s3_error_text(http->body, "Message", message, sizeof message);
            s3_explain(why, http->status, code, message);
        }
        const char *etag = http_answer_header(http, "ETag");
        answer.etag = etag != NULL ? etag : "";
        answer.meta = http_answer_header(http, S3_META);
        answer.body = http->body;
        answer.retry_after_ms = http->retry_after_ms;
    }
    call->fn(&answer, call->ctx);
    s3_call_free(call);
}

/* ---- requests ---- */

/* An ETag as this server wants to be reminded of it. */
static struct slice s3_condition_etag(const struct s3_call *call)
{
    struct slice etag = slice_of(call->etag);
    bool quoted = etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"';
    return quoted && call->client->options.bare_etags ? slice_make(etag.ptr + 1, etag.len - 2)
                                                      : etag;
}

/* All that are signed. Also host is sent as it stands here: curl has its own ways to write some addresses. */
static size_t s3_headers(const struct s3_call *call, const char *hash, const char *date,
                         struct s3_header *headers)
{
    const struct s3_client *c = call->client;
    size_t n = 0;
    headers[n++] = (struct s3_header){"host", slice_of(c->host)};
    if (call->etag[0] != '\0')
        headers[n++] = (struct s3_header){"if-match", s3_condition_etag(call)};
    if (call->condition.absent)
        headers[n++] = (struct s3_header){"if-none-match", slice_of("*")};
    headers[n++] = (struct s3_header){"x-amz-content-sha256", slice_of(hash)};
    headers[n++] = (struct s3_header){"x-amz-date", slice_of(date)};
    if (call->meta != NULL)
        headers[n++] = (struct s3_header){S3_META, slice_of(call->meta)};
    if (c->credentials.token.len > 0)
        headers[n++] = (struct s3_header){"x-amz-security-token", c->credentials.token};
    return n;
}

static int s3_call_send(struct s3_call *call, const struct s3_header *signed_headers, size_t count,
                        struct slice authorization)
{
    struct http_header headers[S3_HEADERS_MAX + 2];
    struct buffer url = BUFFER_EMPTY;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        headers[n++] = (struct http_header){signed_headers[i].name, signed_headers[i].value};
    headers[n++] = (struct http_header){"authorization", authorization};
    headers[n++] = (struct http_header){"content-type", slice_of("application/octet-stream")};
    buffer_append_text(&url, call->client->scheme_host);
    buffer_append_slice(&url, buffer_slice(&call->path));
    const char *text = buffer_text(&url);
    struct http_request request = {.method = call->method,
                                   .url = text,
                                   .headers = headers,
                                   .header_count = n,
                                   .body = call->body};
    int rc = text == NULL ? -ENOMEM
                          : http_client_request(call->client->http, &request, s3_on_answer, call,
                                                &call->http);
    buffer_fini(&url);
    return rc;
}

static int s3_call_start(struct s3_call *call)
{
    const struct s3_client *c = call->client;
    call->renewed = c->renewed;
    char hash[S3_SIGN_HASH_SIZE], date[S3_SIGN_DATE_SIZE];
    struct s3_header headers[S3_HEADERS_MAX];
    struct buffer authorization = BUFFER_EMPTY;
    if (s3_sign_hash(call->body, hash) != 0)
        return -ENOMEM;
    bool skewed = FAULT_POINT("s3.clock", buffer_slice(&call->path));
    s3_sign_date(time(NULL) - (skewed ? S3_SKEW_S : 0), date);
    size_t count = s3_headers(call, hash, date, headers);
    struct s3_request request = {.method = call->method,
                                 .path = buffer_slice(&call->path),
                                 .query = slice_of(""),
                                 .headers = headers,
                                 .header_count = count,
                                 .body_hash = hash,
                                 .date = date};
    struct s3_credentials credentials = {c->credentials.access_key, c->credentials.secret_key,
                                         slice_of(c->region)};
    int rc = s3_sign(&authorization, &request, &credentials);
    if (rc == 0)
        rc = s3_call_send(call, headers, count, buffer_slice(&authorization));
    buffer_fini(&authorization);
    return rc;
}

static int s3_client_send(struct s3_client *c, const char *method, struct slice name,
                          struct slice body, const char *meta, struct s3_condition condition,
                          s3_answer_fn fn, void *ctx, struct s3_call **out)
{
    struct s3_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return -ENOMEM;
    *call = (struct s3_call){
        .client = c, .method = method, .body = body, .condition = condition, .fn = fn, .ctx = ctx};
    call->next = c->calls;
    if (c->calls != NULL)
        c->calls->before = call;
    c->calls = call;
    call->meta = meta != NULL ? strdup(meta) : NULL;
    buffer_append_slice(&call->path, buffer_slice(&c->path));
    s3_append_path(&call->path, name);
    int rc = (meta != NULL && call->meta == NULL) || !buffer_ok(&call->path) ? -ENOMEM : 0;
    if (rc == 0 && condition.etag != NULL &&
        !slice_copy(slice_of(condition.etag), call->etag, sizeof call->etag))
        rc = -EINVAL;
    if (rc == 0)
        rc = s3_call_start(call);
    if (rc != 0) {
        s3_call_free(call);
        return rc;
    }
    *out = call;
    return 0;
}

int s3_client_put(struct s3_client *c, struct slice name, struct slice body, const char *meta,
                  struct s3_condition condition, s3_answer_fn fn, void *ctx, struct s3_call **call)
{
    return s3_client_send(c, "PUT", name, body, meta, condition, fn, ctx, call);
}

int s3_client_get(struct s3_client *c, struct slice name, s3_answer_fn fn, void *ctx,
                  struct s3_call **call)
{
    return s3_client_send(c, "GET", name, slice_of(""), NULL, (struct s3_condition){0}, fn, ctx,
                          call);
}

int s3_client_head(struct s3_client *c, struct slice name, s3_answer_fn fn, void *ctx,
                   struct s3_call **call)
{
    return s3_client_send(c, "HEAD", name, slice_of(""), NULL, (struct s3_condition){0}, fn, ctx,
                          call);
}

int s3_client_delete(struct s3_client *c, struct slice name, struct s3_condition condition,
                     s3_answer_fn fn, void *ctx, struct s3_call **call)
{
    return s3_client_send(c, "DELETE", name, slice_of(""), NULL, condition, fn, ctx, call);
}

void s3_client_cancel(struct s3_call *call)
{
    http_client_cancel(call->http);
    s3_call_free(call);
}
