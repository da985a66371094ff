/* test_cache_tls.c: a cache node's clients with TLS: their beginning, their end, and what does not stay behind. */
#include "common/redis/redis_tls_private.h"
#include "test/unit/cache/node_fixture.h"
#include "test/unit/redis/redis_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_tls.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct redis_fixture fx;
static struct redis_options options;
static struct redis_tls *tls;
static struct redis_tls_session *mine;
static int fd;

static void set_up(void)
{
    redis_fixture_init(&fx);
    redis_fixture_certificates(&fx);
    node_set_up();
}

static void tear_down(void)
{
    node_tear_down();
    redis_tls_free(node.tls);
    redis_tls_session_free(mine);
    redis_tls_free(tls);
    redis_fixture_fini(&fx);
    close(fd);
}

static char *path_of(const char *name)
{
    return strdup(redis_fixture_path(&fx, name));
}

/* A connection over which nothing has been said yet. `ca`: who signs what clients must show; NULL: they need not. */
static void connect_to_node(const char *ca)
{
    char why[256], *cert = path_of("server.crt"), *key = path_of("server.key");
    char *ca_file = ca != NULL ? path_of(ca) : NULL;
    int pair[2];
    node.tls = redis_tls_server_new(cert, key, ca_file, why, sizeof why);
    ck_assert_msg(node.tls != NULL, "%s", why);
    options = (struct redis_options){
        .host = strdup("localhost"), .tls = true, .tls_ca_file = path_of("ca.crt")};
    tls = redis_tls_new(&options, why, sizeof why);
    mine = redis_tls_session_new(tls);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    fd = pair[0];
    cache_client_new(&node, pair[1], NULL);
    free(cert);
    free(key);
    free(ca_file);
}

/* Sends what TLS has to send, turns, and gives it what comes. 0, or its error. */
static int exchange(void)
{
    struct buffer out = BUFFER_EMPTY;
    char came[65536];
    int rc = redis_tls_session_feed(mine, slice_make("", 0));
    redis_tls_session_take(mine, &out);
    if (out.len > 0)
        ck_assert_int_eq(send(fd, out.data, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
    buffer_fini(&out);
    node_turn(2);
    ssize_t got = recv(fd, came, sizeof came, 0);
    return rc == 0 && got > 0 ? redis_tls_session_feed(mine, slice_make(came, (size_t)got)) : rc;
}

static int shake(void)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < 4; i++)
        rc = exchange();
    return rc;
}

/* Who does not come to the end of the handshake gives its place back; who did stays. */
START_TEST(no_handshake)
{
    connect_to_node(NULL);
    int silent = fd;
    node.clients->born_ms -= CACHE_TLS_HANDSHAKE_MS - 1000;
    cache_tls_tick(&node);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, 1);
    node.clients->born_ms -= 1000;
    cache_tls_tick(&node);
    ck_assert(node_is_closed(silent));
    ck_assert_uint_eq(node.client_count, 0);
}
END_TEST

START_TEST(a_handshake_is_enough)
{
    connect_to_node(NULL);
    ck_assert_int_eq(shake(), 0);
    node.clients->born_ms -= 2 * CACHE_TLS_HANDSHAKE_MS;
    cache_tls_tick(&node);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, 1);
}
END_TEST

/* Who is refused is told why, by TLS' own word, before the connection ends. */
START_TEST(no_certificate)
{
    connect_to_node("ca.crt");
    int rc = shake();
    char bytes[8];
    if (rc == 0) /* TLS 1.3: the client is through before the server has looked */
        rc = (int)redis_tls_session_read(mine, bytes, sizeof bytes);
    ck_assert_int_lt(rc, 0);
    ck_assert_ptr_nonnull(strstr(redis_tls_session_error(mine), "alert certificate required"));
    ck_assert(node_is_closed(fd));
}
END_TEST

/* TLS' end may come together with the last command: it is executed, answered, and the connection ends. */
START_TEST(last_words)
{
    char got[32] = "";
    connect_to_node(NULL);
    ck_assert_int_eq(shake(), 0);
    ck_assert_int_eq(redis_tls_session_write(mine, slice_of("PING\r\n")), 0);
    ck_assert_int_eq(SSL_shutdown(redis_tls_session_ssl(mine)), 0);
    ck_assert_int_eq(exchange(), 0);
    ck_assert_int_eq(redis_tls_session_read(mine, got, sizeof got), 7);
    ck_assert_str_eq(got, "+PONG\r\n");
    ck_assert(node_is_closed(fd));
    ck_assert_uint_eq(node.client_count, 0);
}
END_TEST

SUITE_MAIN_WITH("cache_tls", set_up, tear_down, no_handshake, a_handshake_is_enough, no_certificate,
                last_words)
