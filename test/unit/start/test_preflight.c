/* test_preflight.c: directories, lock, leftovers, identity; programs, ports and path lengths of a tree. */
#include "master/start/preflight.h"

#include "master/start/sweep.h"
#include "master/build/tree_build.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct place place;
static struct preflight paths;
static struct config *config;
static struct node *root;
static struct buffer error;

static void start(void)
{
    place_make(&place);
    paths.lock_fd = paths.state_lock_fd = -1;
}

static void finish(void)
{
    preflight_release(&paths);
    tree_free(root);
    root = NULL;
    config_free(config);
    config = NULL;
    buffer_fini(&error);
    place_remove(&place);
}

#define PLATOON "platoon { runtime_dir = run  state_dir = state  libexec_dir = libexec }\n"

static int take(const char *text)
{
    config_free(config);
    config = place_config(&place, text);
    buffer_clear(&error);
    return preflight_take(&paths, config, &error);
}

/* One line that holds both. */
static void expect_error(const char *object, const char *remedy)
{
    const char *text = buffer_text(&error);
    ck_assert_msg(text != NULL && strstr(text, object) != NULL && strstr(text, remedy) != NULL,
                  "'%s' and '%s' are not in: %s", object, remedy, text);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}

static unsigned mode_of(const char *name)
{
    struct stat st;
    ck_assert_msg(stat(place_path(&place, name), &st) == 0, "%s is missing", name);
    return st.st_mode & 07777;
}

static bool exists(const char *name)
{
    return access(place_path(&place, name), F_OK) == 0;
}

/* ---- directories ---- */

START_TEST(test_makes_its_places)
{
    ck_assert_int_eq(take(PLATOON), 0);
    ck_assert_uint_eq(mode_of("run"), 0700);
    ck_assert_uint_eq(mode_of("run/mbox"), 0700);
    ck_assert_uint_eq(mode_of("state"), 0700);
    ck_assert_str_eq(paths.runtime_dir, place_path(&place, "run"));
    ck_assert_str_eq(paths.state_dir, place_path(&place, "state"));
    ck_assert_str_eq(paths.libexec_dir, place_path(&place, "libexec"));
    ck_assert_int_eq(atoi(place_read(&place, "run/platoon.pid")), getpid());
    preflight_release(&paths);
    ck_assert(!exists("run/platoon.pid"));
}

START_TEST(test_makes_parents)
{
    ck_assert_int_eq(take("platoon { runtime_dir = \"a/b/run\"  state_dir = \"c/d\" }\n"), 0);
    ck_assert_uint_eq(mode_of("a/b/run"), 0700);
    ck_assert_uint_eq(mode_of("c/d"), 0700);
}

START_TEST(test_directory_others_can_write)
{
    static const unsigned modes[] = {0777, 0770, 0702};
    static const char *const names[] = {"run", "state"};
    const char *name = names[_i % 2];
    ck_assert_int_eq(mkdir(place_path(&place, name), 0700), 0);
    ck_assert_int_eq(chmod(place_path(&place, name), modes[_i / 2]), 0);
    ck_assert_int_eq(take(PLATOON), 1);
    expect_error(place_path(&place, name), "chmod 700");
    ck_assert_int_eq(paths.lock_fd, -1);
}

START_TEST(test_directory_of_somebody_else)
{
    const char *theirs = "/usr";
    if (geteuid() == 0) {
        theirs = place_path(&place, "run");
        ck_assert_int_eq(mkdir(theirs, 0700), 0);
        ck_assert_int_eq(chown(theirs, 12345, 12345), 0);
    }
    char text[256];
    snprintf(text, sizeof text, "platoon { runtime_dir = \"%s\"  state_dir = state }\n", theirs);
    ck_assert_int_eq(take(text), 1);
    expect_error(theirs, "chown");
}

START_TEST(test_file_in_the_place_of_a_directory)
{
    place_write(&place, "run", "", 0600);
    ck_assert_int_eq(take(PLATOON), 1);
    expect_error(place_path(&place, "run"), "no directory");
    ck_assert_int_eq(take("platoon { runtime_dir = \"run/below\"  state_dir = state }\n"), 1);
    expect_error(place_path(&place, "run/below"), "Not a directory");
}

#define ONE_PLACES 8 /* yet to be made, and there */

/* Whoever looked for the second lock found its own; and nothing is made for such a file. */
START_TEST(test_one_directory_for_both)
{
    static const char *const states[] = {"run", "run/", "no/../run", "run/mbox"};
    static const char *const made[] = {"run", "run/mbox", "no"};
    char text[256];
    bool there = _i >= ONE_PLACES / 2;
    for (size_t i = 0; there && i < sizeof made / sizeof *made; i++)
        ck_assert_int_eq(mkdir(place_path(&place, made[i]), 0700), 0);
    snprintf(text, sizeof text, "platoon { runtime_dir = run  state_dir = \"%s\" }\n",
             states[_i % (ONE_PLACES / 2)]);
    ck_assert_int_eq(take(text), CONTRACT_EXIT_CONFIG);
    expect_error("state_dir /", "choose another");
    ck_assert(exists("run") == there && !exists("run/platoon.lock"));
}

START_TEST(test_one_directory_in_the_other)
{
    ck_assert_int_eq(take("platoon { runtime_dir = run  state_dir = \"run/state\" }\n"), 0);
    preflight_release(&paths);
    ck_assert_int_eq(take("platoon { runtime_dir = \"state/run\"  state_dir = state }\n"), 0);
}

START_TEST(test_path_too_long_for_a_socket)
{
    char text[512], deep[128];
    memset(deep, 'd', sizeof deep);
    deep[107 - strlen(place.dir) - strlen("//control.sock")] = '\0';
    snprintf(text, sizeof text, "platoon { runtime_dir = %s  state_dir = state }\n", deep);
    ck_assert_int_eq(take(text), 0);
    preflight_release(&paths);
    snprintf(text, sizeof text, "platoon { runtime_dir = %sd  state_dir = state }\n", deep);
    ck_assert_int_eq(take(text), CONTRACT_EXIT_CONFIG);
    expect_error("control.sock in it would have 108 bytes", "choose a shorter one");
}

/* ---- lock, leftovers ---- */

START_TEST(test_second_instance)
{
    struct preflight second;
    char pid[32];
    ck_assert_int_eq(take(PLATOON), 0);
    ck_assert_int_eq(preflight_take(&second, config, &error), 1);
    snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
    expect_error(pid, "/run/control.sock shutdown");
    preflight_release(&second);
    ck_assert_msg(exists("run/platoon.pid"), "who was refused removes nothing");
    preflight_release(&paths);
    ck_assert_int_eq(take(PLATOON), 0);
}

static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place_path(&place, name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

START_TEST(test_leftovers_are_removed)
{
    static const char *const stale[] = {"run/control.sock", "run/redis.sock",
                                        "run/redis-cache.sock", "run/mbox/redis,send.1.1"};
    static const char *const others[] = {"run/own.sock", "run/redis.conf", "run/notes"};
    ck_assert_int_eq(mkdir(place_path(&place, "run"), 0700), 0);
    ck_assert_int_eq(mkdir(place_path(&place, "run/mbox"), 0700), 0);
    for (size_t i = 0; i < 4; i++)
        close(listen_at(stale[i]));
    for (size_t i = 0; i < 3; i++)
        place_write(&place, others[i], "", 0600);
    place_write(&place, "run/platoon.pid", "1\n", 0600);
    place_write(&place, "run/platoon.lock", "1\n", 0600);
    ck_assert_int_eq(take(PLATOON), 0);
    for (size_t i = 0; i < 4; i++)
        ck_assert_msg(!exists(stale[i]), "%s is still there", stale[i]);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(exists(others[i]), "%s is not ours to remove", others[i]);
    ck_assert_int_eq(atoi(place_read(&place, "run/platoon.pid")), getpid());
}

START_TEST(test_leftovers_that_live_are_waited_for)
{
    static const char *const alive[] = {"redis.sock", "mbox/redis,send.1.1"};
    char busy[256] = "";
    ck_assert_int_eq(mkdir(place_path(&place, "mbox"), 0700), 0);
    int fd = listen_at(alive[_i]);
    ck_assert_int_eq(sweep_wait(place.dir, 30, busy, sizeof busy), -ETIMEDOUT);
    ck_assert_str_eq(busy, place_path(&place, alive[_i]));
    ck_assert(exists(alive[_i]));
    close(fd);
    ck_assert_int_eq(sweep_wait(place.dir, 0, busy, sizeof busy), 0);
}

/* ---- identity ---- */

START_TEST(test_identity_survives_and_boots_are_counted)
{
    char first[PREFLIGHT_INSTANCE_SIZE];
    for (unsigned boot = 1; boot <= 3; boot++) {
        ck_assert_int_eq(take(PLATOON), 0);
        ck_assert_uint_eq(strspn(paths.instance, "0123456789abcdef"), 16);
        ck_assert_uint_eq(paths.boot, boot);
        if (boot == 1)
            memcpy(first, paths.instance, sizeof first);
        ck_assert_str_eq(paths.instance, first);
        preflight_release(&paths);
    }
    char expected[64];
    snprintf(expected, sizeof expected, "%s 3\n", first);
    ck_assert_str_eq(place_read(&place, "state/instance"), expected);
    ck_assert_uint_eq(mode_of("state/instance"), 0600);
    ck_assert(!exists("state/instance.new"));
}

START_TEST(test_identity_that_cannot_be_read_is_a_new_one)
{
    static const char *const broken[] = {"", "hello\n", "0123 5\n", "0123456789abcdef\n",
                                         "0123456789abcdefg 5\n"};
    ck_assert_int_eq(mkdir(place_path(&place, "state"), 0700), 0);
    place_write(&place, "state/instance", broken[_i], 0600);
    ck_assert_int_eq(take(PLATOON), 0);
    ck_assert_uint_eq(paths.boot, 1);
    ck_assert_uint_eq(strlen(paths.instance), 16);
    ck_assert_str_ne(paths.instance, "0123456789abcdef");
}

START_TEST(test_identity_that_cannot_be_written)
{
    ck_assert_int_eq(mkdir(place_path(&place, "state"), 0700), 0);
    ck_assert_int_eq(mkdir(place_path(&place, "state/instance.new"), 0700), 0);
    ck_assert_int_eq(take(PLATOON), 1);
    expect_error(place_path(&place, "state/instance"), "disk");
    ck_assert_int_eq(paths.lock_fd, -1);
}

/* ---- tree ---- */

static void make_programs(void)
{
    ck_assert_int_eq(mkdir(place_path(&place, "libexec"), 0700), 0);
    for (size_t i = 0; i < WORKER_TYPE_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "libexec/%s", worker_type_name((enum worker_type)i));
        place_write(&place, name, "#!/bin/sh\n", 0700);
    }
    place_write(&place, "server", "#!/bin/sh\n", 0700);
}

#define SITE                                                                                       \
    "supervisor site { children = visits }\n"                                                      \
    "program visits { command = true  port = json  processes = 2 }\n"

static int check_tree(const char *text)
{
    ck_assert_int_eq(take(text), 0);
    root = tree_build(config, &paths, &error);
    ck_assert_msg(root != NULL, "%s", buffer_text(&error));
    return preflight_check_tree(&paths, config, root, PREFLIGHT_START, &error, NULL);
}

START_TEST(test_tree_in_order)
{
    make_programs();
    ck_assert_int_eq(
        check_tree(PLATOON "redis main { server_program = \"./server\"  send_workers = 2 }\n" SITE),
        0);
    ck_assert_uint_eq(error.len, 0);
}

START_TEST(test_each_missing_program_once)
{
    make_programs();
    unlink(place_path(&place, "libexec/send"));
    chmod(place_path(&place, "libexec/port"), 0600);
    ck_assert_int_eq(
        check_tree(PLATOON "redis main { server_program = \"./server\"  send_workers = 2 }\n" SITE),
        CONTRACT_EXIT_CONFIG);
    const char *text = buffer_text(&error);
    ck_assert_ptr_nonnull(strstr(text, place_path(&place, "libexec/send: No such file")));
    ck_assert_ptr_nonnull(strstr(text, place_path(&place, "libexec/port: Permission denied")));
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    ck_assert_uint_eq(lines, 2);
}

START_TEST(test_missing_server)
{
    make_programs();
    ck_assert_int_eq(check_tree(PLATOON "redis main { server_program = \"/nowhere/rs\" }\n"),
                     CONTRACT_EXIT_CONFIG);
    expect_error("server_program /nowhere/rs", "install redis-server");
}

START_TEST(test_server_is_looked_up_in_path)
{
    make_programs();
    ck_assert_int_eq(setenv("PATH", "/nowhere", 1), 0);
    ck_assert_int_eq(check_tree(PLATOON "redis main { server_program = server }\n"),
                     CONTRACT_EXIT_CONFIG);
    expect_error("server_program server", "install redis-server");
    char path[256];
    snprintf(path, sizeof path, "/nowhere:%s", place.dir);
    ck_assert_int_eq(setenv("PATH", path, 1), 0);
    buffer_clear(&error);
    ck_assert_int_eq(preflight_check_tree(&paths, config, root, PREFLIGHT_START, &error, NULL), 0);
}

START_TEST(test_the_servers_place_is_made)
{
    struct stat st;
    make_programs();
    ck_assert_int_eq(check_tree(PLATOON "redis main { server_program = \"./server\" }\n"), 0);
    ck_assert_int_eq(stat(place_path(&place, "state/redis"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ck_assert_int_eq(rmdir(place_path(&place, "state/redis")), 0);
    ck_assert_int_eq(preflight_check_tree(&paths, config, root, PREFLIGHT_CHECK, &error, NULL), 0);
    ck_assert_msg(stat(place_path(&place, "state/redis"), &st) != 0, "a check makes nothing");
    ck_assert_int_eq(rename(place_path(&place, "state"), place_path(&place, "elsewhere")), 0);
    ck_assert_int_eq(preflight_check_tree(&paths, config, root, PREFLIGHT_START, &error, NULL), 1);
    expect_error("redis main: ", "/state/redis: cannot be made: No such file");
}

START_TEST(test_external_redis_needs_no_server)
{
    make_programs();
    ck_assert_int_eq(check_tree(PLATOON "redis main { url = \"redis://h\"  server_program = "
                                        "\"/nowhere/rs\" }\n"),
                     0);
}

START_TEST(test_port_in_use)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    char text[512], named[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    make_programs();
    snprintf(text, sizeof text,
             PLATOON "redis main { server_program = \"./server\"  server_port = %d }\n",
             ntohs(address.sin_port));
    snprintf(named, sizeof named, "server_port %d: Address already in use",
             ntohs(address.sin_port));
    ck_assert_int_eq(check_tree(text), 1);
    expect_error(named, "choose another");
    close(fd);
    buffer_clear(&error);
    ck_assert_int_eq(preflight_check_tree(&paths, config, root, PREFLIGHT_START, &error, NULL), 0);
}

/* Room for control.sock, none for the longest mailbox: "/mbox/site,visits.1.4294967295". */
START_TEST(test_mailbox_path_too_long)
{
    char text[512], deep[128];
    size_t longest = strlen("/mbox/site,visits.1.4294967295");
    make_programs();
    memset(deep, 'd', sizeof deep);
    deep[107 - longest - strlen(place.dir) - 1 + (size_t)_i] = '\0';
    snprintf(text, sizeof text,
             "platoon { runtime_dir = %s  state_dir = state  libexec_dir = libexec }\n"
             "redis main { url = \"redis://h\" }\n" SITE,
             deep);
    ck_assert_int_eq(check_tree(text), _i == 0 ? 0 : CONTRACT_EXIT_CONFIG);
    if (_i == 1)
        expect_error("the mailbox of site/visits.1 would have 108", "shorter");
}

int main(void)
{
    Suite *s = suite_create("preflight");
    TCase *t = tcase_create("preflight");
    tcase_add_checked_fixture(t, start, finish);
    tcase_add_test(t, test_makes_its_places);
    tcase_add_test(t, test_makes_parents);
    tcase_add_loop_test(t, test_directory_others_can_write, 0, 6);
    tcase_add_test(t, test_directory_of_somebody_else);
    tcase_add_test(t, test_file_in_the_place_of_a_directory);
    tcase_add_loop_test(t, test_one_directory_for_both, 0, ONE_PLACES);
    tcase_add_test(t, test_one_directory_in_the_other);
    tcase_add_test(t, test_path_too_long_for_a_socket);
    tcase_add_test(t, test_second_instance);
    tcase_add_test(t, test_leftovers_are_removed);
    tcase_add_loop_test(t, test_leftovers_that_live_are_waited_for, 0, 2);
    tcase_add_test(t, test_identity_survives_and_boots_are_counted);
    tcase_add_loop_test(t, test_identity_that_cannot_be_read_is_a_new_one, 0, 5);
    tcase_add_test(t, test_identity_that_cannot_be_written);
    tcase_add_test(t, test_tree_in_order);
    tcase_add_test(t, test_each_missing_program_once);
    tcase_add_test(t, test_missing_server);
    tcase_add_test(t, test_server_is_looked_up_in_path);
    tcase_add_test(t, test_the_servers_place_is_made);
    tcase_add_test(t, test_external_redis_needs_no_server);
    tcase_add_test(t, test_port_in_use);
    tcase_add_loop_test(t, test_mailbox_path_too_long, 0, 2);
    suite_add_tcase(s, t);
    return suite_end(s);
}
