/*
 * test_fault.c: fault points (common/fault.h). Compiled with the points switched on, whatever
 * the rest of the build has.
 */
#ifndef PLATOON_FAULTS
#define PLATOON_FAULTS
#endif
#define fault_point fault_point_under_test /* the library may hold one too */
#include "common/fault.c"
#include "test/unit/suite.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[] = "/tmp/fault.XXXXXX";

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("PLATOON_FAULT_DIR", dir, 1);
}

static void tear_down(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/point", dir);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void order(const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "%s/point", dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static bool ordered(void)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "%s/point", dir);
    return stat(path, &st) == 0;
}

/* True when a process that comes by with that detail is killed. */
static bool kills(const char *name, const char *detail)
{
    int status;
    pid_t pid = suite_fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        fault_point(name, slice_of(detail));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    return WIFSIGNALED(status);
}

START_TEST(nothing_ordered)
{
    ck_assert(!kills("point", ""));
    unsetenv("PLATOON_FAULT_DIR");
    ck_assert(!kills("point", ""));
}
END_TEST

START_TEST(kill_happens_once)
{
    order("kill");
    ck_assert(!kills("elsewhere", ""));
    ck_assert(kills("point", "v:1"));
    ck_assert(!ordered());
    ck_assert(!kills("point", "v:1"));
}
END_TEST

START_TEST(error_is_told_once)
{
    order("error v:1");
    ck_assert(!fault_point("point", slice_of("v:2")));
    ck_assert(fault_point("point", slice_of("v:1")));
    ck_assert(!ordered());
    ck_assert(!fault_point("point", slice_of("v:1")));
}
END_TEST

/* It goes on hanging when it is woken, and only a signal that kills ends it. */
START_TEST(stall_hangs)
{
    order("stall");
    pid_t pid = suite_fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        fault_point("point", slice_of(""));
        _exit(0);
    }
    while (ordered())
        sched_yield();
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
    ck_assert_int_eq(kill(pid, SIGKILL),
                     0); /* Check has a handler for SIGTERM, and the child too */
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

START_TEST(always_stays)
{
    order("kill always\n");
    for (int i = 0; i < 3; i++)
        ck_assert(kills("point", ""));
    ck_assert(ordered());
}
END_TEST

START_TEST(limited_to_details)
{
    order("kill always v:1 v:2\n");
    ck_assert(kills("point", "v:1"));
    ck_assert(kills("point", "v:2"));
    ck_assert(!kills("point", "v:12"));
    ck_assert(!kills("point", ""));
}
END_TEST

START_TEST(other_words_do_nothing)
{
    order("");
    ck_assert(!kills("point", ""));
    order("always");
    ck_assert(!kills("point", ""));
}
END_TEST

SUITE_MAIN_WITH("fault", set_up, tear_down, nothing_ordered, kill_happens_once, error_is_told_once,
                stall_hangs, always_stays, limited_to_details, other_words_do_nothing)
