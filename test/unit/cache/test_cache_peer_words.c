/* test_cache_peer_words.c: what a connection to Redis says, of a cache node. The real ones: test_cache_peers.c. */
#include "test/unit/suite.h"
#include "workers/cache/peer/cache_peer_words.h"

static void ck_words(const char *line, const char *wanted)
{
    char text[600];
    cache_peer_words(text, sizeof text, line, "h:1");
    ck_assert_str_eq(text, wanted);
}

START_TEST(test_in_a_caches_words)
{
    ck_words("redis at h:1: connection refused: is the server running?",
             "connection refused: is it running?");
    ck_words("redis at h:1: the server closed the connection",
             "it closed the connection: see its log");
    ck_words(
        "redis at h:1: AUTH: WRONGPASS: wrong user or password, or the user is disabled: check "
        "user and password_file",
        "AUTH: WRONGPASS: wrong user or password, or the user is disabled: give all nodes of the "
        "ring the same secret_file");
    ck_words("redis at h:1: cannot read password_file /x: No such file",
             "cannot read secret_file /x: No such file");
    ck_words(
        "redis at h:1: TLS: the server's certificate is not accepted: x: check tls_ca_file and "
        "tls_server_name",
        "TLS: its certificate is not accepted: x: check tls_ca_file, and the names in that "
        "node's tls_cert_file");
    ck_words("redis at h:1: nothing to change", "nothing to change");
    ck_words("redis at h:1: ", "");
}
END_TEST

/* Another name in front than it should have is kept: better too much than nothing. */
START_TEST(test_who_it_is_of)
{
    ck_words("redis at h:11: x", "redis at h:11: x");
    ck_words("redis at h:1", "redis at h:1");
    ck_words("out of memory", "out of memory");
    ck_words("", "");
}
END_TEST

START_TEST(test_cut)
{
    for (size_t size = 1; size < 40; size++) {
        char text[64];
        memset(text, '#', sizeof text);
        cache_peer_words(text, size, "redis at h:1: xxx is the server running?", "h:1");
        ck_assert_uint_lt(strlen(text), size);
        ck_assert_int_eq(text[size], '#');
        ck_assert_int_eq(strncmp("xxx is it running?", text, strlen(text)), 0);
    }
}
END_TEST

SUITE_MAIN("cache_peer_words", test_in_a_caches_words, test_who_it_is_of, test_cut)
