/* Tests of common/birthmark.h: who has it, and that exec, another session and no environment take it from nobody. */
#include "common/birthmark.h"
#include "test/unit/suite.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

START_TEST(is_had_by_who_took_it)
{
    ck_assert(!birthmark_is_on(getpid()));
    ck_assert(birthmark_take());
    ck_assert(birthmark_is_on(getpid()));
    ck_assert(birthmark_take()); /* again: the same */
    ck_assert(birthmark_is_on(getpid()));
    ck_assert(!birthmark_is_on(getppid()));
}
END_TEST

START_TEST(is_kept_by_a_descendant_without_session_and_environment)
{
    int ends[2];
    char said[8] = "";
    ck_assert(birthmark_take());
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = suite_fork();
    if (pid == 0) {
        char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo on; read line; :"}, NULL};
        char *environment[] = {NULL};
        setsid();
        dup2(ends[1], STDOUT_FILENO);
        execve("/bin/sh", argv, environment);
        _exit(1);
    }
    ck_assert_int_eq(read(ends[0], said, sizeof said - 1), 3); /* it is another program by now */
    ck_assert(birthmark_is_on(pid));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert(!birthmark_is_on(pid));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(leaves_a_lower_soft_limit_and_lowers_a_higher_one)
{
    struct rlimit now = {.rlim_cur = 1 << 30, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_RSS, &now), 0);
    ck_assert(birthmark_take());
    ck_assert_int_eq(getrlimit(RLIMIT_RSS, &now), 0);
    ck_assert_uint_eq(now.rlim_cur, 1 << 30);
    ck_assert_uint_ne(now.rlim_max, RLIM_INFINITY);
}
END_TEST

SUITE_MAIN("birthmark", is_had_by_who_took_it,
           is_kept_by_a_descendant_without_session_and_environment,
           leaves_a_lower_soft_limit_and_lowers_a_higher_one)
