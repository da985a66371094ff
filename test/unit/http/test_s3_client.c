/*
 * test_s3_client.c: requests to S3 and what their answers mean, against a server of the test's own that keeps what it
 * was asked. (A real S3 server: test/e2e/cache.)
 */
#include "common/http/s3_client.h"
#include "common/http/s3_sign.h"
#include "test/unit/http/http_fake.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static uv_loop_t loop;
static struct http_fake server;
static const char *replies[4]; /* one a request; the last one stays */
static size_t requests;
static const char *
    trusted; /* NULL, or the key that is answered with the second reply, and all others with the first */
static struct buffer seen;
static char credentials[] = "/tmp/platoon-s3-XXXXXX";
static struct s3_client *client;
static bool host_style; /* of the next client */

static void on_request(struct http_guest *guest, const char *head, struct slice body, void *ctx)
{
    (void)ctx;
    buffer_clear(&seen);
    buffer_append_text(&seen, head);
    buffer_append_slice(&seen, body);
    const char *reply = replies[trusted == NULL ? requests : strstr(head, trusted) != NULL ? 1 : 0];
    if (requests < 3 && replies[requests + 1] != NULL)
        requests++;
    http_fake_reply(guest, reply, strlen(reply));
}

static void write_credentials(const char *text)
{
    FILE *f = fopen(credentials, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static int open_client(const char *before, const char *behind, bool bare, char *why, size_t size)
{
    static char url[128];
    snprintf(url, sizeof url, "%s%d%s", before, server.port, behind);
    struct s3_options options = {
        .url = url,
        .region = "eu-west-1",
        .credentials_file = credentials,
        .bare_etags = bare,
        .host_style = host_style,
        .http = {.parallel = 4, .timeout_ms = 3000, .answer_max = 4096},
    };
    return s3_client_new(&loop, &options, &client, why, size);
}

static void set_up(void)
{
    memset(replies, 0, sizeof replies);
    requests = 0;
    trusted = NULL;
    strcpy(credentials, "/tmp/platoon-s3-XXXXXX");
    close(mkstemp(credentials));
    write_credentials("[other]\naws_access_key_id = WRONG\n[default]\n# a comment\r\n"
                      "aws_access_key_id = AKID\r\naws_secret_access_key=secret/+=\n");
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    http_fake_start(&server, &loop, on_request, NULL);
    char why[S3_WHY_SIZE];
    ck_assert_int_eq(
        open_client("http://127.0.0.1:", "/bucket/some/prefix/", false, why, sizeof why), 0);
}

static void tear_down(void)
{
    s3_client_free(client);
    http_fake_stop(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    buffer_fini(&seen);
    unlink(credentials);
}

struct got {
    unsigned calls;
    enum s3_result result;
    char body[128], etag[64], meta[64], why[S3_WHY_SIZE];
    uint64_t retry_after_ms;
};

static void on_answer(const struct s3_answer *answer, void *ctx)
{
    struct got *got = ctx;
    got->calls++;
    got->result = answer->result;
    slice_copy(answer->body, got->body, sizeof got->body);
    slice_copy(slice_of(answer->etag), got->etag, sizeof got->etag);
    slice_copy(slice_of(answer->meta != NULL ? answer->meta : "none"), got->meta, sizeof got->meta);
    slice_copy(slice_of(answer->why), got->why, sizeof got->why);
    got->retry_after_ms = answer->retry_after_ms;
}

static void wait_for(struct got *got)
{
    while (got->calls == 0)
        ck_assert(uv_run(&loop, UV_RUN_ONCE) != 0 || got->calls > 0);
    ck_assert_uint_eq(got->calls, 1);
}

static struct got get(const char *name)
{
    struct got got = {0};
    struct s3_call *call;
    ck_assert_int_eq(s3_client_get(client, slice_of(name), on_answer, &got, &call), 0);
    wait_for(&got);
    return got;
}

static struct got put(const char *name, const char *body, struct s3_condition condition)
{
    struct got got = {0};
    struct s3_call *call;
    ck_assert_int_eq(s3_client_put(client, slice_of(name), slice_of(body), "v=1;e=0", condition,
                                   on_answer, &got, &call),
                     0);
    wait_for(&got);
    return got;
}

static bool sent(const char *text)
{
    return strstr(buffer_text(&seen), text) != NULL;
}

START_TEST(gets)
{
    replies[0] = "HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nx-amz-meta-platoon: v=5;e=7\r\n"
                 "Content-Length: 5\r\n\r\nhello";
    struct got got = get("a b/%2F~:");
    ck_assert_int_eq(got.result, S3_DONE);
    ck_assert_str_eq(got.body, "hello");
    ck_assert_str_eq(got.etag, "\"abc\"");
    ck_assert_str_eq(got.meta, "v=5;e=7");
    ck_assert_str_eq(got.why, "");
    ck_assert(sent("GET /bucket/some/prefix/a%20b/%252F~%3A HTTP/1.1\r\n"));
    ck_assert(sent("authorization: AWS4-HMAC-SHA256 Credential=AKID/"));
    ck_assert(
        sent("/eu-west-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,"));
    /* Of the empty body. */
    ck_assert(sent("x-amz-content-sha256: "
                   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"));
}
END_TEST

START_TEST(puts_under_a_condition)
{
    replies[0] = "HTTP/1.1 200 OK\r\nETag: \"new\"\r\nContent-Length: 0\r\n\r\n";
    struct got got = put("k", "hello", (struct s3_condition){.absent = true});
    ck_assert_int_eq(got.result, S3_DONE);
    ck_assert_str_eq(got.etag, "\"new\"");
    ck_assert(sent("PUT /bucket/some/prefix/k HTTP/1.1\r\n"));
    ck_assert(sent("if-none-match: *\r\n"));
    ck_assert(sent("x-amz-meta-platoon: v=1;e=0\r\n"));
    ck_assert(sent("SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;"
                   "x-amz-meta-platoon,"));
    ck_assert(sent("content-type: application/octet-stream\r\n"));
    ck_assert(sent("\r\n\r\nhello"));
    put("k", "", (struct s3_condition){.etag = "\"new\""});
    ck_assert(sent("if-match: \"new\"\r\n"));
    ck_assert(!sent("if-none-match"));
    ck_assert(sent("Content-Length: 0\r\n"));
    put("k", "x", (struct s3_condition){0});
    ck_assert(!sent("if-"));
}
END_TEST

START_TEST(bare_etags)
{
    char why[S3_WHY_SIZE];
    s3_client_free(client);
    ck_assert_int_eq(open_client("http://127.0.0.1:", "/b", true, why, sizeof why), 0);
    replies[0] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    put("k", "x", (struct s3_condition){.etag = "\"new\""});
    ck_assert(sent("if-match: new\r\n"));
    ck_assert(sent("PUT /b/k HTTP/1.1\r\n"));
}
END_TEST

/* What stands behind this name in the head that was seen. */
static struct slice header_seen(const char *name)
{
    const char *at = strstr(buffer_text(&seen), name);
    ck_assert_msg(at != NULL, "%s: %s", name, buffer_text(&seen));
    at += strlen(name);
    return slice_make(at, (size_t)(strstr(at, "\r\n") - at));
}

/* It asked for this path of this host, and has signed just that. */
static void asked_and_signed(const char *path, const char *host)
{
    char line[256], date[S3_SIGN_DATE_SIZE], hash[S3_SIGN_HASH_SIZE];
    struct buffer wanted = BUFFER_EMPTY;
    snprintf(line, sizeof line, "%s HTTP/1.1\r\n", path);
    ck_assert_msg(sent(line), "%s: %s", line, buffer_text(&seen));
    ck_assert(slice_is(header_seen("\r\nHost: "), host));
    ck_assert(slice_copy(header_seen("x-amz-date: "), date, sizeof date));
    ck_assert(slice_copy(header_seen("x-amz-content-sha256: "), hash, sizeof hash));
    struct s3_header headers[] = {{"host", slice_of(host)},
                                  {"x-amz-content-sha256", slice_of(hash)},
                                  {"x-amz-date", slice_of(date)}};
    struct s3_request request = {.method = "GET",
                                 .path = slice_of(path),
                                 .query = slice_of(""),
                                 .headers = headers,
                                 .header_count = 3,
                                 .body_hash = hash,
                                 .date = date};
    struct s3_credentials as = {.access_key = slice_of("AKID"),
                                .secret_key = slice_of("secret/+="),
                                .region = slice_of("eu-west-1")};
    ck_assert_int_eq(s3_sign(&wanted, &request, &as), 0);
    ck_assert(slice_is(header_seen("authorization: "), buffer_text(&wanted)));
    buffer_fini(&wanted);
}

/* style = host: the bucket stands before the endpoint's name, and not in the path. */
START_TEST(the_bucket_in_the_hosts_name)
{
    char why[S3_WHY_SIZE], host[64];
    s3_client_free(client);
    host_style = true;
    int rc = open_client("http://localhost:", "/bucket/some/prefix", false, why, sizeof why);
    host_style = false;
    ck_assert_int_eq(rc, 0);
    replies[0] = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 0\r\n\r\n";
    ck_assert_int_eq(get("k").result, S3_DONE);
    snprintf(host, sizeof host, "bucket.localhost:%d", server.port);
    ck_assert(sent("GET /some/prefix/k HTTP/1.1\r\n"));
    asked_and_signed("/some/prefix/k", host);
}
END_TEST

/* A port that the scheme has anyway is not sent; what is sent is what is signed, however curl writes it. By a proxy. */
START_TEST(the_schemes_own_port)
{
    static const char *const hosts[][2] = {{"h.example:80", "h.example"},
                                           {"h.example", "h.example"},
                                           {"[::1]:080", "[::1]"},
                                           {"[::1]", "[::1]"},
                                           {"[0:0:0:0:0:0:0:1]:81", "[0:0:0:0:0:0:0:1]:81"},
                                           {"H.example:443", "H.example:443"},
                                           {"h.example:8080", "h.example:8080"}};
    char proxy[64], why[S3_WHY_SIZE], url[128];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", server.port);
    ck_assert_int_eq(setenv("http_proxy", proxy, 1), 0);
    ck_assert_int_eq(unsetenv("no_proxy"), 0);
    replies[0] = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 0\r\n\r\n";
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        s3_client_free(client);
        snprintf(url, sizeof url, "http://%s/bucket", hosts[i][0]);
        struct s3_options options = {
            .url = url,
            .region = "eu-west-1",
            .credentials_file = credentials,
            .http = {.parallel = 4, .timeout_ms = 3000, .answer_max = 4096},
        };
        ck_assert_int_eq(s3_client_new(&loop, &options, &client, why, sizeof why), 0);
        struct got got = get("k");
        ck_assert_msg(got.result == S3_DONE, "%s: %s", url, got.why);
        asked_and_signed("/bucket/k", hosts[i][1]);
    }
    ck_assert_int_eq(unsetenv("http_proxy"), 0);
}
END_TEST

static struct got look(void)
{
    struct got got = {0};
    struct s3_call *call;
    ck_assert_int_eq(s3_client_head(client, slice_of("k"), on_answer, &got, &call), 0);
    wait_for(&got);
    return got;
}

START_TEST(deletes_and_looks)
{
    struct got got = {0};
    struct s3_call *call;
    replies[0] = "HTTP/1.1 204 No Content\r\n\r\n";
    ck_assert_int_eq(s3_client_delete(client, slice_of("k"), (struct s3_condition){.etag = "\"1\""},
                                      on_answer, &got, &call),
                     0);
    wait_for(&got);
    ck_assert_int_eq(got.result, S3_DONE);
    ck_assert(sent("DELETE /bucket/some/prefix/k HTTP/1.1\r\n"));
    replies[0] = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 300\r\n\r\n";
    ck_assert_int_eq(look().result, S3_DONE);
    ck_assert(sent("HEAD /bucket/some/prefix/k HTTP/1.1\r\n"));
}
END_TEST

#define REPLY(status, code, message)                                                               \
    "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: 200\r\n\r\n"                      \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>" message "</Message>"

/* The body's length is said as 200: filled up here. */
static const char *padded(const char *reply)
{
    static char text[1024];
    const char *body = strstr(reply, "\r\n\r\n") + 4;
    snprintf(text, sizeof text, "%s%*s", reply, (int)(200 - strlen(body)), "");
    return text;
}

/* That it is not there says S3 in a body, which a HEAD's answer has not: a 404 alone may be a proxy's. */
START_TEST(a_look_at_nothing)
{
    static char text[1024];
    strcpy(text, padded(REPLY("404 Not Found", "NoSuchKey", "no")));
    replies[0] = "HTTP/1.1 404 Not Found\r\nContent-Length: 300\r\n\r\n";
    replies[1] = text;
    struct got got = look();
    ck_assert_int_eq(got.result, S3_ABSENT);
    ck_assert(sent("GET /bucket/some/prefix/k HTTP/1.1\r\n"));
    replies[0] = replies[1] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    requests = 0;
    got = look();
    ck_assert_int_eq(got.result, S3_AWAY);
    ck_assert_ptr_nonnull(strstr(got.why, "S3 says 404, without an error of S3's: correct url"));
    ck_assert_int_eq(get("k").result, S3_AWAY);
}
END_TEST

START_TEST(refusals)
{
    replies[0] = padded(REPLY("403 Forbidden", "RequestTimeTooSkewed", "too\nlate"));
    struct got got = get("k");
    ck_assert_int_eq(got.result, S3_FORBIDDEN);
    ck_assert_str_eq(got.why,
                     "S3 says 403 RequestTimeTooSkewed: too late: set this machine's clock (NTP)");
    replies[0] = padded(REPLY("400 Bad Request", "EntityTooLarge", "no"));
    got = get("k");
    ck_assert_int_eq(got.result, S3_REFUSED);
    ck_assert_str_eq(got.why, "S3 says 400 EntityTooLarge: no");
}
END_TEST

START_TEST(too_long)
{
    static char large[8192];
    int n = snprintf(large, sizeof large, "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n");
    memset(large + n, 'x', 4097);
    replies[0] = large;
    struct got got = get("k");
    ck_assert_int_eq(got.result, S3_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.why, "the answer is too long"));
}
END_TEST

START_TEST(nobody_answers)
{
    http_fake_stop(&server);
    uv_run(&loop, UV_RUN_NOWAIT);
    struct got got = get("k");
    ck_assert_int_eq(got.result, S3_AWAY);
    ck_assert_ptr_nonnull(strstr(got.why, "S3 at http://127.0.0.1:"));
}
END_TEST

/* Keys that were rotated are read anew, once for a request, and only when they are others. */
START_TEST(rotated_credentials)
{
    static char refused[1024];
    strcpy(refused, padded(REPLY("403 Forbidden", "InvalidAccessKeyId", "who")));
    replies[0] = refused;
    replies[1] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    write_credentials("aws_access_key_id = NEW\naws_secret_access_key = s\n"
                      "aws_session_token = token\n");
    struct got got = get("k");
    ck_assert_int_eq(got.result, S3_DONE);
    ck_assert(sent("Credential=NEW/"));
    ck_assert(sent("x-amz-security-token: token\r\n"));
    requests = 0;
    replies[1] = NULL;
    got = get("k");
    ck_assert_int_eq(got.result, S3_FORBIDDEN);
}
END_TEST

/* All that were under way with the old ones go again with those that the first of them has read. */
START_TEST(rotated_under_many)
{
    static char refused[1024];
    struct got got[4] = {0};
    struct s3_call *call;
    strcpy(refused, padded(REPLY("403 Forbidden", "InvalidAccessKeyId", "who")));
    replies[0] = refused;
    replies[1] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    trusted = "Credential=NEW/";
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(s3_client_get(client, slice_of("k"), on_answer, &got[i], &call), 0);
    write_credentials("aws_access_key_id = NEW\naws_secret_access_key = s\n");
    for (size_t i = 0; i < 4; i++) {
        wait_for(&got[i]);
        ck_assert_int_eq(got[i].result, S3_DONE);
    }
}
END_TEST

START_TEST(what_cannot_be_used)
{
    static const char *const urls[][2] = {{"http://127.0.0.1:", ""},
                                          {"http://127.0.0.1:", "/"},
                                          {"ftp://h:", "/b"},
                                          {"http:///b", ""},
                                          {"http://h:", "/b?x"}};
    char why[S3_WHY_SIZE];
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        s3_client_free(client);
        client = NULL;
        ck_assert_msg(open_client(urls[i][0], urls[i][1], false, why, sizeof why) == -EINVAL, "%s",
                      urls[i][0]);
        ck_assert_ptr_nonnull(strstr(why, "BUCKET"));
    }
    chmod(credentials, 0640);
    ck_assert_int_eq(open_client("http://h:", "/b", false, why, sizeof why), -EPERM);
    ck_assert_ptr_nonnull(strstr(why, "chmod 600"));
    chmod(credentials, 0600);
    write_credentials("[default]\naws_access_key_id = A\n");
    ck_assert_int_eq(open_client("http://h:", "/b", false, why, sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "aws_secret_access_key"));
    unlink(credentials);
    ck_assert_int_eq(open_client("http://h:", "/b", false, why, sizeof why), -ENOENT);
}
END_TEST

START_TEST(freed_while_it_works)
{
    struct got got = {0};
    struct s3_call *call;
    replies[0] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    ck_assert_int_eq(s3_client_get(client, slice_of("a"), on_answer, &got, &call), 0);
    ck_assert_int_eq(s3_client_get(client, slice_of("b"), on_answer, &got, &call), 0);
    s3_client_cancel(call);
    s3_client_free(client);
    client = NULL;
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(got.calls, 0);
}
END_TEST

SUITE_MAIN_WITH("s3_client", set_up, tear_down, gets, puts_under_a_condition, bare_etags,
                the_bucket_in_the_hosts_name, the_schemes_own_port, deletes_and_looks,
                a_look_at_nothing, refusals, too_long, nobody_answers, rotated_credentials,
                rotated_under_many, what_cannot_be_used, freed_while_it_works)
