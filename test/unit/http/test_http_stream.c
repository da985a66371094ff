/* test_http_stream.c: answers without an end: suspended and woken, bounded, slow readers, and every way to go. */
#include "common/http/http_server.h"

#include "common/clock.h"
#include "test/unit/http/http_raw.h"

#include <sys/socket.h>

#define STREAMS_MAX 3
#define WHATEVER                                                                                   \
    "a reader who takes nothing meets this again and again until all that is between is full\n"

/* What its readers read: each is a cursor into one text. */
struct reader {
    struct http_stream *stream;
    size_t at;
    int asked;
};

struct fixture {
    struct http_raw raw;
    struct http_server server;
    struct reader readers[STREAMS_MAX + 1];
    int count, gone;
    char text[4096];
    bool over, broken, without_end;
};
static struct fixture f;

static ssize_t on_read(void *ctx, char *to, size_t max)
{
    struct reader *r = ctx;
    size_t left = strlen(f.text) - r->at;
    r->asked++;
    if (f.without_end) {
        size_t len = strlen(WHATEVER) < max ? strlen(WHATEVER) : max;
        memcpy(to, WHATEVER, len);
        return (ssize_t)len;
    }
    if (left == 0)
        return f.over ? HTTP_STREAM_END : f.broken ? HTTP_STREAM_BREAK : 0;
    size_t len = left < max ? left : max;
    memcpy(to, f.text + r->at, len);
    r->at += len;
    return (ssize_t)len;
}

static void on_gone(void *ctx)
{
    struct reader *r = ctx;
    r->stream = NULL;
    f.gone++;
}

static void on_request(void *ctx, struct http_request *r)
{
    (void)ctx;
    if (strcmp(http_request_path(r), "/stream") != 0) {
        http_request_answer_text(r, 200, "plain\n");
        return;
    }
    struct reader *reader = &f.readers[f.count++];
    const struct http_stream_source source = {on_read, on_gone, reader};
    http_request_add(r, "X-Two", "2");
    reader->stream = http_request_answer_stream(r, 200, "text/event-stream", &source);
}

static void on_late(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_request_answer_text(r, 503, "late\n");
}

static void start(uint64_t stall_ms)
{
    memset(&f, 0, sizeof f);
    int fd = http_raw_open(&f.raw);
    struct http_server_options options = {.loop = &f.raw.loop,
                                          .fd = fd,
                                          .answer_ms = 60000,
                                          .streams_max = STREAMS_MAX,
                                          .stall_ms = stall_ms,
                                          .pool = 4096,
                                          .handle = on_request,
                                          .late = on_late};
    ck_assert_int_eq(http_server_start(&f.server, &options), 0);
}

static void stop(void)
{
    http_server_stop(&f.server);
    ck_assert_int_eq(f.gone, f.count);
    http_raw_close(&f.raw);
}

static int ask(void)
{
    int fd = http_raw_dial(&f.raw);
    http_raw_say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    return fd;
}

static void add(const char *text)
{
    strcat(f.text, text);
    for (int i = 0; i < f.count; i++)
        if (f.readers[i].stream != NULL)
            http_stream_wake(f.readers[i].stream);
}

#define EXPECT(fd, want) HTTP_RAW_EXPECT(&f.raw, fd, want)

/* Until its readers have nothing more to read: they are asked no more before they are woken. */
static void settle(void)
{
    int asked = -1, now = 0;
    for (int still = 0; still < 20; still = now == asked ? still + 1 : 0) {
        asked = now;
        http_raw_turn(&f.raw);
        now = 0;
        for (int i = 0; i < f.count; i++)
            now += f.readers[i].asked;
    }
}

START_TEST(what_comes_is_read_as_it_comes)
{
    start(0);
    int fd = ask(), other = ask();
    EXPECT(fd, "\r\n\r\n");
    settle();
    int asked = f.readers[0].asked;
    for (int i = 0; i < 50; i++)
        http_raw_turn(&f.raw);
    ck_assert_int_eq(f.readers[0].asked, asked); /* suspended: nobody turns for it */
    add("one;");
    EXPECT(fd, "one;");
    EXPECT(other, "one;");
    settle();
    add("two;");
    EXPECT(fd, "two;");
    int plain = http_raw_dial(&f.raw);
    http_raw_say(plain, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(plain, "plain\n");
    close(plain);
    close(fd);
    close(other);
    stop();
}
END_TEST

/* An event is with its reader in the turn of its wake: it waits for no other. */
START_TEST(a_wake_needs_no_other_event)
{
    start(0);
    int fd = ask();
    EXPECT(fd, "\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        char text[16], got[256] = "";
        settle();
        snprintf(text, sizeof text, "<%d>", i);
        add(text);
        uv_run(&f.raw.loop, UV_RUN_NOWAIT);
        uv_run(&f.raw.loop, UV_RUN_NOWAIT);
        ck_assert_int_gt(recv(fd, got, sizeof got - 1, 0), 0);
        ck_assert_msg(strstr(got, text) != NULL, "%s: %s", text, got);
    }
    close(fd);
    stop();
}
END_TEST

START_TEST(it_ends_well)
{
    start(0);
    int fd = ask();
    EXPECT(fd, "\r\n\r\n");
    settle();
    f.over = true;
    add("last;");
    const char *got = http_raw_hear(&f.raw, fd, "0\r\n\r\n");
    ck_assert_msg(strstr(got, "last;") != NULL && strstr(got, "0\r\n\r\n") != NULL, "%s", got);
    while (f.gone == 0)
        http_raw_turn(&f.raw);
    http_raw_say(
        fd, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"); /* the connection is kept, and has its time */
    EXPECT(fd, "plain\n");
    ck_assert_uint_eq(f.server.clients.count, 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(it_is_broken_off)
{
    start(0);
    int fd = ask();
    settle();
    f.broken = true;
    add("half;");
    const char *got = http_raw_hear(&f.raw, fd, NULL);
    ck_assert_msg(strstr(got, "half;") != NULL && strstr(got, "0\r\n\r\n") == NULL, "%s", got);
    ck_assert_ptr_nonnull(strstr(got, "X-Two: 2\r\n"));
    close(fd);
    stop();
}
END_TEST

START_TEST(who_reads_http_1_0)
{
    start(0);
    int fd = http_raw_dial(&f.raw);
    http_raw_say(fd, "GET /stream HTTP/1.0\r\n\r\n");
    settle();
    add("one;");
    EXPECT(fd, "one;");
    f.over = true;
    add("two;");
    const char *got = http_raw_hear(&f.raw, fd, NULL);
    ck_assert_msg(strcmp(got, "two;") == 0, "%s", got);
    close(fd);
    stop();
}
END_TEST

/* And no question loses its place by them. */
START_TEST(there_are_so_many)
{
    int fds[STREAMS_MAX];
    start(0);
    for (int i = 0; i < STREAMS_MAX; i++) {
        fds[i] = ask();
        EXPECT(fds[i], "\r\n\r\n");
    }
    ck_assert_uint_eq(f.server.clients.count, 0);
    int fd = ask();
    EXPECT(fd, "too many");
    ck_assert_int_eq(f.gone, 1);
    f.count--; /* that one */
    f.gone--;
    close(fd);
    close(fds[0]);
    while (f.gone == 0) { /* seen at the next event only */
        http_raw_turn(&f.raw);
        add(".");
        ck_assert_uint_lt(strlen(f.text), sizeof f.text - 2);
    }
    fd = ask();
    EXPECT(fd, "200 OK");
    close(fd);
    for (int i = 1; i < STREAMS_MAX; i++)
        close(fds[i]);
    stop();
}
END_TEST

START_TEST(who_takes_nothing_is_closed)
{
    start(50);
    f.without_end = true;
    int fd = ask();
    uint64_t until = clock_mono_ms() + 60000;
    while (f.gone == 0) {
        ck_assert_msg(clock_mono_ms() < until, "it is still here");
        http_raw_turn(&f.raw);
    }
    close(fd);
    stop();
}
END_TEST

/* Who has nothing to take may stay. */
START_TEST(who_waits_is_not_closed)
{
    start(1);
    int fd = ask();
    settle();
    for (uint64_t until = clock_mono_ms() + 2500; clock_mono_ms() < until;)
        http_raw_turn(&f.raw);
    ck_assert_int_eq(f.gone, 0);
    add("here;");
    EXPECT(fd, "here;");
    close(fd);
    stop();
}
END_TEST

START_TEST(the_servers_end_is_theirs)
{
    start(0);
    int fd = ask(), other = ask();
    settle();
    f.without_end = true; /* one is full, the other waits */
    http_stream_wake(f.readers[0].stream);
    for (int i = 0; i < 100; i++)
        http_raw_turn(&f.raw);
    ck_assert_int_eq(f.gone, 0);
    stop();
    close(fd);
    close(other);
}
END_TEST

SUITE_MAIN("http-stream", what_comes_is_read_as_it_comes, a_wake_needs_no_other_event, it_ends_well,
           it_is_broken_off, who_reads_http_1_0, there_are_so_many, who_takes_nothing_is_closed,
           who_waits_is_not_closed, the_servers_end_is_theirs)
