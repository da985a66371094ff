/* test_http_server.c: a server in a loop beside raw sockets: answers at once and later, bodies, bounds, its end. */
#include "common/http/http_server.h"

#include "test/unit/http/http_raw.h"

#include <stdlib.h>
#include <sys/socket.h>

#define BODY_MAX 100

#define FILE_PATH "LICENSE"
#define FILE_SIZE 40

struct fixture {
    struct http_raw raw;
    struct http_server server;
    struct http_request *kept;
    int late, handled;
};
static struct fixture f;

static void on_request(void *ctx, struct http_request *r)
{
    struct fixture *fixture = ctx;
    struct buffer body = BUFFER_EMPTY;
    fixture->handled++;
    ck_assert_ptr_null(http_request_kept(r));
    if (strcmp(http_request_path(r), "/later") == 0) {
        http_request_keep(r, fixture);
        fixture->kept = r;
        return;
    }
    if (strcmp(http_request_path(r), "/file") == 0) {
        http_request_answer_file(r, 200, "text/x-file", open(FILE_PATH, O_RDONLY | O_CLOEXEC),
                                 FILE_SIZE);
        return;
    }
    const char *query = http_request_query(r, "q"), *header = http_request_header(r, "x-word");
    struct slice sent = http_request_body(r);
    buffer_printf(&body, "%s %s q=%s x=%s body=%.*s", http_request_method(r), http_request_path(r),
                  query != NULL ? query : "-", header != NULL ? header : "-", (int)sent.len,
                  sent.ptr);
    if (strcmp(http_request_path(r), "/cached") == 0)
        http_request_add(r, "Cache-Control", "max-age=60");
    if (strcmp(http_request_path(r), "/short") == 0)
        body.failed = true;
    http_request_add(r, "X-Two", "2");
    http_request_answer(r, 200, "text/x-test", &body);
    buffer_fini(&body);
}

static void on_late(void *ctx, struct http_request *r)
{
    struct fixture *fixture = ctx;
    ck_assert_ptr_eq(http_request_kept(r), fixture);
    fixture->late++;
    fixture->kept = NULL;
    http_request_answer_text(r, 503, "late\n");
}

static void start(uint64_t answer_ms)
{
    memset(&f, 0, sizeof f);
    int fd = http_raw_open(&f.raw);
    struct http_server_options options = {.loop = &f.raw.loop,
                                          .fd = fd,
                                          .body_max = BODY_MAX,
                                          .bodies_max = 3 * BODY_MAX / 2,
                                          .answer_ms = answer_ms,
                                          .handle = on_request,
                                          .late = on_late,
                                          .ctx = &f};
    ck_assert_int_eq(http_server_start(&f.server, &options), 0);
}

static void stop(void)
{
    http_server_stop(&f.server);
    http_server_stop(&f.server);
    http_raw_close(&f.raw);
}

static int dial(void)
{
    return http_raw_dial(&f.raw);
}

static void turn(void)
{
    http_raw_turn(&f.raw);
}

static void say(int fd, const char *text)
{
    http_raw_say(fd, text);
}

static const char *hear(int fd, const char *want)
{
    return http_raw_hear(&f.raw, fd, want);
}

#define EXPECT(fd, want) HTTP_RAW_EXPECT(&f.raw, fd, want)

START_TEST(answers)
{
    start(50000);
    int fd = dial();
    say(fd, "GET /a?q=1%202 HTTP/1.1\r\nHost: x\r\nX-Word: w\r\n\r\n");
    const char *got = hear(fd, "body=");
    ck_assert_msg(strstr(got, "HTTP/1.1 200 OK\r\n") == got, "%s", got);
    ck_assert_ptr_nonnull(strstr(got, "Content-Type: text/x-test\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "Cache-Control: no-store\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "X-Two: 2\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "\r\n\r\nGET /a q=1 2 x=w body="));
    say(fd, "GET /cached HTTP/1.1\r\nHost: x\r\n\r\n"); /* the connection is kept */
    got = hear(fd, "body=");
    ck_assert_ptr_nonnull(strstr(got, "Cache-Control: max-age=60\r\n"));
    ck_assert_ptr_null(strstr(got, "no-store"));
    say(fd, "GET /short HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(hear(fd, NULL), "HTTP/1.1 500 "));
    close(fd);
    stop();
}
END_TEST

/* As much of it as was said; for HEAD its size alone; the descriptor goes with the answer. */
START_TEST(files)
{
    char first[FILE_SIZE + 1] = "";
    FILE *in = fopen(FILE_PATH, "r");
    ck_assert_ptr_nonnull(in);
    ck_assert_uint_eq(fread(first, 1, FILE_SIZE, in), FILE_SIZE);
    fclose(in);
    start(50000);
    int before = dup(0);
    close(before);
    for (int i = 0; i < 3; i++) {
        int fd = dial();
        say(fd, i == 0 ? "HEAD /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                       : "GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const char *got = hear(fd, NULL);
        ck_assert_ptr_nonnull(strstr(got, "Content-Type: text/x-file\r\n"));
        ck_assert_ptr_nonnull(strstr(got, "Content-Length: 40\r\n"));
        ck_assert_str_eq(strstr(got, "\r\n\r\n") + 4, i == 0 ? "" : first);
        close(fd);
        while (f.server.requests != NULL || f.server.clients.first != NULL)
            turn();
    }
    int after = dup(0);
    ck_assert_int_eq(after, before);
    close(after);
    stop();
}
END_TEST

START_TEST(bodies)
{
    start(50000);
    int fd = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
    for (int i = 0; i < 5; i++)
        turn();
    ck_assert_int_eq(f.handled, 0);
    say(fd, "56789");
    EXPECT(fd, "POST /a q=- x=- body=0123456789");
    say(fd, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    EXPECT(fd, "body=abcde");
    close(fd);
    stop();
}
END_TEST

static void post(int fd, size_t size)
{
    char text[4096];
    int n = snprintf(
        text, sizeof text,
        "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", size);
    memset(text + n, 'b', size);
    text[(size_t)n + size] = '\0';
    say(fd, text);
}

START_TEST(bodies_are_bounded)
{
    start(50000);
    int fd = dial();
    post(fd, BODY_MAX);
    EXPECT(fd, "bbb");
    close(fd);
    fd = dial();
    post(fd, BODY_MAX + 1);
    EXPECT(fd, "HTTP/1.1 413 ");
    close(fd);
    fd = dial();
    post(fd, 3000);
    EXPECT(fd, "HTTP/1.1 413 ");
    close(fd);
    ck_assert_int_eq(f.handled, 1);
    stop();
}
END_TEST

/* All together, too; who has been answered makes room. */
START_TEST(bodies_are_bounded_together)
{
    start(50000);
    int fd = dial(), other = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n");
    for (int i = 0; i < 8; i++)
        say(fd, "0123456789");
    while (f.server.bodies < 80)
        turn();
    post(other, BODY_MAX);
    EXPECT(other, "HTTP/1.1 503 ");
    close(other);
    say(fd, "0123456789");
    EXPECT(fd, "body=0123456789");
    other = dial();
    post(other, BODY_MAX);
    EXPECT(other, "bbb");
    close(other);
    close(fd);
    while (f.server.requests != NULL)
        turn();
    ck_assert_uint_eq(f.server.bodies, 0);
    stop();
}
END_TEST

/* Neither reaches who answers. */
START_TEST(heads_that_are_none)
{
    start(50000);
    int fd = dial();
    char large[20000];
    memset(large, 'h', sizeof large);
    memcpy(large, "GET /a HTTP/1.1\r\nX: ", 20);
    large[sizeof large - 1] = '\0';
    say(fd, large);
    const char *got = hear(fd, NULL);
    ck_assert_msg(strstr(got, "HTTP/1.1 431 ") == got || strstr(got, "HTTP/1.1 413 ") == got, "%s",
                  got);
    close(fd);
    fd = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabcde");
    ck_assert_ptr_null(strstr(hear(fd, NULL), "200 OK"));
    close(fd);
    ck_assert_int_eq(f.handled, 0);
    stop();
}
END_TEST

START_TEST(an_answer_comes_later)
{
    start(50000);
    int fd = dial(), other = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (f.kept == NULL)
        turn();
    say(other, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"); /* nobody waits for who waits */
    EXPECT(other, "GET /b");
    http_request_answer_text(f.kept, 202, "at last\n");
    const char *got = hear(fd, "at last\n");
    ck_assert_ptr_nonnull(strstr(got, "HTTP/1.1 202 "));
    say(fd, "GET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(fd, "GET /c");
    close(fd);
    close(other);
    stop();
}
END_TEST

START_TEST(who_waits_too_long_is_told)
{
    start(30);
    int fd = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(fd, "late\n");
    ck_assert_int_eq(f.late, 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(who_has_left_is_answered_all_the_same)
{
    start(50000);
    int fd = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (f.kept == NULL)
        turn();
    close(fd);
    for (int i = 0; i < 10; i++)
        turn();
    http_request_answer_text(f.kept, 200, "nobody reads it\n");
    while (f.server.requests != NULL)
        turn();
    fd = dial();
    say(fd, "GET /d HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(fd, "GET /d");
    close(fd);
    stop();
}
END_TEST

START_TEST(its_end_is_told_to_who_waits)
{
    start(50000);
    int fd = dial(), half = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    say(half, "GET /la");
    while (f.kept == NULL)
        turn();
    stop();
    char text[512] = "";
    ck_assert_int_gt(recv(fd, text, sizeof text - 1, 0), 0);
    ck_assert_msg(strstr(text, "HTTP/1.1 503 ") == text, "%s", text);
    close(fd);
    close(half);
}
END_TEST

SUITE_MAIN("http-server", answers, files, bodies, bodies_are_bounded, bodies_are_bounded_together,
           heads_that_are_none, an_answer_comes_later, who_waits_too_long_is_told,
           who_has_left_is_answered_all_the_same, its_end_is_told_to_who_waits)
