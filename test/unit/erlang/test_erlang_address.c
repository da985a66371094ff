/* test_erlang_address.c: names of nodes, and where one listens. */
#include "proto/erlang/erlang_address.h"
#include "test/unit/suite.h"

START_TEST(names)
{
    static const char *const right[] = {"a@b", "manager@front1", "my_node-2@host-1.example.org",
                                        "n@127.0.0.1"};
    static const char *const wrong[] = {"",      "a",     "@",         "@b",    "a@",
                                        "a b@c", "a@b c", "a.b@c",     "a@b@c", "'a'@b",
                                        "a@b\n", "a@b/c", "\xc3\xa4@b"};
    char longest[ERLANG_NODE_MAX + 2];
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        ck_assert_msg(erlang_node_is_name(right[i]), "%s", right[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!erlang_node_is_name(wrong[i]), "%s", wrong[i]);
    memset(longest, 'a', sizeof longest);
    longest[1] = '@';
    longest[ERLANG_NODE_MAX + 1] = '\0';
    ck_assert(!erlang_node_is_name(longest));
    longest[ERLANG_NODE_MAX] = '\0';
    ck_assert(erlang_node_is_name(longest));
}
END_TEST

START_TEST(addresses)
{
    struct sockaddr_in a;
    ck_assert(erlang_address_parse("127.0.0.1", &a) && a.sin_port == 0);
    ck_assert(a.sin_family == AF_INET && ntohl(a.sin_addr.s_addr) == 0x7f000001);
    ck_assert(erlang_address_is_loopback(&a));
    ck_assert(erlang_address_parse("127.0.1.1:65535", &a) && ntohs(a.sin_port) == 65535);
    ck_assert(erlang_address_is_loopback(&a));
    ck_assert(erlang_address_parse("10.0.0.5:1", &a) && ntohs(a.sin_port) == 1);
    ck_assert(!erlang_address_is_loopback(&a));
    ck_assert(erlang_address_parse("0.0.0.0", &a) && !erlang_address_is_loopback(&a));
    static const char *const wrong[] = {"",
                                        ":1",
                                        "front1",
                                        "127.0.0.1:",
                                        "127.0.0.1:0",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:1x",
                                        "127.0.0.1: 1",
                                        "127.0.0.1:123456",
                                        "[::1]",
                                        "::1",
                                        "unix:/a",
                                        "127.0.0.1.1",
                                        "127.0.0.111111111111111111111:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!erlang_address_parse(wrong[i], &a), "%s", wrong[i]);
}
END_TEST

SUITE_MAIN("erlang_address", names, addresses)
