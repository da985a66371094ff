/* test_listen_address.c: texts that are addresses to listen on, and sockets made of them. */
#include "common/listen_address.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

START_TEST(forms)
{
    static const struct {
        const char *text;
        int rc;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:9100", 0, true},       {"127.9.9.9:1", 0, true},
        {"[::1]:9100", 0, true},           {"unix:/run/x.sock", 0, true},
        {"0.0.0.0:80", 0, false},          {"[::]:80", 0, false},
        {"10.0.0.1:65535", 0, false},      {"", -EINVAL, false},
        {"127.0.0.1", -EINVAL, false},     {"127.0.0.1:", -EINVAL, false},
        {":9100", -EINVAL, false},         {"127.0.0.1:0", -EINVAL, false},
        {"1.2.3.4:65536", -EINVAL, false}, {"1.2.3:80", -EINVAL, false},
        {"localhost:80", -EINVAL, false},  {"::1:80", -EINVAL, false},
        {"[::1:80", -EINVAL, false},       {"[]:80", -EINVAL, false},
        {"]:80", -EINVAL, false},          {"unix:", -EINVAL, false},
        {"unix:x.sock", -EINVAL, false},   {"127.0.0.1:80x", -EINVAL, false},
    };
    struct listen_address a;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(listen_address_parse(cases[i].text, &a) == cases[i].rc, "%s", cases[i].text);
        if (cases[i].rc == 0)
            ck_assert_msg(a.loopback == cases[i].loopback, "%s", cases[i].text);
    }
    char path[200] = "unix:/";
    memset(path + 6, 'x', 120);
    ck_assert_int_eq(listen_address_parse(path, &a), -ENAMETOOLONG);
}
END_TEST

static int open_text(const char *text)
{
    struct listen_address a;
    ck_assert_int_eq(listen_address_parse(text, &a), 0);
    return listen_address_open(&a);
}

START_TEST(unix_sockets)
{
    struct place place;
    char text[128];
    struct stat info;
    place_make(&place);
    snprintf(text, sizeof text, "unix:%s/s", place.dir);
    int first = open_text(text);
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(stat(text + 5, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0660);
    ck_assert_msg(open_text(text) == -EADDRINUSE, "somebody listens there");
    close(first);
    int second = open_text(text);
    ck_assert_msg(second >= 0, "what a dead process left is taken away");
    close(second);
    place_remove(&place);
}
END_TEST

START_TEST(a_port_in_use)
{
    int first = -1;
    char text[64];
    for (int port = 20000; first < 0 && port < 20100; port++) {
        snprintf(text, sizeof text, "127.0.0.1:%d", port);
        first = open_text(text);
    }
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(open_text(text), -EADDRINUSE);
    close(first);
}
END_TEST

SUITE_MAIN("listen_address", forms, unix_sockets, a_port_in_use)
