/* test_erlang_epmd.c: the gate's place in a port mapper that is the test's own, says what it likes, comes and goes. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/erlang/erlang_world.h"
#include "workers/erlang/erlang_epmd.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static struct erlang_epmd *epmd;
static uint16_t port; /* of the mapper */
static int listening = -1, talking = -1;
static unsigned known;

static void on_known(void *ctx)
{
    ck_assert_ptr_eq(ctx, &known);
    known++;
}

/* ---- the mapper ---- */

static void start(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int on = 1;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(listening, 4), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    port = ntohs(at.sin_port);
}

static void stop(void)
{
    if (talking >= 0)
        close(talking);
    if (listening >= 0)
        close(listening);
    talking = listening = -1;
}

static bool has_accepted(void)
{
    talking = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return talking >= 0;
}

/* The request, whole, as the document of the distribution has it. */
static void is_asked(void)
{
    static const char request[] = "\0\x11x\x12\x34H\0\0\6\0\5\0\4gate\0\0";
    static char came[sizeof request];
    size_t len = 0;
    world_until(has_accepted());
    for (int i = 0; i < 20000 && len < sizeof request - 1; i++) {
        world_turn();
        ssize_t n = recv(talking, came + len, sizeof came - len, 0);
        ck_assert(n != 0);
        len += n > 0 ? (size_t)n : 0;
    }
    ck_assert(slice_equal(slice_make(came, len), slice_make(request, sizeof request - 1)));
}

static void say(struct slice bytes)
{
    ck_assert_int_eq(send(talking, bytes.ptr, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
}

/* ---- */

static void open_gate(void)
{
    char text[16];
    unsigned before = known;
    snprintf(text, sizeof text, "%u", (unsigned)port);
    setenv("ERL_EPMD_PORT", text, 1);
    epmd = erlang_epmd_open(NULL, "gate@host.example", 0x1234, on_known, &known);
    ck_assert_uint_eq(known, before); /* not from within */
    ck_assert_ptr_null(erlang_epmd_trouble(epmd));
}

static bool is_troubled_by(const char *part)
{
    const char *why = erlang_epmd_trouble(epmd);
    return why != NULL && strstr(why, part) != NULL;
}

static void set_up(void)
{
    world_begin();
    start();
}

static void tear_down(void)
{
    erlang_epmd_close(epmd);
    world_end();
    stop();
}

START_TEST(registered)
{
    static const struct slice answers[] = {BYTES("y\0\0\1"), BYTES("v\0\0\0\0\1")};
    for (unsigned i = 0; i < 2; i++) {
        open_gate();
        is_asked();
        ck_assert_uint_eq(known, i);
        say(answers[i]);
        world_until(known == i + 1);
        ck_assert_ptr_null(erlang_epmd_trouble(epmd));
        close(talking);
        erlang_epmd_close(epmd);
        world_turns(3);
    }
    talking = -1;
    epmd = NULL;
}
END_TEST

/* However it comes: byte by byte; and what comes behind it does not matter. */
START_TEST(in_pieces)
{
    open_gate();
    is_asked();
    for (unsigned i = 0; i < 6; i++) {
        say(slice_make("v\0\0\0\0\1" + i, 1));
        world_turns(3);
        ck_assert_uint_eq(known, i == 5);
    }
    say(BYTES("more than anybody would say"));
    world_turns(3);
    ck_assert_ptr_null(erlang_epmd_trouble(epmd));
}
END_TEST

/* Said once, with the remedy; then tried until it works. */
START_TEST(nobody_is_there)
{
    stop();
    open_gate();
    world_until(known == 1);
    ck_assert(is_troubled_by("epmd -daemon"));
    start();
    is_asked();
    ck_assert(is_troubled_by("epmd -daemon")); /* until it is known to be over */
    say(BYTES("v\0\0\0\0\1"));
    world_until(erlang_epmd_trouble(epmd) == NULL);
    ck_assert_uint_eq(known, 1);
}
END_TEST

START_TEST(the_name_is_taken)
{
    static const struct slice answers[] = {BYTES("y\1\0\0"), BYTES("v\1\0\0\0\0"), BYTES("y\1")};
    open_gate();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        is_asked();
        say(answers[i]);
        world_until(is_troubled_by("another node of this name"));
        close(talking);
    }
    is_asked();
    say(BYTES("y\0\0\1"));
    world_until(erlang_epmd_trouble(epmd) == NULL);
    ck_assert_uint_eq(known, 1);
}
END_TEST

START_TEST(something_else_is_there)
{
    open_gate();
    is_asked();
    say(BYTES("HTTP/1.1 400"));
    world_until(is_troubled_by("does not answer as epmd does"));
}
END_TEST

/* The name is ours as long as the connection lives: it is made again. */
START_TEST(it_goes_and_comes)
{
    open_gate();
    is_asked();
    say(BYTES("v\0\0\0\0\1"));
    world_until(known == 1);
    close(talking);
    world_until(is_troubled_by("closed the connection"));
    is_asked();
    say(BYTES("v\0\0\0\0\2"));
    world_until(erlang_epmd_trouble(epmd) == NULL);
    ck_assert_uint_eq(known, 1);
}
END_TEST

/* One that is stopped: the deadline is 3 s. */
START_TEST(it_says_nothing)
{
    open_gate();
    is_asked();
    world_later_ms = 500;
    world_turns(5);
    ck_assert_uint_eq(known, 0);
    world_later_ms = 4000;
    world_until(known == 1);
    ck_assert(is_troubled_by("timed out"));
}
END_TEST

/* In whatever state it is. */
START_TEST(closed_at_any_time)
{
    open_gate(); /* connecting */
    erlang_epmd_close(epmd);
    world_turns(3);
    world_until(has_accepted());
    close(talking);
    open_gate();
    is_asked();
    erlang_epmd_close(epmd);
    ck_assert_uint_eq(known, 0);
    world_turns(3);
    stop();
    open_gate();
    world_until(known == 1); /* it waits for its next try */
    erlang_epmd_close(epmd);
    world_turns(3);
    ck_assert_uint_eq(known, 1);
    epmd = NULL;
    erlang_epmd_close(epmd);
}
END_TEST

SUITE_MAIN_WITH("erlang_epmd", set_up, tear_down, registered, in_pieces, nobody_is_there,
                the_name_is_taken, something_else_is_there, it_goes_and_comes, it_says_nothing,
                closed_at_any_time)
