/*
 * test_http_upgrade.c: connections that are no HTTP any more, and those whose socket is taken from MHD: what they say
 * is echoed; and every way to go.
 */
#include "common/http/http_server.h"

#include "test/unit/http/http_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#define ASK "GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

struct fixture {
    struct http_raw raw;
    struct http_server server;
    struct http_request *kept; /* to be answered later */
    struct http_upgraded *upgraded;
    int fd;
    int begun, ended, gone;
    bool keep, end_at_once;
};
static struct fixture f;
static bool taken; /* the socket is, for an answer without an end */
static struct buffer begin;

static void on_ready(void *ctx)
{
    char bytes[256];
    (void)ctx;
    ssize_t n = recv(f.fd, bytes, sizeof bytes, 0);
    if (n > 0) {
        ck_assert_int_eq(send(f.fd, bytes, (size_t)n, MSG_NOSIGNAL), n);
        return;
    }
    ck_assert(n == 0 || errno != EAGAIN);
    f.ended++;
    http_upgraded_end(f.upgraded);
}

/* Who is not there any more is met when it is read. */
static void say(int fd, struct slice what)
{
    ssize_t n = send(fd, what.ptr, what.len, MSG_NOSIGNAL);
    ck_assert(n == (ssize_t)what.len || errno == EPIPE);
}

static void on_begin(void *ctx, struct http_upgraded *u, int fd, struct slice extra)
{
    (void)ctx;
    f.begun++;
    f.upgraded = u;
    f.fd = fd;
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    if (taken)
        say(fd, buffer_slice(&begin));
    say(fd, slice_of("extra "));
    say(fd, extra);
    http_upgraded_watch(u, true, false);
    if (f.end_at_once) {
        f.ended++;
        http_upgraded_end(u);
        http_upgraded_watch(u, true, true); /* nothing comes of it */
    }
}

static void on_gone(void *ctx)
{
    (void)ctx;
    f.gone++;
}

static void answer(struct http_request *r)
{
    const struct http_upgrade_owner owner = {on_begin, on_ready, on_gone, &f};
    http_request_add(r, "X-Two", "2");
    buffer_fini(&begin);
    ck_assert_ptr_nonnull(
        taken ? http_request_answer_socket(r, 200, "text/event-stream", &owner, &begin)
              : http_request_answer_upgrade(r, "echo", &owner));
}

static void on_request(void *ctx, struct http_request *r)
{
    (void)ctx;
    if (strcmp(http_request_path(r), "/up") != 0)
        http_request_answer_text(r, 200, "plain\n");
    else if (f.keep)
        f.kept = r;
    else
        answer(r);
}

static void on_late(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_request_answer_text(r, 503, "late\n");
}

static void start(void)
{
    memset(&f, 0, sizeof f);
    int fd = http_raw_open(&f.raw);
    struct http_server_options options = {.loop = &f.raw.loop,
                                          .fd = fd,
                                          .answer_ms = 60000,
                                          .streams_max = 3,
                                          .handle = on_request,
                                          .late = on_late};
    ck_assert_int_eq(http_server_start(&f.server, &options), 0);
}

static void stop(void)
{
    http_server_stop(&f.server);
    http_raw_close(&f.raw);
    ck_assert_ptr_null(f.server.upgrades.first);
    buffer_fini(&begin);
}

static int ask(const char *text)
{
    int fd = http_raw_dial(&f.raw);
    http_raw_say(fd, text);
    return fd;
}

#define EXPECT(fd, want) HTTP_RAW_EXPECT(&f.raw, fd, want)

static void others_are_answered(void)
{
    int fd = ask("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(fd, "plain\n");
    close(fd);
}

START_TEST(it_is_its_owners)
{
    start();
    int fd = ask(ASK "behind it");
    const char *head = http_raw_hear(&f.raw, fd, "extra behind it");
    ck_assert_msg(strncmp(head, "HTTP/1.1 101 ", 13) == 0, "%s", head);
    ck_assert_ptr_nonnull(strstr(head, "Upgrade: echo\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "X-Two: 2\r\n"));
    ck_assert_ptr_null(strstr(head, "Content-Type"));
    for (int i = 0; i < 20; i++) {
        http_raw_say(fd, "said");
        EXPECT(fd, "said");
    }
    ck_assert_uint_eq(f.server.clients.count, 0); /* it takes no client's place */
    others_are_answered();
    close(fd);
    while (f.ended == 0)
        http_raw_turn(&f.raw);
    others_are_answered();
    ck_assert_ptr_null(f.server.upgrades.first);
    stop();
    ck_assert_int_eq(f.begun, 1);
    ck_assert_int_eq(f.gone, 0);
}
END_TEST

static void each_way(void (*once)(void))
{
    taken = false;
    once();
    taken = true;
    once();
}

#define ASK_OLD "GET /up HTTP/1.0\r\nHost: x\r\n\r\n"

START_TEST(its_socket_is_taken)
{
    taken = true;
    for (int old = 0; old < 2; old++) {
        start();
        int fd = ask(old == 1 ? ASK_OLD : ASK);
        const char *all = http_raw_hear(&f.raw, fd, "extra ");
        ck_assert_msg(strncmp(all, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0, "%s", all);
        ck_assert_ptr_nonnull(strstr(all, "Content-Type: text/event-stream\r\n"));
        ck_assert_ptr_nonnull(strstr(all, "X-Two: 2\r\nCache-Control: no-store\r\n\r\nextra "));
        ck_assert_int_eq(strstr(all, "Transfer-Encoding: chunked\r\n") == NULL, old);
        others_are_answered(); /* MHD has turned, and ended what it had */
        while (f.server.clients.first != NULL)
            http_raw_turn(&f.raw);
        for (int i = 0; i < 20; i++) {
            http_raw_say(fd, "said");
            EXPECT(fd, "said");
        }
        close(fd);
        while (f.ended == 0)
            http_raw_turn(&f.raw);
        others_are_answered();
        ck_assert_ptr_null(f.server.upgrades.first);
        stop();
        ck_assert_int_eq(f.begun, 1);
        ck_assert_int_eq(f.gone, 0);
    }
}
END_TEST

/* Each comes and goes, and another has its number. */
START_TEST(many_are_taken)
{
    taken = true;
    start();
    f.end_at_once = true;
    for (int i = 0; i < 500; i++) {
        int fd = ask(ASK);
        ck_assert_ptr_nonnull(strstr(http_raw_hear(&f.raw, fd, NULL), "extra "));
        close(fd);
    }
    others_are_answered();
    stop();
    ck_assert_int_eq(f.begun, 500);
}
END_TEST

static void its_owner_ends_it_once(void)
{
    start();
    f.end_at_once = true;
    int fd = ask(ASK);
    const char *all = http_raw_hear(&f.raw, fd, NULL); /* to the end */
    ck_assert_ptr_nonnull(strstr(all, "extra "));
    close(fd);
    others_are_answered();
    stop();
    ck_assert_int_eq(f.gone, 0);
}

START_TEST(its_owner_ends_it)
{
    each_way(its_owner_ends_it_once);
}
END_TEST

static void the_server_ends_once(void)
{
    start();
    int fd = ask(ASK);
    EXPECT(fd, "extra ");
    http_server_stop(&f.server);
    ck_assert_int_eq(f.gone, 1);
    const char *rest = http_raw_hear(&f.raw, fd, NULL);
    ck_assert_str_eq(rest, "");
    http_raw_close(&f.raw);
    ck_assert_int_eq(f.gone, 1);
    close(fd);
    buffer_fini(&begin);
}

START_TEST(the_server_ends)
{
    each_way(the_server_ends_once);
}
END_TEST

static void the_server_ends_before_it_begins_once(void)
{
    start();
    f.keep = true;
    int fd = ask(ASK);
    while (f.kept == NULL)
        http_raw_turn(&f.raw);
    answer(f.kept);
    stop();
    ck_assert_int_eq(f.gone, 1); /* begun or not */
    close(fd);
}

START_TEST(the_server_ends_before_it_begins)
{
    each_way(the_server_ends_before_it_begins_once);
}
END_TEST

static void its_client_goes_before_it_begins_once(void)
{
    start();
    f.keep = true;
    int fd = ask(ASK);
    while (f.kept == NULL)
        http_raw_turn(&f.raw);
    close(fd);
    answer(f.kept);
    while (f.ended + f.gone == 0)
        http_raw_turn(&f.raw);
    stop();
    ck_assert_int_eq(f.ended + f.gone, 1);
}

START_TEST(its_client_goes_before_it_begins)
{
    each_way(its_client_goes_before_it_begins_once);
}
END_TEST

SUITE_MAIN("http-upgrade", it_is_its_owners, its_socket_is_taken, many_are_taken, its_owner_ends_it,
           the_server_ends, the_server_ends_before_it_begins, its_client_goes_before_it_begins)
