/*
 * suite.h: the main() of a suite: one test case from a list of tests.
 *
 * Runs in every unit suite. Each test runs in a process of its own (Check's fork mode), so nothing is initialised here.
 */
#ifndef TEST_UNIT_SUITE_H
#define TEST_UNIT_SUITE_H

#include <check.h>
#include <stddef.h>

/* Seconds a test may take: sanitizers on a busy machine are slow, and a test that hangs is killed all the same. */
#define SUITE_TIMEOUT_S 60

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
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? 1 : 0;
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
