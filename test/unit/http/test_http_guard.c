/* test_http_guard.c: tokens, hosts, origins and types that fit, and those that nearly do. */
#include "common/http/http_guard.h"

#include "test/unit/suite.h"

START_TEST(tokens)
{
    struct slice token = slice_of("s3cret");
    static const char *const bad[] = {"",
                                      "Bearer",
                                      "Bearer ",
                                      "Bearer s3cre",
                                      "Bearer s3cretX",
                                      "s3cret",
                                      "Bearer S3cret",
                                      "Basic s3cret",
                                      "Bearer s3crets3cret",
                                      "Bearers3cret",
                                      "Bearer s3cret "};
    ck_assert(http_guard_token("Bearer s3cret", token));
    ck_assert(http_guard_token("bearer  s3cret", token));
    ck_assert(!http_guard_token(NULL, token));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!http_guard_token(bad[i], token), "`%s` is taken", bad[i]);
    ck_assert(!http_guard_token("Bearer ", slice_of("")));
    ck_assert(!http_guard_token("Bearer a", slice_of("")));
}
END_TEST

START_TEST(hosts)
{
    static const char *const good[] = {"localhost",   "LocalHost:80", "127.0.0.1", "127.0.0.1:9041",
                                       "127.9.9.9:1", "[::1]",        "[::1]:9041"};
    static const char *const bad[] = {"",           "localhost.evil.example",
                                      "localhostx", "127.0.0.1.evil.example",
                                      "128.0.0.1",  "10.0.0.1:80",
                                      "localhost:", "localhost:x",
                                      "[::2]",      "127.1",
                                      "[::1]x",     "127.0.0.1:80@evil",
                                      ":80",        "127.000000000000000000.0.1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(http_guard_host_is_local(good[i]), "%s is not ours", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!http_guard_host_is_local(bad[i]), "%s is ours", bad[i]);
    ck_assert(!http_guard_host_is_local(NULL));
}
END_TEST

START_TEST(origins)
{
    ck_assert(http_guard_origin(NULL, "h:1", ""));
    ck_assert(http_guard_origin("http://h:1", "h:1", ""));
    ck_assert(http_guard_origin("https://H:1", "h:1", ""));
    ck_assert(http_guard_origin("https://a.example", "h:1", "https://a.example"));
    ck_assert(http_guard_origin("https://b.example", "h:1", "*"));
    ck_assert(!http_guard_origin("https://b.example", "h:1", "https://a.example"));
    ck_assert(!http_guard_origin("http://h:2", "h:1", ""));
    ck_assert(!http_guard_origin("http://h:1.evil.example", "h:1", ""));
    ck_assert(!http_guard_origin("null", "null", ""));
    ck_assert(!http_guard_origin("", "", ""));
    ck_assert(!http_guard_origin("http://h:1", NULL, ""));
}
END_TEST

START_TEST(types)
{
    static const char json[] = "application/json";
    ck_assert(http_guard_type("application/json", json));
    ck_assert(http_guard_type("Application/JSON; charset=utf-8", json));
    ck_assert(http_guard_type("application/json ;x", json));
    ck_assert(!http_guard_type("application/jsonp", json));
    ck_assert(!http_guard_type("text/plain;application/json", json));
    ck_assert(!http_guard_type("", json));
    ck_assert(!http_guard_type(NULL, json));
}
END_TEST

SUITE_MAIN("http-guard", tokens, hosts, origins, types)
