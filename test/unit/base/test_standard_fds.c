/*
 * test_standard_fds.c: whichever of the three are closed are there afterwards, and nothing else is opened; what is
 * printed arrives, or is an error.
 */
#include "common/standard_fds.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: with those of the set closed. Its exit code is the lowest that is free afterwards. */
static int fill_without(unsigned closed)
{
    pid_t pid = suite_fork();
    if (pid == 0) {
        closefrom(STDERR_FILENO + 1);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            if ((closed >> fd & 1) != 0)
                close(fd);
        standard_fds_fill();
        _exit(open("/dev/null", O_RDONLY));
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(test_each_hole_is_filled)
{
    for (unsigned closed = 0; closed < 8; closed++)
        ck_assert_int_eq(fill_without(closed), STDERR_FILENO + 1);
}
END_TEST

/* In a child whose stdout it is: what printing there answers. */
static int print_to(const char *path)
{
    pid_t pid = suite_fork();
    if (pid == 0) {
        int fd = open(path, O_WRONLY);
        dup2(fd, STDOUT_FILENO);
        _exit(-standard_fds_print(slice_of("what was asked for\n")));
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

START_TEST(test_what_could_not_be_printed_is_an_error)
{
    ck_assert_int_eq(print_to("/dev/null"), 0);
    ck_assert_int_eq(print_to("/dev/full"), -ENOSPC);
}
END_TEST

SUITE_MAIN("standard_fds", test_each_hole_is_filled, test_what_could_not_be_printed_is_an_error)
