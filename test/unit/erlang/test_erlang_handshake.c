/* test_erlang_handshake.c: who connects: nodes of libei, each in a thread of its own, and connections that are none. */
#define _REENTRANT 1 /* or ei.h's erl_errno is another than the library's */
#include "test/unit/erlang/erlang_world.h"
#include "workers/erlang/erlang_handshake.h"

#include <arpa/inet.h>
#include <ei.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define COOKIE "walrus"

static struct erlang_handshakes *gate;
static bool room = true;
static char names[512]; /* of who came, in order */
static int fds[32];
static size_t came;

static void on_node(void *ctx, int fd, struct slice name)
{
    size_t len = strlen(names);
    ck_assert_ptr_eq(ctx, &came);
    ck_assert(fcntl(fd, F_GETFL) >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    ck_assert(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    fds[came++] = fd;
    snprintf(names + len, sizeof names - len, "%.*s ", (int)name.len, name.ptr);
}

static bool has_room(void *ctx)
{
    ck_assert_ptr_eq(ctx, &came);
    return room;
}

static struct erlang_handshakes *open_at(const char *address, int *code)
{
    static const struct erlang_handshake_events events = {.on_node = on_node, .has_room = has_room};
    const struct erlang_handshake_options options = {.node = "gate@localhost",
                                                     .listen = address,
                                                     .cookie = COOKIE,
                                                     .creation = 77,
                                                     .events = &events,
                                                     .ctx = &came};
    return erlang_handshakes_open(NULL, &options, code);
}

static void set_up(void)
{
    int code = 0;
    world_begin();
    gate = open_at("127.0.0.1", &code);
    ck_assert_ptr_nonnull(gate);
}

static void tear_down(void)
{
    erlang_handshakes_close(gate);
    world_end();
    for (size_t i = 0; i < came; i++)
        close(fds[i]);
}

/* ---- a node ---- */

struct client {
    uv_thread_t thread;
    const char *name, *cookie;
    int fd; /* -1: it was refused */
    atomic_bool done;
};

static void client_run(void *ctx)
{
    struct client *c = ctx;
    struct in_addr ip = {.s_addr = htonl(INADDR_LOOPBACK)};
    char node[64];
    ei_cnode ec;
    snprintf(node, sizeof node, "%s@localhost", c->name);
    c->fd = -1;
    if (ei_connect_xinit(&ec, "localhost", c->name, node, &ip, c->cookie, 5) >= 0)
        c->fd = ei_xconnect_host_port_tmo(&ec, &ip, erlang_handshakes_port(gate), 20000);
    atomic_store(&c->done, true);
}

static void client_start(struct client *c)
{
    ck_assert_int_eq(uv_thread_create(&c->thread, client_run, c), 0);
}

static void client_end(struct client *c)
{
    world_until(atomic_load(&c->done));
    uv_thread_join(&c->thread);
    if (c->fd >= 0)
        ei_close_connection(c->fd);
}

/* ---- one that says nothing ---- */

static int visit(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(erlang_handshakes_port(gate)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static uint64_t refused(void)
{
    erlang_handshakes_tick(gate);
    return world_counts[COUNTER_ERLANG_REFUSED];
}

/* ---- */

START_TEST(who_has_the_cookie)
{
    struct client c = {.name = "walrus", .cookie = COOKIE};
    client_start(&c);
    world_until(came == 1);
    ck_assert_str_eq(names, "walrus@localhost ");
    client_end(&c);
    ck_assert_int_ge(c.fd, 0);
    ck_assert_uint_eq(refused(), 0);
}
END_TEST

/* What is said on the connection afterwards is the gate's to read. */
START_TEST(the_socket_is_the_connection)
{
    struct client c = {.name = "walrus", .cookie = COOKIE};
    char tick[8] = "";
    client_start(&c);
    world_until(came == 1 && atomic_load(&c.done));
    ck_assert_int_eq(send(c.fd, "\0\0\0\0", 4, MSG_NOSIGNAL), 4);
    world_until(recv(fds[0], tick, sizeof tick, 0) == 4);
    client_end(&c);
    world_until(recv(fds[0], tick, sizeof tick, 0) == 0);
}
END_TEST

START_TEST(who_has_another_cookie)
{
    struct client c = {.name = "stranger", .cookie = "carpenter"};
    client_start(&c);
    client_end(&c);
    ck_assert_int_eq(c.fd, -1);
    world_until(refused() == 1);
    ck_assert_uint_eq(came, 0);
    struct client good = {.name = "walrus", .cookie = COOKIE};
    client_start(&good);
    client_end(&good);
    world_until(came == 1);
    ck_assert_uint_eq(refused(), 1);
}
END_TEST

START_TEST(who_speaks_something_else)
{
    static const char *const said[] = {"GET / HTTP/1.0\r\n\r\n", "\1", ""};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        int fd = visit();
        ck_assert_int_ge(send(fd, said[i], strlen(said[i]), MSG_NOSIGNAL), 0);
        shutdown(fd, SHUT_WR);
        world_until(refused() == i + 1);
        close(fd);
    }
    ck_assert_uint_eq(came, 0);
}
END_TEST

/* All places are taken by who says nothing: another one waits in the kernel's queue until one of them is free. */
START_TEST(so_many_at_once)
{
    int silent[ERLANG_HANDSHAKES_MAX];
    struct client c = {.name = "walrus", .cookie = COOKIE};
    for (size_t i = 0; i < ERLANG_HANDSHAKES_MAX; i++) {
        silent[i] = visit();
        world_turns(3);
    }
    client_start(&c);
    for (int i = 0; i < 50; i++)
        world_turn();
    ck_assert(came == 0 && !atomic_load(&c.done));
    close(silent[3]);
    world_until(came == 1);
    client_end(&c);
    for (size_t i = 0; i < ERLANG_HANDSHAKES_MAX; i++)
        if (i != 3)
            close(silent[i]);
    world_until(refused() == ERLANG_HANDSHAKES_MAX);
}
END_TEST

/* One deadline for all of it. */
START_TEST(who_says_nothing)
{
    int fd = visit();
    char byte;
    world_turns(3);
    world_later_ms = ERLANG_HANDSHAKE_MS; /* of who is asked about it from now on: */
    ck_assert_int_eq(send(fd, "\0", 1, MSG_NOSIGNAL), 1);
    world_until(refused() == 1);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
}
END_TEST

/* The gate has no room for another node: who comes waits, and is taken when it has. */
START_TEST(without_room)
{
    struct client c = {.name = "walrus", .cookie = COOKIE};
    room = false;
    erlang_handshakes_accept(gate);
    client_start(&c);
    for (int i = 0; i < 50; i++)
        world_turn();
    ck_assert(came == 0 && !atomic_load(&c.done));
    room = true;
    erlang_handshakes_accept(gate);
    world_until(came == 1);
    client_end(&c);
}
END_TEST

/* Several at a time, and every one is there. */
START_TEST(many)
{
    static struct client c[8] = {{.name = "a", .cookie = COOKIE},  {.name = "b", .cookie = "other"},
                                 {.name = "c", .cookie = COOKIE},  {.name = "d", .cookie = COOKIE},
                                 {.name = "e", .cookie = "other"}, {.name = "f", .cookie = COOKIE},
                                 {.name = "g", .cookie = COOKIE},  {.name = "h", .cookie = COOKIE}};
    for (size_t i = 0; i < 8; i++)
        client_start(&c[i]);
    for (size_t i = 0; i < 8; i++)
        client_end(&c[i]);
    world_until(came == 6);
    world_until(refused() == 2);
    ck_assert(strstr(names, "b@") == NULL && strstr(names, "e@") == NULL);
}
END_TEST

START_TEST(addresses)
{
    char address[64];
    int code = 0;
    uint16_t port = erlang_handshakes_port(gate);
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    ck_assert_ptr_null(open_at(address, &code));
    ck_assert_int_eq(code, CONTRACT_EXIT_TEMPORARY);
    ck_assert(strstr(world_trouble, "Address already in use") != NULL);
    ck_assert(strstr(world_trouble, "listen") != NULL);
    erlang_handshakes_close(gate);
    world_turns(3);
    gate = open_at(address, &code); /* at once, by who comes after */
    ck_assert_ptr_nonnull(gate);
    ck_assert_uint_eq(erlang_handshakes_port(gate), port);
    ck_assert_ptr_null(open_at("192.0.2.1", &code)); /* no address of this machine */
    ck_assert(strstr(world_trouble, "192.0.2.1") != NULL);
}
END_TEST

/* Those that are under way end at once: the time jumps back, so that the deadline of one is in ten minutes. */
START_TEST(closed_meanwhile)
{
    int silent[3];
    world_later_ms = 600000;
    for (size_t i = 0; i < 3; i++) {
        silent[i] = visit();
        world_turns(3);
    }
    world_later_ms = 0;
    ck_assert_int_eq(send(silent[0], "\0", 1, MSG_NOSIGNAL), 1);
    for (int i = 0; i < 50; i++)
        world_turn(); /* it has looked at its deadline again by then, mostly */
    erlang_handshakes_close(gate);
    gate = NULL;
    world_turns(3);
    for (size_t i = 0; i < 3; i++) {
        char byte;
        ck_assert_int_le(recv(silent[i], &byte, 1, 0), 0);
        close(silent[i]);
    }
    ck_assert_uint_eq(came, 0);
    erlang_handshakes_close(gate);
}
END_TEST

SUITE_MAIN_WITH("erlang_handshake", set_up, tear_down, who_has_the_cookie,
                the_socket_is_the_connection, who_has_another_cookie, who_speaks_something_else,
                so_many_at_once, who_says_nothing, without_room, many, addresses, closed_meanwhile)
