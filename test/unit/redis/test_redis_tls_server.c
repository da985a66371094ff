/* test_redis_tls_server.c: both sides of TLS, one against the other, without a network. */
#include "common/redis/redis_tls.h"
#include "test/unit/redis/redis_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

static struct redis_fixture fx;
static struct redis_options options;
static struct redis_tls *server, *client;
static struct redis_tls_session *s, *c;

static void set_up(void)
{
    redis_fixture_init(&fx);
    redis_fixture_certificates(&fx);
}

static void tear_down(void)
{
    redis_tls_session_free(s);
    redis_tls_session_free(c);
    redis_tls_free(server);
    redis_tls_free(client);
    redis_fixture_fini(&fx);
}

static void start(const char *ca_file, const char *cert, const char *key)
{
    char why[256];
    char *cert_file = strdup(redis_fixture_path(&fx, "server.crt"));
    char *key_file = strdup(redis_fixture_path(&fx, "server.key"));
    server = redis_tls_server_new(cert_file, key_file,
                                  ca_file != NULL ? redis_fixture_path(&fx, ca_file) : NULL, why,
                                  sizeof why);
    ck_assert_msg(server != NULL, "%s", why);
    options = (struct redis_options){.host = strdup("localhost"), .tls = true};
    options.tls_ca_file = strdup(redis_fixture_path(&fx, "ca.crt"));
    options.tls_cert_file = cert != NULL ? strdup(redis_fixture_path(&fx, cert)) : NULL;
    options.tls_key_file = key != NULL ? strdup(redis_fixture_path(&fx, key)) : NULL;
    client = redis_tls_new(&options, why, sizeof why);
    ck_assert_msg(client != NULL, "%s", why);
    s = redis_tls_session_accept(server);
    c = redis_tls_session_new(client);
    free(cert_file);
    free(key_file);
}

/* What one has for the other, a few bytes at a time. 0 or the error of who took it. */
static int carry(struct redis_tls_session *from, struct redis_tls_session *to)
{
    struct buffer out = BUFFER_EMPTY;
    int rc = 0;
    redis_tls_session_take(from, &out);
    for (size_t at = 0; rc == 0 && at < out.len; at += 7)
        rc = redis_tls_session_feed(to,
                                    slice_make(out.data + at, out.len - at < 7 ? out.len - at : 7));
    buffer_fini(&out);
    return rc;
}

static int shake(void)
{
    int rc = redis_tls_session_feed(c, slice_make("", 0));
    for (int i = 0; rc == 0 && i < 10; i++) {
        rc = carry(c, s);
        rc = rc == 0 ? carry(s, c) : rc;
    }
    return rc;
}

START_TEST(both_sides)
{
    char got[32] = "";
    start(NULL, NULL, NULL);
    ck_assert_int_eq(shake(), 0);
    ck_assert(redis_tls_session_done(s) && redis_tls_session_done(c));
    ck_assert_int_eq(redis_tls_session_write(c, slice_of("PING\r\n")), 0);
    ck_assert_int_eq(carry(c, s), 0);
    ck_assert_int_eq(redis_tls_session_read(s, got, sizeof got), 6);
    ck_assert_int_eq(redis_tls_session_read(s, got + 6, sizeof got - 6), 0);
    ck_assert_str_eq(got, "PING\r\n");
    ck_assert_int_eq(redis_tls_session_write(s, slice_of("+PONG\r\n")), 0);
    ck_assert_int_eq(carry(s, c), 0);
    ck_assert_int_eq(redis_tls_session_read(c, got, sizeof got), 7);
}
END_TEST

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* A session keeps no room for what it has once sent, and goes on. */
START_TEST(a_large_reply_leaves_nothing)
{
    char got[8] = "";
    struct buffer out = BUFFER_EMPTY;
    size_t size = (size_t)8 << 20;
    char *large = calloc(1, size);
    start(NULL, NULL, NULL);
    ck_assert_int_eq(shake(), 0);
    size_t before = allocated();
    ck_assert_int_eq(redis_tls_session_write(s, slice_make(large, size)), 0);
    redis_tls_session_take(s, &out);
    ck_assert_uint_gt(out.len, size);
    buffer_fini(&out);
    ck_assert_uint_lt(allocated(), before + size / 8);
    ck_assert_int_eq(redis_tls_session_write(c, slice_of("PING\r\n")), 0);
    ck_assert_int_eq(carry(c, s), 0);
    ck_assert_int_eq(redis_tls_session_read(s, got, sizeof got), 6);
    ck_assert_int_eq(redis_tls_session_write(s, slice_of("+PONG\r\n")), 0);
    redis_tls_session_take(s, &out);
    ck_assert_uint_gt(out.len, 7);
    buffer_fini(&out);
    free(large);
}
END_TEST

START_TEST(a_client_with_a_certificate)
{
    start("ca.crt", "client.crt", "client.key");
    ck_assert_int_eq(shake(), 0);
    ck_assert(redis_tls_session_done(s));
}
END_TEST

START_TEST(a_client_without_one)
{
    start("ca.crt", NULL, NULL);
    ck_assert_int_eq(shake(), -EPROTO);
    ck_assert(!redis_tls_session_done(s));
    ck_assert_ptr_nonnull(strstr(redis_tls_session_error(s), "certificate"));
}
END_TEST

START_TEST(another_ones_certificate)
{
    start("other.crt", "client.crt", "client.key");
    ck_assert_int_eq(shake(), -EPROTO);
    ck_assert_ptr_nonnull(
        strstr(redis_tls_session_error(s), "client's certificate is not accepted"));
}
END_TEST

START_TEST(what_is_no_tls)
{
    start(NULL, NULL, NULL);
    ck_assert_int_eq(redis_tls_session_feed(s, slice_of("*1\r\n$4\r\nPING\r\n")), -EPROTO);
    ck_assert_ptr_nonnull(strstr(redis_tls_session_error(s), "TLS: "));
}
END_TEST

START_TEST(files_that_are_none)
{
    char why[256];
    ck_assert_ptr_null(redis_tls_server_new("/nowhere.crt", "/nowhere.key", NULL, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "tls_cert_file /nowhere.crt"));
}
END_TEST

SUITE_MAIN_WITH("redis_tls_server", set_up, tear_down, both_sides, a_large_reply_leaves_nothing,
                a_client_with_a_certificate, a_client_without_one, another_ones_certificate,
                what_is_no_tls, files_that_are_none)
