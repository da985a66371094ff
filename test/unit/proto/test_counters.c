/* test_counters.c: names of counters (proto/counters.h). */
#include "proto/counters.h"
#include "test/unit/suite.h"

#include <string.h>

START_TEST(names_are_found_again)
{
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        ck_assert_int_eq(counter_find(name, strlen(name)), i);
        ck_assert_int_eq(counter_find(name, strlen(name) - 1), COUNTER_COUNT);
    }
    ck_assert_int_eq(counter_find("", 0), COUNTER_COUNT);
    ck_assert_int_eq(counter_find("requests", 8), COUNTER_COUNT);
}
END_TEST

/* Prometheus' conventions: what only grows ends in _total, letters are small. */
START_TEST(conventions)
{
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        size_t len = strlen(name);
        bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
        ck_assert_msg(total == counter_is_monotonic((enum counter)i), "%s", name);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), len);
        ck_assert(name[0] >= 'a' && name[0] <= 'z');
    }
}
END_TEST

/* A sentence, with a remedy behind its last colon; only of gauges, which can end. */
START_TEST(warnings)
{
    int count = 0;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *warning = counter_warning((enum counter)i);
        if (warning == NULL)
            continue;
        count++;
        ck_assert(!counter_is_monotonic((enum counter)i));
        ck_assert_ptr_nonnull(strchr(warning, ':'));
        ck_assert_uint_lt(strlen(warning), 300);
    }
    ck_assert_int_gt(count, 0);
}
END_TEST

SUITE_MAIN("counters", names_are_found_again, conventions, warnings)
