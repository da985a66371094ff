/*
 * suite.h: the main() of a suite: one test case from a list of tests.
 *
 * Runs in every unit suite. Each test runs in a process of its own (Check's fork mode), so nothing is initialised here.
 */
#ifndef TEST_UNIT_SUITE_H
#define TEST_UNIT_SUITE_H

#include <check.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Seconds a test may take: sanitizers on a busy machine are slow, and a test that hangs is killed all the same. */
#define SUITE_TIMEOUT_S 60

/*
 * Check writes a line to a file for each assertion that holds, so that it can say after which one a test crashed. In a
 * loop of millions that was nearly all of a suite's time (22 s of one that takes 0.1): the same assertion once more
 * says nothing new.
 */
static inline void suite_mark(const char *file, int line)
{
    static const char *last_file;
    static int last_line;
    if (line == last_line && file == last_file)
        return;
    last_file = file;
    last_line = line;
    (_mark_point)(file, line);
}
#define _mark_point suite_mark

/* Check's own descriptors are below this. */
#define SUITE_CHECK_FDS 16

/*
 * fork() for a test. Check hears of each assertion, also of those that hold, through an unlinked file whose position
 * parent and child would share: two that write at a time garble it, and the suite breaks off. So the child's go to
 * /dev/null; one that does not hold ends it with 1.
 */
static inline pid_t suite_fork(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int fd = STDERR_FILENO + 1; fd < SUITE_CHECK_FDS; fd++) {
        char name[32], file[256];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(name, file, sizeof file - 1);
        file[n > 0 ? n : 0] = '\0';
        if (strstr(file, " (deleted)") != NULL)
            dup2(null, fd);
    }
    return 0;
}

/* Runs the suite, and frees it. Returns main's exit code. */
static inline int suite_end(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? 1 : 0;
}

/* Runs `tests`, each between set_up and tear_down (either may be NULL). Returns main's exit code. */
static inline int suite_run(const char *name, const TTest *const *tests, size_t count,
                            void (*set_up)(void), void (*tear_down)(void))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    if (set_up != NULL || tear_down != NULL)
        tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}

/* main() for a list of tests without a fixture. */
#define SUITE_MAIN(name, ...) SUITE_MAIN_WITH(name, NULL, NULL, __VA_ARGS__)
#define SUITE_MAIN_WITH(name, set_up, tear_down, ...)                                              \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return suite_run(name, tests, sizeof tests / sizeof *tests, set_up, tear_down);            \
    }

#endif
