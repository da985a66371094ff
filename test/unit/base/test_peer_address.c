/* test_peer_address.c: what a node has registered is an address, or it is none. */
#include "test/unit/suite.h"
#include "common/peer_address.h"
#include "common/words.h"

#include <errno.h>
#include <stdlib.h>

static int parse(const char *text, struct peer_address *a)
{
    /* Memory of its own, so that a byte too many is seen. */
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    int rc = peer_address_parse(slice_make(copy, len), a);
    free(copy);
    return rc;
}

START_TEST(test_addresses)
{
    static const struct {
        const char *text, *path, *host;
        int port;
    } rows[] = {
        {"unix:/run/app/cache1.sock", "/run/app/cache1.sock", "", 0},
        {"unix:/run/with blank:1", "/run/with blank:1", "", 0},
        {"127.0.0.1:6390", "", "127.0.0.1", 6390},
        {"cache-1.front_2.example:1", "", "cache-1.front_2.example", 1},
        {"h:65535", "", "h", 65535},
        {"[::1]:6390", "", "::1", 6390},
        {"[2001:db8::5]:80", "", "2001:db8::5", 80},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer_address a;
        ck_assert_msg(parse(rows[i].text, &a) == 0, "%s", rows[i].text);
        ck_assert_str_eq(a.path, rows[i].path);
        ck_assert_str_eq(a.host, rows[i].host);
        ck_assert_int_eq(a.port, rows[i].port);
    }
}
END_TEST

START_TEST(test_no_addresses)
{
    static const char *const rows[] = {"",
                                       ":",
                                       ":1",
                                       "h",
                                       "h:",
                                       "h:0",
                                       "h:65536",
                                       "h:-1",
                                       "h: 1",
                                       "h:1 ",
                                       "h:+1",
                                       "h:1x",
                                       "h:99999999999999999999",
                                       " h:1",
                                       "h h:1",
                                       "h\n:1",
                                       "-h:1",
                                       "h/x:1",
                                       "user@h:1",
                                       "a,b:1",
                                       "redis://h:1",
                                       "h%41:1",
                                       "h\xc3\xbc:1",
                                       "::1:6390",
                                       "[::1]",
                                       "[::1]6390",
                                       "[::1:6390",
                                       "::1]:6390",
                                       "[]:1",
                                       "[127.0.0.1]:1",
                                       "[h]:1",
                                       "[::1%lo]:1",
                                       "[::1]]:1",
                                       "unix:",
                                       "unix:/",
                                       "unix:run/x",
                                       "unix:/a\nb",
                                       "unix:/a\x1b[2J",
                                       "UNIX:/a",
                                       "unix:/a\x7f"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer_address a;
        ck_assert_msg(parse(rows[i], &a) == -EINVAL, "%s", rows[i]);
    }
    struct peer_address a;
    ck_assert_int_eq(peer_address_parse(slice_make("h\0h:1", 5), &a), -EINVAL);
    ck_assert_int_eq(peer_address_parse(slice_make("unix:/a\0b", 9), &a), -EINVAL);
    ck_assert_int_eq(peer_address_parse(slice_make(NULL, 0), &a), -EINVAL);
}
END_TEST

/* As long as may be, and a byte more. */
START_TEST(test_longest)
{
    struct peer_address a;
    char text[400] = "unix:/", host[400];
    memset(text + 6, 'p', 106);
    ck_assert_int_eq(parse(text, &a), 0);
    ck_assert_uint_eq(strlen(a.path), 107);
    text[112] = 'p';
    ck_assert_int_eq(parse(text, &a), -EINVAL);
    memset(host, 'h', 253);
    strcpy(host + 253, ":65535");
    ck_assert_int_eq(parse(host, &a), 0);
    ck_assert_uint_eq(strlen(a.host), 253);
    memset(host, 'h', 254);
    strcpy(host + 254, ":1");
    ck_assert_int_eq(parse(host, &a), -EINVAL);
    memset(host, 'h', sizeof host);
    strcpy(host + sizeof host - 3, ":1");
    ck_assert_int_eq(parse(host, &a), -EINVAL);
}
END_TEST

START_TEST(test_chosen)
{
    static const struct {
        const char *text, *chosen;
    } rows[] = {
        {"unix:/a unix:/b", "unix:/a"},
        {"unix:/a 127.0.0.1:1 10.0.0.5:2", "127.0.0.1:1"},
        {"127.0.0.1:1 unix:/a", "127.0.0.1:1"},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer words = BUFFER_EMPTY;
        ck_assert_int_ge(words_split(slice_of(rows[i].text), 8, &words), 0);
        ck_assert_pstr_eq(peer_address_choose(&words), rows[i].chosen);
        buffer_fini(&words);
    }
}
END_TEST

SUITE_MAIN("peer_address", test_addresses, test_no_addresses, test_longest, test_chosen)
