/* test_redis_tls.c: the Redis connection over TLS, against real servers (common/redis/redis_tls.c, redis_socket.c). */
#include "test/unit/redis/fake_resolver.h"

static void start_tls(const char *auth_clients)
{
    char port[16];
    snprintf(port, sizeof port, "%d", fx.tls_port);
    redis_fixture_certificates(&fx);
    const char *arguments[] = {"--tls-port",
                               port,
                               "--tls-cert-file",
                               redis_fixture_path(&fx, "server.crt"),
                               "--tls-key-file",
                               redis_fixture_path(&fx, "server.key"),
                               "--tls-ca-cert-file",
                               redis_fixture_path(&fx, "ca.crt"),
                               "--tls-auth-clients",
                               auth_clients,
                               NULL};
    redis_fixture_start(&fx, true, arguments);
    cl.options.tls_ca_file = strdup(redis_fixture_path(&fx, "ca.crt"));
}

static void replace(char **text, const char *value)
{
    free(*text);
    *text = value != NULL ? strdup(value) : NULL;
}

START_TEST(test_tls_by_name_and_by_address)
{
    start_tls("no");
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        set_url("rediss://%s:%d", hosts[i], fx.tls_port);
        cl.ready = 0;
        connect_client();
        WAIT_FOR(cl.ready == 1);
        ask("SETRANGE", "big", "3000000", "x"); /* many records either way */
        ask("GET", "big", NULL, NULL);
        ck_assert_uint_eq(cl.len, 3000001);
        size_t size = 2000000;
        char *value = calloc(1, size);
        struct slice argv[] = {slice_of("SET"), slice_of("b"), slice_make(value, size)};
        int before = cl.replies;
        ck_assert_int_eq(redis_conn_command(cl.conn, 3, argv, on_reply, &cl), 0);
        WAIT_FOR(cl.replies > before);
        free(value);
        ask("STRLEN", "b", NULL, NULL);
        ck_assert_int_eq((int)cl.integer, (int)size);
        redis_conn_free(cl.conn);
        cl.conn = NULL;
        ck_assert_int_eq(cl.lost, 0);
    }
}
END_TEST

/* One that speaks no TLS, one that does not answer, one that does. */
START_TEST(test_tls_address_by_address)
{
    start_tls("no");
    cl.options.retry_max_ms = 60000;
    cl.options.connect_timeout_ms = 3000;
    fake_resolve(fx.port, fake_port_unanswered(), fx.tls_port);
    set_url("rediss://" FAKE_NAME);
    replace(&cl.options.tls_server_name, "localhost");
    connect_client();
    WAIT_FOR(cl.ready + cl.lost > 0);
    ck_assert_int_eq(cl.ready, 1);
    ask("PING", NULL, NULL, NULL);
}
END_TEST

START_TEST(test_tls_certificate_not_accepted)
{
    start_tls("no");
    set_url("rediss://127.0.0.1:%d", fx.tls_port);
    replace(&cl.options.tls_ca_file, redis_fixture_path(&fx, "other.crt"));
    connect_client();
    expect_lost("certificate is not accepted");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_ca_file, NULL); /* the system's, which did not sign it either */
    connect_client();
    expect_lost("certificate is not accepted");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_ca_file, redis_fixture_path(&fx, "ca.crt"));
    replace(&cl.options.tls_server_name, "elsewhere.test");
    connect_client();
    expect_lost("ostname mismatch");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_server_name, "127.0.0.2");
    connect_client();
    expect_lost("IP address mismatch");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_server_name, "redis.test");
    connect_client();
    WAIT_FOR(cl.ready == 1);
}
END_TEST

START_TEST(test_tls_client_certificate)
{
    start_tls("yes");
    set_url("rediss://127.0.0.1:%d", fx.tls_port);
    connect_client();
    expect_lost("client certificate");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    cl.options.tls_cert_file = strdup(redis_fixture_path(&fx, "client.crt"));
    cl.options.tls_key_file = strdup(redis_fixture_path(&fx, "client.key"));
    connect_client();
    WAIT_FOR(cl.ready == 1);
}
END_TEST

START_TEST(test_tls_and_plain_mixed_up)
{
    start_tls("no");
    set_url("rediss://127.0.0.1:%d", fx.port);
    cl.options.connect_timeout_ms =
        1000; /* plain Redis takes the hello for an unfinished line, and waits */
    connect_client();
    expect_lost("does this port speak TLS?");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_url("redis://127.0.0.1:%d", fx.tls_port);
    connect_client();
    expect_lost("rediss://");
}
END_TEST

START_TEST(test_tls_files_that_cannot_be_read)
{
    redis_fixture_certificates(&fx);
    char why[300];
    set_url("rediss://127.0.0.1:%d", fx.tls_port);
    cl.options.tls_ca_file = strdup(redis_fixture_path(&fx, "nowhere.crt"));
    ck_assert_ptr_null(redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why));
    ck_assert_msg(strstr(why, "tls_ca_file") && strstr(why, "nowhere.crt"), "%s", why);
    replace(&cl.options.tls_ca_file, redis_fixture_path(&fx, "ca.crt"));
    cl.options.tls_cert_file = strdup(redis_fixture_path(&fx, "client.crt"));
    ck_assert_ptr_null(redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why));
    ck_assert_msg(strstr(why, "belong together") != NULL, "%s", why);
    cl.options.tls_key_file = strdup(redis_fixture_path(&fx, "server.key"));
    ck_assert_ptr_null(redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why));
    ck_assert_msg(strstr(why, "tls_key_file") != NULL, "%s", why);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_tls");
    ADD_CASE(s, "tls", test_tls_by_name_and_by_address, test_tls_address_by_address,
             test_tls_certificate_not_accepted, test_tls_client_certificate,
             test_tls_and_plain_mixed_up, test_tls_files_that_cannot_be_read);
    return suite_end(s);
}
