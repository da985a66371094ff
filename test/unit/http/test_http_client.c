/*
 * test_http_client.c: requests and their ends (common/http/http_client.h) against a server of the
 * test's own on the same loop.
 */
#include "common/http/http_client.h"
#include "test/unit/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A server that reads a request up to its end and answers `reply` (NULL: never), once for each request on a connection.
 */
struct server {
    uv_tcp_t listener;
    const char *reply;
    bool hang_up; /* closes the connection instead of answering */
    unsigned connections, requests;
    struct buffer seen;
    int port;
};

struct guest {
    uv_tcp_t tcp;
    struct server *server;
    struct buffer in;
};

struct seen {
    int status;
    unsigned calls;
    char body[64], error[256];
    char etag[64]; /* "none": no such header */
    uint64_t retry_after_ms;
};

static uv_loop_t loop;
static struct server server;
static struct http_client *client;

static void guest_on_closed(uv_handle_t *handle)
{
    struct guest *g = handle->data;
    buffer_fini(&g->in);
    free(g);
}

static void guest_on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    (void)handle;
    *buf = uv_buf_init(malloc(hint), (unsigned)hint);
}

/* Length of the first whole request in the buffer, 0 when there is none. */
static size_t guest_request(struct guest *g)
{
    const char *text = buffer_text(&g->in);
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return 0;
    const char *length = strstr(text, "Content-Length: ");
    size_t len = (size_t)(end - text) + 4;
    if (length != NULL && length < end)
        len += (size_t)atoi(length + strlen("Content-Length: "));
    return len <= g->in.len ? len : 0;
}

static void guest_answer(struct guest *g)
{
    uv_buf_t out =
        uv_buf_init((char *)(uintptr_t)g->server->reply, (unsigned)strlen(g->server->reply));
    ck_assert_int_eq(uv_try_write((uv_stream_t *)&g->tcp, &out, 1), (int)out.len);
}

static void guest_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct guest *g = stream->data;
    if (n > 0)
        buffer_append(&g->in, buf->base, (size_t)n);
    free(buf->base);
    if (n < 0) {
        uv_close((uv_handle_t *)stream, guest_on_closed);
        return;
    }
    for (size_t len; (len = g->in.len > 0 ? guest_request(g) : 0) > 0;) {
        g->server->requests++;
        buffer_append(&g->server->seen, g->in.data, len);
        buffer_consume(&g->in, len);
        if (g->server->hang_up) {
            uv_close((uv_handle_t *)stream, guest_on_closed);
            return;
        }
        if (g->server->reply != NULL)
            guest_answer(g);
    }
}

static void server_on_guest(uv_stream_t *listener, int status)
{
    ck_assert_int_eq(status, 0);
    struct server *s = listener->data;
    struct guest *g = calloc(1, sizeof *g);
    g->server = s;
    uv_tcp_init(&loop, &g->tcp);
    g->tcp.data = g;
    ck_assert_int_eq(uv_accept(listener, (uv_stream_t *)&g->tcp), 0);
    s->connections++;
    uv_read_start((uv_stream_t *)&g->tcp, guest_on_alloc, guest_on_read);
}

static void set_up(void)
{
    struct sockaddr_in address;
    int size = sizeof address;
    struct http_options options = {.parallel = 4, .timeout_ms = 3000, .answer_max = 40};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    memset(&server, 0, sizeof server);
    uv_tcp_init(&loop, &server.listener);
    server.listener.data = &server;
    uv_ip4_addr("127.0.0.1", 0, &address);
    ck_assert_int_eq(uv_tcp_bind(&server.listener, (const struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&server.listener, 64, server_on_guest), 0);
    uv_tcp_getsockname(&server.listener, (struct sockaddr *)&address, &size);
    server.port = ntohs(address.sin_port);
    server.reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    ck_assert_int_eq(http_client_new(&loop, &options, &client), 0);
}

static void close_left(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, handle == (uv_handle_t *)&server.listener ? NULL : guest_on_closed);
}

/* The client first: its handles must all be closed by itself, the guests' are ours. */
static void tear_down(void)
{
    http_client_free(client);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_walk(&loop, close_left, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    buffer_fini(&server.seen);
}

static void on_answer(const struct http_answer *answer, void *ctx)
{
    struct seen *seen = ctx;
    seen->calls++;
    seen->status = answer->status;
    seen->retry_after_ms = answer->retry_after_ms;
    slice_copy(answer->body, seen->body, sizeof seen->body);
    slice_copy(slice_of(answer->error), seen->error, sizeof seen->error);
    const char *etag = http_answer_header(answer, "etag");
    slice_copy(slice_of(etag != NULL ? etag : "none"), seen->etag, sizeof seen->etag);
}

static const char *url(const char *path)
{
    static char text[128];
    snprintf(text, sizeof text, "http://127.0.0.1:%d%s", server.port, path);
    return text;
}

static struct http_call *ask(const char *path, const char *body, struct seen *seen)
{
    struct http_call *call = NULL;
    ck_assert_int_eq(
        http_client_send(client, url(path), slice_of(body), "text/plain", on_answer, seen, &call),
        0);
    ck_assert_ptr_nonnull(call);
    return call;
}

static void wait_for(const struct seen *seen)
{
    ck_assert_uint_eq(seen->calls, 0); /* never from within http_client_send */
    while (seen->calls == 0) {
        bool alive = uv_run(&loop, UV_RUN_ONCE) != 0;
        ck_assert(alive || seen->calls > 0);
    }
    ck_assert_uint_eq(seen->calls, 1);
}

START_TEST(get)
{
    struct seen seen = {0};
    ask("/a?b=c%20d", "", &seen);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 200);
    ck_assert_str_eq(seen.body, "hello");
    ck_assert_str_eq(seen.error, "");
    ck_assert_ptr_nonnull(strstr(buffer_text(&server.seen), "GET /a?b=c%20d HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(buffer_text(&server.seen), "User-Agent: platoon/"));
}
END_TEST

START_TEST(post)
{
    struct seen seen = {0};
    char body[20000];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    ask("/form", body, &seen);
    memset(body, 'y', sizeof body - 1); /* it was copied */
    wait_for(&seen);
    const char *text = buffer_text(&server.seen);
    ck_assert_ptr_nonnull(strstr(text, "POST /form HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: text/plain\r\n"));
    ck_assert_ptr_null(strstr(text, "Expect"));
    ck_assert_ptr_nonnull(strstr(text, "xxxx"));
    ck_assert_ptr_null(strstr(text, "yyyy"));
}
END_TEST

START_TEST(connections_are_kept)
{
    for (int i = 0; i < 20; i++) {
        struct seen seen = {0};
        ask("/", "", &seen);
        wait_for(&seen);
    }
    ck_assert_uint_eq(server.requests, 20);
    ck_assert_uint_eq(server.connections, 1);
}
END_TEST

START_TEST(many_at_once)
{
    struct seen seen[50] = {0};
    for (int i = 0; i < 50; i++)
        ask("/", "", &seen[i]);
    for (int i = 0; i < 50; i++)
        while (seen[i].calls == 0)
            ck_assert_int_ne(uv_run(&loop, UV_RUN_ONCE), 0);
    ck_assert_uint_eq(server.requests, 50);
    ck_assert_uint_le(server.connections, 4);
}
END_TEST

START_TEST(other_statuses)
{
    struct seen seen = {0};
    server.reply = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    ask("/", "", &seen);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 503);
    ck_assert_uint_eq(seen.retry_after_ms, 7000);
    struct seen moved = {0};
    server.reply = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    ask("/", "", &moved);
    wait_for(&moved);
    ck_assert_int_eq(moved.status, 302);
    ck_assert_uint_eq(server.requests, 2); /* not followed */
}
END_TEST

START_TEST(too_long_an_answer)
{
    struct seen seen = {0}, chunked = {0}, exact = {0};
    server.reply = "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n"
                   "01234567890123456789012345678901234567890";
    ask("/", "", &seen);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert_str_eq(seen.error, "the answer is too long");
    server.reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n"
                   "01234567890123456789012345678901\r\n20\r\n01234567890123456789012345678901\r\n"
                   "0\r\n\r\n";
    ask("/", "", &chunked);
    wait_for(&chunked);
    ck_assert_str_eq(chunked.error, "the answer is too long");
    server.reply = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
                   "0123456789012345678901234567890123456789";
    ask("/", "", &exact);
    wait_for(&exact);
    ck_assert_uint_eq(strlen(exact.body), 40);
}
END_TEST

START_TEST(nobody_there)
{
    struct seen seen = {0};
    uv_close((uv_handle_t *)&server.listener, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    ask("/", "", &seen);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert_msg(strstr(seen.error, "127.0.0.1") != NULL, "%s", seen.error);
}
END_TEST

START_TEST(hangs_up)
{
    struct seen seen = {0};
    server.hang_up = true;
    ask("/", "", &seen);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert_str_ne(seen.error, "");
}
END_TEST

START_TEST(not_http)
{
    struct seen seen = {0};
    server.reply = "+OK this is another protocol\r\n\r\n";
    ask("/", "", &seen);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 0);
}
END_TEST

START_TEST(never_answers)
{
    struct http_client *quick;
    struct http_options options = {.parallel = 1, .timeout_ms = 50, .answer_max = 40};
    struct http_call *call;
    struct seen seen = {0};
    server.reply = NULL;
    ck_assert_int_eq(http_client_new(&loop, &options, &quick), 0);
    ck_assert_int_eq(http_client_send(quick, url("/"), slice_of(""), "", on_answer, &seen, &call),
                     0);
    wait_for(&seen);
    ck_assert_int_eq(seen.status, 0);
    ck_assert_msg(strstr(seen.error, "timed out") != NULL, "%s", seen.error);
    http_client_free(quick);
}
END_TEST

START_TEST(cancelled)
{
    struct seen gone = {0}, other = {0};
    struct http_call *call = ask("/gone", "", &gone);
    while (server.requests == 0 && gone.calls == 0)
        uv_run(&loop, UV_RUN_ONCE);
    struct seen first = {0};
    struct http_call *early = ask("/early", "", &first);
    http_client_cancel(early); /* before it was sent */
    if (gone.calls == 0)
        http_client_cancel(call); /* on its way */
    unsigned before = gone.calls;
    ask("/other", "", &other);
    wait_for(&other);
    ck_assert_uint_eq(gone.calls, before);
    ck_assert_uint_eq(first.calls, 0);
}
END_TEST

/*
 * Freed with calls under way and connections kept: nothing is called, nothing leaks (ASan), the loop ends (tear_down).
 */
START_TEST(freed_while_it_works)
{
    struct seen seen[8] = {0};
    struct seen done = {0};
    ask("/", "", &done);
    wait_for(&done);
    server.reply = NULL;
    for (int i = 0; i < 8; i++)
        ask("/", "", &seen[i]);
    while (server.requests < 4)
        uv_run(&loop, UV_RUN_ONCE);
    http_client_free(client);
    client = NULL;
    uv_run(&loop, UV_RUN_NOWAIT);
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(seen[i].calls, 0);
}
END_TEST

START_TEST(bad_urls)
{
    static const char *const urls[] = {"", "http://", "http://host:99999/", "http://a b/",
                                       "nonsense://["};
    struct seen seen = {0};
    struct http_call *call;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        ck_assert_msg(
            http_client_send(client, urls[i], slice_of(""), "", on_answer, &seen, &call) == -EINVAL,
            "%s", urls[i]);
    ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

static void request(const char *method, const char *path, const char *body, struct seen *seen)
{
    struct http_call *call;
    struct http_header headers[] = {{"x-amz-date", slice_of("20130524T000000Z")},
                                    {"If-Match", slice_of("\"abc\"")}};
    struct http_request r = {.method = method,
                             .url = url(path),
                             .headers = headers,
                             .header_count = 2,
                             .body = slice_of(body)};
    *seen = (struct seen){0};
    buffer_clear(&server.seen);
    ck_assert_int_eq(http_client_request(client, &r, on_answer, seen, &call), 0);
    wait_for(seen);
}

/* What it is asked with is used again: a GET behind a PUT has its own alone, and so has its answer. */
START_TEST(nothing_is_left_of_the_one_before)
{
    struct seen seen, after = {0};
    server.reply = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n";
    request("PUT", "/first", "hello", &seen);
    ck_assert_str_eq(seen.etag, "\"1\"");
    buffer_clear(&server.seen);
    server.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    ask("/second", "", &after);
    wait_for(&after);
    ck_assert_str_eq(after.body, "hi");
    ck_assert_str_eq(after.etag, "none");
    const char *text = buffer_text(&server.seen);
    ck_assert_ptr_eq(strstr(text, "GET /second HTTP/1.1\r\n"), text);
    ck_assert_ptr_null(strstr(text, "hello"));
    ck_assert_ptr_null(strstr(text, "Content-Length"));
    ck_assert_ptr_null(strstr(text, "x-amz-date"));
    ck_assert_ptr_null(strstr(text, "If-Match"));
    ck_assert_uint_eq(server.connections, 1);
}
END_TEST

START_TEST(methods_and_headers)
{
    struct seen seen;
    server.reply = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nETag: \"2\"\r\n\r\n";
    request("PUT", "/a/../b//c/./%2F", "hello", &seen);
    ck_assert_str_eq(seen.etag, "\"2\"");
    const char *text = buffer_text(&server.seen);
    ck_assert_ptr_nonnull(strstr(text, "PUT /a/../b//c/./%2F HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "x-amz-date: 20130524T000000Z\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "If-Match: \"abc\"\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Content-Length: 5\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "\r\n\r\nhello"));
    ck_assert_ptr_null(strstr(text, "Expect"));
    request("PUT", "/empty", "", &seen);
    ck_assert_ptr_nonnull(strstr(buffer_text(&server.seen), "Content-Length: 0\r\n"));
    request("DELETE", "/d", "", &seen);
    ck_assert_ptr_nonnull(strstr(buffer_text(&server.seen), "DELETE /d HTTP/1.1\r\n"));
    ck_assert_ptr_null(strstr(buffer_text(&server.seen), "Content-Length"));
    request("GET", "/g", "", &seen);
    ck_assert_ptr_nonnull(strstr(buffer_text(&server.seen), "GET /g HTTP/1.1\r\n"));
}
END_TEST

/* A HEAD's answer says a length and has no body: waiting for one would hang until the deadline. */
START_TEST(head)
{
    struct seen seen;
    server.reply = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n";
    request("HEAD", "/h", "", &seen);
    ck_assert_int_eq(seen.status, 200);
    ck_assert_str_eq(seen.body, "");
    ck_assert_str_eq(seen.etag, "none");
    request("HEAD", "/h", "", &seen); /* on the same connection */
    ck_assert_uint_eq(server.connections, 1);
}
END_TEST

START_TEST(where_a_redirect_leads)
{
    static const struct {
        const char *url, *location, *to;
        int rc;
        bool same;
    } cases[] = {
        {"http://a/b/c?d", "e", "http://a/b/e", 0, true},
        {"http://a/b", "/x?y", "http://a/x?y", 0, true},
        {"http://a:80/b", "http://A/x", "http://A/x", 0, true},
        {"http://a/b", "//other/x", "http://other/x", 0, false},
        {"http://a/b", "http://a:81/x", "http://a:81/x", 0, false},
        {"http://a/b", "https://a/x", "https://a/x", 0, false},
        {"https://a/b", "https://a:443/x", NULL, 0, true},
        {"https://a/b", "http://a/x", NULL, -EPERM, false},
        {"http://a/b", "ftp://a/x", NULL, -EINVAL, false},
        {"http://a/b", "file:///etc/passwd", NULL, -EINVAL, false},
        {"http://a/b", "http://[", NULL, -EINVAL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer to = BUFFER_EMPTY;
        bool same;
        ck_assert_msg(http_url_follow(cases[i].url, cases[i].location, &to, &same) == cases[i].rc,
                      "%s", cases[i].location);
        if (cases[i].rc == 0)
            ck_assert_msg(same == cases[i].same, "%s", cases[i].location);
        if (cases[i].to != NULL)
            ck_assert_str_eq(buffer_text(&to), cases[i].to);
        buffer_fini(&to);
    }
}
END_TEST

START_TEST(encoding)
{
    struct buffer out = BUFFER_EMPTY;
    http_encode(&out, slice_make("aZ09-._~ /?&=+%\0\xc3\xa4", 18));
    ck_assert_str_eq(buffer_text(&out), "aZ09-._~%20%2F%3F%26%3D%2B%25%00%C3%A4");
    buffer_fini(&out);
}
END_TEST

SUITE_MAIN_WITH("http_client", set_up, tear_down, get, post, connections_are_kept, many_at_once,
                other_statuses, too_long_an_answer, nobody_there, hangs_up, not_http, never_answers,
                cancelled, freed_while_it_works, bad_urls, encoding, methods_and_headers, head,
                nothing_is_left_of_the_one_before, where_a_redirect_leads)
