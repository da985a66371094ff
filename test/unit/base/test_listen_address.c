/* test_listen_address.c: texts that are addresses to listen on, and sockets made of them. */
#include "common/listen_address.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
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

START_TEST(meetings)
{
    static const struct {
        const char *one, *other;
        bool meets;
    } cases[] = {
        {"unix:/a", "unix:/a", true},          {"unix:/a", "unix:/b", false},
        {"unix:/a", "127.0.0.1:1", false},     {"127.0.0.1:1", "127.0.0.1:1", true},
        {"127.0.0.1:1", "127.0.0.1:2", false}, {"127.0.0.1:1", "10.0.0.1:1", false},
        {"127.0.0.1:1", "0.0.0.0:1", true},    {"127.0.0.1:1", "[::]:1", true},
        {"127.0.0.1:1", "[::1]:1", false},     {"[::1]:1", "[::1]:1", true},
        {"[::1]:1", "[::]:1", true},           {"0.0.0.0:1", "0.0.0.0:2", false},
    };
    struct listen_address a, b;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(listen_address_parse(cases[i].one, &a), 0);
        ck_assert_int_eq(listen_address_parse(cases[i].other, &b), 0);
        ck_assert_msg(listen_address_meets(&a, &b) == cases[i].meets &&
                          listen_address_meets(&b, &a) == cases[i].meets,
                      "%s and %s", cases[i].one, cases[i].other);
    }
}
END_TEST

static int open_text(const char *text)
{
    struct listen_address a;
    ck_assert_int_eq(listen_address_parse(text, &a), 0);
    return listen_address_open(&a, NULL);
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

/* A file of somebody's data is no socket that a dead process has left. */
START_TEST(what_is_no_socket)
{
    struct place place;
    char text[128];
    place_make(&place);
    snprintf(text, sizeof text, "unix:%s/data", place.dir);
    int fd = open(text + 5, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(open_text(text), -EADDRINUSE);
    ck_assert_int_eq(access(text + 5, F_OK), 0);
    place_remove(&place);
}
END_TEST

/* As runtime_dir: whoever may change a directory above it, or has put a link there, could put another one there. */
START_TEST(where_others_may_change_what_stands_there)
{
    static const char *const names[] = {"theirs/s", "link/s", "theirs/link/s"};
    struct place place;
    place_make(&place);
    const char *theirs = place_path(&place, "theirs");
    if (geteuid() == 0) {
        ck_assert_int_eq(mkdir(theirs, 0755), 0);
        ck_assert_int_eq(symlink(place.dir, place_path(&place, "theirs/link")), 0);
        ck_assert_int_eq(symlink("theirs", place_path(&place, "link")), 0);
        ck_assert_int_eq(chown(theirs, 12345, 12345), 0);
    }
    for (size_t i = 0; geteuid() == 0 && i < sizeof names / sizeof *names; i++) {
        char text[128];
        struct listen_address a;
        struct buffer why = BUFFER_EMPTY, again = BUFFER_EMPTY;
        snprintf(text, sizeof text, "unix:%s/%s", place.dir, names[i]);
        ck_assert_int_eq(listen_address_parse(text, &a), 0);
        int rc = listen_address_open(&a, &why);
        ck_assert(rc == -EPERM || rc == -EMLINK);
        ck_assert_int_eq(listen_address_place(&a, &again), rc);
        ck_assert_msg(strstr(buffer_text(&why), "uid 12345") != NULL, "%s", why.data);
        ck_assert_str_eq(buffer_text(&again), why.data);
        buffer_fini(&why);
        buffer_fini(&again);
        ck_assert_int_ne(access(text + 5, F_OK), 0);
    }
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

/* What helps is said as the cause is: nobody ends a program because a directory is missing. */
START_TEST(what_helps)
{
    struct place place;
    char text[128];
    place_make(&place);
    snprintf(text, sizeof text, "unix:%s/missing/s", place.dir);
    int rc = open_text(text);
    ck_assert_int_eq(rc, -ENOENT);
    ck_assert_str_eq(listen_address_remedy(-rc), "make the directory that it is to stand in");
    rc = open_text("192.0.2.1:20000");
    ck_assert_int_eq(rc, -EADDRNOTAVAIL);
    ck_assert_str_eq(listen_address_remedy(-rc),
                     "no interface of this machine has that address: choose one that it has");
    ck_assert_str_eq(listen_address_remedy(EADDRINUSE),
                     "choose another address, or end what uses it");
    ck_assert_str_eq(listen_address_remedy(EACCES),
                     "choose one that platoon's user may take, as a port from 1024 on");
    ck_assert_str_eq(listen_address_remedy(EPERM),
                     "choose a place that is root's or platoon's alone");
    ck_assert_str_eq(listen_address_remedy(EIO), "choose another address");
    place_remove(&place);
}
END_TEST

SUITE_MAIN("listen_address", forms, meetings, unix_sockets, what_is_no_socket,
           where_others_may_change_what_stands_there, a_port_in_use, what_helps)
