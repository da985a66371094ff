/* http_client.c: libcurl's multi socket interface under uv_poll. See http_client.h; traps: FACTS.md 4. */
#include "common/http/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define HTTP_CLIENT_AGENT "platoon/" PLATOON_VERSION
#define HTTP_RETRY_MAX_S  3600
#define HTTP_SPARE_MAX    32
#define HTTP_CA_FIRST     18L /* OpenSSL's reasons that mean: by nobody whom we know */
#define HTTP_CA_LAST      21L
#define HTTP_CA_CACHE_S   60L /* libcurl's own is a day: a CA that a person adds would not be seen */

struct http_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    struct http_options options;
    struct http_call *calls;
    CURL *spare[HTTP_SPARE_MAX]; /* of calls that have ended: a new one costs a dozen allocations */
    unsigned spares;
    unsigned handles; /* uv handles not closed yet: the memory goes after the last */
};

struct http_call {
    struct http_call *next, *before;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer body;
    bool too_long;
    http_answer_fn fn;
    void *ctx;
    char error[CURL_ERROR_SIZE];
};

/* A socket curl wants to be told about. */
struct http_watch {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

/* ---- memory ---- */

static void http_client_unref(struct http_client *c)
{
    if (--c->handles == 0)
        free(c);
}

static void http_on_watch_closed(uv_handle_t *handle)
{
    struct http_watch *watch = handle->data;
    http_client_unref(watch->client);
    free(watch);
}

static void http_on_timer_closed(uv_handle_t *handle)
{
    http_client_unref(handle->data);
}

/* Forgets all of what it was for, but no connection: those are the multi's. */
static void http_spare_put(struct http_client *c, CURL *easy)
{
    if (c->spares == HTTP_SPARE_MAX) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    c->spare[c->spares++] = easy;
}

static CURL *http_spare_take(struct http_client *c)
{
    return c->spares > 0 ? c->spare[--c->spares] : curl_easy_init();
}

static void http_call_free(struct http_call *call)
{
    struct http_client *c = call->client;
    if (call->before != NULL)
        call->before->next = call->next;
    else if (c->calls == call)
        c->calls = call->next;
    if (call->next != NULL)
        call->next->before = call->before;
    if (call->easy != NULL) {
        curl_multi_remove_handle(c->multi, call->easy);
        http_spare_put(c, call->easy);
    }
    curl_slist_free_all(call->headers);
    buffer_fini(&call->body);
    free(call);
}

/* ---- what a person can do ---- */

/* OpenSSL's X509_V_ERR_…, which libcurl passes on; -1: of any other reason. 18 to 21: http_ca_remedy. */
static const struct {
    long verify;
    const char *remedy;
} http_certificate_remedies[] = {
    {0, "url must name the host as its certificate does, or it needs a certificate for this name"},
    {9, "its certificate is not valid yet: set this machine's clock (NTP)"},
    {10, "its certificate has expired: renew it there; or this machine's clock is wrong (NTP)"},
    {-1, "see what it shows: openssl s_client -connect HOST:PORT"},
};

/* Whose CA is not known. */
static const char *http_ca_remedy(const char *ca_file)
{
    if (ca_file == NULL)
        return "this machine does not know its CA: put that one's certificate into "
               "/usr/local/share/ca-certificates/NAME.crt and run update-ca-certificates";
    return ca_file[0] == '\0'
               ? "this machine does not know its CA: name that one's certificate as tls_ca_file, "
                 "or put it into /usr/local/share/ca-certificates/NAME.crt and run "
                 "update-ca-certificates"
               : "no certificate in tls_ca_file is its CA's: put that one's into the file";
}

static const char *http_certificate_remedy(long verify, const char *ca_file)
{
    size_t i = 0;
    if (verify >= HTTP_CA_FIRST && verify <= HTTP_CA_LAST)
        return http_ca_remedy(ca_file);
    while (http_certificate_remedies[i].verify != verify &&
           http_certificate_remedies[i].verify >= 0)
        i++;
    return http_certificate_remedies[i].remedy;
}

const char *http_remedy(int code, long verify, const char *error, const char *ca_file)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return http_certificate_remedy(verify, ca_file);
    case CURLE_SSL_CACERT_BADFILE:
        return ca_file == NULL || ca_file[0] == '\0'
                   ? "install the certificates of the system's CAs (ca-certificates)"
                   : "tls_ca_file must be a file of certificates (PEM) that platoon may read";
    case CURLE_SSL_CONNECT_ERROR: /* of which most pass: who restarts hangs up as well */
        return strstr(error, "wrong version number") != NULL
                   ? "no TLS is spoken at that port: url must begin with http://, or name another"
                   : NULL;
    default:
        return NULL;
    }
}

/* ---- answers ---- */

static void http_call_answer(struct http_call *call, CURLcode code)
{
    struct http_answer answer = {.error = "", .call = call};
    long status = 0;
    curl_off_t after = 0;
    if (code == CURLE_OK)
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 0 && buffer_ok(&call->body)) {
        curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after);
        answer.status = (int)status;
        answer.body = buffer_slice(&call->body);
        answer.retry_after_ms =
            after <= 0 ? 0 : 1000 * (uint64_t)(after < HTTP_RETRY_MAX_S ? after : HTTP_RETRY_MAX_S);
    } else if (call->too_long) {
        answer.error = "the answer is too long";
        answer.too_long = true;
    } else if (!buffer_ok(&call->body)) {
        answer.error = "memory is short";
    } else {
        long verify = 0;
        curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
        answer.cut_short = code == CURLE_PARTIAL_FILE;
        answer.error = call->error[0] != '\0' ? call->error : curl_easy_strerror(code);
        answer.remedy = http_remedy((int)code, verify, answer.error, call->client->options.ca_file);
    }
    call->fn(&answer, call->ctx);
}

static void http_client_deliver(struct http_client *c)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct http_call *call = NULL;
        CURLcode code = m->data.result; /* m dies with remove_handle */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        curl_multi_remove_handle(c->multi, m->easy_handle);
        http_call_answer(call, code);
        http_call_free(call);
    }
}

/* ---- curl and the loop ---- */

static void http_on_event(uv_poll_t *poll, int status, int events)
{
    struct http_watch *watch = poll->data;
    struct http_client *c = watch->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(c->multi, watch->fd, flags, &running);
    http_client_deliver(c);
}

static void http_on_time(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_client_deliver(c);
}

/* curl must not be called from its own callbacks: a timeout of 0 is a timer of 0. */
static int http_on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct http_client *c = ctx;
    if (timeout_ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, http_on_time, (uint64_t)timeout_ms, 0);
    return 0;
}

static struct http_watch *http_watch_new(struct http_client *c, curl_socket_t fd)
{
    struct http_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL || uv_poll_init_socket(c->loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->client = c;
    watch->fd = fd;
    c->handles++;
    curl_multi_assign(c->multi, fd, watch);
    return watch;
}

static int http_on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    (void)easy;
    struct http_client *c = ctx;
    struct http_watch *watch = known;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            curl_multi_assign(c->multi, fd, NULL);
            uv_close((uv_handle_t *)&watch->poll, http_on_watch_closed);
        }
        return 0;
    }
    if (watch == NULL)
        watch = http_watch_new(c, fd);
    if (watch == NULL)
        return -1; /* curl ends every transfer with CURLM_ABORTED_BY_CALLBACK's error */
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, http_on_event) == 0 ? 0 : -1;
}

static size_t http_on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    size_t len = size * count;
    if (call->body.len + len > call->client->options.answer_max) {
        call->too_long = true;
        return 0;
    }
    buffer_append(&call->body, bytes, len);
    return buffer_ok(&call->body) ? len : 0;
}

/* ---- the client ---- */

static pthread_once_t http_once = PTHREAD_ONCE_INIT;

static void http_global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_new(uv_loop_t *loop, const struct http_options *options, struct http_client **out)
{
    pthread_once(&http_once, http_global_init);
    struct http_client *c = calloc(1, sizeof *c);
    CURLM *multi = curl_multi_init();
    if (c == NULL || multi == NULL) {
        free(c);
        curl_multi_cleanup(multi);
        return -ENOMEM;
    }
    c->loop = loop;
    c->multi = multi;
    c->options = *options;
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->handles = 1;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, http_on_curl_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, http_on_curl_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)options->parallel);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)options->parallel);
    *out = c;
    return 0;
}

void http_client_free(struct http_client *c)
{
    if (c == NULL)
        return;
    while (c->calls != NULL)
        http_call_free(c->calls);
    while (c->spares > 0)
        curl_easy_cleanup(c->spare[--c->spares]);
    curl_multi_cleanup(c->multi); /* closes kept connections, and with them their watches */
    uv_close((uv_handle_t *)&c->timer, http_on_timer_closed);
}

/* ---- a call ---- */

static bool http_call_add_header(struct http_call *call, const char *name, struct slice value)
{
    struct buffer line = BUFFER_EMPTY;
    buffer_printf(&line, "%s:%s", name, value.len > 0 ? " " : "");
    buffer_append_slice(&line, value);
    struct curl_slist *grown =
        buffer_ok(&line) ? curl_slist_append(call->headers, buffer_text(&line)) : NULL;
    buffer_fini(&line);
    if (grown != NULL)
        call->headers = grown;
    return grown != NULL;
}

/* No 100-continue: a server that does not know it would cost a second. */
static bool http_call_set_headers(struct http_call *call)
{
    return http_call_add_header(call, "Expect", slice_of("")) &&
           curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
}

static bool http_call_set_post(struct http_call *call, struct slice body, const char *type)
{
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    return http_call_add_header(call, "Content-Type", slice_of(type)) &&
           http_call_set_headers(call) &&
           curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, body.ptr) == CURLE_OK;
}

static bool http_call_set_request(struct http_call *call, const struct http_request *request)
{
    CURL *easy = call->easy;
    bool has_body = request->body.len > 0 || strcmp(request->method, "PUT") == 0 ||
                    strcmp(request->method, "POST") == 0;
    bool good = true;
    for (size_t i = 0; i < request->header_count; i++)
        good =
            good && http_call_add_header(call, request->headers[i].name, request->headers[i].value);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    if (request->gzip)
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    }
    return good && http_call_set_headers(call) &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

/* In the place of the system's, of which libcurl knows a file and a folder. */
static bool http_call_set_ca(CURL *easy, const char *ca_file)
{
    return ca_file == NULL || ca_file[0] == '\0' ||
           (curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK);
}

static bool http_call_set_up(struct http_call *call, const char *url)
{
    CURL *easy = call->easy;
    long timeout = (long)call->client->options.timeout_ms;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, HTTP_CLIENT_AGENT);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, HTTP_CA_CACHE_S);
    return http_call_set_ca(easy, call->client->options.ca_file) &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
}

/*
 * A url curl cannot read would only show when the request starts: looked at here, so that the caller hears it at once.
 */
static bool http_url_is_good(const char *url)
{
    CURLU *parsed = curl_url();
    bool good = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;
    curl_url_cleanup(parsed);
    return good;
}

/* A call that is not on its way yet, or NULL: memory is short. */
static struct http_call *http_call_new(struct http_client *c, const char *url, http_answer_fn fn,
                                       void *ctx)
{
    struct http_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->client = c;
    call->fn = fn;
    call->ctx = ctx;
    call->next = c->calls;
    if (c->calls != NULL)
        c->calls->before = call;
    c->calls = call;
    call->easy = http_spare_take(c);
    if (call->easy != NULL && http_call_set_up(call, url))
        return call;
    http_call_free(call);
    return NULL;
}

static int http_call_start(struct http_call *call, bool good, struct http_call **out)
{
    if (!good || curl_multi_add_handle(call->client->multi, call->easy) != CURLM_OK) {
        http_call_free(call);
        return -ENOMEM;
    }
    *out = call;
    return 0;
}

int http_client_send(struct http_client *c, const char *url, struct slice body, const char *type,
                     http_answer_fn fn, void *ctx, struct http_call **out)
{
    if (!http_url_is_good(url))
        return -EINVAL;
    struct http_call *call = http_call_new(c, url, fn, ctx);
    if (call == NULL)
        return -ENOMEM;
    return http_call_start(call, body.len == 0 || http_call_set_post(call, body, type), out);
}

int http_client_request(struct http_client *c, const struct http_request *request,
                        http_answer_fn fn, void *ctx, struct http_call **out)
{
    if (!http_url_is_good(request->url))
        return -EINVAL;
    struct http_call *call = http_call_new(c, request->url, fn, ctx);
    if (call == NULL)
        return -ENOMEM;
    return http_call_start(call, http_call_set_request(call, request), out);
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    struct curl_header *header;
    if (answer->call == NULL ||
        curl_easy_header(answer->call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    size_t last = header->amount - 1;
    return curl_easy_header(answer->call->easy, name, last, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? header->value
               : NULL;
}

/* ---- redirects ---- */

/* Port as it is meant, also where it is not said. */
static bool http_url_same(CURLU *a, CURLU *b, CURLUPart part)
{
    char *one = NULL, *other = NULL;
    bool same = curl_url_get(a, part, &one, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, part, &other, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                strcasecmp(one, other) == 0;
    curl_free(one);
    curl_free(other);
    return same;
}

static bool http_url_is_https(CURLU *u)
{
    char *scheme = NULL;
    bool https = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 strcasecmp(scheme, "https") == 0;
    curl_free(scheme);
    return https;
}

static int http_url_lead(CURLU *from, CURLU *to, struct buffer *out, bool *same)
{
    char *whole = NULL;
    if (curl_url_get(to, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return -EINVAL;
    buffer_append_text(out, whole);
    bool http = strncasecmp(whole, "http://", 7) == 0 || strncasecmp(whole, "https://", 8) == 0;
    curl_free(whole);
    *same = http_url_same(from, to, CURLUPART_SCHEME) && http_url_same(from, to, CURLUPART_HOST) &&
            http_url_same(from, to, CURLUPART_PORT);
    if (!http)
        return -EINVAL;
    if (http_url_is_https(from) && !http_url_is_https(to))
        return -EPERM;
    return buffer_text(out) != NULL ? 0 : -ENOMEM;
}

int http_url_follow(const char *url, const char *location, struct buffer *out, bool *same)
{
    CURLU *from = curl_url(), *to = curl_url();
    int rc = -ENOMEM;
    *same = false;
    if (from != NULL && to != NULL)
        rc = curl_url_set(from, CURLUPART_URL, url, 0) == CURLUE_OK &&
                     curl_url_set(to, CURLUPART_URL, url, 0) == CURLUE_OK &&
                     curl_url_set(to, CURLUPART_URL, location, 0) == CURLUE_OK
                 ? http_url_lead(from, to, out, same)
                 : -EINVAL;
    curl_url_cleanup(from);
    curl_url_cleanup(to);
    return rc;
}

void http_client_cancel(struct http_call *call)
{
    http_call_free(call);
}

void http_encode(struct buffer *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        char *to = buffer_reserve(out, 3);
        if (to == NULL)
            return;
        to[0] = plain ? (char)c : '%';
        to[1] = digits[c >> 4];
        to[2] = digits[c & 15];
        out->len += plain ? 1 : 3;
    }
}
