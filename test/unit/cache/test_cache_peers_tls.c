/* test_cache_peers_tls.c: another node by TLS: who it must be, and what is said when it is not. */
#include "test/unit/cache/peers_fixture.h"

static struct peers_told a;

static const char *path_of(const char *name)
{
    return strdup(redis_fixture_path(&peers.server, name));
}

static void set_up(void)
{
    peers_set_up();
    redis_fixture_certificates(&peers.server);
    peers.options.tls = true;
    peers.options.tls_ca_file = path_of("ca.crt");
    peers.options.tls_cert_file = path_of("client.crt");
    peers.options.tls_key_file = path_of("client.key");
}

static void tear_down(void)
{
    free((char *)(uintptr_t)peers.options.tls_ca_file);
    free((char *)(uintptr_t)peers.options.tls_cert_file);
    free((char *)(uintptr_t)peers.options.tls_key_file);
    peers_tear_down();
}

static void start(const char *auth_clients)
{
    char port[16];
    snprintf(port, sizeof port, "%d", peers.server.tls_port);
    const char *arguments[] = {"--tls-port",
                               port,
                               "--tls-cert-file",
                               redis_fixture_path(&peers.server, "server.crt"),
                               "--tls-key-file",
                               redis_fixture_path(&peers.server, "server.key"),
                               "--tls-ca-cert-file",
                               redis_fixture_path(&peers.server, "ca.crt"),
                               "--tls-auth-clients",
                               auth_clients,
                               NULL};
    redis_fixture_start(&peers.server, true, arguments);
}

static void trouble_says(const char *part)
{
    ck_assert_int_eq(peers_send(&a, "PING"), 0);
    peers_until(cache_peers_trouble(peers.p)[0] != '\0');
    ck_says(cache_peers_trouble(peers.p), part);
    ck_assert_ptr_null(strstr(cache_peers_trouble(peers.p), "redis"));
    ck_assert_ptr_null(strstr(cache_peers_trouble(peers.p), "tls_server_name"));
}

static void change(const char **option, const char *name)
{
    free((char *)(uintptr_t)*option);
    *option = name != NULL ? path_of(name) : NULL;
}

START_TEST(test_by_name_and_by_address)
{
    start("yes");
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.tls_port);
    peers_ask(&a, "ECHO one");
    ck_answered(a, "$3\r\none\r\n");
    peers_ring("localhost:%d", peers.server.tls_port);
    peers_ask(&a, "ECHO two");
    ck_answered(a, "$3\r\ntwo\r\n");
}
END_TEST

START_TEST(test_unix_is_without)
{
    start("yes");
    peers_open();
    peers_ring("unix:%s", peers.server.socket);
    peers_ask(&a, "ECHO one");
    ck_answered(a, "$3\r\none\r\n");
}
END_TEST

START_TEST(test_signed_by_another)
{
    start("no");
    change(&peers.options.tls_ca_file, "other.crt");
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.tls_port);
    trouble_says("TLS: its certificate is not accepted");
}
END_TEST

/* Nor by anybody whom the system knows. */
START_TEST(test_signed_by_nobody_known)
{
    start("no");
    change(&peers.options.tls_ca_file, NULL);
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.tls_port);
    trouble_says("check tls_ca_file, and the names in that node's tls_cert_file");
}
END_TEST

START_TEST(test_is_somebody_else)
{
    start("no");
    peers_open();
    peers_ring("127.0.0.2:%d", peers.server.tls_port);
    redis_fixture_kill(&peers.server, 9);
    char port[16];
    snprintf(port, sizeof port, "%d", peers.server.tls_port);
    const char *arguments[] = {"--bind",
                               "127.0.0.2",
                               "--tls-port",
                               port,
                               "--tls-cert-file",
                               redis_fixture_path(&peers.server, "server.crt"),
                               "--tls-key-file",
                               redis_fixture_path(&peers.server, "server.key"),
                               "--tls-ca-cert-file",
                               redis_fixture_path(&peers.server, "ca.crt"),
                               "--tls-auth-clients",
                               "no",
                               NULL};
    redis_fixture_start(&peers.server, false, arguments);
    trouble_says("IP address mismatch");
}
END_TEST

START_TEST(test_wants_a_certificate)
{
    start("yes");
    change(&peers.options.tls_cert_file, NULL);
    change(&peers.options.tls_key_file, NULL);
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.tls_port);
    trouble_says("does it want a client certificate (tls_cert_file)?");
}
END_TEST

START_TEST(test_one_with_and_one_without)
{
    start("no");
    peers.options.connect_timeout_ms = 500; /* it waits for the end of our hello's "line" */
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.port);
    trouble_says("does this port speak TLS?");
    peers_close();
    peers.options.tls = false;
    peers_open();
    peers_ring("127.0.0.1:%d", peers.server.tls_port);
    trouble_says("does it want TLS? all nodes of a ring have tls_cert_file, or none has");
}
END_TEST

START_TEST(test_files_that_cannot_be_used)
{
    char why[300] = "";
    change(&peers.options.tls_ca_file, "nowhere.crt");
    ck_assert_ptr_null(cache_peers_new(&peers.options, why, sizeof why));
    ck_says(why, "tls_ca_file /tmp/");
    change(&peers.options.tls_ca_file, "ca.crt");
    change(&peers.options.tls_key_file, "server.key");
    ck_assert_ptr_null(cache_peers_new(&peers.options, why, sizeof why));
    ck_says(why, "tls_key_file /tmp/");
    start("no"); /* a file that goes later is that connection's trouble */
    change(&peers.options.tls_key_file, "client.key");
    peers_open();
    redis_fixture_shell(&peers.server, "mv ca.crt moved.crt");
    peers_ring("127.0.0.1:%d", peers.server.tls_port);
    peers_ask(&a, "PING");
    ck_told(a, AWAY, "tls_ca_file /tmp/");
    ck_says(cache_peers_trouble(peers.p), "tls_ca_file /tmp/");
    redis_fixture_shell(&peers.server, "mv moved.crt ca.crt");
    peers_ask(&a, "PING");
    ck_answered(a, "+PONG\r\n");
    ck_assert_str_eq(cache_peers_trouble(peers.p), "");
}
END_TEST

SUITE_MAIN_WITH("cache_peers_tls", set_up, tear_down, test_by_name_and_by_address,
                test_unix_is_without, test_signed_by_another, test_signed_by_nobody_known,
                test_is_somebody_else, test_wants_a_certificate, test_one_with_and_one_without,
                test_files_that_cannot_be_used)
