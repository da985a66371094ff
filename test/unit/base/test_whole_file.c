/* test_whole_file.c: a file is whole or as it was. */
#include "common/whole_file.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct place place;
static char *path;

static void start(void)
{
    place_make(&place);
    path = strdup(place_path(&place, "file"));
}

static void finish(void)
{
    free(path);
    place_remove(&place);
}

START_TEST(it_takes_the_place_of_what_was_there)
{
    struct stat st;
    place_write(&place, "file.new", "half of an old o", 0644);
    ck_assert_int_eq(whole_file_write(path, slice_of("one\n")), 0);
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    ck_assert_int_eq(whole_file_write(path, slice_of("two\n")), 0);
    ck_assert_str_eq(place_read(&place, "file"), "two\n");
    ck_assert_int_ne(access(place_path(&place, "file.new"), F_OK), 0);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
    place_write(&place, "theirs", "precious", 0600);
    ck_assert_int_eq(symlink("theirs", path), 0);
    ck_assert_int_eq(symlink("theirs", place_path(&place, "file.new")), 0);
    ck_assert_int_eq(whole_file_write(path, slice_of("ours\n")), 0);
    ck_assert_str_eq(place_read(&place, "theirs"), "precious");
    ck_assert_str_eq(place_read(&place, "file"), "ours\n");
}
END_TEST

START_TEST(without_room_it_stays_as_it_was)
{
    struct rlimit none = {.rlim_cur = 2, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(whole_file_write(path, slice_of("one\n")), 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    int rc = whole_file_write(path, slice_of("two\n"));
    none.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_int_eq(rc, -ENOSPC);
    ck_assert_str_eq(place_read(&place, "file"), "one\n");
    ck_assert_int_ne(access(place_path(&place, "file.new"), F_OK), 0);
    ck_assert_int_lt(whole_file_write("/no/such/file", slice_of("x")), 0);
}
END_TEST

SUITE_MAIN_WITH("whole_file", start, finish, it_takes_the_place_of_what_was_there,
                a_link_is_not_followed, without_room_it_stays_as_it_was)
